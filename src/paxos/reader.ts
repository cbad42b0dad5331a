/**
 * Strong reads (P18 to P21). A read asks enough voters for the state of the key and deduces a bound: an index that
 * everything acknowledged before the question lies at or below. Once this replica holds a chosen entry at or above the
 * bound, that entry is the answer: it was the newest one at some moment after the read began. A failed condition is a
 * read too and is confirmed here; so is a look at a position that stays undecided (level 1 of P27).
 */
import { mayVote } from "./acceptor.js";
import { type Ballot, isBallot, isClassZero, NO_BALLOT, type ReplicaId, sameBallot } from "./ballot.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import { isExpired } from "./evaluate.js";
import { durablyAccepted, type Lane, type PendingOperation, type PendingRead, type ReadRound } from "./lane.js";
import { advanceByMark, isMarked, learn, sendChosenEntry } from "./learner.js";
import type { FetchMessage, StateQueryMessage, StateReplyMessage } from "./message.js";
import type { ReadOutcome } from "./operation.js";
import { leaderOf } from "./plog.js";
import { addVote, countVotes, hasVote, majorityOf } from "./quorum.js";

/** Values up to this size ride along with a state answer (P21). */
export const RIDE_ALONG_BYTES = 1024;

const EMPTY = new Uint8Array(0);

/** P18, the side that is asked: durable state only. */
export function onStateQuery(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: StateQueryMessage,
  effects: Effects,
): void {
  const { plog } = lane;
  const accepted = durablyAccepted(lane);
  const newer = plog.chosen.index > message.knownIndex;
  effects.send.push({
    to: from,
    message: {
      type: "state-reply",
      key: lane.key,
      query: message.query,
      votes: mayVote(context, lane),
      chosenIndex: plog.chosen.index,
      chosenBallot: plog.chosenBallot,
      leader: leaderOf(lane.key, plog.chosen, context.replicas),
      accepted,
      proposer: lane.durableAccept.proposer,
      entry: newer && plog.chosen.bytes.length <= RIDE_ALONG_BYTES ? plog.chosen : null,
    },
  });
}

/** P21, P26: the newest chosen entry, if that is what is asked for. A learner may ask that the position be settled (P30). */
export function onFetch(context: Context, lane: Lane, from: ReplicaId, message: FetchMessage, effects: Effects): void {
  const { index } = lane.plog.chosen;
  if (index >= message.index) {
    sendChosenEntry(lane, from, effects);
    return;
  }
  if (message.settle && index === message.index - 1 && lane.round === null && mayVote(context, lane)) {
    lane.settleIndex = message.index;
  }
}

const QUERY_INCARNATIONS = 2 ** 12;
const QUERIES_PER_INCARNATION = 2 ** 40;

/** P18: an answer to a question of an earlier incarnation must not pass for an answer to this one's. */
function nextQuery(context: Context): number {
  context.lastQuery++;
  return (context.incarnation % QUERY_INCARNATIONS) * QUERIES_PER_INCARNATION + context.lastQuery;
}

function newReadRound(context: Context): ReadRound {
  return {
    query: nextQuery(context),
    turn: context.turn,
    readers: [],
    confirming: [],
    states: new Array<StateReplyMessage | null>(context.replicas).fill(null),
    asked: 0,
    bound: -1,
    boundBallot: NO_BALLOT,
    source: -1,
    startedTick: context.tick,
    retryTick: 0,
  };
}

/** A client's read: joins the question of this turn, or waits for the next one. */
export function addRead(context: Context, lane: Lane, read: PendingRead): void {
  const { read: current } = lane;
  lane.nextReadDeadlineTick = Math.min(lane.nextReadDeadlineTick, read.deadlineTick);
  if (current !== null && current.turn === context.turn && current.bound < 0) current.readers.push(read);
  else lane.nextReads.push(read);
}

