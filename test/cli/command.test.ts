// Goal: the command keeps its contract with people and scripts: exit codes, JSON lines, everything stopped that was
// started, data found again. Method: the compiled command as a child, small volumes, free ports.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ask } from "../../src/cli/ask.js";
import { freeBasePort, isAlive, RunningCommand, runCommand, until } from "./command.js";

const START_MS = 60_000;

let directory = "";
let started: RunningCommand[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plogdb-command-"));
  started = [];
});
afterEach(async () => {
  for (const command of started) command.signal("SIGTERM");
  await Promise.all(started.map((command) => command.ended));
  rmSync(directory, { recursive: true });
});

function start(words: readonly string[], environment: Readonly<Record<string, string>> = {}): RunningCommand {
  const command = new RunningCommand(words, environment);
  started.push(command);
  return command;
}

function up(nodes: number, basePort: number): RunningCommand {
  const words = ["cluster", "up", "--json", "--size", "64MiB", "--dir", directory];
  return start([...words, "--nodes", String(nodes), "--base-port", String(basePort)]);
}

function pidsOf(command: RunningCommand): readonly number[] {
  return command.events().flatMap((one) => (one.event === "node" && typeof one.pid === "number" ? [one.pid] : []));
}

describe("usage", () => {
  it.each([
    ["an unknown command", ["serve"]],
    ["an unknown option", ["cluster", "up", "--size-of", "1"]],
    ["no configuration", ["server"]],
    ["a configuration that is not there", ["server", "--config", "/nowhere/plogdb.yaml"]],
    ["an even number of nodes", ["cluster", "up", "--nodes", "2"]],
    ["a port that is none", ["cluster", "up", "--base-port", "x"]],
  ])("%s ends with 2 and says so on stderr", async (_, words) => {
    const { code, stdout, stderr } = await runCommand(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.length).toBeGreaterThan(10);
  });

  it("is one JSON line on stdout when JSON was asked for", async () => {
    const { code, stdout, stderr } = await runCommand(["server", "--json", "--config", "/nowhere/plogdb.yaml"]);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ event: "error", code: "CONFIG", exitCode: 2 });
    expect(stderr).toBe("");
  });

  it("help and version end with 0", async () => {
    expect((await runCommand(["--help"])).stdout).toMatch(/Exit codes: 0 ok, 1 failed, 2 usage/);
    expect(await runCommand(["--version"])).toMatchObject({ code: 0 });
  });

  it("a mistake in the file is told with file, line and key", async () => {
    const file = join(directory, "plogdb.yaml");
    writeFileSync(file, "cluster: demo\nnode: n1\ndata: here\n");
    const { code, stderr } = await runCommand(["server", "--config", file]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/plogdb\.yaml:3:1: data: "here" is not a list/);
  });
});

describe("cluster up", () => {
  it("serves, stops on SIGTERM with 0, and finds the data at the next start", { timeout: START_MS }, async () => {
    const base = await freeBasePort();
    const first = up(3, base);
    await first.event("up");
    expect(first.events().filter((one) => one.event === "node")).toHaveLength(3);
    expect(await ask(base + 1, ["SET", "greeting", "hello"], 5_000)).toBe("+OK");
    expect(await ask(base + 2, ["STRLEN", "greeting"], 5_000)).toBe(":5");
    const pids = pidsOf(first);
    first.signal("SIGTERM");
    expect(await first.ended).toMatchObject({ code: 0 });
    expect(pids.filter(isAlive)).toEqual([]);

    const second = up(3, base);
    await second.event("up");
    expect(await ask(base + 3, ["STRLEN", "greeting"], 5_000)).toBe(":5");
    second.signal("SIGINT");
    expect(await second.ended).toMatchObject({ code: 0 });
  });

  it("takes its nodes along when it is killed with -9", { timeout: START_MS }, async () => {
    const command = up(3, await freeBasePort());
    await command.event("up");
    const pids = pidsOf(command);
    expect(pids).toHaveLength(3);
    command.signal("SIGKILL");
    await command.ended;
    await until(() => !pids.some(isAlive));
  });

  it("reports a node that dies, keeps the others, and restarts nothing", { timeout: START_MS }, async () => {
    const base = await freeBasePort();
    const command = up(3, base);
    await command.event("up");
    const [victim = 0] = pidsOf(command);
    process.kill(victim, "SIGKILL");
    expect(await command.event("node-ended")).toMatchObject({ node: "n1", signal: "SIGKILL", left: 2 });
    expect(await ask(base + 2, ["SET", "k", "v"], 5_000)).toBe("+OK");
    expect(await ask(base + 1, ["PING"], 1_000)).toBeNull();
    command.signal("SIGTERM");
    expect(await command.ended).toMatchObject({ code: 0 });
  });

  it("says which port is taken, starts nothing, and ends with 2", async () => {
    const base = await freeBasePort();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(base + 102, "127.0.0.1", resolve));
    const { code, stdout } = await up(3, base).ended;
    server.close();
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ event: "error", code: "USAGE" });
    expect(stdout).toMatch(new RegExp(`port ${base + 102} \\(peers of n2\\) is taken`));
  });

  it("refuses a directory that another one runs in, without touching its files", { timeout: START_MS }, async () => {
    const base = await freeBasePort();
    const command = up(1, base);
    await command.event("up");
    const before = readFileSync(join(directory, "n1", "plogdb.yaml"), "utf8");
    const second = await up(1, await freeBasePort()).ended;
    expect(second.code).toBe(3);
    expect(readFileSync(join(directory, "n1", "plogdb.yaml"), "utf8")).toBe(before);
    expect(await ask(base + 1, ["PING"], 1_000)).toBe("+PONG");
  });

  it("can be stopped while it starts", { timeout: START_MS }, async () => {
    const command = up(3, await freeBasePort());
    await until(() => readdirQuietly(join(directory, "n3")) !== null);
    command.signal("SIGTERM");
    expect(await command.ended).toMatchObject({ code: 0 });
  });
});

function readdirQuietly(path: string): string | null {
  try {
    return readFileSync(join(path, "plogdb.log"), "utf8");
  } catch {
    return null; // not there yet
  }
}

describe("server", () => {
  it("says one ready line, and a second one on the same data ends with 3", { timeout: START_MS }, async () => {
    const base = await freeBasePort();
    const cluster = up(1, base);
    await cluster.event("up");
    cluster.signal("SIGTERM");
    await cluster.ended;

    const config = join(directory, "n1", "plogdb.yaml");
    const server = start(["server", "--config", config]);
    const ready = await server.event("ready");
    expect(ready).toMatchObject({ node: "n1", client: `127.0.0.1:${base + 1}`, durability: "flush" });
    expect(typeof ready.ioMode).toBe("string");

    const other = await freeBasePort();
    const flags = ["--listen", `127.0.0.1:${other + 1}`, "--peer", `127.0.0.1:${other + 101}`];
    const second = await runCommand(["server", "--config", config, ...flags, "--http", `127.0.0.1:${other + 201}`]);
    expect(second.code, second.stderr).toBe(3);
    expect(await ask(base + 1, ["PING"], 1_000)).toBe("+PONG");

    server.signal("SIGTERM");
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(server.events()).toHaveLength(1);
  });

  it("ends with 2 when its port is taken", { timeout: START_MS }, async () => {
    const base = await freeBasePort();
    const cluster = up(1, base);
    await cluster.event("up");
    const config = join(directory, "n1", "plogdb.yaml");
    const { code, stderr } = await runCommand(["server", "--config", config]);
    expect(code, stderr).toBe(2);
    expect(stderr).toContain(String(base + 1));
  });
});
