/**
 * Messages that can never again mean anything to their receiver, so that two states which differ only in them are one.
 * Only answers and news: an answer to a round or a question that is over is never looked at again, because rounds have
 * ballots and questions have numbers that no later one has; news of an index that cannot be forgotten is no news.
 */
import { isClassZero, sameBallot } from "../../paxos/ballot.js";
import type { Lane } from "../../paxos/lane.js";
import type { Message } from "../../paxos/message.js";
import type { Replica } from "../soup/world.js";

/** `forgets`: the replica may crash, and then does not know any more what it was told by a mark. */
export function isDead(message: Message, { context }: Replica, lane: Lane, forgets: boolean): boolean {
  const { plog, round, read } = lane;
  switch (message.type) {
    case "promise":
      return round?.phase !== "prepare" || !sameBallot(round.ballot, message.ballot);
    case "accepted":
      if (isClassZero(message.ballot)) return false; // a second submit of the same entry counts the votes of the first
      return round === null || message.ballot.replica !== context.self || !sameBallot(round.ballot, message.ballot);
    case "state-reply":
      return read?.query !== message.query;
    case "submit-refused":
      return round?.phase !== "submit" || round.submitSequence !== message.sequence;
    case "chosen":
      return !forgets && message.index <= plog.chosen.index;
    case "learn":
      if (forgets || message.entry.index > plog.chosen.index) return false;
      return message.entry.index < plog.chosen.index || message.entry.hash === plog.chosen.hash;
    default:
      return false;
  }
}
