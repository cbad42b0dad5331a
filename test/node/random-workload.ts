/**
 * A random workload on a simulated cluster, drawn from a seed: clients that do one thing at a time on a few keys, faults
 * that come and go, then a calm in which every key must answer. It checks linearizability, alarms and liveness.
 */
import { expect } from "vitest";
import { userKey } from "../../src/base/key.js";
import { Random } from "../../src/base/random.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../../src/paxos/operation.js";
import { type Death, QUIET, SimulatedCluster } from "../../src/sim/cluster.js";
import type { Call, HistoryOperation, Reply, Told } from "../../src/sim/history.js";
import { checkHistory, describeFailures } from "../../src/sim/linearizability.js";

const CLIENTS = 8;
const FAULTY_MS = 4000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class RandomWorkload {
  readonly #random: Random;
  readonly #replicas: number;
  readonly #native: boolean;
  readonly #cluster: SimulatedCluster;
  readonly #history: HistoryOperation[] = [];
  readonly #keys: string[];
  #value = 0;
  #stopped = false;
  #busy = 0;

  constructor(seed: number, replicas: number, engine: "memory" | "native" = "memory") {
    this.#random = new Random(seed * 7919);
    this.#replicas = replicas;
    this.#native = engine === "native";
    this.#keys = Array.from({ length: 1 + this.#random.below(4) }, (_, i) => `key${String(i)}`);
    const rough = this.#random.chance(0.5);
    this.#cluster = new SimulatedCluster({
      ...QUIET,
      seed,
      replicas,
      engine,
      volumes: seed % 3 === 0 ? 2 : 1,
      network: { leastDelayUs: 30, mostDelayUs: rough ? 3000 : 300, slowChance: rough ? 0.02 : 0.002, slowUs: 80_000 },
      leastFlushUs: 50,
      mostFlushUs: rough ? 8000 : 400,
      requestMs: 1000,
      wallSkewMs: 50,
      cacheBytes: this.#random.chance(0.3) ? 200 : 1 << 20,
    });
  }

  c() {
    return this.#cluster;
  }
  run(): void {
    const cluster = this.#cluster;
    cluster.startAll();
    expect(cluster.runUntilServing(5000), "born").toBe(true);
    for (let client = 0; client < CLIENTS; client++) this.#next(client);
    this.#faults();
    cluster.run(FAULTY_MS);
    this.#stopped = true;
    cluster.network.heal();
    for (const disk of cluster.disks) disk.disarm();
    cluster.startAll();
    cluster.run(4000);
    expect(this.#busy, "operations that were never answered").toBe(0);
    expect(cluster.fatal.map((error) => error.message)).toEqual([]);
    expect(cluster.alarms).toEqual([]);
    this.#calm();
    // A search that was given up says nothing; it is rare, and the other keys and seeds speak for it.
    const verdicts = checkHistory(this.#history).filter((verdict) => verdict.verdict !== "undecided");
    expect(describeFailures(verdicts), "linearizable").toBe("");
  }

  /** What is on the disks, and when it ended. */
  fingerprint(): string {
    return [this.#cluster.time.nowUs, ...this.#cluster.disks.map((disk) => disk.fingerprint())].join(" ");
  }

  /** Everybody is up and connected: every key answers through every node, quickly, and lanes go to rest. */
  #calm(): void {
    const cluster = this.#cluster;
    for (const name of this.#keys) {
      for (let replica = 0; replica < this.#replicas; replica++) {
        this.#start(CLIENTS, replica, name, { kind: "read" });
        this.#start(CLIENTS + 1, replica, name, { kind: "set", value: this.#newValue() });
        cluster.run(500);
        expect(this.#busy, `answered in the calm: ${name} through n${String(replica + 1)}`).toBe(0);
      }
    }
    cluster.run(3000);
    for (let replica = 0; replica < this.#replicas; replica++) {
      expect(cluster.node(replica)?.stats().lanes, `lanes at rest at n${String(replica + 1)}`).toBe(0);
    }
  }

  #faults(): void {
    const cluster = this.#cluster;
    const random = this.#random;
    const tolerated = (this.#replicas - 1) / 2;
    const later = (ms: number, run: () => void): void => {
      cluster.time.after(ms * 1000, () => {
        if (!this.#stopped) run();
      });
    };
    const strike = (): void => {
      const victim = random.below(this.#replicas);
      const what = random.below(10);
      if (what < 5) {
        const down = cluster.disks.filter((_, replica) => !cluster.isUp(replica)).length;
        if (cluster.isUp(victim) && down < tolerated) {
          cluster.kill(victim, this.#death());
          later(20 + random.below(600), () => {
            if (!cluster.isUp(victim)) cluster.start(victim);
          });
        }
      } else if (what < 6) {
        for (let replica = 0; replica < this.#replicas; replica++) cluster.kill(replica, this.#death());
        later(10 + random.below(50), () => cluster.startAll());
      } else if (what < 9) {
        const other = (victim + 1 + random.below(this.#replicas - 1)) % this.#replicas;
        cluster.network.cut(victim, other);
        if (random.chance(0.5)) cluster.network.cut(other, victim);
        later(20 + random.below(400), () => cluster.network.heal());
      }
      later(50 + random.below(500), strike);
    };
    later(100, strike);
    if (this.#native) this.#powerCuts(later);
    // Merge makes decided marks durable, and drops what they cover, at any time (D5).
    const merge = (): void => {
      for (let replica = 0; replica < this.#replicas; replica++) cluster.store(replica)?.mergeAll();
      later(37, merge);
    };
    later(37, merge);
  }

  /** The process alone, or the machine with what its disk had not flushed. */
  #death(): Death {
    return this.#native && this.#random.chance(0.5) ? "silent" : "closed";
  }

  /** The power of a machine goes at any call of its disk, at work or while it starts; some time later it is back. */
  #powerCuts(later: (ms: number, run: () => void) => void): void {
    const cluster = this.#cluster;
    const random = this.#random;
    const arm = (): void => {
      const when = (["before", "within", "after"] as const)[random.below(3)] ?? "before";
      cluster.disks[random.below(this.#replicas)]?.armPowerCut({
        in: 1 + random.below(90),
        when,
        seed: random.next32(),
      });
      later(100 + random.below(1200), arm);
    };
    const repair = (): void => {
      for (let replica = 0; replica < this.#replicas; replica++) {
        if (cluster.disks[replica]?.powerIsOff === true) cluster.start(replica);
      }
      later(20 + random.below(300), repair);
    };
    later(100, arm);
    later(50, repair);
  }

  #newValue(): string {
    this.#value++;
    return `v${String(this.#value)}`;
  }

  #next(client: number): void {
    if (this.#stopped) return;
    const name = this.#keys[this.#random.below(this.#keys.length)] ?? "key0";
    this.#start(client, this.#random.below(this.#replicas), name, this.#call());
  }

  #call(): Call {
    const random = this.#random;
    switch (random.below(10)) {
      case 0:
      case 1:
      case 2:
        return { kind: "read" };
      case 3:
        return { kind: "read-version" };
      case 4:
      case 5:
        return { kind: "set", value: String(random.below(50)) };
      case 6:
        return { kind: "set-absent", value: String(random.below(50)) };
      case 7:
        return { kind: "delete" };
      case 8:
        return { kind: "set-version", value: String(random.below(50)), version: random.below(30) };
      default:
        return { kind: "add", delta: 1 };
    }
  }

  #start(client: number, replica: number, name: string, call: Call): void {
    const cluster = this.#cluster;
    const start = cluster.time.nowUs;
    const key = userKey(name);
    let open = true;
    const again = (): void => {
      if (client < CLIENTS) cluster.time.after(this.#random.below(20_000), () => this.#next(client));
    };
    const end = (told: Told): void => {
      if (!open) return;
      open = false;
      this.#busy--;
      this.#history.push({ client, key: name, call, start, end: cluster.time.nowUs, told });
      again();
    };
    const node = cluster.node(replica);
    if (node === null) {
      again();
      return;
    }
    this.#busy++;
    // A process that dies takes the answer with it: the client sees its connection end.
    const watch = (): void => {
      if (!open) return;
      if (cluster.node(replica) !== node) end({ status: "unknown" });
      else cluster.time.after(5000, watch);
    };
    watch();
    if (call.kind === "read" || call.kind === "read-version") {
      cluster.read(replica, key, (outcome) => end(readTold(outcome, call.kind === "read-version")));
    } else cluster.write(replica, key, operationOf(call), (outcome) => end(writeTold(outcome, call)));
  }
}

function operationOf(call: Exclude<Call, { kind: "read" | "read-version" }>): Operation {
  const plain = { kind: "set", expiryMs: 0, returnOld: false } as const;
  switch (call.kind) {
    case "set":
      return { ...plain, value: encoder.encode(call.value), condition: { kind: "none" } };
    case "set-absent":
      return { ...plain, value: encoder.encode(call.value), condition: { kind: "absent" } };
    case "set-version":
      return { ...plain, value: encoder.encode(call.value), condition: { kind: "version", version: call.version } };
    case "delete":
      return { kind: "delete" };
    case "add":
      return { kind: "add", delta: String(call.delta) };
  }
}

function readTold(outcome: ReadOutcome, withVersion: boolean): Told {
  if (outcome.status !== "ok") return { status: "not-applied" };
  if (!outcome.found) return { status: "replied", reply: null };
  const text = decoder.decode(outcome.value);
  return { status: "replied", reply: withVersion ? [outcome.version, text] : text };
}

function writeTold(outcome: WriteOutcome, call: Call): Told {
  switch (outcome.status) {
    case "unknown":
      return { status: "unknown" };
    case "not-applied":
      return { status: "not-applied" };
    case "failed":
      return { status: "replied", reply: call.kind === "set-version" ? null : 0 };
    case "ok": {
      const reply: Reply =
        call.kind === "set-version" ? outcome.version : call.kind === "add" ? Number(outcome.result) : 1;
      return { status: "replied", reply };
    }
  }
}
