/**
 * A cluster in one process on virtual time: the real node, codec and consensus code, simulated disks and network, all
 * drawn from one seed. It offers what can happen to processes, clocks and disks (network.ts has the rest), a client's
 * view, and a place for whoever watches; what is done with them is the caller's affair.
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
import { openMemoryStore } from "../storage/memory-store.js";
import { StoreOpenError } from "../storage/open-error.js";
import { RECORD_HASH_OFFSET } from "../codec/record.js";
import { SharedStore } from "../storage/shared-store.js";
import type { Store, StoreSink } from "../storage/store.js";
import type { ClusterDisk, ClusterOptions, Service } from "./cluster-options.js";
import type { SimulatedStore } from "./disk.js";
import { EngineDisk } from "./engine-disk.js";
import { openEngineStore } from "./engine-store.js";
import { FaultHits } from "./fault-kinds.js";
import { Gate } from "./gate.js";
import { MemoryMedium } from "./memory-medium.js";
import { SimulatedNetwork } from "./network.js";
import { TappedStore, tappedSink } from "./tapped-store.js";
import { Trace } from "./trace.js";
import { VirtualClock, VirtualTime, wallMsAt } from "./virtual-time.js";

export {
  type ClusterDisk,
  type ClusterOptions,
  type ClusterTamper,
  type ClusterWatch,
  QUIET,
} from "./cluster-options.js";

/** How a process ends. closed: its peers see their connections end. silent: the machine is gone, and they see nothing. */
export type Death = "closed" | "silent";

interface Process {
  readonly gate: Gate;
  readonly clock: VirtualClock;
  readonly store: SimulatedStore;
  /** Its keys as the node names them: the store, or its space of it. */
  readonly held: Store;
  /** The store as the node sees it. */
  readonly tapped: TappedStore;
  readonly relay: SinkRelay;
  node: ReplicaNode | null;
  service: Service | null;
}

/** Seeds of what must not disturb each other: the same frames are delayed whatever a disk does. */
const NETWORK_STREAM = 0x6e657477;
const DISK_STREAM = 0x6469736b;
const BLOCK_BYTES = 4096;
const VERIFY_SECONDS = 3;

const SPACE = 3;

/** One group holds all slots. */
const ALONE = { epoch: 1, group: 0, placement: 0 };

export class SimulatedCluster {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly disks: ClusterDisk[];
  readonly trace: Trace;
  readonly hits = new FaultHits();
  /** Alarms and fatal errors that nodes reported. */
  readonly alarms: string[] = [];
  readonly fatal: NodeError[] = [];
  readonly options: ClusterOptions;
  readonly #diskRandom: Random;
  /** Every disk that was ever in use, and the source of every copy. */
  readonly #made: ClusterDisk[];
  readonly #processes: (Process | null)[];
  readonly #starts: number[];
  /** A slow disk takes this many times as long. */
  readonly #slowness: number[];
  #mostWallOffsetMs = 0;
  #leastWallOffsetMs = 0;

  constructor(options: ClusterOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.#diskRandom = new Random(options.seed ^ DISK_STREAM);
    this.trace = new Trace(() => this.time.nowUs, options.withStory ?? false);
    const hooks = { trace: this.trace, hits: this.hits, tamper: options.tamper?.frames ?? null };
    const networkRandom = new Random(options.seed ^ NETWORK_STREAM);
    this.network = new SimulatedNetwork(this.time, networkRandom, options.replicas, options.network, hooks);
    this.disks = Array.from({ length: options.replicas }, (_, replica) => newDisk(options, replica, 0));
    this.#made = [...this.disks];
    this.#processes = new Array<Process | null>(options.replicas).fill(null);
    this.#starts = new Array<number>(options.replicas).fill(0);
    this.#slowness = new Array<number>(options.replicas).fill(1);
  }

