/**
 * Evaluating an operation on a value: the part of a proposer that knows what SET, INCR and APPEND mean. Pure functions
 * from (operation, live value, wall clock) to (new value, result); the caller folds them and builds the entry.
 */
import { unreachable } from "../base/assert.js";
import { addLongDoubles, formatLongDouble, parseLongDouble } from "../base/long-double.js";
import { xxh3 } from "../base/xxh3.js";
import type { Entry } from "./entry.js";
import {
  bytesResult,
  type Condition,
  type ExpiryRule,
  type FailReason,
  KEEP_EXPIRY,
  NO_EXPIRY,
  type Operation,
  type Result,
  type Step,
} from "./operation.js";
import { StepAnswers } from "./steps.js";

/** A key's value in the middle of a fold. */
export interface LiveValue {
  readonly exists: boolean;
  readonly value: Uint8Array;
  readonly version: number;
  readonly expiryMs: number;
}

export type Evaluation =
  | { readonly applied: true; readonly next: LiveValue; readonly result: Result }
  | { readonly applied: false; readonly reason: FailReason; readonly result: Result };

const EMPTY = new Uint8Array(0);
/** Of values that conditions asked for: a value is never changed in place. */
const DIGESTS = new WeakMap<Uint8Array, string>();
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
/** Canonical decimal integers only: no plus sign, no leading zeros, no spaces. */
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
/** Steps may work on so many times the bytes that they may answer. */
const WORK_PER_ANSWER = 4;
/** A longer value is no number. */
const MAX_NUMBER_BYTES = 5 * 1024;

/** P25: true when the entry's deadline has passed by this clock and its tombstone is due. */
export function isExpired(entry: Entry, wallMs: number): boolean {
  return !entry.tombstone && entry.expiryMs !== NO_EXPIRY && entry.expiryMs <= wallMs;
}

/** What operations on top of `entry` see. An expired value is absent: the entry that is proposed above it buries it. */
export function liveValueOf(entry: Entry, wallMs: number): LiveValue {
  if (entry.tombstone || isExpired(entry, wallMs)) {
    return { exists: false, value: EMPTY, version: entry.version, expiryMs: NO_EXPIRY };
  }
  return { exists: true, value: entry.value, version: entry.version, expiryMs: entry.expiryMs };
}

export function evaluate(operation: Operation, live: LiveValue, wallMs: number): Evaluation {
  switch (operation.kind) {
    case "set":
      return evaluateSet(operation, live, wallMs);
    case "delete":
      return live.exists ? applied(deleted(live), 1) : failed("absent", 0);
    case "add":
      return evaluateAdd(operation.delta, live);
    case "append":
      return evaluateAppend(operation.value, operation.maxBytes, live);
    case "expire":
      return evaluateExpire(operation.expiryMs, null, live, wallMs);
    case "expire-if":
      return evaluateExpire(operation.expiryMs, operation.rule, live, wallMs);
    case "persist":
      if (!live.exists) return failed("absent", 0);
      if (live.expiryMs === NO_EXPIRY) return failed("no-deadline", 0);
      return applied(replaced(live, live.value, NO_EXPIRY), 1);
    case "expire-due":
      // The fold buries an expired base by itself; nothing is left to do for the request that asked for it.
      return failed("not-due", null);
    case "remove":
      return evaluateRemove(operation.condition, operation.returnOld, live);
    case "touch":
      return evaluateTouch(operation.expiryMs, live, wallMs);
    case "set-range":
      return evaluateSetRange(operation, live);
    case "add-float":
      return evaluateAddFloat(operation.delta, operation.maxBytes, live);
    case "steps":
      return evaluateSteps(operation, live, wallMs);
    default:
      return unreachable(operation);
  }
}

function applied(next: LiveValue, result: Result): Evaluation {
  return { applied: true, next, result };
}

function failed(reason: FailReason, result: Result): Evaluation {
  return { applied: false, reason, result };
}

function deleted(live: LiveValue): LiveValue {
  return { exists: false, value: EMPTY, version: live.version + 1, expiryMs: NO_EXPIRY };
}

