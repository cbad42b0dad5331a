// Callers that know the slots: each asks the node that is listed first, and notes how every first attempt ended.
import { SLOTS, slotOfKey } from "../../src/cluster/hash-slot.js";
import type { Cluster } from "./harness.js";
import { type RespClient, RespFailure } from "./resp-client.js";

export const CALLERS = 24;

export interface FirstFailure {
  readonly node: number;
  readonly why: string;
}

/** The nodes of each slot, the one to ask first in front, as a node lists them. */
export async function listed(cluster: Cluster, through: number): Promise<number[][]> {
  const client = await cluster.node(through).connect();
  const ranges = await client.must("CLUSTER", "SLOTS");
  client.close();
  if (!Array.isArray(ranges)) throw new Error("CLUSTER SLOTS answers with an array");
  const bySlot: number[][] = new Array<number[]>(SLOTS).fill([]);
  for (const range of ranges as [number, number, ...[string, number, string][]][]) {
    const [first, last, ...members] = range;
    const nodes = members.map(([, port]) => cluster.nodes.findIndex(({ plan }) => plan.clientPort === port));
    bySlot.fill(nodes, first, last + 1);
  }
  return bySlot;
}

/** Callers in closed loops, each with keys of its own. */
export class SlotLoad {
  readonly acknowledged = new Map<string, string>();
  readonly failures: FirstFailure[] = [];
  /** First attempts on keys whose first node is the watched one, by the node that served them. */
  readonly inItsPlace = new Map<number, number>();
  firstAttempts = 0;
  readonly #cluster: Cluster;
  readonly #watched: number;
  /** May be replaced while they run. */
  bySlot: readonly (readonly number[])[];
  #running = true;
  #callers: Promise<void>[] = [];

  constructor(cluster: Cluster, bySlot: readonly (readonly number[])[], watched = -1) {
    this.#cluster = cluster;
    this.bySlot = bySlot;
    this.#watched = watched;
  }

  start(): void {
    this.#callers = Array.from({ length: CALLERS }, (_, caller) => this.#run(caller));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#callers);
  }

  async #run(caller: number): Promise<void> {
    const clients: (RespClient | undefined)[] = [];
    for (const node of this.#cluster.nodes) clients.push(node.alive ? await node.connect() : undefined);
    for (let serial = 0; this.#running; serial++) {
      const key = `key:${String(caller)}:${String(serial)}`;
      const order = this.bySlot[slotOfKey(Buffer.from(key))] ?? [];
      // Who knows that a node is gone asks the next one.
      const [node = -1, other = -1] = order.filter((one) => clients[one]?.closed === false);
      this.firstAttempts++;
      if (order[0] === this.#watched) this.inItsPlace.set(node, (this.inItsPlace.get(node) ?? 0) + 1);
      const why = await set(clients[node], key);
      if (why !== null) this.failures.push({ node, why });
      if (why === null || (await set(clients[other], key)) === null) this.acknowledged.set(key, `value of ${key}`);
    }
    for (const client of clients) client?.close();
  }
}

/** Null when it was acknowledged, else why not. */
async function set(client: RespClient | undefined, key: string): Promise<string | null> {
  const answer = await client?.call(["SET", key, `value of ${key}`]);
  if (answer?.status !== "reply") return answer?.status ?? "nobody to ask";
  return answer.value instanceof RespFailure ? answer.value.message : null;
}

/** Keys of which something else is read than what was acknowledged, each through every node of its group that lives. */
export async function lost(
  cluster: Cluster,
  bySlot: readonly (readonly number[])[],
  expected: ReadonlyMap<string, string>,
) {
  const clients = new Map<number, RespClient>();
  for (const [i, node] of cluster.nodes.entries()) if (node.alive) clients.set(i, await node.connect());
  const wrong: string[] = [];
  const check = async (key: string, value: string): Promise<void> => {
    for (const node of bySlot[slotOfKey(Buffer.from(key))] ?? []) {
      const found = await clients.get(node)?.readInTime("GET", key);
      if (found !== undefined && found !== value)
        wrong.push(`${key} through n${String(node + 1)}: ${JSON.stringify(found)}`);
    }
  };
  const all = [...expected];
  for (let at = 0; at < all.length; at += 200) {
    await Promise.all(all.slice(at, at + 200).map(([key, value]) => check(key, value)));
  }
  for (const client of clients.values()) client.close();
  return wrong.slice(0, 5);
}
