/**
 * Commands on string values: each reads its arguments as Redis does, and hands one operation (or one per key) to the
 * node. What a condition or an increment means is decided there, on the latest value, never here.
 */
import { type Condition, KEEP_EXPIRY, NO_EXPIRY, type Operation } from "../paxos/operation.js";
import {
  deadlineOf,
  digitsAt,
  integerAt,
  invalidExpire,
  keyAt,
  keysFrom,
  type TimeForm,
  valueFits,
} from "./arguments.js";
import type { Client, Handler } from "./client.js";
import {
  NOT_INTEGER,
  renderApplied,
  renderLength,
  renderManyFound,
  renderManyOk,
  renderManySum,
  renderManyValues,
  renderNumber,
  renderOldValue,
  renderSet,
  renderType,
  renderValue,
  SYNTAX_ERROR,
} from "./replies.js";
import type { RespParser } from "./resp-parser.js";
import type { Renderer } from "./slot.js";

const ALWAYS: Condition = { kind: "none" };
const IF_ABSENT: Condition = { kind: "absent" };
const IF_PRESENT: Condition = { kind: "present" };
const DELETE: Operation = { kind: "delete" };

const SECONDS: TimeForm = { unitMs: 1000, from: "now" };
const MILLISECONDS: TimeForm = { unitMs: 1, from: "now" };
const AT_SECONDS: TimeForm = { unitMs: 1000, from: "epoch" };
const AT_MILLISECONDS: TimeForm = { unitMs: 1, from: "epoch" };

/** The operation behind every form of SET. */
export function setOperation(value: Uint8Array, expiryMs: number, condition: Condition, returnOld: boolean): Operation {
  return { kind: "set", value, expiryMs, condition, returnOld };
}

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

interface SetOptions {
  condition: Condition;
  returnOld: boolean;
  expiryMs: number;
}

/** The time option named at `index`, or null. */
function timeForm(args: RespParser, index: number): TimeForm | null {
  if (args.is(index, "ex")) return SECONDS;
  if (args.is(index, "px")) return MILLISECONDS;
  if (args.is(index, "exat")) return AT_SECONDS;
  if (args.is(index, "pxat")) return AT_MILLISECONDS;
  return null;
}

/** Null: an error was written. As in Redis the words are checked first, the time last. */
function setOptions(client: Client, args: RespParser): SetOptions | null {
  const options: SetOptions = { condition: ALWAYS, returnOld: false, expiryMs: NO_EXPIRY };
  let form: TimeForm | null = null;
  let timeAt = 0;
  for (let index = 3; index < args.argc; index++) {
    const named = timeForm(args, index);
    if (args.is(index, "nx") && options.condition !== IF_PRESENT) options.condition = IF_ABSENT;
    else if (args.is(index, "xx") && options.condition !== IF_ABSENT) options.condition = IF_PRESENT;
    else if (args.is(index, "get")) options.returnOld = true;
    else if (args.is(index, "keepttl") && form === null) options.expiryMs = KEEP_EXPIRY;
    else if (named !== null && form === null && options.expiryMs === NO_EXPIRY && index + 1 < args.argc) {
      form = named;
      timeAt = ++index;
    } else {
      client.out.error(SYNTAX_ERROR);
      return null;
    }
  }
  if (form !== null) options.expiryMs = positiveDeadline(client, args, timeAt, form, "set");
  return Number.isNaN(options.expiryMs) ? null : options;
}

/** A deadline for SET and its kin, where the time must be above zero; NaN: an error was written. */
function positiveDeadline(client: Client, args: RespParser, index: number, form: TimeForm, command: string): number {
  const amount = integerAt(client, args, index);
  if (Number.isNaN(amount)) return amount;
  if (amount > 0) return deadlineOf(client, amount, form, command);
  invalidExpire(client, command);
  return Number.NaN;
}

export const set: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null || !valueFits(client, args, 2)) return;
  if (args.argc === 3) {
    client.write(key, setOperation(args.bytes(2), NO_EXPIRY, ALWAYS, false), renderSet);
    return;
  }
  const options = setOptions(client, args);
  if (options === null) return;
  const { expiryMs, condition, returnOld } = options;
  client.write(
    key,
    setOperation(args.bytes(2), expiryMs, condition, returnOld),
    returnOld ? renderOldValue : renderSet,
  );
};

export const setnx: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null || !valueFits(client, args, 2)) return;
  client.write(key, setOperation(args.bytes(2), NO_EXPIRY, IF_ABSENT, false), renderApplied);
};

export const getset: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null || !valueFits(client, args, 2)) return;
  client.write(key, setOperation(args.bytes(2), NO_EXPIRY, ALWAYS, true), renderOldValue);
};

function setWithTime(command: string, form: TimeForm): Handler {
  return (client, args) => {
    const key = keyAt(client, args, 1);
    if (key === null || !valueFits(client, args, 3)) return;
    const expiryMs = positiveDeadline(client, args, 2, form, command);
    if (Number.isNaN(expiryMs)) return;
    client.write(key, setOperation(args.bytes(3), expiryMs, ALWAYS, false), renderSet);
  };
}

export const setex: Handler = setWithTime("setex", SECONDS);
export const psetex: Handler = setWithTime("psetex", MILLISECONDS);

export const mset: Handler = (client, args) => {
  if (args.argc % 2 === 0) {
    client.out.error("ERR wrong number of arguments for 'mset' command");
    return;
  }
  const keys = keysFrom(client, args, 1, 2);
  if (keys === null) return;
  const operations: Operation[] = [];
  for (let index = 2; index < args.argc; index += 2) {
    if (!valueFits(client, args, index)) return;
    operations.push(setOperation(args.bytes(index), NO_EXPIRY, ALWAYS, false));
  }
  client.writeMany(keys, operations, renderManyOk);
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

function add(client: Client, args: RespParser, delta: string): void {
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
