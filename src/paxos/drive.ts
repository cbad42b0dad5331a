/**
 * What a lane does next. Called at the end of every step: ends what is decided or overdue, then starts the cheapest
 * round that the rules allow. All choosing between fast path, submit, forward and two phases is here (P7, P10, P16).
 */
import { isUntouched, mayVote } from "./acceptor.js";
import { isBallot, type ReplicaId } from "./ballot.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Entry } from "./entry.js";
import { isExpired } from "./evaluate.js";
import { buildFold } from "./fold.js";
import { type Folded, type Lane, newPending, type PendingOperation } from "./lane.js";
import { mayUseZero, refusal } from "./leader.js";
import type { ForwardReplyMessage } from "./message.js";
import { BEHIND_CODE, endOverdue, finish, noteDeadline, testWaiting, UNKNOWN_TIME } from "./outcome.js";
import { driveRestore } from "./restore.js";
import { hasRoomToAccept, hasRoomToPromise } from "./learner.js";
import { leaderOf } from "./plog.js";
import { abandonRound, concludeRound, startPrepare, startSubmit, startZero } from "./proposer.js";
import { confirmByReading, driveReads, lookAround, refuseReads } from "./reader.js";

/** How many patiences a living replica is given to finish what it began at the open position. */
const BUSY_PATIENCES = 3;
/** How many patiences a forwarded operation is given: its target may have a queue (P16). */
const FORWARD_PATIENCES = 8;
const MAX_LOOK_DOUBLINGS = 6;
/** Rounds at one position that the leader may leave unanswered before two phases are tried without it (P16). */
const MAX_SILENT_SUBMITS = 2;

export function drive(context: Context, lane: Lane, effects: Effects): void {
  if (lane.quarantined) {
    stopServing(context, lane, effects);
    return;
  }
  endDecided(context, lane, effects);
  if (context.tick >= lane.nextDeadlineTick) endOverdue(context, lane, effects);
  takeBackForwards(context, lane);
  driveRestore(context, lane, effects);
  lookAfter(context, lane, effects);
  endDecided(context, lane, effects);
  buryExpired(context, lane);
  endLateRound(context, lane);
  if (lane.round === null) startNext(context, lane, effects);
  driveReads(context, lane, effects);
  // A read may have taken a newer entry, confirmed the failure of conditions, met an expired value, or asked for settling.
  endDecided(context, lane, effects);
  buryExpired(context, lane);
  if (lane.round === null) startNext(context, lane, effects);
  effects.wakeAtTick = nextWake(context, lane);
}

/** After whatever may have moved the chosen entry on, and before anything is proposed on it (P14). */
function endDecided(context: Context, lane: Lane, effects: Effects): void {
  concludeRound(context, lane, effects);
  testWaiting(context, lane, effects);
}

/** P6: the key is not served. What was proposed stays open for ever, the rest never happens. */
function stopServing(context: Context, lane: Lane, effects: Effects): void {
  const why = "two different entries were found for one index of this key; it is kept for inspection";
  for (const pending of [...lane.operations, ...lane.forwarded]) {
    const clean = pending.since === 0;
    finish(context, lane, pending, clean ? refusal("CORRUPT", why) : { status: "unknown", message: why }, effects);
  }
  lane.operations = [];
  lane.forwarded = [];
  lane.round = null;
  refuseReads(lane, { status: "refused", code: "CORRUPT", message: why }, effects);
}

/** A forward that is not answered, or whose target is suspected, comes back; it may still be applied there. */
function takeBackForwards(context: Context, lane: Lane): void {
  const first = lane.forwarded[0];
  if (first === undefined) return;
  const isBack = (pending: PendingOperation): boolean =>
    context.tick >= pending.forwardUntilTick || isSuspected(context, pending.forwardedTo);
  if (!isBack(first)) return;
  // All of them, so that one client's writes stay in the order in which it sent them.
  for (const pending of lane.forwarded) pending.direct = true;
  lane.operations = [...lane.forwarded, ...lane.operations];
  lane.forwarded = [];
  lane.testedIndex = -1; // P14: while they were out, what could not be told was not answered
}