function replaced(live: LiveValue, value: Uint8Array, expiryMs: number): LiveValue {
  return { exists: true, value, version: live.version + 1, expiryMs };
}

function unmet(condition: Condition, live: LiveValue): FailReason | null {
  switch (condition.kind) {
    case "none":
      return null;
    case "absent":
      return live.exists ? "exists" : null;
    case "present":
      return live.exists ? null : "absent";
    case "version":
      return (live.exists ? live.version : 0) === condition.version ? null : "version";
    case "equal":
      return live.exists && sameBytes(live.value, condition.value) ? null : "value";
    case "different":
      return live.exists && sameBytes(live.value, condition.value) ? "value" : null;
    case "digest":
      return live.exists && digestOf(live.value) === condition.digest ? null : "value";
    case "other-digest":
      return live.exists && digestOf(live.value) === condition.digest ? "value" : null;
    default:
      return unreachable(condition);
  }
}

function digestOf(value: Uint8Array): string {
  const known = DIGESTS.get(value);
  if (known !== undefined) return known;
  const digest = xxh3(value);
  DIGESTS.set(value, digest);
  return digest;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

function evaluateSet(operation: Extract<Operation, { kind: "set" }>, live: LiveValue, wallMs: number): Evaluation {
  const old: Result = operation.returnOld && live.exists ? bytesResult(live.value) : null;
  const reason = unmet(operation.condition, live);
  if (reason !== null) return failed(reason, old);
  const expiryMs = operation.expiryMs === KEEP_EXPIRY ? live.expiryMs : operation.expiryMs;
  if (expiryMs !== NO_EXPIRY && expiryMs <= wallMs) {
    return applied({ exists: false, value: EMPTY, version: live.version + 1, expiryMs: NO_EXPIRY }, old);
  }
  return applied(replaced(live, operation.value, expiryMs), old);
}

function forbids(rule: ExpiryRule, present: number, wanted: number): boolean {
  const none = present === NO_EXPIRY;
  switch (rule) {
    case "without":
      return !none;
    case "with":
      return none;
    case "later":
      return none || wanted <= present;
    case "sooner":
      return !none && wanted >= present;
    case "with-sooner":
      return none || wanted >= present;
    default:
      return unreachable(rule);
  }
}

function evaluateExpire(expiryMs: number, rule: ExpiryRule | null, live: LiveValue, wallMs: number): Evaluation {
  if (!live.exists) return failed("absent", 0);
  if (rule !== null && forbids(rule, live.expiryMs, expiryMs)) return failed("deadline", 0);
  return applied(expiryMs <= wallMs ? deleted(live) : replaced(live, live.value, expiryMs), 1);
}

function evaluateRemove(condition: Condition, returnOld: boolean, live: LiveValue): Evaluation {
  const old = live.exists && returnOld ? bytesResult(live.value) : null;
  const reason = live.exists ? unmet(condition, live) : "absent";
  if (reason !== null) return failed(reason, returnOld ? old : 0);
  return applied(deleted(live), returnOld ? old : 1);
}

function evaluateTouch(expiryMs: number, live: LiveValue, wallMs: number): Evaluation {
  if (!live.exists) return failed("absent", null);
  const value = bytesResult(live.value);
  if (expiryMs !== NO_EXPIRY && expiryMs <= wallMs) return applied(deleted(live), value);
  if (expiryMs === NO_EXPIRY && live.expiryMs === NO_EXPIRY) return failed("no-deadline", value);
  return applied(replaced(live, live.value, expiryMs), value);
}

function evaluateSetRange(operation: Extract<Operation, { kind: "set-range" }>, live: LiveValue): Evaluation {
  const { offset, value, maxBytes } = operation;
  if (value.length === 0) return failed("unchanged", live.value.length);
  const end = offset + value.length;
  if (end > maxBytes) return failed("too-large", null);
  const next = new Uint8Array(Math.max(live.value.length, end));
  next.set(live.value);
  next.set(value, offset);
  return applied(replaced(live, next, live.expiryMs), next.length);
}

function evaluateAddFloat(delta: string, maxBytes: number, live: LiveValue): Evaluation {
  const before = live.exists ? parseLongDouble(asciiOf(live.value, MAX_NUMBER_BYTES) ?? "") : parseLongDouble("0");
  const increment = parseLongDouble(delta);
  if (before === null || increment === null) return failed("not-float", null);
  const sum = addLongDoubles(before, increment);
  if (sum === null) return failed("not-finite", null);
  const text = formatLongDouble(sum);
  if (text.length > maxBytes) return failed("too-large", null);
  const bytes = asciiBytes(text);
  return applied(replaced(live, bytes, live.expiryMs), bytesResult(bytes));
}

/** Bytes that the condition compares or hashes. `hashed` is the value that was hashed last. */
function bytesLookedAt(condition: Condition, { exists, value }: LiveValue, hashed: Uint8Array | null): number {
  if (!exists) return 0;
  if ("value" in condition) return condition.value.length === value.length ? value.length : 0;
  return "digest" in condition && value !== hashed ? value.length : 0;
}

/** Counts the bytes that steps compare, hash, copy and answer; the same count wherever they are evaluated. */
class StepWork {
  bytes = 0;
  #hashed: Uint8Array | null = null;

  addCondition(condition: Condition, live: LiveValue): void {
    this.bytes += bytesLookedAt(condition, live, this.#hashed);
    if ("digest" in condition && live.exists) this.#hashed = live.value;
  }

  addStep(step: Exclude<Step, { kind: "read" }>, before: LiveValue, evaluation: Evaluation): void {
    if ("condition" in step) this.addCondition(step.condition, before);
    // What is set is taken as it is; every other new value was put together byte by byte.
    const made = evaluation.applied && step.kind !== "set" && evaluation.next.value !== before.value;
    if (made) this.bytes += evaluation.next.value.length;
  }
}

/** One after the other on what the one before left; together they are one change, or none. */
function evaluateSteps(operation: Extract<Operation, { kind: "steps" }>, live: LiveValue, wallMs: number): Evaluation {
  const reason = unmet(operation.condition, live);
  if (reason !== null) return failed(reason, null);
  const answers = new StepAnswers();
  const work = new StepWork();
  work.addCondition(operation.condition, live);
  const version = live.version + 1;
  let now = live;
  for (const step of operation.steps) {
    if (step.kind === "read") {
      answers.addRead(now);
    } else {
      const evaluation = evaluate(step, now, wallMs);
      work.addStep(step, now, evaluation);
      if (evaluation.applied) now = { ...evaluation.next, version };
      answers.addWrite(evaluation, now.exists ? now.version : 0);
    }
    const tooMuch = work.bytes + answers.bytes > WORK_PER_ANSWER * operation.maxBytes;
    if (tooMuch || answers.bytes > operation.maxBytes) return failed("too-large", null);
  }
  const told = bytesResult(answers.encode());
  return now === live ? failed("unchanged", told) : applied(now, told);
}

/** The bytes as a string of one character each, or null when there are more than a number can have. */
function asciiOf(value: Uint8Array, most = 20): string | null {
  return value.length > most ? null : String.fromCharCode(...value);
}

function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function evaluateAdd(delta: string, live: LiveValue): Evaluation {
  const text = live.exists ? asciiOf(live.value) : "0";
  if (text === null || !INTEGER.test(text) || !INTEGER.test(delta)) return failed("not-integer", null);
  const before = BigInt(text);
  if (before < MIN_INT64 || before > MAX_INT64) return failed("not-integer", null);
  const sum = before + BigInt(delta);
  if (sum < MIN_INT64 || sum > MAX_INT64) return failed("overflow", null);
  const digits = sum.toString();
  return applied(replaced(live, asciiBytes(digits), live.expiryMs), digits);
}

function evaluateAppend(tail: Uint8Array, maxBytes: number, live: LiveValue): Evaluation {
  const length = live.value.length + tail.length;
  if (length > maxBytes) return failed("too-large", null);
  const value = new Uint8Array(length);
  value.set(live.value);
  value.set(tail, live.value.length);
  return applied(replaced(live, value, live.expiryMs), length);
}
