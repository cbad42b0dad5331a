/**
 * A Store in memory with the same meaning as the native one, for tests and the simulator. It has no timer and no
 * thread: everything that takes time on a disk is one call of the injected scheduler, so whoever drives the scheduler
 * decides when a flush completes. Batches complete in the order of their tokens, whichever scheduled call comes first.
 * It must not know what is in a header or a value.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import { resultAt } from "./loaded-key.js";
import type { Batch, Change, Mark, Read } from "./memory-batch.js";
import { type MemoryDisk, type MemoryRecord, recordBytes } from "./memory-disk.js";
import { MemoryCursor, memoryDigests } from "./memory-scan.js";
import { StoreOpenError } from "./open-error.js";
import { checkKey, checkMark, checkPut } from "./request-writer.js";
import {
  type Cursor,
  DEFAULT_MERGE,
  DIGEST_BUCKETS,
  type KeyVisitor,
  type LoadedKey,
  type MergeOptions,
  type Store,
  type StoreFacts,
  type StoreSink,
  type StoreStats,
  type StoreStatus,
} from "./store.js";

/** Calls `run` once, later, never during the call itself. */
export type Schedule = (run: () => void) => void;

/** Faults to inject; each is asked at the moment it would strike. */
export interface MemoryFaults {
  /** "failed" breaks the store for good (D8), "disk-full" refuses this batch (D12). */
  readonly batch?: (token: number) => "ok" | "failed" | "disk-full";
  readonly read?: (key: Key, position: number) => "ok" | "corrupt";
}

export interface MemoryStoreOptions {
  readonly disk: MemoryDisk;
  readonly nodeId: string;
  readonly schedule: Schedule;
  /** Values beyond this budget must be read; default: all fit. */
  readonly cacheBytes?: number;
  readonly maxValueBytes?: number;
  readonly faults?: MemoryFaults;
  readonly merge?: MergeOptions;
}

const DEFAULT_MAX_VALUE_BYTES = 16 << 20;
/** The last part of the capacity is kept for batches whose values are all small: deletions, promises, marks (D12). */
const RESERVED_SHARE = 1 / 16;
const SMALL_VALUE_BYTES = 1024;
/** With less room than this the disk counts as full. */
const ORDINARY_BYTES = 4096;
const CLASSES = 256;
/** A deletion takes this much while it is under way. */
const DROP_BYTES = 128;

/** Opens a store on what `options.disk` remembers. Throws StoreOpenError when the disk is in use or another node's. */
export function openMemoryStore(options: MemoryStoreOptions, sink: StoreSink): MemoryStore {
  const { disk, nodeId } = options;
  if (nodeId === "") throw new StoreOpenError("bad-options", "memory", "a store needs the id of its node");
  if (disk.locked) throw new StoreOpenError("locked", "memory", "the disk in memory is in use: close its store first");
  if (!disk.fresh && disk.nodeId !== nodeId) {
    const text = `the disk in memory belongs to node ${disk.nodeId}, not to ${nodeId}`;
    throw new StoreOpenError("foreign", "memory", text);
  }
  return new MemoryStore(options, sink);
}

/** Behind every key. */
const END = 2n ** 64n - 1n;

export class MemoryStore implements Store {
  readonly facts: StoreFacts;
  readonly #disk: MemoryDisk;
  readonly #schedule: Schedule;
  readonly #sink: StoreSink;
  readonly #cacheBudget: number;
  readonly #maxValueBytes: number;
  readonly #faults: MemoryFaults;
  readonly #pending: Batch[] = [];
  readonly #closing: (() => void)[] = [];
  /** Broken records that were told (D19). */
  readonly #told = new Set<MemoryRecord>();
  #merge: MergeOptions;
  #cacheHits = 0;
  #mergedRecords = 0;
  #scrubPasses = 0;
  #scrubRecords = 0;
  /** Cached records, oldest first. */
  readonly #cache = new Set<MemoryRecord>();
  #cacheBytes = 0;
  #gathered: Change[] = [];
  readonly #gatheredReads: Read[] = [];
  #token = 0;
  #reads = 0;
  #state: StoreStats["state"] = "open";
  #flushes = 0;
  #recordsWritten = 0;
  #bytesWritten = 0;
  #diskReads = 0;