/** P27, levels 1 and 2, for an accepted entry of which nobody has said that it was chosen. */
function lookAfter(context: Context, lane: Lane, effects: Effects): void {
  if (isUntouched(lane)) return;
  if (lane.busySinceTick === 0) {
    lane.busySinceTick = context.tick; // found on the disk: its age is not known, so ask at once
    lane.foundOnDisk = true;
    lane.lookAfterTick = context.tick;
  }
  if (!isBallot(lane.plog.accepted) || lane.round !== null) return;
  if (lane.lookAfterTick === 0) lane.lookAfterTick = context.tick + context.patienceTicks * 2;
  if (context.tick < lane.lookAfterTick) return;
  lane.looks++;
  lane.lookAfterTick = context.tick + (context.patienceTicks << Math.min(lane.looks, MAX_LOOK_DOUBLINGS));
  const age = context.tick - lane.busySinceTick;
  const leader = leaderOf(lane.key, lane.plog.chosen, context.replicas);
  const rank = (context.self - leader + context.replicas) % context.replicas;
  if (mayVote(context, lane) && age >= context.settleTicks + (rank * context.settleTicks) / 2) {
    lane.settleIndex = lane.plog.chosen.index + 1;
  } else lookAround(context, lane, effects);
}

/** P25: whoever meets an expired value proposes its tombstone. */
function buryExpired(context: Context, lane: Lane): void {
  if (lane.expiredReads.length === 0 || !isExpired(lane.plog.chosen, context.wallMs)) return;
  const first = lane.expiredReads[0];
  if (first === undefined || lane.operations.length > 0) return; // any write buries it too
  context.lastRequest++;
  const { self, incarnation, lastRequest: counter } = context;
  const request = { replica: self, incarnation, counter };
  const pending = newPending(-1, self, request, { kind: "expire-due" }, first.deadlineTick);
  lane.operations.push(pending);
  noteDeadline(lane, pending);
}

function endLateRound(context: Context, lane: Lane): void {
  const { round } = lane;
  if (round === null) return;
  const leader = leaderOf(lane.key, lane.plog.chosen, context.replicas);
  if (round.phase === "submit" && isSuspected(context, leader)) {
    lane.round = null; // P10: two phases, at once
    return;
  }
  if (context.tick >= round.untilTick) abandonRound(context, lane);
}

function startNext(context: Context, lane: Lane, effects: Effects): void {
  const index = lane.plog.chosen.index + 1;
  const settle = lane.settleIndex === index;
  if (context.diskFull && !context.roomReturns) refuseForRoom(context, lane, effects);
  if (lane.operations.length === 0 && !settle) return;
  if (context.tick < lane.retryTick) return;
  if (!mayVote(context, lane)) {
    handOver(context, lane, index, effects);
    return;
  }
  if (settle) {
    startTwoPhases(context, lane, effects);
    return;
  }
  if (context.diskFull && lane.operations.some(needsRoom)) {
    lane.retryTick = context.tick + context.patienceTicks; // merge makes room: they wait, and what came behind them too
    return;
  }
  const leader = leaderOf(lane.key, lane.plog.chosen, context.replicas);
  const elder = lane.forwarded[lane.forwarded.length - 1];
  if (elder !== undefined && elder.forwardedTo !== -1) {
    // Writes that came later follow those that are with another replica, so that they are not overtaken.
    forward(context, lane, elder.forwardedTo, index, effects);
    if (lane.operations.length === 0) return;
  }
  if (mayUseZero(context, lane)) {
    propose(context, lane, startZero, effects);
    return;
  }
  const silent = lane.attempts >= MAX_SILENT_SUBMITS; // P16: it is heard, but does not answer
  const avoided = isSuspected(context, leader) || (context.avoided[leader] ?? false);
  const direct = leader === context.self || avoided || silent || (lane.operations[0]?.direct ?? false);
  if (!direct) {
    if (isUntouched(lane) && lane.submitRefusedAt !== index) {
      propose(context, lane, startSubmit, effects);
      return;
    }
    forward(context, lane, leader, index, effects);
    if (lane.operations.length === 0) return;
  }
  if (isInGoodHands(context, lane)) return;
  startTwoPhases(context, lane, effects);
}

function startTwoPhases(context: Context, lane: Lane, effects: Effects): void {
  if (hasRoomToPromise(context, lane)) startPrepare(context, lane, effects);
  else lane.retryTick = context.tick + context.patienceTicks;
}

