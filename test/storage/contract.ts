/**
 * What every Store must do, as one suite: run by each implementation with one line. It opens stores through a Place (a
 * disk that outlives them) and looks at nothing but the Store interface.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Key, rawKey, userKey } from "../../src/base/key.js";
import { emptyLoadedKey } from "../../src/storage/loaded-key.js";
import { HEADER_BYTES, type LoadedKey, type Store, type StoreStatus } from "../../src/storage/store.js";
import { Recorder } from "./recorder.js";

export interface PlaceOptions {
  readonly nodeId?: string;
  readonly cacheBytes?: number;
  readonly maxValueBytes?: number;
}

/** A disk of a test; it outlives the stores that are opened on it. */
export interface Place {
  /** Rejects with StoreOpenError. */
  open(options: PlaceOptions, sink: Recorder): Promise<Store>;
  /** Breaks the stored value `value` of a record, while no store is open. */
  corrupt(key: Key, position: number, value: Uint8Array): void;
  remove(): void;
}

export interface Contract {
  readonly name: string;
  /** A place with room for `bytes` in all. */
  readonly makePlace: (bytes: number) => Place;
}

interface Session {
  readonly store: Store;
  readonly sink: Recorder;
}

const PLACE_BYTES = 64 << 20;

function header(fill: number): Uint8Array {
  return new Uint8Array(HEADER_BYTES).fill(fill);
}

function bytes(length: number, seed: number): Uint8Array {
  const made = new Uint8Array(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    made[i] = state >>> 24;
  }
  return made;
}

/** Compares in one step: element by element takes seconds for large values. */
function expectBytes(actual: Uint8Array | null | undefined, expected: Uint8Array): void {
  if (actual === null || actual === undefined) expect(actual).toEqual(expected);
  else expect(Buffer.compare(actual, expected) === 0 ? "equal" : "different").toBe("equal");
}

function load(store: Store, key: Key): LoadedKey {
  const results = [emptyLoadedKey()];
  store.load([key], results);
  return results[0] ?? emptyLoadedKey();
}

/** Positions, floors and first header bytes of what is loaded: short to compare. */
function shape(loaded: LoadedKey): string[] {
  return loaded.slot
    .slice(0, loaded.slots)
    .map((slot) => `${String(slot.position)}/${String(slot.floor)}:${String(slot.header[0])}`);
}

async function put(
  session: Session,
  key: Key,
  position: number,
  floor: number,
  value: Uint8Array,
): Promise<StoreStatus> {
  session.store.put(key, position, floor, header(position % 251), value);
  return session.sink.ended(session.store.submit());
}

async function valueOf(session: Session, key: Key, position: number, tag: number): Promise<Uint8Array | null> {
  session.store.read(tag, key, position);
  session.store.submit();
  const answer = await session.sink.answered(tag);
  expect(answer.status).toBe("ok");
  return answer.value;
}

function closed(store: Store): Promise<void> {
  return new Promise((resolve) => {
    store.close(resolve);
  });
}

