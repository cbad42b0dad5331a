/**
 * What survives a crash of a store in memory: the records that became durable, the identity, the lock. It plays the
 * disk below MemoryStore, so that a crash in a test is: drop the store, open another one on the same MemoryDisk. The
 * rule of D5 (which records of a key are live) stands here.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import type { LostPlace } from "./store.js";

export interface MemoryRecord {
  readonly position: number;
  /** Floor and header as they were made durable. */
  floor: number;
  header: Uint8Array;
  readonly lsn: number;
  readonly value: Uint8Array;
  /** As it stands in memory: `header`, or what a mark put in its place. */
  current: Uint8Array;
  /** The value is in the cache of the store that is open. */
  cached: boolean;
  corrupt: boolean;
  /** What the latest mark says is the key's floor; `floor` without one. */
  markedFloor: number;
}

/** What a record costs besides its key and value. */
const RECORD_OVERHEAD_BYTES = 128;

export function recordBytes(key: Key, valueBytes: number): number {
  return RECORD_OVERHEAD_BYTES + key.length + valueBytes;
}

export class MemoryDisk {
  readonly storageId: string;
  readonly capacityBytes: number;
  readonly keys = new Map<Key, MemoryRecord[]>();
  /** Node that formatted it; empty until the first open. */
  nodeId = "";
  locked = false;
  usedBytes = 0;
  lastLsn = 0;
  /** Where records of keys were lost that cannot be told (P30); set by tests. */
  lostPlaces: readonly LostPlace[] = [];

  constructor(storageId: string, capacityBytes = 1 << 30) {
    assert(/^[0-9a-f]{32}$/.test(storageId), "a storage id is 32 hex digits");
    this.storageId = storageId;
    this.capacityBytes = capacityBytes;
  }

  get fresh(): boolean {
    return this.nodeId === "";
  }

  /**
   * Makes a record durable, and dead what it replaces (D5): that is added to `dead`. Null when it is below the floor of
   * the key: then nothing needs it.
   */
  write(
    key: Key,
    position: number,
    floor: number,
    header: Uint8Array,
    value: Uint8Array,
    dead: MemoryRecord[],
  ): MemoryRecord | null {
    const before = this.keys.get(key) ?? [];
    if (position < floorOf(before)) return null;
    this.lastLsn++;
    const record: MemoryRecord = {
      position,
      floor,
      lsn: this.lastLsn,
      header,
      value,
      current: header,
      cached: false,
      corrupt: false,
      markedFloor: floor,
    };
    const live: MemoryRecord[] = [];
    for (const other of before) {
      if (other.position >= floor && other.position !== position) live.push(other);
      else this.#kill(key, other, dead);
    }
    live.push(record);
    live.sort((a, b) => a.position - b.position);
    assert(live.length <= 2, "D5: at most two live records a key");
    this.usedBytes += recordBytes(key, value.length);
    this.keys.set(key, live);
    return record;
  }

  /** A deletion: every record of the key is dead. */
  drop(key: Key, dead: MemoryRecord[]): void {
    for (const record of this.keys.get(key) ?? []) this.#kill(key, record, dead);
    this.keys.delete(key);
    this.lastLsn++;
  }

  /**
   * What merge may do to a key at any time (D5): when its newest record is marked as decided, the mark becomes durable, and
   * what lies below is dead.
   */
  merge(key: Key, dead: MemoryRecord[]): void {
    const records = this.keys.get(key) ?? [];
    const newest = records[records.length - 1];
    if (newest === undefined || newest.corrupt || newest.markedFloor === newest.floor) return;
    for (const below of records.slice(0, -1)) this.#kill(key, below, dead);
    this.keys.set(key, [newest]);
    newest.header = newest.current;
    newest.floor = newest.markedFloor;
  }

  #kill(key: Key, record: MemoryRecord, dead: MemoryRecord[]): void {
    dead.push(record);
    this.usedBytes -= recordBytes(key, record.value.length);
  }

  /** Breaks the record at `position`, as bit rot would. True when there was one. */
  corrupt(key: Key, position: number): boolean {
    const record = this.find(key, position);
    if (record === null) return false;
    record.corrupt = true;
    return true;
  }

  find(key: Key, position: number): MemoryRecord | null {
    const records = this.keys.get(key);
    if (records === undefined) return null;
    for (const record of records) if (record.position === position) return record;
    return null;
  }

  /** What a restart forgets: marks and the cache. */
  forgetMemory(): void {
    for (const records of this.keys.values()) {
      for (const record of records) {
        record.current = record.header;
        record.markedFloor = record.floor;
        record.cached = false;
      }
    }
  }
}

/** The floor of the newest record. */
function floorOf(records: readonly MemoryRecord[]): number {
  let newest: MemoryRecord | null = null;
  for (const record of records) {
    if (newest === null || record.lsn > newest.lsn) newest = record;
  }
  return newest === null ? 0 : newest.floor;
}
