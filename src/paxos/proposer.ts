/**
 * The proposer: one round at a time for the open position. Class zero when this replica is its leader (one round trip),
 * through the leader when another one is (P7), two phases when neither can be had (P11). This file owns the rounds and
 * the counting; what to start next is decided in drive.ts.
 */
import { assert } from "../base/assert.js";
import { accept, answerAccept, answerPrepare, markOf, mayVote, noteBusy } from "./acceptor.js";
import {
  type Ballot,
  compareBallots,
  isBallot,
  isClassZero,
  NO_BALLOT,
  ordinaryBallot,
  type ReplicaId,
  sameBallot,
} from "./ballot.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Entry } from "./entry.js";
import { buildFold, buildNoop } from "./fold.js";
import type { Folded, Lane, Round } from "./lane.js";
import { giveZero } from "./leader.js";
import { advanceByMark, hasRoomToAccept, learn, persistPosition, sendChosenEntry } from "./learner.js";
import type { AcceptedMessage, BehindMessage, PromiseMessage, SubmitRefusedMessage } from "./message.js";
import { endOverdue, finish } from "./outcome.js";
import { leaderOf } from "./plog.js";
import { addVote, countVotes, hasVote, majorityOf } from "./quorum.js";

/** How many patiences a round is given while nobody is suspected: messages are rarely lost without a connection closing. */
const ROUND_PATIENCES = 3;

function newRound(context: Context, lane: Lane, phase: Round["phase"], ballot: Ballot): Round {
  return {
    index: lane.plog.chosen.index + 1,
    phase,
    ballot,
    entry: null,
    folded: [],
    submitSequence: 0,
    before: [],
    promises: 0,
    votes: 0,
    votesBallot: NO_BALLOT,
    refusals: 0,
    bestBallot: NO_BALLOT,
    bestEntry: null,
    untilTick: context.tick + context.patienceTicks * ROUND_PATIENCES,
  };
}

/** P14: from now on these requests may have been proposed at this index. */
function noteProposed(folded: readonly Folded[], index: number): void {
  for (const { pending } of folded) {
    if (pending.since === 0) pending.since = index;
    pending.last = index;
  }
}

/** P7, P8: the own class zero for what waits here. */
export function startZero(
  context: Context,
  lane: Lane,
  entry: Entry,
  folded: readonly Folded[],
  effects: Effects,
): void {
  const round = newRound(context, lane, "zero", NO_BALLOT);
  round.entry = entry;
  round.folded = folded;
  noteProposed(folded, round.index);
  lane.round = round;
  round.ballot = giveZero(context, lane, entry, context.self, effects);
}

/** P7: class zero through the leader of the position, who lives elsewhere. */
export function startSubmit(
  context: Context,
  lane: Lane,
  entry: Entry,
  folded: readonly Folded[],
  effects: Effects,
): void {
  const round = newRound(context, lane, "submit", NO_BALLOT);
  round.entry = entry;
  round.folded = folded;
  round.before = folded.map(({ pending }) => ({ pending, since: pending.since, last: pending.last }));
  noteProposed(folded, round.index);
  lane.round = round;
  sendSubmit(context, lane, round, entry, null, effects);
}

function sendSubmit(
  context: Context,
  lane: Lane,
  round: Round,
  entry: Entry,
  base: Entry | null,
  effects: Effects,
): void {
  const to = leaderOf(lane.key, lane.plog.chosen, context.replicas);
  const sequence = (context.handoffsSent[to] ?? 0) + 1;
  context.handoffsSent[to] = sequence;
  round.submitSequence = sequence;
  const { incarnation } = context;
  const targetIncarnation = context.peerIncarnations[to] ?? 0;
  const { index } = round;
  const mark = markOf(lane);
  effects.send.push({
    to,
    message: { type: "submit", key: lane.key, index, entry, mark, base, incarnation, targetIncarnation, sequence },
  });
}

/** P11: phase one, above everything known. The messages leave before the own promise is durable; the own vote does not. */
export function startPrepare(context: Context, lane: Lane, effects: Effects): void {
  assert(mayVote(context, lane), "P30: only a voter proposes");
  const { plog } = lane;
  const index = plog.chosen.index + 1;
  const seen = lane.counterIndex === index ? lane.counterSeen : 0;
  const counter = Math.max(plog.promised.counter, seen, 0) + 1;
  const ballot = ordinaryBallot(counter, context.self, context.incarnation);
  lane.counterIndex = index;
  lane.counterSeen = counter;
  lane.round = newRound(context, lane, "prepare", ballot);
  plog.promised = ballot;
  persistPosition(lane, effects);
  noteBusy(context, lane);
  sendPrepare(context, lane, ballot, effects);
  answerPrepare(lane, context.self, ballot, true, effects);
}

