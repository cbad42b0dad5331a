/**
 * The clients of a simulated cluster: each does one thing at a time, through any replica, and writes down what it was told.
 * They draw what they do from a seed and know nothing of faults: a process that dies takes its answers with it, and a
 * client that has waited too long stops waiting; what it asked for is UNKNOWN for ever.
 */
import { type Key, userKey } from "../base/key.js";
import type { Random } from "../base/random.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { ReadOutcome, WriteOutcome } from "../paxos/operation.js";
import type { SimulatedCluster } from "./cluster.js";
import { drawCall, type DrawnCall, type KeySort, tagOf } from "./draw-call.js";
import type { Call, HistoryOperation, Reply, Told } from "./history.js";
import { type ClientOperation, describe, type Ledger } from "./ledger.js";
import type { Plan } from "./plan.js";
import { wallMsAt } from "./virtual-time.js";

interface WorkloadKey {
  readonly name: string;
  readonly key: Key;
  readonly sort: KeySort;
  /** The newest version that anybody was told. */
  version: number;
  open: number;
}

interface OpenOperation {
  readonly told: ClientOperation;
  readonly call: Call | null;
  readonly key: WorkloadKey;
  /** Called once, with what was told or null. */
  readonly ended: (outcome: WriteOutcome | ReadOutcome | null) => void;
}

const LARGE_BYTES = 2000;
const decoder = new TextDecoder();

export class Workload {
  readonly keys: readonly WorkloadKey[];
  readonly history: HistoryOperation[] = [];
  /** Answers by their status, for the report. */
  readonly statuses = new Map<string, number>();
  /** Of the plan's; and all that was asked for, the calm's included. */
  issued = 0;
  asked = 0;
  /** Operations without an answer yet. */
  readonly #open = new Set<OpenOperation>();
  readonly #cluster: SimulatedCluster;
  readonly #plan: Plan;
  readonly #ledger: Ledger;
  readonly #random: Random;
  #values = 0;
  #stopped = false;

  constructor(cluster: SimulatedCluster, plan: Plan, ledger: Ledger, random: Random) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#ledger = ledger;
    this.#random = random;
    const { counters, registers, mixed, rich } = plan.keys;
    this.keys = [
      ...keysOf("counter", counters),
      ...keysOf("register", registers),
      ...keysOf("mixed", mixed),
      ...keysOf("rich", rich),
    ];
  }

  get open(): number {
    return this.#open.size;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** True when every operation of the plan was issued. */
  get isDone(): boolean {
    return this.issued >= this.#plan.operations;
  }

  start(): void {
    for (let client = 1; client <= this.#plan.clients; client++) this.#next(client);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The process died: whoever waited for it sees a connection end. */
  onKilled(replica: ReplicaId): void {
    for (const open of [...this.#open]) if (open.told.replica === replica) this.#end(open, null);
  }

  #later(client: number): void {
    this.#cluster.time.after(1 + this.#random.below(this.#plan.thinkUs + 1), () => {
      this.#next(client);
    });
  }

  #next(client: number): void {
    if (this.#stopped || this.isDone) return;
    const replica = this.#random.below(this.#plan.replicas);
    const hot = this.#plan.kinds.has("hot-key") && this.#random.chance(0.8);
    const key = this.keys[hot ? 0 : this.#random.below(this.keys.length)];
    if (key === undefined || this.#cluster.node(replica) === null) {
      this.#later(client);
      return;
    }
    this.issued++;
    if (hot && key.open > 0) this.#cluster.hits.hit("hot-key");
    this.ask(client, replica, key, this.#draw(key), () => {
      this.#later(client);
    });
  }

  #draw(key: WorkloadKey): DrawnCall {
    return drawCall(key.sort, {
      random: this.#random,
      mostValueBytes: this.#plan.mostValueBytes,
      newTag: () => this.newTag(),
      version: key.version,
      wallMs: wallMsAt(this.#cluster.time.nowUs),
    });
  }

  newTag(): string {
    this.#values++;
    return `v${String(this.#values)}`;
  }

  /** `ended` is called once: with what was told, or with null when nothing was. */
  ask(
    client: number,
    replica: ReplicaId,
    key: WorkloadKey,
    drawn: DrawnCall,
    ended: (outcome: WriteOutcome | ReadOutcome | null) => void,
  ): void {
    const cluster = this.#cluster;
    const { operation, call } = drawn;
    const told: ClientOperation = {
      id: this.asked + 1,
      client,
      key: key.key,
      replica,
      operation,
      low: this.#ledger.low(key.key),
      startUs: cluster.time.nowUs,
      outcome: "open",
    };
    const open: OpenOperation = { told, call, key, ended };
    this.#open.add(open);
    this.asked++;
    key.open++;
    cluster.trace.note("call", client, told.id, replica);
    if (cluster.trace.hasStory) cluster.trace.tell(describe(told));
    if (operation !== null && "value" in operation && operation.value.length >= LARGE_BYTES)
      cluster.hits.hit("large-values");
    if (operation === null) {
      cluster.read(replica, key.key, (outcome) => {
        this.#end(open, outcome);
      });
    } else {
      cluster.write(replica, key.key, operation, (outcome) => {
        this.#end(open, outcome);
      });
    }
    cluster.time.after(this.#plan.requestMs * 2000 + 500_000, () => {
      this.#end(open, null);
    });
  }

  #end(open: OpenOperation, outcome: WriteOutcome | ReadOutcome | null): void {
    if (!this.#open.delete(open)) return; // given up before, or its process died
    const { told, key } = open;
    const cluster = this.#cluster;
    key.open--;
    const status = outcome === null ? "lost" : outcome.status;
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    const index = outcome !== null && "index" in outcome ? outcome.index : 0;
    cluster.trace.note("answer", told.client, told.id, index * 8 + status.length);
    if (cluster.trace.hasStory) cluster.trace.tell(`${describe(told)} -> ${renderOutcome(outcome)}`);
    if (outcome === null) this.#ledger.onLost(told);
    else if (told.operation === null) this.#ledger.onReadAnswer(told, outcome as ReadOutcome);
    else this.#ledger.onWriteAnswer(told, outcome as WriteOutcome);
    if (outcome !== null && "version" in outcome) key.version = Math.max(key.version, outcome.version);
    this.#countHits(outcome);
    const { call } = open;
    if (call !== null) {
      this.history.push({
        client: told.client,
        key: key.name,
        call,
        start: told.startUs,
        end: cluster.time.nowUs,
        told: toldBy(call, outcome),
      });
    }
    open.ended(outcome);
  }

  #countHits(outcome: WriteOutcome | ReadOutcome | null): void {
    if (outcome === null || outcome.status === "ok" || outcome.status === "failed") return;
    const code = "code" in outcome ? outcome.code : "UNKNOWN";
    if (code === "DISKFULL") this.#cluster.hits.hit("disk-full");
    else if (this.#plan.kinds.has("overload") && (code === "NOQUORUM" || code === "BUSY" || code === "UNKNOWN")) {
      this.#cluster.hits.hit("overload");
    }
  }
}

