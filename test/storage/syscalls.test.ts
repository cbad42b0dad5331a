/**
 * Goal: in steady state the write path makes no traffic of file-system metadata (D1): no file is opened, created, grown, cut,
 * renamed or removed, and no directory is flushed. Method: strace counts the system calls of a process that puts, between
 * two words that it writes to stderr. Without strace the tests are skipped, and their name says so.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const CHILD = fileURLToPath(new URL("addon-child.mjs", import.meta.url));
const PUTS = 400;
const METADATA =
  "open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat," +
  "truncate,ftruncate,fallocate,fsync,sync,syncfs,sync_file_range";
const DATA = "pwrite64,pwritev,pwritev2,fdatasync,write";

/** Tracing may be forbidden where strace is installed, as in some containers. */
const traces = spawnSync("strace", ["-f", "-o", "/dev/null", "true"]).status === 0;
const note = traces ? "" : " (skipped: strace is not there or may not trace)";

const directory = mkdtempSync(join(tmpdir(), "plogdb-syscalls-"));

afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** Names of the calls between the two words, with what each said. */
function traceSteadyPuts(): readonly { readonly name: string; readonly line: string }[] {
  const log = join(directory, "trace");
  const tracer = ["-f", "-qq", "-s", "100", "-o", log, "-e", "signal=none", "-e", `trace=${METADATA},${DATA}`];
  const ended = spawnSync("strace", [...tracer, process.execPath, CHILD, "steady puts", join(directory, "data")]);
  expect(ended.stderr.toString()).toBe("steady begins\nsteady ends\n");
  expect(ended.status).toBe(0);
  const lines = readFileSync(log, "utf8").split("\n");
  const begin = lines.findIndex((line) => line.includes('"steady begins'));
  const end = lines.findIndex((line) => line.includes('"steady ends'));
  expect(begin).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(begin);
  return lines.slice(begin + 1, end).flatMap((line) => {
    const name = /^\d+\s+(\w+)\(/.exec(line)?.[1];
    return name === undefined ? [] : [{ name, line }];
  });
}

describe.skipIf(!traces)(`system calls of the write path${note}`, () => {
  it("are writes and flushes alone, about one of each per put", { timeout: 60_000 }, () => {
    const calls = traceSteadyPuts();
    const metadata = METADATA.split(",");
    expect(calls.filter((call) => metadata.includes(call.name)).map((call) => call.line)).toEqual([]);
    const count = (names: readonly string[]): number => calls.filter((call) => names.includes(call.name)).length;
    const writes = count(["pwrite64", "pwritev", "pwritev2"]);
    const flushes = count(["fdatasync"]);
    console.log(`per put: ${(writes / PUTS).toFixed(3)} pwrite64, ${(flushes / PUTS).toFixed(3)} fdatasync`);
    // A put each, and now and then a run that seals an extent.
    expect(writes).toBeGreaterThanOrEqual(PUTS);
    expect(writes).toBeLessThan(PUTS * 1.1);
    expect(flushes).toBeGreaterThanOrEqual(PUTS);
    expect(flushes).toBeLessThan(PUTS * 1.1);
  });
});