  /**
   * Throws StoreOpenError when the disk is another node's. When the power goes while the disk is opened, the replica is
   * not up afterwards. What a cut of the power took from the disk is drawn here.
   */
  start(replica: ReplicaId): void {
    assert(this.#processes[replica] === null, "a replica runs once");
    this.options.tamper?.beforeStart?.(this, replica);
    this.trace.note("start", replica, this.#starts[replica] ?? 0);
    this.trace.tell(`${nameOf(replica)} starts`);
    const disk = this.disks[replica];
    if (disk?.powerIsOff === true) disk.losePower(this.#diskRandom.next32());
    const process = this.#openProcess(replica);
    this.#starts[replica] = (this.#starts[replica] ?? 0) + 1;
    if (process === null) {
      this.hits.hit("crash-in-recovery");
      this.trace.note("kill", replica, 1);
      this.trace.tell(`${nameOf(replica)} loses its power while it opens its disk`);
      return;
    }
    this.#processes[replica] = process;
    this.options.watch?.onStarted(replica);
    const nodes = this.disks.map((_, other) => ({ replica: other, nodeId: nameOf(other) }));
    const clusterId = this.options.clusterIdOf?.(replica) ?? "sim";
    const { requestMs } = this.options;
    const events = this.#eventsOf(replica);
    const repair = { verifySeconds: VERIFY_SECONDS, ...this.options.repair };
    const facts = { clusterId, nodeId: nameOf(replica), nodes, ...ALONE, requestMs, events, repair };
    const random = new Random(this.random.next32());
    const transport = this.network.attach(replica, process.gate);
    startReplica(facts, process.tapped, process.relay, transport, random, process.clock, (error, opened) => {
      if (opened === null) {
        process.gate.kill();
        if (this.#processes[replica] === process) this.#processes[replica] = null;
        this.#fatal(replica, error as NodeError); // startReplica has no store to open, so no other error exists
        return;
      }
      process.node = opened.node;
      process.service = this.options.tamper?.serviceOf?.(this, replica, opened.node) ?? opened.node;
    });
  }

  /** Null: the power went while the store was opened. */
  #openProcess(replica: ReplicaId): Process | null {
    const { options, time } = this;
    const disk = this.disks[replica];
    assert(disk !== undefined, "every replica has a disk");
    const gate = new Gate();
    const relay = new SinkRelay();
    const tap = { replica, watch: options.watch ?? null, tamper: options.tamper?.store ?? null, trace: this.trace };
    const sink = tappedSink(relay, tap, () => {
      tapped.unfinished--;
    });
    const shared = options.inSpace === true ? this.#newShared(gate) : null;
    const store = this.#openStore(replica, disk, gate, shared ?? sink);
    if (store === null) return null;
    shared?.attach(store);
    const held = shared?.open(SPACE, sink) ?? store;
    const tapped = new TappedStore(held, tap, (token) => {
      time.after(1, () => {
        gate.enter(() => {
          relay.onDurable(token, "ok");
        });
      });
    });
    const { wallSkewMs, rateSkew = 0 } = options;
    const wallOffsetMs = wallSkewMs === 0 ? 0 : this.random.below(2 * wallSkewMs) - wallSkewMs;
    this.#noteWallOffset(wallOffsetMs);
    const rate = rateSkew === 0 ? 1 : 1 + rateSkew * (this.random.below(2001) / 1000 - 1);
    if (rate !== 1) this.hits.hit("skewed-rate");
    return {
      gate,
      clock: new VirtualClock(time, gate, { wallOffsetMs, rate }),
      store,
      held,
      tapped,
      relay,
      node: null,
      service: null,
    };
  }

  #newShared(gate: Gate): SharedStore {
    return new SharedStore((run) => {
      this.time.after(1, () => {
        gate.enter(run);
      });
    });
  }

  #openStore(replica: ReplicaId, disk: ClusterDisk, gate: Gate, sink: StoreSink): SimulatedStore | null {
    const { options, time } = this;
    const after = (delayUs: number, run: () => void): void => {
      time.after(delayUs, () => {
        gate.enter(run);
      });
    };
    const schedule = (run: () => void): void => {
      after(this.#flushUs(replica), run);
    };
    const common = { nodeId: nameOf(replica), cacheBytes: options.cacheBytes, schedule };
    if (disk.engine === "memory") {
      return openMemoryStore({ ...common, disk, faults: options.faultsOf?.(replica) ?? {} }, sink);
    }
    assert(options.faultsOf === undefined, "faults of a native disk are armed at the disk");
    const nowUs = (): number => time.nowUs;
    const onPowerLost = (): void => {
      this.kill(replica, "silent");
    };
    const native = { disk, after, nowUs, onPowerLost, digestOffset: RECORD_HASH_OFFSET };
    const opened = openEngineStore({ ...common, ...native }, sink);
    if (!(opened instanceof StoreOpenError)) return opened;
    if (!disk.powerIsOff) throw opened;
    return null;
  }

  #flushUs(replica: ReplicaId): number {
    const { leastFlushUs, mostFlushUs } = this.options;
    const slowness = this.#slowness[replica] ?? 1;
    if (slowness > 1) this.hits.hit("slow-disk");
    return (leastFlushUs + this.#diskRandom.below(mostFlushUs - leastFlushUs + 1)) * slowness;
  }

  #eventsOf(replica: ReplicaId) {
    return {
      onBorn: () => undefined,
      onFatal: (error: NodeError) => {
        this.#fatal(replica, error);
      },
      onAlarm: (text: string) => {
        this.alarms.push(text);
        this.trace.tell(`${nameOf(replica)} raises the alarm: ${text}`);
        this.options.watch?.onAlarm(replica, text);
      },
      onPeer: (text: string) => {
        this.trace.tell(`${nameOf(replica)}: ${text}`);
      },
    };
  }

  #fatal(replica: ReplicaId, error: NodeError): void {
    this.fatal.push(error);
    this.trace.tell(`${nameOf(replica)} cannot go on: ${error.message}`);
    this.options.watch?.onFatal(replica, error);
  }

