// The two that are compared: a redis-server without persistence, and a cluster of three nodes of ours, each a process of
// its own. Both on free ports of the loopback, in a temporary directory that is removed at the end.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../bench/lib/processes.mjs";
import { encode, Wire } from "./wire.mjs";

const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const START_MS = 60_000;
const POLL_MS = 25;
const NODES = ["n1", "n2", "n3"];

export function redisVersion() {
  const result = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  return result.status === 0 ? (/v=(\S+)/.exec(result.stdout)?.[1] ?? "?") : null;
}

async function answers(port, args) {
  const wire = new Wire(port);
  wire.send(encode(args.map((arg) => Buffer.from(arg))));
  const reply = await wire.receive(5_000);
  wire.close();
  return !"(-".includes(String.fromCharCode(reply[0]));
}

async function untilServing(what, process, port, args) {
  const deadline = performance.now() + START_MS;
  while (!(await answers(port, args))) {
    if (process.exitCode !== null) throw new Error(`${what} ended with ${process.exitCode}:\n${process.said}`);
    if (performance.now() > deadline) throw new Error(`${what} does not serve:\n${process.said}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function start(command, args) {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  child.said = "";
  child.stderr.on("data", (chunk) => {
    child.said = (child.said + chunk).slice(-8192);
  });
  return child;
}

function configOf(directory, id, ports) {
  const nodes = NODES.map(
    (node) =>
      `  ${node}: { peer: "127.0.0.1:${ports[node].peer}", client: "127.0.0.1:${ports[node].client}", zone: a }`,
  );
  const text = `cluster: diff
node: ${id}
data: [./${id}]
listen: 127.0.0.1:${ports[id].client}
peer: 127.0.0.1:${ports[id].peer}
nodes:
${nodes.join("\n")}
storage: { size: 1GiB, durability: none }
logLevel: warn
`;
  const file = join(directory, `${id}.yaml`);
  mkdirSync(join(directory, id));
  writeFileSync(file, text);
  return file;
}

/** Ports of both, and how to end them. */
export async function startServers() {
  const directory = mkdtempSync(join(tmpdir(), "plogdb-diff-"));
  const children = [];
  const stop = async () => {
    const ends = children.map((child) =>
      child.exitCode === null ? new Promise((resolve) => child.once("close", resolve)) : null,
    );
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(ends);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const [redis, ...others] = await freePorts(1 + 2 * NODES.length);
    const bare = ["--save", "", "--appendonly", "no", "--databases", "1", "--bind", "127.0.0.1", "--dir", directory];
    children.push(start("redis-server", ["--port", String(redis), ...bare]));
    const ports = {};
    for (const node of NODES) ports[node] = { client: others.shift(), peer: others.shift() };
    for (const node of NODES)
      children.push(start(process.execPath, [COMMAND, "server", "--config", configOf(directory, node, ports)]));
    const ours = NODES.map((node) => ports[node].client);
    await untilServing("redis-server", children[0], redis, ["PING"]);
    for (const [index, port] of ours.entries())
      await untilServing(NODES[index], children[index + 1], port, ["GET", "ready"]);
    return { redis, ours, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
