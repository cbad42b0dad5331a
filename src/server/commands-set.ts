/** SET and its many forms, and GETEX: what is set, until when and on which condition becomes one operation. */
import { type Condition, KEEP_EXPIRY, NO_EXPIRY, type Operation } from "../paxos/operation.js";
import type { Key } from "../base/key.js";
import { invalidExpire, keyAt, keysFrom, type TimeForm, valueFits } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import {
  NOT_INTEGER,
  renderApplied,
  renderManyOk,
  renderOldValue,
  renderSet,
  renderValue,
  SYNTAX_ERROR,
  wrongArity,
} from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import {
  ALWAYS,
  BAD_DIGEST,
  IF_ABSENT,
  type Options,
  positiveDeadline,
  readOptions,
  TIME_FORMS,
} from "./set-options.js";
import type { Arguments } from "./stored-arguments.js";

/** The operation behind every form of SET. */
export function setOperation(value: Uint8Array, expiryMs: number, condition: Condition, returnOld: boolean): Operation {
  return { kind: "set", value, expiryMs, condition, returnOld };
}

function refuseOptions(out: ReplyWriter, why: "syntax" | "digest"): void {
  out.error(why === "syntax" ? SYNTAX_ERROR : BAD_DIGEST);
}

function refuseTime(out: ReplyWriter, why: "integer" | "time", command: string): void {
  if (why === "integer") out.error(NOT_INTEGER);
  else invalidExpire(out, command);
}

export const set: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null || !valueFits(client, args, 2)) return;
  if (args.argc === 3) {
    client.write(key, setOperation(args.bytes(2), NO_EXPIRY, ALWAYS, false), renderSet);
    return;
  }
  const options = readOptions(args, 3, "set");
  if (typeof options === "string") {
    refuseOptions(client.out, options);
    return;
  }
  const expiryMs = expiryOfSet(args, options);
  if (typeof expiryMs === "string") {
    refuseTime(client.out, expiryMs, "set");
    return;
  }
  const { condition, returnOld } = options;
  client.write(
    key,
    setOperation(args.bytes(2), expiryMs, condition ?? ALWAYS, returnOld),
    returnOld ? renderOldValue : renderSet,
  );
};

function expiryOfSet(args: Arguments, { deadline, timeAt }: Options): number | "integer" | "time" {
  if (deadline === "keep") return KEEP_EXPIRY;
  if (deadline === null || deadline === "drop") return NO_EXPIRY;
  return positiveDeadline(args, timeAt, TIME_FORMS[deadline]);
}

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
    const expiryMs = positiveDeadline(args, 2, form);
    if (typeof expiryMs === "string") refuseTime(client.out, expiryMs, command);
    else client.write(key, setOperation(args.bytes(3), expiryMs, ALWAYS, false), renderSet);
  };
}

export const setex: Handler = setWithTime("setex", TIME_FORMS.ex);
export const psetex: Handler = setWithTime("psetex", TIME_FORMS.px);

export const getex: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null) return;
  const options = readOptions(args, 2, "getex");
  if (typeof options === "string") {
    refuseOptions(client.out, options);
    return;
  }
  const { deadline, timeAt } = options;
  if (deadline === null || deadline === "keep") {
    client.read(key, renderValue);
  } else if (deadline === "drop") {
    client.write(key, { kind: "touch", expiryMs: NO_EXPIRY }, renderOldValue);
  } else {
    touch(client, key, positiveDeadline(args, timeAt, TIME_FORMS[deadline]));
  }
};

/** As Redis: of a key that does not exist a wrong time is not noticed. */
function touch(client: Client, key: Key, expiryMs: number | "integer" | "time"): void {
  if (typeof expiryMs === "number") {
    client.write(key, { kind: "touch", expiryMs }, renderOldValue);
    return;
  }
  client.read(key, (out, slot) => {
    if (slot.read?.status === "ok" && slot.read.found) refuseTime(out, expiryMs, "getex");
    else renderValue(out, slot);
  });
}

/** The pairs of MSET and MSETNX as operations; null: an error was written. */
function pairs(client: Client, args: Arguments, command: string, condition: Condition): Operation[] | null {
  if (args.argc % 2 === 0) {
    wrongArity(client.out, command);
    return null;
  }
  const operations: Operation[] = [];
  for (let index = 2; index < args.argc; index += 2) {
    if (!valueFits(client, args, index)) return null;
    operations.push(setOperation(args.bytes(index), NO_EXPIRY, condition, false));
  }
  return operations;
}

export const mset: Handler = (client, args) => {
  const operations = pairs(client, args, "mset", ALWAYS);
  const keys = operations === null ? null : keysFrom(client, args, 1, 2);
  if (operations !== null && keys !== null) client.writeMany(keys, operations, renderManyOk);
};

/** All keys or none cannot be promised across keys, so there may be one only; its last value counts. */
export const msetnx: Handler = (client, args) => {
  const operation = pairs(client, args, "msetnx", IF_ABSENT)?.at(-1);
  const keys = operation === undefined ? null : keysFrom(client, args, 1, 2);
  const key = keys?.[0];
  if (operation === undefined || key === undefined) return;
  if (keys?.every((other) => other === key) === true) client.write(key, operation, renderApplied);
  else client.out.error("CROSSKEY all keys of MSETNX must be one key");
};
