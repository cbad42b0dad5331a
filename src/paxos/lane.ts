/**
 * A lane: one key at one replica while anything about it is in flight. It holds the PLog as it stands in memory, what of
 * it is durable, and the proposer's and the reader's unfinished business. It is volatile: a crash is the loss of all
 * lanes, and a new one starts from the PLog that the disk holds. This file owns the shape; the roles own the changes.
 */
import { isUserKey, type Key } from "../base/key.js";
import { type Ballot, isBallot, NO_BALLOT, type ReplicaId } from "./ballot.js";
import type { Entry } from "./entry.js";
import type { StateReplyMessage } from "./message.js";
import type { Operation, RequestId, WriteOutcome } from "./operation.js";
import type { PLog, Standing } from "./plog.js";

/** Most operations that wait in one lane; one more is refused with BUSY. */
export const MAX_LANE_OPERATIONS = 4096;
/** P14: most requests folded into one entry. */
export const MAX_FOLD = 64;

/** A write that is not finished. It stays in `Lane.operations` (or `Lane.forwarded`) until it is. */
export interface PendingOperation {
  /** The host's name for who waits; -1 when nobody here does. */
  readonly client: number;
  /** The replica whose client it is: others than ourselves get a forward reply. */
  readonly origin: ReplicaId;
  readonly request: RequestId;
  readonly operation: Operation;
  readonly deadlineTick: number;
  /** P14: lowest index at which anybody may have proposed it and it may have been applied, 0 = never proposed. */
  since: number;
  /** Highest index at which this lane proposed it, 0 = never. */
  last: number;
  /** Waits for a strong read that confirms its failed condition. */
  confirming: boolean;
  /** A failed condition was confirmed by a strong read at this chosen index (P21); -1 = not yet. */
  confirmedAt: number;
  /** The replica it was forwarded to, -1 = none. While it is not -1, NOT APPLIED may not be said (P16). */
  forwardedTo: ReplicaId | -1;
  /** Sequence of the forward that is out (of an own operation), or by which it came (of another replica's). */
  forwardSequence: number;
  forwardUntilTick: number;
  /** Forwarded before without an answer: goes its own way now. */
  direct: boolean;
  done: boolean;
}

/** An operation that joins a lane: not proposed, not forwarded, not confirmed. */
export function newPending(
  client: number,
  origin: ReplicaId,
  request: RequestId,
  operation: Operation,
  deadlineTick: number,
): PendingOperation {
  return {
    client,
    origin,
    request,
    operation,
    deadlineTick,
    since: 0,
    last: 0,
    confirming: false,
    confirmedAt: -1,
    forwardedTo: -1,
    forwardSequence: 0,
    forwardUntilTick: 0,
    direct: false,
    done: false,
  };
}

/** An operation inside a proposed entry, with the outcome it has if that entry is chosen. */
export interface Folded {
  readonly pending: PendingOperation;
  readonly outcome: WriteOutcome;
}

/** P14: where a request counts as proposed. */
export interface ProposedSoFar {
  readonly pending: PendingOperation;
  readonly since: number;
  readonly last: number;
}

/** An attempt to have something chosen at `index`. At most one a lane. */
export interface Round {
  readonly index: number;
  /** zero: own class zero. submit: class zero through the leader. prepare, accept: two phases. */
  phase: "zero" | "submit" | "prepare" | "accept";
  /** NO_BALLOT in phase submit. */
  ballot: Ballot;
  entry: Entry | null;
  folded: readonly Folded[];
  /** Phase submit: number of the submit that is out, and what its requests counted as proposed before it. */
  submitSequence: number;
  before: readonly ProposedSoFar[];
  /** Replicas that promised, then replicas that accepted. */
  promises: number;
  votes: number;
  /** P9: class-zero votes are counted per ballot; the one `votes` is about. */
  votesBallot: Ballot;
  refusals: number;
  /** P11: accepted entry with the highest ballot among all answers heard. */
  bestBallot: Ballot;
  bestEntry: Entry | null;
  readonly untilTick: number;
}

export interface PendingRead {
  readonly client: number;
  readonly deadlineTick: number;
}

/** A question for the state of the key to enough voters, and what is known from the answers. */
export interface ReadRound {
  query: number;
  /** The host's turn in which the question was asked: later reads need a later question (P18). */
  turn: number;
  readonly readers: PendingRead[];
  /** Operations whose failed condition waits for this answer. */
  readonly confirming: PendingOperation[];
  readonly states: (StateReplyMessage | null)[];
  asked: number;
  /** Everything acknowledged before the question has an index at or below this one; -1 = not known yet. */
  bound: number;
  /** A ballot at which `bound` was chosen, and one who knows it. */
  boundBallot: Ballot;
  source: ReplicaId | -1;
  readonly startedTick: number;
  /** Ask again, ask more, or fetch again at this tick. */
  retryTick: number;
}

/** The accept that is on its way to the disk, so that state answers show what is durable and nothing else (P2, P18). */
export interface AcceptSnapshot {
  readonly sequence: number;
  readonly index: number;
  readonly accepted: Ballot;
  readonly proposer: ReplicaId;
}

