// Goal: whatever comes in, the answer is a clear error and nothing is lost. Method: garbage on both ports of a real
// node, values and keys beyond the bounds, broken configurations, and data directories that are another's; every time the exit code and the message are looked at, and afterwards the data.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.js";
import { freePorts } from "../ports.js";
import { runCommand, tempDir, withCluster, type Cluster, type CommandProcess } from "./harness.js";
import { RespFailure } from "./resp-client.js";

const SMALL = { storage: "{ size: 64MiB, durability: flush }" };
const SEED = Number(process.env["PLOGDB_SEED"] ?? Math.floor(Math.random() * 1e6));

/** Sends bytes to a port and waits until the other side ends it, or a while. */
async function throwAt(port: number, bytes: Buffer | string): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(bytes));
    socket.setTimeout(300, () => socket.destroy());
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      resolve(answer);
    });
  });
}

function garbage(): (Buffer | string)[] {
  const random = new Random(SEED);
  const noise = (bytes: number): Buffer => Buffer.from(Array.from({ length: bytes }, () => random.below(256)));
  return [
    noise(10),
    noise(1_000),
    noise(200_000),
    Buffer.alloc(5_000),
    Buffer.alloc(5_000, 0xff),
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "*1000000000\r\n",
    "*-5\r\n*3\r\n",
    "*1\r\n$99999999999\r\n",
    "*2\r\n$3\r\nGET\r\n:5\r\n",
    `*1\r\n$4\r\nPI\u0000G\r\n${"x".repeat(100_000)}`,
    "\r\n\r\n\r\n",
  ];
}

async function expectServing(cluster: Cluster, values: Readonly<Record<string, string>>): Promise<void> {
  for (const node of cluster.nodes) {
    expect(node.alive, `${node.plan.id} lives\n${node.describe()}`).toBe(true);
    const client = await node.connect();
    for (const [key, value] of Object.entries(values)) expect(await client.must("GET", key)).toBe(value);
    client.close();
  }
}

function expectEnd(run: CommandProcess, code: number, message: RegExp): void {
  const text = `${run.stdout}${run.stderr}`;
  expect(run.exitCode, text).toBe(code);
  expect(text).toMatch(message);
  expect(text).not.toMatch(/\n\s+at .*\.js:\d+/); // a sentence, not a stack
}

/** The configuration of a node with every port replaced by a free one, in a file beside it. */
async function withOtherPorts(configFile: string, change: (text: string) => string): Promise<string> {
  let text = readFileSync(configFile, "utf8");
  const used = [...new Set(text.match(/127\.0\.0\.1:\d+/g))];
  const ports = await freePorts(used.length);
  for (const [i, address] of used.entries()) text = text.replaceAll(address, `127.0.0.1:${String(ports[i])}`);
  const file = configFile.replace(".yaml", ".other.yaml");
  writeFileSync(file, change(text));
  return file;
}

describe("a running node", () => {
  it("survives garbage on its client port and on its peer port", { timeout: 60_000 }, async () => {
    console.log(`seed ${String(SEED)}`);
    await withCluster(SMALL, async (cluster) => {
      const client = await cluster.node(0).connect();
      await client.must("SET", "kept", "value");
      const { clientPort, peerPort } = cluster.node(0).plan;
      await Promise.all(garbage().flatMap((bytes) => [throwAt(clientPort, bytes), throwAt(peerPort, bytes)]));
      expect(await throwAt(clientPort, "*1000000000\r\n")).toMatch(/^-ERR /);
      await client.must("SET", "after", "garbage");
      await expectServing(cluster, { kept: "value", after: "garbage" });
    });
  });

  it("refuses keys and values beyond the bounds, unknown commands and wrong arities, and goes on", {
    timeout: 60_000,
  }, async () => {
    await withCluster(SMALL, async (cluster) => {
      const client = await cluster.node(0).connect();
      const refusal = async (...command: string[]): Promise<string> => {
        const answer = await client.call(command);
        expect(answer.status, command.join(" ").slice(0, 40)).toBe("reply");
        const value = answer.status === "reply" ? answer.value : null;
        return value instanceof RespFailure ? value.message : `no error but ${JSON.stringify(value)}`;
      };
      await client.must("SET", "kept", "value");
      expect(await refusal("SET", "k".repeat(100_000), "v")).toMatch(/^ERR /);
      expect(await refusal("GET", "k".repeat(100_000))).toMatch(/^ERR /);
      expect(await refusal("SET", "kept", "v".repeat(4_000_000))).toMatch(/^ERR /);
      expect(await refusal("APPEND", "kept", "v".repeat(4_000_000))).toMatch(/^ERR /);
      expect(await refusal("NOSUCH", "a", "b")).toMatch(
        /^ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'/,
      );
      expect(await refusal("GET")).toBe("ERR wrong number of arguments for 'get' command");
      expect(await refusal("INCR", "kept")).toBe("ERR value is not an integer or out of range");
      expect(await refusal("VSET", "kept", "v", "x")).toMatch(/^ERR value is not an integer/);
      client.close();
      await expectServing(cluster, { kept: "value" });
    });
  });
});

