/**
 * The list of applied requests in an entry (P14): what makes a retry safe. Its own file because every proposer, learner
 * and forwarder stands on the same test.
 */
import { type AppliedRequest, type Entry, requestBytes, requestsOf } from "./entry.js";
import type { RequestId, WriteOutcome } from "./operation.js";

/** Defaults of P14. */
export const WINDOW_INDEXES = 8;
export const WINDOW_BYTES = 512;

/** The earlier requests that a new entry at base.index + 1 carries on, and the index from which its list is complete. */
export interface CarriedWindow {
  readonly requests: readonly AppliedRequest[];
  readonly coveredFrom: number;
}

export function carryWindow(base: Entry): CarriedWindow {
  const index = base.index + 1;
  const lowest = index - WINDOW_INDEXES + 1;
  let coveredFrom = Math.max(base.coveredFrom, lowest, 1);
  const requests: AppliedRequest[] = [];
  let bytes = 0;
  for (const request of requestsOf(base)) {
    if (request.index < coveredFrom) break; // newest first: what follows is older still
    bytes += requestBytes(request, index, requests[requests.length - 1] ?? null);
    if (bytes > WINDOW_BYTES) {
      coveredFrom = request.index + 1;
      break;
    }
    requests.push(request);
  }
  // An index that was cut in the middle is not complete: none of it is kept.
  while (requests.length > 0 && (requests[requests.length - 1]?.index ?? 0) < coveredFrom) requests.pop();
  return { requests, coveredFrom };
}

export type WindowVerdict =
  /** It is in the list: this became of it. */
  | { readonly kind: "decided"; readonly outcome: WriteOutcome }
  /** It may have been applied below what the list covers. */
  | { readonly kind: "unknown" }
  /** Certainly not applied at or below the entry's index. */
  | { readonly kind: "open" };

const OPEN: WindowVerdict = { kind: "open" };
const LOST: WindowVerdict = { kind: "unknown" };

/** The test of P14, before every proposal of a request and whenever a newer entry was learned. `requests`: the entry's list. */
export function testRequest(
  entry: Entry,
  requests: readonly AppliedRequest[],
  id: RequestId,
  since: number,
): WindowVerdict {
  if (since === 0 || since > entry.index) return OPEN;
  for (const request of requests) {
    const other = request.id;
    if (other.counter === id.counter && other.replica === id.replica && other.incarnation === id.incarnation) {
      return { kind: "decided", outcome: outcomeOf(request) };
    }
  }
  return entry.coveredFrom > since ? LOST : OPEN;
}

function outcomeOf(request: AppliedRequest): WriteOutcome {
  if (request.result === "large") {
    return { status: "unknown", message: "the write was decided, but its answer was too large to be kept" };
  }
  const { refusal, version, result } = request;
  if (refusal === null) return { status: "ok", index: request.index, version, result };
  return { status: "failed", reason: refusal, version, result };
}
