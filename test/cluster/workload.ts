// Clients that keep a cluster busy and write down what they were told: a closed loop each, over all nodes, on counters
// (INCR, GET) and registers (SET, GET, DEL, SET NX, VGET, VSET). Every value is written once only, so that the checker can tell
// writes apart. A command whose connection ended or whose reply did not come in time is UNKNOWN; so is -UNKNOWN;
// every other error says NOT APPLIED and is taken at its word.
import { Random } from "../../src/base/random.js";
import type { Call, HistoryOperation, Reply, Told } from "../../src/sim/history.js";
import { pause, type Cluster } from "./harness.js";
import { RespClient, RespFailure, type Answer } from "./resp-client.js";

/** A client gives up on a command after this; the bound for waiting is shorter. */
const COMMAND_TIMEOUT_MS = 8_000;
const RECONNECT_PAUSE_MS = 10;

export interface WorkloadOptions {
  readonly clients: number;
  readonly counters: number;
  readonly registers: number;
  readonly seed: number;
  /** Every client stays with its node, whatever becomes of it. */
  readonly pinned?: boolean;
}

/** A write or a read that a node answered with success, at a moment of performance.now(). */
export interface Success {
  readonly node: number;
  readonly isWrite: boolean;
  readonly atMs: number;
}

/** Microseconds of this process's monotonic clock. */
export function nowUs(): number {
  return Math.round(performance.now() * 1000);
}

export function words(key: string, call: Call): string[] {
  switch (call.kind) {
    case "read":
      return ["GET", key];
    case "read-version":
      return ["VGET", key];
    case "set":
      return ["SET", key, call.value];
    case "set-absent":
      return ["SET", key, call.value, "NX"];
    case "set-version":
      return ["VSET", key, call.value, String(call.version)];
    case "delete":
      return ["DEL", key];
    case "add":
      return ["INCRBY", key, String(call.delta)];
  }
}

/** What an answer says about a call, in the words of a history. */
export function toldBy(call: Call, answer: Answer): Told {
  if (answer.status !== "reply") return { status: "unknown" };
  const { value } = answer;
  if (value instanceof RespFailure) return { status: value.prefix === "UNKNOWN" ? "unknown" : "not-applied" };
  return { status: "replied", reply: replyOf(call, value) };
}

function replyOf(call: Call, value: Exclude<Answer, { status: "lost" | "timeout" }>["value"]): Reply {
  if (call.kind === "set" || call.kind === "set-absent") {
    if (value === "OK") return 1;
    if (value === null && call.kind === "set-absent") return 0;
  } else if (call.kind === "read-version" && Array.isArray(value)) {
    const [version, text]: unknown[] = value;
    if (typeof version === "number" && typeof text === "string") return [version, text];
  } else if (value === null || typeof value === "number" || typeof value === "string") {
    return value;
  }
  throw new Error(`${call.kind}: an answer of the wrong shape: ${JSON.stringify(value)}`);
}

export class Workload {
  readonly history: HistoryOperation[] = [];
  readonly successes: Success[] = [];
  /** Error replies by their prefix, and "lost" and "timeout". */
  readonly troubles = new Map<string, number>();
  /** The longest time between two answers of use to one client, in ms: how long anybody waited. */
  longestWaitMs = 0;
  longestWait = "";
  readonly #cluster: Cluster;
  readonly #options: WorkloadOptions;
  readonly #versions = new Map<string, number>();
  #serial = 0;
  #running = true;
  #clients: Promise<void>[] = [];

