/**
 * Goal: a store may end at any stage of its life without a crash of the process, a hang, or a volume that stays locked
 * (D21). Method: children that end in the middle (addon-child.mjs, on the bare addon), then another open of the volume.
 */
import { fork, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rawKey } from "../../src/base/key.js";
import { emptyLoadedKey } from "../../src/storage/loaded-key.js";
import { openStore } from "./native-place.js";
import { Recorder } from "./recorder.js";

const CHILD = fileURLToPath(new URL("addon-child.mjs", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plogdb-teardown-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const NODE_FLAGS = ["--expose-gc"];

/** Without a channel to us: it would keep the child alive, and hide whether a store does. */
function run(stage: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...NODE_FLAGS, CHILD, stage, directory], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let errors = "";
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on("close", (code, signal) => {
      resolve({ code, signal, errors });
    });
  });
}

async function opensAgain(): Promise<void> {
  const store = await openStore(
    { volumes: [join(directory, "a.plog")], sizeBytes: 8 << 20, nodeId: "n1" },
    new Recorder(),
  );
  expect(store.facts.unknownLosses).toBe(0);
  await new Promise<void>((resolve) => {
    store.close(resolve);
  });
}

describe("teardown of the addon", () => {
  for (const [stage, code] of [
    ["exit while it opens", 7],
    ["exit when it is open", 7],
    ["exit with batches and reads under way", 7],
    ["exit inside a completion", 7],
    ["exit while it closes", 7],
    ["exit after it closed", 7],
    ["an exception inside a completion", 7],
    ["the end of all work, without close", 0],
    ["close with batches under way", 0],
    ["collection without close", 0],
    ["a worker that is terminated with batches under way", 0],
    ["a worker that is terminated while it opens", 0],
    ["a worker that is terminated in the middle of its calls", 0],
    ["a worker that ends by itself", 0],
  ] as const) {
    it(`survives ${stage}`, async () => {
      expect(await run(stage)).toEqual({ code, signal: null, errors: "" });
      await opensAgain();
    });
  }

  it("refuses garbage in packed buffers and arguments without breaking", async () => {
    expect(await run("garbage")).toEqual({ code: 0, signal: null, errors: "" });
  });

  it("finds every acknowledged record after kill -9 under load", async () => {
    const child = fork(CHILD, ["load until killed", directory], {
      execArgv: NODE_FLAGS,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const last = await new Promise<number>((resolve) => {
      let newest = 0;
      child.on("message", (token) => {
        newest = Math.max(newest, Number(token));
        if (newest >= 60) child.kill("SIGKILL");
      });
      child.on("close", () => {
        resolve(newest);
      });
    });
    expect(last).toBeGreaterThanOrEqual(60);
    const store = await openStore(
      { volumes: [join(directory, "a.plog")], sizeBytes: 8 << 20, nodeId: "n1" },
      new Recorder(),
    );
    expect(store.facts).toMatchObject({ recoveredKeys: 20, unknownLosses: 0 });
    const loaded = emptyLoadedKey();
    store.load([rawKey("aaaaaaaa")], [loaded]);
    expect(loaded).toMatchObject({ slots: 1, corrupt: false });
    expect(loaded.slot[0].position).toBeGreaterThanOrEqual(last);
    await new Promise<void>((resolve) => {
      store.close(resolve);
    });
  });
});
