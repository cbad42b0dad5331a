// Goal: six machines in groups of three. When one is killed under load, the only requests that fail at the first attempt are
// those under way at it, what it served falls on at least four others, and nothing acknowledged is lost; an emptied node is
// filled by itself, in all of its groups, and then another may go. Method: real processes, and callers that know the slots:
// each asks the node that is listed first, and notes how every first attempt ended.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { slotOfKey } from "../../src/cluster/hash-slot.js";
import { type Cluster, pause, runCommand, until, withCluster } from "./harness.js";
import { CALLERS, listed, lost, SlotLoad } from "./slot-load.js";

const NODES = 6;
const DEAD = 0;

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new Error(`an answer of the wrong shape: ${JSON.stringify(value)}`);
  return value;
}

async function statusOf(cluster: Cluster, index: number) {
  const client = await cluster.node(index).connect();
  const text = await client.must("REPLICA", "STATUS");
  client.close();
  return JSON.parse(textOf(text)) as {
    readonly state: string;
    readonly mode: string;
    readonly loss: { readonly open: boolean; readonly restoring: boolean; readonly number: number };
    readonly catchUp: { readonly backlog: number };
  };
}

async function verified(cluster: Cluster, index: number): Promise<unknown> {
  const client = await cluster.node(index).connect();
  const answer = await client.call(["REPLICA", "VERIFY"], 60_000);
  client.close();
  return answer.status === "reply" ? JSON.parse(textOf(answer.value)) : answer.status;
}

describe("six nodes in groups of three", () => {
  it("serve on when one is killed, on at least four others, and fill it again", { timeout: 240_000 }, async () => {
    await withCluster({ nodes: NODES, extra: "repair: { verifySeconds: 1 }" }, async (cluster) => {
      const bySlot = await listed(cluster, 1);
      for (const nodes of bySlot) expect(new Set(nodes.map((node) => node % 3)), "a node of each zone").toHaveLength(3);
      const load = new SlotLoad(cluster, bySlot, DEAD);
      load.start();
      await pause(2000);
      const before = new Map(load.inItsPlace);
      await cluster.node(DEAD).kill();
      await pause(4000);
      await load.stop();

      const shares = [...load.inItsPlace]
        .map(([node, count]) => ({ node: `n${String(node + 1)}`, count: count - (before.get(node) ?? 0) }))
        .filter(({ node }) => node !== `n${String(DEAD + 1)}`);
      const total = shares.reduce((sum, { count }) => sum + count, 0);
      console.log(
        `${String(load.firstAttempts)} first attempts, ${String(load.failures.length)} failed; ` +
          `in the place of the dead node: ${shares.map(({ node, count }) => `${node} ${String(count)}`).join(", ")}`,
      );
      expect(load.failures.filter(({ node }) => node !== DEAD)).toEqual([]);
      // Under way when its connection ended: no answer, and of each caller once at most, for it has no other there.
      expect(load.failures.filter(({ why }) => why !== "lost")).toEqual([]);
      expect(load.failures.length).toBeLessThanOrEqual(CALLERS);
      expect(shares.filter(({ count }) => count > total / 10).length).toBeGreaterThanOrEqual(4);
      expect(total).toBeGreaterThan(100);
      expect(await lost(cluster, bySlot, load.acknowledged)).toEqual([]);

      // Whoever asks is told to go elsewhere, also by a node that has no connection with the dead one.
      await until("n4, which shares no group with it, lists the dead node last", async () =>
        (await listed(cluster, 3)).every((nodes) => !nodes.includes(DEAD) || nodes[2] === DEAD),
      );

      const { dataDir } = cluster.node(DEAD).plan;
      rmSync(dataDir, { recursive: true });
      cluster.node(DEAD).spawn();
      await cluster.node(DEAD).serving();
      expect(existsSync(dataDir)).toBe(true);
      await until(
        "the emptied node votes for everything",
        async () => {
          const { mode, loss } = await statusOf(cluster, DEAD);
          return mode === "voter" && loss.number > 0 && !loss.open && !loss.restoring;
        },
        60_000,
      );
      expect(await verified(cluster, DEAD)).toMatchObject({ behind: 0, diverged: 0, learners: 0, buckets: 4 * 65_536 });
      await cluster.node(4).kill();
      expect(await lost(cluster, bySlot, load.acknowledged)).toEqual([]);
      const again = new SlotLoad(cluster, bySlot);
      again.start();
      await pause(500);
      await again.stop();
      expect(again.failures).toEqual([]);
    });
  });

  it("send clients on for slots that are not theirs, and refuse keys of several nodes", {
    timeout: 60_000,
  }, async () => {
    await withCluster({ nodes: NODES }, async (cluster) => {
      const bySlot = await listed(cluster, 0);
      const slot = slotOfKey(Buffer.from("foo"));
      for (const [i, node] of cluster.nodes.entries()) {
        const client = await node.connect();
        const answer = await client.call(["SET", "foo", String(i)]);
        if (answer.status !== "reply") throw new Error(answer.status);
        if (bySlot[slot]?.includes(i) === true) expect(answer.value).toBe("OK");
        else {
          const to = cluster.node(bySlot[slot]?.[0] ?? -1).plan.clientPort;
          expect(answer.value).toMatchObject({ message: `MOVED ${String(slot)} 127.0.0.1:${String(to)}` });
        }
        const many = await client.call(["MGET", "a", "b", "c", "d", "e", "f"]);
        expect(many).toMatchObject({ value: { prefix: "CROSSSLOT" } });
        // Inside a transaction it is refused where it is queued.
        expect(await client.must("MULTI")).toBe("OK");
        const queued = await client.call(["GET", "foo"]);
        const ended = await client.call(["EXEC"]);
        if (bySlot[slot]?.includes(i) === true) expect(queued).toMatchObject({ value: "QUEUED" });
        else {
          expect(queued).toMatchObject({ value: { prefix: "MOVED" } });
          expect(ended).toMatchObject({ value: { prefix: "EXECABORT" } });
        }
        client.close();
      }
    });
  });

  it("keep their placement: a node that is told other zones does not start", { timeout: 60_000 }, async () => {
    await withCluster({ nodes: NODES }, async (cluster) => {
      const node = cluster.node(2);
      await node.process?.end("SIGTERM");
      const { configFile } = node.plan;
      const swapped = readFileSync(configFile, "utf8")
        .replace(/( n1: .*zone: )a/, "$1b")
        .replace(/( n2: .*zone: )b/, "$1a");
      const other = join(cluster.dir, "other-zones.yaml");
      writeFileSync(other, swapped);
      const run = await runCommand(["server", "--config", other], cluster.dir);
      expect([run.exitCode, run.stderr]).toEqual([3, expect.stringContaining("under another placement of slots")]);
      node.spawn();
      await node.serving();
    });
  });
});
