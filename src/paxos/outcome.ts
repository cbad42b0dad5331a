/**
 * Ending operations: every write is answered once, with OK, with a failed condition, NOT APPLIED, or UNKNOWN. The one
 * place that knows who waits: a client of this replica, or the replica that forwarded it (P16).
 */
import { assert } from "../base/assert.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Lane, PendingOperation } from "./lane.js";
import { sendChosenEntry } from "./learner.js";
import type { WriteOutcome } from "./operation.js";
import { requestsOf } from "./entry.js";
import { testRequest } from "./window.js";

const UNKNOWN_LOST: WriteOutcome = {
  status: "unknown",
  message: "the write was proposed and may have been applied below what the key's newest entry remembers",
};

export const UNKNOWN_TIME: WriteOutcome = {
  status: "unknown",
  message: "the write was proposed, but could not be decided in time; it may still be applied",
};

const NO_QUORUM: WriteOutcome = {
  status: "not-applied",
  code: "NOQUORUM",
  message: "no majority of the key's replicas answered in time; the write was not applied and never will be",
};

/** With this code a target returns an operation whose origin is behind; the origin knows more now and may try again. */
export const BEHIND_CODE = "LOADING";

const ORIGIN_BEHIND: WriteOutcome = {
  status: "not-applied",
  code: BEHIND_CODE,
  message: "the replica that forwarded the write is too far behind",
};

/** Answers whoever waits. The caller takes it out of its list. */
export function finish(
  context: Context,
  lane: Lane,
  pending: PendingOperation,
  outcome: WriteOutcome,
  effects: Effects,
): void {
  assert(!pending.done, "an operation is answered once");
  pending.done = true;
  if (pending.origin !== context.self) {
    effects.send.push({
      to: pending.origin,
      message: {
        type: "forward-reply",
        key: lane.key,
        request: pending.request,
        outcome,
        index: lane.plog.chosen.index,
        sequence: pending.forwardSequence,
      },
    });
  } else if (pending.client >= 0) {
    effects.writeReplies.push({ client: pending.client, outcome });
  }
}

/** P14: tests what waits against the newest entry, and answers what that decides. */
export function testWaiting(context: Context, lane: Lane, effects: Effects): void {
  const { chosen } = lane.plog;
  if (lane.testedIndex === chosen.index) return;
  lane.testedIndex = chosen.index;
  if (lane.operations.length === 0 && lane.forwarded.length === 0) return;
  const requests = requestsOf(chosen);
  const test = (pending: PendingOperation): boolean => {
    const verdict = testRequest(chosen, requests, pending.request, pending.since);
    if (verdict.kind === "open") {
      // Decided without it up to here: whoever follows the key index by index never loses sight of a request.
      if (pending.since > 0) pending.since = Math.max(pending.since, chosen.index + 1);
      return true;
    }
    if (verdict.kind === "unknown" && pending.origin !== context.self && pending.last === 0) {
      // Never proposed here, and its origin is too far behind to be told more: it gets the entry and its request back.
      sendChosenEntry(lane, pending.origin, effects);
      finish(context, lane, pending, ORIGIN_BEHIND, effects);
      return false;
    }
    finish(context, lane, pending, verdict.kind === "decided" ? verdict.outcome : UNKNOWN_LOST, effects);
    return false;
  };
  if (lane.operations.length > 0) lane.operations = lane.operations.filter(test);
  // What is out with another replica may wait for the answer: it is tested again when it is taken back.
  const testForwarded = (pending: PendingOperation): boolean =>
    testRequest(chosen, requests, pending.request, pending.since).kind === "unknown" || test(pending);
  if (lane.forwarded.length > 0) lane.forwarded = lane.forwarded.filter(testForwarded);
}

/** D12: it waited for room. */
const NO_ROOM: WriteOutcome = {
  status: "not-applied",
  code: "DISKFULL",
  message: "the volumes of this node had no room in time; the write was not applied and never will be",
};

/**
 * P12: after its deadline nothing more is proposed for a request. NOT APPLIED is said only of what nobody can apply any
 * more: not out with another replica, and every position at which it was proposed is decided without it.
 */
export function endOverdue(context: Context, lane: Lane, effects: Effects): void {
  const due = (pending: PendingOperation): boolean => {
    if (context.tick < pending.deadlineTick) return true;
    const never = pending.forwardedTo === -1 && pending.last <= lane.plog.chosen.index;
    const refused = context.diskFull && pending.last === 0 ? NO_ROOM : NO_QUORUM;
    finish(context, lane, pending, never ? refused : UNKNOWN_TIME, effects);
    return false;
  };
  if (lane.operations.length > 0) lane.operations = lane.operations.filter(due);
  if (lane.forwarded.length > 0) lane.forwarded = lane.forwarded.filter(due);
  lane.nextDeadlineTick = Number.MAX_SAFE_INTEGER;
  for (const pending of lane.operations) noteDeadline(lane, pending);
  for (const pending of lane.forwarded) noteDeadline(lane, pending);
}

/** Every operation that joins the lane is announced here, so that its deadline is not missed. */
export function noteDeadline(lane: Lane, pending: PendingOperation): void {
  lane.nextDeadlineTick = Math.min(lane.nextDeadlineTick, pending.deadlineTick);
}