function keysOf(sort: KeySort, count: number): WorkloadKey[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `${sort}${String(i)}`;
    return { name, key: userKey(name), sort, version: 0, open: 0 };
  });
}

export type { WorkloadKey };

/** What an outcome says about a call, in the words of a history. */
function toldBy(call: Call, outcome: WriteOutcome | ReadOutcome | null): Told {
  if (outcome === null) return { status: "unknown" };
  switch (outcome.status) {
    case "unknown":
      return { status: "unknown" };
    case "not-applied":
    case "refused":
      return { status: "not-applied" };
    case "failed":
      // The base may have had a value to which nothing can be added: that changes nothing and shows nothing.
      if (call.kind === "add") return { status: "not-applied" };
      return { status: "replied", reply: call.kind === "set-version" ? null : 0 };
    case "ok":
      return { status: "replied", reply: "found" in outcome ? readReply(call, outcome) : writeReply(call, outcome) };
  }
}

function readReply(call: Call, outcome: Extract<ReadOutcome, { status: "ok" }>): Reply {
  if (!outcome.found) return null;
  const tag = tagOf(decoder.decode(outcome.value));
  return call.kind === "read-version" ? [outcome.version, tag] : tag;
}

function writeReply(call: Call, outcome: Extract<WriteOutcome, { status: "ok" }>): Reply {
  if (call.kind === "set-version") return outcome.version;
  return call.kind === "add" ? Number(outcome.result) : 1;
}

function renderOutcome(outcome: WriteOutcome | ReadOutcome | null): string {
  if (outcome === null) return "nothing";
  switch (outcome.status) {
    case "ok":
      if (!("found" in outcome)) return `OK at ${String(outcome.index)}, version ${String(outcome.version)}`;
      return `${outcome.found ? JSON.stringify(decoder.decode(outcome.value).slice(0, 16)) : "absent"} at ${String(outcome.index)}`;
    case "failed":
      return `FAILED, ${outcome.reason}`;
    case "unknown":
      return "UNKNOWN";
    case "not-applied":
    case "refused":
      return `NOT APPLIED, ${outcome.code}`;
  }
}