/** D12: it was never proposed and is not a deletion. What was proposed waits to be decided by others. */
function needsRoom({ operation: { kind }, last, forwardedTo }: PendingOperation): boolean {
  return kind !== "delete" && kind !== "remove" && kind !== "expire-due" && last === 0 && forwardedTo === -1;
}

function refuseForRoom(context: Context, lane: Lane, effects: Effects): void {
  const stays = (pending: PendingOperation): boolean => {
    if (!needsRoom(pending)) return true;
    finish(context, lane, pending, refusal("DISKFULL", "the volumes of this node are full"), effects);
    return false;
  };
  if (lane.operations.length > 0) lane.operations = lane.operations.filter(stays);
}

type Start = (context: Context, lane: Lane, entry: Entry, folded: readonly Folded[], effects: Effects) => void;

/** Folds what waits and starts a round with it; if nothing would change, the failures are confirmed instead. */
function propose(context: Context, lane: Lane, start: Start, effects: Effects): void {
  const { entry, folded } = buildFold(context, lane);
  if (entry !== null) {
    if (start === startZero && !hasRoomToAccept(context, lane, entry)) startTwoPhases(context, lane, effects);
    else start(context, lane, entry, folded, effects);
  } else confirmFailures(context, lane, folded, effects);
}

function confirmFailures(context: Context, lane: Lane, folded: readonly Folded[], effects: Effects): void {
  const chosenIndex = lane.plog.chosen.index;
  const unconfirmed: PendingOperation[] = [];
  for (const { pending, outcome } of folded) {
    if (pending.forwardedTo !== -1)
      finish(context, lane, pending, UNKNOWN_TIME, effects); // it may still be applied there
    else if (pending.last > chosenIndex)
      lane.settleIndex = chosenIndex + 1; // its own proposal is undecided
    else if (pending.confirmedAt === chosenIndex) finish(context, lane, pending, outcome, effects);
    else unconfirmed.push(pending);
  }
  lane.operations = lane.operations.filter((pending) => !pending.done);
  confirmByReading(lane, unconfirmed);
}

/**
 * P16: the operations themselves go to the leader's lane. Those of other origins stay, and so does the burial of an expired value, unless
 * this replica may not vote: then nobody else might come across it (seed 66940 of the profile repair).
 */
function forward(context: Context, lane: Lane, to: ReplicaId, index: number, effects: Effects): void {
  const stay: PendingOperation[] = [];
  const buries = mayVote(context, lane);
  for (const pending of lane.operations) {
    const isOwnAffair = buries && pending.operation.kind === "expire-due";
    if (pending.origin !== context.self || pending.direct || isOwnAffair) {
      stay.push(pending);
      continue;
    }
    // From now on the target may propose it, and so may this lane if no answer comes: both test from this index on.
    if (pending.since === 0) pending.since = index;
    const sequence = (context.handoffsSent[to] ?? 0) + 1;
    context.handoffsSent[to] = sequence;
    effects.send.push({
      to,
      message: {
        type: "forward",
        key: lane.key,
        request: pending.request,
        operation: pending.operation,
        since: pending.since,
        remainingTicks: Math.max(0, pending.deadlineTick - context.tick),
        targetIncarnation: context.peerIncarnations[to] ?? 0,
        sequence,
      },
    });
    pending.forwardedTo = to;
    pending.forwardSequence = sequence;
    pending.forwardUntilTick = context.tick + context.patienceTicks * FORWARD_PATIENCES;
    lane.forwarded.push(pending);
  }
  lane.operations = stay;
}

/**
 * A replica that may not vote brings its clients' writes to one that may (P30). Who that is it cannot know: whoever refuses is followed by
 * the next one, and after all of them comes a pause.
 */
function handOver(context: Context, lane: Lane, index: number, effects: Effects): void {
  if (lane.operations.length === 0) return;
  const leader = leaderOf(lane.key, lane.plog.chosen, context.replicas);
  const others = [leader, ...context.peerOrder.filter((replica) => replica !== leader)];
  const usable = others.filter((replica) => replica !== context.self && !isSuspected(context, replica));
  const to = usable[lane.refusals % usable.length];
  if (to === undefined) return;
  // What came back with a refusal is with nobody. What came back without an answer may still be applied: its time runs out here.
  for (const pending of lane.operations) if (pending.forwardedTo === -1) pending.direct = false;
  forward(context, lane, to, index, effects);
}

