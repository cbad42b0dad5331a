/**
 * A cluster in one process on virtual time: the real node, codec and consensus code, stores in memory, a simulated
 * network, all drawn from one seed. It offers faults (kill, kill all, cut, heal) and a client's view; what is done with
 * them is the caller's affair.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import { Random } from "../base/random.js";
import { SinkRelay, startReplica } from "../node/open-replica.js";
import type { NodeError } from "../node/node-error.js";
import type { ReplicaNode } from "../node/replica-node.js";
import type { ReplySink } from "../node/service.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../paxos/operation.js";
import { MemoryDisk } from "../storage/memory-disk.js";
import { type MemoryFaults, type MemoryStore, openMemoryStore } from "../storage/memory-store.js";
import { type NetworkOptions, SimulatedNetwork } from "./network.js";
import { VirtualClock, VirtualTime } from "./virtual-time.js";

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
  /** Values beyond this budget are read from disk. */
  readonly cacheBytes: number;
  /** Room on each disk; default: plenty. */
  readonly capacityBytes?: number;
  /** Faults of a replica's disk; default: none. */
  readonly faultsOf?: (replica: ReplicaId) => MemoryFaults;
  /** The cluster id in a replica's configuration; default: the same for all. */
  readonly clusterIdOf?: (replica: ReplicaId) => string;
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

interface Process {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  node: ReplicaNode | null;
}

