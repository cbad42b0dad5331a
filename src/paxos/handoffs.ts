/**
 * What one replica hands over to another's lane, a submit or a forward, is taken at most once: a hand-over names the
 * incarnation of its target and a number that no other hand-over of its origin's incarnation has. Only so can a target say
 * "never proposed here, and never will be" and be right although the network doubles and delays (P16).
 */

/** Hand-overs may overtake each other (one waits for the disk, the next does not) by this many; what is later still is lost. */
const MAX_GAPS = 4096;

export class HandoffLog {
  /** Every number up to this one was taken, or never will be. */
  #floor = 0;
  readonly #above = new Set<number>();

  /** True the first time it is asked for `sequence`. */
  take(sequence: number): boolean {
    if (sequence <= this.#floor || this.#above.has(sequence)) return false;
    this.#above.add(sequence);
    while (this.#above.delete(this.#floor + 1)) this.#floor++;
    while (this.#above.size > MAX_GAPS) {
      this.#floor++;
      this.#above.delete(this.#floor);
    }
    return true;
  }
}