function sendPrepare(context: Context, lane: Lane, ballot: Ballot, effects: Effects): void {
  const index = lane.plog.chosen.index + 1;
  const mark = markOf(lane);
  for (const to of context.peerOrder) {
    effects.send.push({ to, message: { type: "prepare", key: lane.key, index, ballot, mark, base: null } });
  }
}

/** The round a message is about, or null when it is about another time. */
function openRound(lane: Lane, index: number): Round | null {
  const { round } = lane;
  return round !== null && round.index === index && index === lane.plog.chosen.index + 1 ? round : null;
}

/** P12: what a refusal says about counters is remembered, so that the next round jumps above it. */
function noteCounter(lane: Lane, index: number, promised: Ballot): void {
  if (lane.counterIndex !== index) {
    lane.counterIndex = index;
    lane.counterSeen = 0;
  }
  lane.counterSeen = Math.max(lane.counterSeen, promised.counter);
}

export function onPromise(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: PromiseMessage,
  effects: Effects,
): void {
  const round = openRound(lane, message.index);
  if (round === null || round.phase !== "prepare" || !sameBallot(round.ballot, message.ballot)) return;
  if (isBallot(message.accepted) && message.entry === null) return; // says that something is accepted, but not what
  if (message.entry !== null && compareBallots(message.accepted, round.bestBallot) > 0) {
    if (message.entry.index !== message.index) return;
    round.bestBallot = message.accepted;
    round.bestEntry = message.entry;
  }
  if (!message.granted) {
    noteCounter(lane, message.index, message.promised);
    round.refusals = addVote(round.refusals, from);
    giveUpIfHopeless(context, lane, round);
    return;
  }
  round.promises = addVote(round.promises, from);
  if (countVotes(round.promises) >= majorityOf(context.replicas)) startAccept(context, lane, round, effects);
}

/** P11: the accepted entry with the highest ballot among all answers heard, else the own value. */
function startAccept(context: Context, lane: Lane, round: Round, effects: Effects): void {
  let entry = round.bestEntry;
  if (entry === null) {
    if (context.tick >= lane.nextDeadlineTick) endOverdue(context, lane, effects); // P12
    const fold = buildFold(context, lane);
    entry = fold.entry ?? buildNoop(context, lane);
    if (fold.entry !== null) {
      round.folded = fold.folded;
      noteProposed(fold.folded, round.index);
    }
  }
  round.phase = "accept";
  round.entry = entry;
  round.refusals = 0;
  const { ballot, index } = round;
  const mark = markOf(lane);
  for (const to of context.peerOrder) {
    effects.send.push({
      to,
      message: { type: "accept", key: lane.key, index, ballot, entry, proposer: context.self, mark, base: null },
    });
  }
  if (
    mayVote(context, lane) &&
    hasRoomToAccept(context, lane, entry) &&
    compareBallots(ballot, lane.plog.promised) >= 0
  ) {
    accept(context, lane, ballot, entry, context.self, effects);
    answerAccept(lane, context.self, ballot, entry, true, effects);
  }
}

export function onAccepted(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: AcceptedMessage,
  effects: Effects,
): void {
  const round = openRound(lane, message.index);
  if (round === null || round.entry === null || message.entryHash !== round.entry.hash) return;
  const expected =
    round.phase === "accept" || round.phase === "zero"
      ? sameBallot(round.ballot, message.ballot)
      : round.phase === "submit" && isClassZero(message.ballot);
  if (!expected) return;
  if (!message.granted) {
    noteCounter(lane, message.index, message.promised);
    round.refusals = addVote(round.refusals, from);
    giveUpIfHopeless(context, lane, round);
    return;
  }
  if (!sameBallot(round.votesBallot, message.ballot)) {
    // The leader may have restarted between two submits: votes of one ballot are never added to another's (P5).
    round.votesBallot = message.ballot;
    round.votes = 0;
  }
  round.votes = addVote(round.votes, from);
  if (countVotes(round.votes) < majorityOf(context.replicas)) return;
  const leader = leaderOf(lane.key, lane.plog.chosen, context.replicas);
  if (isClassZero(message.ballot) && !hasVote(round.votes, leader)) return; // P9
  declareChosen(context, lane, round.entry, message.ballot, effects);
}

