/**
 * The one kind of error that the storage API gives for operating errors, with a closed list of codes. Mistakes of the
 * program (a key of the wrong type, an empty key, a floor out of range) are TypeErrors and RangeErrors, thrown at once.
 */
import type { StoreOpenCode, StoreOpenError } from "../storage/open-error.js";
import type { StoreStatus } from "../storage/store.js";

export type StoreErrorCode =
  /** There is no room, and nothing that merge could free. Nothing was written; deletions still go through. */
  | "disk-full"
  /** The disk failed a write or a flush. The store takes no more writes until it is opened again; reads go on. */
  | "failed"
  /** The record on disk is broken. Never the same as absent, and never an older value. */
  | "corrupt"
  /** A key, a value or a batch beyond its bound. Nothing was written. */
  | "too-large"
  /** Too much is under way (`maxPending`). Nothing was taken: wait for `drain()`, then say it again. */
  | "busy"
  | "closed"
  | StoreOpenCode;

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

const TEXTS: Readonly<Record<Exclude<StoreStatus, "ok">, string>> = {
  "disk-full": "the store is full, and nothing in it is dead; nothing of the batch was written",
  failed: "the store failed; whether the write is on the disk is not known",
  corrupt: "the record on disk is broken",
  "too-large": "the batch does not fit; nothing of it was written",
  closed: "the store was closed",
};

/** The error for a status; `why` is what the engine said when it failed. */
export function statusError(status: Exclude<StoreStatus, "ok">, why = ""): StoreError {
  return new StoreError(status, status === "failed" && why !== "" ? `${TEXTS.failed}: ${why}` : TEXTS[status]);
}

/** Errors of opening as StoreErrors. */
export function asStoreError(error: StoreOpenError | null): StoreError {
  return new StoreError(error?.code ?? "io", error?.message ?? "the store did not open", error);
}