/** P21: these operations' conditions failed on the newest entry held here; is it the newest of all? */
export function confirmByReading(lane: Lane, pendings: readonly PendingOperation[]): void {
  for (const pending of pendings) {
    if (pending.confirming) continue;
    pending.confirming = true;
    lane.nextConfirms.push(pending);
  }
}

/** Level 1 of P27: asks whether the undecided position was decided. */
export function lookAround(context: Context, lane: Lane, effects: Effects): void {
  if (lane.read === null) startRead(context, lane, effects);
}

function startRead(context: Context, lane: Lane, effects: Effects): void {
  const round = newReadRound(context);
  round.readers.push(...lane.nextReads);
  round.confirming.push(...lane.nextConfirms);
  lane.nextReads = [];
  lane.nextConfirms = [];
  lane.read = round;
  ask(context, lane, round, majorityOf(context.replicas) - (mayVote(context, lane) ? 1 : 0), effects);
  judge(context, lane, round, effects);
}

/** Asks the quickest replicas that were not asked yet, `count` of them; who is suspected comes last. */
function ask(context: Context, lane: Lane, round: ReadRound, count: number, effects: Effects): void {
  const knownIndex = lane.plog.chosen.index;
  let left = count;
  for (const wantSuspected of [false, true]) {
    for (const to of context.peerOrder) {
      if (left <= 0) break;
      if (hasVote(round.asked, to) || (context.suspected[to] ?? false) !== wantSuspected) continue;
      round.asked = addVote(round.asked, to);
      effects.send.push({ to, message: { type: "state-query", key: lane.key, query: round.query, knownIndex } });
      if (!wantSuspected) left--; // a suspected one is asked in addition: it may not answer
    }
  }
  round.retryTick = context.tick + Math.max(2, context.patienceTicks >> 1);
}

export function onStateReply(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: StateReplyMessage,
  effects: Effects,
): void {
  const round = lane.read;
  if (round === null || round.query !== message.query || from === context.self) return;
  round.states[from] = message;
  if (message.entry !== null) learn(context, lane, message.entry, effects);
  if (round.bound >= 0) return;
  // P30: somebody else in its place, now: readers who are in more of a hurry than the delay would always ask those two (seed 702429).
  if (!message.votes && countVotes(round.asked) < context.replicas - 1) ask(context, lane, round, 1, effects);
  judge(context, lane, round, effects);
}

interface VoterState {
  readonly replica: ReplicaId;
  readonly chosenIndex: number;
  readonly chosenBallot: Ballot;
  readonly leader: ReplicaId;
  readonly accepted: Ballot;
  readonly proposer: ReplicaId;
}

/** The states that count: voters' answers, and the own state as it is now. */
function voterStates(context: Context, lane: Lane, round: ReadRound): VoterState[] {
  const states: VoterState[] = [];
  for (let replica = 0; replica < context.replicas; replica++) {
    const state = round.states[replica];
    if (state?.votes === true) states.push({ ...state, replica });
  }
  if (mayVote(context, lane)) {
    states.push({
      replica: context.self,
      chosenIndex: lane.plog.chosen.index,
      chosenBallot: lane.plog.chosenBallot,
      leader: leaderOf(lane.key, lane.plog.chosen, context.replicas),
      accepted: durablyAccepted(lane),
      proposer: lane.durableAccept.proposer,
    });
  }
  return states;
}

/** P19, P20. */
function judge(context: Context, lane: Lane, round: ReadRound, effects: Effects): void {
  const states = voterStates(context, lane, round);
  const majority = majorityOf(context.replicas);
  if (states.length < majority) return;
  let newest: VoterState | undefined;
  for (const state of states) if (newest === undefined || state.chosenIndex > newest.chosenIndex) newest = state;
  if (newest === undefined) return;
  const top = newest.chosenIndex;
  const holders = states.filter((state) => state.chosenIndex === top && isBallot(state.accepted));
  if (states.length - holders.length >= majority) {
    setBound(context, lane, round, top, newest.chosenBallot, newest.replica, effects);
    return;
  }
  for (const holder of holders) {
    const same = holders.filter((other) => sameBallot(other.accepted, holder.accepted));
    const leaderVoted = same.some((other) => other.replica === holder.leader);
    if (same.length >= majority && (!isClassZero(holder.accepted) || leaderVoted)) {
      setBound(context, lane, round, top + 1, holder.accepted, holder.replica, effects);
      return;
    }
  }
  if (countVotes(round.asked) < context.replicas - 1) {
    ask(context, lane, round, context.replicas, effects);
    return;
  }
  if (!holders.some((holder) => proposerSuspected(context, holder))) return; // asked again at retryTick
  settleFor(context, lane, round, top + 1, effects);
}

