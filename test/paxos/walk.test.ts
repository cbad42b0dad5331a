/**
 * Goal: agreement, at-most-once, honest answers and liveness of the core under faults, by random walks of real cores.
 * Method: walk.ts, one walk a seed, N of 1, 3 and 5; the oracle judges. A bad seed is printed with its trace's end and
 * the command that repeats it. PLOGDB_WALK_SEED and PLOGDB_WALK_REPLICAS repeat one walk with its whole trace;
 * PLOGDB_WALKS sets how many there are (2,000 take about four seconds on an idle core).
 */
import { expect, it, describe } from "vitest";
import { FRESH_TICKS, REST_TICKS, runWalk } from "../../src/sim/soup/walk.js";

const only = process.env["PLOGDB_WALK_SEED"];
const onlyReplicas = Number(process.env["PLOGDB_WALK_REPLICAS"] ?? "3");
const walks = Number(process.env["PLOGDB_WALKS"] ?? "2000");
const TRACE_LINES = 150;

function explain(seed: number, replicas: number, lines: number): string {
  const { violation, trace } = runWalk({ seed, replicas, trace: true });
  const replay = `PLOGDB_WALK_SEED=${String(seed)} PLOGDB_WALK_REPLICAS=${String(replicas)} npx vitest run test/paxos/walk.test.ts`;
  return [...trace.slice(-lines), `seed ${String(seed)}, N=${String(replicas)}: ${String(violation)}`, replay].join(
    "\n",
  );
}

describe("random walks", () => {
  if (only !== undefined) {
    it(`repeats seed ${only}`, () => {
      const result = runWalk({ seed: Number(only), replicas: onlyReplicas });
      expect(result.violation === null ? "" : explain(Number(only), onlyReplicas, 100_000)).toBe("");
    });
    return;
  }
  for (const [replicas, share] of [
    [3, 0.7],
    [5, 0.25],
    [1, 0.05],
  ] as const) {
    it(
      `keep every promise of the rules at N = ${String(replicas)}`,
      () => {
        let answered = 0;
        let unknown = 0;
        for (let seed = 1; seed <= walks * share; seed++) {
          const result = runWalk({ seed, replicas });
          if (result.violation !== null) expect.fail(explain(seed, replicas, TRACE_LINES));
          expect(result.freshTicks).toBeLessThanOrEqual(FRESH_TICKS);
          expect(result.restTicks).toBeLessThanOrEqual(REST_TICKS);
          answered += result.counts["write ok"] ?? 0;
          unknown += result.counts["write unknown"] ?? 0;
        }
        // A walk in which nothing succeeds would prove nothing.
        expect(answered).toBeGreaterThan(unknown * 2);
      },
      120_000 + walks * 20,
    );
  }
});
