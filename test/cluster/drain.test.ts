// Goal: the map of a cluster is one for all of it: what is changed at one node is known to all, also to those that do not hold it, and stays over
// the end of all processes. A node that was drained can be stopped under load without a single request that fails. Method: real processes, the
// command as an operator uses it, and callers that read the map again and again.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster as Running, Cluster, pause, runCommand, until } from "./harness.js";
import { listed, lost, SlotLoad } from "./slot-load.js";

const SPARED = 0;
const ID = "n1";

let cluster: Running;

beforeAll(async () => {
  cluster = await Cluster.start({ nodes: 6 });
}, 60_000);

afterAll(async () => {
  await cluster.destroy();
});

/** Version of the map, and who is spared by it, at each node. */
async function maps(): Promise<string[]> {
  const infos = await Promise.all(cluster.nodes.map((node) => node.info()));
  return infos.map((info) => `${info.get("cluster_map_version") ?? ""}: ${info.get("cluster_drained") ?? ""}`);
}

async function all(map: string): Promise<void> {
  let seen: readonly string[] = [];
  await until(
    `all know ${map}`,
    async () => (seen = await maps()).every((one) => one === map),
    10_000,
    () => seen.join(", "),
  );
}

async function drain(word: "on" | "off", through: number): Promise<void> {
  const { configFile } = cluster.node(through).plan;
  const run = await runCommand(["cluster", "drain", ID, word, "--config", configFile, "--json"], cluster.dir);
  expect([run.exitCode, run.stdout, run.stderr]).toEqual([0, expect.stringContaining('"drained":'), ""]);
}

/** The spared node comes last in what every node tells clients. */
async function isLastEverywhere(): Promise<boolean> {
  const views = await Promise.all(cluster.nodes.map((_, i) => listed(cluster, i)));
  return views.every((bySlot) => bySlot.every((nodes) => !nodes.includes(SPARED) || nodes.at(-1) === SPARED));
}

describe("the map of six nodes", () => {
  it("is known to all, whoever holds it", { timeout: 60_000 }, async () => {
    await all("1: ");
  });

  it("spares a node when it is told to, and everybody says so", { timeout: 60_000 }, async () => {
    await drain("on", 3);
    await all(`2: ${ID}`);
    expect(await isLastEverywhere()).toBe(true);
    const status = await runCommand(["cluster", "status", "--config", cluster.node(4).plan.configFile], cluster.dir);
    expect(status.stdout.split("\n").find((line) => line.startsWith(ID))).toContain("voter, drained");
  });

  it("lets the spared node be stopped and started under load, and nobody fails", { timeout: 60_000 }, async () => {
    const load = new SlotLoad(cluster, await listed(cluster, 1));
    load.start();
    await pause(1000);
    const before = load.acknowledged.size;
    expect(await cluster.node(SPARED).process?.end("SIGTERM")).toBe(0);
    await pause(1500);
    await load.stop();
    console.log(`${String(load.firstAttempts)} first attempts while a drained node was stopped, all answered`);
    expect(load.failures).toEqual([]);
    expect(load.acknowledged.size).toBeGreaterThan(before);
    cluster.node(SPARED).spawn();
    await cluster.node(SPARED).serving();
    expect(await lost(cluster, load.bySlot, load.acknowledged)).toEqual([]);
  });

  it("is remembered when all processes were killed", { timeout: 60_000 }, async () => {
    await cluster.killAll();
    await cluster.startAll();
    await all(`2: ${ID}`);
  });

  it("takes the node in again, and it is the first to ask for its share", { timeout: 60_000 }, async () => {
    await drain("off", 0);
    await all("3: ");
    await until("it is listed first for some slots", async () =>
      (await listed(cluster, 5)).some(([first]) => first === SPARED),
    );
  });

  it("is changed at the nodes that hold it, and nowhere else", { timeout: 60_000 }, async () => {
    const answers = await Promise.all(
      cluster.nodes.map(async (node) => {
        const client = await node.connect();
        const answer = await client.call(["REPLICA", "DRAIN", ID, "OFF"]);
        client.close();
        return JSON.stringify(answer);
      }),
    );
    expect(answers.filter((answer) => answer.includes("OK"))).toHaveLength(3);
    expect(answers.filter((answer) => answer.includes("ask one of them"))).toHaveLength(3);
    await all("3: ");
  });

  it("is no key of anybody's", { timeout: 60_000 }, async () => {
    const client = await cluster.node(0).connect();
    for (const key of await client.must("KEYS", "*").then((keys) => keys as string[])) expect(key).toMatch(/^key:/);
    client.close();
  });
});