export class SimulatedCluster {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly disks: MemoryDisk[];
  /** Alarms and fatal errors that nodes reported. */
  readonly alarms: string[] = [];
  readonly fatal: NodeError[] = [];
  readonly #options: ClusterOptions;
  readonly #processes: (Process | null)[];
  readonly #starts: number[];

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.random = new Random(options.seed);
    this.network = new SimulatedNetwork(this.time, this.random, options.replicas, options.network);
    this.disks = Array.from({ length: options.replicas }, (_, replica) => newDisk(replica, 0, options.capacityBytes));
    this.#processes = new Array<Process | null>(options.replicas).fill(null);
    this.#starts = new Array<number>(options.replicas).fill(0);
  }

  start(replica: ReplicaId): void {
    assert(this.#processes[replica] === null, "a replica runs once");
    const options = this.#options;
    const disk = this.disks[replica];
    assert(disk !== undefined, "every replica has a disk");
    const skew = options.wallSkewMs === 0 ? 0 : this.random.below(2 * options.wallSkewMs) - options.wallSkewMs;
    const clock = new VirtualClock(this.time, skew);
    const relay = new SinkRelay();
    const flushUs = (): number =>
      options.leastFlushUs + this.random.below(options.mostFlushUs - options.leastFlushUs + 1);
    const store = openMemoryStore(
      {
        disk,
        nodeId: `n${String(replica + 1)}`,
        cacheBytes: options.cacheBytes,
        faults: options.faultsOf?.(replica) ?? {},
        schedule: (run) => {
          this.time.after(flushUs(), () => {
            if (this.#processes[replica] === process) run();
          });
        },
      },
      relay,
    );
    const process: Process = { clock, store, node: null };
    this.#processes[replica] = process;
    this.#starts[replica] = (this.#starts[replica] ?? 0) + 1;
    const events = {
      onBorn: () => undefined,
      onFatal: (error: NodeError) => this.fatal.push(error),
      onAlarm: (text: string) => this.alarms.push(text),
      onPeer: () => undefined,
    };
    const nodes = this.disks.map((_, other) => ({ replica: other, nodeId: `n${String(other + 1)}` }));
    const { requestMs } = options;
    const clusterId = options.clusterIdOf?.(replica) ?? "sim";
    const facts = { clusterId, nodeId: `n${String(replica + 1)}`, nodes, epoch: 1, requestMs, events };
    const random = new Random(this.random.next32());
    startReplica(facts, store, relay, this.network.attach(replica), random, clock, (error, opened) => {
      if (opened === null) {
        this.fatal.push(error as NodeError); // startReplica has no store to open, so no other error exists
        if (this.#processes[replica] === process) this.#processes[replica] = null;
        return;
      }
      process.node = opened.node;
    });
  }

  startAll(): void {
    for (let replica = 0; replica < this.#options.replicas; replica++) {
      if (this.#processes[replica] === null) this.start(replica);
    }
  }

  /** The process dies at once. Batches under way are lost, or some of the first of them are durable after all. */
  kill(replica: ReplicaId): void {
    const process = this.#processes[replica];
    if (process === null || process === undefined) return;
    this.#processes[replica] = null;
    process.clock.kill();
    process.store.crash(this.random.below(3));
    this.network.detach(replica);
  }

  /** A new, empty disk takes the place of the one of a replica that does not run. */
  wipe(replica: ReplicaId): void {
    assert(this.#processes[replica] === null, "only a replica that does not run can lose its disk");
    this.disks[replica] = newDisk(replica, this.#starts[replica] ?? 0, this.#options.capacityBytes);
  }

  /** Ends the process in order; whether it was open, waiting or failed makes no difference. */
  close(replica: ReplicaId, done: () => void): void {
    const process = this.#processes[replica];
    assert(process?.node !== null && process?.node !== undefined, "only a node that was opened can be closed");
    process.node.close(() => {
      if (this.#processes[replica] === process) this.#processes[replica] = null;
      done();
    });
  }

  isUp(replica: ReplicaId): boolean {
    return this.#processes[replica] !== null;
  }

  /** The node, whatever its state, once it was opened. */
  opened(replica: ReplicaId): ReplicaNode | null {
    return this.#processes[replica]?.node ?? null;
  }

  /** The node, once it serves. */
  node(replica: ReplicaId): ReplicaNode | null {
    const node = this.#processes[replica]?.node ?? null;
    return node !== null && node.stats().state === "serving" ? node : null;
  }

  store(replica: ReplicaId): MemoryStore | null {
    return this.#processes[replica]?.store ?? null;
  }

  /** Runs until every replica that is up serves. False when that does not happen in `withinMs`. */
  runUntilServing(withinMs: number): boolean {
    const ready = (): boolean => this.disks.every((_, replica) => !this.isUp(replica) || this.node(replica) !== null);
    this.time.runUntil(this.time.nowUs + withinMs * 1000, ready);
    return ready();
  }

  run(ms: number): void {
    this.time.runUntil(this.time.nowUs + ms * 1000);
  }

  write(replica: ReplicaId, key: Key, operation: Operation, done: (outcome: WriteOutcome) => void): boolean {
    const node = this.node(replica);
    node?.write(key, operation, new OneReply(done, () => undefined), 0);
    return node !== null;
  }

  read(replica: ReplicaId, key: Key, done: (outcome: ReadOutcome) => void): boolean {
    const node = this.node(replica);
    node?.read(key, new OneReply(() => undefined, done), 0);
    return node !== null;
  }
}

class OneReply implements ReplySink {
  readonly #onWrite: (outcome: WriteOutcome) => void;
  readonly #onRead: (outcome: ReadOutcome) => void;

  constructor(onWrite: (outcome: WriteOutcome) => void, onRead: (outcome: ReadOutcome) => void) {
    this.#onWrite = onWrite;
    this.#onRead = onRead;
  }

  onWrite(_tag: number, outcome: WriteOutcome): void {
    this.#onWrite(outcome);
  }

  onRead(_tag: number, outcome: ReadOutcome): void {
    this.#onRead(outcome);
  }
}

function newDisk(replica: ReplicaId, life: number, capacityBytes?: number): MemoryDisk {
  const id = `${replica.toString(16).padStart(4, "0")}${life.toString(16).padStart(4, "0")}`;
  return new MemoryDisk(id.padEnd(32, "0"), capacityBytes);
}

/** What a backup of the disk holds at this moment: to be put in its place later. */
export function copyOfDisk(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk(disk.storageId, disk.capacityBytes);
  copy.nodeId = disk.nodeId;
  copy.usedBytes = disk.usedBytes;
  copy.lastLsn = disk.lastLsn;
  for (const [key, records] of disk.keys) {
    copy.keys.set(
      key,
      records.map((record) => ({ ...record })),
    );
  }
  return copy;
}
