/**
 * How a store in memory is gone over: a cursor over the keys that were there when it began, and digests made anew at every
 * question (D20). Both mean what the native ones mean; the order of keys and the numbers are this store's own.
 */
import { hashBytes } from "../base/hash.js";
import type { Key } from "../base/key.js";
import type { MemoryDisk } from "./memory-disk.js";
import { type Cursor, DIGEST_BUCKETS } from "./store.js";

export class MemoryCursor implements Cursor {
  readonly #keys: readonly Key[];
  #next = 0;

  constructor(keys: readonly Key[]) {
    this.#keys = keys;
  }

  get done(): boolean {
    return this.#next >= this.#keys.length;
  }

  take(limit: number): readonly Key[] {
    const from = this.#next;
    this.#next = Math.min(this.#keys.length, from + limit);
    return this.#keys.slice(from, this.#next);
  }
}

export function memoryDigests(disk: MemoryDisk): BigUint64Array {
  const digests = new BigUint64Array(DIGEST_BUCKETS);
  for (const [key, records] of disk.keys) {
    const name = Buffer.from(key, "latin1");
    const bucket = hashBytes(name) % DIGEST_BUCKETS;
    for (const { position, value } of records) {
      const record = Buffer.concat([name, Buffer.from(`\0${String(position)}\0`), value]);
      digests[bucket] = BigInt.asUintN(64, (digests[bucket] ?? 0n) + BigInt(hashBytes(record)));
    }
  }
  return digests;
}