  /** Use openMemoryStore: it checks lock and identity first. */
  constructor(options: MemoryStoreOptions, sink: StoreSink) {
    const disk = options.disk;
    assert(!disk.locked, "D9: one store a disk");
    this.#disk = disk;
    this.#sink = sink;
    this.#schedule = options.schedule;
    this.#cacheBudget = options.cacheBytes ?? Number.POSITIVE_INFINITY;
    this.#maxValueBytes = options.maxValueBytes ?? DEFAULT_MAX_VALUE_BYTES;
    this.#faults = options.faults ?? {};
    this.#merge = options.merge ?? DEFAULT_MERGE;
    const fresh = disk.fresh;
    disk.locked = true;
    disk.nodeId = options.nodeId;
    disk.forgetMemory();
    this.facts = {
      storageId: disk.storageId,
      fresh,
      volumes: [
        {
          path: "memory",
          bytes: disk.capacityBytes,
          extentBytes: disk.capacityBytes,
          ioMode: "memory",
          blockBytes: 4096,
        },
      ],
      durability: "none",
      recoveredWatermark: disk.lastLsn,
      recoveredKeys: disk.keys.size,
      recoveryMs: 0,
      unknownLosses: disk.lostPlaces.length,
      lostPlaces: disk.lostPlaces,
      corruptKeys: 0,
      droppedRuns: 0,
    };
  }

  load(keys: readonly Key[], results: LoadedKey[]): void {
    assert(this.#state !== "closed", "load after close");
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      assert(key !== undefined, "load: a hole in the list of keys");
      this.#loadOne(key, resultAt(results, i));
    }
  }

