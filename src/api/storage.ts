/**
 * A durable key-value store in your process, on its own volumes: what `plogdb/storage` exports. One store, many callers:
 * writes of one turn of the event loop become one batch, and everything that waits shares one flush of the disk.
 *
 *     const store = await openStore({ path: "data", size: "1GiB" });
 *     await store.put("greeting", "hello");          // durable when this line is done
 *     await store.get("greeting");                   // Uint8Array, or null
 *     await store.batch([{ type: "put", key: "a", value: "1" }, { type: "delete", key: "b" }]);
 *     await store.close();
 *
 * Who builds a protocol with a log on top finds two records a key, with positions, floors and headers, under `putRecord`,
 * `records` and `getRecord`. Operating errors are StoreErrors with a code; mistakes of the program are TypeErrors and
 * RangeErrors. Left out: transactions over several batches, reading in the order of keys.
 */
import type { Key } from "../base/key.js";
import { openNativeStore } from "../storage/open-native.js";
import {
  DEFAULT_MERGE,
  DIGEST_BUCKETS,
  type MergeOptions,
  NO_SCRUB,
  type ScrubOptions,
  type Store,
  type StoreFacts,
  type StoreSink,
  type StoreStats,
} from "../storage/store.js";
import { asStoreError, StoreError, statusError } from "./storage-errors.js";
import { type Entry, iterateEntries, iterateKeys } from "./storage-iterate.js";
import {
  maxPendingBytes,
  type MergeSettings,
  mergeOptions,
  nativeOptions,
  type ScrubSettings,
  scrubOptions,
  type StoreOptions,
} from "./storage-options.js";
import { loadKey, readRecord } from "./storage-reads.js";
import { StoreTurn } from "./storage-turn.js";
import {
  type BatchOperation,
  type Bytes,
  floorOf,
  headerOf,
  infoOf,
  keyBytes,
  keyOf,
  keyTooLong,
  NO_HEADER,
  NO_VALUE,
  positionOf,
  type RecordInfo,
  type RecordWrite,
  type StoredRecord,
  valueOf,
} from "./storage-values.js";

export { DIGEST_BUCKETS, type LostPlace, type StoreFacts, type StoreStats } from "../storage/store.js";
export type { CacheStats, MergeStats, ScrubStats, SpaceLevel, SpaceStats } from "../storage/store.js";
export { StoreError, type StoreErrorCode } from "./storage-errors.js";
export type { Entry } from "./storage-iterate.js";
export type { DamagedRecord, MergeSettings, ScrubSettings, Size, StoreOptions } from "./storage-options.js";
export {
  type BatchOperation,
  type Bytes,
  MAX_HEADER_BYTES,
  MAX_KEY_BYTES,
  type RecordInfo,
  type RecordWrite,
  type StoredRecord,
} from "./storage-values.js";
// The engine as a node uses it: batches in, callbacks out.
export {
  emptyLoadedKey,
  HEADER_BYTES,
  type LoadedKey,
  type NativeStoreOptions,
  openNativeStore,
  type SlotView,
  type Store,
  StoreOpenError,
  type StoreSink,
  type StoreStatus,
} from "../storage/index.js";

interface Bounds {
  readonly maxValueBytes: number;
  readonly maxBatchBytes: number;
}

interface Checked {
  readonly key: Key;
  readonly position: number;
  readonly floor: number;
  readonly header: Uint8Array;
  /** Null: a deletion. */
  readonly value: Uint8Array | null;
}

export class KvStore {
  /** What was found out at opening: paths, I/O mode, durability, what recovery found. */
  readonly facts: StoreFacts;
  /** Longest value, in bytes. */
  readonly maxValueBytes: number;
  /** Most that one `batch` may hold: per operation its key, its value and 128 bytes. An eighth of an extent. */
  readonly maxBatchBytes: number;
  readonly #store: Store;
  readonly #turn: StoreTurn;
  #merge: MergeOptions;
  #scrub: ScrubOptions;
  #closing: Promise<void> | null = null;

