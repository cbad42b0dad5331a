/**
 * One record of a key, wherever its value is: from memory, or from disk and then checked against memory again, so that a
 * value never comes with the header of another write.
 */
import type { Key } from "../base/key.js";
import { emptyLoadedKey } from "../storage/loaded-key.js";
import type { LoadedKey, SlotView, Store } from "../storage/store.js";
import { StoreError, statusError } from "./storage-errors.js";
import type { StoreTurn } from "./storage-turn.js";
import { infoOf, type StoredRecord } from "./storage-values.js";

/** A key that is written anew every time it was read keeps its reader this often at most. */
const MAX_ROUNDS = 100;

const results: LoadedKey[] = [emptyLoadedKey()];

/** What is in memory of a key; good until the next call. Throws "corrupt" and "closed". */
export function loadKey(store: Store, turn: StoreTurn, key: Key): LoadedKey {
  if (turn.closed) throw statusError("closed");
  store.load([key], results);
  const loaded = results[0] ?? emptyLoadedKey();
  if (loaded.corrupt) throw statusError("corrupt");
  return loaded;
}

/** The slot at a position, or the newest one. */
export function slotOf(loaded: LoadedKey, position: number | "newest"): SlotView | null {
  for (let i = loaded.slots - 1; i >= 0; i--) {
    const slot = i === 1 ? loaded.slot[1] : loaded.slot[0];
    if (position === "newest" || slot.position === position) return slot;
  }
  return null;
}

/** Null: there is no such record. */
export async function readRecord(
  store: Store,
  turn: StoreTurn,
  key: Key,
  position: number | "newest",
): Promise<StoredRecord | null> {
  let lsn = 0;
  let read: Uint8Array | null = null;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const slot = slotOf(loadKey(store, turn, key), position);
    if (slot === null) return null;
    const value = slot.value ?? (slot.lsn === lsn ? read : null);
    if (value !== null) return { ...infoOf(slot), value };
    ({ lsn } = slot);
    read = await turn.read(key, slot.position);
  }
  throw new StoreError("busy", "the key is written faster than it can be read");
}