  constructor(cluster: Cluster, options: WorkloadOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  start(): void {
    this.#running = true;
    this.#clients = Array.from({ length: this.#options.clients }, (_, i) => this.#run(i));
  }

  /** Ends every client after its present command. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  get keys(): string[] {
    const { counters, registers } = this.#options;
    return [
      ...Array.from({ length: counters }, (_, i) => `counter:${String(i)}`),
      ...Array.from({ length: registers }, (_, i) => `register:${String(i)}`),
    ];
  }

  /** Reads every key through every node of the cluster, as further operations of the history. */
  async readAll(): Promise<Map<string, string | null>> {
    const found = new Map<string, string | null>();
    for (const node of this.#cluster.nodes) {
      const client = await node.connect();
      for (const key of this.keys) {
        const told = await this.#perform(client, -1, key, { kind: "read" });
        if (told.status !== "replied") throw new Error(`${node.plan.id} does not answer GET ${key}: ${told.status}`);
        found.set(key, typeof told.reply === "string" ? told.reply : null);
      }
      client.close();
    }
    return found;
  }

  /** The sums that a counter may have: what was acknowledged, and with all that is UNKNOWN. */
  counterBounds(key: string): { acknowledged: number; atMost: number } {
    let acknowledged = 0;
    let atMost = 0;
    for (const { key: other, call, told } of this.history) {
      if (other !== key || call.kind !== "add" || told.status === "not-applied") continue;
      atMost += call.delta;
      if (told.status === "replied") acknowledged += call.delta;
    }
    return { acknowledged, atMost };
  }

  summary(): string {
    const count = (status: Told["status"]): string =>
      String(this.history.filter(({ told }) => told.status === status).length);
    const troubles = [...this.troubles].map(([name, times]) => `${name} ${String(times)}`).join(", ");
    return (
      `${String(this.history.length)} operations: ${count("replied")} told, ${count("unknown")} unknown, ` +
      `${count("not-applied")} not applied; troubles: ${troubles || "none"}; ` +
      `longest wait ${this.longestWaitMs.toFixed(0)} ms (${this.longestWait})`
    );
  }

  async #run(id: number): Promise<void> {
    const random = new Random(this.#options.seed * 1000 + id);
    let target = id % this.#cluster.nodes.length;
    let client: RespClient | null = null;
    let lastUsefulMs = performance.now();
    while (this.#running) {
      if (client === null || client.closed) {
        client = await this.#connect(target);
        if (client === null) {
          if (this.#options.pinned !== true) target = (target + 1) % this.#cluster.nodes.length;
          await pause(RECONNECT_PAUSE_MS);
          continue;
        }
      }
      const { key, call } = this.#draw(random);
      const told = await this.#perform(client, id, key, call);
      const nowMs = performance.now();
      const waitedMs = nowMs - lastUsefulMs;
      if (waitedMs > this.longestWaitMs) {
        this.longestWaitMs = waitedMs;
        this.longestWait = `client ${String(id)} at ${nowMs.toFixed(0)} ms, ${words(key, call).join(" ")}: ${told.status}`;
      }
      if (told.status === "replied") {
        lastUsefulMs = nowMs;
        const isWrite = call.kind !== "read" && call.kind !== "read-version";
        this.successes.push({ node: target, isWrite, atMs: nowMs });
      } else if (!client.closed) await pause(RECONNECT_PAUSE_MS);
      if (client.closed && this.#options.pinned !== true) target = (target + 1) % this.#cluster.nodes.length;
    }
    client?.close();
  }

  async #connect(target: number): Promise<RespClient | null> {
    const node = this.#cluster.node(target);
    return node.alive ? RespClient.connect(node.plan.clientPort, node.plan.host.address) : null;
  }

  #draw(random: Random): { key: string; call: Call } {
    const { counters, registers } = this.#options;
    const place = random.below(counters + registers);
    if (place < counters) {
      const key = `counter:${String(place)}`;
      return { key, call: random.chance(0.7) ? { kind: "add", delta: 1 } : { kind: "read" } };
    }
    const key = `register:${String(place - counters)}`;
    const value = `v${String(this.#serial++)}`;
    const draw = random.below(100);
    if (draw < 30) return { key, call: { kind: "read" } };
    if (draw < 50) return { key, call: { kind: "set", value } };
    if (draw < 60) return { key, call: { kind: "delete" } };
    if (draw < 72) return { key, call: { kind: "set-absent", value } };
    if (draw < 84) return { key, call: { kind: "read-version" } };
    return { key, call: { kind: "set-version", value, version: this.#versions.get(key) ?? 0 } };
  }

  async #perform(client: RespClient, id: number, key: string, call: Call): Promise<Told> {
    const start = nowUs();
    const answer = await client.call(words(key, call), COMMAND_TIMEOUT_MS);
    const told = toldBy(call, answer);
    this.history.push({ client: id, key, call, start, end: nowUs(), told });
    this.#noteVersion(key, call, told);
    this.#noteTrouble(answer);
    return told;
  }

  /** What VSET will expect: the newest version that any client saw. */
  #noteVersion(key: string, call: Call, told: Told): void {
    if (told.status !== "replied") return;
    const { reply } = told;
    if (call.kind === "read-version") {
      this.#versions.set(key, typeof reply === "object" && reply !== null ? reply[0] : 0);
    } else if (call.kind === "set-version" && typeof reply === "number") {
      this.#versions.set(key, reply);
    }
  }

  #noteTrouble(answer: Answer): void {
    let name: string = answer.status;
    if (answer.status === "reply") {
      if (!(answer.value instanceof RespFailure)) return;
      name = answer.value.message.slice(0, 60);
    }
    this.troubles.set(name, (this.troubles.get(name) ?? 0) + 1);
  }
}
