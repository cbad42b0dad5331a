/**
 * The tools of broken variants: the core cannot be told to break a rule, so each variant is a host that lies around it. It
 * rewrites what is delivered, damages the lane in the way a missing rule would, or forges a vote.
 */
import { NO_BALLOT } from "../../paxos/ballot.js";
import type { Lane, PendingOperation } from "../../paxos/lane.js";
import type { Message, StateReplyMessage } from "../../paxos/message.js";
import { leaderOf } from "../../paxos/plog.js";
import type { Input } from "../../paxos/replica.js";
import type { Replica, Tamper, World } from "./world.js";

export interface Canary {
  readonly name: string;
  readonly rule: string;
  /** A fresh one for every walk: variants may remember things. */
  readonly make: () => Tamper;
  /** The oracle's look at messages that leave too early would catch it at once; its consequences must do. */
  readonly byConsequences?: boolean;
}

/** Rewrites a delivered message. */
export function onMessage(
  rewrite: (message: Message, replica: Replica, lane: Lane, from: number, world: World) => Message,
): Tamper {
  return {
    beforeStep: (world, replica, lane, input): Input =>
      input.type === "message" && input.from !== replica.id
        ? { ...input, message: rewrite(input.message, replica, lane, input.from, world) }
        : input,
  };
}

/** Changes the lane before a step. */
export function onLane(change: (lane: Lane, replica: Replica, input: Input) => void): Tamper {
  return {
    beforeStep: (_world, replica, lane, input): Input => {
      change(lane, replica, input);
      return input;
    },
  };
}

export function waiting(lane: Lane): readonly PendingOperation[] {
  return [...lane.operations, ...lane.forwarded];
}

export function isGrant(message: Message): boolean {
  return (message.type === "promise" || message.type === "accepted") && message.granted;
}

/** After a vote of `voters` was counted, it comes again as if another replica had cast it. */
export function forgeVotes(voters: (from: number, replica: Replica) => boolean, copies: number): Tamper {
  return {
    afterStep: (world, replica, _lane, input) => {
      if (input.type !== "message" || !isGrant(input.message) || !voters(input.from, replica)) return;
      const count = world.replicas.length;
      for (let i = 1; i <= copies; i++) {
        const other = (input.from + i) % count;
        if (other !== replica.id) world.forge(other, replica.id, input.message);
      }
    },
  };
}

export function forgetPosition(lane: Lane): void {
  lane.plog.promised = NO_BALLOT;
  lane.plog.accepted = NO_BALLOT;
  lane.plog.acceptedEntry = null;
}

export function ownState(replica: Replica, lane: Lane, query: number): StateReplyMessage {
  const { chosen, chosenBallot } = lane.plog;
  return {
    type: "state-reply",
    key: lane.key,
    query,
    votes: true,
    chosenIndex: chosen.index,
    chosenBallot,
    leader: leaderOf(lane.key, chosen, replica.context.replicas),
    accepted: NO_BALLOT,
    proposer: 0,
    entry: null,
  };
}
