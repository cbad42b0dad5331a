// Goal: a steady write costs what docs/protocol.md says: one flush per replica, one value per forced write, four
// messages at the leader, five when another node submits. Method: sequential writes of one key on an idle cluster, and the
// difference of INFO's counters. Idle marks and notes of watermarks flush too, a few a second: hence the allowance.
import { describe, expect, it } from "vitest";
import { withCluster, type Cluster } from "./harness.js";
import { quantile } from "./histogram.js";
import { nowUs } from "./workload.js";

const WRITES = 400;
const COUNTERS = [
  "flushes",
  "records_written",
  "messages_sent",
  "fast_rounds",
  "submitted_rounds",
  "two_phase_rounds",
] as const;
type Counters = Record<(typeof COUNTERS)[number], number>;

async function countersOf(cluster: Cluster): Promise<Counters[]> {
  return Promise.all(
    cluster.nodes.map(async (node) => {
      const info = await node.info();
      const counters: Counters = {
        flushes: 0,
        records_written: 0,
        messages_sent: 0,
        fast_rounds: 0,
        submitted_rounds: 0,
        two_phase_rounds: 0,
      };
      for (const name of COUNTERS) {
        const text = info.get(name);
        expect(text, `INFO tells ${name}`).toBeDefined();
        counters[name] = Number(text);
      }
      return counters;
    }),
  );
}

interface Cost {
  /** Per write: of each node, and of all together. */
  readonly perNode: readonly Counters[];
  readonly total: Counters;
  readonly medianUs: number;
}

/** Writes one key WRITES times, through `writers` in turn. */
async function measure(cluster: Cluster, key: string, writers: readonly number[]): Promise<Cost> {
  const clients = await Promise.all(writers.map((writer) => cluster.node(writer).connect()));
  const latencies: number[] = [];
  const write = async (i: number): Promise<void> => {
    const start = nowUs();
    await clients[i % clients.length]?.must("SET", key, `${String(i)}${"x".repeat(100)}`);
    latencies.push(nowUs() - start);
  };
  for (let i = 0; i < 10; i++) await write(i);
  latencies.length = 0;
  const before = await countersOf(cluster);
  for (let i = 0; i < WRITES; i++) await write(i);
  const after = await countersOf(cluster);
  for (const client of clients) client.close();
  const perNode = after.map((counters, i) => difference(counters, before[i]));
  const total = difference(undefined, undefined);
  for (const counters of perNode) for (const name of COUNTERS) total[name] += counters[name];
  return { perNode, total, medianUs: quantile(latencies, 0.5) };
}

function difference(after: Counters | undefined, before: Counters | undefined): Counters {
  const per = (name: keyof Counters): number => ((after?.[name] ?? 0) - (before?.[name] ?? 0)) / WRITES;
  return {
    flushes: per("flushes"),
    records_written: per("records_written"),
    messages_sent: per("messages_sent"),
    fast_rounds: per("fast_rounds"),
    submitted_rounds: per("submitted_rounds"),
    two_phase_rounds: per("two_phase_rounds"),
  };
}

/** Between `exact` and 8 % above it. */
function expectAbout(value: number, exact: number, what: string): void {
  expect(value, what).toBeGreaterThanOrEqual(exact * 0.999);
  expect(value, what).toBeLessThanOrEqual(exact * 1.08);
}

function print(what: string, cost: Cost): void {
  const show = (counters: Counters): string =>
    COUNTERS.map((name) => `${name} ${counters[name].toFixed(2)}`).join(", ");
  const lines = cost.perNode.map((counters, i) => `  n${String(i + 1)}: ${show(counters)}`);
  console.log([`${what}, per write (median ${String(cost.medianUs)} us): ${show(cost.total)}`, ...lines].join("\n"));
}

describe("a steady write on three real nodes", () => {
  it("costs one flush and one value per replica and four messages at the leader, five by Submit", {
    timeout: 60_000,
  }, async () => {
    await withCluster({}, async (cluster) => {
      const own = await measure(cluster, "cost:own", [0]);
      print("through the leader", own);
      expectAbout(own.total.fast_rounds, 1, "fast rounds");
      expectAbout(own.total.flushes, 3, "flushes in all");
      for (const counters of own.perNode) expectAbout(counters.flushes, 1, "flushes of one node, so one in sequence");
      expectAbout(own.total.records_written, 3, "one value per forced write");
      expectAbout(own.total.messages_sent, 4, "messages");

      const submitted = await measure(cluster, "cost:submitted", [0, 1]);
      print("through another node than the leader", submitted);
      expectAbout(submitted.total.submitted_rounds, 1, "rounds by Submit");
      expectAbout(submitted.total.flushes, 3, "flushes in all");
      expectAbout(submitted.total.records_written, 3, "one value per forced write");
      expectAbout(submitted.total.messages_sent, 5, "messages");
      expect(own.total.two_phase_rounds + submitted.total.two_phase_rounds).toBe(0);
    });
  });
});
