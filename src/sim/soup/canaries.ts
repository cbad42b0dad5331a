/**
 * Broken variants of the rules, named as in the executable model: about votes, class zero, reads and requests. Those about
 * bases, restarts and losses are in canaries-loss.ts. Every variant must be caught; a walk that catches none proves nothing.
 */
import { isBallot, isClassZero, NO_BALLOT, sameBallot, zeroBallot } from "../../paxos/ballot.js";
import { HandoffLog } from "../../paxos/handoffs.js";
import type { Message, StateReplyMessage } from "../../paxos/message.js";
import { leaderOf } from "../../paxos/plog.js";
import { countVotes, hasVote, majorityOf } from "../../paxos/quorum.js";
import { LOSS_CANARIES } from "./canaries-loss.js";
import { type Canary, forgeVotes, forgetPosition, onLane, onMessage, ownState, waiting } from "./tampering.js";

const votes: readonly Canary[] = [
  {
    name: "promise_not_durable",
    rule: "P2",
    byConsequences: true,
    make: () => ({ early: (replica, { to, message }) => message.type === "promise" && to !== replica.id }),
  },
  {
    name: "accept_not_durable",
    rule: "P2",
    byConsequences: true,
    make: () => ({ early: (replica, { to, message }) => message.type === "accepted" && to !== replica.id }),
  },
  {
    name: "own_vote_early",
    rule: "P11",
    byConsequences: true,
    make: () => ({ early: (replica, { to }) => to === replica.id }),
  },
  {
    name: "state_not_durable",
    rule: "P2, P18",
    byConsequences: true,
    make: () =>
      onLane((lane) => {
        const last = lane.pendingAccepts[lane.pendingAccepts.length - 1];
        if (last !== undefined) lane.durableAccept = last;
      }),
  },
  { name: "dup_votes", rule: "P5", make: () => forgeVotes((from, replica) => from !== replica.id, 1) },
  { name: "majority_of_one", rule: "P11", make: () => forgeVotes((from, replica) => from === replica.id, 4) },
  {
    name: "late_lowers_promise",
    rule: "P5",
    make: () =>
      onMessage((message, _replica, lane) => {
        if (message.type === "prepare" && message.index === lane.plog.chosen.index + 1) lane.plog.promised = NO_BALLOT;
        return message;
      }),
  },
  {
    name: "accept_below_promise",
    rule: "P1",
    make: () =>
      onMessage((message, _replica, lane) => {
        const low =
          message.type === "accept" && message.ballot.counter > 0 && message.index === lane.plog.chosen.index + 1;
        if (low) lane.plog.promised = NO_BALLOT;
        return message;
      }),
  },
  {
    name: "ignore_accepted",
    rule: "P11",
    make: () =>
      onMessage((message) => (message.type === "promise" ? { ...message, accepted: NO_BALLOT, entry: null } : message)),
  },
  {
    name: "first_accepted",
    rule: "P11",
    make: () =>
      onMessage((message, _replica, lane) =>
        message.type === "promise" && lane.round?.bestEntry
          ? { ...message, accepted: NO_BALLOT, entry: null }
          : message,
      ),
  },
  {
    name: "behind_as_empty",
    rule: "P4",
    make: () =>
      onMessage((message, replica, lane, from, world) => {
        if (message.type === "prepare" && lane.plog.chosen.index >= message.index) {
          const { key, index, ballot } = message;
          const empty = { promised: ballot, accepted: NO_BALLOT, entry: null, chosenIndex: index - 1 };
          world.forge(replica.id, from, { type: "promise", key, index, ballot, granted: true, ...empty });
        }
        return message;
      }),
  },
  { name: "ballot_reused", rule: "section 1", make: () => ({ keepsIncarnation: true }) },
];

