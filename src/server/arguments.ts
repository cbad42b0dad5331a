/**
 * Reading arguments as Redis does: keys within their bound, strict 64-bit integers, deadlines made absolute. Each
 * function writes the error that Redis would and says so by its result.
 */
import { type Key, userKey } from "../base/key.js";
import type { Client } from "./client.js";
import { NOT_INTEGER } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Arguments } from "./stored-arguments.js";

/** Canonical decimal integers only: no plus sign, no leading zeros, no spaces. */
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
/** Below this many characters every integer is within 64 bits, and exact as a JavaScript number. */
const SAFE_DIGITS = 15;
const MAX_INTEGER_BYTES = 20;

/** The key at `index`; null: too long, and the error is written. */
export function keyAt(client: Client, args: Arguments, index: number): Key | null {
  const { maxKeyBytes } = client.context.limits;
  const bytes = args.bytesOf(index);
  if (bytes <= maxKeyBytes) return userKey(args.latin1(index));
  client.out.error(`ERR key is too long (${String(bytes)} bytes; the limit is ${String(maxKeyBytes)})`);
  return null;
}

/** Keys at `first`, `first + step` and so on; null: one was too long, and the error is written. */
export function keysFrom(client: Client, args: Arguments, first: number, step: number): Key[] | null {
  const keys: Key[] = [];
  for (let index = first; index < args.argc; index += step) {
    const key = keyAt(client, args, index);
    if (key === null) return null;
    keys.push(key);
  }
  return keys;
}

/** False: the value is too long, and the error is written. */
export function valueFits(client: Client, args: Arguments, index: number): boolean {
  const { maxValueBytes } = client.context.limits;
  const bytes = args.bytesOf(index);
  if (bytes <= maxValueBytes) return true;
  client.out.error(`ERR value is too long (${String(bytes)} bytes; the limit is ${String(maxValueBytes)})`);
  return false;
}

/** The digits of a signed 64-bit integer, or null; nothing is written. */
export function digitsAt(args: Arguments, index: number): string | null {
  if (args.bytesOf(index) > MAX_INTEGER_BYTES) return null;
  const text = args.latin1(index);
  if (!INTEGER.test(text)) return null;
  if (text.length <= SAFE_DIGITS) return text;
  const value = BigInt(text);
  return value < MIN_INT64 || value > MAX_INT64 ? null : text;
}

/**
 * A signed 64-bit integer as a number: exact below 2^53, of the right size beyond. NaN: it is none, and the error is
 * written.
 */
export function integerAt(client: Client, args: Arguments, index: number): number {
  const digits = digitsAt(args, index);
  if (digits !== null) return Number(digits);
  client.out.error(NOT_INTEGER);
  return Number.NaN;
}

export interface TimeForm {
  /** Milliseconds in a unit. */
  readonly unitMs: 1 | 1000;
  readonly from: "now" | "epoch";
}

/** Redis counts milliseconds in 64 bits with sign; a deadline here is an exact JavaScript number. */
const LAST_DEADLINE_MS = Number.MAX_SAFE_INTEGER;
const LAST_SECONDS = MAX_INT64 / 1000n;

/**
 * The deadline in ms that the digits mean, not before 1; null: it cannot be told in 2^53 ms (or, as in Redis, in 64 bits).
 * What "now" is, is decided here: below the server there are only deadlines.
 */
export function deadlineOf(digits: string, form: TimeForm): number | null {
  const base = form.from === "now" ? Date.now() : 0;
  if (digits.length < SAFE_DIGITS - 3) return Math.max(1, Number(digits) * form.unitMs + base);
  const amount = BigInt(digits);
  if (form.unitMs === 1000 && (amount > LAST_SECONDS || amount < -LAST_SECONDS)) return null;
  const ms = amount * BigInt(form.unitMs) + BigInt(base);
  return ms > LAST_DEADLINE_MS ? null : Math.max(1, Number(ms));
}

export function invalidExpire(out: ReplyWriter, command: string): void {
  out.error(`ERR invalid expire time in '${command}' command`);
}
