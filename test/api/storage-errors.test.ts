/**
 * Goal: every way in which the storage API says no has its code, and leaves the store as it was. Method: native stores that
 * are full, closed, locked, someone else's, or broken byte by byte; and callers that give nonsense.
 */
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type KvStore, openStore, StoreError, type StoreOptions } from "../../src/api/storage.js";

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
  const store = await openStore({ path: directory, size: "16MiB", ...options });
  open.push(store);
  return store;
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "ok",
    (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
  );
}

describe("a full store", () => {
  it("refuses values, takes deletions in the same turn, and takes values again when there is room", async () => {
    const store = await start();
    const keys: string[] = [];
    let code = "ok";
    for (let i = 0; code === "ok" && i < 10_000; i++) {
      code = await codeOf(store.put(`k${i}`, new Uint8Array(100_000)));
      if (code === "ok") keys.push(`k${i}`);
    }
    expect(code).toBe("disk-full");
    expect(keys.length).toBeGreaterThan(50);
    for (const key of keys) expect(store.has(key)).toBe(true);
    const mixed = [store.put("more", new Uint8Array(100_000)), ...keys.map((key) => store.delete(key))].map(codeOf);
    expect(new Set((await Promise.all(mixed)).slice(1))).toEqual(new Set(["ok"]));
    expect(keys.filter((key) => store.has(key))).toEqual([]);
    await expect.poll(() => codeOf(store.put("again", new Uint8Array(100_000))), { timeout: 8000 }).toBe("ok");
  }, 30_000);
});

describe("opening", () => {
  it.each([
    ["a size that is none", { size: "big" }, "bad-options"],
    ["a size too small", { size: 1000 }, "bad-size"],
    ["no path", { path: [] }, "bad-options"],
    ["a device that is no disk", { path: "/dev/null" }, "bad-path"],
    ["hours that are none", { merge: { hours: "25" } }, "bad-options"],
    ["a merge rate of nothing", { merge: { rate: 0 } }, "bad-options"],
    ["a scrub rate that is no size", { scrub: { rate: "fast" } }, "bad-options"],
    ["a digest offset between the words", { digestOffset: 3 }, "bad-options"],
    ["a durability of one's own", { durability: "maybe" as "none" }, "bad-options"],
    ["an empty name", { name: "" }, "bad-options"],
  ])("refuses %s", async (_what, options, code) => {
    await expect(start(options)).rejects.toMatchObject({ name: "StoreError", code });
  });

  it("refuses a store that is open, and one of another name", async () => {
    const store = await start({ name: "mine" });
    await expect(start({ name: "mine" })).rejects.toMatchObject({ code: "locked" });
    await store.close();
    await expect(start({ name: "yours" })).rejects.toMatchObject({ code: "foreign" });
    await start({ name: "mine" });
  });
});

describe("a closed store", () => {
  it("has finished what was said before, and refuses what comes later", async () => {
    const store = await start();
    const last = store.put("a", "1");
    const closing = store.close();
    await last;
    await closing;
    await store.close();
    expect(await codeOf(store.put("a", "2"))).toBe("closed");
    expect(await codeOf(store.delete("a"))).toBe("closed");
    expect(await codeOf(store.batch([{ type: "put", key: "a", value: "2" }]))).toBe("closed");
    expect(await codeOf(store.get("a"))).toBe("closed");
    expect(await codeOf(store.getRecord("a"))).toBe("closed");
    expect(() => store.peek("a")).toThrow(expect.objectContaining({ code: "closed" }));
    expect(() => store.digests()).toThrow(expect.objectContaining({ code: "closed" }));
    expect(store.stats().state).toBe("closed");
    const again = await start();
    expect(Buffer.from((await again.get("a")) ?? []).toString()).toBe("1");
  });
});

