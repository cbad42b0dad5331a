/**
 * Evaluating an operation on a value: the part of a proposer that knows what SET, INCR and APPEND mean. Pure functions
 * from (operation, live value, wall clock) to (new value, result); the caller folds them and builds the entry.
 */
import { unreachable } from "../base/assert.js";
import type { Entry } from "./entry.js";
import { type Condition, type FailReason, KEEP_EXPIRY, NO_EXPIRY, type Operation, type Result } from "./operation.js";

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
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
/** Canonical decimal integers only: no plus sign, no leading zeros, no spaces. */
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;

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
      if (!live.exists) return failed("absent", 0);
      return applied(operation.expiryMs <= wallMs ? deleted(live) : replaced(live, live.value, operation.expiryMs), 1);
    case "persist":
      if (!live.exists) return failed("absent", 0);
      if (live.expiryMs === NO_EXPIRY) return failed("no-deadline", 0);
      return applied(replaced(live, live.value, NO_EXPIRY), 1);
    case "expire-due":
      // The fold buries an expired base by itself; nothing is left to do for the request that asked for it.
      return failed("not-due", null);
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
    default:
      return unreachable(condition);
  }
}

function evaluateSet(operation: Extract<Operation, { kind: "set" }>, live: LiveValue, wallMs: number): Evaluation {
  const old: Result = operation.returnOld && live.exists ? live.value : null;
  const reason = unmet(operation.condition, live);
  if (reason !== null) return failed(reason, old);
  const expiryMs = operation.expiryMs === KEEP_EXPIRY ? live.expiryMs : operation.expiryMs;
  if (expiryMs !== NO_EXPIRY && expiryMs <= wallMs) {
    return applied({ exists: false, value: EMPTY, version: live.version + 1, expiryMs: NO_EXPIRY }, old);
  }
  return applied(replaced(live, operation.value, expiryMs), old);
}

/** The bytes as an ASCII string, or null when there are more than an integer can have. */
function asciiOf(value: Uint8Array): string | null {
  return value.length > 20 ? null : String.fromCharCode(...value);
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