/** The suite. */
export function storeContract(contract: Contract): void {
  describe(`${contract.name} as a store`, () => {
    let place: Place;
    let open: Session[] = [];

    async function start(options: PlaceOptions = {}): Promise<Session> {
      const sink = new Recorder();
      const store = await place.open(options, sink);
      const session = { store, sink };
      open.push(session);
      return session;
    }

    async function restart(session: Session, options: PlaceOptions = {}): Promise<Session> {
      await closed(session.store);
      open = open.filter((other) => other !== session);
      return start(options);
    }

    beforeEach(() => {
      place = contract.makePlace(PLACE_BYTES);
    });

    afterEach(async () => {
      for (const session of open.splice(0)) await closed(session.store);
      place.remove();
    });

    describe("batches", () => {
      it("answers 0 to an empty submit, else tokens from 1", async () => {
        const { store, sink } = await start();
        expect(store.submit()).toBe(0);
        store.put(userKey("a"), 1, 0, header(1), bytes(10, 1));
        expect(store.submit()).toBe(1);
        expect(store.submit()).toBe(0);
        store.mark(userKey("a"), 1, header(2));
        expect(store.submit()).toBe(2);
        expect(await sink.ended(2)).toBe("ok");
      });

      it("completes in the order of the tokens", async () => {
        const { store, sink } = await start();
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
        const session = await start();
        session.store.put(userKey("a"), 1, 0, header(1), bytes(10, 1));
        expect(load(session.store, userKey("a")).slots).toBe(0);
        await session.sink.ended(session.store.submit());
        expect(load(session.store, userKey("a")).slots).toBe(1);
      });

      it("copies header and value at once", async () => {
        const { store, sink } = await start();
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
        const session = await start();
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
        const { store, sink } = await start();
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
        const session = await start();
        const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
        const keys = [rawKey(all), rawKey("\u0000"), userKey(""), userKey("x".repeat(4000)), rawKey("\u00ff\u00ff")];
        for (const key of keys) expect(await put(session, key, 1, 0, bytes(20, key.length))).toBe("ok");
        const again = await restart(session);
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
        const session = await start();
        const key = userKey("a");
        await put(session, key, 4, 3, bytes(10, 4));
        await put(session, key, 5, 4, bytes(10, 5));
        expect(shape(load(session.store, key))).toEqual(["4/3:4", "5/4:5"]);
        expectBytes(await valueOf(session, key, 4, 1), bytes(10, 4));
        expectBytes(await valueOf(session, key, 5, 2), bytes(10, 5));
      });

      it("forgets what is below the floor of the newest record", async () => {
        const session = await start();
        const key = userKey("a");
        for (let i = 1; i <= 5; i++) await put(session, key, i, i - 1, bytes(10, i));
        expect(shape(load(session.store, key))).toEqual(["4/3:4", "5/4:5"]);
        await put(session, key, 9, 9, bytes(10, 9));
        expect(shape(load(session.store, key))).toEqual(["9/9:9"]);
        const again = await restart(session);
        expect(shape(load(again.store, key))).toEqual(["9/9:9"]);
      });

      it("lets the newer record of one position win, over a restart too", async () => {
        const session = await start();
        const key = userKey("a");
        await put(session, key, 1, 0, bytes(10, 1));
        await put(session, key, 2, 1, bytes(10, 2));
        const before = load(session.store, key).slot[1].lsn;
        session.store.put(key, 2, 1, header(77), bytes(10, 3));
        await session.sink.ended(session.store.submit());
        expect(shape(load(session.store, key))).toEqual(["1/0:1", "2/1:77"]);
        expect(load(session.store, key).slot[1].lsn).toBeGreaterThan(before);
        const again = await restart(session);
        expect(shape(load(again.store, key))).toEqual(["1/0:1", "2/1:77"]);
        expectBytes(await valueOf(again, key, 2, 1), bytes(10, 3));
      });

      it("keeps i+1 when i is written again, and two records of one key in one batch", async () => {
        const session = await start();
        const key = userKey("a");
        session.store.put(key, 1, 1, header(1), bytes(10, 1));
        session.store.put(key, 2, 1, header(2), bytes(10, 2));
        await session.sink.ended(session.store.submit());
        session.store.put(key, 1, 1, header(3), bytes(10, 3));
        await session.sink.ended(session.store.submit());
        expect(shape(load(session.store, key))).toEqual(["1/1:3", "2/1:2"]);
        const again = await restart(session);
        expect(shape(load(again.store, key))).toEqual(["1/1:3", "2/1:2"]);
      });

      it("applies a mark after what was put before it, and before what is put after it", async () => {
        const { store, sink } = await start();
        const key = userKey("a");
        store.put(key, 1, 0, header(1), bytes(10, 1));
        store.mark(key, 1, header(50));
        store.put(key, 2, 1, header(2), bytes(10, 2));
        await sink.ended(store.submit());
        expect(shape(load(store, key))).toEqual(["1/0:50", "2/1:2"]);
        store.mark(key, 2, header(51));
        store.put(key, 2, 1, header(3), bytes(10, 3));
        await sink.ended(store.submit());
        expect(shape(load(store, key))).toEqual(["1/0:50", "2/1:3"]);
        store.put(key, 3, 2, header(4), bytes(10, 4));
        store.submit();
        store.mark(key, 3, header(52));
        await sink.ended(store.submit());
        expect(shape(load(store, key))).toEqual(["2/1:3", "3/2:52"]);
        expectBytes(load(store, key).slot[1].value, bytes(10, 4));
      });

      it("ignores a mark without a record, and writes nothing for a mark", async () => {
        const session = await start();
        const key = userKey("a");
        await put(session, key, 1, 0, bytes(10, 1));
        const before = session.store.stats();
        session.store.mark(key, 7, header(60));
        session.store.mark(userKey("other"), 1, header(60));
        session.store.mark(key, 1, header(61));
        expect(await session.sink.ended(session.store.submit())).toBe("ok");
        const after = session.store.stats();
        expect(after.recordsWritten).toBe(before.recordsWritten);
        expect(after.flushes).toBe(before.flushes);
        expect(shape(load(session.store, key))).toEqual(["1/0:61"]);
        expect(load(session.store, userKey("other")).slots).toBe(0);
        const again = await restart(session);
        expect(shape(load(again.store, key))).toEqual(["1/0:1"]);
      });
    });

    describe("values", () => {
      it("tells an empty value from an absent record", async () => {
        const session = await start();
        await put(session, userKey("a"), 1, 0, new Uint8Array(0));
        expectBytes(load(session.store, userKey("a")).slot[0].value, new Uint8Array(0));
        expectBytes(await valueOf(session, userKey("a"), 1, 1), new Uint8Array(0));
        expect(await valueOf(session, userKey("a"), 2, 2)).toBeNull();
        expect(await valueOf(session, userKey("b"), 1, 3)).toBeNull();
      });

      it("takes values of many blocks", async () => {
        const session = await start();
        const sizes = [4000, 4095, 4096, 4097, 8192, 65_536, 200_000];
        for (const size of sizes) {
          expect(await put(session, userKey(String(size)), 1, 0, bytes(size, size))).toBe("ok");
        }
        const again = await restart(session);
        for (const size of sizes) {
          expectBytes(await valueOf(again, userKey(String(size)), 1, size), bytes(size, size));
        }
      });

      it("refuses a batch with a value beyond the maximum, and goes on", async () => {
        const session = await start({ maxValueBytes: 1000 });
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
        const session = await start({ cacheBytes: 128 << 10 });
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
        expect(store.stats().cacheBytes).toBeLessThanOrEqual(256 << 10);
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

    describe("space", () => {
      it("refuses values before writing when full, still takes small records and marks, and keeps what it acknowledged", async () => {
        const session = await start();
        const { store, sink } = session;
        const acknowledged: Key[] = [];
        // Ever smaller values, so that at last hardly any room is left.
        for (const size of [150_000, 20_000, 2000]) {
          let status: StoreStatus = "ok";
          for (let i = 0; status === "ok" && i < 10_000; i++) {
            const key = userKey(`${String(size)}:${String(i)}`);
            status = await put(session, key, 1, 0, bytes(size, i));
            if (status === "ok") acknowledged.push(key);
          }
          expect(status).toBe("disk-full");
        }
        expect(acknowledged.length).toBeGreaterThan(200);
        expect(store.isFull()).toBe(true);
        const first = acknowledged[0] ?? userKey("none");
        expect(await put(session, first, 2, 1, new Uint8Array(0))).toBe("ok");
        store.mark(first, 2, header(99));
        expect(await sink.ended(store.submit())).toBe("ok");
        expect(shape(load(store, first))).toEqual(["1/0:1", "2/1:99"]);
        expect(store.stats().state).toBe("open");
        expect(sink.failures).toEqual([]);
        const again = await restart(session);
        expect(again.store.stats().keys).toBe(acknowledged.length);
        expect(again.store.isFull()).toBe(true);
        expectBytes(await valueOf(again, first, 1, 1), bytes(150_000, 0));
        for (const key of acknowledged) expect(load(again.store, key).slots).toBe(key === first ? 2 : 1);
      }, 30_000);
    });

    describe("restart", () => {
      it("finds everything that was durable, with the same positions, headers and lsns", async () => {
        const session = await start();
        for (let i = 1; i <= 30; i++) {
          for (const name of ["a", "b", "c"]) {
            session.store.put(userKey(name), i, i - 1, header(i), bytes(i * 100, i));
          }
          session.store.submit();
        }
        session.store.put(userKey("last"), 1, 0, header(9), bytes(10, 9));
        await session.sink.ended(session.store.submit());
        const lsns = load(session.store, userKey("b")).slot.map((slot) => slot.lsn);
        const again = await restart(session);
        expect(again.store.facts.recoveredKeys).toBe(4);
        for (const name of ["a", "b", "c"]) {
          expect(shape(load(again.store, userKey(name)))).toEqual(["29/28:29", "30/29:30"]);
        }
        expect(load(again.store, userKey("b")).slot.map((slot) => slot.lsn)).toEqual(lsns);
        expectBytes(await valueOf(again, userKey("c"), 29, 1), bytes(2900, 29));
        expectBytes(await valueOf(again, userKey("c"), 30, 2), bytes(3000, 30));
      });

      it("lets the watermark grow with every batch, and never fall over a restart", async () => {
        const session = await start();
        expect(session.store.facts.recoveredWatermark).toBe(session.store.watermark());
        let before = session.store.watermark();
        for (let i = 1; i <= 5; i++) {
          await put(session, userKey("a"), i, i - 1, bytes(10, i));
          expect(session.store.watermark()).toBeGreaterThan(before);
          before = session.store.watermark();
        }
        expect(load(session.store, userKey("a")).slot[1].lsn).toBeLessThanOrEqual(before);
        const again = await restart(session);
        expect(again.store.facts.recoveredWatermark).toBe(before);
        await put(again, userKey("a"), 6, 5, bytes(10, 6));
        expect(again.store.watermark()).toBeGreaterThan(before);
      });

      it("keeps its identity", async () => {
        const session = await start();
        const id = session.store.facts.storageId;
        expect(id).toMatch(/^[0-9a-f]{32}$/);
        expect(session.store.facts.fresh).toBe(true);
        const again = await restart(session);
        expect(again.store.facts.storageId).toBe(id);
        expect(again.store.facts.fresh).toBe(false);
        expect(again.store.facts.unknownLosses).toBe(0);
      });

      it("refuses a second store on the same disk while the first is open", async () => {
        const session = await start();
        await expect(start()).rejects.toMatchObject({ name: "StoreOpenError", code: "locked" });
        const again = await restart(session);
        expect(again.store.stats().state).toBe("open");
      });

      it("refuses the disk of another node", async () => {
        const session = await start({ nodeId: "n1" });
        await closed(session.store);
        await expect(start({ nodeId: "n2" })).rejects.toMatchObject({ name: "StoreOpenError", code: "foreign" });
        const again = await start({ nodeId: "n1" });
        expect(again.store.facts.fresh).toBe(false);
      });

      it("says corrupt of a broken record, never absent, and serves the others", async () => {
        const session = await start();
        await put(session, userKey("good"), 1, 0, bytes(3000, 1));
        await put(session, userKey("bad"), 1, 0, bytes(3000, 2));
        await put(session, userKey("after"), 1, 0, bytes(3000, 3));
        await put(session, userKey("after"), 2, 1, bytes(3000, 4));
        await closed(session.store);
        place.corrupt(userKey("bad"), 1, bytes(3000, 2));
        const again = await start();
        const loaded = load(again.store, userKey("bad"));
        again.store.read(1, userKey("bad"), 1);
        again.store.submit();
        const answer = await again.sink.answered(1);
        expect(loaded.corrupt || answer.status === "corrupt").toBe(true);
        expect(answer).toEqual({ status: "corrupt", value: null });
        expect(load(again.store, userKey("absent"))).toMatchObject({ slots: 0, corrupt: false });
        expectBytes(await valueOf(again, userKey("good"), 1, 2), bytes(3000, 1));
        expectBytes(await valueOf(again, userKey("after"), 2, 3), bytes(3000, 4));
      });
    });

    describe("close", () => {
      it("lets what was handed over end first, and may be called twice", async () => {
        const session = await start();
        for (let i = 1; i <= 20; i++) {
          session.store.put(userKey("a"), i, i - 1, header(i), bytes(100, i));
          session.store.submit();
        }
        await Promise.all([closed(session.store), closed(session.store)]);
        await closed(session.store);
        expect(session.sink.durable.at(-1)).toEqual({ token: 20, status: "ok" });
        expect(session.store.stats().state).toBe("closed");
        const again = await start();
        expect(shape(load(again.store, userKey("a")))).toEqual(["19/18:19", "20/19:20"]);
      });

      it("answers what comes later with closed", async () => {
        const session = await start();
        await closed(session.store);
        session.store.put(userKey("a"), 1, 0, header(1), bytes(10, 1));
        expect(await session.sink.ended(session.store.submit())).toBe("closed");
        session.store.read(5, userKey("a"), 1);
        session.store.submit();
        expect(await session.sink.answered(5)).toEqual({ status: "closed", value: null });
      });
    });
  });
}