  #loadOne(key: Key, into: LoadedKey): void {
    const records = this.#disk.keys.get(key) ?? [];
    into.slots = 0;
    into.corrupt = false;
    for (const record of records) {
      if (record.corrupt) {
        into.corrupt = true;
        continue;
      }
      const slot = into.slots === 0 ? into.slot[0] : into.slot[1];
      slot.position = record.position;
      slot.floor = record.floor;
      slot.lsn = record.lsn;
      slot.header.set(record.current);
      slot.valueBytes = record.value.length;
      slot.value = record.cached ? record.value.slice() : null;
      into.slots = into.slots === 0 ? 1 : 2;
    }
  }

  newest(key: Key): Uint8Array | null | "on-disk" | "corrupt" {
    assert(this.#state !== "closed", "newest after close");
    const records = this.#disk.keys.get(key) ?? [];
    if (records.some((record) => record.corrupt)) return "corrupt";
    const newest = records[records.length - 1];
    if (newest === undefined) return null;
    if (!newest.cached) return "on-disk";
    this.#cacheHits++;
    return newest.value.slice();
  }

  put(key: Key, position: number, floor: number, header: Uint8Array, value: Uint8Array): void {
    checkPut(key, position, floor, header);
    this.#gathered.push({ kind: "put", key, position, floor, header: header.slice(), value: value.slice() });
  }

  mark(key: Key, position: number, floor: number, header: Uint8Array): void {
    checkMark(key, position, floor, header);
    this.#gathered.push({ kind: "mark", key, position, floor, header: header.slice() });
  }

  drop(key: Key): void {
    checkKey(key);
    this.#gathered.push({ kind: "drop", key });
  }

  submit(): number {
    this.#handOverReads();
    const changes = this.#gathered;
    if (changes.length === 0) return 0;
    this.#gathered = [];
    this.#token++;
    this.#pending.push({ token: this.#token, changes, status: this.#admit(changes) });
    this.#schedule(this.#completeOldest);
    return this.#token;
  }

  #handOverReads(): void {
    for (const { tag, key, position } of this.#gatheredReads.splice(0)) {
      this.#reads++;
      const late = this.#closing.length > 0 || this.#state === "closed";
      this.#schedule(() => {
        this.#answerRead(tag, key, position, late);
      });
    }
  }

  /** D12: refused before anything is written. */
  #admit(changes: readonly Change[]): StoreStatus {
    if (this.#closing.length > 0 || this.#state === "closed") return "closed";
    if (this.#state === "failed") return "failed";
    let bytes = 0;
    let small = true;
    for (const change of changes) {
      if (change.kind !== "put") continue; // a deletion makes room
      if (change.value.length > this.#maxValueBytes) return "too-large";
      if (change.value.length > SMALL_VALUE_BYTES) small = false;
      bytes += recordBytes(change.key, change.value.length);
    }
    if (bytes === 0) return "ok";
    const limit = small ? this.#disk.capacityBytes : this.#normalCapacity();
    return this.#disk.usedBytes + this.#pendingBytes() + bytes > limit ? "disk-full" : "ok";
  }

  #normalCapacity(): number {
    return Math.floor(this.#disk.capacityBytes * (1 - RESERVED_SHARE));
  }

  #pendingBytes(): number {
    let bytes = 0;
    for (const batch of this.#pending) {
      if (batch.status !== "ok") continue;
      for (const change of batch.changes) {
        if (change.kind === "put") bytes += recordBytes(change.key, change.value.length);
      }
    }
    return bytes;
  }

  readonly #completeOldest = (): void => {
    const batch = this.#pending.shift();
    if (batch === undefined) return; // a crash dropped it
    let status = batch.status;
    if (status === "ok" && this.#state === "failed") status = "failed";
    if (status === "ok") status = this.#faults.batch?.(batch.token) ?? "ok";
    if (status === "ok") this.#apply(batch.changes);
    if (status === "failed" && this.#state === "open") {
      this.#state = "failed";
      this.#sink.onFailed("a write failed by injection");
    }
    this.#sink.onDurable(batch.token, status);
    this.#finishClose();
  };

  #apply(changes: readonly Change[]): void {
    const before = this.#recordsWritten;
    const dead: MemoryRecord[] = [];
    for (const change of changes) {
      if (change.kind === "mark") this.#applyMark(change);
      else if (change.kind === "drop") {
        this.#disk.drop(change.key, dead);
        this.#recordsWritten++;
        this.#bytesWritten += DROP_BYTES + change.key.length;
      } else {
        const { key, position, floor, header, value } = change;
        const record = this.#disk.write(key, position, floor, header, value, dead);
        if (record !== null) this.#remember(record);
        this.#recordsWritten++;
        this.#bytesWritten += recordBytes(key, value.length);
      }
    }
    for (const record of dead) this.#forget(record);
    if (this.#recordsWritten > before) this.#flushes++;
  }

  #applyMark(mark: Mark): void {
    const record = this.#disk.find(mark.key, mark.position);
    if (record === null || record.corrupt) return;
    record.current = mark.header;
    if (mark.floor === mark.position) record.markedFloor = mark.floor;
  }

  #remember(record: MemoryRecord): void {
    record.cached = true;
    this.#cache.add(record);
    this.#cacheBytes += record.value.length;
    for (const oldest of this.#cache) {
      if (this.#cacheBytes <= this.#cacheBudget) break;
      this.#forget(oldest);
    }
  }

  #forget(record: MemoryRecord): void {
    if (this.#cache.delete(record)) this.#cacheBytes -= record.value.length;
    record.cached = false;
  }

  read(tag: number, key: Key, position: number): void {
    checkKey(key);
    this.#gatheredReads.push({ tag, key, position });
  }

  #answerRead(tag: number, key: Key, position: number, late: boolean): void {
    if (this.#reads === 0) return; // a crash dropped it
    this.#reads--;
    const record = this.#disk.find(key, position);
    if (late) this.#sink.onRead(tag, "closed", null);
    else if (record === null) this.#sink.onRead(tag, "ok", null);
    else {
      this.#diskReads++;
      const status = record.corrupt ? "corrupt" : (this.#faults.read?.(key, position) ?? "ok");
      if (status === "corrupt") this.#tellDamaged(key, record);
      this.#sink.onRead(tag, status, status === "ok" ? record.value.slice() : null);
    }
    this.#finishClose();
  }

  #tellDamaged(key: Key, record: MemoryRecord): void {
    if (this.#told.has(record)) return;
    this.#told.add(record);
    this.#sink.onDamaged(key, record.position);
  }

  /** Merges all keys, as the native engine may at any time; nothing while merge is paused. For whoever drives the store. */
  mergeAll(): void {
    if (this.#state !== "open" || this.#merge.paused) return;
    const dead: MemoryRecord[] = [];
    for (const key of this.#disk.keys.keys()) this.#disk.merge(key, dead);
    for (const record of dead) this.#forget(record);
    this.#mergedRecords += dead.length;
  }

  /** One pass of scrub over everything (D19). For whoever drives the store. */
  scrubAll(): void {
    if (this.#state === "closed") return;
    for (const [key, records] of this.#disk.keys) {
      for (const record of records) {
        this.#scrubRecords++;
        if (record.corrupt) this.#tellDamaged(key, record);
      }
    }
    this.#scrubPasses++;
  }

  setMerge(options: MergeOptions): void {
    this.#merge = options;
  }

  /** There is no disk to go over in the background: see scrubAll. */
  setScrub(): void {
    // nothing runs by itself here
  }

  watermark(): number {
    return this.#disk.lastLsn;
  }

  stats(): StoreStats {
    const keysByClass = new Array<number>(CLASSES).fill(0);
    let corruptKeys = 0;
    for (const records of this.#disk.keys.values()) {
      if (records.some((record) => record.corrupt)) corruptKeys++;
      const newest = records[records.length - 1];
      const of = newest?.current[0] ?? 0;
      keysByClass[of] = (keysByClass[of] ?? 0) + 1;
    }
    const { usedBytes, capacityBytes } = this.#disk;
    return {
      keys: this.#disk.keys.size,
      keysByClass,
      corruptKeys,
      indexBytes: 0,
      bytesUsed: usedBytes,
      bytesTotal: capacityBytes,
      flushes: this.#flushes,
      runs: this.#flushes,
      markRuns: 0,
      recordsWritten: this.#recordsWritten,
      bytesWritten: this.#bytesWritten,
      summaryBytes: 0,
      diskReads: this.#diskReads,
      flushUs: 0,
      state: this.#state,
      space: {
        liveBytes: usedBytes,
        deadBytes: 0,
        usableBytes: this.#normalCapacity(),
        freeExtents: 0,
        keptExtents: 0,
        totalExtents: 1,
        extentsFreed: 0,
        level: this.isFull() ? "full" : "plenty",
        stalledBatches: 0,
        stalls: 0,
        secondsToFull: Number.POSITIVE_INFINITY,
        zeroFilledBytes: 0,
      },
      merge: { bytesRead: 0, bytesCopied: 0, recordsCopied: this.#mergedRecords, extents: 0, bytesPerSecond: 0 },
      scrub: { passes: this.#scrubPasses, bytes: 0, records: this.#scrubRecords, damagedRecords: this.#told.size },
      cache: { bytes: this.#cacheBytes, hits: this.#cacheHits, misses: this.#diskReads },
    };
  }

  isShort(): boolean {
    return this.isFull();
  }

  isFull(): boolean {
    return this.#disk.usedBytes + ORDINARY_BYTES > this.#normalCapacity();
  }

  beginIteration(from = 0n, until = END): Cursor {
    return new MemoryCursor([...this.#disk.keys.keys()], from, until);
  }

  placeOfBucket(bucket: number): bigint {
    return BigInt(bucket) << 16n;
  }

  iterate(cursor: Cursor, limit: number, visit: KeyVisitor): void {
    assert(this.#state !== "closed", "iterate after close");
    assert(cursor instanceof MemoryCursor, "a cursor of another store");
    assert(Number.isSafeInteger(limit) && limit >= 1, "at least one key a call");
    for (const key of cursor.take(limit)) {
      const records = this.#disk.keys.get(key);
      const newest = records?.[records.length - 1];
      if (newest !== undefined) visit(key, newest.position, newest.current.slice());
    }
  }

  forEachKey(visit: KeyVisitor): void {
    this.iterate(this.beginIteration(), Number.MAX_SAFE_INTEGER, visit);
  }

  digests(first: number, count: number): BigUint64Array {
    assert(first >= 0 && count >= 0 && first + count <= DIGEST_BUCKETS, "D20: there are 65,536 buckets");
    return memoryDigests(this.#disk).slice(first, first + count);
  }

  close(done: () => void): void {
    this.#closing.push(done);
    this.#gathered = [];
    this.#handOverReads();
    this.#schedule(() => {
      this.#finishClose();
    });
  }

  #finishClose(): void {
    if (this.#closing.length === 0 || this.#pending.length > 0 || this.#reads > 0) return;
    if (this.#state !== "closed") this.#disk.locked = false;
    this.#state = "closed";
    for (const done of this.#closing.splice(0)) done();
  }

  /**
   * The process dies: nothing is called any more, and what was not durable is gone, but for the first `unheard`
   * batches under way, which reached the disk without anybody hearing of it. The disk can be opened again.
   */
  crash(unheard = 0): void {
    assert(this.#state !== "closed", "crash after close");
    for (const batch of this.#pending.splice(0).slice(0, unheard)) {
      if (batch.status === "ok" && this.#state === "open") this.#apply(batch.changes);
    }
    this.#gathered = [];
    this.#gatheredReads.length = 0;
    this.#reads = 0;
    this.#closing.length = 0;
    this.#state = "closed";
    this.#disk.locked = false;
  }
}
