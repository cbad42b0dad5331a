/**
 * Counts of durations in buckets that double, from 64 us to 8 s: cheap enough for every request, exact enough to tell a
 * round trip from a time-out. Cumulative counts are made when somebody asks.
 */

const FIRST_BOUND_US = 64;
const BUCKETS = 18;

export class Histogram {
  count = 0;
  sumUs = 0;
  readonly #counts = new Float64Array(BUCKETS + 1);

  record(durationUs: number): void {
    this.count++;
    this.sumUs += durationUs;
    let bucket = 0;
    let bound = FIRST_BOUND_US;
    while (bucket < BUCKETS && durationUs > bound) {
      bucket++;
      bound *= 2;
    }
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  /** Calls `visit` with each upper bound in microseconds and how many durations are at or below it. */
  cumulative(visit: (boundUs: number, count: number) => void): void {
    let total = 0;
    let bound = FIRST_BOUND_US;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      total += this.#counts[bucket] ?? 0;
      visit(bound, total);
      bound *= 2;
    }
  }

  /** Upper bound of the bucket that holds the given share (0 to 1) of all durations; 0 when there are none. */
  quantileUs(share: number): number {
    let answer = 0;
    this.cumulative((bound, count) => {
      if (answer === 0 && this.count > 0 && count >= share * this.count) answer = bound;
    });
    return answer;
  }
}
