/**
 * Several callers on one store: each space keeps the whole contract of a store, alone and beside others, and what one
 * caller hands over takes nothing of another's promises away.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.js";
import { type Key, rawKey, userKey } from "../../src/base/key.js";
import { MemoryDisk } from "../../src/storage/memory-disk.js";
import { type MemoryFaults, openMemoryStore } from "../../src/storage/memory-store.js";
import { SharedStore } from "../../src/storage/shared-store.js";
import { keyInSpace, spaceOf, spacePrefix } from "../../src/storage/space.js";
import { DIGEST_BUCKETS, type Store } from "../../src/storage/store.js";
import { storeContract } from "./contract.js";
import { bytes, closed, expectBytes, header, load, type Place, shape } from "./contract-tools.js";
import { nativePlace, openStore } from "./native-place.js";
import { Recorder } from "./recorder.js";

const later = (run: () => void): void => {
  setImmediate(run);
};

/** A space of a native store, as a place of its own. */
function spacePlace(space: number, size: number): Place {
  const inner = nativePlace(size);
  return {
    open: async (options, sink) => {
      const shared = new SharedStore(later);
      // The recorder of the contract is handed the space's answers, the shared store those of the engine.
      shared.attach(await inner.open(options, shared as unknown as Recorder));
      return shared.open(space, sink);
    },
    corrupt: (key, position, value) => {
      inner.corrupt(key, position, value);
    },
    remove: () => {
      inner.remove();
    },
  };
}

storeContract({ name: "a space of a native store", makePlace: (size) => spacePlace(5, size) });

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

interface Caller {
  readonly store: Store;
  readonly sink: Recorder;
}

async function nativeCallers(spaces: readonly number[], directory = newDirectory()): Promise<Caller[]> {
  const shared = new SharedStore(later);
  shared.attach(await openStore({ volumes: [directory], sizeBytes: 64 << 20, nodeId: "n1" }, shared));
  return spaces.map((space) => callerOf(shared, space));
}

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "plogdb-shared-"));
  directories.push(directory);
  return directory;
}

function callerOf(shared: SharedStore, space: number): Caller {
  const sink = new Recorder();
  return { store: shared.open(space, sink), sink };
}

/** Two callers on a store in memory whose batches end when the test says so. */
function steppedCallers(faults: MemoryFaults = {}) {
  const waiting: (() => void)[] = [];
  const step = (): void => {
    waiting.shift()?.();
  };
  const shared = new SharedStore((run) => waiting.push(run));
  const disk = new MemoryDisk("0123456789abcdef0123456789abcdef");
  shared.attach(openMemoryStore({ disk, nodeId: "n1", schedule: (run) => waiting.push(run), faults }, shared));
  const [a, b] = [callerOf(shared, 1), callerOf(shared, 2)];
  return { a, b, step, waiting };
}

function keysOf(store: Store): Key[] {
  const keys: Key[] = [];
  store.forEachKey((key) => keys.push(key));
  return keys.toSorted();
}

describe("names in a space", () => {
  it("tell their space, and those of none tell that", () => {
    const key = rawKey(spacePrefix(15) + "uname");
    expect(spaceOf(key)).toBe(15);
    expect(keyInSpace(key)).toBe("uname");
    for (const text of ["uname", "\xff", "\xff\x10", "\xfe\x01x"]) expect(spaceOf(rawKey(text))).toBe(-1);
  });
});

