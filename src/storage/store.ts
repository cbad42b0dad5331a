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
}

export interface StoreFacts {
  /** 128 random bits as 32 hex digits, made when the store was formatted: the storage id of P29. */
  readonly storageId: string;
  /** True when this open formatted the store: its disk remembers nothing. */
  readonly fresh: boolean;
  /** Paths of the volumes, and what was found out about each. */
  readonly volumes: readonly {
    readonly path: string;
    readonly bytes: number;
    readonly ioMode: "direct" | "buffered" | "memory";
    readonly blockBytes: number;
  }[];
  readonly durability: "flush" | "device" | "none";
  /** Highest durable LSN found by recovery. */
  readonly recoveredWatermark: number;
  readonly recoveredKeys: number;
  readonly recoveryMs: number;
  /** Broken runs whose keys cannot be told (P30: taints the whole node). */
  readonly unknownLosses: number;
}

export interface StoreStats {
  readonly keys: number;
  /** Keys by byte 0 of the header of their newest record. */
  readonly keysByClass: readonly number[];
  readonly bytesUsed: number;
  readonly bytesTotal: number;
  readonly flushes: number;
  readonly runs: number;
  readonly recordsWritten: number;
  readonly bytesWritten: number;
  readonly diskReads: number;
  readonly cacheBytes: number;
  /** Moving average of write + flush, in microseconds. */
  readonly flushUs: number;
  readonly state: "open" | "failed" | "closed";
}

export interface Store {
  readonly facts: StoreFacts;

  /** Fills results[0..keys.length) with what is in memory of each key: one native call for all of them. */
  load(keys: readonly Key[], results: LoadedKey[]): void;

  /** Adds a record to the batch of this turn. Header and value are copied at once. */
  put(key: Key, position: number, floor: number, header: Uint8Array, value: Uint8Array): void;

  /**
   * Adds a mark to the batch: the record at `position` takes this header, in memory only, after everything of the key
   * that was put before; nothing is written for its sake (P13, D5). Ignored when there is no such record then.
   */
  mark(key: Key, position: number, header: Uint8Array): void;

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

  /** Calls `visit` for the newest record of every key; `header` is good during the call. For scans at start; slow. */
  forEachKey(visit: (key: Key, position: number, header: Uint8Array) => void): void;

  /**
   * Lets what was submitted end, then releases files and locks. `done` is called once, after the last answer. What is
   * submitted from now on is answered with closed; load and forEachKey are not allowed any more. May be called again.
   */
  close(done: () => void): void;
}
