/**
 * Learning what was chosen: by a mark for what this replica accepted itself (P13), or by the entry with everything in it
 * (P4, P21). Both end in `advance`, the only place where a lane's chosen entry changes. A second entry for a decided
 * index stops the key (P6).
 */
import { assert } from "../base/assert.js";
import { type Ballot, isBallot, NO_BALLOT, type ReplicaId, sameBallot } from "./ballot.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Entry } from "./entry.js";
import { type AcceptSnapshot, countsAsLive, type Lane, standingOf } from "./lane.js";
import type { ChosenMessage, LearnMessage } from "./message.js";
import { GENESIS_HASH, type PLog } from "./plog.js";

/** P4: what follows a decided index names the hash of the entry there. */
export function baseHashOf(plog: PLog): number {
  return plog.chosen.index === 0 ? GENESIS_HASH : plog.chosen.hash;
}

/** D12: a full disk takes promises and tombstones, but no values. */
function hasRoomFor(context: Context, entry: Entry | null): boolean {
  return !context.diskFull || entry === null || entry.tombstone;
}

/** D12: an accepted value is written again with every promise above it, and a base that is not saved yet with either. */
export function hasRoomToPromise(context: Context, lane: Lane): boolean {
  const { acceptedEntry, chosen } = lane.plog;
  return hasRoomFor(context, acceptedEntry) && (!lane.baseUnsaved || hasRoomFor(context, chosen));
}

export function hasRoomToAccept(context: Context, lane: Lane, entry: Entry): boolean {
  return hasRoomFor(context, entry) && (!lane.baseUnsaved || hasRoomFor(context, lane.plog.chosen));
}

/** Asks the host to make the state of the undecided position durable. Its base is named, so it proves the base (P13). */
export function persistPosition(lane: Lane, effects: Effects): void {
  const { plog } = lane;
  const index = plog.chosen.index + 1;
  if (lane.baseUnsaved) persistChosen(lane, plog.chosen, effects);
  noteErase(lane, effects);
  effects.persist.push({
    index,
    floor: index - 1,
    promised: plog.promised,
    accepted: plog.accepted,
    entry: plog.acceptedEntry,
    proposer: plog.acceptedProposer,
    chosen: false,
    baseHash: baseHashOf(plog),
    ...standingOf(lane),
    live: countsAsLive(lane, plog.acceptedEntry ?? plog.chosen),
  });
  lane.writes++;
  if (isBallot(plog.accepted)) {
    const snapshot: AcceptSnapshot = {
      sequence: lane.writes,
      index,
      accepted: plog.accepted,
      proposer: plog.acceptedProposer,
    };
    lane.pendingAccepts.push(snapshot);
  }
}

/** Asks the host to make a chosen entry durable as what it is. */
export function persistChosen(lane: Lane, entry: Entry, effects: Effects): void {
  noteErase(lane, effects);
  effects.persist.push({
    index: entry.index,
    floor: entry.index,
    promised: NO_BALLOT,
    accepted: NO_BALLOT,
    entry,
    proposer: 0,
    chosen: true,
    baseHash: 0,
    ...standingOf(lane),
    live: countsAsLive(lane, entry),
  });
  lane.writes++;
  lane.baseUnsaved = false;
}

/** P30: broken records above the one that is written would go on to say that the key is broken. */
function noteErase(lane: Lane, effects: Effects): void {
  if (!lane.damaged) return;
  lane.damaged = false;
  effects.erase = true;
}

/** The lane's records and marks up to `sequence` are durable. */
export function onPersisted(lane: Lane, sequence: number, effects: Effects): void {
  assert(sequence <= lane.writes, "P2: durable before it was asked for");
  if (sequence <= lane.durable) return;
  lane.durable = sequence;
  noteRestored(lane, effects);
  while (lane.pendingAccepts.length > 0) {
    const first = lane.pendingAccepts[0];
    if (first === undefined || first.sequence > sequence) break;
    lane.durableAccept = first;
    lane.pendingAccepts.shift();
  }
}

/** P31: the limit is lifted by a durable record, and not before. */
function noteRestored(lane: Lane, effects: Effects): void {
  const { plog, restore } = lane;
  if (restore === null || restore.sequence === 0 || lane.durable < restore.sequence) return;
  plog.learner = false;
  plog.votesFrom = restore.votesFrom;
  plog.loss = restore.loss;
  lane.restore = null;
  effects.restored = true;
}

/** P6: keeps what the lane holds, serves nothing any more, raises the alarm. */
export function quarantine(lane: Lane, effects: Effects, reason: string): void {
  lane.quarantined = true;
  effects.alarm = reason;
}