/** Nobody is at work on it any more: who proposed it is suspected, or that life of it has ended (it was started again). */
function proposerSuspected(context: Context, holder: VoterState): boolean {
  const { replica: owner, incarnation } = holder.accepted;
  const present = owner === context.self ? context.incarnation : (context.peerIncarnations[owner] ?? 0);
  if (incarnation < present) return true;
  return (context.suspected[owner] ?? false) || (context.suspected[holder.proposer] ?? false);
}

/** P20: settling the position above `index - 1`, once this replica holds the entry there. Who does not vote asks a voter (P30). */
function settleFor(context: Context, lane: Lane, round: ReadRound, index: number, effects: Effects): void {
  if (mayVote(context, lane)) {
    if (lane.plog.chosen.index === index - 1 && lane.round === null) lane.settleIndex = index;
    return;
  }
  const leader = leaderOf(lane.key, lane.plog.chosen, context.replicas);
  const isVoter = (replica: ReplicaId): boolean =>
    round.states[replica]?.votes === true && !(context.suspected[replica] ?? false);
  const to = [leader, ...context.peerOrder].find(isVoter);
  if (to !== undefined) effects.send.push({ to, message: { type: "fetch", key: lane.key, index, settle: true } });
}

function setBound(
  context: Context,
  lane: Lane,
  round: ReadRound,
  bound: number,
  ballot: Ballot,
  source: ReplicaId,
  effects: Effects,
): void {
  round.bound = bound;
  round.boundBallot = ballot;
  round.source = source;
  obtain(context, lane, round, effects);
}

/** P21: gets hold of an entry at or above the bound: the own accepted one if it is the one, else by asking for it. */
function obtain(context: Context, lane: Lane, round: ReadRound, effects: Effects): void {
  const { plog } = lane;
  if (plog.chosen.index >= round.bound) return;
  if (plog.chosen.index === round.bound - 1 && isBallot(round.boundBallot) && isMarked(lane, round.boundBallot)) {
    advanceByMark(context, lane, effects);
    return;
  }
  round.retryTick = context.tick + context.patienceTicks;
  for (const to of context.peerOrder) {
    const state = round.states[to];
    const holds = state !== null && state !== undefined && state.chosenIndex >= round.bound;
    const accepted =
      state?.chosenIndex === round.bound - 1 &&
      isBallot(round.boundBallot) &&
      sameBallot(state.accepted, round.boundBallot);
    if (!holds && !accepted) continue;
    if (accepted) {
      // It holds the entry without knowing that it was chosen: told so, it can send it.
      const mark = { type: "chosen", key: lane.key, index: round.bound, ballot: round.boundBallot } as const;
      effects.send.push({ to, message: mark });
    }
    effects.send.push({ to, message: { type: "fetch", key: lane.key, index: round.bound, settle: false } });
    return;
  }
}

