/**
 * The one kind of error that the public API throws for operating errors, with a closed list of codes. For a write the
 * `outcome` says what became of it: never guess, read it.
 */
import { unreachable } from "../base/assert.js";
import type { FailReason, ReadOutcome, RefuseCode, WriteOutcome } from "../paxos/operation.js";
import { OpenError, type OpenErrorCode } from "../server/index.js";

export type PlogErrorCode =
  /** No majority could be reached. */
  | "NOQUORUM"
  /** Too much is under way at this node. */
  | "BUSY"
  | "DISKFULL"
  /** The record at this node is broken (and no other could help in time). */
  | "CORRUPT"
  /** The node is recovering, or waits for its birth. */
  | "LOADING"
  /** The node's disk failed, or the node was closed. */
  | "FAILED"
  /** Other nodes of the cluster hold the key: ask one of them. */
  | "ELSEWHERE"
  /** Nobody can say whether the write was applied. */
  | "UNKNOWN"
  /** increment: the value is no 64-bit integer. */
  | "NOT_INTEGER"
  /** increment: the result would not fit 64 bits. */
  | "OVERFLOW"
  /** A key or a value beyond its bound. */
  | "TOO_LARGE"
  /** An argument that is none of the documented ones. */
  | "INVALID"
  | OpenErrorCode;

/** not-applied: certainly not, and it never will be. unknown: it may have been, and may still be. */
export type WriteDoubt = "not-applied" | "unknown";

const RETRYABLE: ReadonlySet<PlogErrorCode> = new Set<PlogErrorCode>(["NOQUORUM", "BUSY", "LOADING"]);

export class PlogError extends Error {
  override readonly name = "PlogError";
  readonly code: PlogErrorCode;
  /** Set for writes only. */
  readonly outcome: WriteDoubt | undefined;

  constructor(code: PlogErrorCode, message: string, outcome?: WriteDoubt, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.outcome = outcome;
  }

  /**
   * True when the same call may succeed later and repeating it is safe. False for UNKNOWN: repeating an increment could
   * count twice; read first, or use compareAndSet.
   */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

type NotOk = Extract<WriteOutcome, { status: "not-applied" | "unknown" }>;

export function writeError(outcome: NotOk): PlogError {
  if (outcome.status === "unknown") return new PlogError("UNKNOWN", outcome.message, "unknown");
  return new PlogError(refusalCode(outcome.code), outcome.message, "not-applied");
}

export function readError(outcome: Extract<ReadOutcome, { status: "refused" }>): PlogError {
  return new PlogError(refusalCode(outcome.code), outcome.message);
}

/** The codes of the core are codes of the API. */
function refusalCode(code: RefuseCode): PlogErrorCode {
  return code;
}

/** Failures that are errors to a caller; null for a condition that did not hold, which is an answer. */
export function failureError(reason: FailReason): PlogError | null {
  switch (reason) {
    case "not-integer":
      return new PlogError("NOT_INTEGER", "the value is not a 64-bit integer", "not-applied");
    case "overflow":
      return new PlogError("OVERFLOW", "the result would not fit 64 bits", "not-applied");
    case "too-large":
      return new PlogError("TOO_LARGE", "the value would become too large", "not-applied");
    case "not-float":
    case "not-finite":
      return new PlogError("INVALID", "the value or the sum is no finite number", "not-applied");
    case "exists":
    case "absent":
    case "version":
    case "value":
    case "deadline":
    case "unchanged":
    case "no-deadline":
    case "not-due":
      return null;
    default:
      return unreachable(reason);
  }
}

/** Errors of opening as PlogErrors; programmer errors come back as they are. */
export function asPlogError(error: unknown): unknown {
  return error instanceof OpenError ? new PlogError(error.code, error.message, undefined, error) : error;
}
