/**
 * Broken variants about what lies below a position, what a restart finds and what a replica that lost its disk may do.
 */
import { isBallot, isClassZero, type ReplicaId } from "../../paxos/ballot.js";
import { decodeEntry, type Entry, makeEntry, requestsOf } from "../../paxos/entry.js";
import type { Lane } from "../../paxos/lane.js";
import type { Input } from "../../paxos/replica.js";
import { type Canary, onMessage, waiting } from "./tampering.js";
import type { Replica, Tamper } from "./world.js";

/** The same entry, with another leader of the next position in somebody's mind. */
function believed(entry: Entry, leader: ReplicaId): Entry {
  return { ...entry, leader };
}

/** The entry as its bytes say. */
function truth(entry: Entry): Entry {
  return decodeEntry(entry.bytes) ?? entry;
}

/** Who proposed something at an index takes itself for the leader of the next, and others believe whoever says so. */
function leadsByProposing(): Tamper {
  const before = (replica: Replica, lane: Lane, input: Input): Input => {
    const { plog } = lane;
    const self = replica.id;
    const isMine = (index: number): boolean => index > 0 && waiting(lane).some((pending) => pending.last === index);
    const { index } = plog.chosen;
    const leads = lane.round?.phase === "zero" && lane.round.index === index + 1;
    if (isMine(index) || (leads && index > 0)) plog.chosen = believed(plog.chosen, self);
    if (plog.acceptedEntry !== null && isMine(plog.acceptedEntry.index)) {
      plog.acceptedEntry = believed(plog.acceptedEntry, self);
    }
    if (input.type !== "message") return input;
    const { message } = input;
    if (message.type === "accept" && isClassZero(message.ballot) && message.index === plog.chosen.index + 1) {
      plog.chosen = believed(plog.chosen, message.ballot.replica);
    }
    if (message.type !== "learn" || !isMine(message.entry.index)) return input;
    return { ...input, message: { ...message, entry: believed(message.entry, self) } };
  };
  return {
    beforeStep: (_world, replica, lane, input) => before(replica, lane, input),
    afterStep: (_world, _replica, { plog }) => {
      plog.chosen = truth(plog.chosen);
      if (plog.acceptedEntry !== null) plog.acceptedEntry = truth(plog.acceptedEntry);
    },
  };
}

/** While a lane has nothing to propose, the entry it would copy for a no-op has lost its list of requests. */
function forgetsRequests(): Tamper {
  return {
    beforeStep: (_world, _replica, lane, input) => {
      const { chosen } = lane.plog;
      if (chosen.index > 0 && lane.operations.length === 0) {
        lane.plog.chosen = { ...makeEntry(chosen, []), hash: chosen.hash };
      }
      return input;
    },
    afterStep: (_world, replica, lane) => {
      const { chosen } = lane.plog;
      if (chosen.index === 0 || requestsOf(chosen).length > 0) return;
      const held = replica.disk.slotsOf(lane.key).find(({ write }) => write.entry?.hash === chosen.hash)?.write.entry;
      const flying = replica.queue
        .flatMap((batch) => batch.writes)
        .find(({ entry }) => entry?.hash === chosen.hash)?.entry;
      const whole = held ?? flying;
      if (whole !== undefined && whole !== null) lane.plog.chosen = whole;
    },
  };
}

/** A learner that proposes and votes for what its own clients ask. */
function proposesAsLearner(): Tamper {
  let learner = false;
  return {
    beforeStep: (_world, { context }, lane, input) => {
      learner = !context.mayVote;
      if (learner && (input.type === "write" || lane.round !== null)) context.mayVote = true;
      return input;
    },
    afterStep: (_world, { context }) => {
      if (learner) context.mayVote = false;
    },
  };
}

export const LOSS_CANARIES: readonly Canary[] = [
  { name: "leader_from_own_proposal", rule: "P7, section 1", make: leadsByProposing },
  {
    name: "accept_without_base",
    rule: "P4",
    make: () =>
      onMessage((message, _replica, { plog }) =>
        message.type === "accept" && message.index === plog.chosen.index + 2 && plog.acceptedEntry !== null
          ? { ...message, mark: plog.accepted }
          : message,
      ),
  },
  {
    name: "base_not_checked_at_recovery",
    rule: "P13",
    make: () => ({
      afterCrash: (_world, { disk }) => {
        if (disk.torn) for (const key of [...disk.keys()]) disk.believeBase(key);
      },
    }),
  },
  { name: "noop_drops_window", rule: "P14, P20", make: forgetsRequests },
  {
    name: "forget_tombstone",
    rule: "P24",
    make: () => ({
      afterCrash: (_world, { disk, context }) => {
        for (const key of [...disk.keys()]) {
          const { chosen, promised } = disk.load(key, context).plog;
          if (chosen.index > 0 && chosen.tombstone && !isBallot(promised)) disk.forget(key);
        }
      },
    }),
  },
  { name: "wiped_votes", rule: "P29", make: () => ({ votesAfterLoss: true }) },
  {
    name: "read_counts_learner",
    rule: "P18, P30",
    make: () => onMessage((message) => (message.type === "state-reply" ? { ...message, votes: true } : message)),
  },
  { name: "learner_proposes", rule: "P30", make: proposesAsLearner },
];
