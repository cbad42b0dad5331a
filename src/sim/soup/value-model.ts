/**
 * What operations mean, written a second time and as plainly as possible: strings for values, one function. The oracle
 * compares every chosen entry with it, so that a mistake in evaluating or folding cannot hide behind agreement.
 */
import type { FailReason, Operation, Result } from "../../paxos/operation.js";

/** A value with its version; `text` null = absent. Bytes are latin1 characters. */
export interface ModelValue {
  readonly text: string | null;
  readonly version: number;
  readonly expiryMs: number;
}

export interface ModelResult {
  readonly next: ModelValue;
  readonly refusal: FailReason | null;
  /** Bytes as latin1 text with the prefix "bytes:". */
  readonly result: string | number | null;
}

export function text(bytes: Uint8Array): string {
  return [...bytes].map((byte) => String.fromCharCode(byte)).join("");
}

export function bytes(latin1: string): Uint8Array {
  return Uint8Array.from(latin1, (character) => character.charCodeAt(0));
}

/** A result as the model writes it, to be compared. */
export function plainResult(result: Result): string | number | null {
  return result instanceof Uint8Array ? `bytes:${text(result)}` : result;
}

export function modelEvaluate(operation: Operation, value: ModelValue, wallMs: number): ModelResult {
  const version = value.version + 1;
  const gone: ModelValue = { text: null, version, expiryMs: 0 };
  const refuse = (refusal: FailReason, result: ModelResult["result"] = null): ModelResult => ({
    next: value,
    refusal,
    result,
  });
  const put = (next: string, expiryMs: number, result: ModelResult["result"]): ModelResult => ({
    next: expiryMs !== 0 && expiryMs <= wallMs ? gone : { text: next, version, expiryMs },
    refusal: null,
    result,
  });
  const there = value.text !== null;
  switch (operation.kind) {
    case "set": {
      const old = operation.returnOld && there ? `bytes:${value.text ?? ""}` : null;
      const { condition } = operation;
      if (condition.kind === "absent" && there) return refuse("exists", old);
      if (condition.kind === "present" && !there) return refuse("absent", old);
      if (condition.kind === "version" && condition.version !== (there ? value.version : 0)) {
        return refuse("version", old);
      }
      const keep = operation.expiryMs === -1;
      return put(text(operation.value), keep ? (there ? value.expiryMs : 0) : operation.expiryMs, old);
    }
    case "delete":
      return there ? { next: gone, refusal: null, result: 1 } : refuse("absent", 0);
    case "expire":
      return there ? put(value.text ?? "", operation.expiryMs, 1) : refuse("absent", 0);
    case "persist":
      if (!there) return refuse("absent", 0);
      return value.expiryMs === 0 ? refuse("no-deadline", 0) : put(value.text ?? "", 0, 1);
    case "append": {
      const joined = (value.text ?? "") + text(operation.value);
      if (joined.length > operation.maxBytes) return refuse("too-large");
      return put(joined, value.expiryMs, joined.length);
    }
    case "add": {
      const before = value.text ?? "0";
      if (!/^(0|-?[1-9]\d{0,18})$/.test(before)) return refuse("not-integer");
      const sum = BigInt(before) + BigInt(operation.delta);
      if (BigInt(before) !== BigInt.asIntN(64, BigInt(before))) return refuse("not-integer");
      if (sum !== BigInt.asIntN(64, sum)) return refuse("overflow");
      return put(String(sum), value.expiryMs, String(sum));
    }
    case "expire-due":
      return refuse("not-due");
  }
}

/** A value whose deadline has passed by this clock is absent, and burying it takes one version. */
export function modelAt(value: ModelValue, wallMs: number): ModelValue {
  if (value.text === null || value.expiryMs === 0 || value.expiryMs > wallMs) return value;
  return { text: null, version: value.version + 1, expiryMs: 0 };
}