const classZero: readonly Canary[] = [
  {
    name: "zero_twice",
    rule: "P7",
    make: () =>
      onLane((lane, { context }, input) => {
        const asks = input.type === "write" || (input.type === "message" && input.message.type === "submit");
        if (!asks || !sameBallot(lane.plog.accepted, zeroBallot(context.self, context.incarnation))) return;
        forgetPosition(lane);
        lane.zeroUsedAt = 0;
        lane.round = null;
      }),
  },
  {
    name: "used_flag_cleared",
    rule: "P7",
    make: () =>
      onLane((lane, { context }, input) => {
        const own = zeroBallot(context.self, context.incarnation);
        if (input.type !== "write" || !sameBallot(lane.plog.accepted, own) || lane.pendingAccepts.length === 0) return;
        forgetPosition(lane);
        lane.zeroUsedAt = 0;
        lane.round = null;
      }),
  },
  {
    name: "zero_after_promise",
    rule: "P7",
    make: () =>
      onLane((lane) => {
        const { plog } = lane;
        if (lane.round === null && plog.promised.counter > 0 && !isBallot(plog.accepted)) plog.promised = NO_BALLOT;
      }),
  },
  {
    name: "zero_without_leader",
    rule: "P9",
    make: () => ({
      afterStep: (world, replica, lane, input) => {
        const { round } = lane;
        if (input.type !== "message" || input.message.type !== "accepted" || round === null) return;
        const leader = leaderOf(lane.key, lane.plog.chosen, world.replicas.length);
        const enough = countVotes(round.votes) >= majorityOf(world.replicas.length);
        if (enough && !hasVote(round.votes, leader)) world.forge(leader, replica.id, input.message);
      },
    }),
  },
  {
    name: "zero_overwrite",
    rule: "P3",
    make: () =>
      onMessage((message, _replica, lane) => {
        const open = message.type === "accept" && message.index === lane.plog.chosen.index + 1;
        const other = open && !sameBallot(message.ballot, lane.plog.accepted) && isClassZero(message.ballot);
        if (other && isClassZero(lane.plog.accepted)) forgetPosition(lane);
        return message;
      }),
  },
  {
    name: "chosen_by_class",
    rule: "P13",
    make: () =>
      onMessage((message, _replica, lane) =>
        message.type === "chosen" && isClassZero(message.ballot) && isClassZero(lane.plog.accepted)
          ? { ...message, ballot: lane.plog.accepted }
          : message,
      ),
  },
  {
    name: "chosen_without_ballot",
    rule: "P13",
    make: () =>
      onMessage((message, _replica, lane) =>
        message.type === "chosen" && isBallot(lane.plog.accepted)
          ? { ...message, ballot: lane.plog.accepted }
          : message,
      ),
  },
];

const reads: readonly Canary[] = [
  {
    name: "read_ignores_accepted",
    rule: "P19",
    make: () =>
      onMessage((message) => (message.type === "state-reply" ? { ...message, accepted: NO_BALLOT } : message)),
  },
  {
    name: "read_one_replica",
    rule: "P18",
    make: () => ({
      onSend: (world, replica, { to, message }) => {
        if (message.type === "state-query") {
          world.forge(to, replica.id, ownState(replica, world.laneOf(replica, message.key), message.query));
        }
        return message;
      },
    }),
  },
  {
    name: "read_old_state",
    rule: "P18",
    make: () => {
      const old = new Map<string, StateReplyMessage>();
      return {
        onSend: (_world, replica, { to, message }): Message => {
          if (message.type !== "state-reply") return message;
          const name = `${String(replica.id)} ${String(to)} ${message.key}`;
          const earlier = old.get(name) ?? message;
          old.set(name, message);
          return { ...earlier, query: message.query };
        },
      };
    },
  },
  {
    name: "read_zero_without_leader",
    rule: "P20",
    make: () =>
      onMessage((message, _replica, _lane, from) =>
        message.type === "state-reply" ? { ...message, leader: from } : message,
      ),
  },
  {
    name: "expired_by_local_clock",
    rule: "P25",
    make: () => ({
      afterStep: (world, replica, lane) => {
        const { index } = lane.plog.chosen;
        for (const { client } of lane.expiredReads.splice(0)) {
          const absent = {
            status: "ok",
            found: false,
            value: new Uint8Array(0),
            version: 0,
            expiryMs: 0,
            index,
          } as const;
          world.options.observer.onReadReply(replica, lane.key, client, absent);
        }
      },
    }),
  },
];

const requests: readonly Canary[] = [
  {
    name: "retry_without_id",
    rule: "P14",
    make: () =>
      onLane((lane) => {
        for (const pending of waiting(lane)) pending.since = 0;
      }),
  },
  {
    name: "window_ignored",
    rule: "P14",
    make: () =>
      onLane((lane, _replica, input) => {
        let covered = lane.plog.chosen.coveredFrom;
        if (input.type === "message") {
          const { message } = input;
          if ("entry" in message) covered = Math.max(covered, message.entry?.coveredFrom ?? 0);
          if ("base" in message) covered = Math.max(covered, message.base?.coveredFrom ?? 0);
        }
        for (const pending of waiting(lane)) if (pending.since > 0) pending.since = Math.max(pending.since, covered);
      }),
  },
  {
    name: "forward_without_since",
    rule: "P16",
    make: () => ({
      onSend: (_world, _replica, { message }) => (message.type === "forward" ? { ...message, since: 0 } : message),
    }),
  },
  {
    name: "forward_taken_twice",
    rule: "P16",
    make: () =>
      onLane((_lane, { context }) => {
        for (let peer = 0; peer < context.replicas; peer++) context.handoffsTaken[peer] = new HandoffLog();
      }),
  },
  {
    name: "not_applied_forwarded",
    rule: "P16",
    make: () =>
      onLane((lane) => {
        for (const pending of lane.operations) if (pending.direct) pending.forwardedTo = -1;
      }),
  },
  {
    name: "not_applied_although_proposed",
    rule: "P12",
    make: () =>
      onLane((lane) => {
        for (const pending of lane.operations) pending.last = 0;
      }),
  },
];

export const CANARIES: readonly Canary[] = [...votes, ...classZero, ...reads, ...requests, ...LOSS_CANARIES];
