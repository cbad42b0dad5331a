/**
 * What the nemesis does to disks. Errors that the store reports strike anybody: a node that fails starts again on the same
 * disk. What silently takes back or breaks what a disk held strikes expendable replicas only, and, where the product has
 * nothing but its peers' memory to find out (P29), while nothing else goes wrong.
 */
import type { Key } from "../base/key.js";
import type { Random } from "../base/random.js";
import type { NodeError } from "../node/node-error.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { MemoryFaults } from "../storage/memory-store.js";
import type { Store } from "../storage/store.js";
import type { StoreOpenError } from "../storage/open-error.js";
import { type ClusterDisk, nameOf, type SimulatedCluster } from "./cluster.js";
import type { Report } from "./oracle.js";
import type { DiskFaultKind } from "./disk.js";
import type { FaultKind } from "./fault-kinds.js";
import type { Plan } from "./plan.js";

/** What strikes on disks need of the nemesis. */
export interface DiskArena {
  readonly cluster: SimulatedCluster;
  readonly plan: Plan;
  readonly random: Random;
  readonly later: (us: number, run: () => void) => void;
  /** Not any more when the faults have ended by then. */
  readonly meanwhile: (us: number, run: () => void) => void;
  readonly report: Report;
  /** Keys of this replica may come up broken or older from now on. */
  allowLoss(replica: ReplicaId): void;
  /** It runs on an old copy of its disk that nobody has recognized yet. */
  distrust(replica: ReplicaId, keys: ReadonlySet<Key>): void;
  lackingVotes(replica: ReplicaId, store: Store | null): ReadonlySet<Key>;
  start(replica: ReplicaId): boolean;
  isLost(replica: ReplicaId): boolean;
  /** Another machine takes its place. */
  replace(replica: ReplicaId): void;
  /** Runs while nothing else goes wrong, until it calls `done`. Not at all when that cannot be now. */
  alone(run: (done: () => void) => void): void;
}

/** Faults that the disk itself plays, and what they are called there. */
const ARMED: Partial<Record<FaultKind, DiskFaultKind>> = {
  "read-error": "read-error",
  "write-error": "write-error",
  "flush-error": "flush-error",
  "short-write": "short-write",
  "lost-flushed": "lying-flush",
  "lost-write": "lost-write",
  "bit-flip": "bit-flip",
  "bad-blocks": "bad-blocks",
  "misdirected-write": "misdirected-write",
  "stale-read": "stale-read",
  truncated: "truncated-volume",
};
/** What a loss of power does to writes that were not flushed; counted by the disk. */
const OF_POWER = ["lost-unflushed", "torn-write", "reordered-writes"] as const;
/** How long a fault lies in wait before the process is killed all the same. */
const WAIT_US = 200_000;
const POLL_US = 5000;
const FOLLOW_US = 500;
/** A node on a disk that forgot has found out, or never will. */
const VERDICT_US = 1_200_000;

/** Numbers of the last loss of a disk, and of the last of all of it. */
interface TakenLosses {
  readonly last: number;
  readonly all: number;
}

export class DiskStrikes {
  readonly #arena: DiskArena;
  /** Stores in memory: what happens to the next batch, and to the next read. */
  readonly #failNextBatch = new Set<ReplicaId>();
  readonly #breakNextRead = new Set<ReplicaId>();
  /** Replicas on whose disks errors were played, and those that may have lost something: with the number of their losses before. */
  readonly #errors = new Set<ReplicaId>();
  readonly #losses = new Map<ReplicaId, TakenLosses>();
  readonly #copies = new Map<ReplicaId, ClusterDisk>();
  /** Disks that are gone: they have hits to be counted. */
  readonly #retired: ClusterDisk[] = [];

  constructor(arena: DiskArena) {
    this.#arena = arena;
  }