describe("callers that share a store", () => {
  it("see their own keys, values, walks and digests only, over a restart too", async () => {
    const directory = newDirectory();
    const random = new Random(7);
    let callers = await nativeCallers([0, 3, 15], directory);
    expect(callers.map(({ store }) => store.facts.recoveredKeys)).toEqual([0, 0, 0]);
    const held = callers.map(() => new Map<Key, Uint8Array>());
    for (let i = 0; i < 600; i++) {
      const who = random.below(2); // the last one stays empty
      const key = userKey(String(random.below(200)));
      const value = bytes(random.below(300), i);
      callers[who]?.store.put(key, i + 1, i + 1, header(1), value);
      held[who]?.set(key, value);
      if (random.below(4) === 0) callers[random.below(3)]?.store.submit();
    }
    for (const { store, sink } of callers) {
      const token = store.submit();
      if (token > 0) expect(await sink.ended(token)).toBe("ok");
    }
    for (let round = 0; round < 2; round++) {
      for (const [who, { store }] of callers.entries()) {
        expect(keysOf(store)).toEqual([...(held[who]?.keys() ?? [])].toSorted());
        for (const [key, value] of held[who] ?? []) {
          const found = store.newest(key);
          if (found === "on-disk") expect(round, "in memory before the restart").toBe(1);
          else expectBytes(found as Uint8Array, value);
          expect(load(store, key).slots).toBe(1);
        }
      }
      expect(callers[2]?.store.newest(userKey("1"))).toBeNull();
      await Promise.all(callers.map(({ store }) => closed(store)));
      callers = await nativeCallers([0, 3, 15], directory);
      expect(callers.map(({ store }) => store.facts.recoveredKeys > 0)).toEqual([true, true, false]);
    }
    await Promise.all(callers.map(({ store }) => closed(store)));
  });

  it("have equal digests where they hold equal keys, whatever else is in the store, and find a difference", async () => {
    const left = await nativeCallers([4, 5]);
    const right = await nativeCallers([4]);
    const [one, noise, other] = [left[0], left[1], right[0]];
    if (one === undefined || noise === undefined || other === undefined) throw new Error("three callers");
    for (let i = 0; i < 500; i++) {
      for (const { store } of [one, noise, other]) store.put(userKey(`k${String(i)}`), 1, 0, header(1), bytes(20, i));
    }
    other.store.put(userKey("k77"), 2, 1, header(1), bytes(20, 1000));
    for (const { store, sink } of [one, noise, other]) expect(await sink.ended(store.submit())).toBe("ok");
    const [mine, theirs] = [one.store.digests(0, DIGEST_BUCKETS), other.store.digests(0, DIGEST_BUCKETS)];
    const different = [...mine.keys()].filter((bucket) => mine[bucket] !== theirs[bucket]);
    expect(different).toHaveLength(1);
    const bucket = different[0] ?? 0;
    // A part of the buckets is the same part, wherever it begins.
    for (const [first, count] of [
      [bucket, 1],
      [bucket - (bucket > 5 ? 5 : 0), 40],
      [1, 100],
      [15, 3],
    ] as const) {
      expect([...one.store.digests(first, count)]).toEqual([...mine.subarray(first, first + count)]);
    }
    const found: Key[] = [];
    const cursor = one.store.beginIteration(one.store.placeOfBucket(bucket), one.store.placeOfBucket(bucket + 1));
    while (!cursor.done) one.store.iterate(cursor, 10, (key) => found.push(key));
    expect(found).toContain(userKey("k77"));
    expect(found.length).toBeLessThan(20);
    await Promise.all([...left, ...right].map(({ store }) => closed(store)));
  });

  it("hear of their own tokens in order, also when what they put left with another's batch", () => {
    const { a, b, step } = steppedCallers();
    a.store.put(userKey("x"), 1, 0, header(1), bytes(10, 1));
    b.store.put(userKey("y"), 1, 0, header(1), bytes(10, 2));
    expect(b.store.submit()).toBe(1);
    expect(a.store.submit()).toBe(1); // it left with b's batch
    expect([a.sink.durable, b.sink.durable]).toEqual([[], []]);
    step();
    expect([a.sink.durable, b.sink.durable]).toEqual([[{ token: 1, status: "ok" }], [{ token: 1, status: "ok" }]]);
    a.store.put(userKey("x"), 2, 1, header(1), bytes(10, 3));
    b.store.put(userKey("y"), 2, 1, header(1), bytes(10, 4));
    expect(b.store.submit()).toBe(2);
    step();
    expect(a.sink.durable).toHaveLength(1); // nobody may hear of what was not handed over
    expect(a.store.submit()).toBe(2);
    expect(a.sink.durable).toHaveLength(1); // nor during the call
    step();
    expect(a.sink.durable.at(-1)).toEqual({ token: 2, status: "ok" });
    expect(shape(load(a.store, userKey("x")))).toEqual(["1/0:1", "2/1:1"]);
    expect(a.store.submit()).toBe(0);
  });

  it("are told of a refusal of each batch that held something of theirs, and of no other", () => {
    const refused = new Set([1]);
    const { a, b, step } = steppedCallers({ batch: (token) => (refused.has(token) ? "disk-full" : "ok") });
    a.store.put(userKey("x"), 1, 0, header(1), bytes(10, 1));
    b.store.put(userKey("y"), 1, 0, header(1), bytes(10, 2));
    b.store.submit();
    a.store.put(userKey("x2"), 1, 0, header(1), bytes(10, 1));
    expect(a.store.submit()).toBe(1); // one part left with the refused batch, the other goes now
    b.store.put(userKey("z"), 1, 0, header(1), bytes(10, 2));
    b.store.submit();
    for (let i = 0; i < 3; i++) step();
    expect(a.sink.durable).toEqual([{ token: 1, status: "disk-full" }]);
    expect(b.sink.durable).toEqual([
      { token: 1, status: "disk-full" },
      { token: 2, status: "ok" },
    ]);
  });

  it("get the answers to their own reads, whatever tags the others use", async () => {
    const [a, b] = await nativeCallers([1, 2]);
    if (a === undefined || b === undefined) throw new Error("two callers");
    for (const [{ store, sink }, seed] of [
      [a, 1],
      [b, 2],
    ] as const) {
      store.put(userKey("k"), 1, 0, header(1), bytes(100, seed));
      await sink.ended(store.submit());
    }
    a.store.read(7, userKey("k"), 1);
    b.store.read(7, userKey("k"), 1);
    a.store.submit();
    b.store.submit();
    expectBytes((await a.sink.answered(7)).value, bytes(100, 1));
    expectBytes((await b.sink.answered(7)).value, bytes(100, 2));
    await closed(a.store);
    // The other goes on.
    b.store.put(userKey("k"), 2, 1, header(1), bytes(100, 3));
    expect(await b.sink.ended(b.store.submit())).toBe("ok");
    await closed(b.store);
  });
});
