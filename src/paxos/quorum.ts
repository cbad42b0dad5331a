/** Counting votes. Votes are sets of acceptor ids in the bits of a number (P5): a duplicate sets a bit that is set. */
import type { ReplicaId } from "./ballot.js";

/** Most replicas in one group: votes fit the bits of a small integer. */
export const MAX_REPLICAS = 31;

export function majorityOf(replicas: number): number {
  return (replicas >> 1) + 1;
}

export function addVote(votes: number, voter: ReplicaId): number {
  return votes | (1 << voter);
}

export function withoutVote(votes: number, voter: ReplicaId): number {
  return votes & ~(1 << voter);
}

export function hasVote(votes: number, voter: ReplicaId): boolean {
  return ((votes >> voter) & 1) === 1;
}

export function countVotes(votes: number): number {
  let count = 0;
  for (let rest = votes; rest !== 0; rest &= rest - 1) count++;
  return count;
}
