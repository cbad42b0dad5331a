// Keys, values and chance, the same for all systems: keys of 16 bytes, values that do not compress, a seeded generator.

const POOL = 1024;

/** xorshift32; never 0. */
export function makeRandom(seed) {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

export function keyName(number) {
  return `k${String(number).padStart(15, "0")}`;
}

export class Keyspace {
  #random;
  #values;
  #next = 0;

  constructor(keys, valueBytes, seed) {
    this.keys = keys;
    this.valueBytes = valueBytes;
    this.#random = makeRandom(seed);
    this.#values = Array.from({ length: POOL }, () => {
      const value = Buffer.alloc(valueBytes);
      for (let i = 0; i < valueBytes; i++) value[i] = this.#random();
      return value;
    });
  }

  randomKey() {
    return keyName(this.#random() % this.keys);
  }

  value() {
    return this.#values[this.#next++ % POOL];
  }

  /** All keys once, in an order that is not theirs, in batches. */
  *everything(batch) {
    const step = 7_368_787; // prime: visits every number below `keys` when it does not divide it
    for (let i = 0; i < this.keys; i += batch) {
      const pairs = [];
      for (let j = i; j < Math.min(this.keys, i + batch); j++)
        pairs.push([keyName((j * step) % this.keys), this.value()]);
      yield pairs;
    }
  }

  /** `count` overwrites of keys drawn uniformly, in batches. */
  *overwrites(count, batch) {
    for (let i = 0; i < count; i += batch) yield Array.from({ length: batch }, () => [this.randomKey(), this.value()]);
  }
}
