/**
 * Iteration for users of the storage API: async, in steps of bounded size, with a turn of the event loop between steps so
 * that others come to their right. What a step must read from disk is read in one go.
 */
import type { Key } from "../base/key.js";
import type { Store } from "../storage/store.js";
import { StoreError, statusError } from "./storage-errors.js";
import { loadKey, readRecord, slotOf } from "./storage-reads.js";
import type { StoreTurn } from "./storage-turn.js";
import { keyBytes, type RecordInfo } from "./storage-values.js";

export interface Entry {
  readonly key: Uint8Array;
  /** Of the key's newest record. Null: the record on disk is broken. (A key that is not there has no entry.) */
  readonly value: Uint8Array | null;
  readonly record: RecordInfo | null;
}

const KEYS_PER_STEP = 512;
/** Values that are in memory at once, unless a single one is longer. */
const BYTES_PER_GROUP = 4 << 20;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

async function* steps(store: Store, turn: StoreTurn): AsyncGenerator<readonly Key[]> {
  const cursor = store.beginIteration();
  while (!cursor.done) {
    if (turn.closed) throw statusError("closed");
    const keys: Key[] = [];
    store.iterate(cursor, KEYS_PER_STEP, (key) => keys.push(key));
    yield keys;
    await nextTurn();
  }
}

export async function* iterateKeys(store: Store, turn: StoreTurn): AsyncGenerator<Uint8Array> {
  for await (const keys of steps(store, turn)) {
    for (const key of keys) yield keyBytes(key);
  }
}

export async function* iterateEntries(store: Store, turn: StoreTurn): AsyncGenerator<Entry> {
  for await (const keys of steps(store, turn)) {
    for (const group of groups(keys, store, turn)) {
      for (const entry of await Promise.all(group)) if (entry !== null) yield entry;
    }
  }
}

/** Entries on their way, as many at a time as the bound on their values allows. */
function* groups(keys: readonly Key[], store: Store, turn: StoreTurn): Generator<readonly Promise<Entry | null>[]> {
  let group: Promise<Entry | null>[] = [];
  let bytes = 0;
  for (const key of keys) {
    const size = sizeOf(key, store, turn);
    if (group.length > 0 && bytes + size > BYTES_PER_GROUP) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(entryOf(key, store, turn));
    bytes += size;
  }
  yield group;
}

function sizeOf(key: Key, store: Store, turn: StoreTurn): number {
  try {
    return slotOf(loadKey(store, turn, key), "newest")?.valueBytes ?? 0;
  } catch (error) {
    if (error instanceof StoreError && error.code === "corrupt") return 0;
    throw error;
  }
}

/** Null: deleted since it was visited. */
async function entryOf(key: Key, store: Store, turn: StoreTurn): Promise<Entry | null> {
  try {
    const found = await readRecord(store, turn, key, "newest");
    if (found === null) return null;
    const { value, ...record } = found;
    return { key: keyBytes(key), value, record };
  } catch (error) {
    if (error instanceof StoreError && error.code === "corrupt")
      return { key: keyBytes(key), value: null, record: null };
    throw error;
  }
}
