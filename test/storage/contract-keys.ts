/** The store contract on single values, deletions, iteration, digests, and the controls of merge and scrub. */
import { describe, expect, it } from "vitest";
import { type Key, rawKey, userKey } from "../../src/base/key.js";
import { DEFAULT_MERGE, DIGEST_BUCKETS, NO_SCRUB, type Store } from "../../src/storage/store.js";
import { bytes, closed, expectBytes, header, load, put, shape, valueOf, type Scene } from "./contract-tools.js";

function drop(session: { readonly store: Store }, key: Key): number {
  session.store.drop(key);
  return session.store.submit();
}

/** Every key that an iteration in steps of `limit` visits, in its order. `between` runs after each step. */
function iterated(store: Store, limit: number, between: (step: number) => void = () => undefined): Key[] {
  const seen: Key[] = [];
  const cursor = store.beginIteration();
  for (let step = 0; !cursor.done; step++) {
    store.iterate(cursor, limit, (key) => seen.push(key));
    between(step);
    if (step > 100_000) throw new Error("the iteration does not end");
  }
  return seen;
}

export function keysContract(scene: () => Scene): void {
  describe("the newest value of a key", () => {
    it("is there at once when it is in memory, absent as null, and an own copy", async () => {
      const session = await scene().start();
      const { store } = session;
      await put(session, userKey("a"), 1, 0, bytes(50, 1));
      await put(session, userKey("a"), 2, 1, bytes(60, 2));
      await put(session, userKey("empty"), 1, 0, new Uint8Array(0));
      await put(session, userKey("large"), 1, 0, bytes(200_000, 3));
      const long = rawKey("x".repeat(3000));
      await put(session, long, 1, 0, bytes(70, 4));
      const kept = store.newest(userKey("a"));
      expect(store.newest(userKey("none"))).toBeNull();
      expectBytes(store.newest(userKey("empty")) as Uint8Array, new Uint8Array(0));
      expectBytes(store.newest(userKey("large")) as Uint8Array, bytes(200_000, 3));
      expectBytes(store.newest(long) as Uint8Array, bytes(70, 4));
      await put(session, userKey("a"), 3, 2, bytes(60, 9));
      for (let i = 0; i < 1000; i++) expectBytes(store.newest(userKey("a")) as Uint8Array, bytes(60, 9));
      expectBytes(kept as Uint8Array, bytes(60, 2));
    });

    it("is said to be on disk when it is there only, and its length is known", async () => {
      const session = await scene().start({ cacheBytes: 0 });
      await put(session, userKey("a"), 1, 0, bytes(500, 1));
      expect(session.store.newest(userKey("a"))).toBe("on-disk");
      expect(load(session.store, userKey("a")).slot[0]).toMatchObject({ valueBytes: 500, value: null });
      expectBytes(await valueOf(session, userKey("a"), 1, 1), bytes(500, 1));
    });
  });

  describe("a deletion", () => {
    it("makes a key absent at every position, over a restart too, and another life may begin", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      await put(session, userKey("a"), 4, 3, bytes(10, 1));
      await put(session, userKey("a"), 5, 4, bytes(10, 2));
      await put(session, userKey("b"), 1, 0, bytes(10, 3));
      expect(await sink.ended(drop(session, userKey("a")))).toBe("ok");
      expect(await sink.ended(drop(session, userKey("never")))).toBe("ok");
      expect(load(store, userKey("a")).slots).toBe(0);
      expect(store.newest(userKey("a"))).toBeNull();
      expect(await valueOf(session, userKey("a"), 5, 1)).toBeNull();
      expect(store.stats().keys).toBe(1);
      const again = await scene().restart(session);
      expect(load(again.store, userKey("a"))).toMatchObject({ slots: 0, corrupt: false });
      expect(again.store.facts.recoveredKeys).toBe(1);
      expect(await put(again, userKey("a"), 1, 0, bytes(10, 4))).toBe("ok");
      expect(shape(load(again.store, userKey("a")))).toEqual(["1/0:1"]);
      const third = await scene().restart(again);
      expectBytes(await valueOf(third, userKey("a"), 1, 1), bytes(10, 4));
    });

    it("stands in the order of its batch", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      store.put(userKey("a"), 0, 0, header(1), bytes(10, 1));
      store.drop(userKey("a"));
      store.drop(userKey("b"));
      store.put(userKey("b"), 0, 0, header(2), bytes(10, 2));
      expect(await sink.ended(store.submit())).toBe("ok");
      expect(load(store, userKey("a")).slots).toBe(0);
      expect(shape(load(store, userKey("b")))).toEqual(["0/0:2"]);
    });
  });

  describe("a decided mark", () => {
    it("never takes away the marked record, and at most what lies below", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      await put(session, userKey("a"), 1, 0, bytes(10, 1));
      await put(session, userKey("a"), 2, 1, bytes(10, 2));
      store.mark(userKey("a"), 2, 2, header(9));
      await sink.ended(store.submit());
      expect(shape(load(store, userKey("a"))).at(-1)).toMatch(/^2\/[12]:9$/);
      const again = await scene().restart(session);
      // The mark itself may have become durable, and the record below gone with it; or neither.
      expect([["1/0:1", "2/1:2"], ["2/2:9"]]).toContainEqual(shape(load(again.store, userKey("a"))));
    });
  });

  describe("iteration", () => {
    it("visits every key once in steps, with its newest position, whatever the size of a step", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      const keys = Array.from({ length: 3000 }, (_, i) => userKey(`key:${String(i)}`));
      for (const key of keys) store.put(key, 7, 6, header(1), bytes(20, 1));
      await sink.ended(store.submit());
      for (const limit of [1, 7, 100, 100_000]) {
        const seen = iterated(store, limit);
        expect(seen.length).toBe(3000);
        expect(new Set(seen)).toEqual(new Set(keys));
      }
    });

    it("visits what stays exactly once while other keys come and go", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      const stays = Array.from({ length: 500 }, (_, i) => userKey(`stays:${String(i)}`));
      const goes = Array.from({ length: 500 }, (_, i) => userKey(`goes:${String(i)}`));
      for (const key of [...stays, ...goes]) store.put(key, 1, 1, header(1), bytes(20, 1));
      await sink.ended(store.submit());
      const seen: Key[] = [];
      const cursor = store.beginIteration();
      for (let step = 0; !cursor.done; step++) {
        store.iterate(cursor, 10, (key) => seen.push(key));
        for (const key of goes.slice(step * 10, step * 10 + 10)) store.drop(key);
        for (let i = 0; i < 20; i++)
          store.put(userKey(`new:${String(step)}:${String(i)}`), 1, 1, header(1), bytes(5, 1));
        await sink.ended(store.submit());
        if (step > 10_000) throw new Error("the iteration does not end");
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((key) => key.startsWith("ustays")).length).toBe(500);
    });

    it("goes on from a position, and keeps nothing in between", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      const keys = Array.from({ length: 500 }, (_, i) => userKey(`key:${String(i)}`));
      for (const key of keys) store.put(key, 7, 6, header(1), bytes(20, 1));
      await sink.ended(store.submit());
      const seen: Key[] = [];
      let position = 0n;
      for (let step = 0; ; step++) {
        const cursor = store.beginIteration(position);
        expect(cursor.position).toBeLessThanOrEqual(2n ** 64n - 1n);
        store.iterate(cursor, 7, (key) => seen.push(key));
        if (cursor.done) break;
        expect(cursor.position).toBeGreaterThan(position);
        position = cursor.position;
        if (step > 10_000) throw new Error("the iteration does not end");
      }
      expect(seen.length).toBe(500);
      expect(new Set(seen)).toEqual(new Set(keys));
      store.iterate(store.beginIteration(2n ** 64n - 1n), 7, () => undefined); // the end, or behind it
    });

    it("goes over one bucket of the digests, or over some", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      const zero = store.digests(0, DIGEST_BUCKETS);
      const keys = Array.from({ length: 2000 }, (_, i) => userKey(`key:${String(i)}`));
      for (const key of keys) store.put(key, 7, 6, header(1), bytes(20, 1));
      await sink.ended(store.submit());
      const digests = store.digests(0, DIGEST_BUCKETS);
      const between = (first: number, end: number, limit: number): Key[] => {
        const seen: Key[] = [];
        const cursor = store.beginIteration(store.placeOfBucket(first), store.placeOfBucket(end));
        while (!cursor.done) store.iterate(cursor, limit, (key) => seen.push(key));
        return seen;
      };
      const filled = [...digests.keys()].filter((bucket) => digests[bucket] !== zero[bucket]);
      for (const limit of [1, 100]) {
        const seen = filled.flatMap((bucket) => between(bucket, bucket + 1, limit));
        expect(seen.length).toBe(2000);
        expect(new Set(seen)).toEqual(new Set(keys));
      }
      const empty = [...digests.keys()].filter((bucket) => digests[bucket] === zero[bucket]);
      expect(empty.slice(0, 500).flatMap((bucket) => between(bucket, bucket + 1, 10))).toEqual([]);
      const parts = [0, 1000, 30_000, 65_535, DIGEST_BUCKETS];
      expect(parts.slice(1).flatMap((end, i) => between(parts[i] ?? 0, end, 7)).length).toBe(2000);
    });

    it("ends at once in an empty store", async () => {
      const session = await scene().start();
      expect(iterated(session.store, 10)).toEqual([]);
    });
  });

  describe("digests", () => {
    it("are the same for the same records, whatever the history, and change with any record", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      const zero = store.digests(0, DIGEST_BUCKETS);
      expect(zero.length).toBe(DIGEST_BUCKETS);
      for (let i = 0; i < 200; i++) await put(session, userKey(String(i)), 1, 1, bytes(50, i));
      const first = store.digests(0, DIGEST_BUCKETS);
      expect(first).not.toEqual(zero);
      expect(store.digests(100, 50)).toEqual(first.slice(100, 150));
      await put(session, userKey("7"), 2, 2, bytes(50, 7));
      const other = store.digests(0, DIGEST_BUCKETS);
      expect([...other.keys()].filter((i) => other[i] !== first[i]).length).toBe(1);
      await sink.ended(drop(session, userKey("7")));
      await put(session, userKey("extra"), 1, 1, bytes(50, 1));
      await sink.ended(drop(session, userKey("extra")));
      await put(session, userKey("7"), 1, 1, bytes(50, 7));
      expect(store.digests(0, DIGEST_BUCKETS)).toEqual(first);
      const again = await scene().restart(session);
      expect(again.store.digests(0, DIGEST_BUCKETS)).toEqual(first);
    });
  });

  describe("the controls", () => {
    it("take merge and scrub settings at any time, and leave records as they are", async () => {
      const session = await scene().start();
      const { store } = session;
      await put(session, userKey("a"), 1, 0, bytes(10, 1));
      store.setMerge({ ...DEFAULT_MERGE, paused: true, hours: 1, bytesPerSecond: 4096, operationsPerSecond: 1 });
      store.setScrub({ bytesPerSecond: 1 << 30 });
      store.setMerge(DEFAULT_MERGE);
      store.setScrub(NO_SCRUB);
      expect(shape(load(store, userKey("a")))).toEqual(["1/0:1"]);
      await closed(store);
      store.setMerge(DEFAULT_MERGE);
      store.setScrub(NO_SCRUB);
    });

    it("tell figures that fit together", async () => {
      const session = await scene().start();
      const { store } = session;
      for (let i = 0; i < 50; i++) await put(session, userKey(String(i % 10)), i + 1, i, bytes(1000, i));
      const stats = store.stats();
      expect(stats).toMatchObject({ keys: 10, corruptKeys: 0, state: "open" });
      expect(stats.space.liveBytes).toBeGreaterThan(10_000);
      expect(stats.space.freeExtents).toBeLessThanOrEqual(stats.space.totalExtents);
      expect(stats.space.level).toBe("plenty");
      expect(stats.scrub.damagedRecords).toBe(0);
      expect(stats.cache.bytes).toBeGreaterThanOrEqual(10_000);
      expect(session.sink.damaged).toEqual([]);
    });
  });
}