describe("plogdb server", () => {
  const good = (dir: string): string =>
    `cluster: test\nnode: n1\ndata: [${dir}/n1]\nlisten: 127.0.0.1:0\npeer: 127.0.0.1:19999\n` +
    "nodes:\n  n1: { peer: 127.0.0.1:19999, client: 127.0.0.1:19998, zone: a }\nstorage: { size: 64MiB }\n";
  const broken: readonly [what: string, change: (text: string) => string, message: RegExp][] = [
    ["is not YAML", (text) => text.replace("[", "{[("), /bad\.yaml/],
    ["is empty", () => "", /bad\.yaml/],
    ["has an unknown key", (text) => `${text}colour: blue\n`, /colour/],
    ["names a node that is not in the list", (text) => text.replace("node: n1", "node: n9"), /n9/],
    [
      "has an even number of nodes",
      (text) => text.replace("storage:", "  n2: { peer: 127.0.0.1:19997, client: 127.0.0.1:19996 }\nstorage:"),
      /1, 3, 5 or 7/,
    ],
    ["has a size without meaning", (text) => text.replace("64MiB", "many"), /size/],
    ["lacks its data", (text) => text.replace(/data: .*\n/, ""), /data/],
    ["has an address without a port", (text) => text.replace("127.0.0.1:0", "127.0.0.1"), /listen/],
  ];
  it("exits with 2 and names file and key when the configuration is wrong", { timeout: 60_000 }, async () => {
    const dir = tempDir();
    try {
      const file = join(dir, "bad.yaml");
      for (const [what, change, message] of broken) {
        writeFileSync(file, change(good(dir)));
        const run = await runCommand(["server", "--config", file], dir);
        expect(run.exitCode, `a file that ${what}: ${run.stderr}`).toBe(2);
        expectEnd(run, 2, message);
        expectEnd(run, 2, /bad\.yaml/);
      }
      expectEnd(await runCommand(["server", "--config", join(dir, "none.yaml")], dir), 2, /none\.yaml/);
      expectEnd(await runCommand(["server"], dir), 2, /--config/);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("exits with 3 when another server has the directory, or when it is another node's", {
    timeout: 60_000,
  }, async () => {
    await withCluster(SMALL, async (cluster) => {
      const client = await cluster.node(0).connect();
      await client.must("SET", "kept", "value");
      const { configFile } = cluster.node(0).plan;
      const second = await withOtherPorts(configFile, (text) => text);
      expectEnd(await runCommand(["server", "--config", second], cluster.dir), 3, /in use|lock|another process/i);

      await cluster.node(1).process?.end("SIGTERM");
      const foreign = await withOtherPorts(configFile, (text) => text.replace("data: [./n1]", "data: [./n2]"));
      expectEnd(await runCommand(["server", "--config", foreign], cluster.dir), 3, /n2/);
      const renamed = await withOtherPorts(cluster.node(1).plan.configFile, (text) =>
        text.replace("cluster: test", "cluster: other"),
      );
      expectEnd(await runCommand(["server", "--config", renamed], cluster.dir), 3, /other/);
      cluster.node(1).spawn();
      await cluster.node(1).serving();
      await expectServing(cluster, { kept: "value" });
    });
  });
});
