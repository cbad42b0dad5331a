// Goal: every write that was acknowledged is there after all three nodes were killed with -9 at once, again and again.
// Method: writers put one value under each key of their own and note what was acknowledged; a shared workload goes on
// beside them over all rounds and its whole history is checked. Replay the draw: PLOGDB_SEED=n.
import { describe, expect, it } from "vitest";
import { checkHistory, describeFailures } from "../../src/sim/linearizability.js";
import { pause, until, withCluster, type Cluster } from "./harness.js";
import { Workload } from "./workload.js";

const SEED = Number(process.env["PLOGDB_SEED"] ?? Math.floor(Math.random() * 1e6));
const ROUNDS = 20;
const WRITERS = 6;
const LOAD_MS = 400;

/** Writes keys of its own, one after the other, until its connection ends, and notes what was acknowledged. */
async function writeOnce(
  cluster: Cluster,
  round: number,
  writer: number,
  acknowledged: Map<string, string>,
): Promise<void> {
  const client = await cluster.node(writer % cluster.nodes.length).connect();
  for (let serial = 0; !client.closed; serial++) {
    const key = `once:${String(round)}:${String(writer)}:${String(serial)}`;
    const answer = await client.call(["SET", key, `value of ${key}`]);
    if (answer.status === "reply" && answer.value === "OK") acknowledged.set(key, `value of ${key}`);
  }
}

/** The keys of which another value is read than the acknowledged one, through the given node. */
async function findLost(cluster: Cluster, index: number, expected: ReadonlyMap<string, string>): Promise<string[]> {
  const client = await cluster.node(index).connect();
  const keys = [...expected.keys()];
  const lost: string[] = [];
  for (let at = 0; at < keys.length; at += 200) {
    const batch = keys.slice(at, at + 200);
    const values = await client.readInTime("MGET", ...batch);
    if (!Array.isArray(values)) throw new Error("MGET answers with an array");
    for (const [i, key] of batch.entries()) {
      if (values[i] !== expected.get(key)) lost.push(`${key}: ${JSON.stringify(values[i])}`);
    }
  }
  client.close();
  return lost;
}

describe("three real nodes killed at once", () => {
  it(`keep every acknowledged write, ${String(ROUNDS)} times`, { timeout: 300_000 }, async () => {
    console.log(`seed ${String(SEED)}`);
    await withCluster({}, async (cluster) => {
      const workload = new Workload(cluster, { clients: 6, counters: 4, registers: 12, seed: SEED });
      const all = new Map<string, string>();
      workload.start();
      for (let round = 0; round < ROUNDS; round++) {
        const expected = new Map<string, string>();
        const writers = Array.from({ length: WRITERS }, (_, writer) => writeOnce(cluster, round, writer, expected));
        await pause(LOAD_MS);
        // On a busy machine the first write may take longer than that.
        await until(`round ${String(round)}: writes before the kill`, () => expected.size > 0);
        await cluster.killAll();
        await Promise.all(writers);
        await cluster.startAll();
        expect(await findLost(cluster, round % 3, expected), `round ${String(round)}`).toEqual([]);
        for (const [key, value] of expected) all.set(key, value);
      }
      await workload.stop();
      for (let index = 0; index < 3; index++) expect(await findLost(cluster, index, all)).toEqual([]);
      await workload.readAll();
      console.log(`${String(all.size)} writes of one value each; ${workload.summary()}`);
      expect(describeFailures(checkHistory(workload.history))).toBe("");
    });
  });
});
