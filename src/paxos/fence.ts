/**
 * P31, round one, at those who are not concerned: a replica has lost its disk, and what it had said before counts no
 * more. Its votes are taken out of what was counted; an entry that it showed stays known, for that is never wrong.
 */
import type { ReplicaId } from "./ballot.js";
import type { Lane } from "./lane.js";
import { withoutVote } from "./quorum.js";

export function forgetVotes(lane: Lane, replica: ReplicaId): void {
  const { round, read } = lane;
  if (round !== null) {
    round.promises = withoutVote(round.promises, replica);
    round.votes = withoutVote(round.votes, replica);
  }
  if (read !== null) read.states[replica] = null;
}
