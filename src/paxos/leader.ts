/**
 * The leader of a position: it alone may use class zero there, and it decides for whom (P7). Whoever comes too late is
 * told so and brings the operation to the leader's lane instead (P16).
 */
import { assert } from "../base/assert.js";
import { accept, answerAccept, isUntouched, markOf, mayVote } from "./acceptor.js";
import { type Ballot, NO_BALLOT, type ReplicaId, zeroBallot } from "./ballot.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Entry } from "./entry.js";
import { type Lane, MAX_LANE_OPERATIONS, newPending } from "./lane.js";
import { catchUpTo, hasRoomToAccept } from "./learner.js";
import type { ForwardMessage, SubmitMessage } from "./message.js";
import type { RefuseCode, WriteOutcome } from "./operation.js";
import { noteDeadline } from "./outcome.js";
import { leaderOf } from "./plog.js";

/** P7: may this replica give away class zero at the open position? */
export function mayUseZero(context: Context, lane: Lane): boolean {
  return (
    mayVote(context, lane) &&
    leaderOf(lane.key, lane.plog.chosen, context.replicas) === context.self &&
    isUntouched(lane) &&
    lane.zeroUsedAt <= lane.plog.chosen.index
  );
}

/** P8: own accept and the messages start together; all answers go to `proposer`. Returns the ballot. */
export function giveZero(context: Context, lane: Lane, entry: Entry, proposer: ReplicaId, effects: Effects): Ballot {
  const index = lane.plog.chosen.index + 1;
  assert(mayUseZero(context, lane), "P7: class zero once, by the leader, on an untouched position");
  assert(entry.index === index, "P7: class zero at the open position");
  lane.zeroUsedAt = index; // stays set whatever becomes of the own write
  const ballot = zeroBallot(context.self, context.incarnation);
  const mark = markOf(lane);
  accept(context, lane, ballot, entry, proposer, effects);
  for (const to of context.peerOrder) {
    effects.send.push({
      to,
      message: { type: "accept", key: lane.key, index, ballot, entry, proposer, mark, base: null },
    });
  }
  answerAccept(lane, proposer, ballot, entry, true, effects);
  return ballot;
}

export function onSubmit(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: SubmitMessage,
  effects: Effects,
): void {
  const { index, entry } = message;
  if (entry.index !== index || !takes(context, from, message.incarnation, message)) return;
  if (lane.plog.chosen.index >= index) {
    refuseSubmit(lane, from, message, NO_BALLOT, effects);
    return;
  }
  if (!mayVote(context, lane)) {
    refuseSubmit(lane, from, message, NO_BALLOT, effects);
    return;
  }
  if (!catchUpTo(context, lane, index, message.mark, message.base, effects)) {
    const chosenIndex = lane.plog.chosen.index;
    effects.send.push({
      to: from,
      message: {
        type: "behind",
        key: lane.key,
        index,
        ballot: NO_BALLOT,
        phase: "submit",
        chosenIndex,
        sequence: message.sequence,
      },
    });
    return;
  }
  const { plog } = lane;
  if (!hasRoomToAccept(context, lane, entry)) {
    refuseSubmit(lane, from, message, NO_BALLOT, effects);
    return;
  }
  // P12: who sent it has long gone on without us, or has given up.
  const isLate = context.lateTicks > context.patienceTicks;
  if (mayUseZero(context, lane) && !isLate) {
    giveZero(context, lane, entry, from, effects);
    return;
  }
  const own = zeroBallot(context.self, context.incarnation);
  // A leader that only remembers that class zero was used has something promised there: the ballot says it lives.
  refuseSubmit(lane, from, message, plog.promised.counter < 0 ? own : plog.promised, effects);
}

/** `promised` NO_BALLOT says: this replica cannot give class zero to anybody, do not wait for it. */
function refuseSubmit(lane: Lane, to: ReplicaId, message: SubmitMessage, promised: Ballot, effects: Effects): void {
  effects.send.push({
    to,
    message: {
      type: "submit-refused",
      key: lane.key,
      index: message.index,
      sequence: message.sequence,
      promised,
      chosenIndex: lane.plog.chosen.index,
      entry: lane.plog.chosen.index >= message.index ? lane.plog.chosen : null,
    },
  });
}

/**
 * P16: takes another replica's operation into this lane. Only the incarnation that is meant takes it: a forward that is
 * delivered twice is taken once, so "never proposed and never will be" can be said of it.
 */
export function onForward(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: ForwardMessage,
  effects: Effects,
): void {
  // Sequences are those of the origin's present incarnation: what an earlier one sent may have been taken already.
  const { request, sequence } = message;
  if (request.replica !== from || !takes(context, from, request.incarnation, message)) return;
  if (!mayVote(context, lane)) {
    replyToForward(lane, from, message, refusal("BUSY", "the replica asked is not voting"), effects);
    return;
  }
  if (lane.operations.length >= MAX_LANE_OPERATIONS) {
    replyToForward(lane, from, message, refusal("BUSY", "too many writes wait for this key"), effects);
    return;
  }
  const deadlineTick = context.tick + message.remainingTicks - context.lateTicks;
  const pending = newPending(-1, from, request, message.operation, deadlineTick);
  pending.since = message.since;
  pending.forwardSequence = sequence;
  lane.operations.push(pending);
  noteDeadline(lane, pending);
  lane.testedIndex = -1; // P14: it has not been tested on this entry yet
}

/** True when this hand-over is meant for this incarnation, comes from its sender's present one, and was not taken before. */
function takes(
  context: Context,
  from: ReplicaId,
  incarnation: number,
  message: { readonly targetIncarnation: number; readonly sequence: number },
): boolean {
  if (message.targetIncarnation !== context.incarnation) return false;
  if (incarnation !== context.peerIncarnations[from]) return false;
  return context.handoffsTaken[from]?.take(message.sequence) ?? false;
}

function replyToForward(
  lane: Lane,
  to: ReplicaId,
  message: ForwardMessage,
  outcome: WriteOutcome,
  effects: Effects,
): void {
  effects.send.push({
    to,
    message: {
      type: "forward-reply",
      key: lane.key,
      request: message.request,
      outcome,
      index: 0,
      sequence: message.sequence,
    },
  });
}

export function refusal(code: RefuseCode, message: string): WriteOutcome {
  return { status: "not-applied", code, message };
}
