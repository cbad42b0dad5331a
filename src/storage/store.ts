/**
 * What the rooms above ask of storage: records of up to two positions a key, handed over in batches, durable in order.
 * Storage knows keys, positions, floors and opaque headers; never ballots or quorums. Implemented by the native engine
 * and by a store in memory, both held to one contract suite. No promises: results come through the sink.
 */
import type { Key } from "../base/key.js";

/** Fixed size of the caller's record header, kept in memory for every live record. */
export const HEADER_BYTES = 64;

/** Closed list of results. Anything but OK says that nothing of the batch may be relied on. */
export type StoreStatus =
  | "ok"
  /** Refused before anything was written (D12). */
  | "disk-full"
  /** The store is FAILED (D8): no write will ever succeed again in this process. */
  | "failed"
  /** A record's checksum, address, id or key does not fit (D16). */
  | "corrupt"
  | "too-large"
  | "closed";

/** One record of a key as it stands in memory. Objects are reused between loads: copy what you keep. */
export interface SlotView {
  position: number;
  floor: number;
  lsn: number;
  /** HEADER_BYTES long. Byte 0 is the class by which stats count keys. */
  readonly header: Uint8Array;
  /** Length of the value, wherever it is. */
  valueBytes: number;
  /** An own copy for the caller to keep; null when it is on disk only and must be read. */
  value: Uint8Array | null;
}

/** What is known of one key. Slots in rising position; only the first `slots` count. */
export interface LoadedKey {
  slots: 0 | 1 | 2;
  /** A record of the key is broken: its state is not known. Never the same as absent (D16). */
  corrupt: boolean;
  readonly slot: readonly [SlotView, SlotView];
}

export interface StoreSink {
  /** Everything of all batches up to and including `token` ended; in order. Status other than ok applies to this token alone. */
  onDurable(token: number, status: StoreStatus): void;
  /** Answer to `read`: the value of the record at that position, or why not. Ok and null: there is no such record (any more). */
  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void;
  /** The store became FAILED; said once. */
  onFailed(message: string): void;
  /**
   * A read, merge or scrub found the live record at `position` broken (D19): said once per record and life of the store.
   * From then on `load` says corrupt of the key.
   */
  onDamaged(key: Key, position: number): void;
}

/** D11. What merge may do; in force at once. */
export interface MergeOptions {
  /** Bound on what it reads of each volume. It yields below that to callers, and exceeds it only when space would run out. */
  readonly bytesPerSecond: number;
  /** Bound on its reads per second. */
  readonly operationsPerSecond: number;
  /** Only a store that would be full merges all the same. */
  readonly paused: boolean;
  /** Bit h: it may run in hour h of local time; outside of these hours it is as if paused. */
  readonly hours: number;
}

/** D19. */
export interface ScrubOptions {
  /** Pass after pass over everything that was written, at this rate; 0 = none. */
  readonly bytesPerSecond: number;
}

export const ALL_HOURS = 0xff_ffff;
export const DEFAULT_MERGE: MergeOptions = {
  bytesPerSecond: 256 * 2 ** 20,
  operationsPerSecond: 1000,
  paused: false,
  hours: ALL_HOURS,
};
export const NO_SCRUB: ScrubOptions = { bytesPerSecond: 0 };

/** D20. */
export const DIGEST_BUCKETS = 65_536;

export interface StoreFacts {
  /** 128 random bits as 32 hex digits, made when the store was formatted: the storage id of P29. */
  readonly storageId: string;
  /** True when this open formatted the store: its disk remembers nothing. */
  readonly fresh: boolean;
  /** Paths of the volumes, and what was found out about each. */
  readonly volumes: readonly {
    readonly path: string;
    readonly bytes: number;
    /** The unit in which space is reused; a quarter of it bounds a value, an eighth an atomic batch (D1, D6). */
    readonly extentBytes: number;
    readonly ioMode: "direct" | "buffered" | "memory";
    readonly blockBytes: number;
  }[];
  readonly durability: "flush" | "device" | "none";
  /** Highest durable LSN found by recovery. */
  readonly recoveredWatermark: number;
  readonly recoveredKeys: number;
  readonly recoveryMs: number;
  /**
   * Losses of acknowledged data of keys that cannot be told (P30: taint the whole node): places on the disk, and records that
   * are so old that something newer was lost.
   */
  readonly unknownLosses: number;
  /** The places among them. The same loss has the same place at every opening; damage beside it makes it longer. */
  readonly lostPlaces: readonly LostPlace[];
  /** Keys that recovery found broken. */
  readonly corruptKeys: number;
  /** Unfinished writes that recovery dropped (D17). */
  readonly droppedRuns: number;
}

/** Blocks of one life of an extent; in that life nothing is written there any more. */
export interface LostPlace {
  /** Number of the volume, from 0. */
  readonly volume: number;
  /** Block id of the extent's first block in that life; 0 when that is not known. */
  readonly life: number;
  /** Blocks of the volume, of 4 KiB: the first one, and the one behind the last. */
  readonly from: number;
  readonly to: number;
}

/** D12. soft: merge works harder. hard: ordinary writes wait for merge. full: there is nothing to merge; they are refused. */
export type SpaceLevel = "plenty" | "soft" | "hard" | "full";

/** D10 to D12. Live and dead bytes together are what written extents hold. */
export interface SpaceStats {
  readonly liveBytes: number;
  /** Merge's debt: dead bytes in sealed extents that are not free yet and may become so. */
  readonly deadBytes: number;
  /** What callers' records may take, without the reserved extents. */
  readonly usableBytes: number;
  readonly freeExtents: number;
  /** They hold broken places that held acknowledged data, or the only witness of one: neither merged nor written over. */
  readonly keptExtents: number;
  readonly totalExtents: number;
  /** Since the store was opened. */
  readonly extentsFreed: number;
  readonly level: SpaceLevel;
  /** Batches that wait for merge to make room: now, and ever. */
  readonly stalledBatches: number;
  readonly stalls: number;
  /** At the present rates; infinite = never. */
  readonly secondsToFull: number;
  readonly zeroFilledBytes: number;
}

