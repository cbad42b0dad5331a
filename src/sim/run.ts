/**
 * One run of one plan: a cluster is born, clients and the nemesis work on it, the faults end, and then everything that was
 * promised must hold: all who can serve do, every key is read and written through each of them within a bound, queues
 * drain, replicas agree, and the history of every key is linearizable. The verdict is a list of violations.
 */
import { Random } from "../base/random.js";
import type { ReplicaId } from "../paxos/ballot.js";
import { type ClusterTamper, SimulatedCluster } from "./cluster.js";
import { Calm } from "./calm.js";
import type { FaultHits } from "./fault-kinds.js";
import { Ledger } from "./ledger.js";
import { checkHistory, describeFailures } from "./linearizability.js";
import { Nemesis } from "./nemesis.js";
import { Oracle } from "./oracle.js";
import type { Plan } from "./plan.js";
import { Workload } from "./workload.js";

export interface RunOptions {
  readonly tamper?: ClusterTamper;
  readonly withStory?: boolean;
}

export interface RunResult {
  readonly seed: number;
  readonly operations: number;
  /** "checker: what is wrong", the first ones. */
  readonly violations: readonly string[];
  readonly hits: FaultHits;
  readonly traceHash: string;
  readonly events: number;
  readonly decisions: number;
  /** Keys whose search for a linear order was given up; the ledger has judged them. */
  readonly undecided: number;
  readonly virtualMs: number;
  readonly statuses: ReadonlyMap<string, number>;
  readonly story: readonly string[];
}

const WORKLOAD_STREAM = 0x776f726b;
const NEMESIS_STREAM = 0x6e656d65;
const BIRTH_MS = 3000;
/** Between two looks at whether a phase is over. */
const STEP_MS = 20;
/** A strike that is to be seen through takes no longer. */
const END_OF_STRIKE_MS = 5000;
const MOST_VIOLATIONS = 12;
const STACK_LINES = 8;
/** After the faults: clients may take this long to finish what the plan says. */
const REST_OF_WORKLOAD_MS = 20_000;
/** Configurations of one key after which the search for a linear order is given up. */
const MOST_CONFIGURATIONS = 40_000;

export function runPlan(plan: Plan, options: RunOptions = {}): RunResult {
  return new Run(plan, options).run();
}

class Run {
  readonly #plan: Plan;
  readonly #violations: string[] = [];
  readonly #cluster: SimulatedCluster;
  readonly #oracle: Oracle;
  readonly #ledger: Ledger;
  readonly #workload: Workload;
  readonly #nemesis: Nemesis;
  #undecided = 0;