/** P13: chosen, at this moment. The client is answered, the others get the mark. */
function declareChosen(context: Context, lane: Lane, entry: Entry, ballot: Ballot, effects: Effects): void {
  const { plog } = lane;
  if (sameBallot(plog.accepted, ballot)) advanceByMark(context, lane, effects);
  else {
    learn(context, lane, entry, effects);
    plog.chosenBallot = ballot;
  }
  for (const to of context.peerOrder) {
    effects.send.push({ to, message: { type: "chosen", key: lane.key, index: entry.index, ballot } });
  }
}

/** The round's position is decided. If by its own entry, its requests have the outcomes they were folded with. */
export function concludeRound(context: Context, lane: Lane, effects: Effects): void {
  const { round, plog } = lane;
  if (round === null || round.index > plog.chosen.index) return;
  lane.round = null;
  if (round.index !== plog.chosen.index || round.entry?.hash !== plog.chosen.hash || round.folded.length === 0) return;
  for (const { pending, outcome } of round.folded) {
    if (!pending.done) finish(context, lane, pending, outcome, effects);
  }
  lane.operations = lane.operations.filter((pending) => !pending.done);
}

/** Refused by so many that a majority is out of reach: the next round comes after a random pause (P12). */
function giveUpIfHopeless(context: Context, lane: Lane, round: Round): void {
  const reachable = context.replicas - countVotes(round.refusals);
  const leaderRefused =
    round.phase !== "prepare" &&
    round.phase !== "accept" &&
    hasVote(round.refusals, leaderOf(lane.key, lane.plog.chosen, context.replicas));
  if (reachable >= majorityOf(context.replicas) && !leaderRefused) return;
  abandonRound(context, lane);
}

const MAX_BACKOFF_DOUBLINGS = 6;
/** However slow the network is, nobody pauses for longer than this: many pauses fit into a client's deadline. */
const MAX_BACKOFF_TICKS = 150;

/** Drops the round; what waits starts again after a randomised, growing pause. */
export function abandonRound(context: Context, lane: Lane): void {
  lane.round = null;
  const ceiling = Math.max(1, context.patienceTicks >> 1) << Math.min(lane.attempts, MAX_BACKOFF_DOUBLINGS);
  lane.attempts++;
  lane.retryTick = context.tick + 1 + context.random.below(Math.min(ceiling, MAX_BACKOFF_TICKS));
}

/** P10: the leader lives, but class zero is gone. What was folded goes to its lane (P16); see drive.ts. */
export function onSubmitRefused(context: Context, lane: Lane, message: SubmitRefusedMessage, effects: Effects): void {
  const round = openRound(lane, message.index);
  if (round === null || round.phase !== "submit" || round.submitSequence !== message.sequence) return;
  lane.round = null;
  for (const { pending, since, last } of round.before) {
    pending.since = since; // it was never proposed there after all
    pending.last = last;
  }
  if (message.entry !== null) {
    learn(context, lane, message.entry, effects);
    return;
  }
  if (isBallot(message.promised)) {
    lane.submitRefusedAt = message.index;
    noteBusy(context, lane);
  } else lane.settleIndex = message.index; // that leader cannot vote: two phases, at once
}

/** P4: somebody lacks the entry below; it rides along with the same message again. */
export function onBehind(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: BehindMessage,
  effects: Effects,
): void {
  const { plog, round } = lane;
  const { index } = message;
  if (plog.chosen.index !== index - 1) {
    if (plog.chosen.index > message.chosenIndex) sendChosenEntry(lane, from, effects);
    return;
  }
  const { key } = lane;
  const base = plog.chosen;
  const mark = markOf(lane);
  switch (message.phase) {
    case "prepare":
      if (round?.phase !== "prepare" || !sameBallot(round.ballot, message.ballot)) return;
      effects.send.push({ to: from, message: { type: "prepare", key, index, ballot: round.ballot, mark, base } });
      return;
    case "submit":
      // P16: only of the submit that is out: of what takes its place here nothing may have been taken.
      if (round?.phase !== "submit" || round.entry === null || round.submitSequence !== message.sequence) return;
      sendSubmit(context, lane, round, round.entry, base, effects);
      return;
    case "accept": {
      // The one who sent the accept holds what it was about: as its own vote, or in its round.
      let entry: Entry | null = null;
      let proposer = context.self;
      if (sameBallot(plog.accepted, message.ballot)) {
        entry = plog.acceptedEntry;
        proposer = plog.acceptedProposer;
      } else if (round?.phase === "accept" && sameBallot(round.ballot, message.ballot)) entry = round.entry;
      if (entry === null) return;
      const { ballot } = message;
      effects.send.push({ to: from, message: { type: "accept", key, index, ballot, entry, proposer, mark, base } });
      return;
    }
  }
}
