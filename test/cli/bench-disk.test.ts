// Goal: the verify mode finds every acknowledged put after a kill -9, goes on behind it, and says so with exit code 3 when
// something is gone; the comparison with fio fills its table. Method: the compiled command as a child, small stores.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keyOf, readSessions, valueOf } from "../../src/cli/bench-verify.js";
import { LoopDevice, loopDevicesWork } from "../storage/loop-device.js";
import { type Ended, RunningCommand, runCommand } from "./command.js";

const COMMAND_MS = 60_000;
const LOOP = loopDevicesWork();
const FIO = spawnSync("fio", ["--version"]).status === 0;

let directory = "";
let started: RunningCommand[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plogdb-bench-disk-"));
  started = [];
});
afterEach(async () => {
  for (const command of started) command.signal("SIGKILL");
  await Promise.all(started.map((command) => command.ended));
  rmSync(directory, { recursive: true });
});

function words(mode: string): readonly string[] {
  return ["bench", "disk", "--json", "--dir", directory, "--size", "256MiB", "--keys", "2000", "--verify", mode];
}

/** Writes until `batches` more are acknowledged (told on stdout, kept in the log), then kill -9. */
async function writeAndKill(log: string, batches: number): Promise<void> {
  const command = new RunningCommand([...words("write"), "--state", "-", "--seed", "7"]);
  started.push(command);
  await new Promise<void>((resolve) => {
    command.child.stdout?.on("data", () => {
      if (command.stdout.split("\n").length > batches) resolve();
    });
    void command.ended.then(() => {
      resolve();
    });
  });
  command.signal("SIGKILL");
  const { signal, stdout } = await command.ended;
  expect(signal).toBe("SIGKILL");
  writeFileSync(log, stdout.slice(0, stdout.lastIndexOf("\n") + 1), { flag: "a" });
}

function check(log: string): Promise<Ended> {
  return runCommand([...words("check"), "--state", log]);
}

function verified(ended: Ended): unknown {
  return ended.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line))
    .find((line) => (line as { event?: string }).event === "verified"); // our own output
}

describe("bench disk --verify", () => {
  it(
    "finds every acknowledged put after kill -9, twice in a row",
    async () => {
      const log = join(directory, "progress.jsonl");
      for (const sessions of [1, 2]) {
        await writeAndKill(log, 100);
        const ended = await check(log);
        expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
        expect(verified(ended)).toMatchObject({ sessions, wrong: 0 });
      }
      const [first, second] = readSessions(readFileSync(log, "utf8"));
      expect(first?.through).toBeGreaterThan(3000);
      expect(second?.plan.first).toBeGreaterThan(first?.through ?? Number.POSITIVE_INFINITY);
    },
    COMMAND_MS,
  );

  it(
    "ends with 3 when the store is an older copy, and when it is gone",
    async () => {
      const log = join(directory, "progress.jsonl");
      const volume = join(directory, "volume.plog");
      await writeAndKill(log, 50);
      copyFileSync(volume, join(directory, "old"));
      await writeAndKill(log, 100);
      copyFileSync(join(directory, "old"), volume);
      const old = await check(log);
      expect(old.code, old.stdout).toBe(3);
      expect(old.stdout).toMatch(/older put|absent/);
      rmSync(volume);
      const gone = await check(log);
      expect(gone.code, gone.stdout).toBe(3);
      expect(gone.stdout).toMatch(/made anew/);
    },
    COMMAND_MS,
  );

  it(
    "ends with 3 when bytes of records were changed",
    async () => {
      const log = join(directory, "progress.jsonl");
      const volume = join(directory, "volume.plog");
      await writeAndKill(log, 100);
      const bytes = readFileSync(volume);
      // All of the first extent's data blocks but the head: nothing of it can be told as it was.
      for (let at = 4096 * 3 + 2000; at < 4096 * 200; at += 4096) bytes[at] = (bytes[at] ?? 0) ^ 0x40;
      writeFileSync(volume, bytes);
      const ended = await check(log);
      expect(ended.code, ended.stdout + ended.stderr).toBe(3);
    },
    COMMAND_MS,
  );

  it(
    "keeps its log beside the data and stops by itself when told for how long",
    async () => {
      const written = await runCommand([...words("write"), "--seconds", "1"]);
      expect(written, written.stderr).toMatchObject({ code: 0 });
      truncateSync(join(directory, "verify.jsonl"), readFileSync(join(directory, "verify.jsonl")).length - 3);
      const ended = await runCommand(words("check"));
      expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
    },
    COMMAND_MS,
  );

  it.each([
    ["an unknown mode", ["--verify", "sometimes"]],
    ["a size that is none", ["--size", "much"]],
    ["no progress log", ["--verify", "check"]],
  ])("%s ends with 2", async (_, more) => {
    const ended = await runCommand(["bench", "disk", "--dir", directory, ...more]);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr.length).toBeGreaterThan(10);
  });

  it("writes the same for the same seed, and something else for another", () => {
    const plan = { event: "plan", seed: 3, keys: 1000, first: 0 } as const;
    const other = { ...plan, seed: 4 };
    const serials = Array.from({ length: 100 }, (_, i) => i * 7);
    const told = (of: typeof plan | typeof other): readonly string[] =>
      serials.map((serial) => keyOf(of, serial) + Buffer.from(valueOf(of, serial)).toString("hex"));
    expect(told(plan)).toEqual(told(plan));
    expect(told(plan).filter((text, i) => text === told(other)[i])).toEqual([]);
    expect(new Set(serials.map((serial) => keyOf(plan, serial))).size).toBeGreaterThan(80);
  });
});