/** Everything about reads that time or a newer chosen entry may have changed. Called in every step. */
export function driveReads(context: Context, lane: Lane, effects: Effects): void {
  endOverdueReads(context, lane, effects);
  answerExpired(context, lane, effects);
  let round = lane.read;
  if (round !== null && round.bound >= 0 && lane.plog.chosen.index >= round.bound) {
    lane.read = null;
    complete(context, lane, round, effects);
    round = null;
  }
  const due = round !== null && context.tick >= round.retryTick;
  if (due && round?.readers.length === 0 && round.confirming.every((pending) => pending.done)) {
    lane.read = null; // a mere look, or nobody waits any more: the next look comes by the timer
    round = null;
  }
  if (round === null) {
    if (lane.nextReads.length > 0 || lane.nextConfirms.length > 0) {
      startRead(context, lane, effects);
      const started = lane.read;
      if (started !== null && started.bound >= 0 && lane.plog.chosen.index >= started.bound) {
        lane.read = null;
        complete(context, lane, started, effects);
      }
    }
    return;
  }
  // Who was to send the entry may be gone by now, so even a bound that is known is asked for anew.
  if (due) askAgain(context, lane, round, effects);
}

/** A later question to all of them; it serves the same readers. */
function askAgain(context: Context, lane: Lane, round: ReadRound, effects: Effects): void {
  const undecided = lane.round === null && context.tick - round.startedTick >= context.settleTicks;
  if (undecided) settleFor(context, lane, round, lane.plog.chosen.index + 1, effects);
  round.query = nextQuery(context);
  round.states.fill(null);
  round.asked = 0;
  round.bound = -1;
  ask(context, lane, round, context.replicas, effects);
  judge(context, lane, round, effects);
}

function complete(context: Context, lane: Lane, round: ReadRound, effects: Effects): void {
  for (const pending of round.confirming) {
    pending.confirming = false;
    pending.confirmedAt = lane.plog.chosen.index;
  }
  if (isExpired(lane.plog.chosen, context.wallMs)) {
    lane.expiredReads.push(...round.readers); // P25: answered after the tombstone is chosen
    return;
  }
  const outcome = readOutcome(lane);
  for (const reader of round.readers) effects.readReplies.push({ client: reader.client, outcome });
}

/** Reads that met an expired value and whose tombstone, or something newer, was chosen meanwhile. */
function answerExpired(context: Context, lane: Lane, effects: Effects): void {
  if (lane.expiredReads.length === 0 || isExpired(lane.plog.chosen, context.wallMs)) return;
  const outcome = readOutcome(lane);
  for (const reader of lane.expiredReads) effects.readReplies.push({ client: reader.client, outcome });
  lane.expiredReads = [];
}

function readOutcome(lane: Lane): ReadOutcome {
  const { chosen } = lane.plog;
  return {
    status: "ok",
    found: !chosen.tombstone,
    value: chosen.tombstone ? EMPTY : chosen.value,
    version: chosen.tombstone ? 0 : chosen.version,
    expiryMs: chosen.expiryMs,
    index: chosen.index,
  };
}

const NO_QUORUM: ReadOutcome = {
  status: "refused",
  code: "NOQUORUM",
  message: "no majority of the key's replicas answered in time",
};

function endOverdueReads(context: Context, lane: Lane, effects: Effects): void {
  if (context.tick < lane.nextReadDeadlineTick) return;
  let next = Number.MAX_SAFE_INTEGER;
  const waits = (reader: PendingRead): boolean => {
    if (context.tick < reader.deadlineTick) {
      next = Math.min(next, reader.deadlineTick);
      return true;
    }
    effects.readReplies.push({ client: reader.client, outcome: NO_QUORUM });
    return false;
  };
  lane.nextReads = lane.nextReads.filter(waits);
  lane.expiredReads = lane.expiredReads.filter(waits);
  const { read } = lane;
  if (read !== null) {
    const left = read.readers.filter(waits);
    read.readers.splice(0, read.readers.length, ...left);
  }
  lane.nextReadDeadlineTick = next;
}

/** P6, or a store that failed: nobody is answered from doubt. */
export function refuseReads(lane: Lane, outcome: ReadOutcome, effects: Effects): void {
  const all = [...lane.nextReads, ...lane.expiredReads, ...(lane.read?.readers ?? [])];
  for (const reader of all) effects.readReplies.push({ client: reader.client, outcome });
  lane.nextReads = [];
  lane.expiredReads = [];
  lane.nextConfirms = [];
  lane.read = null;
}
