/**
 * From what the node answered to what a Redis client is told. The three classes of a write's outcome stay apart here
 * and nowhere else: OK; certainly not applied (the code as prefix); not known (-UNKNOWN). One renderer per shape of reply.
 */
import { unreachable } from "../base/assert.js";
import { isBallot } from "../paxos/ballot.js";
import type { FailReason, ReadOutcome, RefuseCode, WriteOutcome } from "../paxos/operation.js";
import { NO_EXPIRY, resultBytes } from "../paxos/operation.js";
import type { PLogView } from "../node/service.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { ManyKeys, Renderer, Slot } from "./slot.js";

type ReadOk = Extract<ReadOutcome, { status: "ok" }>;

export const NOT_INTEGER = "ERR value is not an integer or out of range";
export const NOT_FLOAT = "ERR value is not a valid float";
export const SYNTAX_ERROR = "ERR syntax error";

export function wrongArity(out: ReplyWriter, command: string): void {
  out.error(`ERR wrong number of arguments for '${command}' command`);
}

/** Redis prints arguments as C strings. */
export function cString(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

/** Of a subcommand that counts its arguments itself. */
export function subcommandSyntax(out: ReplyWriter, container: string, word: string): void {
  const shown = cString(word).slice(0, 128);
  out.error(`ERR unknown subcommand or wrong number of arguments for '${shown}'. Try ${container.toUpperCase()} HELP.`);
}

export function unknownSubcommand(out: ReplyWriter, container: string, word: string): void {
  out.error(`ERR unknown subcommand '${cString(word).slice(0, 128)}'. Try ${container.toUpperCase()} HELP.`);
}

/** Prefixes are stable: clients act on them. FAILED (the disk gave up) has none of its own. */
export function refusal(code: RefuseCode, message: string): string {
  return `${code === "FAILED" ? "ERR" : code} ${message}`;
}

/** True: an error was written. */
export function writeRefused(out: ReplyWriter, outcome: WriteOutcome): boolean {
  if (outcome.status === "not-applied") out.error(refusal(outcome.code, outcome.message));
  else if (outcome.status === "unknown") out.error(`UNKNOWN ${outcome.message}`);
  else return false;
  return true;
}

export function writeFailure(out: ReplyWriter, reason: FailReason): void {
  switch (reason) {
    case "not-integer":
      out.error(NOT_INTEGER);
      return;
    case "overflow":
      out.error("ERR increment or decrement would overflow");
      return;
    case "too-large":
      out.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
      return;
    case "not-float":
      out.error(NOT_FLOAT);
      return;
    case "not-finite":
      out.error("ERR increment would produce NaN or Infinity");
      return;
    case "exists":
    case "absent":
    case "version":
    case "value":
    case "deadline":
    case "unchanged":
    case "no-deadline":
    case "not-due":
      out.null();
      return;
    default:
      unreachable(reason);
  }
}

function writeOutcome(slot: Slot): WriteOutcome {
  return slot.write ?? { status: "unknown", message: "the outcome was lost" };
}

/** +OK, or null when the condition did not hold. */
export function renderSet(out: ReplyWriter, slot: Slot): void {
  const outcome = writeOutcome(slot);
  if (writeRefused(out, outcome)) return;
  if (outcome.status === "ok") out.simple("OK");
  else if (outcome.status === "failed") writeFailure(out, outcome.reason);
}

/** The old value, or null; whether the condition held does not matter. */
export function renderOldValue(out: ReplyWriter, slot: Slot): void {
  const outcome = writeOutcome(slot);
  if (writeRefused(out, outcome)) return;
  const bytes = outcome.status === "ok" || outcome.status === "failed" ? resultBytes(outcome.result) : null;
  if (bytes === null) out.null();
  else out.bulk(bytes);
}

/** 1 when applied, 0 when the condition did not hold. */
export function renderApplied(out: ReplyWriter, slot: Slot): void {
  const outcome = writeOutcome(slot);
  if (!writeRefused(out, outcome)) out.integer(outcome.status === "ok" ? 1 : 0);
}

/** The integer that the operation answers. */
export function renderNumber(out: ReplyWriter, slot: Slot): void {
  const outcome = writeOutcome(slot);
  if (writeRefused(out, outcome)) return;
  const { status } = outcome;
  if (status === "failed" && outcome.reason !== "unchanged") writeFailure(out, outcome.reason);
  else if ((status === "ok" || status === "failed") && typeof outcome.result === "number") out.integer(outcome.result);
  else if (outcome.status === "ok" && typeof outcome.result === "string") out.integerDigits(outcome.result);
  else out.integer(0);
}

/** The number that the operation answers, as a bulk string. */
export function renderNumberAsText(out: ReplyWriter, slot: Slot): void {
  const outcome = writeOutcome(slot);
  if (outcome.status === "failed") writeFailure(out, outcome.reason);
  else renderOldValue(out, slot);
}

/** VSET: the new version, or null when the version differs. */
export function renderVersion(out: ReplyWriter, slot: Slot): void {
  const outcome = writeOutcome(slot);
  if (writeRefused(out, outcome)) return;
  if (outcome.status === "ok") out.integer(outcome.version);
  else out.null();
}

function manyFailed(out: ReplyWriter, slot: Slot): boolean {
  const { many } = slot;
  if (many === null) return false;
  const { unknown, refused, applied } = many;
  if (unknown === null && refused === null) return false;
  const whole = String(many.keys.length);
  if (unknown !== null || applied > 0) {
    const first = unknown ?? refused;
    const why = first !== null && "message" in first ? first.message : "";
    out.error(
      `UNKNOWN ${String(applied)} of ${whole} keys were changed, of others it is not known or they were not: ${why}`,
    );
  } else if (refused !== null) {
    writeRefused(out, refused);
  }
  return true;
}

/** MSET. */
export function renderManyOk(out: ReplyWriter, slot: Slot): void {
  if (!manyFailed(out, slot)) out.simple("OK");
}

/** DEL: how many there were. */
export function renderManySum(out: ReplyWriter, slot: Slot): void {
  if (!manyFailed(out, slot)) out.integer(slot.many?.sum ?? 0);
}

/** The answer to the read; null when it was refused, and then the error is written. */
function readOk(out: ReplyWriter, slot: Slot): ReadOk | null {
  const outcome = slot.read;
  if (outcome?.status === "ok") return outcome;
  if (outcome !== null) out.error(refusal(outcome.code, outcome.message));
  else out.error("ERR the answer was lost");
  return null;
}

/** A renderer of an answer that is there. */
export function renderRead(write: (out: ReplyWriter, read: ReadOk) => void): Renderer {
  return (out, slot) => {
    const read = readOk(out, slot);
    if (read !== null) write(out, read);
  };
}

export function renderValue(out: ReplyWriter, slot: Slot): void {
  const read = readOk(out, slot);
  if (read === null) return;
  if (read.found) out.bulk(read.value);
  else out.null();
}

export function renderLength(out: ReplyWriter, slot: Slot): void {
  const read = readOk(out, slot);
  if (read !== null) out.integer(read.value.length);
}

export function renderType(out: ReplyWriter, slot: Slot): void {
  const read = readOk(out, slot);
  if (read !== null) out.simple(read.found ? "string" : "none");
}

/** -2: no such key; -1: no deadline. */
function deadline(out: ReplyWriter, slot: Slot, answer: (expiryMs: number) => number): void {
  const read = readOk(out, slot);
  if (read === null) return;
  if (!read.found) out.integer(-2);
  else out.integer(read.expiryMs === NO_EXPIRY ? -1 : answer(read.expiryMs));
}

function remainingMs(expiryMs: number): number {
  return Math.max(0, expiryMs - Date.now());
}

export function renderTtl(out: ReplyWriter, slot: Slot): void {
  deadline(out, slot, (expiryMs) => Math.floor((remainingMs(expiryMs) + 500) / 1000));
}

export function renderPttl(out: ReplyWriter, slot: Slot): void {
  deadline(out, slot, remainingMs);
}

export function renderExpireTime(out: ReplyWriter, slot: Slot): void {
  deadline(out, slot, (expiryMs) => Math.floor((expiryMs + 500) / 1000));
}

export function renderPExpireTime(out: ReplyWriter, slot: Slot): void {
  deadline(out, slot, (expiryMs) => expiryMs);
}

/** VGET: [version, value], or null. */
export function renderVersioned(out: ReplyWriter, slot: Slot): void {
  const read = readOk(out, slot);
  if (read === null) return;
  if (!read.found) {
    out.nullArray();
    return;
  }
  out.array(2);
  out.integer(read.version);
  out.bulk(read.value);
}

/** VWAIT: null when nothing has changed in time. */
export function renderWaited(out: ReplyWriter, slot: Slot): void {
  if (slot.read === null) {
    out.nullArray();
    return;
  }
  const read = readOk(out, slot);
  if (read === null) return;
  out.array(2);
  out.integer(read.found ? read.version : 0);
  if (read.found) out.bulk(read.value);
  else out.null();
}

/** True: one of the reads was refused, and the error is written. */
export function readRefusalOfMany(out: ReplyWriter, many: ManyKeys): boolean {
  const refused = many.refusedRead;
  if (refused?.status !== "refused") return false;
  out.error(refusal(refused.code, refused.message));
  return true;
}

/** MGET. */
export function renderManyValues(out: ReplyWriter, slot: Slot): void {
  if (slot.many === null || readRefusalOfMany(out, slot.many)) return;
  out.array(slot.many.reads.length);
  for (const read of slot.many.reads) {
    if (read?.status === "ok" && read.found) out.bulk(read.value);
    else out.null();
  }
}

/** EXISTS: a key that is named twice counts twice. */
export function renderManyFound(out: ReplyWriter, slot: Slot): void {
  if (slot.many === null || readRefusalOfMany(out, slot.many)) return;
  let found = 0;
  for (const read of slot.many.reads) if (read?.status === "ok" && read.found) found++;
  out.integer(found);
}

/** What the node said, as text or as a plain OK. */
export function renderText(out: ReplyWriter, slot: Slot): void {
  if (slot.text === "OK") out.simple("OK");
  else out.verbatim(slot.text);
}

/** PLOG: one map per replica. */
export function renderPlog(out: ReplyWriter, slot: Slot): void {
  const views = slot.views ?? [];
  out.array(views.length);
  for (const view of views) plogView(out, view);
}

function plogView(out: ReplyWriter, view: PLogView): void {
  const { accepted, answered } = view;
  out.map(7);
  out.text("replica");
  out.integer(view.replica);
  out.text("node");
  out.text(view.nodeId);
  out.text("answered");
  out.text(answered ? "yes" : "no");
  out.text("votes");
  out.text(answered ? (view.votes ? "yes" : "no") : "?");
  out.text("chosen-index");
  if (answered) out.integer(view.chosenIndex);
  else out.null();
  out.text("leader");
  if (answered) out.integer(view.leader);
  else out.null();
  out.text("accepted-ballot");
  if (answered && isBallot(accepted)) {
    out.text(`${String(accepted.counter)}.${String(accepted.replica)}.${String(accepted.incarnation)}`);
  } else {
    out.null();
  }
}