describe("bench disk", () => {
  it.runIf(FIO)(
    "shows the engine beside fio (needs fio: apt-get install fio)",
    async () => {
      const ended = await runCommand([...words("").slice(0, 5), "--size", "128MiB", "--seconds", "1"]);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      const rows = ended.stdout.split("\n").filter((line) => line.includes('"event":"row"'));
      expect(rows).toHaveLength(4);
      for (const row of rows) expect((JSON.parse(row) as { engine: number }).engine).toBeGreaterThan(0);
    },
    COMMAND_MS,
  );

  describe.skipIf(!LOOP)("on a block device (needs root and loop devices)", () => {
    const place = ["bench", "disk", "--json", "--size", "128MiB"];
    let device: LoopDevice;

    beforeEach(() => {
      device = new LoopDevice(192 << 20);
    });
    afterEach(() => {
      device.remove();
    });

    // The engine was refused by what fio had left there: "holds something that is not a plogdb volume".
    it.runIf(FIO)(
      "shows the engine beside fio, on a new device and again (needs fio)",
      async () => {
        for (const seconds of ["1", "1"]) {
          const ended = await runCommand([...place, "--dir", device.path, "--destroy", "--seconds", seconds]);
          expect(ended, ended.stderr).toMatchObject({ code: 0 });
          expect(ended.stdout.split("\n").filter((line) => line.includes('"event":"row"'))).toHaveLength(4);
        }
      },
      COMMAND_MS,
    );

    it(
      "verifies what it wrote there",
      async () => {
        const state = ["--state", join(directory, "progress.jsonl"), "--keys", "500"];
        const there = [...place, "--dir", device.path, ...state];
        const written = await runCommand([...there, "--destroy", "--verify", "write", "--seconds", "1"]);
        expect(written, written.stderr).toMatchObject({ code: 0 });
        const ended = await runCommand([...there, "--verify", "check"]);
        expect(ended, ended.stderr).toMatchObject({ code: 0 });
        expect(verified(ended)).toMatchObject({ sessions: 1, wrong: 0 });
      },
      COMMAND_MS,
    );

    it("asks before it destroys anything, and refuses a device that is too small", async () => {
      const unasked = await runCommand(["bench", "disk", "--size", "128MiB", "--dir", device.path]);
      expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining("--destroy") as string });
      const small = await runCommand(["bench", "disk", "--size", "1GiB", "--dir", device.path, "--destroy"]);
      expect(small).toMatchObject({ code: 2, stderr: expect.stringContaining("smaller than --size 1GiB") as string });
    });
  });
});
