/**
 * What a replica offers to the rooms above it: writes, strong reads and facts. Callbacks with a tag, no promises: the
 * public API wraps them.
 */
import type { Key } from "../base/key.js";
import type { PassFindings } from "./sweep/findings.js";
import type { Ballot, ReplicaId } from "../paxos/ballot.js";
import type { SpaceLevel } from "../storage/store.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../paxos/operation.js";

export interface ReplySink {
  onWrite(tag: number, outcome: WriteOutcome): void;
  onRead(tag: number, outcome: ReadOutcome): void;
}

/** Asks for a read for what it leaves on disk. */
export const NOBODY: ReplySink = { onWrite: () => undefined, onRead: () => undefined };

/** One replica's state of a key, for people to look at (PLOG). */
export interface PLogView {
  readonly replica: ReplicaId;
  readonly nodeId: string;
  /** False: did not answer in time; then the rest is meaningless. */
  readonly answered: boolean;
  readonly votes: boolean;
  readonly chosenIndex: number;
  readonly leader: ReplicaId;
  readonly accepted: Ballot;
}

export interface PeerView {
  readonly replica: ReplicaId;
  readonly nodeId: string;
  readonly state: "self" | "connected" | "connecting" | "suspected" | "refused";
  readonly detail: string;
  readonly incarnation: number;
  readonly rttUs: number;
  /** P17: its disk is so slow that leadership is taken from it. */
  readonly isSlow: boolean;
}

/** Counters since the start of the process; fields are added, never renamed. */
export interface NodeStats {
  readonly nodeId: string;
  readonly replica: ReplicaId;
  readonly clusterId: string;
  readonly incarnation: number;
  readonly storageId: string;
  /** loading: recovery or binding not done; waiting: birth waits for the nodes named in `waitingFor`; serving; failed. */
  readonly state: "loading" | "waiting" | "serving" | "failed" | "closed";
  /** voter; learner: its disk was lost, in part or not, and not every key is restored (P30, P31); or silent by order. */
  readonly mode: "voter" | "learner" | "learner-by-order";
  readonly waitingFor: readonly string[];
  /** P31: number of the disk's last loss, and of the last of all of it, 0 = none; whether not every key is restored after that; why. */
  readonly loss: number;
  readonly lossAll: number;
  readonly lossOpen: boolean;
  /** There may be keys that this replica has no vote for: after a loss of all, or of single records, until it has asked for each. */
  readonly restoring: boolean;
  readonly lossReason: string;
  /** Peers that have not confirmed the present loss yet: nothing is restored before. */
  readonly unfenced: readonly string[];
  readonly peers: readonly PeerView[];
  readonly lanes: number;
  readonly undecided: number;
  readonly writes: number;
  readonly reads: number;
  readonly writesOk: number;
  readonly writesUnknown: number;
  readonly writesNotApplied: number;
  readonly fastRounds: number;
  readonly submittedRounds: number;
  readonly twoPhaseRounds: number;
  readonly forwards: number;
  readonly catchUps: number;
  readonly messagesSent: number;
  readonly framesSent: number;
  readonly alarms: number;
  /** P26 to P31: the sweep, in words of sweep/sweep.ts. */
  readonly sweepPasses: number;
  readonly sweepBucketsDone: number;
  readonly sweepSinceTicks: number;
  readonly sweepFound: Readonly<PassFindings>;
  readonly catchUpBacklog: number;
  readonly catchUpAgeTicks: number;
  readonly keysFetched: number;
  readonly keysRestored: number;
  /** P27: undecided positions with a lane, younger and older than what the second level settles. */
  readonly undecidedLevel1: number;
  readonly undecidedLevel2: number;
  /** Of the store below. */
  readonly flushes: number;
  readonly runs: number;
  readonly recordsWritten: number;
  readonly bytesWritten: number;
  readonly diskReads: number;
  readonly flushUs: number;
  readonly bytesUsed: number;
  readonly bytesTotal: number;
  /** D10 to D12: merge's debt in dead bytes, what it moves of late, and what is left. */
  readonly spaceLevel: SpaceLevel;
  readonly mergeDebtBytes: number;
  readonly liveBytes: number;
  readonly freeExtents: number;
  readonly keptExtents: number;
  readonly totalExtents: number;
  /** Infinite = never, at the present rates. */
  readonly secondsToFull: number;
  readonly stalledBatches: number;
  readonly stalls: number;
  readonly mergeBytesPerSecond: number;
  readonly mergeBytesCopied: number;
  readonly mergeExtents: number;
  /** D19. */
  readonly scrubPasses: number;
  readonly scrubBytes: number;
  readonly damagedRecords: number;
  readonly corruptKeys: number;
  readonly indexBytes: number;
  readonly cacheBytes: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
}

/** One group that this node is in, and how it stands there. */
export interface GroupStats {
  readonly group: number;
  readonly stats: NodeStats;
}

/**
 * Told of a key when this replica learns of an entry that changed it: in rising versions, but not of all of them, when it
 * learned of several at once. `live`: false when the key was deleted or has expired. Called in the middle of a turn.
 */
export type ChangeListener = (key: Key, version: number, live: boolean) => void;

export interface KeyService {
  /** The outcome arrives once, later, through the sink (never during this call). */
  write(key: Key, operation: Operation, sink: ReplySink, tag: number): void;
  /** A strong read (P18 to P21). */
  read(key: Key, sink: ReplySink, tag: number): void;
  /** Asks every replica for its state of the key; `done` is called once. */
  inspect(key: Key, done: (views: readonly PLogView[]) => void): void;
  /** Of the whole node: over all of its groups. */
  stats(): NodeStats;
  groupStats(): readonly GroupStats[];
  /** From now on `listener` is told of changes, in place of the former one; null: nobody is. */
  listen(listener: ChangeListener | null): void;
  /** A node of the cluster is there, as far as this one can tell. */
  hears(nodeId: string): boolean;
  /** P30, by order: `done` once it is durable; the node votes, or is silent, from then on. */
  setLearner(on: boolean, done: () => void): void;
  /** P28: a whole pass of the sweep from now on; `done` with what it found, or, when the node stops first, with what the last one found. */
  verifyNow(done: (found: Readonly<PassFindings>) => void): void;
  /**
   * P31: an operator gives up what this replica and another one have both lost before either was repaired: this one votes
   * again for it. Writes that were acknowledged may be gone for good. False when nothing waits for that.
   */
  acceptLoss(): boolean;
  /** Live user keys at this replica. */
  countKeys(): number;
  /**
   * Visits the live user keys among the next `limit` or so that this replica holds, from `cursor` on (0 = the beginning).
   * Returns where to go on, 0 at the end. A key that is there all the while is visited exactly once.
   */
  scanKeys(cursor: bigint, limit: number, visit: (key: Key) => void): bigint;
}
