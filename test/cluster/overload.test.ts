// Goal: asked for four times what it can do, a cluster goes on doing about what it can; the rest is refused as BUSY at once, no
// process grows without bound, and when the flood is over all is as before. Method: the generator of bench:overload, a process
// of its own, against three real nodes; the bounds here are wide, for a machine that does other things too, and far from what
// a cluster without this does (a hundredth of its peak, and time-outs). The figures are the bench's.
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { withCluster, type Cluster } from "./harness.js";

const KEYS = 10_000;
const TIMES = 4;
const LEAST_SHARE = 0.3;
const MOST_GROWTH_MIB = 400;

interface Flood {
  readonly offered: number;
  readonly goodPerSec: number;
  readonly refusedPerSec: number;
  readonly refusedP50Us: number;
  readonly late: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly unanswered: number;
}

function runJob<T>(file: string, job: object): Promise<T> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL(`../../bench/lib/${file}`, import.meta.url)), { execArgv: [] });
    child.on("error", reject);
    child.on("exit", (code) => {
      reject(new Error(`the load process ended with ${String(code)}`));
    });
    child.on("message", (message: { event: string; result: T; message: string }) => {
      if (message.event === "done") resolve(message.result);
      else if (message.event === "failed") reject(new Error(message.message));
    });
    child.send(job);
  });
}

function mostResidentMib(cluster: Cluster): number {
  const sizes = cluster.nodes.map(({ process }) => {
    const status = readFileSync(`/proc/${String(process?.pid)}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
  });
  return Math.max(...sizes);
}

describe("a flood of requests", () => {
  it("is answered with BUSY beyond what can be done, and what can be done is done", { timeout: 120_000 }, async () => {
    await withCluster({}, async (cluster) => {
      const common = { ports: cluster.nodes.map(({ plan }) => plan.clientPort), keys: KEYS, valueBytes: 120 };
      const load = { ...common, protocol: "resp", readShare: 0, warmupMs: 2000, measureMs: 3000 };
      const closed = async (): Promise<number> => {
        const { writes, seconds } = await runJob<{ writes: number; seconds: number }>("load.mjs", {
          ...load,
          clients: 256,
        });
        return writes / seconds;
      };
      await runJob("load.mjs", { ...common, protocol: "resp", clients: 64, fill: true });
      const peak = await closed();
      const beforeMib = mostResidentMib(cluster);
      const shape = { connections: 600, burst: 8, patienceMs: 1000, readShare: 0, seconds: 8 };
      const flood = await runJob<Flood>("open-load.mjs", { ...common, ...shape, perSecond: peak * TIMES });
      const mib = mostResidentMib(cluster);
      const after = await closed();
      console.log(
        `peak ${peak.toFixed(0)}/s, flood ${JSON.stringify(flood)}, after ${after.toFixed(0)}/s, ` +
          `resident at most ${beforeMib.toFixed(0)} MiB before, ${mib.toFixed(0)} MiB then`,
      );
      expect(flood.unanswered).toBe(0);
      expect(flood.refusedPerSec).toBeGreaterThan(0);
      expect(flood.goodPerSec / peak).toBeGreaterThan(LEAST_SHARE);
      expect(after / peak).toBeGreaterThan(LEAST_SHARE);
      expect(mib - beforeMib).toBeLessThan(MOST_GROWTH_MIB);
    });
  });
});
