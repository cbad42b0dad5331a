// Goal: redis-cli and redis-benchmark work unmodified. Method: the programs of the system against a real node; where
// they are not installed the tests are skipped, and the name of the test says which program was missing.
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { startSingle } from "./harness.js";

const run = promisify(execFile);

function installed(program: string): boolean {
  return spawnSync(program, ["--version"]).status === 0;
}

const hasCli = installed("redis-cli");
const hasBenchmark = installed("redis-benchmark");
const note = (has: boolean, program: string): string => (has ? "" : ` (skipped: ${program} is not installed)`);

describe.skipIf(!hasCli)(`redis-cli${note(hasCli, "redis-cli")}`, () => {
  it.each([
    ["RESP2", "-2"],
    ["RESP3", "-3"],
  ])("speaks %s", async (_name, protocol) => {
    const { client } = await startSingle();
    const cli = async (...args: string[]): Promise<string> =>
      (await run("redis-cli", [protocol, "-p", String(client.port), ...args])).stdout;
    expect(await cli("SET", "greeting", "hello", "EX", "100")).toBe("OK\n");
    expect(await cli("GET", "greeting")).toBe("hello\n");
    expect(await cli("VGET", "greeting")).toBe("1\nhello\n");
    expect(await cli("DEL", "greeting")).toBe("1\n");
    expect(await cli("PLOG", "greeting")).toContain("chosen-index");
    expect(await cli("INFO", "server")).toContain("redis_version:");
    expect(await cli("NOPE")).toContain("ERR unknown command 'NOPE'");
  });

  it("takes commands from standard input and ends by itself", async () => {
    const { client } = await startSingle();
    const child = run("redis-cli", ["-p", String(client.port)]);
    child.child.stdin?.end("SET a 1\nINCR a\nGET a\n");
    expect((await child).stdout).toBe("OK\n2\n2\n");
  });

  it("loads with --pipe", async () => {
    const { client } = await startSingle();
    const child = run("redis-cli", ["-p", String(client.port), "--pipe"]);
    child.child.stdin?.end(Array.from({ length: 1000 }, (_, index) => `SET k${String(index)} v\r\n`).join(""));
    expect((await child).stdout).toContain("errors: 0, replies: 1000");
  });
});

describe.skipIf(!hasBenchmark)(`redis-benchmark${note(hasBenchmark, "redis-benchmark")}`, () => {
  it.each([1, 16])("runs its tests at pipeline depth %i without an error", { timeout: 60_000 }, async (depth) => {
    const { client } = await startSingle();
    const args = [
      "-p",
      String(client.port),
      "-t",
      "ping,set,get,incr",
      "-n",
      "2000",
      "-c",
      "20",
      "-P",
      String(depth),
      "-q",
    ];
    const { stdout, stderr } = await run("redis-benchmark", args);
    expect(stdout.match(/requests per second/g)).toHaveLength(5);
    expect(`${stdout}${stderr}`).not.toMatch(/error|warning/i);
  });
});
