/**
 * What must hold once the faults have ended: everybody who can serves, each key is read and written through each of them
 * within a bound, lanes come to rest, all replicas hold the same, and whoever lost a disk, or a record of it, votes again for
 * every key, unless two had lost the same before the first was repaired (P31).
 */
import type { Key } from "../base/key.js";
import { headOf } from "../codec/record.js";
import { needsDecision } from "../node/index.js";
import type { ReplicaId } from "../paxos/ballot.js";
import { emptyLoadedKey } from "../storage/loaded-key.js";
import { nameOf, type SimulatedCluster } from "./cluster.js";
import { type DrawnCall, ofCall } from "./draw-call.js";
import type { Oracle, Report } from "./oracle.js";
import type { Plan } from "./plan.js";
import type { Workload, WorkloadKey } from "./workload.js";

export interface CalmHost {
  readonly cluster: SimulatedCluster;
  readonly plan: Plan;
  readonly workload: Workload;
  readonly oracle: Oracle;
  readonly report: Report;
  readonly isLost: (replica: ReplicaId) => boolean;
  /** False also when something is violated meanwhile. */
  readonly runUntil: (over: () => boolean, withinMs: number) => boolean;
  readonly isBroken: () => boolean;
}

/** All of virtual time. */
const SERVING_MS = 10_000;
const ANSWER_MS = 10_000;
const REST_MS = 10_000;
const RETURN_MS = 60_000;
const RETRY_US = 3000;
/** Operations of the calm have client numbers from here on. */
const FIRST_CLIENT = 1000;
/** What leaves broken runs behind on a disk. */
const BREAKING = ["lying-flush", "lost-write", "misdirected-write", "bit-flip", "bad-blocks"] as const;
const READ: DrawnCall = { operation: null, call: { kind: "read" } };

export class Calm {
  readonly #host: CalmHost;

  constructor(host: CalmHost) {
    this.#host = host;
  }

