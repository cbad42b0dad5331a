/**
 * Ballots: totally ordered proposal numbers. Class zero is (0, incarnation) and belongs to the leader of a position;
 * ordinary ballots are (counter >= 1, replica, incarnation). Every class-zero ballot is below every ordinary one.
 * No clock is part of a ballot.
 */

/** A replica's number in its group, 0 to N-1. */
export type ReplicaId = number;

export interface Ballot {
  /** 0 = class zero; -1 = no ballot at all. */
  readonly counter: number;
  /** The replica that may use it: the leader of the position in class zero. */
  readonly replica: ReplicaId;
  readonly incarnation: number;
}

/** Below every ballot: nothing promised, nothing accepted. */
export const NO_BALLOT: Ballot = { counter: -1, replica: 0, incarnation: 0 };

export function zeroBallot(leader: ReplicaId, incarnation: number): Ballot {
  return { counter: 0, replica: leader, incarnation };
}

export function ordinaryBallot(counter: number, replica: ReplicaId, incarnation: number): Ballot {
  return { counter, replica, incarnation };
}

/** True for every ballot but NO_BALLOT. */
export function isBallot(ballot: Ballot): boolean {
  return ballot.counter >= 0;
}

export function isClassZero(ballot: Ballot): boolean {
  return ballot.counter === 0;
}

/** Negative, zero or positive as a is below, equal to or above b. */
export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.counter !== b.counter) return a.counter - b.counter;
  if (a.replica !== b.replica) return a.replica - b.replica;
  return a.incarnation - b.incarnation;
}

export function sameBallot(a: Ballot, b: Ballot): boolean {
  return a.counter === b.counter && a.replica === b.replica && a.incarnation === b.incarnation;
}
