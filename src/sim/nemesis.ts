/**
 * The nemesis: it plays the faults of a plan on a cluster, one strike after another, at times drawn from the seed, and ends
 * them all when it is told to. It keeps the bargain that makes a run's verdict mean something: replicas whose disks may
 * lose what they had said to hold are a minority (Plan.expendable), and while a disk is about to forget nothing else goes
 * wrong, because the product recognizes a disk that forgot only through the peers that heard of it (P29).
 */
import type { Random } from "../base/random.js";
import type { NodeError } from "../node/node-error.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { SimulatedCluster } from "./cluster.js";
import { DiskStrikes } from "./disk-strikes.js";
import { FAULT_KINDS, type FaultKind } from "./fault-kinds.js";
import { strikeNetwork } from "./network-strikes.js";
import type { Oracle, Report } from "./oracle.js";
import type { Plan } from "./plan.js";
import { StoreOpenError } from "../storage/open-error.js";

/** Most starts of one node that may go wrong one after the other until it is left alone. */
const MOST_FAILED_STARTS = 4;
const STORM_RESTARTS = 6;
/** A process that died is started again after this at the latest. */
const LATEST_RESTART_US = 700_000;
/** What is not a strike: it goes on all the time, or is a matter of load. */
const CONTINUOUS: ReadonlySet<FaultKind> = new Set([
  "drop",
  "duplicate",
  "reorder",
  "delay",
  "corrupt-frame",
  "skewed-rate",
  "disk-full",
  "hot-key",
  "large-values",
  "overload",
]);

/** What a strike may use. */
export interface Arena {
  readonly cluster: SimulatedCluster;
  readonly plan: Plan;
  readonly random: Random;
  /** Runs later, whether or not the faults have ended by then: for what must be undone. */
  later(us: number, run: () => void): void;
  /** Runs unless the faults have ended by then. */
  meanwhile(us: number, run: () => void): void;
}

export class Nemesis implements Arena {
  readonly cluster: SimulatedCluster;
  readonly plan: Plan;
  readonly random: Random;
  readonly #report: Report;
  readonly #strikes: readonly FaultKind[];
  readonly #disks: DiskStrikes;
  /** Nodes that are down for good: nothing is there to start them on. */
  readonly #lost = new Set<ReplicaId>();
  readonly #failedStarts: number[];
  /** Cluster id in the configuration of a replica, when it is the wrong one. */
  readonly #wrongCluster = new Set<ReplicaId>();
  /** Who ever had it. */
  readonly #strangers = new Set<ReplicaId>();
  #pauses: number[];
  #ended = false;
  /** A disk is about to forget: no other strike. */
  #exclusive = false;

