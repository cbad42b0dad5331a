/** The store contract on batches, positions, marks and values. */
import { describe, expect, it } from "vitest";
import { type Key, rawKey, userKey } from "../../src/base/key.js";
import { emptyLoadedKey } from "../../src/storage/loaded-key.js";
import { HEADER_BYTES, type LoadedKey } from "../../src/storage/store.js";
import { header, bytes, expectBytes, load, shape, put, valueOf, type Scene } from "./contract-tools.js";

export function recordsContract(scene: () => Scene): void {
  describe("batches", () => {
    it("answers 0 to an empty submit, else tokens from 1", async () => {
      const { store, sink } = await scene().start();
      expect(store.submit()).toBe(0);
      store.put(userKey("a"), 1, 0, header(1), bytes(10, 1));
      expect(store.submit()).toBe(1);
      expect(store.submit()).toBe(0);
      store.mark(userKey("a"), 1, 0, header(2));
      expect(store.submit()).toBe(2);
      expect(await sink.ended(2)).toBe("ok");
    });

    it("completes in the order of the tokens", async () => {
      const { store, sink } = await scene().start();
      let last = 0;
      for (let i = 0; i < 200; i++) {
        store.put(userKey(`k${String(i % 7)}`), i + 1, i, header(1), bytes(i * 13, i));
        last = store.submit();
      }
      expect(await sink.ended(last)).toBe("ok");
      const tokens = sink.durable.map((event) => event.token);
      expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
      expect(new Set(tokens).size).toBe(tokens.length);
    });

    it("shows nothing of a batch that was gathered and not handed over", async () => {
      const session = await scene().start();
      session.store.put(userKey("a"), 1, 0, header(1), bytes(10, 1));
      expect(load(session.store, userKey("a")).slots).toBe(0);
      await session.sink.ended(session.store.submit());
      expect(load(session.store, userKey("a")).slots).toBe(1);
    });

    it("copies header and value at once", async () => {
      const { store, sink } = await scene().start();
      const theirs = header(7);
      const value = bytes(100, 3);
      store.put(userKey("a"), 1, 0, theirs, value);
      theirs.fill(9);
      value.fill(9);
      await sink.ended(store.submit());
      const loaded = load(store, userKey("a"));
      expect(shape(loaded)).toEqual(["1/0:7"]);
      expectBytes(loaded.slot[0].value, bytes(100, 3));
    });

    it("gives values for the caller to keep", async () => {
      const session = await scene().start();
      await put(session, userKey("a"), 1, 0, bytes(50, 1));
      await put(session, userKey("b"), 1, 0, bytes(60, 2));
      const results = [emptyLoadedKey()];
      session.store.load([userKey("a")], results);
      const kept = results[0]?.slot[0].value;
      session.store.load([userKey("b")], results);
      for (let i = 0; i < 50; i++) await put(session, userKey("c"), i + 1, i, bytes(5000, i));
      expectBytes(kept, bytes(50, 1));
      expectBytes(results[0]?.slot[0].value, bytes(60, 2));
    });

    it("takes thousands of keys in one batch, and loads them in one call", async () => {
      const { store, sink } = await scene().start();
      const keys = Array.from({ length: 5000 }, (_, i) => userKey(`key:${String(i)}`));
      keys.forEach((key, i) => {
        store.put(key, i + 1, i, header(i % 3), bytes(i % 300, i));
      });
      expect(await sink.ended(store.submit())).toBe("ok");
      const results: LoadedKey[] = [];
      store.load(keys, results);
      results.forEach((loaded, i) => {
        expect(shape(loaded)).toEqual([`${String(i + 1)}/${String(i)}:${String(i % 3)}`]);
        expectBytes(loaded.slot[0].value, bytes(i % 300, i));
      });
      expect(store.stats().keys).toBe(5000);
      expect(store.stats().keysByClass.slice(0, 3)).toEqual([1667, 1667, 1666]);
      const seen = new Map<Key, number>();
      store.forEachKey((key, position, seenHeader) => {
        expect(seenHeader.length).toBe(HEADER_BYTES);
        expect(seen.has(key)).toBe(false);
        seen.set(key, position);
      });
      expect(seen.size).toBe(5000);
      expect(seen.get(userKey("key:4999"))).toBe(5000);
    });

    it("takes keys of any bytes and of any length up to its bound", async () => {
      const session = await scene().start();
      const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
      const keys = [rawKey(all), rawKey("\u0000"), userKey(""), userKey("x".repeat(4000)), rawKey("\u00ff\u00ff")];
      for (const key of keys) expect(await put(session, key, 1, 0, bytes(20, key.length))).toBe("ok");
      const again = await scene().restart(session);
      for (const key of keys) {
        expectBytes(await valueOf(again, key, 1, keys.indexOf(key) + 1), bytes(20, key.length));
      }
      const seen: Key[] = [];
      again.store.forEachKey((key) => seen.push(key));
      expect(seen.sort()).toEqual([...keys].sort());
    });
  });

  describe("positions and marks", () => {
    it("keeps two positions: writing i+1 leaves i readable", async () => {
      const session = await scene().start();
      const key = userKey("a");
      await put(session, key, 4, 3, bytes(10, 4));
      await put(session, key, 5, 4, bytes(10, 5));
      expect(shape(load(session.store, key))).toEqual(["4/3:4", "5/4:5"]);
      expectBytes(await valueOf(session, key, 4, 1), bytes(10, 4));
      expectBytes(await valueOf(session, key, 5, 2), bytes(10, 5));
    });

    it("forgets what is below the floor of the newest record", async () => {
      const session = await scene().start();
      const key = userKey("a");
      for (let i = 1; i <= 5; i++) await put(session, key, i, i - 1, bytes(10, i));
      expect(shape(load(session.store, key))).toEqual(["4/3:4", "5/4:5"]);
      await put(session, key, 9, 9, bytes(10, 9));
      expect(shape(load(session.store, key))).toEqual(["9/9:9"]);
      const again = await scene().restart(session);
      expect(shape(load(again.store, key))).toEqual(["9/9:9"]);
    });

    it("lets the newer record of one position win, over a restart too", async () => {
      const session = await scene().start();
      const key = userKey("a");
      await put(session, key, 1, 0, bytes(10, 1));
      await put(session, key, 2, 1, bytes(10, 2));
      const before = load(session.store, key).slot[1].lsn;
      session.store.put(key, 2, 1, header(77), bytes(10, 3));
      await session.sink.ended(session.store.submit());
      expect(shape(load(session.store, key))).toEqual(["1/0:1", "2/1:77"]);
      expect(load(session.store, key).slot[1].lsn).toBeGreaterThan(before);
      const again = await scene().restart(session);
      expect(shape(load(again.store, key))).toEqual(["1/0:1", "2/1:77"]);
      expectBytes(await valueOf(again, key, 2, 1), bytes(10, 3));
    });

    it("keeps i+1 when i is written again, and two records of one key in one batch", async () => {
      const session = await scene().start();
      const key = userKey("a");
      session.store.put(key, 1, 1, header(1), bytes(10, 1));
      session.store.put(key, 2, 1, header(2), bytes(10, 2));
      await session.sink.ended(session.store.submit());
      session.store.put(key, 1, 1, header(3), bytes(10, 3));
      await session.sink.ended(session.store.submit());
      expect(shape(load(session.store, key))).toEqual(["1/1:3", "2/1:2"]);
      const again = await scene().restart(session);
      expect(shape(load(again.store, key))).toEqual(["1/1:3", "2/1:2"]);
    });

    it("applies a mark after what was put before it, and before what is put after it", async () => {
      const { store, sink } = await scene().start();
      const key = userKey("a");
      store.put(key, 1, 0, header(1), bytes(10, 1));
      store.mark(key, 1, 0, header(50));
      store.put(key, 2, 1, header(2), bytes(10, 2));
      await sink.ended(store.submit());
      expect(shape(load(store, key))).toEqual(["1/0:50", "2/1:2"]);
      store.mark(key, 2, 1, header(51));
      store.put(key, 2, 1, header(3), bytes(10, 3));
      await sink.ended(store.submit());
      expect(shape(load(store, key))).toEqual(["1/0:50", "2/1:3"]);
      store.put(key, 3, 2, header(4), bytes(10, 4));
      store.submit();
      store.mark(key, 3, 2, header(52));
      await sink.ended(store.submit());
      expect(shape(load(store, key))).toEqual(["2/1:3", "3/2:52"]);
      expectBytes(load(store, key).slot[1].value, bytes(10, 4));
    });

    it("ignores a mark without a record, and writes nothing for a mark", async () => {
      const session = await scene().start();
      const key = userKey("a");
      await put(session, key, 1, 0, bytes(10, 1));
      const before = session.store.stats();
      session.store.mark(key, 7, 6, header(60));
      session.store.mark(userKey("other"), 1, 0, header(60));
      session.store.mark(key, 1, 0, header(61));
      expect(await session.sink.ended(session.store.submit())).toBe("ok");
      const after = session.store.stats();
      expect(after.recordsWritten).toBe(before.recordsWritten);
      expect(after.flushes).toBe(before.flushes);
      expect(shape(load(session.store, key))).toEqual(["1/0:61"]);
      expect(load(session.store, userKey("other")).slots).toBe(0);
      const again = await scene().restart(session);
      expect(shape(load(again.store, key))).toEqual(["1/0:1"]);
    });
  });

  describe("values", () => {
    it("tells an empty value from an absent record", async () => {
      const session = await scene().start();
      await put(session, userKey("a"), 1, 0, new Uint8Array(0));
      expectBytes(load(session.store, userKey("a")).slot[0].value, new Uint8Array(0));
      expectBytes(await valueOf(session, userKey("a"), 1, 1), new Uint8Array(0));
      expect(await valueOf(session, userKey("a"), 2, 2)).toBeNull();
      expect(await valueOf(session, userKey("b"), 1, 3)).toBeNull();
    });

    it("takes values of many blocks", async () => {
      const session = await scene().start();
      const sizes = [4000, 4095, 4096, 4097, 8192, 65_536, 200_000];
      for (const size of sizes) {
        expect(await put(session, userKey(String(size)), 1, 0, bytes(size, size))).toBe("ok");
      }
      const again = await scene().restart(session);
      for (const size of sizes) {
        expectBytes(await valueOf(again, userKey(String(size)), 1, size), bytes(size, size));
      }
    });

    it("refuses a batch with a value beyond the maximum, and goes on", async () => {
      const session = await scene().start({ maxValueBytes: 1000 });
      expect(await put(session, userKey("a"), 1, 0, bytes(1000, 1))).toBe("ok");
      session.store.put(userKey("b"), 1, 0, header(1), bytes(10, 1));
      session.store.put(userKey("a"), 2, 1, header(2), bytes(1001, 1));
      expect(await session.sink.ended(session.store.submit())).toBe("too-large");
      expect(shape(load(session.store, userKey("a")))).toEqual(["1/0:1"]);
      expect(load(session.store, userKey("b")).slots).toBe(0);
      expect(await put(session, userKey("a"), 2, 1, bytes(999, 2))).toBe("ok");
      expect(session.store.stats().state).toBe("open");
    });

    it("reads from disk what does not fit the cache", async () => {
      const session = await scene().start({ cacheBytes: 128 << 10 });
      const { store, sink } = session;
      const keys = Array.from({ length: 200 }, (_, i) => userKey(`k${String(i)}`));
      keys.forEach((key, i) => {
        store.put(key, 1, 0, header(1), bytes(4000 + i, i));
      });
      await sink.ended(store.submit());
      const results: LoadedKey[] = [];
      store.load(keys, results);
      expect(results.every((loaded) => loaded.slots === 1)).toBe(true);
      const missing = results.filter((loaded) => loaded.slot[0].value === null).length;
      expect(missing).toBeGreaterThan(100);
      expect(store.stats().cache.bytes).toBeLessThanOrEqual(256 << 10);
      keys.forEach((key, i) => {
        store.read(i + 1, key, 1);
      });
      store.submit();
      for (let i = 0; i < keys.length; i++) {
        const answer = await sink.answered(i + 1);
        expect(answer.status).toBe("ok");
        expectBytes(answer.value, bytes(4000 + i, i));
      }
    });
  });
}
