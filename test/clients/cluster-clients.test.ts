// Goal: unmodified cluster clients find the nodes of a cluster, spread their commands over them, and go on when one is killed.
// Method: ioredis and node-redis in cluster mode, redis-cli -c and redis-benchmark --cluster against three real nodes, and against six in groups of three. Where a
// program is not installed its test is skipped, and the name says so.
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { Cluster as RedisCluster } from "ioredis";
import { createCluster } from "redis";
import { describe, expect, it } from "vitest";
import { type Cluster, type ClusterNode, until, withCluster } from "../cluster/harness.js";

const run = promisify(execFile);
const KEYS = 300;

function missing(program: string): string {
  return spawnSync(program, ["--version"]).status === 0 ? "" : ` (skipped: ${program} is not installed)`;
}

/** SET commands that each node was sent by clients. */
async function setsByNode(cluster: Cluster): Promise<number[]> {
  const infos = await Promise.all(cluster.nodes.map((node) => node.info()));
  return infos.map((info) => Number(/calls=(\d+)/.exec(info.get("cmdstat_set") ?? "calls=0")?.[1]));
}

async function mapOf(node: ClusterNode): Promise<string> {
  const direct = await node.connect();
  const map = JSON.stringify(await direct.must("CLUSTER", "NODES"));
  direct.close();
  return map;
}

async function spread(cluster: Cluster, set: (key: string) => Promise<unknown>): Promise<void> {
  const before = await setsByNode(cluster);
  for (let i = 0; i < KEYS; i++) await set(`key:${String(i)}`);
  const sets = (await setsByNode(cluster)).map((count, i) => count - (before[i] ?? 0));
  expect(sets.reduce((sum, count) => sum + count, 0)).toBe(KEYS);
  for (const count of sets) expect(count).toBeGreaterThan(KEYS / cluster.nodes.length / 2);
}

describe.each([3, 6])("cluster clients of %d nodes", (nodes) => {
  it("ioredis spreads its commands, and goes on without a killed node", { timeout: 120_000 }, async () => {
    await withCluster({ nodes }, async (cluster) => {
      const client = new RedisCluster(
        cluster.nodes.map(({ plan }) => ({ host: "127.0.0.1", port: plan.clientPort })),
        { slotsRefreshInterval: 500, clusterRetryStrategy: () => 100, retryDelayOnFailover: 100 },
      );
      try {
        await spread(cluster, (key) => client.set(key, "1"));
        await cluster.node(1).kill();
        for (let i = 0; i < KEYS; i++) expect(await client.incr(`key:${String(i)}`)).toBe(2);
      } finally {
        client.disconnect();
      }
    });
  });

  it("node-redis spreads its commands, and goes on without a killed node", { timeout: 120_000 }, async () => {
    await withCluster({ nodes }, async (cluster) => {
      const client = createCluster({
        rootNodes: cluster.nodes.map(({ plan }) => ({ url: `redis://127.0.0.1:${String(plan.clientPort)}` })),
        defaults: { socket: { reconnectStrategy: 100 } },
      });
      client.on("error", () => undefined);
      await client.connect();
      try {
        await spread(cluster, (key) => client.set(key, "1"));
        await cluster.node(1).kill();
        const survivors = cluster.nodes.filter((node) => node.alive);
        // The new client asks any of them for its map, and waits for every node that the map names.
        await until("all others say that it is gone", async () => {
          const maps = await Promise.all(survivors.map(mapOf));
          return maps.every((map) => map.includes("fail"));
        });
        const other = createCluster({
          rootNodes: survivors.map(({ plan }) => ({ url: `redis://127.0.0.1:${String(plan.clientPort)}` })),
        });
        other.on("error", () => undefined);
        await other.connect();
        for (let i = 0; i < KEYS; i++) expect(await other.incr(`key:${String(i)}`)).toBe(2);
        other.destroy();
      } finally {
        client.destroy();
      }
    });
  });

  const noCli = missing("redis-cli");
  it.skipIf(noCli !== "")(`redis-cli -c reads and writes${noCli}`, { timeout: 60_000 }, async () => {
    await withCluster({ nodes }, async (cluster) => {
      const port = String(cluster.node(0).plan.clientPort);
      const cli = async (...args: string[]): Promise<string> =>
        (await run("redis-cli", ["-c", "-p", port, ...args])).stdout;
      expect(await cli("SET", "greeting", "hello")).toBe("OK\n");
      expect(await cli("GET", "greeting")).toBe("hello\n");
      expect(await cli("CLUSTER", "SLOTS")).toContain("16383");
      expect(
        (await run("redis-cli", ["--cluster", "call", `127.0.0.1:${port}`, "PING"])).stdout.match(/PONG/g),
      ).toHaveLength(nodes);
    });
  });

  const noBenchmark = missing("redis-benchmark");
  it.skipIf(noBenchmark !== "")(
    `redis-benchmark --cluster runs without an error${noBenchmark}`,
    { timeout: 60_000 },
    async () => {
      await withCluster({ nodes }, async (cluster) => {
        const port = String(cluster.node(0).plan.clientPort);
        const args = ["--cluster", "-p", port, "-t", "set,get,incr", "-n", "3000", "-c", "30", "--csv"];
        const { stdout, stderr } = await run("redis-benchmark", args);
        expect(stdout).toContain('"INCR"');
        expect(stdout + stderr).not.toMatch(/error/i);
        for (const count of await setsByNode(cluster)) expect(count).toBeGreaterThan(0);
      });
    },
  );
});
