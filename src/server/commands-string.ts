/**
 * Plain commands on string values: each reads its arguments as Redis does, and hands one operation (or one per key) to
 * the node. What an increment means is decided there, on the latest value, never here.
 */
import type { Operation } from "../paxos/operation.js";
import { digitsAt, keyAt, keysFrom, valueFits } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import {
  NOT_INTEGER,
  renderApplied,
  renderLength,
  renderManyFound,
  renderManySum,
  renderManyValues,
  renderNumber,
  renderType,
  renderValue,
} from "./replies.js";
import type { Renderer } from "./slot.js";
import type { Arguments } from "./stored-arguments.js";

const DELETE: Operation = { kind: "delete" };

function readCommand(render: Renderer): Handler {
  return (client, args) => {
    const key = keyAt(client, args, 1);
    if (key !== null) client.read(key, render);
  };
}

export const get: Handler = readCommand(renderValue);
export const strlen: Handler = readCommand(renderLength);
export const type: Handler = readCommand(renderType);

export const mget: Handler = (client, args) => {
  const keys = keysFrom(client, args, 1, 1);
  if (keys !== null) client.readMany(keys, renderManyValues);
};

export const exists: Handler = (client, args) => {
  const keys = keysFrom(client, args, 1, 1);
  if (keys !== null) client.readMany(keys, renderManyFound);
};

/** DEL and UNLINK are the same here: nothing is freed in the foreground anyway. */
export const del: Handler = (client, args) => {
  if (args.argc === 2) {
    const key = keyAt(client, args, 1);
    if (key !== null) client.write(key, DELETE, renderApplied);
    return;
  }
  const keys = keysFrom(client, args, 1, 1);
  if (keys !== null) {
    client.writeMany(
      keys,
      keys.map(() => DELETE),
      renderManySum,
    );
  }
};

function add(client: Client, args: Arguments, delta: string): void {
  const key = keyAt(client, args, 1);
  if (key !== null) client.write(key, { kind: "add", delta }, renderNumber);
}

export const incr: Handler = (client, args) => {
  add(client, args, "1");
};

export const decr: Handler = (client, args) => {
  add(client, args, "-1");
};

export const incrby: Handler = (client, args) => {
  const delta = digitsAt(args, 2);
  if (delta === null) client.out.error(NOT_INTEGER);
  else add(client, args, delta);
};

const MIN_INT64_DIGITS = "-9223372036854775808";

export const decrby: Handler = (client, args) => {
  const delta = digitsAt(args, 2);
  if (delta === null) client.out.error(NOT_INTEGER);
  else if (delta === MIN_INT64_DIGITS) client.out.error("ERR decrement would overflow");
  else if (delta === "0") add(client, args, delta);
  else add(client, args, delta.startsWith("-") ? delta.slice(1) : `-${delta}`);
};

export const append: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null || !valueFits(client, args, 2)) return;
  const maxBytes = client.context.limits.maxValueBytes;
  client.write(key, { kind: "append", value: args.bytes(2), maxBytes }, renderNumber);
};
