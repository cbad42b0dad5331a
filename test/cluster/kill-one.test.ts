// Goal: a cluster of real processes stays linearizable and goes on serving while one node after the other is killed with
// -9 and restarted; and what is written through any node is read through any other at once. Method: 20 clients record a
// history, the checker judges it. PLOGDB_LONG=1 runs the full minute. Replay the draw: PLOGDB_SEED=n.
import { describe, expect, it } from "vitest";
import { checkHistory, describeFailures } from "../../src/sim/linearizability.js";
import { LONG, pause, withCluster } from "./harness.js";
import { Workload } from "./workload.js";

const SEED = Number(process.env["PLOGDB_SEED"] ?? Math.floor(Math.random() * 1e6));
const SECONDS = LONG ? 60 : 20;
const WAIT_BOUND_MS = 5_000;

describe("three real nodes", () => {
  it("read through any node at once what was written through any other", { timeout: 60_000 }, async () => {
    await withCluster({}, async (cluster) => {
      const clients = await Promise.all(cluster.nodes.map((node) => node.connect()));
      let serial = 0;
      for (let round = 0; round < 30; round++) {
        for (const writer of clients) {
          const value = `value ${String(serial++)}`;
          const key = `shared:${String(round % 7)}`;
          await writer.must("SET", key, value);
          const seen = await Promise.all(clients.map((reader) => reader.must("GET", key)));
          expect(seen).toEqual([value, value, value]);
        }
      }
      for (const client of clients) client.close();
    });
  });

  it(`stay linearizable while one at a time is killed and restarted for ${String(SECONDS)} s`, {
    timeout: (SECONDS + 120) * 1000,
  }, async () => {
    console.log(`seed ${String(SEED)}`);
    await withCluster({}, async (cluster) => {
      const workload = new Workload(cluster, { clients: 20, counters: 10, registers: 40, seed: SEED });
      workload.start();
      const endMs = performance.now() + SECONDS * 1000;
      let kills = 0;
      while (performance.now() < endMs) {
        await pause(1_000);
        const victim = cluster.node(kills % cluster.nodes.length);
        await victim.kill();
        kills++;
        await pause(1_000);
        victim.spawn();
        await victim.serving();
      }
      await pause(500);
      await workload.stop();
      const final = await workload.readAll();
      const verdicts = checkHistory(workload.history);
      const explored = verdicts.reduce((sum, verdict) => sum + verdict.explored, 0);
      console.log(`${String(kills)} kills; ${workload.summary()}; ${String(explored)} configurations`);

      expect(describeFailures(verdicts)).toBe("");
      for (const key of workload.keys.filter((name) => name.startsWith("counter:"))) {
        const sum = Number(final.get(key) ?? 0);
        const { acknowledged, atMost } = workload.counterBounds(key);
        expect(sum, key).toBeGreaterThanOrEqual(acknowledged);
        expect(sum, key).toBeLessThanOrEqual(atMost);
      }
      expect(kills).toBeGreaterThanOrEqual(3);
      expect(workload.longestWaitMs, workload.longestWait).toBeLessThan(WAIT_BOUND_MS);
    });
  });
});
