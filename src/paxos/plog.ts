/**
 * The PLog of a key: the newest chosen entry and at most one undecided position above it. This is the whole durable
 * state of a key, and the database record at the same time.
 */
import { hashKey } from "../base/hash.js";
import type { Key } from "../base/key.js";
import { type Ballot, NO_BALLOT, type ReplicaId } from "./ballot.js";
import { type Entry, GENESIS } from "./entry.js";

/** What a record at index 1 names as its base: there is no entry below it. */
export const GENESIS_HASH = 0;

export interface PLog {
  /** The newest chosen entry; GENESIS when there is none. */
  chosen: Entry;
  /** The ballot at which `chosen` was chosen; NO_BALLOT when not known (it was fetched, or proven by its successor). */
  chosenBallot: Ballot;
  /** Of position chosen.index + 1. */
  promised: Ballot;
  accepted: Ballot;
  acceptedEntry: Entry | null;
  /** The replica that proposed acceptedEntry. */
  acceptedProposer: ReplicaId;
  /** P30: learner-only for this key. */
  learner: boolean;
  /** P31: the first position at which this replica votes for the key again after a loss; 0 = there was none. */
  votesFrom: number;
  /** P31: the number of the loss after which the key was restored; of a learner, the lowest one under which it may be. */
  loss: number;
}

/** What of a PLog says where this replica votes: in every record of the key. */
export type Standing = Pick<PLog, "learner" | "votesFrom" | "loss">;

export function emptyPLog(): PLog {
  return {
    chosen: GENESIS,
    chosenBallot: NO_BALLOT,
    promised: NO_BALLOT,
    accepted: NO_BALLOT,
    acceptedEntry: null,
    acceptedProposer: 0,
    learner: false,
    votesFrom: 0,
    loss: 0,
  };
}

/** The leader of the position above the newest chosen entry. */
export function leaderOf(key: Key, chosen: Entry, replicas: number): ReplicaId {
  return chosen.index === 0 ? hashKey(key) % replicas : chosen.leader;
}
