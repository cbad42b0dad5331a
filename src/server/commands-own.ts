/**
 * Commands that Redis does not have: VGET and VSET (read with a version, write only on that version), and PLOG, every
 * replica's state of a key, for people to look at.
 */
import { NO_EXPIRY } from "../paxos/operation.js";
import { integerAt, keyAt, valueFits } from "./arguments.js";
import type { Handler } from "./client.js";
import { setOperation } from "./commands-set.js";
import { NOT_INTEGER, renderPlog, renderVersion, renderVersioned } from "./replies.js";

export const vget: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key !== null) client.read(key, renderVersioned);
};

/** VSET key value version: version 0 = the key must not exist. A deadline that the key had is dropped, as by SET. */
export const vset: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null || !valueFits(client, args, 2)) return;
  const version = integerAt(client, args, 3);
  if (Number.isNaN(version)) return;
  if (version < 0 || version > Number.MAX_SAFE_INTEGER) {
    client.out.error(NOT_INTEGER);
    return;
  }
  client.write(key, setOperation(args.bytes(2), NO_EXPIRY, { kind: "version", version }, false), renderVersion);
};

export const plog: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key !== null) client.inspect(key, renderPlog);
};
