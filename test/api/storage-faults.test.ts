/**
 * Goal: what callers of the storage API are told when the disk fails or fills up, batch by batch. Method: the API over the
 * store in memory, which fails when it is told to.
 */
import { describe, expect, it } from "vitest";
import { KvStore, StoreError } from "../../src/api/storage.js";
import { StoreTurn } from "../../src/api/storage-turn.js";
import { userKey } from "../../src/base/key.js";
import { MemoryDisk } from "../../src/storage/memory-disk.js";
import { type MemoryFaults, type MemoryStore, openMemoryStore } from "../../src/storage/memory-store.js";
import { DEFAULT_MERGE, NO_SCRUB } from "../../src/storage/store.js";

const BOUNDS = { maxValueBytes: 1 << 20, maxBatchBytes: 1 << 20 };

function storeWith(
  faults: MemoryFaults,
  capacityBytes = 1 << 30,
): { kv: KvStore; inner: MemoryStore; disk: MemoryDisk } {
  const disk = new MemoryDisk("0".repeat(32), capacityBytes);
  let turn: StoreTurn | null = null;
  const inner = openMemoryStore(
    { disk, nodeId: "kv", schedule: setImmediate, faults },
    {
      onDurable: (token, status) => turn?.onDurable(token, status),
      onRead: (tag, status, value) => turn?.onRead(tag, status, value),
      onFailed: (message) => turn?.onFailed(message),
      onDamaged: () => undefined,
    },
  );
  turn = new StoreTurn(inner, { atomicBytes: BOUNDS.maxBatchBytes, maxPendingBytes: 64 << 20 });
  return { kv: new KvStore(inner, turn, BOUNDS, { merge: DEFAULT_MERGE, scrub: NO_SCRUB }), inner, disk };
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "ok",
    (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
  );
}

describe("a disk that fails", () => {
  it("fails the writes of its batch and all later ones, says why, and reads go on", async () => {
    const { kv } = storeWith({ batch: (token) => (token === 2 ? "failed" : "ok") });
    await kv.put("a", "1");
    const second = [kv.put("b", "2"), kv.delete("a")];
    await expect(second[0]).rejects.toMatchObject({ code: "failed", message: expect.stringContaining("by injection") });
    expect(await Promise.all(second.map(codeOf))).toEqual(["failed", "failed"]);
    expect(await codeOf(kv.put("c", "3"))).toBe("failed");
    expect(Buffer.from((await kv.get("a")) ?? "").toString()).toBe("1");
    expect(kv.stats().state).toBe("failed");
    expect(kv.pendingBytes).toBe(0);
    await kv.close();
  });

  it("takes nothing back of earlier turns, and a flush tells the first error", async () => {
    const { kv } = storeWith({ batch: (token) => (token === 2 ? "disk-full" : "ok") });
    const first = kv.put("a", "1");
    await new Promise(setImmediate);
    const second = kv.put("b", "2");
    await new Promise(setImmediate);
    const third = kv.put("c", "3");
    await expect(kv.flush()).rejects.toMatchObject({ code: "disk-full" });
    expect(await Promise.all([first, second, third].map(codeOf))).toEqual(["ok", "disk-full", "ok"]);
    expect([kv.has("a"), kv.has("b"), kv.has("c")]).toEqual([true, false, true]);
    await kv.close();
  });
});

describe("a full disk", () => {
  it("refuses what needs room and nothing else of the turn, in the order of the calls", async () => {
    const { kv } = storeWith({}, 100_000);
    let full = "ok";
    for (let i = 0; full === "ok"; i++) full = await codeOf(kv.put(`k${i}`, new Uint8Array(5000)));
    expect(full).toBe("disk-full");
    const turn = [
      kv.put("k0", new Uint8Array(5000)),
      kv.delete("k0"),
      kv.put("small", "s"),
      kv.put("large", new Uint8Array(5000)),
      kv.delete("k1"),
    ];
    expect(await Promise.all(turn.map(codeOf))).toEqual(["disk-full", "ok", "ok", "disk-full", "ok"]);
    expect([kv.has("k0"), kv.has("k1"), kv.has("k2"), kv.has("small"), kv.has("large")]).toEqual([
      ...[false, false, true, true, false],
    ]);
    expect(await codeOf(kv.put("large", new Uint8Array(5000)))).toBe("ok");
    await kv.close();
  });
});

describe("a record that breaks", () => {
  it("is corrupt for every way of reading it, and sound again when it is written anew", async () => {
    const { kv, disk } = storeWith({});
    await kv.put("ka", "1");
    await kv.put("kb", "2");
    expect(disk.corrupt(userKey("x"), 0)).toBe(false);
    const records = [...disk.keys.entries()].find(([key]) => key === "ka")?.[1] ?? [];
    for (const record of records) record.corrupt = true;
    for (const read of [() => kv.get("ka"), () => kv.getRecord("ka"), () => kv.getRecord("ka", 0)]) {
      expect(await codeOf(read())).toBe("corrupt");
    }
    for (const look of [() => kv.peek("ka"), () => kv.has("ka"), () => kv.records("ka")]) {
      expect(look).toThrow(expect.objectContaining({ code: "corrupt" }));
    }
    const entries = [];
    for await (const { key, value } of kv) entries.push([Buffer.from(key).toString(), value === null]);
    expect(entries.sort()).toEqual([
      ["ka", true],
      ["kb", false],
    ]);
    await kv.put("ka", "anew");
    expect(Buffer.from((await kv.get("ka")) ?? "").toString()).toBe("anew");
    await kv.close();
  });
});
