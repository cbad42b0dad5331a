/**
 * How long what arrives now may have lain unread. A process that stands still (stopped, starved, its machine suspended) finds
 * in its sockets what was sent to it meanwhile: requests whose clients have long given up. Their time began when they were sent,
 * not when they are read (P12), and nobody can tell when that was; the length of the pause is an upper bound.
 */

/** The loop that comes round this late stood still, in ticks; it comes round every few. */
export const PAUSE_TICKS = 12;
/** What was sent during a pause is read within this time after it. */
const READING_TICKS = 100;

export class Lateness {
  #lastTick: number;
  #ticks = 0;
  #untilTick = 0;

  constructor(tick: number) {
    this.#lastTick = tick;
  }

  /** Called whenever the loop comes round, at least every few ticks: the bound, in ticks; 0 = it comes as it is sent. */
  at(tick: number): number {
    const gap = tick - this.#lastTick;
    this.#lastTick = tick;
    const before = tick < this.#untilTick ? this.#ticks : 0;
    if (gap <= PAUSE_TICKS) return before;
    this.#ticks = Math.max(before, gap);
    this.#untilTick = tick + READING_TICKS;
    return this.#ticks;
  }
}