  /** Faults of a replica's store in memory. */
  faultsOf(replica: ReplicaId): MemoryFaults {
    const { hits } = this.#arena.cluster;
    return {
      batch: () => {
        if (!this.#failNextBatch.delete(replica)) return "ok";
        hits.hit("write-error");
        return "failed";
      },
      read: () => {
        if (!this.#breakNextRead.delete(replica)) return "ok";
        hits.hit("read-error");
        return "corrupt";
      },
    };
  }

  /** No fault lies in wait any more. */
  end(): void {
    this.#failNextBatch.clear();
    this.#breakNextRead.clear();
    for (const disk of this.#arena.cluster.disks) if (disk.engine === "native") disk.disarm();
  }

  mayBeBroken(replica: ReplicaId): boolean {
    return this.#losses.has(replica) || this.#errors.has(replica);
  }

  /** A node that cannot go on because of what was played on its disk. */
  isExpected(replica: ReplicaId, error: NodeError): boolean {
    if (error.code === "io") return this.mayBeBroken(replica);
    return error.code === "damaged" && this.#losses.has(replica);
  }

  isOpenExpected(replica: ReplicaId, error: StoreOpenError): boolean {
    return error.code !== "locked" && this.mayBeBroken(replica);
  }

  /** True when the kind is one of the disks'. */
  strike(kind: FaultKind): boolean {
    const { plan, random } = this.#arena;
    const anybody = random.below(plan.replicas);
    const expendable =
      plan.roams !== null ? this.#whoMayLoseAll() : plan.expendable[random.below(Math.max(1, plan.expendable.length))];
    switch (kind) {
      case "slow-disk":
        this.#slow(anybody);
        return true;
      case "write-error":
      case "flush-error":
      case "short-write":
        this.#fail(kind, anybody);
        return true;
      case "torn-write":
      case "reordered-writes":
      case "lost-unflushed":
        this.#cutPower(anybody);
        return true;
      case "read-error":
      case "bit-flip":
      case "bad-blocks":
        if (expendable !== undefined) this.#break(kind, expendable);
        return true;
      case "lost-flushed":
      case "lost-write":
      case "misdirected-write":
      case "stale-read":
      case "truncated":
        if (expendable !== undefined) this.#forget(kind, expendable);
        return true;
      case "disk-lost":
        if (expendable !== undefined) this.#loseDisk(expendable);
        if (plan.roams !== null && expendable !== undefined) this.#follow(expendable);
        return true;
      case "machine-replaced":
        if (plan.roams === null) return false;
        if (expendable !== undefined) this.replace(expendable);
        return true;
      case "old-copy":
        if (expendable !== undefined) this.#restoreCopy(expendable);
        return true;
      default:
        return kind === "disk-full";
    }
  }

  #slow(victim: ReplicaId): void {
    const { cluster, random, later } = this.#arena;
    cluster.slowDisk(victim, 3 + random.below(100));
    later(10_000 + random.below(400_000), () => {
      cluster.slowDisk(victim, 1);
    });
  }

  #arm(kind: FaultKind, victim: ReplicaId): boolean {
    const disk = this.#arena.cluster.disks[victim];
    const fault = ARMED[kind];
    if (disk?.engine !== "native" || fault === undefined) return false;
    return disk.arm({ kind: fault, in: 1 + this.#arena.random.below(4), seed: this.#arena.random.next32() });
  }

  #fail(kind: FaultKind, victim: ReplicaId): void {
    if (!this.#arena.cluster.isUp(victim)) return;
    this.#errors.add(victim);
    if (!this.#arm(kind, victim) && kind === "write-error") this.#failNextBatch.add(victim);
  }

  #cutPower(victim: ReplicaId): void {
    const { cluster, random } = this.#arena;
    const disk = cluster.disks[victim];
    if (disk?.engine !== "native" || !cluster.isUp(victim)) return;
    const when = (["before", "within", "after"] as const)[random.below(3)] ?? "within";
    disk.armPowerCut({ in: 1 + random.below(30), when, seed: random.next32() });
  }

  /** Bits rot on the medium, or a read fails: single keys are learner-only afterwards (P30). */
  #break(kind: FaultKind, victim: ReplicaId): void {
    const { cluster, random } = this.#arena;
    if (!cluster.isUp(victim)) return;
    this.#mayLose(victim);
    if (this.#arm(kind, victim)) return;
    const disk = cluster.disks[victim];
    if (disk?.engine !== "memory") return;
    if (kind === "read-error") {
      this.#breakNextRead.add(victim);
      return;
    }
    const keys = [...disk.keys];
    const [key, records] = keys[random.below(Math.max(1, keys.length))] ?? [];
    const position = records?.[records.length - 1]?.position;
    if (key !== undefined && position !== undefined && disk.corrupt(key, position)) cluster.hits.hit("bit-flip");
    cluster.store(victim)?.scrubAll();
  }

  #mayLose(victim: ReplicaId): void {
    this.#losses.set(victim, this.#lossesOf(victim));
    this.#arena.allowLoss(victim);
  }

  /** The disk takes back, or breaks, what it had said to hold; then the process dies and another one finds out. */
  #forget(kind: FaultKind, victim: ReplicaId): void {
    const { cluster, random } = this.#arena;
    if (cluster.disks[victim]?.engine !== "native" || this.#arena.isLost(victim)) return;
    this.#arena.alone((done) => {
      this.#mayLose(victim);
      const before = this.#hitsOf(kind, victim);
      this.#arm(kind, victim);
      const untilUs = cluster.time.nowUs + WAIT_US;
      const wait = (): void => {
        const struck = this.#hitsOf(kind, victim) > before;
        if (!struck && cluster.time.nowUs < untilUs) {
          this.#arena.later(POLL_US, wait);
          return;
        }
        // D17's exception, by name: what was lost behind the last mark, and no peer had heard of, nobody can miss.
        this.#arena.later(WAIT_US + random.below(60_000), () => {
          this.#restart(victim, () => {
            // Half a disk may be noticed at any later write: people would not leave it at that.
            if (kind === "truncated") this.#arena.replace(victim);
            done();
          });
        });
      };
      wait();
    });
  }

  /** Kills the process, with its machine when a flush has lied, and waits for what the next one finds. */
  #restart(victim: ReplicaId, done: () => void): void {
    const { cluster } = this.#arena;
    const disk = cluster.disks[victim];
    cluster.kill(victim, "silent");
    if (disk?.engine === "native") disk.disarm();
    this.#arena.start(victim);
    this.#awaitVerdict(victim, done);
  }

  /** Until the new process has told its peers of a loss, or never will. */
  #awaitVerdict(victim: ReplicaId, done: () => void): void {
    const { cluster } = this.#arena;
    const untilUs = cluster.time.nowUs + VERDICT_US;
    const look = (): void => {
      if (this.#isTold(victim) || this.#arena.isLost(victim) || cluster.time.nowUs >= untilUs) done();
      else this.#arena.later(POLL_US, look);
    };
    look();
  }

  #isWhole(replica: ReplicaId): boolean {
    const stats = this.#arena.cluster.node(replica)?.stats();
    return stats?.mode === "voter" && !stats.restoring && stats.corruptKeys === 0;
  }

  /** Plan.roams: anybody, while others say that they are whole. */
  #whoMayLoseAll(): ReplicaId | undefined {
    const { random, plan } = this.#arena;
    const victim = random.below(plan.replicas);
    let whole = 0;
    for (let replica = 0; replica < plan.replicas; replica++) {
      if (replica !== victim && this.#isWhole(replica)) whole++;
    }
    return whole >= (plan.roams === "all" ? plan.replicas - 1 : 1) ? victim : undefined;
  }

  /** Plan.roams: as soon as a replica says that it is whole again, another one loses its disk, most often. */
  #follow(victim: ReplicaId): void {
    this.#arena.meanwhile(FOLLOW_US, () => {
      if (!this.#isWhole(victim)) this.#follow(victim);
      else if (this.#arena.random.chance(0.7)) this.strike("disk-lost");
    });
  }

  /** P33: another machine takes the place of a node that runs, under its name and with an empty disk. */
  replace(victim: ReplicaId): void {
    if (!this.#arena.cluster.isUp(victim) || this.#arena.isLost(victim)) return;
    this.#mayLose(victim);
    this.#arena.replace(victim);
  }

  #loseDisk(victim: ReplicaId): void {
    const { cluster } = this.#arena;
    if (this.#arena.isLost(victim)) return;
    this.#mayLose(victim);
    cluster.kill(victim);
    this.retire(victim);
    cluster.wipe(victim);
    cluster.hits.hit("disk-lost");
    this.#arena.start(victim);
  }

  /** Makes a backup; a while later, or with the next strike, it is put in the place of the disk. */
  #restoreCopy(victim: ReplicaId): void {
    const { cluster } = this.#arena;
    const copy = this.#copies.get(victim);
    const disk = cluster.disks[victim];
    if (this.#arena.isLost(victim) || disk === undefined || !cluster.isUp(victim)) return;
    if (copy === undefined) {
      this.#copies.set(victim, disk.copy());
      this.#arena.later(50_000 + this.#arena.random.below(400_000), () => {
        if (this.#copies.has(victim)) this.#restoreCopy(victim);
      });
      return;
    }
    this.#arena.alone((done) => {
      // Everybody is up and connected for a while before: then every peer has heard of what the disk holds now (P29).
      const held = this.#watermarkOf(victim);
      const lives = this.#livesOfAll();
      this.#arena.later(WAIT_US, () => {
        // Else what it wrote last, nobody may have heard of (seed 714817), or have forgotten again (seed 803205). Another time.
        if (lives.includes(0) || lives.join() !== this.#livesOfAll().join()) {
          done();
          return;
        }
        this.#mayLose(victim);
        const known = this.#arena.lackingVotes(victim, cluster.held(victim));
        cluster.kill(victim);
        this.retire(victim);
        cluster.disks[victim] = copy;
        this.#copies.delete(victim);
        cluster.hits.hit("old-copy");
        this.#arena.start(victim);
        const isOlder = held > (cluster.store(victim)?.facts.recoveredWatermark ?? held);
        // What it lacked before is known since the loss of it was told.
        const lacking = [...this.#arena.lackingVotes(victim, cluster.held(victim))].filter((key) => !known.has(key));
        this.#arena.distrust(victim, new Set(lacking));
        this.#awaitVerdict(victim, () => {
          this.#arena.distrust(victim, new Set());
          const isBelieved = cluster.node(victim) !== null && !this.#isTold(victim);
          if (isOlder && isBelieved)
            this.#arena.report("strangers", `${nameOf(victim)} votes on an old copy of its disk`);
          done();
        });
      });
    });
  }

  /**
   * A loss has a number since it was struck. Its number may be one that the process before had taken for a single record, and
   * lost again with its disk before anybody had heard of it (seed 30123): then it is by the loss of all of it that one sees.
   */
  #isTold(victim: ReplicaId): boolean {
    const before = this.#losses.get(victim) ?? { last: 0, all: 0 };
    const now = this.#lossesOf(victim);
    return now.last > before.last || now.all > before.all;
  }

  #lossesOf(victim: ReplicaId): TakenLosses {
    const stats = this.#arena.cluster.opened(victim)?.stats();
    return { last: stats?.loss ?? 0, all: stats?.lossAll ?? 0 };
  }

  /** Incarnations of those that serve; 0 = it does not. */
  #livesOfAll(): number[] {
    const { cluster, plan } = this.#arena;
    return Array.from({ length: plan.replicas }, (_, replica) => cluster.node(replica)?.stats().incarnation ?? 0);
  }

  #watermarkOf(victim: ReplicaId): number {
    return this.#arena.cluster.store(victim)?.watermark() ?? 0;
  }

  /** Its disk is put aside: what it has suffered is counted at the end. */
  retire(victim: ReplicaId): void {
    const disk = this.#arena.cluster.disks[victim];
    if (disk !== undefined) this.#retired.push(disk);
  }

  // ---- counting what the disk itself plays

  #hitsOf(kind: FaultKind, victim: ReplicaId): number {
    const disk = this.#arena.cluster.disks[victim];
    const fault = ARMED[kind];
    return disk?.engine === "native" && fault !== undefined ? disk.hits()[fault] : 0;
  }

  /** Adds to the cluster's hits what its disks have suffered, once, at the end of a run. */
  countHits(): void {
    const { cluster } = this.#arena;
    for (const disk of new Set([...this.#retired, ...cluster.disks])) {
      if (disk.engine !== "native") continue;
      const hits = disk.hits();
      for (const [kind, fault] of Object.entries(ARMED)) cluster.hits.hit(kind as FaultKind, hits[fault]);
      for (const kind of OF_POWER) cluster.hits.hit(kind, hits[kind]);
    }
  }
}