/** The chosen entry moves on to `entry`. What was promised and accepted below it has lost its meaning. */
function advance(lane: Lane, entry: Entry, ballot: Ballot): void {
  const { plog } = lane;
  assert(entry.index > plog.chosen.index, "P24: a chosen index never goes back");
  plog.chosen = entry;
  plog.chosenBallot = ballot;
  plog.promised = NO_BALLOT;
  plog.accepted = NO_BALLOT;
  plog.acceptedEntry = null;
  plog.acceptedProposer = 0;
  lane.baseUnsaved = false;
  lane.busySinceTick = 0;
  lane.foundOnDisk = false;
  lane.lookAfterTick = 0;
  lane.looks = 0;
  lane.attempts = 0;
  lane.refusals = 0;
  lane.retryTick = 0;
  if (lane.settleIndex <= entry.index) lane.settleIndex = 0;
}

/**
 * The entry accepted here at the position above the chosen one is the chosen one. The record on disk stays as it is; but as long as
 * no record says so, the one below is kept too (D13). Where room is short and this is a deletion, what it deletes is to go: it
 * is recorded as chosen.
 */
export function advanceByMark(context: Context, lane: Lane, effects: Effects): void {
  const { plog } = lane;
  const entry = plog.acceptedEntry;
  assert(entry !== null && entry.index === plog.chosen.index + 1, "P13: a mark needs an accepted entry");
  advance(lane, entry, plog.accepted);
  if (context.diskFull && context.storeWorks && entry.tombstone) {
    persistChosen(lane, entry, effects);
    return;
  }
  effects.mark = entry.index;
  lane.writes++;
}

/**
 * P13: the entry accepted here is the one that a mark of this ballot means. Not where this replica has no vote at the position: its disk
 * may be a copy that began with an incarnation which had been used, and gave a ballot of its own to something else before
 * its peers recognized it (P29; seed 62358 of the profile repair). Then the entry itself is fetched.
 */
export function isMarked({ plog }: Lane, ballot: Ballot): boolean {
  const votes = !plog.learner && plog.chosen.index + 1 >= plog.votesFrom;
  return votes && sameBallot(plog.accepted, ballot);
}

/** Takes a chosen entry that somebody else told. False when it is old news. */
export function learn(context: Context, lane: Lane, entry: Entry, effects: Effects): boolean {
  const { plog } = lane;
  if (entry.index <= plog.chosen.index) {
    if (entry.index === plog.chosen.index && entry.hash !== plog.chosen.hash) {
      quarantine(lane, effects, `P6: two entries chosen at index ${String(entry.index)}`);
    }
    return false;
  }
  const accepted = plog.acceptedEntry;
  if (accepted?.index === entry.index && accepted.hash === entry.hash && isMarked(lane, plog.accepted)) {
    // What is accepted at a ballot is one entry, so the own ballot names the chosen entry too.
    advanceByMark(context, lane, effects);
    return true;
  }
  advance(lane, entry, NO_BALLOT);
  if (context.storeWorks && hasRoomFor(context, entry)) {
    const { restore } = lane;
    // P31: what was waited for; its record says at once that this replica votes above it.
    if (restore?.sequence === 0 && entry.index >= restore.index) restore.sequence = lane.writes + 1;
    persistChosen(lane, entry, effects);
  } else lane.baseUnsaved = true;
  return true;
}

/** P4: makes index - 1 the chosen one, by what rides on a message for `index`. False: the sender must send the base along. */
export function catchUpTo(
  context: Context,
  lane: Lane,
  index: number,
  mark: Ballot,
  base: Entry | null,
  effects: Effects,
): boolean {
  const { plog } = lane;
  if (plog.chosen.index >= index - 1) return true;
  if (plog.chosen.index === index - 2 && isBallot(mark) && isMarked(lane, mark)) {
    advanceByMark(context, lane, effects);
    return true;
  }
  if (base === null || base.index !== index - 1) return false;
  learn(context, lane, base, effects);
  return !lane.quarantined;
}

export function onLearn(context: Context, lane: Lane, message: LearnMessage, effects: Effects): void {
  learn(context, lane, message.entry, effects);
}

/** P13. Who did not accept that ballot fetches the entry. */
export function onChosen(
  context: Context,
  lane: Lane,
  from: ReplicaId,
  message: ChosenMessage,
  effects: Effects,
): void {
  const { plog } = lane;
  if (message.index <= plog.chosen.index) return;
  if (message.index === plog.chosen.index + 1 && isMarked(lane, message.ballot)) {
    advanceByMark(context, lane, effects);
    return;
  }
  fetchFrom(context, lane, from, message.index, effects);
}

/** P26: one fetch for all the signs of being behind that come within one patience. */
export function fetchFrom(context: Context, lane: Lane, from: ReplicaId, index: number, effects: Effects): void {
  if (from === context.self) return;
  if (lane.fetchedTick !== 0 && context.tick < lane.fetchedTick + context.patienceTicks) return;
  lane.fetchedTick = context.tick;
  effects.send.push({ to: from, message: { type: "fetch", key: lane.key, index, settle: false } });
}

/** Catch-up by one message: the newest chosen entry is all that anybody needs. */
export function sendChosenEntry(lane: Lane, to: ReplicaId, effects: Effects): void {
  if (lane.plog.chosen.index === 0) return;
  effects.send.push({ to, message: { type: "learn", key: lane.key, entry: lane.plog.chosen } });
}
