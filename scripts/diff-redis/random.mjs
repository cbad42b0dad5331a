// Chance from a seed: the same numbers for the same seed on every machine (mulberry32).

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** From 0 to bound - 1. */
  below(bound) {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }

  chance(share) {
    return this.next() < share * 0x1_0000_0000;
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}