  constructor(plan: Plan, options: RunOptions) {
    this.#plan = plan;
    const report = (checker: string, text: string): void => {
      this.#report(checker, text);
    };
    this.#oracle = new Oracle(plan.replicas, report, (facts, index, hash) => {
      this.#cluster.trace.note("chosen", index & 255, index, hash % 0x7fff_ffff);
      this.#ledger.onChosen(facts, index, hash);
    });
    this.#cluster = this.#newCluster(options);
    this.#ledger = new Ledger(report, this.#oracle, this.#cluster);
    this.#workload = new Workload(this.#cluster, plan, this.#ledger, new Random(plan.seed ^ WORKLOAD_STREAM));
    this.#nemesis = new Nemesis(this.#cluster, plan, new Random(plan.seed ^ NEMESIS_STREAM), report, this.#oracle);
  }

  #newCluster({ tamper, withStory = false }: RunOptions): SimulatedCluster {
    const plan = this.#plan;
    const oracle = this.#oracle;
    const { engine } = plan;
    return new SimulatedCluster({
      ...plan,
      withStory,
      ...(tamper === undefined ? {} : { tamper }),
      ...(engine === "memory" ? { faultsOf: (replica: ReplicaId) => this.#nemesis.disks.faultsOf(replica) } : {}),
      clusterIdOf: (replica) => this.#nemesis.clusterIdOf(replica),
      watch: {
        onPut: oracle.onPut.bind(oracle),
        onMark: oracle.onMark.bind(oracle),
        onSubmit: oracle.onSubmit.bind(oracle),
        onDurable: oracle.onDurable.bind(oracle),
        onDamaged: oracle.onDamaged.bind(oracle),
        onStarted: (replica) => {
          const store = this.#cluster.held(replica);
          if (store !== null) oracle.onStarted(replica, store);
        },
        onKilled: (replica) => {
          oracle.onKilled(replica);
          this.#workload.onKilled(replica);
          this.#nemesis.onKilled(replica);
        },
        onFatal: (replica, error) => {
          this.#nemesis.onFatal(replica, error);
        },
        onAlarm: (replica, text) => {
          if (!this.#nemesis.disks.mayBeBroken(replica)) this.#report("alarm", `n${String(replica + 1)}: ${text}`);
        },
      },
    });
  }

  #report(checker: string, text: string): void {
    this.#cluster.trace.tell(`VIOLATION of ${checker}: ${text}`);
    if (this.#violations.length < MOST_VIOLATIONS) this.#violations.push(`${checker}: ${text}`);
  }

  get #isBroken(): boolean {
    return this.#violations.length > 0;
  }

  run(): RunResult {
    const cluster = this.#cluster;
    try {
      this.#phases();
    } catch (error) {
      // An assertion of the product: it must never fail, whatever happens around it.
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#report("assertion", text.split("\n").slice(0, STACK_LINES).join("\n"));
    }
    this.#nemesis.disks.countHits();
    const traceHash = cluster.trace.hash();
    cluster.end();
    return {
      seed: this.#plan.seed,
      operations: this.#workload.asked,
      violations: this.#violations,
      hits: cluster.hits,
      traceHash,
      events: cluster.trace.events,
      decisions: this.#oracle.decisions,
      undecided: this.#undecided,
      virtualMs: Math.round(cluster.time.nowUs / 1000),
      statuses: this.#workload.statuses,
      story: cluster.trace.story(),
    };
  }

  #phases(): void {
    this.#cluster.startAll();
    if (!this.#cluster.runUntilServing(BIRTH_MS)) this.#report("liveness", "the cluster was not born");
    if (!this.#isBroken) this.#faultyPhase();
    if (!this.#isBroken) this.#calmPhase();
  }

  /** Runs until `over`, a violation, or the time is up. */
  #runUntil(over: () => boolean, withinMs: number): boolean {
    const untilUs = this.#cluster.time.nowUs + withinMs * 1000;
    while (!over() && !this.#isBroken && this.#cluster.time.nowUs < untilUs) this.#cluster.run(STEP_MS);
    return over();
  }

  #faultyPhase(): void {
    this.#workload.start();
    this.#nemesis.begin();
    this.#runUntil(() => this.#workload.isDone && this.#workload.open === 0, this.#plan.faultyMs);
    this.#runUntil(() => !this.#nemesis.isBusy, END_OF_STRIKE_MS);
    this.#nemesis.end();
  }

  #calmPhase(): void {
    const workload = this.#workload;
    const calm = new Calm({
      cluster: this.#cluster,
      plan: this.#plan,
      workload,
      oracle: this.#oracle,
      isLost: (replica) => this.#nemesis.isLost(replica),
      report: (checker, text) => {
        this.#report(checker, text);
      },
      runUntil: (over, withinMs) => this.#runUntil(over, withinMs),
      isBroken: () => this.#isBroken,
    });
    calm.everybodyServes();
    if (this.#isBroken) return;
    // What is undecided on full disks stays so until something is deleted, and what two have lost until an operator has decided:
    // each further try ends at its deadline.
    if (this.#plan.kinds.has("disk-full") || this.#plan.roams !== null) workload.stop();
    const isOver = (): boolean => workload.open === 0 && (workload.isStopped || workload.isDone);
    if (!this.#runUntil(isOver, REST_OF_WORKLOAD_MS) && !this.#isBroken) {
      this.#report("liveness", `${String(workload.open)} operations were never answered`);
    }
    workload.stop();
    if (!this.#isBroken && this.#plan.roams !== null) calm.votesReturn();
    if (this.#plan.roams === null || !calm.isLostTwice()) {
      if (!this.#isBroken) calm.everyKeyIsServed();
      if (!this.#isBroken) calm.comesToRest();
      if (!this.#isBroken) calm.votesReturn();
      if (!this.#isBroken) calm.replicasAgree();
    }
    if (this.#isBroken) return;
    this.#ledger.checkEffects();
    this.#searchOrders();
  }

  #searchOrders(): void {
    const verdicts = checkHistory(this.#workload.history, MOST_CONFIGURATIONS);
    this.#undecided = verdicts.filter(({ verdict }) => verdict === "undecided").length;
    const failed = verdicts.filter(({ verdict }) => verdict === "not-linearizable");
    if (failed.length > 0) this.#report("linearizability", describeFailures(failed));
  }
}
