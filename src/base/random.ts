/** Seeded random numbers: the only source of randomness below the server, so that a seed repeats a run. */

/** xorshift128+ style generator on four 32-bit words, seeded by splitmix. Not for secrets. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return (z ^ (z >>> 16)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1;
  }

  /** Uniform in [0, 2^32). */
  next32(): number {
    let t = this.#a ^ (this.#a << 11);
    t ^= t >>> 8;
    this.#a = this.#b;
    this.#b = this.#c;
    this.#c = this.#d;
    this.#d = (this.#d ^ (this.#d >>> 19) ^ t) >>> 0;
    return this.#d;
  }

  /** Uniform integer in [0, bound), bound in [1, 2^32]. */
  below(bound: number): number {
    return Math.floor((this.next32() / 0x1_0000_0000) * bound);
  }

  /** True with probability p. */
  chance(p: number): boolean {
    return this.next32() / 0x1_0000_0000 < p;
  }
}
