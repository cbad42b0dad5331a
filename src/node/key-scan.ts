/**
 * Going over the keys that this replica holds, for SCAN and KEYS: live ones of the user space, a bounded number a step. It
 * sees what the newest record says and nothing else: a deadline that has passed is for the reader of the key to find.
 */
import { isUserKey, type Key } from "../base/key.js";
import { CLASS_LIVE } from "../codec/record.js";
import type { Store } from "../storage/store.js";

export function countLiveKeys(store: Store): number {
  return store.stats().keysByClass[CLASS_LIVE] ?? 0;
}

/**
 * Visits the live keys among the next `limit` or so from `cursor` on (0 = the beginning). Returns where to go on, 0 when
 * there is nothing further. `nameOf`: what a key of the store is called by those who use it.
 */
export function scanLiveKeys(
  store: Store,
  cursor: bigint,
  limit: number,
  visit: (key: Key) => void,
  nameOf = (stored: Key): Key => stored,
): bigint {
  const place = store.beginIteration(cursor);
  store.iterate(place, limit, (stored, _position, header) => {
    const key = nameOf(stored);
    if (isUserKey(key) && header[0] === CLASS_LIVE) visit(key);
  });
  return place.done ? 0n : place.position;
}
