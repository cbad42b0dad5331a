// Goal: a node that stands still in the middle of its work (SIGSTOP) and goes on a minute later does no harm: histories stay
// linearizable, the others go on, and nothing that its clients or peers had asked of it and given up comes to life. Method:
// three real processes; clients that stay with their nodes record a history; writes whose clients are gone lie in the sockets of
// the stopped node when it wakes. PLOGDB_LONG=1: the full minute.
import { describe, expect, it } from "vitest";
import { checkHistory, describeFailures } from "../../src/sim/linearizability.js";
import { LONG, pause, until, withCluster, type ClusterNode } from "./harness.js";
import { RespClient } from "./resp-client.js";
import { Workload } from "./workload.js";

const SEED = Number(process.env["PLOGDB_SEED"] ?? Math.floor(Math.random() * 1e6));
const STOP_MS = LONG ? 60_000 : 15_000;
/** Longer than a node tries (3 s) and than anybody here waits for an answer. */
const GIVEN_UP_MS = 6_000;
const KEYS = 40;
const GAP_MS = 1000;

function names(prefix: string): string[] {
  return Array.from({ length: KEYS }, (_, i) => `${prefix}:${String(i)}`);
}

async function connectTo(node: ClusterNode): Promise<RespClient> {
  const client = await RespClient.connect(node.plan.clientPort, node.plan.host.address);
  if (client === null) throw new Error("a stopped process still has its port");
  return client;
}

async function readAll(client: RespClient, keys: readonly string[]): Promise<unknown[]> {
  return Promise.all(keys.map((key) => client.must("GET", key)));
}

describe("a node that is stopped and goes on", () => {
  it(`breaks no history when it stood still for ${String(STOP_MS / 1000)} s in the middle of its proposals`, {
    timeout: STOP_MS + 90_000,
  }, async () => {
    console.log(`seed ${String(SEED)}`);
    await withCluster({}, async (cluster) => {
      const workload = new Workload(cluster, { clients: 18, counters: 10, registers: 40, seed: SEED, pinned: true });
      const writesOf = (node: number): number[] =>
        workload.successes.filter((one) => one.node === node && one.isWrite).map(({ atMs }) => atMs);
      workload.start();
      await pause(1000);
      const victim = cluster.node(1);
      const stoppedMs = performance.now();
      victim.process?.child.kill("SIGSTOP");
      await pause(STOP_MS);
      const wokenMs = performance.now();
      victim.process?.child.kill("SIGCONT");
      await until("it writes again", () => writesOf(1).some((at) => at > wokenMs), 30_000);
      const wakingMs = performance.now() - wokenMs;
      await pause(2000);
      await workload.stop();
      await workload.readAll();

      const gaps = [0, 2].map((node) => {
        const moments = writesOf(node).filter((at) => at > stoppedMs - 100 && at < wokenMs + 2000);
        return moments.reduce((longest, at, i) => Math.max(longest, at - (moments[i - 1] ?? at)), 0);
      });
      console.log(
        `longest gaps of the others ${gaps.map((ms) => ms.toFixed(0)).join(", ")} ms; it writes ${wakingMs.toFixed(0)} ms after; ${workload.summary()}`,
      );
      expect(describeFailures(checkHistory(workload.history))).toBe("");
      for (const gap of gaps) expect(gap).toBeLessThan(GAP_MS);
    });
  });

  it("begins nothing, when it wakes, that its clients and its peers have given up", { timeout: 90_000 }, async () => {
    await withCluster({}, async (cluster) => {
      const [first, victim, third] = [cluster.node(0), cluster.node(1), cluster.node(2)];
      const [asked, handed, fresh] = [names("asked"), names("handed"), names("fresh")];
      const through = await connectTo(victim);
      // Written through the victim: it leads the next position of each.
      for (const key of [...asked, ...handed]) await through.must("SET", key, "before");
      const reader = await connectTo(first);

      victim.process?.child.kill("SIGSTOP");
      const late = await connectTo(victim); // the kernel takes the connection, nobody accepts it
      for (const key of asked) void through.call(["SET", key, "zombie"], GIVEN_UP_MS);
      for (const key of fresh) void late.call(["SET", key, "zombie"], GIVEN_UP_MS);
      third.process?.child.kill("SIGSTOP"); // no majority: what the first hands to the victim stays undecided
      const outcomes = await Promise.all(handed.map((key) => reader.call(["SET", key, "zombie"], 2 * GIVEN_UP_MS)));
      expect(outcomes.filter(({ status }) => status !== "reply")).toEqual([]);
      through.close();
      late.close();
      third.process?.child.kill("SIGCONT");
      await until("a majority serves", async () => (await reader.call(["GET", "ready"])).status === "reply");
      await pause(2000);
      const keys = [...asked, ...handed, ...fresh];
      const before = await readAll(reader, keys);
      expect(before.slice(0, KEYS)).toEqual(asked.map(() => "before"));

      victim.process?.child.kill("SIGCONT");
      await victim.serving();
      await pause(2000);
      expect(await readAll(reader, keys)).toEqual(before);
      const again = await connectTo(victim);
      expect(await readAll(again, keys)).toEqual(before);
      await again.must("SET", asked[0] ?? "", "after");
      expect(await reader.must("GET", asked[0] ?? "")).toBe("after");
      for (const client of [again, reader]) client.close();
    });
  });
});