  startAll(): void {
    for (let replica = 0; replica < this.options.replicas; replica++) {
      if (this.#processes[replica] === null) this.start(replica);
    }
  }

  /** The process dies at once. Batches under way are lost, or some of the first of them are durable after all. */
  kill(replica: ReplicaId, death: Death = "closed"): void {
    const process = this.#processes[replica];
    if (process === null || process === undefined) return;
    this.#processes[replica] = null;
    this.trace.note("kill", replica, 0);
    this.trace.tell(`${nameOf(replica)} is killed${death === "silent" ? ", and its machine with it" : ""}`);
    process.gate.kill();
    if (process.tapped.unfinished > 0) this.hits.hit("lost-unflushed");
    process.store.crash(this.#diskRandom.below(3));
    const disk = this.disks[replica];
    // A cut of the power is made good at the next start.
    if (death === "silent" && disk?.engine === "native" && !disk.powerIsOff) {
      disk.losePower(this.#diskRandom.next32());
    }
    this.network.detach(replica, death);
    this.options.watch?.onKilled(replica);
  }

  /** The process is stopped, or its event loop is stuck, until `resume` is called as often. */
  pause(replica: ReplicaId): void {
    this.#processes[replica]?.gate.close();
  }

  /** How much came while it was stopped. */
  resume(replica: ReplicaId): number {
    return this.#processes[replica]?.gate.open() ?? 0;
  }

  /** Somebody sets the wall clock of a process that runs. */
  jumpWall(replica: ReplicaId, byMs: number): void {
    const clock = this.#processes[replica]?.clock;
    if (clock !== undefined) this.#noteWallOffset(clock.jump(byMs));
  }

  /** No replica's wall clock ever showed more until now. */
  latestWallMs(): number {
    return wallMsAt(this.time.nowUs) + this.#mostWallOffsetMs;
  }

  /** At `atUs` no replica's wall clock showed less. */
  earliestWallMs(atUs: number): number {
    return wallMsAt(atUs) + this.#leastWallOffsetMs;
  }

  #noteWallOffset(offsetMs: number): void {
    this.#mostWallOffsetMs = Math.max(this.#mostWallOffsetMs, offsetMs);
    this.#leastWallOffsetMs = Math.min(this.#leastWallOffsetMs, offsetMs);
  }

  /** From now on the disk takes `times` as long. */
  slowDisk(replica: ReplicaId, times: number): void {
    this.#slowness[replica] = times;
  }

  /** A new, empty disk takes the place of the one of a replica that does not run. */
  wipe(replica: ReplicaId): void {
    assert(this.#processes[replica] === null, "only a replica that does not run can lose its disk");
    const disk = newDisk(this.options, replica, this.#starts[replica] ?? 0);
    this.disks[replica] = disk;
    this.#made.push(disk);
  }

  /**
   * Nothing of it is needed any more: all processes die unheard, and the memory of their disks is given back at once.
   * Whoever runs one cluster after the other calls it; hits are read before.
   */
  end(): void {
    for (const process of this.#processes.splice(0)) {
      process?.gate.kill();
      process?.store.crash(0);
    }
    for (const disk of this.#made.splice(0)) disk.discard();
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
    return node?.isServing === true ? node : null;
  }

  /** What the node holds, by its own names. */
  held(replica: ReplicaId): Store | null {
    return this.#processes[replica]?.held ?? null;
  }

  store(replica: ReplicaId): SimulatedStore | null {
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

  /** False: the replica does not serve. */
  write(replica: ReplicaId, key: Key, operation: Operation, done: (outcome: WriteOutcome) => void): boolean {
    if (this.node(replica) === null) return false;
    this.#enter(replica, (service) => {
      service.write(key, operation, new OneReply(done, () => undefined), 0);
    });
    return true;
  }

  read(replica: ReplicaId, key: Key, done: (outcome: ReadOutcome) => void): boolean {
    if (this.node(replica) === null) return false;
    this.#enter(replica, (service) => {
      service.read(key, new OneReply(() => undefined, done), 0);
    });
    return true;
  }

  /** P30, by order. False: the replica does not serve. */
  setLearner(replica: ReplicaId, on: boolean, done: () => void = () => undefined): boolean {
    const node = this.node(replica);
    if (node === null) return false;
    this.#processes[replica]?.gate.enter(() => {
      node.setLearner(on, done);
    });
    return true;
  }