  /** Use openStore. */
  constructor(store: Store, turn: StoreTurn, bounds: Bounds, controls: { merge: MergeOptions; scrub: ScrubOptions }) {
    this.facts = store.facts;
    this.maxValueBytes = bounds.maxValueBytes;
    this.maxBatchBytes = bounds.maxBatchBytes;
    this.#store = store;
    this.#turn = turn;
    this.#merge = controls.merge;
    this.#scrub = controls.scrub;
  }

  // ---- Reading

  /**
   * The value from memory, without waiting: null when there is no such key, undefined when the value is on disk only and
   * `get` has to fetch it. Throws StoreError "corrupt" and "closed". What is not durable yet is not seen.
   */
  peek(key: Bytes): Uint8Array | null | undefined {
    const inner = keyOf(key);
    if (this.#turn.closed) throw statusError("closed");
    const found = inner.length > 0xffff ? null : this.#store.newest(inner);
    if (found === "on-disk") return undefined;
    if (found === "corrupt") throw statusError("corrupt");
    return found;
  }

  /** The value, from memory or from disk; null when there is no such key. Rejects with "corrupt", "closed", "busy". */
  async get(key: Bytes): Promise<Uint8Array | null> {
    const found = this.peek(key);
    if (found !== undefined) return found;
    return (await readRecord(this.#store, this.#turn, keyOf(key), "newest"))?.value ?? null;
  }

  /** Whether there is such a key; memory only. Throws as `peek`. */
  has(key: Bytes): boolean {
    return this.records(key).length > 0;
  }

  // ---- Writing

  /**
   * Resolves when the value is durable; until then reads show what was there before. Writes of one key take effect in
   * the order of the calls. Rejects with "disk-full", "failed", "too-large", "busy", "closed"; all writes of one turn
   * share one batch and, when that ends badly, one error.
   */
  put(key: Bytes, value: Bytes): Promise<void> {
    const inner = keyOf(key);
    const bytes = valueOf(value);
    const refused = this.#refusal(inner, bytes.length);
    if (refused !== null) return Promise.reject(refused);
    const done = this.#turn.admit(StoreTurn.costOf(inner, bytes.length), StoreTurn.classOf(bytes.length));
    this.#store.put(inner, 0, 0, NO_HEADER, bytes);
    return done;
  }

  /** Makes a key absent, whatever records it has. Works in a full store. Deleting what is not there is no error. */
  delete(key: Bytes): Promise<void> {
    const inner = keyOf(key);
    const refused = this.#refusal(inner, 0);
    if (refused !== null) return Promise.reject(refused);
    const done = this.#turn.admit(StoreTurn.costOf(inner, 0), StoreTurn.dropClass);
    this.#store.drop(inner);
    return done;
  }

  /**
   * Several writes as one. Atomic is: all operations on keys of one volume are in one run, so that after a crash all of
   * them are there or none; in a store with one volume that is the whole batch. Operations on one key take effect in
   * their order. Not promised: a reader may see a part of it for the moment in which it becomes durable; and volumes of
   * one store fail apart. Rejects as `put`, "too-large" beyond `maxBatchBytes`.
   */
  batch(operations: readonly BatchOperation[]): Promise<void> {
    const checked = operations.map(check);
    let bytes = 0;
    let spaceClass = StoreTurn.dropClass;
    for (const { key, value } of checked) {
      const valueBytes = value?.length ?? 0;
      const refused = this.#tooLarge(key, valueBytes);
      if (refused !== null) return Promise.reject(refused);
      bytes += StoreTurn.costOf(key, valueBytes);
      const own = value === null ? StoreTurn.dropClass : StoreTurn.classOf(valueBytes);
      if (own > spaceClass) spaceClass = own;
    }
    if (bytes > this.maxBatchBytes) {
      const text = `a batch has at most ${String(this.maxBatchBytes)} bytes, not ${String(bytes)}`;
      return Promise.reject(new StoreError("too-large", text));
    }
    const refused = this.#turn.refusal(bytes);
    if (refused !== null) return Promise.reject(refused);
    if (checked.length === 0) return Promise.resolve();
    const done = this.#turn.admit(bytes, spaceClass);
    for (const { key, position, floor, header, value } of checked) {
      if (value === null) this.#store.drop(key);
      else this.#store.put(key, position, floor, header, value);
    }
    return done;
  }

  /** Resolves when everything written before is durable; rejects with the first error among it. */
  flush(): Promise<void> {
    return this.#turn.flush();
  }

  /** Bytes of writes under way. At `maxPending` further writes are refused with "busy", and nothing of them is kept. */
  get pendingBytes(): number {
    return this.#turn.pendingBytes;
  }

  /** Resolves when at most half of `maxPending` is under way: for writers that do not wait for each write. */
  drain(): Promise<void> {
    return this.#turn.drain();
  }

  // ---- Two records a key, for protocols with a log

  /** As `put`, for one of a key's two records. `get` and `peek` show the one with the greater position. */
  putRecord(key: Bytes, record: RecordWrite): Promise<void> {
    const write = check({ type: "record", key, record });
    const value = write.value ?? NO_VALUE;
    const refused = this.#refusal(write.key, value.length);
    if (refused !== null) return Promise.reject(refused);
    const done = this.#turn.admit(StoreTurn.costOf(write.key, value.length), StoreTurn.classOf(value.length));
    this.#store.put(write.key, write.position, write.floor, write.header, value);
    return done;
  }

  /**
   * Gives a record another header, in memory only: nothing is written for it, and a restart may forget it. `decided` says
   * that nobody needs the record below any more: merge may then drop that, and make the header durable.
   */
  markRecord(key: Bytes, mark: { position: number; header: Uint8Array; decided: boolean }): Promise<void> {
    const inner = keyOf(key);
    const position = positionOf(mark.position);
    const refused = this.#refusal(inner, 0);
    if (refused !== null) return Promise.reject(refused);
    const header = headerOf(mark.header);
    const floor = mark.decided ? position : Math.max(0, position - 1);
    const done = this.#turn.admit(StoreTurn.costOf(inner, 0), StoreTurn.dropClass);
    this.#store.mark(inner, position, floor, header);
    return done;
  }

  /** What is in memory of a key's records, by rising position: none, one or two. Throws as `peek`. */
  records(key: Bytes): readonly RecordInfo[] {
    const inner = keyOf(key);
    if (inner.length > 0xffff) return [];
    const loaded = loadKey(this.#store, this.#turn, inner);
    return loaded.slot.slice(0, loaded.slots).map(infoOf);
  }

  /** The record at a position, or the newest one, with its value; null when there is none. Rejects as `get`. */
  async getRecord(key: Bytes, position: number | "newest" = "newest"): Promise<StoredRecord | null> {
    const inner = keyOf(key);
    const at = position === "newest" ? position : positionOf(position);
    return inner.length > 0xffff ? null : readRecord(this.#store, this.#turn, inner, at);
  }

  // ---- Going over everything

  /**
   * All keys, in the order of their hashes, which is none that means anything. A key that is there from the beginning to the
   * end comes exactly once, one that comes or goes meanwhile at most once. Memory is bounded, and other work goes on.
   */
  keys(): AsyncGenerator<Uint8Array> {
    return iterateKeys(this.#store, this.#turn);
  }

  /** As `keys`, with the newest record of each; a broken one comes with a null value. */
  entries(): AsyncGenerator<Entry> {
    return iterateEntries(this.#store, this.#turn);
  }

  [Symbol.asyncIterator](): AsyncGenerator<Entry> {
    return this.entries();
  }

  /**
   * Digests of buckets `first` to `first + count - 1` of DIGEST_BUCKETS; a key's bucket comes from its hash. Two stores
   * that hold the same keys, positions and records have the same digests, whatever their history.
   */
  digests(first = 0, count = DIGEST_BUCKETS - first): BigUint64Array {
    if (this.#turn.closed) throw statusError("closed");
    positionOf(first);
    positionOf(count);
    if (first + count > DIGEST_BUCKETS) throw new RangeError(`there are ${String(DIGEST_BUCKETS)} buckets`);
    return this.#store.digests(first, count);
  }

  // ---- Figures and controls

  stats(): StoreStats {
    return this.#store.stats();
  }

  /**
   * Every write with a number (`lsn`) up to this one is durable. Told to others and compared after a restart it shows
   * whether a store has forgotten something (an old copy was restored).
   */
  watermark(): number {
    return this.#store.watermark();
  }

  /** Changes what is named and leaves the rest; in force at once. Throws StoreError "bad-options". */
  setMerge(settings: MergeSettings): void {
    this.#merge = mergeOptions(settings, this.#merge);
    this.#store.setMerge(this.#merge);
  }

  /** Merge stops after the piece that it is at; a store that would be full merges all the same. */
  pauseMerge(): void {
    this.setMerge({ paused: true });
  }

  resumeMerge(): void {
    this.setMerge({ paused: false });
  }

  /** Rate 0 stops scrubbing. Findings come through `onDamaged` and stats().scrub. Throws StoreError "bad-options". */
  setScrub(settings: ScrubSettings): void {
    this.#scrub = scrubOptions(settings, this.#scrub);
    this.#store.setScrub(this.#scrub);
  }

  /** Lets everything that was said before end, and gives the volumes free. What comes later is refused with "closed". */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#turn.close();
      this.#store.close(resolve);
    });
    return this.#closing;
  }

  #refusal(key: Key, valueBytes: number): StoreError | null {
    return this.#tooLarge(key, valueBytes) ?? this.#turn.refusal(StoreTurn.costOf(key, valueBytes));
  }

  #tooLarge(key: Key, valueBytes: number): StoreError | null {
    if (valueBytes <= this.maxValueBytes) return keyTooLong(key);
    const limit = String(this.maxValueBytes);
    return new StoreError("too-large", `a value has at most ${limit} bytes, not ${String(valueBytes)}`);
  }
}

function check(operation: BatchOperation): Checked {
  const key = keyOf(operation.key);
  switch (operation.type) {
    case "put":
      return { key, position: 0, floor: 0, header: NO_HEADER, value: valueOf(operation.value) };
    case "delete":
      return { key, position: 0, floor: 0, header: NO_HEADER, value: null };
    case "record": {
      const { record } = operation;
      const position = positionOf(record.position);
      return { key, position, floor: floorOf(record), header: headerOf(record.header), value: valueOf(record.value) };
    }
    default:
      throw new TypeError("an operation of a batch is a put, a delete or a record");
  }
}

/** D1, D6: what depends on the size of extents. */
function boundsOf(facts: StoreFacts, maxValueBytes: number): Bounds {
  const extentBytes = Math.min(...facts.volumes.map((volume) => volume.extentBytes));
  return {
    maxValueBytes: Math.min(maxValueBytes, Math.floor(extentBytes / 4)),
    maxBatchBytes: Math.floor(extentBytes / 8),
  };
}

const DEFAULT_MAX_VALUE_BYTES = 16 << 20;

/**
 * Opens a store, or makes it when there is none. Rejects with a StoreError ("locked", "foreign", "corrupt-superblock",
 * "no-space", "bad-size", "bad-path", "bad-options", "no-access", "io", "no-addon"); nothing is left open then. An open
 * store does not keep the process alive; one that owes an answer does.
 */
export async function openStore(options: StoreOptions): Promise<KvStore> {
  const native = nativeOptions(options);
  const pendingBytes = maxPendingBytes(options);
  let turn: StoreTurn | null = null;
  const sink: StoreSink = {
    onDurable: (token, status) => turn?.onDurable(token, status),
    onRead: (tag, status, value) => turn?.onRead(tag, status, value),
    onFailed: (message) => {
      turn?.onFailed(message);
      options.onFailed?.(statusError("failed", message));
    },
    onDamaged: (key, position) => options.onDamaged?.({ key: keyBytes(key), position }),
  };
  const store = await new Promise<Store>((resolve, reject) => {
    openNativeStore(native, sink, (error, opened) => {
      if (opened !== null) resolve(opened);
      else reject(asStoreError(error));
    });
  });
  const bounds = boundsOf(store.facts, native.maxValueBytes ?? DEFAULT_MAX_VALUE_BYTES);
  turn = new StoreTurn(store, { atomicBytes: bounds.maxBatchBytes, maxPendingBytes: pendingBytes });
  return new KvStore(store, turn, bounds, { merge: native.merge ?? DEFAULT_MERGE, scrub: native.scrub ?? NO_SCRUB });
}
