/**
 * Which keys are asked for most of late, in bounded memory: the space-saving algorithm of Metwally, Agrawal and El Abbadi
 * (2005) over a sample of operations. A key that has more than a share of 1/COUNTERS of them is certainly among the
 * counted; what a count may be too high by is known and told. All counts are halved once a minute, so old heat fades.
 */
import type { Key } from "../base/key.js";
import type { Random } from "../base/random.js";

/** Keys that are counted. */
const COUNTERS = 256;
/** One of so many operations is looked at, at random: clients have rhythms of their own. */
const SAMPLE = 16;
const HALVING_MS = 60_000;

export interface HotKey {
  readonly key: Key;
  /** Operations, about: what was sampled, times the rate of sampling. */
  readonly count: number;
  /** The count is too high by at most this. */
  readonly excess: number;
}

interface Counter {
  count: number;
  excess: number;
}

export class HotKeys {
  readonly #counters = new Map<Key, Counter>();
  readonly #random: Random;
  #untilNext = 1;
  #halvedMs = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  note(key: Key): void {
    if (--this.#untilNext > 0) return;
    this.#untilNext = 1 + this.#random.below(2 * SAMPLE - 1);
    this.#count(key);
  }

  #count(key: Key): void {
    const counter = this.#counters.get(key);
    if (counter !== undefined) counter.count++;
    else if (this.#counters.size < COUNTERS) this.#counters.set(key, { count: 1, excess: 0 });
    else this.#replaceLeast(key);
  }

  /** The new one takes over the count of the least: so much of it may be another's. */
  #replaceLeast(key: Key): void {
    let least: Key | null = null;
    let lowest = Number.POSITIVE_INFINITY;
    for (const [other, { count }] of this.#counters) {
      if (count >= lowest) continue;
      lowest = count;
      least = other;
    }
    if (least === null) return;
    this.#counters.delete(least);
    this.#counters.set(key, { count: lowest + 1, excess: lowest });
  }

  /** The hottest first, at most `most`. */
  top(most: number): readonly HotKey[] {
    return [...this.#counters]
      .toSorted(([, a], [, b]) => b.count - a.count)
      .slice(0, most)
      .map(([key, { count, excess }]) => ({ key, count: count * SAMPLE, excess: excess * SAMPLE }));
  }

  /** Called now and then. */
  fade(nowMs: number): void {
    if (this.#halvedMs === 0) this.#halvedMs = nowMs;
    if (nowMs - this.#halvedMs < HALVING_MS) return;
    this.#halvedMs = nowMs;
    for (const [key, counter] of this.#counters) {
      counter.count = Math.floor(counter.count / 2);
      counter.excess = Math.floor(counter.excess / 2);
      if (counter.count === 0) this.#counters.delete(key);
    }
  }

  clear(): void {
    this.#counters.clear();
  }
}