export interface Lane {
  readonly key: Key;
  readonly plog: PLog;
  /** Sequence of the last record or mark asked for; of the last that is durable. */
  writes: number;
  durable: number;
  /** What is durably accepted. */
  durableAccept: AcceptSnapshot;
  readonly pendingAccepts: AcceptSnapshot[];
  /** The chosen entry was learned while there was no room for it; it goes to the disk with the next record above it. */
  baseUnsaved: boolean;
  /** P30: the records on disk are broken. The next one takes the place of them all. */
  damaged: boolean;
  /** P31: this replica is about to vote for the key again. */
  restore: Restore | null;
  /** P7: highest position at which class zero was given away in this incarnation. */
  zeroUsedAt: number;
  /** P6: two entries were found for one index; the key is not served. */
  quarantined: boolean;

  operations: PendingOperation[];
  /** Not later than the earliest deadline of what waits here. */
  nextDeadlineTick: number;
  forwarded: PendingOperation[];
  round: Round | null;
  /** Do not start a round before this tick (back-off). */
  retryTick: number;
  attempts: number;
  /** P30: how many of the others refused what this replica, which may not vote, handed to them; 0 again after all of them. */
  refusals: number;
  /** Highest ordinary counter heard of at position `counterIndex`. */
  counterSeen: number;
  counterIndex: number;
  /** The leader of this position refused a submit here: what waits is forwarded to it (P16). 0 = none. */
  submitRefusedAt: number;
  /** Position that must be settled by two phases whoever proposed there, 0 = none. */
  settleIndex: number;
  /** Chosen index on which all waiting operations were tested against the list of requests (P14). */
  testedIndex: number;

  read: ReadRound | null;
  /** Reads and failed conditions that came too late for the question that is out. */
  nextReads: PendingRead[];
  nextConfirms: PendingOperation[];
  /** P25: reads that met an expired value and wait for its tombstone. */
  expiredReads: PendingRead[];
  /** Not later than the earliest deadline of all reads here. */
  nextReadDeadlineTick: number;

  /** Since when somebody else's ballot stands at chosen.index + 1; 0 = nothing there. */
  busySinceTick: number;
  /** What stands there was on the disk when the lane came to life: nobody is known to be at work on it. */
  foundOnDisk: boolean;
  /** When the undecided accepted entry is to be looked after next (P27). */
  lookAfterTick: number;
  looks: number;
  /** Tick of the last fetch for a missing entry, so that one sign of being behind asks once. */
  fetchedTick: number;
}

/** P31: the way back from learner to voter for a key. It ends when the record that says so is durable. */
export interface Restore {
  readonly loss: number;
  readonly votesFrom: number;
  /** The entry that is wanted first, and until when it is waited for. */
  readonly index: number;
  readonly untilTick: number;
  /** Sequence of the record that says so; 0 = not written yet. */
  sequence: number;
}

/** A lane on the PLog that the disk holds; `damaged`: on that of a learner, because what the disk holds is broken. */
export function newLane(key: Key, plog: PLog, damaged = false): Lane {
  return {
    key,
    plog,
    writes: 0,
    durable: 0,
    durableAccept: {
      sequence: 0,
      index: isBallot(plog.accepted) ? plog.chosen.index + 1 : 0,
      accepted: plog.accepted,
      proposer: plog.acceptedProposer,
    },
    pendingAccepts: [],
    baseUnsaved: false,
    damaged,
    restore: null,
    zeroUsedAt: 0,
    quarantined: false,
    operations: [],
    nextDeadlineTick: Number.MAX_SAFE_INTEGER,
    forwarded: [],
    round: null,
    retryTick: 0,
    attempts: 0,
    refusals: 0,
    counterSeen: 0,
    counterIndex: 0,
    submitRefusedAt: 0,
    settleIndex: 0,
    testedIndex: plog.chosen.index,
    read: null,
    nextReads: [],
    nextConfirms: [],
    expiredReads: [],
    nextReadDeadlineTick: Number.MAX_SAFE_INTEGER,
    busySinceTick: 0,
    foundOnDisk: false,
    lookAfterTick: 0,
    looks: 0,
    fetchedTick: 0,
  };
}

/** The key is one of those that DBSIZE counts, as long as this is its newest entry. */
export function countsAsLive({ key }: Lane, { tombstone }: Entry): boolean {
  return isUserKey(key) && !tombstone;
}

/** What a record says now of where this replica votes: what a restore leads to as soon as it is on its way to the disk. */
export function standingOf(lane: Lane): Standing {
  const { plog, restore } = lane;
  const { learner, votesFrom, loss } = plog;
  if (restore === null || restore.sequence === 0) return { learner, votesFrom, loss };
  return { learner: false, votesFrom: restore.votesFrom, loss: restore.loss };
}

/** The ballot durably accepted at the position above the chosen one, NO_BALLOT when none is (P18). */
export function durablyAccepted(lane: Lane): Ballot {
  const { durableAccept, plog } = lane;
  return durableAccept.index === plog.chosen.index + 1 ? durableAccept.accepted : NO_BALLOT;
}

/** True when the lane holds nothing that the disk does not hold too, and nobody waits for it: the host may drop it. */
export function isIdle(lane: Lane): boolean {
  return (
    lane.durable === lane.writes &&
    lane.operations.length === 0 &&
    lane.forwarded.length === 0 &&
    lane.round === null &&
    lane.read === null &&
    lane.nextReads.length === 0 &&
    lane.nextConfirms.length === 0 &&
    lane.expiredReads.length === 0 &&
    lane.settleIndex === 0 &&
    lane.restore === null &&
    !isBallot(lane.plog.accepted) &&
    !lane.quarantined
  );
}