describe("a record that is broken on disk", () => {
  it("is corrupt, never absent, is told once, and does not stop the others", async () => {
    const store = await start({ cache: 0 });
    const marker = "a value that is easily found on a disk, because nothing else looks like it";
    await store.put("bad", marker);
    await store.put("good", "fine");
    await store.close();
    const file = join(directory, "volume.plog");
    const at = readFileSync(file).indexOf(marker);
    const fd = openSync(file, "r+");
    writeSync(fd, "X", at + 10);
    closeSync(fd);
    const told: unknown[] = [];
    const again = await start({ cache: 0, onDamaged: (record) => told.push(record) });
    expect(await codeOf(again.get("bad"))).toBe("corrupt");
    expect(await codeOf(again.get("bad"))).toBe("corrupt");
    expect(() => again.has("bad")).toThrow(expect.objectContaining({ code: "corrupt" }));
    expect(Buffer.from((await again.get("good")) ?? []).toString()).toBe("fine");
    const entries = [];
    for await (const { key, value } of again) entries.push([Buffer.from(key).toString(), value === null]);
    expect(entries).toContainEqual(["good", false]);
    // Found at opening, or by the read: then it is told, and once.
    expect(told.length + again.facts.corruptKeys).toBeLessThanOrEqual(1);
    expect(again.stats().corruptKeys).toBe(1);
    await again.put("bad", "written anew");
    expect(Buffer.from((await again.get("bad")) ?? []).toString()).toBe("written anew");
    expect(again.stats().corruptKeys).toBe(0);
  });
});

describe("mistakes of the program", () => {
  it("are thrown at once, and take nothing", async () => {
    const store = await start();
    const wrong = (run: () => unknown, kind: new () => Error): void => {
      expect(run).toThrow(kind);
    };
    wrong(() => store.put("", "1"), RangeError);
    wrong(() => store.put(new Uint8Array(0), "1"), RangeError);
    wrong(() => store.put(7 as unknown as string, "1"), TypeError);
    wrong(() => store.put("a", null as unknown as string), TypeError);
    wrong(() => store.putRecord("a", { position: -1, value: "1" }), RangeError);
    wrong(() => store.putRecord("a", { position: 5, floor: 3, value: "1" }), RangeError);
    wrong(() => store.putRecord("a", { position: 5, floor: 6, value: "1" }), RangeError);
    wrong(() => store.putRecord("a", { position: 5, header: new Uint8Array(65), value: "1" }), RangeError);
    wrong(
      () =>
        store.batch([
          { type: "put", key: "a", value: "1" },
          { type: "move" as "delete", key: "b" },
        ]),
      TypeError,
    );
    wrong(() => store.digests(1, 65_536), RangeError);
    expect(store.pendingBytes).toBe(0);
    expect(await codeOf(store.put("k".repeat(65_536), "1"))).toBe("too-large");
    expect(await codeOf(store.put("a", new Uint8Array(store.maxValueBytes + 1)))).toBe("too-large");
    expect(await store.get("k".repeat(65_536))).toBeNull();
    await store.put("k".repeat(65_535), new Uint8Array(100_000));
    expect(store.has("k".repeat(65_535))).toBe(true);
    expect(store.stats().keys).toBe(1);
  });
});

describe("the controls", () => {
  it("change what is named at once, and refuse nonsense", async () => {
    const store = await start({ merge: { hours: "22-4", rate: "8MiB" } });
    store.pauseMerge();
    store.resumeMerge();
    store.setMerge({ rate: "1MiB", operations: 10, hours: "0-23" });
    store.setScrub({ rate: "1GiB" });
    store.setScrub({ rate: 0 });
    expect(() => store.setMerge({ hours: "monday" })).toThrow(expect.objectContaining({ code: "bad-options" }));
    expect(() => store.setMerge({ operations: 0 })).toThrow(expect.objectContaining({ code: "bad-options" }));
    await store.put("a", "1");
    const before = store.watermark();
    await store.put("b", "1");
    expect(store.watermark()).toBeGreaterThan(before);
  });
});
