/**
 * How a store in memory is gone over: a cursor over the keys that were there when it began, and digests made anew at every
 * question (D20). Both mean what the native ones mean; the order of keys and the numbers are this store's own.
 */
import { hashBytes, hashKey } from "../base/hash.js";
import type { Key } from "../base/key.js";
import type { MemoryDisk } from "./memory-disk.js";
import { keyInSpace, SPACE_BITS, spaceOf } from "./space.js";
import { type Cursor, DIGEST_BUCKETS } from "./store.js";

export class MemoryCursor implements Cursor {
  readonly #keys: readonly (readonly [hash: bigint, key: Key])[];
  #next = 0;

  constructor(keys: readonly Key[], from: bigint, until: bigint) {
    this.#keys = keys
      .map((key) => [BigInt(placeOf(key)), key] as const)
      .filter(([hash]) => hash >= from && hash < until)
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  get done(): boolean {
    return this.#next >= this.#keys.length;
  }

  get position(): bigint {
    return this.#keys[this.#next]?.[0] ?? this.#past;
  }

  /** Behind the last key that was there. */
  get #past(): bigint {
    return (this.#keys.at(-1)?.[0] ?? 0n) + 1n;
  }

  /** Keys of one hash are taken together: no position lies between them. */
  take(limit: number): readonly Key[] {
    const from = this.#next;
    let end = Math.min(this.#keys.length, from + limit);
    while (end > from && end < this.#keys.length && this.#keys[end]?.[0] === this.#keys[end - 1]?.[0]) end++;
    this.#next = end;
    return this.#keys.slice(from, end).map(([, key]) => key);
  }
}

/** As in the native store: the number of a key's space stands in the top bits. */
function placeOf(key: Key): number {
  const space = spaceOf(key);
  if (space < 0) return hashKey(key);
  return ((space << (32 - SPACE_BITS)) | (hashKey(keyInSpace(key)) >>> SPACE_BITS)) >>> 0;
}

export function memoryDigests(disk: MemoryDisk): BigUint64Array {
  const digests = new BigUint64Array(DIGEST_BUCKETS);
  for (const [key, records] of disk.keys) {
    const name = Buffer.from(spaceOf(key) < 0 ? key : keyInSpace(key), "latin1");
    const bucket = placeOf(key) >>> 16; // the keys of a bucket follow each other
    const newest = records.at(-1);
    if (newest !== undefined) {
      const { position, value } = newest;
      const record = Buffer.concat([name, Buffer.from(`\0${String(position)}\0`), value]);
      digests[bucket] = BigInt.asUintN(64, (digests[bucket] ?? 0n) + BigInt(hashBytes(record)));
    }
  }
  return digests;
}