  #running(): ReplicaId[] {
    const { plan, isLost } = this.#host;
    return Array.from({ length: plan.replicas }, (_, replica) => replica).filter((replica) => !isLost(replica));
  }

  everybodyServes(): void {
    const { cluster, report, runUntil, plan } = this.#host;
    const missing = (): ReplicaId[] => this.#running().filter((replica) => cluster.node(replica) === null);
    if (!runUntil(() => missing().length === 0, SERVING_MS) && !this.#host.isBroken()) {
      report(
        "liveness",
        `${missing()
          .map((r) => `n${String(r + 1)}`)
          .join(", ")} does not serve, though all faults have ended`,
      );
    }
    if (this.#running().length <= plan.replicas / 2)
      report("liveness", "the faults took more than a minority for good");
  }

  everyKeyIsServed(): void {
    const { workload, plan } = this.#host;
    if (plan.kinds.has("disk-full")) {
      // Values need room; deletions make it.
      this.#all(workload.keys, this.#running().slice(0, 1), () => ofCall({ kind: "delete" }), "delete");
      for (const replica of this.#running()) this.#host.cluster.store(replica)?.mergeAll();
    }
    const running = this.#running();
    this.#all(workload.keys, running, () => READ, "read");
    this.#all(workload.keys, running, (key) => this.#write(key), "write");
  }

  #write({ sort }: WorkloadKey): DrawnCall {
    const { workload } = this.#host;
    switch (sort) {
      case "counter":
        return ofCall({ kind: "add", delta: 1 });
      case "mixed":
        return ofCall({ kind: "set", value: "7" });
      case "register":
        return ofCall({ kind: "set", value: workload.newTag() });
      case "rich":
        return { ...ofCall({ kind: "set", value: workload.newTag() }), call: null };
    }
  }

  /** Every key through every replica, until it succeeds, within a bound. */
  #all(
    keys: readonly WorkloadKey[],
    replicas: readonly ReplicaId[],
    draw: (key: WorkloadKey) => DrawnCall,
    what: string,
  ): void {
    const { report, runUntil } = this.#host;
    const waiting = new Set<string>();
    for (const replica of replicas) {
      for (const key of keys) {
        const label = `${what} of ${key.name} through n${String(replica + 1)}`;
        waiting.add(label);
        this.#insist(replica, key, draw, () => waiting.delete(label));
      }
    }
    if (this.#host.isBroken()) return;
    if (!runUntil(() => waiting.size === 0, ANSWER_MS) && !this.#host.isBroken()) {
      report("liveness", `no success within ${String(ANSWER_MS)} ms: ${[...waiting].slice(0, 5).join(", ")}`);
    }
  }

  #insist(replica: ReplicaId, key: WorkloadKey, draw: (key: WorkloadKey) => DrawnCall, done: () => void): void {
    const { workload, cluster } = this.#host;
    const drawn = draw(key);
    const shown = key.sort === "rich" ? { ...drawn, call: null } : drawn;
    workload.ask(FIRST_CLIENT + replica, replica, key, shown, (outcome) => {
      // What failed has an answer as well: there was nothing to delete, or nothing to add to.
      if (outcome !== null && (outcome.status === "ok" || outcome.status === "failed")) done();
      else {
        cluster.time.after(RETRY_US, () => {
          this.#insist(replica, key, draw, done);
        });
      }
    });
  }

  /** P31: "time to full redundancy is a metric and ends". */
  votesReturn(): void {
    const { cluster, report, runUntil } = this.#host;
    const running = this.#running();
    // An order that was taken back may be on an old copy of the disk: people see it, and take it back again.
    for (const replica of running) {
      if (cluster.node(replica)?.stats().mode === "learner-by-order") cluster.setLearner(replica, false);
    }
    const silent = (): ReplicaId[] =>
      running.filter((replica) => {
        const stats = cluster.node(replica)?.stats();
        return stats === undefined || stats.mode !== "voter" || stats.corruptKeys > 0 || stats.restoring;
      });
    if (runUntil(() => silent().length === 0 || this.isLostTwice(), RETURN_MS) || this.#host.isBroken()) return;
    const names = silent().map((replica) => {
      const stats = cluster.node(replica)?.stats();
      return `${nameOf(replica)} (${stats?.mode ?? "down"}, loss ${String(stats?.loss)}, ${JSON.stringify(stats?.sweepFound)})`;
    });
    report("liveness", `votes do not return at ${names.join(", ")}`);
  }

  /** P31: nobody need serve what two have lost before the first was repaired, until an operator has decided. */
  isLostTwice(): boolean {
    return this.#running().some((replica) => {
      const found = this.#host.cluster.node(replica)?.stats().sweepFound;
      return found !== undefined && needsDecision(found);
    });
  }

  comesToRest(): void {
    const { cluster, report, runUntil } = this.#host;
    const busy = (): ReplicaId[] =>
      this.#running().filter((replica) => (cluster.node(replica)?.stats().lanes ?? 1) > 0);
    if (!runUntil(() => busy().length === 0, REST_MS) && !this.#host.isBroken()) {
      report(
        "liveness",
        `lanes do not come to rest at ${busy()
          .map((r) => `n${String(r + 1)}`)
          .join(", ")}`,
      );
    }
  }

  /**
   * After one more read of each key through each replica, all hold the same newest entry, and it is the chosen one. Who had no room for what
   * it read takes it when merge has made some; a disk whose extents hold broken runs may stay full, and is behind then (seed 704298).
   */
  replicasAgree(): void {
    const { plan, report, runUntil, workload } = this.#host;
    this.#all(workload.keys, this.#running(), () => READ, "last read");
    this.comesToRest();
    if (plan.kinds.has("disk-full")) runUntil(() => this.#differences().length === 0, REST_MS);
    for (const text of this.#differences()) report("digests", `after all was read: ${text}`);
  }

  #differences(): string[] {
    const { workload, oracle } = this.#host;
    const differences: string[] = [];
    for (const { key, name } of workload.keys) {
      const { highest, chosen } = oracle.factsOf(key);
      for (const replica of this.#running()) {
        const found = this.#newest(replica, key);
        if (found === "damaged") continue; // the last read has fetched it; its record follows when there is one
        if (found.index < highest && this.#isKeptFull(replica)) continue;
        if (found.index !== highest || (highest > 0 && found.hash !== chosen.get(highest))) {
          const text = `n${String(replica + 1)} holds index ${String(found.index)} of ${name}, ${String(highest)} is the newest`;
          differences.push(`${text}${found.index === highest ? ", and the entries differ" : ""}`);
        }
      }
    }
    return differences;
  }

  /** By extents with broken runs, which are never written over. A disk that broke nothing is to make room. */
  #isKeptFull(replica: ReplicaId): boolean {
    const { cluster } = this.#host;
    const disk = cluster.disks[replica];
    if (cluster.store(replica)?.isFull() !== true || disk?.engine !== "native") return false;
    const hits = disk.hits();
    return BREAKING.some((kind) => hits[kind] > 0);
  }

  /** The newest chosen entry as the replica's store holds it. */
  #newest(replica: ReplicaId, key: Key): { readonly index: number; readonly hash: number } | "damaged" {
    const { cluster, plan } = this.#host;
    const results = [emptyLoadedKey()];
    cluster.held(replica)?.load([key], results);
    const [records] = results;
    if (records === undefined || records.corrupt) return "damaged";
    if (records.slots === 0) return { index: 0, hash: 0 };
    const top = records.slot[records.slots === 2 ? 1 : 0];
    const head = headOf(top.header, plan.replicas);
    if (head === null) return "damaged";
    if (head.chosen) return { index: top.position, hash: head.entryHash };
    return { index: top.position - 1, hash: head.baseHash };
  }
}
