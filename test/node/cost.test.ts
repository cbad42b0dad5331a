// Goal: a steady write costs what docs/protocol.md says under P17: one flush in sequence and three records in all, four
// messages at the leader and five through Submit, with two marks that ride along. Method: a quiet simulated cluster whose
// network and disks take a fixed time, so that the latency of a write shows what it waited for.
import { describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { QUIET, type SimulatedCluster } from "../../src/sim/cluster.js";
import { set, started, write } from "./harness.js";

const KEY = userKey("steady");
const WRITES = 100;
const HOP_US = 100;
const FLUSH_US = 2000;
/** Turns end a little later than their last input. */
const TURNS_US = 60;
/** Notes of watermarks are records too: each node makes one a second. */
const NOTES_PER_WRITE = 0.1;
const MARKS = 2;

interface Cost {
  readonly messages: number;
  readonly records: number;
  readonly flushes: number;
  readonly slowestUs: number;
  readonly fast: number;
  readonly submitted: number;
  readonly twoPhase: number;
}

function totals(cluster: SimulatedCluster): Omit<Cost, "slowestUs"> {
  const sum = { messages: 0, records: 0, flushes: 0, fast: 0, submitted: 0, twoPhase: 0 };
  for (let replica = 0; replica < 3; replica++) {
    const stats = cluster.node(replica)?.stats();
    if (stats === undefined) throw new Error("a node is down");
    sum.messages += stats.messagesSent;
    sum.records += stats.recordsWritten;
    sum.flushes += stats.flushes;
    sum.fast += stats.fastRounds;
    sum.submitted += stats.submittedRounds;
    sum.twoPhase += stats.twoPhaseRounds;
  }
  return sum;
}

/** Cost per write of one key, through `writers` in turn. */
function measure(writers: readonly number[]): Cost {
  const network = { ...QUIET.network, leastDelayUs: HOP_US, mostDelayUs: HOP_US };
  const cluster = started(1, { network, leastFlushUs: FLUSH_US, mostFlushUs: FLUSH_US });
  const one = (i: number): number => {
    const before = cluster.time.nowUs;
    expect(write(cluster, writers[i % writers.length] ?? 0, KEY, set(`v${String(i)}`)).status).toBe("ok");
    const tookUs = cluster.time.nowUs - before;
    cluster.run(5); // what follows the answer ends before the next write
    return tookUs;
  };
  for (let i = 0; i < 10; i++) one(i);
  const before = totals(cluster);
  let slowestUs = 0;
  for (let i = 0; i < WRITES; i++) slowestUs = Math.max(slowestUs, one(i));
  const after = totals(cluster);
  return {
    slowestUs,
    messages: (after.messages - before.messages) / WRITES,
    records: (after.records - before.records) / WRITES,
    flushes: (after.flushes - before.flushes) / WRITES,
    fast: (after.fast - before.fast) / WRITES,
    submitted: (after.submitted - before.submitted) / WRITES,
    twoPhase: (after.twoPhase - before.twoPhase) / WRITES,
  };
}

describe("a steady write", () => {
  it("at the leader: one round trip, one flush in sequence, three records, four messages and the marks", () => {
    const cost = measure([0]);
    expect(cost).toMatchObject({ messages: 4 + MARKS, fast: 1, submitted: 0, twoPhase: 0 });
    expect(cost.records).toBeGreaterThanOrEqual(3);
    expect(cost.records).toBeLessThan(3 + NOTES_PER_WRITE);
    expect(cost.flushes).toBeLessThan(3 + NOTES_PER_WRITE);
    expect(cost.slowestUs).toBeLessThan(FLUSH_US + 2 * HOP_US + TURNS_US);
  });

  it("through Submit: one hop and one message more, no flush", () => {
    const cost = measure([0, 1]);
    expect(cost).toMatchObject({ messages: 5 + MARKS, fast: 1, submitted: 1, twoPhase: 0 });
    expect(cost.records).toBeGreaterThanOrEqual(3);
    expect(cost.records).toBeLessThan(3 + NOTES_PER_WRITE);
    expect(cost.slowestUs).toBeLessThan(FLUSH_US + 3 * HOP_US + TURNS_US);
  });
});
