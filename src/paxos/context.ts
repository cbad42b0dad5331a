/**
 * What the lanes of one replica share and the host keeps up to date: who we are, what time it is, who is suspected.
 * Plain fields, set before a step, so that the core reads no clock and no random source of its own.
 */
import type { Random } from "../base/random.js";
import type { ReplicaId } from "./ballot.js";
import type { HandoffLog } from "./handoffs.js";

export interface Context {
  readonly self: ReplicaId;
  /** N, odd. */
  readonly replicas: number;
  /** Changes only while nothing was said with it yet: a disk that forgot takes one above all that its peers remember (P29). */
  incarnation: number;
  readonly random: Random;
  /** Monotonic time in ticks (1 tick = 1 ms). */
  tick: number;
  /** What is heard in this turn may have lain unread for so long: this process stood still. In ticks, 0 = it did not. */
  lateTicks: number;
  /** Number of the host's turn: messages of one turn leave together at its end, so reads of one turn may share a question. */
  turn: number;
  /** Wall clock in ms. Decides expiry and nothing else (P25). */
  wallMs: number;
  /** False: this node may not promise, accept or propose (P29, P30: not born yet, or learner-only). */
  mayVote: boolean;
  /** P31: number of this disk's losses so far, as the peers are told it. */
  loss: number;
  /** Number of the last loss of the whole disk, 0 = none: what was recorded under a lower one does not vote. */
  lossAll: number;
  /** That loss is not closed: nothing is known of keys without a record here. */
  lossOpen: boolean;
  /** False once the store has FAILED: no record can become durable any more. */
  storeWorks: boolean;
  /** D12: values are refused, promises are not. */
  diskFull: boolean;
  /** Merge makes room: what finds the disk full waits, and is not refused. */
  roomReturns: boolean;
  /** P10, per replica; the own one is never suspected. */
  readonly suspected: boolean[];
  /** P17: whom entries proposed here name as the next leader: this replica, unless its disk is much slower than another's. */
  namedLeader: ReplicaId;
  /** P17: disks that are much slower than the quickest and than the own one: two rounds among the others are sooner over. */
  readonly avoided: boolean[];
  /** P17: since when each replica's disk is slow, the own one included; 0 = it is not. For people and advice. */
  readonly slowSinceTick: number[];
  /** The other replicas, quickest first. */
  readonly peerOrder: ReplicaId[];
  /** A small multiple of round trip plus flush: how long to wait for one who lives, in ticks. */
  patienceTicks: number;
  /** How long a position may stay undecided before anybody settles it (level 2 of P27), in ticks. */
  settleTicks: number;
  /** Incarnation of each peer as bound by this node, 0 = not bound. */
  readonly peerIncarnations: number[];
  /** Number of the last submit or forward sent to each peer's present incarnation, and which of its own were taken (P16). */
  readonly handoffsSent: number[];
  readonly handoffsTaken: HandoffLog[];
  /** Counter of the last request id given out. */
  lastRequest: number;
  /** Counter of the last state query sent. */
  lastQuery: number;
}
