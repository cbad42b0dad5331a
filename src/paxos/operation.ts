/**
 * Client operations and their outcomes, as the lanes see them. An operation is evaluated by the proposer on the chosen
 * entry below it and proposed as its result (never as a delta). Relative times were made absolute by the server.
 */
import type { ReplicaId } from "./ballot.js";

/** Names one client write, for ever: never made from a clock. */
export interface RequestId {
  readonly replica: ReplicaId;
  readonly incarnation: number;
  readonly counter: number;
}

export type Condition =
  | { readonly kind: "none" }
  | { readonly kind: "absent" }
  | { readonly kind: "present" }
  /** The live value's version; 0 = must not exist. */
  | { readonly kind: "version"; readonly version: number }
  /** The live value is these bytes; for "different" an absent value counts as another one, as it does for "other-digest". */
  | { readonly kind: "equal" | "different"; readonly value: Uint8Array }
  /** The same by the value's digest: 16 hexadecimal digits in lower case (XXH3, 64 bits). */
  | { readonly kind: "digest" | "other-digest"; readonly digest: string };

/**
 * When a deadline may be set, by the one that is there: there is none, there is one, the new one is later (none counts as
 * the latest), it is sooner, or there is one and the new one is sooner. Part of the wire format: append only.
 */
export const EXPIRY_RULES = ["without", "with", "later", "sooner", "with-sooner"] as const;
export type ExpiryRule = (typeof EXPIRY_RULES)[number];

/** Expiry of a set: a wall-clock deadline in ms, NO_EXPIRY, or KEEP_EXPIRY. */
export const NO_EXPIRY = 0;
export const KEEP_EXPIRY = -1;

export type Operation =
  /** Result: null; with returnOld the old value, or null when absent. */
  | {
      readonly kind: "set";
      readonly value: Uint8Array;
      readonly expiryMs: number;
      readonly condition: Condition;
      readonly returnOld: boolean;
    }
  /** Result: 1, or 0 when absent (then failed, reason "absent"). */
  | { readonly kind: "delete" }
  /** Adds a signed 64-bit integer (decimal string). Result: the new value as decimal string. */
  | { readonly kind: "add"; readonly delta: string }
  /** Result: the new length in bytes. `maxBytes` bounds the new value. */
  | { readonly kind: "append"; readonly value: Uint8Array; readonly maxBytes: number }
  /** Sets the deadline (ms, wall clock); one that has passed deletes. Result: 1. */
  | { readonly kind: "expire"; readonly expiryMs: number }
  /** Drops the deadline. Result: 1. */
  | { readonly kind: "persist" }
  /** Internal (P25): tombstone for an entry whose deadline has passed. Result: null. */
  | { readonly kind: "expire-due" }
  /** Deletes if the condition holds. Result: with returnOld the old value, or null when absent; else 1 or 0. */
  | { readonly kind: "remove"; readonly condition: Condition; readonly returnOld: boolean }
  /** As "expire", if the rule allows it (else failed, reason "deadline"). Result: 1 or 0. */
  | { readonly kind: "expire-if"; readonly expiryMs: number; readonly rule: ExpiryRule }
  /** As "expire", or for NO_EXPIRY as "persist". Result: the value, or null when absent. */
  | { readonly kind: "touch"; readonly expiryMs: number }
  /** Writes over a part of the value, zeros before it where there was nothing. Result: the new length in bytes. */
  | { readonly kind: "set-range"; readonly offset: number; readonly value: Uint8Array; readonly maxBytes: number }
  /** Adds in 80-bit floating point; `delta` as base/long-double writes it. Result: the new value, a string or bytes. */
  | { readonly kind: "add-float"; readonly delta: string; readonly maxBytes: number }
  /**
   * Several operations on one key as a single entry, if the condition holds. Result: bytes, what each step answered (see
   * steps.ts); more than `maxBytes` of them are refused as "too-large", and so are steps that compare, hash, copy and
   * answer more than four times as many bytes together.
   */
  | {
      readonly kind: "steps";
      readonly condition: Condition;
      readonly steps: readonly Step[];
      readonly maxBytes: number;
    };

/** A part of "steps"; a read sees what the steps before it did. */
export type Step = Exclude<Operation, { readonly kind: "steps" | "expire-due" }> | { readonly kind: "read" };

/** More steps in one operation are not taken, from a client or from a peer. */
export const MAX_STEPS = 1024;

/**
 * What an applied or failed operation answers: nothing, a small integer, or bytes. Bytes that the list of requests can
 * keep (P14) come as a string of one character each, so that the answer survives when another proposes the request.
 */
export type Result = null | number | string | Uint8Array;

/** More bytes are not kept in the list of requests. */
export const MAX_KEPT_BYTES = 32;

export function bytesResult(bytes: Uint8Array): Result {
  if (bytes.length > MAX_KEPT_BYTES) return bytes;
  const text = String.fromCharCode(...bytes);
  return text === "large" ? bytes : text; // in the list that word stands for an answer which was not kept
}

/** The bytes of a result that is made of bytes; null for others. */
export function resultBytes(result: Result): Uint8Array | null {
  if (result instanceof Uint8Array) return result;
  return typeof result === "string" ? Uint8Array.from(result, (character) => character.charCodeAt(0)) : null;
}

/** Why a condition failed; nothing was changed. Part of the encoding of entries and messages: append only. */
export const FAIL_REASONS = [
  "exists",
  "absent",
  "version",
  "no-deadline",
  "not-due",
  "not-integer",
  "overflow",
  "too-large",
  "value",
  "deadline",
  "unchanged",
  "not-float",
  "not-finite",
] as const;
export type FailReason = (typeof FAIL_REASONS)[number];

/** Why an operation was certainly not applied and never will be. */
export type RefuseCode =
  | "NOQUORUM"
  | "BUSY"
  | "DISKFULL"
  | "CORRUPT"
  | "LOADING"
  | "FAILED"
  /** Other nodes hold the key. */
  | "ELSEWHERE";

export type WriteOutcome =
  /** Applied exactly once, at `index`; `version` is the key's version after it. */
  | { readonly status: "ok"; readonly index: number; readonly version: number; readonly result: Result }
  /** The condition did not hold on the latest value; `result` as the operation says (old value with returnOld). */
  | { readonly status: "failed"; readonly reason: FailReason; readonly version: number; readonly result: Result }
  /** Not applied, and never will be. */
  | { readonly status: "not-applied"; readonly code: RefuseCode; readonly message: string }
  /** Nobody can say. Never folded into the former. */
  | { readonly status: "unknown"; readonly message: string };

export type ReadOutcome =
  | {
      readonly status: "ok";
      /** False: never written, deleted or expired; then value is empty and version 0. */
      readonly found: boolean;
      readonly value: Uint8Array;
      readonly version: number;
      /** Wall-clock deadline in ms, 0 = none. */
      readonly expiryMs: number;
      readonly index: number;
    }
  | { readonly status: "refused"; readonly code: RefuseCode; readonly message: string };
