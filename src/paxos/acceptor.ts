/**
 * The acceptor: promises and accepts for one position, always the one above the newest chosen entry. It grants nothing
 * that is not on its way to the disk, and no answer leaves before that record is durable (P2): every answer here goes
 * through `sendWhenDurable`.
 */
import { type Ballot, compareBallots, isBallot, isClassZero, NO_BALLOT, type ReplicaId, sameBallot } from "./ballot.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Entry } from "./entry.js";
import type { Lane } from "./lane.js";
import {
  catchUpTo,
  hasRoomToAccept,
  hasRoomToPromise,
  persistPosition,
  quarantine,
  sendChosenEntry,
} from "./learner.js";
import type { AcceptMessage, PrepareMessage } from "./message.js";
import { leaderOf } from "./plog.js";

/** Section 8: a message that raises a ballot counter by more than this is refused. */
export const MAX_COUNTER_JUMP = 1_000_000;

/**
 * True when this replica may promise and accept at the position above the newest chosen entry (P29 to P31), and its disk
 * can make it durable.
 */
export function mayVote(context: Context, lane: Lane): boolean {
  const { plog } = lane;
  const votesHere = !plog.learner && plog.chosen.index + 1 >= plog.votesFrom;
  return context.mayVote && context.storeWorks && votesHere && !lane.quarantined;
}

/** What every ballot-carrying message passes first. True: the position is the one above the chosen entry, go on. */
function positionIsOpen(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: PrepareMessage | AcceptMessage,
  effects: Effects,
): boolean {
  if (lane.plog.chosen.index >= message.index) {
    sendChosenEntry(lane, from, effects); // P4: never answered as if the position were empty
    return false;
  }
  if (!mayVote(context, lane)) return false;
  if (message.ballot.counter > Math.max(lane.plog.promised.counter, 0) + MAX_COUNTER_JUMP) return false;
  if (!catchUpTo(context, lane, message.index, message.mark, message.base, effects)) {
    effects.send.push({
      to: from,
      message: {
        type: "behind",
        key: lane.key,
        index: message.index,
        ballot: message.ballot,
        phase: message.type,
        chosenIndex: lane.plog.chosen.index,
        sequence: 0,
      },
    });
    return false;
  }
  return lane.plog.chosen.index === message.index - 1;
}

/** Notes that somebody else's ballot stands at the open position, and that an accepted entry wants looking after (P27). */
export function noteBusy(context: Context, lane: Lane): void {
  if (lane.busySinceTick === 0) lane.busySinceTick = context.tick;
  if (lane.lookAfterTick === 0 && isBallot(lane.plog.accepted)) {
    lane.lookAfterTick = context.tick + context.patienceTicks * 2;
  }
}

export function onPrepare(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: PrepareMessage,
  effects: Effects,
): void {
  if (isClassZero(message.ballot) || !positionIsOpen(context, lane, from, message, effects)) return;
  const { plog } = lane;
  const order = compareBallots(message.ballot, plog.promised);
  if (order > 0) {
    if (!hasRoomToPromise(context, lane)) return;
    plog.promised = message.ballot;
    persistPosition(lane, effects);
    noteBusy(context, lane);
  }
  answerPrepare(lane, from, message.ballot, order >= 0, effects);
}

/** P1: grant or refusal, the answer shows what is promised and accepted. */
export function answerPrepare(lane: Lane, to: ReplicaId, ballot: Ballot, granted: boolean, effects: Effects): void {
  const { plog } = lane;
  effects.sendWhenDurable.push({
    to,
    message: {
      type: "promise",
      key: lane.key,
      index: plog.chosen.index + 1,
      ballot,
      granted,
      promised: plog.promised,
      accepted: plog.accepted,
      entry: plog.acceptedEntry,
      chosenIndex: plog.chosen.index,
    },
  });
}

export function onAccept(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: AcceptMessage,
  effects: Effects,
): void {
  if (message.entry.index !== message.index) return;
  if (!positionIsOpen(context, lane, from, message, effects)) return;
  const { plog } = lane;
  const { ballot, entry } = message;
  if (sameBallot(plog.accepted, ballot)) {
    // P1: the same again is granted, with another entry it is refused and somebody has broken the rules.
    const same = plog.acceptedEntry?.hash === entry.hash;
    if (!same) quarantine(lane, effects, `P6: two entries under one ballot at index ${String(message.index)}`);
    answerAccept(lane, message.proposer, ballot, entry, same, effects);
    return;
  }
  const granted = mayAccept(context, lane, ballot);
  if (granted) {
    if (!hasRoomToAccept(context, lane, entry)) return; // no room for a value: as if the message had been lost
    accept(context, lane, ballot, entry, message.proposer, effects);
  }
  answerAccept(lane, message.proposer, ballot, entry, granted, effects);
}

function mayAccept(context: Context, lane: Lane, ballot: Ballot): boolean {
  const { plog } = lane;
  if (isClassZero(ballot)) {
    // P3, and only the leader that the chosen entry names has a class zero to use here.
    return (
      !isBallot(plog.promised) &&
      !isBallot(plog.accepted) &&
      ballot.replica === leaderOf(lane.key, plog.chosen, context.replicas)
    );
  }
  return compareBallots(ballot, plog.promised) >= 0;
}

/** Takes the entry, in memory and on its way to the disk. The caller has checked the ballot. */
export function accept(
  context: Context,
  lane: Lane,
  ballot: Ballot,
  entry: Entry,
  proposer: ReplicaId,
  effects: Effects,
): void {
  const { plog } = lane;
  plog.promised = ballot;
  plog.accepted = ballot;
  plog.acceptedEntry = entry;
  plog.acceptedProposer = proposer;
  persistPosition(lane, effects);
  noteBusy(context, lane);
}

/** P5, P8: the vote names acceptor (by its sender), index, ballot and entry, and goes to the proposer. */
export function answerAccept(
  lane: Lane,
  proposer: ReplicaId,
  ballot: Ballot,
  entry: Entry,
  granted: boolean,
  effects: Effects,
): void {
  const { plog } = lane;
  effects.sendWhenDurable.push({
    to: proposer,
    message: {
      type: "accepted",
      key: lane.key,
      index: entry.index,
      ballot,
      entryHash: entry.hash,
      granted,
      promised: plog.promised,
      accepted: plog.accepted,
      chosenIndex: plog.chosen.index,
    },
  });
}

/** What a fresh position looks like: nothing promised, nothing accepted. */
export function isUntouched(lane: Lane): boolean {
  return !isBallot(lane.plog.promised) && !isBallot(lane.plog.accepted);
}

/** The mark that rides along on messages for the open position. */
export function markOf(lane: Lane): Ballot {
  return lane.plog.chosen.index === 0 ? NO_BALLOT : lane.plog.chosenBallot;
}
