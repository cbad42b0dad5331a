// Goal: `plogdb cluster up` starts a cluster that serves, and whatever ends it takes every process along. Method: the real
// command in a temp dir; the nodes' process ids come from INFO.
import { rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePorts } from "../ports.js";
import { CommandProcess, tempDir, until } from "./harness.js";
import { RespClient } from "./resp-client.js";

let dir = "";
let up: CommandProcess | null = null;
let pids: number[] = [];

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function basePort(): Promise<number> {
  const [port = 0] = await freePorts(210);
  return port;
}

/** Starts a cluster and returns the ports of its nodes once each answers a strong read. */
async function start(base: number): Promise<number[]> {
  const args = ["cluster", "up", "--nodes", "3", "--dir", dir, "--base-port", String(base), "--size", "64MiB"];
  const command = new CommandProcess(args, dir);
  up = command;
  const ports = [1, 2, 3].map((n) => base + n);
  await until(
    "the cluster prints its ports",
    () => !command.running || ports.every((port) => command.stdout.includes(String(port))),
    30_000,
    () => command.stdout + command.stderr,
  );
  for (const port of ports) {
    const client = await RespClient.connect(port);
    if (client === null) throw new Error(`nobody listens on ${String(port)}\n${command.stdout}\n${command.stderr}`);
    await client.must("GET", "any");
    const info = await client.must("INFO", "server");
    if (typeof info !== "string") throw new Error("INFO answers with text");
    pids.push(Number(/process_id:(\d+)/.exec(info)?.[1]));
    client.close();
  }
  expect(pids.every(alive)).toBe(true);
  return ports;
}

async function expectAllGone(): Promise<void> {
  await until("every node is gone", () => !pids.some(alive), 15_000);
}

beforeEach(() => {
  dir = tempDir();
  pids = [];
});

afterEach(async () => {
  await up?.end("SIGKILL");
  for (const pid of pids) if (alive(pid)) process.kill(pid, "SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

describe("plogdb cluster up", () => {
  it("serves, stops with SIGTERM, and finds the data at the next start, which Ctrl-C stops", {
    timeout: 90_000,
  }, async () => {
    const base = await basePort();
    const [port = 0] = await start(base);
    const writer = await RespClient.connect(port);
    await writer?.must("SET", "kept", "over a restart");
    writer?.close();
    expect(await up?.end("SIGTERM"), up?.stderr).toBe(0);
    await expectAllGone();

    pids = [];
    const ports = await start(base);
    const reader = await RespClient.connect(ports[2] ?? 0);
    expect(await reader?.must("GET", "kept")).toBe("over a restart");
    reader?.close();
    expect(await up?.end("SIGINT"), up?.stderr).toBe(0);
    await expectAllGone();
  });

  it("leaves no node behind when it is killed with -9", { timeout: 60_000 }, async () => {
    await start(await basePort());
    await up?.end("SIGKILL");
    await expectAllGone();
  });

  it("names the port that is taken and starts nothing", { timeout: 60_000 }, async () => {
    const base = await basePort();
    await start(base);
    const other = tempDir();
    try {
      const second = new CommandProcess(
        ["cluster", "up", "--dir", other, "--base-port", String(base), "--size", "64MiB"],
        other,
      );
      expect(await second.exited).toBe(2);
      expect(second.stderr).toContain(String(base + 1));
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });
});