export interface MergeStats {
  readonly bytesRead: number;
  readonly bytesCopied: number;
  readonly recordsCopied: number;
  /** Extents emptied. */
  readonly extents: number;
  /** Bytes per second, read and written, of late. */
  readonly bytesPerSecond: number;
}

export interface ScrubStats {
  readonly passes: number;
  readonly bytes: number;
  readonly records: number;
  /** Broken live records found by reads, merge or scrub. */
  readonly damagedRecords: number;
}

export interface CacheStats {
  readonly bytes: number;
  /** Loads and reads with the value in memory. */
  readonly hits: number;
  /** Reads that went to the disk. */
  readonly misses: number;
}

export interface StoreStats {
  readonly keys: number;
  /** Keys by byte 0 of the header of their newest record. */
  readonly keysByClass: readonly number[];
  /** Keys with a broken live record. */
  readonly corruptKeys: number;
  /** Memory of the index: table, keys, headers. */
  readonly indexBytes: number;
  readonly bytesUsed: number;
  readonly bytesTotal: number;
  readonly flushes: number;
  readonly runs: number;
  /** Runs without a record (D17). */
  readonly markRuns: number;
  readonly recordsWritten: number;
  readonly bytesWritten: number;
  /** Of these, summaries of sealed extents (D17). */
  readonly summaryBytes: number;
  readonly diskReads: number;
  /** Moving average of write + flush, in microseconds. */
  readonly flushUs: number;
  readonly state: "open" | "failed" | "closed";
  readonly space: SpaceStats;
  readonly merge: MergeStats;
  readonly scrub: ScrubStats;
  readonly cache: CacheStats;
}

/** `header` is good during the call. */
export type KeyVisitor = (key: Key, position: number, header: Uint8Array) => void;

/** Where an iteration stands; good for the store that made it, while that is open. */
export interface Cursor {
  readonly done: boolean;
  /** A number from 0 that stands for this place, to be given to `beginIteration` while the store is open. */
  readonly position: bigint;
}

export interface Store {
  readonly facts: StoreFacts;

  /** Fills results[0..keys.length) with what is in memory of each key: one native call for all of them. */
  load(keys: readonly Key[], results: LoadedKey[]): void;

  /**
   * The value of one key's newest record, when it is in memory: an own copy to keep. Null: there is no such key. The way for
   * callers that want nothing but the value: it costs a fraction of `load`.
   */
  newest(key: Key): Uint8Array | null | "on-disk" | "corrupt";

  /** Adds a record to the batch of this turn. Header and value are copied at once. */
  put(key: Key, position: number, floor: number, header: Uint8Array, value: Uint8Array): void;

  /**
   * Adds a mark to the batch: the record at `position` takes this header, in memory only, after everything of the key
   * that was put before; nothing is written for its sake (P13, D5). Ignored when there is no such record then. A floor
   * equal to the position says that the record is decided: merge may write it anew with this header and floor, and drop
   * what lies below. A floor below it says nothing.
   */
  mark(key: Key, position: number, floor: number, header: Uint8Array): void;

  /** Adds a deletion to the batch: once it is durable the key is absent, at every position (D13). */
  drop(key: Key): void;

  /**
   * Hands the batch over, and the reads: one native call, one run per volume. Returns the batch's token (rising from 1),
   * or 0 when it was empty.
   */
  submit(): number;

  /** Reads the value of one record from disk or cache; answered through the sink with `tag`. Handed over by the next submit(). */
  read(tag: number, key: Key, position: number): void;

  /** Highest durable LSN (D18). */
  watermark(): number;

  stats(): StoreStats;

  /** True when a batch would be refused for want of space (D12). */
  isFull(): boolean;

  /**
   * True when a batch with values may have to wait for merge, and may be refused in the end: always when full, and while merge
   * is behind. False: what is handed over now is taken at once.
   */
  isShort(): boolean;

  /**
   * A cursor for `iterate`: at the beginning, or at a position that a cursor had or that `placeOfBucket` tells; done at the
   * end, or at the position `until`.
   */
  beginIteration(from?: bigint, until?: bigint): Cursor;

  /** D20: where the keys of a bucket begin, for `beginIteration`; of DIGEST_BUCKETS, where the keys of the last one end. */
  placeOfBucket(bucket: number): bigint;

  /**
   * Calls `visit` for the newest record of some keys, about `limit` of them (at least 1), and moves the cursor on. Every
   * key that is there from the first call to the last is visited exactly once, one that comes or goes meanwhile at most
   * once. In the order of the keys' hashes. `visit` may use the store.
   */
  iterate(cursor: Cursor, limit: number, visit: KeyVisitor): void;

  /** All keys in one go, in bounded memory. For scans at start; slow. */
  forEachKey(visit: KeyVisitor): void;

  /**
   * D20: the digests of buckets `first` to `first + count - 1` of DIGEST_BUCKETS. Stores that hold the same keys, positions
   * and record hashes have the same digests, whatever their history. Native stores and stores in memory differ.
   */
  digests(first: number, count: number): BigUint64Array;

  setMerge(options: MergeOptions): void;
  setScrub(options: ScrubOptions): void;

  /**
   * Lets what was submitted end, then releases files and locks. `done` is called once, after the last answer. What is
   * submitted from now on is answered with closed; load, iterate and digests are not allowed any more. May be called
   * again.
   */
  close(done: () => void): void;
}
