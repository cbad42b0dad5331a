/** What a simulated cluster is made of, who is told what happens in it, and where broken variants take hold of it. */
import type { NodeError } from "../node/node-error.js";
import type { RepairOptions } from "../node/repair.js";
import type { ReplicaNode } from "../node/replica-node.js";
import type { KeyService } from "../node/service.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { MemoryFaults } from "../storage/memory-store.js";
import type { SimulatedCluster } from "./cluster.js";
import type { EngineDisk } from "./engine-disk.js";
import type { MemoryMedium } from "./memory-medium.js";
import type { FrameTamper, NetworkOptions } from "./network.js";
import type { StoreTamper, StoreWatch } from "./tapped-store.js";

export interface ClusterOptions {
  readonly seed: number;
  readonly replicas: number;
  readonly network: NetworkOptions;
  /** Duration of a batch on disk: least and most. */
  readonly leastFlushUs: number;
  readonly mostFlushUs: number;
  readonly requestMs: number;
  /** Wall clocks differ by up to this much. */
  readonly wallSkewMs: number;
  /** Monotonic clocks run fast or slow by up to this share; default: none. */
  readonly rateSkew?: number;
  /** The node has a space of its store, as a node in several groups has. */
  readonly inSpace?: boolean;
  /** Values beyond this budget are read from disk. */
  readonly cacheBytes: number;
  /** What the replicas' stores are: the store in memory (default), or the native engine on its simulated disk. */
  readonly engine?: "memory" | "native";
  /** Room on each disk; default: plenty, natively what EngineDisk takes. */
  readonly capacityBytes?: number;
  /** Of the native engine: volumes of a disk that share its room, and the least size of an extent; default: EngineDisk's. */
  readonly volumes?: 1 | 2;
  readonly extentBytes?: number;
  /** Faults of a replica's store in memory; default: none. What a native disk suffers is armed at the disk. */
  readonly faultsOf?: (replica: ReplicaId) => MemoryFaults;
  /** The cluster id in a replica's configuration; default: the same for all. */
  readonly clusterIdOf?: (replica: ReplicaId) => string;
  /** P26, P28; default: the node's own, with a pause of a few seconds between passes. */
  readonly repair?: Partial<RepairOptions>;
  readonly watch?: ClusterWatch;
  readonly tamper?: ClusterTamper;
  /** The trace keeps text. */
  readonly withStory?: boolean;
}

/** Who is told what happens. */
export interface ClusterWatch extends StoreWatch {
  onStarted(replica: ReplicaId): void;
  onKilled(replica: ReplicaId): void;
  /** The node cannot go on: said by a process that runs, or in place of its start. */
  onFatal(replica: ReplicaId, error: NodeError): void;
  onAlarm(replica: ReplicaId, text: string): void;
}

/** A replica's disk; which one, `engine` says. */
export type ClusterDisk = MemoryMedium | EngineDisk;

export type Service = Pick<KeyService, "read" | "write">;

/** A broken variant of the whole: see canaries.ts. */
export interface ClusterTamper {
  readonly frames?: FrameTamper;
  readonly store?: StoreTamper;
  /** What is done to a disk before a process starts on it. */
  beforeStart?(cluster: SimulatedCluster, replica: ReplicaId): void;
  /** What clients of the replica speak with. */
  serviceOf?(cluster: SimulatedCluster, replica: ReplicaId, node: ReplicaNode): Service;
}

export const QUIET: Omit<ClusterOptions, "seed"> = {
  replicas: 3,
  network: { leastDelayUs: 50, mostDelayUs: 150, slowChance: 0, slowUs: 1 },
  leastFlushUs: 80,
  mostFlushUs: 200,
  requestMs: 3000,
  wallSkewMs: 0,
  cacheBytes: 1 << 20,
};
