/**
 * How long what arrives now may have lain unread. A process that stands still (stopped, starved, its machine suspended) finds
 * in its sockets what was sent to it meanwhile: requests whose clients have long given up. Their time began when they were sent,
 * not when they are read (P12), and nobody can tell when that was; the length of the pause is an upper bound.
 */

/** The loop that comes round this late stood still, in ticks; it comes round every few. */
export const PAUSE_TICKS = 12;
/**
 * What was sent during a pause is read while the loop makes this much progress after it, in ticks. A loop that is late again
 * makes little: on a machine where nothing gets its turn, what lies in the sockets lies there for longer.
 */
const READING_TICKS = 100;

interface Pause {
  readonly ticks: number;
  left: number;
}

export class Lateness {
  #lastTick: number;
  /** Of which something may still be unread: the longest first, each followed by later and shorter ones. */
  #pauses: Pause[] = [];

  constructor(tick: number) {
    this.#lastTick = tick;
  }

  /** Called whenever the loop comes round, at least every few ticks: the bound, in ticks; 0 = it comes as it is sent. */
  at(tick: number): number {
    const gap = tick - this.#lastTick;
    this.#lastTick = tick;
    if (gap > 0 && this.#pauses.length > 0) {
      const progress = Math.min(gap, PAUSE_TICKS);
      for (const pause of this.#pauses) pause.left -= progress;
      this.#pauses = this.#pauses.filter(({ left }) => left > 0);
    }
    if (gap > PAUSE_TICKS) {
      this.#pauses = this.#pauses.filter(({ ticks }) => ticks > gap);
      this.#pauses.push({ ticks: gap, left: READING_TICKS });
    }
    return this.#pauses[0]?.ticks ?? 0;
  }
}
