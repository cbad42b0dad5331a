/**
 * Goal: the storage API does what its docstrings say. Method: native stores on small volumes in temporary directories,
 * through nothing but `openStore`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BatchOperation, type KvStore, openStore, StoreError, type StoreOptions } from "../../src/api/storage.js";

let directory: string;
let open: KvStore[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plogdb-kv-"));
  open = [];
});

afterEach(async () => {
  for (const store of open) await store.close();
  rmSync(directory, { recursive: true });
});

async function start(options: Partial<StoreOptions> = {}): Promise<KvStore> {
  const store = await openStore({ path: directory, size: "64MiB", ...options });
  open.push(store);
  return store;
}

function text(value: Uint8Array | null | undefined): string | null | undefined {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : value;
}

async function collect<T>(from: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of from) all.push(one);
  return all;
}

describe("a key-value store", () => {
  it("gives back what was put, over a restart too, and says null of what is not there", async () => {
    const store = await start();
    await store.put("text", "hello");
    await store.put(new Uint8Array([0, 255, 7]), new Uint8Array([1, 2, 3]));
    await store.put("schlüssel €", "wert €");
    await store.put("empty", "");
    await store.put("text", "world");
    const check = async (from: KvStore): Promise<void> => {
      expect(text(await from.get("text"))).toBe("world");
      expect(await from.get(new Uint8Array([0, 255, 7]))).toEqual(new Uint8Array([1, 2, 3]));
      expect(text(await from.get("schlüssel €"))).toBe("wert €");
      expect(text(await from.get(Buffer.from("schlüssel €")))).toBe("wert €");
      expect(text(await from.get("empty"))).toBe("");
      expect(await from.get("none")).toBeNull();
      expect([from.has("text"), from.has("none")]).toEqual([true, false]);
    };
    await check(store);
    await store.close();
    const again = await start();
    expect(again.facts).toMatchObject({ fresh: false, recoveredKeys: 4, durability: "flush" });
    await check(again);
  });

  it("shows a write when it is durable, not before", async () => {
    const store = await start();
    const done = store.put("a", "1");
    expect(store.peek("a")).toBeNull();
    await done;
    expect(text(store.peek("a"))).toBe("1");
  });

  it("gives values to keep, and takes copies of what it is given", async () => {
    const store = await start();
    const mine = new Uint8Array([1, 2, 3]);
    const done = store.put("a", mine);
    mine.fill(9);
    await done;
    const kept = await store.get("a");
    await store.put("a", "other");
    for (let i = 0; i < 1000; i++) store.peek("a");
    expect(kept).toEqual(new Uint8Array([1, 2, 3]));
  });

  it("fetches from disk what is not in memory: peek says undefined, get waits", async () => {
    const store = await start({ cache: 0 });
    for (let i = 0; i < 50; i++) void store.put(`k${i}`, `value ${i}`);
    await store.flush();
    expect(store.peek("k7")).toBeUndefined();
    const values = await Promise.all(Array.from({ length: 50 }, (_, i) => store.get(`k${i}`)));
    expect(values.map(text)).toEqual(Array.from({ length: 50 }, (_, i) => `value ${i}`));
    expect(store.stats().diskReads).toBeGreaterThan(0);
  });

  it("forgets what is deleted, and takes it as no error when nothing was there", async () => {
    const store = await start();
    await store.put("a", "1");
    await store.delete("a");
    await store.delete("never");
    expect(await store.get("a")).toBeNull();
    await store.close();
    expect(await (await start()).get("a")).toBeNull();
  });

  it("keeps the order of writes to one key within a turn", async () => {
    const store = await start();
    const all: Promise<void>[] = [];
    for (let i = 0; i < 100; i++) all.push(i % 3 === 2 ? store.delete("a") : store.put("a", String(i)));
    await Promise.all(all);
    expect(text(await store.get("a"))).toBe("99");
    void store.delete("a");
    await store.flush();
    expect(store.has("a")).toBe(false);
  });
});

describe("writes of one turn", () => {
  it("share one run and one flush, however many callers there are", async () => {
    const store = await start();
    await store.put("warm", "up");
    const before = store.stats();
    const callers = Array.from({ length: 64 }, async (_, caller) => {
      for (let i = 0; i < 10; i++) await store.put(`c${caller}`, String(i));
    });
    await Promise.all(callers);
    const { runs, markRuns, recordsWritten } = store.stats();
    expect(recordsWritten - before.recordsWritten).toBe(640);
    expect(runs - markRuns - (before.runs - before.markRuns)).toBeLessThanOrEqual(20);
  });

  it("are refused with busy beyond the bound, keep nothing of what was refused, and go on after drain", async () => {
    const store = await start({ maxPending: "64KiB" });
    const outcomes = Array.from({ length: 100 }, (_, i) =>
      store.put(`k${i}`, new Uint8Array(4000)).then(
        () => "ok",
        (error: unknown) => (error instanceof StoreError ? error.code : "other"),
      ),
    );
    expect(store.pendingBytes).toBeLessThanOrEqual(64 << 10);
    await store.drain();
    expect(store.pendingBytes).toBeLessThanOrEqual(32 << 10);
    const told = await Promise.all(outcomes);
    expect(new Set(told)).toEqual(new Set(["ok", "busy"]));
    for (let i = 0; i < 100; i++) expect(store.has(`k${i}`)).toBe(told[i] === "ok");
    await store.put("later", "1");
  });
});

describe("a batch", () => {
  it("does all of it, in order, and nothing of one that is refused", async () => {
    const store = await start({ maxValue: 1000 });
    await store.put("gone", "1");
    await store.batch([
      { type: "put", key: "a", value: "1" },
      { type: "put", key: "a", value: "2" },
      { type: "delete", key: "gone" },
      { type: "record", key: "r", record: { position: 5, floor: 4, value: "five" } },
    ]);
    expect([text(store.peek("a")), store.peek("gone"), text(store.peek("r"))]).toEqual(["2", null, "five"]);
    const refused = store.batch([
      { type: "put", key: "b", value: "1" },
      { type: "put", key: "c", value: new Uint8Array(1001) },
    ]);
    await expect(refused).rejects.toMatchObject({ name: "StoreError", code: "too-large" });
    await store.flush();
    expect(store.has("b")).toBe(false);
    await store.batch([]);
  });

  it("lies in one run whatever else is written in the turn, up to its bound, and is refused beyond", async () => {
    const store = await start();
    const ops = (name: string, bytes: number): BatchOperation[] =>
      Array.from({ length: 10 }, (_, i) => ({ type: "put", key: `${name}${i}`, value: new Uint8Array(bytes) }));
    const fitting = Math.floor(store.maxBatchBytes / 10) - 200;
    const before = store.stats();
    const all = [store.put("x", new Uint8Array(5000)), store.batch(ops("a", fitting)), store.batch(ops("b", fitting))];
    await Promise.all(all);
    expect(store.stats().recordsWritten - before.recordsWritten).toBe(21);
    await expect(store.batch(ops("c", fitting + 300))).rejects.toMatchObject({ code: "too-large" });
    expect(store.has("c0")).toBe(false);
  });
});

describe("two records a key", () => {
  it("lie side by side until the floor rises, with headers in memory", async () => {
    const store = await start();
    const header = new Uint8Array([9, 8, 7]);
    await store.putRecord("log", { position: 1, floor: 0, value: "one" });
    await store.putRecord("log", { position: 2, floor: 1, header, value: "two" });
    expect(store.records("log").map(({ position, floor, valueBytes }) => [position, floor, valueBytes])).toEqual([
      [1, 0, 3],
      [2, 1, 3],
    ]);
    expect(store.records("log")[1]?.header.subarray(0, 4)).toEqual(new Uint8Array([9, 8, 7, 0]));
    expect(text((await store.getRecord("log", 1))?.value)).toBe("one");
    expect(text((await store.getRecord("log"))?.value)).toBe("two");
    expect(text(await store.get("log"))).toBe("two");
    expect(await store.getRecord("log", 3)).toBeNull();
    await store.markRecord("log", { position: 2, header: new Uint8Array([1]), decided: true });
    expect(store.records("log").at(-1)?.header[0]).toBe(1);
    await store.putRecord("log", { position: 3, value: "three" });
    expect(store.records("log").map((record) => record.position)).toEqual([3]);
    await store.putRecord("log", { position: 2, value: "below the floor" });
    expect(text(await store.get("log"))).toBe("three");
  });

  it("come with the header that was written with the value, while the key is written again and again", async () => {
    const store = await start({ cache: 0 });
    let stop = false;
    const writer = (async () => {
      for (let i = 1; !stop; i++) {
        await store.putRecord("a", { position: i, header: new Uint8Array([i % 256]), value: String(i % 256) });
      }
    })();
    await store.putRecord("a", { position: 0, value: "0" });
    for (let i = 0; i < 50; i++) {
      const record = await store.getRecord("a");
      expect(text(record?.value)).toBe(String(record?.header[0]));
    }
    stop = true;
    await writer;
  });
});

describe("going over everything", () => {
  it("visits every key and entry once, and reads what is on disk", async () => {
    const store = await start({ cache: "256KiB" });
    const expected = new Map<string, string>();
    for (let i = 0; i < 2000; i++) {
      const value = `value ${i} ${"x".repeat(i % 500)}`;
      expected.set(`k${i}`, value);
      void store.put(`k${i}`, value);
    }
    await store.flush();
    const keys = (await collect(store.keys())).map(text);
    expect(keys.length).toBe(2000);
    expect(new Set(keys)).toEqual(new Set(expected.keys()));
    const entries = await collect(store);
    expect(new Map(entries.map(({ key, value }) => [text(key), text(value)]))).toEqual(expected);
    expect(entries.every(({ record }) => record?.position === 0)).toBe(true);
    await store.close();
    await expect(collect(store.keys())).rejects.toMatchObject({ code: "closed" });
  });

  it("makes the same digests for the same content, whatever the history", async () => {
    const store = await start();
    const other = await start({ path: join(directory, "other") });
    for (let i = 0; i < 100; i++) void store.put(`k${i}`, String(i));
    for (let i = 99; i >= 0; i--) {
      await other.put(`k${i}`, "first");
      await other.put(`k${i}`, String(i));
    }
    await store.flush();
    expect(other.digests()).toEqual(store.digests());
    await store.put("k7", "changed");
    expect(other.digests()).not.toEqual(store.digests());
  });
});