/** True while the open position belongs to somebody who lives and has not had long: a duel would only slow both. */
function isInGoodHands(context: Context, lane: Lane): boolean {
  const { plog } = lane;
  if (lane.busySinceTick === 0) return false;
  // Whoever began what was found on the disk has long gone on: wait for the answer of those who are asked, no longer.
  if (lane.foundOnDisk) return lane.looks === 1 && lane.read !== null;
  if (context.tick >= lane.busySinceTick + context.patienceTicks * BUSY_PATIENCES) return false;
  const proposer = isBallot(plog.accepted) ? plog.acceptedProposer : plog.promised.replica;
  return proposer !== context.self && !isSuspected(context, proposer);
}

function isSuspected(context: Context, replica: ReplicaId | -1): boolean {
  return context.suspected[replica] ?? false;
}

/** What became of a forwarded operation (P16). */
export function onForwardReply(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: ForwardReplyMessage,
  effects: Effects,
): void {
  const { request, outcome } = message;
  const isIt = (pending: PendingOperation): boolean =>
    pending.request.counter === request.counter &&
    pending.request.incarnation === request.incarnation &&
    pending.request.replica === request.replica;
  const pending = lane.forwarded.find(isIt) ?? lane.operations.find(isIt);
  if (pending === undefined || pending.forwardedTo !== from || pending.forwardSequence !== message.sequence) return;
  const final =
    outcome.status === "ok" ||
    outcome.status === "unknown" ||
    (outcome.status === "failed" && pending.last <= message.index);
  if (final) finish(context, lane, pending, outcome, effects);
  lane.forwarded = lane.forwarded.filter((other) => other !== pending);
  // Not due by the clock of who was asked: it is asked again, but not all the time.
  if (pending.operation.kind === "expire-due") lane.retryTick = context.tick + context.patienceTicks;
  if (final) {
    lane.operations = lane.operations.filter((other) => other !== pending);
    return;
  }
  // The target is done with it and never will propose it: it is this lane's own affair again.
  pending.forwardedTo = -1;
  if (pending.last === 0) pending.since = 0; // so nobody ever proposed it
  lane.testedIndex = -1; // P14: while it was out, it could wait for this answer
  if (!pending.direct) lane.operations.push(pending);
  if (!mayVote(context, lane)) {
    lane.refusals = (lane.refusals + 1) % (context.replicas - 1);
    if (lane.refusals === 0) lane.retryTick = context.tick + context.patienceTicks;
  }
  pending.direct = outcome.status !== "not-applied" || outcome.code !== BEHIND_CODE;
}

/** The earliest tick at which time alone changes something here; 0 = never. */
function nextWake(context: Context, lane: Lane): number {
  let wake = Number.MAX_SAFE_INTEGER;
  if (lane.operations.length > 0 || lane.forwarded.length > 0) wake = Math.min(wake, lane.nextDeadlineTick);
  const { round, read } = lane;
  if (round !== null) wake = Math.min(wake, round.untilTick);
  else if (lane.operations.length > 0 || lane.settleIndex > 0) {
    if (lane.retryTick > context.tick) wake = Math.min(wake, lane.retryTick);
    else if (lane.busySinceTick > 0) {
      wake = Math.min(wake, lane.busySinceTick + context.patienceTicks * BUSY_PATIENCES);
    }
    if (!mayVote(context, lane)) wake = Math.min(wake, context.tick + context.patienceTicks);
  }
  const firstForward = lane.forwarded[0];
  if (firstForward !== undefined) wake = Math.min(wake, firstForward.forwardUntilTick);
  if (lane.lookAfterTick > 0 && round === null) wake = Math.min(wake, lane.lookAfterTick);
  if (read !== null) wake = Math.min(wake, read.retryTick);
  if (lane.nextReads.length + lane.expiredReads.length + (read?.readers.length ?? 0) > 0) {
    wake = Math.min(wake, lane.nextReadDeadlineTick);
  }
  if (lane.restore?.sequence === 0) wake = Math.min(wake, lane.restore.untilTick);
  if (wake === Number.MAX_SAFE_INTEGER) return 0;
  return Math.max(wake, context.tick + 1);
}
