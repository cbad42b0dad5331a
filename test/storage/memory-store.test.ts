/** The store in memory: the contract, and what only it can do (crash, injected faults, an order chosen by the test). */
import { describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { emptyLoadedKey } from "../../src/storage/loaded-key.js";
import { MemoryDisk } from "../../src/storage/memory-disk.js";
import { type MemoryFaults, openMemoryStore } from "../../src/storage/memory-store.js";
import { DEFAULT_MERGE, HEADER_BYTES, type LoadedKey, type Store } from "../../src/storage/store.js";
import { storeContract } from "./contract.js";
import { Recorder } from "./recorder.js";

const ID = "0123456789abcdef0123456789abcdef";
const HEADER = new Uint8Array(HEADER_BYTES).fill(1);
const VALUE = new Uint8Array(100).fill(2);

storeContract({
  name: "MemoryStore",
  makePlace: (bytes) => {
    const disk = new MemoryDisk(ID, bytes);
    return {
      open: (options, sink) => {
        const all = { disk, nodeId: "n1", schedule: (run: () => void) => setImmediate(run), ...options };
        return new Promise((resolve) => {
          resolve(openMemoryStore(all, sink));
        });
      },
      corrupt: (key, position) => {
        expect(disk.corrupt(key, position)).toBe(true);
      },
      remove: () => {
        disk.keys.clear();
      },
    };
  },
});

function stepped(disk: MemoryDisk, faults: MemoryFaults = {}) {
  const waiting: (() => void)[] = [];
  const sink = new Recorder();
  const store = openMemoryStore({ disk, nodeId: "n1", schedule: (run) => waiting.push(run), faults }, sink);
  return { store, sink, waiting };
}

function loaded(store: Store, name: string): LoadedKey {
  const result = emptyLoadedKey();
  store.load([userKey(name)], [result]);
  return result;
}

describe("MemoryStore under a scheduler", () => {
  it("completes the oldest batch, whichever scheduled call runs first", () => {
    const { store, sink, waiting } = stepped(new MemoryDisk(ID));
    store.put(userKey("a"), 1, 0, HEADER, VALUE);
    store.submit();
    store.put(userKey("b"), 1, 0, HEADER, VALUE);
    store.submit();
    expect(sink.durable).toEqual([]);
    expect(loaded(store, "a").slots).toBe(0);
    waiting[1]?.();
    expect(sink.durable).toEqual([{ token: 1, status: "ok" }]);
    expect(loaded(store, "a").slots).toBe(1);
    expect(loaded(store, "b").slots).toBe(0);
    waiting[0]?.();
    expect(sink.durable.map((event) => event.token)).toEqual([1, 2]);
  });

  it("drops in a crash what was not durable, and says nothing more", () => {
    const disk = new MemoryDisk(ID);
    const first = stepped(disk);
    first.store.put(userKey("a"), 1, 0, HEADER, VALUE);
    first.store.submit();
    first.waiting.shift()?.();
    first.store.mark(userKey("a"), 1, 1, new Uint8Array(HEADER_BYTES).fill(9));
    first.store.submit();
    first.waiting.shift()?.();
    expect(loaded(first.store, "a").slot[0].header[0]).toBe(9);
    first.store.put(userKey("b"), 1, 0, HEADER, VALUE);
    first.store.submit();
    first.store.read(1, userKey("a"), 1);
    first.store.submit();
    first.store.crash();
    for (const run of first.waiting.splice(0)) run();
    expect(first.sink.durable.map((event) => event.token)).toEqual([1, 2]);
    expect(first.sink.reads.size).toBe(0);
    const second = stepped(disk);
    expect(loaded(second.store, "a").slot[0].header[0]).toBe(1);
    expect(loaded(second.store, "b").slots).toBe(0);
    expect(second.store.facts).toMatchObject({ fresh: false, recoveredKeys: 1 });
  });

  it("can keep in a crash what was durable but not yet heard of", () => {
    const disk = new MemoryDisk(ID);
    const first = stepped(disk);
    for (const name of ["a", "b"]) {
      first.store.put(userKey(name), 1, 0, HEADER, VALUE);
      first.store.submit();
    }
    first.store.crash(1);
    const second = stepped(disk);
    expect(loaded(second.store, "a").slots).toBe(1);
    expect(loaded(second.store, "b").slots).toBe(0);
  });

  it("is FAILED for good after a failed write, says so once, and still reads (D8)", () => {
    const disk = new MemoryDisk(ID);
    const { store, sink, waiting } = stepped(disk, { batch: (token) => (token === 2 ? "failed" : "ok") });
    for (const name of ["a", "b", "c"]) {
      store.put(userKey(name), 1, 0, HEADER, VALUE);
      store.submit();
    }
    store.read(1, userKey("a"), 1);
    store.submit();
    for (const run of waiting.splice(0)) run();
    expect(sink.durable.map((event) => event.status)).toEqual(["ok", "failed", "failed"]);
    expect(sink.failures).toHaveLength(1);
    expect(sink.reads.get(1)).toEqual({ status: "ok", value: VALUE });
    expect(loaded(store, "b").slots).toBe(0);
    expect(store.stats().state).toBe("failed");
  });

  it("injects corrupt reads and a full disk", () => {
    const faults: MemoryFaults = { batch: (token) => (token === 2 ? "disk-full" : "ok"), read: () => "corrupt" };
    const { store, sink, waiting } = stepped(new MemoryDisk(ID), faults);
    for (let i = 1; i <= 3; i++) {
      store.put(userKey("a"), i, i - 1, HEADER, VALUE);
      store.submit();
    }
    store.read(1, userKey("a"), 3);
    store.submit();
    for (const run of waiting.splice(0)) run();
    expect(sink.durable.map((event) => event.status)).toEqual(["ok", "disk-full", "ok"]);
    expect(sink.reads.get(1)).toEqual({ status: "corrupt", value: null });
    expect(store.stats().state).toBe("open");
  });

  it("throws on a floor that leaves more than two positions, and on a header of another size", () => {
    const { store } = stepped(new MemoryDisk(ID));
    expect(() => {
      store.put(userKey("a"), 5, 2, HEADER, VALUE);
    }).toThrow(/D5/);
    expect(() => {
      store.put(userKey("a"), 5, 4, new Uint8Array(3), VALUE);
    }).toThrow(/D4/);
  });

  it("merges when told to: a decided mark becomes durable and what lies below is gone, another mark does neither (D5)", () => {
    const disk = new MemoryDisk(ID);
    const first = stepped(disk);
    for (const name of ["decided", "open", "moved on"]) {
      first.store.put(userKey(name), 1, 0, HEADER, VALUE);
      first.store.put(userKey(name), 2, 1, HEADER, VALUE);
    }
    const marked = new Uint8Array(HEADER_BYTES).fill(9);
    first.store.mark(userKey("decided"), 2, 2, marked);
    first.store.mark(userKey("open"), 2, 1, marked);
    first.store.mark(userKey("moved on"), 2, 2, marked);
    first.store.put(userKey("moved on"), 3, 2, HEADER, VALUE);
    first.store.submit();
    for (const run of first.waiting.splice(0)) run();
    first.store.setMerge({ ...DEFAULT_MERGE, paused: true });
    first.store.mergeAll();
    expect(loaded(first.store, "decided").slots, "paused").toBe(2);
    const used = disk.usedBytes;
    first.store.setMerge(DEFAULT_MERGE);
    first.store.mergeAll();
    expect(disk.usedBytes).toBeLessThan(used);
    first.store.crash();
    const second = stepped(disk).store;
    expect(loaded(second, "decided")).toMatchObject({
      slots: 1,
      slot: [{ position: 2, floor: 2, header: marked }, {}],
    });
    expect(loaded(second, "open")).toMatchObject({
      slots: 2,
      slot: [{ position: 1 }, { position: 2, header: HEADER }],
    });
    expect(loaded(second, "moved on")).toMatchObject({ slots: 2, slot: [{ position: 2 }, { position: 3 }] });
  });

  it("tells of a broken record once, whether a scrub or a read meets it, and not of one that was replaced (D19)", () => {
    const disk = new MemoryDisk(ID);
    const { store, sink, waiting } = stepped(disk);
    for (const name of ["a", "b"]) store.put(userKey(name), 1, 0, HEADER, VALUE);
    store.submit();
    for (const run of waiting.splice(0)) run();
    disk.corrupt(userKey("a"), 1);
    disk.corrupt(userKey("b"), 1);
    store.put(userKey("b"), 2, 2, HEADER, VALUE);
    store.submit();
    store.read(1, userKey("a"), 1);
    store.submit();
    for (const run of waiting.splice(0)) run();
    store.scrubAll();
    store.scrubAll();
    expect(sink.damaged).toEqual([{ key: userKey("a"), position: 1 }]);
    expect(store.stats().scrub).toMatchObject({ passes: 2, damagedRecords: 1 });
    expect(store.stats().corruptKeys).toBe(1);
    expect(store.newest(userKey("a"))).toBe("corrupt");
  });
});