  constructor(
    cluster: SimulatedCluster,
    plan: Plan,
    random: Random,
    report: Report,
    oracle: Pick<Oracle, "allowLoss" | "distrust" | "lackingVotes">,
  ) {
    this.cluster = cluster;
    this.plan = plan;
    this.random = random;
    this.#report = report;
    this.#failedStarts = new Array<number>(plan.replicas).fill(0);
    this.#pauses = new Array<number>(plan.replicas).fill(0);
    this.#disks = new DiskStrikes({
      cluster,
      plan,
      random,
      allowLoss: oracle.allowLoss.bind(oracle),
      distrust: oracle.distrust.bind(oracle),
      lackingVotes: oracle.lackingVotes.bind(oracle),
      report,
      later: (us, run) => {
        this.later(us, run);
      },
      meanwhile: (us, run) => {
        this.meanwhile(us, run);
      },
      start: (replica) => this.startNow(replica),
      // On a disk without an identity a stranger would be a new node of that other cluster.
      isLost: (replica) => this.#lost.has(replica) || this.#wrongCluster.has(replica),
      replace: (replica) => {
        this.#replace(replica);
      },
      alone: (run) => {
        this.#beAlone(run);
      },
    });
    this.#strikes = [...plan.kinds].filter((kind) => !CONTINUOUS.has(kind));
  }

  /** A node that is down for good. */
  isLost(replica: ReplicaId): boolean {
    return this.#lost.has(replica);
  }

  clusterIdOf(replica: ReplicaId): string {
    return this.#wrongCluster.has(replica) ? "another" : "sim";
  }

  get disks(): DiskStrikes {
    return this.#disks;
  }

  /** True while a disk is about to forget: the faults are not to be ended in the midst of that. */
  get isBusy(): boolean {
    return this.#exclusive;
  }

  begin(): void {
    const { faults } = this.cluster.network;
    const { kinds } = this.plan;
    const rate = (kind: FaultKind, most: number): number =>
      kinds.has(kind) ? (most * (1 + this.random.below(100))) / 100 : 0;
    faults.drop = rate("drop", 0.05);
    faults.duplicate = rate("duplicate", 0.05);
    faults.reorder = rate("reorder", 0.08);
    faults.delay = rate("delay", 0.05);
    faults.delayUs = 1000 + this.random.below(40_000);
    faults.corrupt = rate("corrupt-frame", 0.003);
    if (this.#strikes.length > 0) this.#nextStrike();
    this.#merge();
  }

  /** Nothing new goes wrong from now on, and what was wrong and can be undone is undone. */
  end(): void {
    this.#ended = true;
    const { network } = this.cluster;
    Object.assign(network.faults, { drop: 0, duplicate: 0, reorder: 0, delay: 0, corrupt: 0 });
    network.heal();
    for (const end of network.ends()) end?.readSlowly(0);
    this.#disks.end();
    for (let replica = 0; replica < this.plan.replicas; replica++) {
      this.cluster.slowDisk(replica, 1);
      for (; (this.#pauses[replica] ?? 0) > 0; this.#pauses[replica] = (this.#pauses[replica] ?? 0) - 1) {
        this.cluster.resume(replica);
      }
    }
    this.#wrongCluster.clear();
    this.startDead();
  }

  /** Starts who does not run, and can. */
  startDead(): void {
    for (let replica = 0; replica < this.plan.replicas; replica++)
      if (!this.cluster.isUp(replica)) this.startNow(replica);
  }

  /** Merge makes decided marks durable, and drops what they cover, at any time (D5). */
  #merge(): void {
    this.meanwhile(20_000 + this.random.below(60_000), () => {
      for (let replica = 0; replica < this.plan.replicas; replica++) this.cluster.store(replica)?.mergeAll();
      this.#merge();
    });
  }

  later(us: number, run: () => void): void {
    this.cluster.time.after(us, run);
  }

  meanwhile(us: number, run: () => void): void {
    this.cluster.time.after(us, () => {
      if (!this.#ended) run();
    });
  }

  #nextStrike(): void {
    this.meanwhile(1000 + this.random.below(this.plan.strikeEveryMs * 2000), () => {
      if (!this.#exclusive) this.strike(this.#strikes[this.random.below(this.#strikes.length)] ?? "kill");
      this.#nextStrike();
    });
  }

  /** The network is whole and everybody runs while a disk forgets. */
  #beAlone(run: (done: () => void) => void): void {
    if (this.#exclusive || this.#ended) return;
    this.#exclusive = true;
    this.cluster.network.heal();
    for (let replica = 0; replica < this.plan.replicas; replica++) {
      while ((this.#pauses[replica] ?? 0) > 0) this.#resume(replica);
    }
    this.startDead();
    run(() => {
      this.#exclusive = false;
    });
  }

  strike(kind: FaultKind): void {
    this.cluster.trace.note("fault", 0, FAULT_KINDS.indexOf(kind));
    this.cluster.trace.tell(`fault: ${kind}`);
    if (strikeNetwork(this, kind) || this.#disks.strike(kind)) return;
    const victim = this.random.below(this.plan.replicas);
    switch (kind) {
      case "kill":
        this.#kill(victim, 5000 + this.random.below(600_000));
        return;
      case "kill-all":
        this.#killAll();
        return;
      case "pause":
        this.#pause(victim, 30_000 + this.random.below(1_200_000), kind);
        return;
      case "stall":
        this.#pause(victim, 2000 + this.random.below(60_000), kind);
        return;
      case "restart-storm":
        this.#storm(victim, STORM_RESTARTS);
        return;
      case "crash-in-recovery":
        this.#crashInRecovery(victim);
        return;
      case "wall-jump":
        if (!this.cluster.isUp(victim)) return;
        this.cluster.jumpWall(victim, this.random.below(4000) - 2000);
        this.cluster.hits.hit("wall-jump");
        return;
      case "machine-replaced": {
        const expendable = this.plan.expendable[this.random.below(Math.max(1, this.plan.expendable.length))];
        if (expendable !== undefined) this.#disks.replace(expendable);
        return;
      }
      case "learner-toggled":
        this.#toggleLearner(victim);
        return;
      case "wrong-cluster":
        this.#startAsStranger(victim);
        return;
      case "swapped-disks":
        this.#swapDisks(victim, (victim + 1 + this.random.below(this.plan.replicas - 1)) % this.plan.replicas);
        return;
      default:
    }
  }

  // ---- processes

  #kill(victim: ReplicaId, downUs: number): boolean {
    if (!this.cluster.isUp(victim)) return false;
    this.cluster.kill(victim, this.random.chance(0.2) ? "silent" : "closed");
    this.#pauses[victim] = 0;
    this.cluster.hits.hit("kill");
    this.meanwhile(downUs, () => {
      this.startNow(victim);
    });
    return true;
  }

  #killAll(): void {
    let some = false;
    const downUs = 1000 + this.random.below(80_000);
    for (let replica = 0; replica < this.plan.replicas; replica++) {
      if (this.#kill(replica, downUs + this.random.below(30_000))) some = true;
    }
    if (some) this.cluster.hits.hit("kill-all");
  }

  #storm(victim: ReplicaId, times: number): void {
    if (times === 0 || this.#exclusive || !this.#kill(victim, 500 + this.random.below(4000))) return;
    if (times < STORM_RESTARTS) this.cluster.hits.hit("restart-storm");
    this.meanwhile(6000 + this.random.below(30_000), () => {
      this.#storm(victim, times - 1);
    });
  }

  #crashInRecovery(victim: ReplicaId): void {
    if (!this.#kill(victim, 0)) return;
    this.meanwhile(1 + this.random.below(1500), () => {
      if (!this.cluster.isUp(victim) || this.cluster.node(victim) !== null || this.#exclusive) return;
      if (this.#kill(victim, this.random.below(3000))) this.cluster.hits.hit("crash-in-recovery");
    });
  }

  #pause(victim: ReplicaId, us: number, kind: "pause" | "stall"): void {
    if (!this.cluster.isUp(victim)) return;
    this.cluster.pause(victim);
    this.#pauses[victim] = (this.#pauses[victim] ?? 0) + 1;
    this.meanwhile(us, () => {
      if (this.#resume(victim) > 0) this.cluster.hits.hit(kind);
    });
  }

  #resume(victim: ReplicaId): number {
    const pauses = this.#pauses[victim] ?? 0;
    if (pauses === 0) return 0; // it was killed meanwhile, or the faults have ended
    this.#pauses[victim] = pauses - 1;
    return this.cluster.resume(victim);
  }

  /** Starts a replica that does not run, if it can. True when it is on its way. */
  startNow(replica: ReplicaId): boolean {
    if (this.cluster.isUp(replica) || this.#lost.has(replica)) return false;
    try {
      this.cluster.start(replica);
      // The power may have gone while it opened its disk.
      if (!this.cluster.isUp(replica)) this.onKilled(replica);
      else this.#failedStarts[replica] = 0;
      return this.cluster.isUp(replica);
    } catch (error) {
      if (!(error instanceof StoreOpenError)) throw error;
      this.cluster.trace.tell(`n${String(replica + 1)} does not open its store: ${error.message}`);
      if (!this.#disks.isOpenExpected(replica, error)) {
        this.#report("fatal", `n${String(replica + 1)} does not open its store: ${error.message}`);
      }
      this.#failed(replica);
      return false;
    }
  }

  #failed(replica: ReplicaId): void {
    const failures = (this.#failedStarts[replica] ?? 0) + 1;
    this.#failedStarts[replica] = failures;
    if (this.#disks.mayBeBroken(replica) && failures >= MOST_FAILED_STARTS) this.#replace(replica);
    else
      this.cluster.time.after(20_000, () => {
        this.startNow(replica);
      });
  }

  /** A node said that it cannot go on. Whoever runs it starts it again, unless that is of no use. */
  onFatal(replica: ReplicaId, error: NodeError): void {
    const expected =
      this.#disks.isExpected(replica, error) || (error.code === "foreign" && this.#strangers.has(replica));
    if (!expected)
      this.#report("fatal", `n${String(replica + 1)} cannot go on, and nothing was done to it: ${error.message}`);
    // Nobody can tell whose the records are: people give it an empty disk.
    const isBeyondUse = error.code === "damaged" && this.#disks.mayBeBroken(replica);
    this.cluster.time.after(1000, () => {
      this.cluster.kill(replica);
      this.#pauses[replica] = 0;
      if (isBeyondUse) {
        this.#replace(replica);
        return;
      }
      if (!this.#wrongCluster.has(replica)) this.startNow(replica);
    });
  }

  /** Whatever killed it: it is started again, unless somebody does that sooner. */
  onKilled(replica: ReplicaId): void {
    this.#pauses[replica] = 0;
    this.cluster.time.after(LATEST_RESTART_US, () => {
      if (!this.#wrongCluster.has(replica)) this.startNow(replica);
    });
  }

  // ---- people

  /** P30, by order, for a while. */
  #toggleLearner(victim: ReplicaId): void {
    if (!this.cluster.setLearner(victim, true)) return;
    this.cluster.hits.hit("learner-toggled");
    // The process may die before the order is durable.
    let isBack = false;
    const back = (): void => {
      if (isBack) return;
      this.cluster.setLearner(victim, false, () => {
        isBack = true;
      });
      this.later(20_000, back);
    };
    this.later(10_000 + this.random.below(600_000), back);
  }

  /** P33: its machine is broken beyond use: another one takes its place, under its name and with an empty disk. */
  #replace(victim: ReplicaId): void {
    this.cluster.kill(victim);
    this.#disks.retire(victim);
    this.cluster.wipe(victim);
    this.#failedStarts[victim] = 0;
    this.cluster.hits.hit("machine-replaced");
    this.startNow(victim);
  }

  /** Its configuration names another cluster: the node must refuse its own disk, and nobody may speak to it. */
  #startAsStranger(victim: ReplicaId): void {
    // On a disk without an identity it would be a new node of that other cluster.
    if (this.cluster.node(victim) === null || this.#wrongCluster.size > 0) return;
    this.cluster.kill(victim);
    this.#pauses[victim] = 0;
    this.#wrongCluster.add(victim);
    this.#strangers.add(victim);
    if (!this.startNow(victim)) this.#wrongCluster.delete(victim);
    this.later(30_000, () => {
      if (!this.#wrongCluster.has(victim)) return;
      if (this.cluster.node(victim) !== null)
        this.#report("strangers", `n${String(victim + 1)} serves in a foreign cluster`);
      this.cluster.hits.hit("wrong-cluster");
      this.cluster.kill(victim);
      this.#pauses[victim] = 0;
      this.#wrongCluster.delete(victim);
      this.startNow(victim);
    });
  }

  #swapDisks(a: ReplicaId, b: ReplicaId): void {
    const { disks } = this.cluster;
    if (!this.cluster.isUp(a) || !this.cluster.isUp(b) || this.#lost.has(a) || this.#lost.has(b)) return;
    for (const replica of [a, b]) {
      this.cluster.kill(replica);
      this.#pauses[replica] = 0;
    }
    const [first, second] = [disks[a], disks[b]];
    if (first === undefined || second === undefined) return;
    disks[a] = second;
    disks[b] = first;
    try {
      this.cluster.start(a);
      if (this.cluster.isUp(a)) this.#report("strangers", `n${String(a + 1)} starts on the disk of n${String(b + 1)}`);
      this.cluster.kill(a); // or the power went before it could look
    } catch (error) {
      if (!(error instanceof StoreOpenError)) throw error;
      this.cluster.hits.hit("swapped-disks");
    }
    disks[a] = first;
    disks[b] = second;
    for (const replica of [a, b]) this.startNow(replica);
  }
}
