/**
 * A timing wheel: items that want to be woken at a tick, O(1) to add, O(ticks passed) to advance. An item may be added
 * again with another tick; the entry it left behind is recognised by `wakeTick` and skipped.
 */
import { assert } from "./assert.js";

export interface Sleeper {
  /** Tick at which it wants to be woken, 0 = not at all. Set by the wheel and cleared when it is woken. */
  wakeTick: number;
}

const SLOTS = 4096;
/** How often far items are looked at: twice before the nearest of them could be due. */
const SWEEP_TICKS = SLOTS / 2;

export class TimingWheel<T extends Sleeper> {
  readonly #slots: T[][] = Array.from({ length: SLOTS }, () => []);
  /** Items that were further away than the wheel goes round when they were added. */
  #far: T[] = [];
  #sweepTick: number;
  #now: number;
  #entries = 0;

  /** `tick`: the present one; nothing can be woken at or before it. */
  constructor(tick: number) {
    this.#now = tick;
    this.#sweepTick = tick + SWEEP_TICKS;
  }

  /** Wakes `item` at `tick` (at the next one if that has passed), and at no other time. */
  add(item: T, tick: number): void {
    const wakeTick = Math.max(tick, this.#now + 1);
    if (item.wakeTick === wakeTick) return;
    item.wakeTick = wakeTick;
    this.#insert(item, wakeTick);
  }

  /** `item` is not woken any more. */
  remove(item: T): void {
    item.wakeTick = 0;
  }

  #insert(item: T, wakeTick: number): void {
    if (wakeTick - this.#now >= SLOTS) {
      this.#far.push(item);
      return;
    }
    this.#slots[wakeTick % SLOTS]?.push(item);
    this.#entries++;
  }

  /** Puts into the wheel what has come near; what nobody waits for any more is dropped. */
  #sweepFar(): void {
    const far = this.#far;
    this.#far = [];
    this.#sweepTick = this.#now + SWEEP_TICKS;
    for (const item of far) if (item.wakeTick > this.#now) this.#insert(item, item.wakeTick);
  }

  /** Moves to `tick` and calls `wake` for every item whose tick has come. `wake` may add items. */
  advance(tick: number, wake: (item: T) => void): void {
    assert(tick >= this.#now, "time does not go back");
    const first = Math.max(this.#now + 1, tick - SLOTS + 1);
    this.#now = tick;
    for (let i = 0; i < this.#far.length; i++) {
      const item = this.#far[i];
      if (item === undefined || item.wakeTick === 0 || item.wakeTick > tick) continue;
      item.wakeTick = 0; // a jump of time went past it
      wake(item);
    }
    for (let at = first; at <= tick; at++) {
      const index = at % SLOTS;
      const due = this.#slots[index];
      if (due === undefined || due.length === 0) continue;
      this.#slots[index] = [];
      this.#entries -= due.length;
      for (const item of due) {
        if (item.wakeTick === 0) continue;
        if (item.wakeTick <= tick) {
          item.wakeTick = 0;
          wake(item);
        }
      }
    }
    if (tick >= this.#sweepTick) this.#sweepFar();
  }

  /** The next tick at which there may be something to do, 0 = nothing waits. */
  nextTick(): number {
    if (this.#entries === 0) return this.#far.length === 0 ? 0 : this.#sweepTick;
    for (let at = this.#now + 1; at < this.#now + SLOTS; at++) {
      const slot = this.#slots[at % SLOTS];
      if (slot !== undefined && slot.length > 0) return at;
    }
    return this.#sweepTick;
  }
}
