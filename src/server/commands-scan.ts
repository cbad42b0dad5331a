/**
 * Going over keys: SCAN, KEYS and DBSIZE. They see the keys that this node holds, which is what it has learned so far.
 * Each call does a bounded amount of work. A key is shown only when a strong read finds it, so that nothing shows that is
 * deleted or expired; a key that exists from the first call to the last and is held here is shown exactly once.
 */
import { clientBytes, type Key } from "../base/key.js";
import { digitsAt } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import { globMatches } from "./glob.js";
import { NOT_INTEGER, readRefusalOfMany, SYNTAX_ERROR } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { ManyKeys } from "./slot.js";
import type { Arguments } from "./stored-arguments.js";

const USUAL_COUNT = 10;
/** A larger COUNT is taken for this one. */
const MAX_COUNT = 1000;
/** KEYS is refused at a node with more, */
const MAX_KEYS = 10_000;
/** and where so many steps of MAX_COUNT do not come to the end, because the index is full of deleted keys. */
const MAX_STEPS = (2 * MAX_KEYS) / MAX_COUNT;
const LAST_CURSOR = 2n ** 64n - 1n;
const CURSOR = /^[0-9]{1,20}$/;

/** After what this connection wrote before. */
export const dbsize: Handler = (client) => {
  if (client.settled()) client.out.integer(client.context.service?.countKeys() ?? 0);
};

interface ScanOptions {
  pattern: string | null;
  count: number;
  type: string | null;
}

export const scan: Handler = (client, args) => {
  const cursor = cursorAt(args, 1);
  if (cursor === null) {
    client.out.error("ERR invalid cursor");
    return;
  }
  const options = scanOptions(client.out, args);
  if (options === null || !client.settled()) return;
  const { pattern, count, type } = options;
  const keys: Key[] = [];
  const next = client.context.service?.scanKeys(cursor, Math.min(count, MAX_COUNT), (key) => {
    if ((type === null || type === "string") && matches(key, pattern)) keys.push(key);
  });
  client.readMany(
    keys,
    (out, { many }) => {
      if (many === null || readRefusalOfMany(out, many)) return;
      out.array(2);
      out.text(String(next ?? 0n));
      writeFound(out, many);
    },
    "existence",
  );
};

function cursorAt(args: Arguments, index: number): bigint | null {
  const text = args.bytesOf(index) > 20 ? "" : args.latin1(index);
  const cursor = CURSOR.test(text) ? BigInt(text) : null;
  return cursor === null || cursor > LAST_CURSOR ? null : cursor;
}

/** Null: an error was written. */
function scanOptions(out: ReplyWriter, args: Arguments): ScanOptions | null {
  const options: ScanOptions = { pattern: null, count: USUAL_COUNT, type: null };
  for (let at = 2; at < args.argc; at += 2) {
    if (at + 1 >= args.argc) {
      out.error(SYNTAX_ERROR);
      return null;
    }
    if (args.is(at, "match")) options.pattern = args.latin1(at + 1);
    else if (args.is(at, "type")) options.type = args.latin1(at + 1).toLowerCase();
    else if (args.is(at, "count")) {
      const digits = digitsAt(args, at + 1);
      options.count = Number(digits ?? 0);
      if (digits === null || options.count < 1) {
        out.error(digits === null ? NOT_INTEGER : SYNTAX_ERROR);
        return null;
      }
    } else {
      out.error(SYNTAX_ERROR);
      return null;
    }
  }
  return options;
}

function matches(key: Key, pattern: string | null): boolean {
  return pattern === null || pattern === "*" || globMatches(pattern, clientBytes(key));
}

function writeFound(out: ReplyWriter, many: ManyKeys): void {
  const found = many.keys.filter((_key, at) => {
    const read = many.reads[at];
    return read?.status === "ok" && read.found;
  });
  out.array(found.length);
  for (const key of found) out.bulk(Buffer.from(clientBytes(key), "latin1"));
}

export const keys: Handler = (client, args) => {
  if (!client.settled()) return;
  const pattern = args.latin1(1);
  const held = client.context.service?.countKeys() ?? 0;
  if (held > MAX_KEYS) {
    client.out.error(`ERR KEYS would go over ${String(held)} keys (at most ${String(MAX_KEYS)} are); use SCAN`);
    return;
  }
  const found = matchingKeys(client, pattern);
  if (found === null) {
    client.out.error("ERR KEYS would go over too many deleted keys; use SCAN");
    return;
  }
  client.readMany(
    found,
    (out, { many }) => {
      if (many !== null && !readRefusalOfMany(out, many)) writeFound(out, many);
    },
    "existence",
  );
};

/** Null: too many entries of the index would have to be looked at. */
function matchingKeys(client: Client, pattern: string): Key[] | null {
  const found: Key[] = [];
  let cursor = 0n;
  let steps = 0;
  do {
    if (steps++ === MAX_STEPS) return null;
    cursor =
      client.context.service?.scanKeys(cursor, MAX_COUNT, (key) => {
        if (matches(key, pattern)) found.push(key);
      }) ?? 0n;
  } while (cursor !== 0n);
  return found;
}
