/**
 * Goal: `plogdb/sim` gives an application the cluster it would have, faults and all, and the same one for the same seed.
 * Method: small scenarios with promises, as a user's tests would hold them.
 */
import { describe, expect, it } from "vitest";
import { PlogError, type PlogNode, type Simulation, simulate, WEATHER_KINDS } from "../../src/api/simulation.js";

const CALM = { faults: [] } as const;

function text(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString();
}

function nodeOf(simulation: Simulation, index: number): PlogNode {
  const node = simulation.nodes[index];
  if (node === undefined) throw new Error("there is no such node");
  return node;
}

/** Increments through any node until one says that it was done. The number of tries whose outcome nobody knows. */
async function countTo(simulation: Simulation, times: number): Promise<number> {
  let unknown = 0;
  for (let done = 0; done < times; ) {
    try {
      await nodeOf(simulation, simulation.random(simulation.nodes.length)).increment("count");
      done++;
    } catch (error) {
      if (!(error instanceof PlogError)) throw error;
      if (error.outcome === "unknown") unknown++;
      await simulation.sleep(10);
    }
  }
  return unknown;
}

describe("a simulation", () => {
  it("serves the operations of a node, from any of them", async () => {
    const { result } = await simulate(CALM, async (simulation) => {
      await nodeOf(simulation, 0).set("a", "1");
      await nodeOf(simulation, 1).append("a", "2");
      const versioned = await nodeOf(simulation, 2).getWithVersion("a");
      const views = await nodeOf(simulation, 1).inspect("a");
      await nodeOf(simulation, 0).delete("a");
      return [text(versioned?.value ?? null), versioned?.version, views.length, await nodeOf(simulation, 1).has("a")];
    });
    expect(result).toEqual(["12", 2, 3, false]);
  });

  it("takes virtual time, not real time", async () => {
    const { result, ms } = await simulate(CALM, async (simulation) => {
      const before = simulation.now();
      await nodeOf(simulation, 0).set("short", "x", { expiresAtMs: before + 1000 });
      await simulation.sleep(600_000);
      return [simulation.now() - before >= 600_000, await nodeOf(simulation, 1).get("short")];
    });
    expect(result).toEqual([true, null]);
    expect(ms).toBeGreaterThanOrEqual(600_000);
  });

  it("refuses what is asked of a node that is down, and goes on with the others", async () => {
    await simulate(CALM, async (simulation) => {
      await nodeOf(simulation, 0).set("a", "1");
      simulation.kill(1);
      expect(simulation.isRunning(1)).toBe(false);
      await expect(nodeOf(simulation, 1).get("a")).rejects.toMatchObject({ code: "LOADING", retryable: true });
      await expect(nodeOf(simulation, 1).set("a", "2")).rejects.toMatchObject({ outcome: "not-applied" });
      expect(await nodeOf(simulation, 1).inspect("a")).toEqual([]);
      expect(nodeOf(simulation, 1).stats().nodeId).toBe("n2");
      await nodeOf(simulation, 2).set("a", "3");
      simulation.start(1);
      await simulation.calm();
      expect(text(await nodeOf(simulation, 1).get("a"))).toBe("3");
    });
  });

  it("says that nobody knows what became of a write when the node dies under it", async () => {
    await simulate(CALM, async (simulation) => {
      const write = nodeOf(simulation, 0).set("a", "1");
      const read = nodeOf(simulation, 0).get("a");
      simulation.kill(0);
      await expect(write).rejects.toMatchObject({ code: "UNKNOWN", outcome: "unknown" });
      await expect(read).rejects.toMatchObject({ code: "LOADING" });
    });
  });

  it("has no majority where links are cut, and one again when they are mended", async () => {
    await simulate({ ...CALM, requestMs: 500 }, async (simulation) => {
      for (const other of [1, 2]) {
        simulation.cut(0, other);
        simulation.cut(other, 0);
      }
      await expect(nodeOf(simulation, 0).get("a")).rejects.toMatchObject({ code: "NOQUORUM" });
      await nodeOf(simulation, 1).set("a", "1");
      simulation.heal();
      await simulation.sleep(2000);
      expect(text(await nodeOf(simulation, 0).get("a"))).toBe("1");
    });
  });

  it("loses and repeats nothing while everything happens, with three nodes and with five", {
    timeout: 60_000,
  }, async () => {
    const struck = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const replicas = seed % 2 === 0 ? 3 : 5;
      const { faults } = await simulate({ seed, replicas, faultEveryMs: 30, clockSkewMs: 100 }, async (simulation) => {
        const unknown = await countTo(simulation, 60);
        await simulation.calm();
        const count = Number(text(await nodeOf(simulation, 0).get("count")));
        expect(count, `seed ${String(seed)}`).toBeGreaterThanOrEqual(60);
        expect(count, `seed ${String(seed)}`).toBeLessThanOrEqual(60 + unknown);
      });
      for (const kind of Object.keys(faults)) struck.add(kind);
    }
    expect([...struck].sort()).toEqual([...WEATHER_KINDS].sort());
  });

  it("is the same for the same seed, and another for another", async () => {
    const run = (seed: number) => simulate({ seed, faultEveryMs: 30 }, (simulation) => countTo(simulation, 40));
    const first = await run(7);
    expect(await run(7)).toEqual(first);
    expect((await run(8)).traceHash).not.toBe(first.traceHash);
  });

  it("ends with what the scenario throws, and says when one never ends", async () => {
    const failing = simulate(CALM, async (simulation) => {
      await simulation.sleep(1);
      throw new Error("the application is wrong");
    });
    await expect(failing).rejects.toThrow("the application is wrong");
    const stuck = simulate({ ...CALM, limitMs: 5000 }, () => new Promise<void>(() => undefined));
    await expect(stuck).rejects.toThrow(/did not end within 5000 ms/);
  });

  it.each([
    [{ seed: -1 }, /seed/],
    [{ seed: 1.5 }, /seed/],
    [{ replicas: 4 as 3 }, /replicas/],
    [{ faults: ["flood" as "kill"] }, /no fault "flood"/],
    [{ networkUs: [10, 5] as const }, /least to most/],
    [{ faultEveryMs: 0 }, /faultEveryMs/],
    [{ limitMs: Number.NaN }, /limitMs/],
    [{ requestMs: 0 }, /requestMs/],
    [{ clockSkewMs: -1 }, /clockSkewMs/],
  ])("refuses %j", (options, why) => {
    expect(() => simulate(options, () => Promise.resolve())).toThrow(why);
  });
});