  #enter(replica: ReplicaId, run: (service: Service) => void): void {
    const process = this.#processes[replica];
    process?.gate.enter(() => {
      if (process.service !== null) run(process.service);
    });
  }
}

/** What a replica is called. */
export function nameOf(replica: ReplicaId): string {
  return `n${String(replica + 1)}`;
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

function newDisk(options: ClusterOptions, replica: ReplicaId, life: number): ClusterDisk {
  if (options.engine === "native") {
    const volumes = options.volumes ?? 1;
    const seed = options.seed * 1_000_000 + replica * 10_000 + life + 1;
    return new EngineDisk({
      seed,
      volumes,
      ...(options.capacityBytes === undefined ? {} : { volumeBytes: wholeBlocks(options.capacityBytes / volumes) }),
      ...(options.extentBytes === undefined ? {} : { extentBytes: options.extentBytes }),
    });
  }
  const id = `${replica.toString(16).padStart(4, "0")}${life.toString(16).padStart(4, "0")}`;
  return new MemoryMedium(id.padEnd(32, "0"), options.capacityBytes);
}

function wholeBlocks(bytes: number): number {
  return Math.floor(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** What a backup of the disk holds at this moment: to be put in its place later. */
export function copyOfDisk<D extends ClusterDisk>(disk: D): D {
  return disk.copy() as D; // each kind copies itself
}
