/**
 * Virtual time: one queue of events for everything that happens in a simulated cluster. Same events, same order: what is
 * due at one microsecond runs in the order in which it was asked for. A clock made here belongs to one process and goes
 * silent when that process dies.
 */
import type { Clock, TimerHandle } from "../node/clock.js";

interface Event {
  readonly atUs: number;
  readonly order: number;
  run: (() => void) | null;
}

export class VirtualTime {
  nowUs = 0;
  #heap: Event[] = [];
  #order = 0;

  /** Runs `run` `delayUs` from now. */
  after(delayUs: number, run: () => void): TimerHandle {
    this.#order++;
    const event: Event = { atUs: this.nowUs + Math.max(0, delayUs), order: this.#order, run };
    push(this.#heap, event);
    return {
      cancel: () => {
        event.run = null;
      },
    };
  }

  /** Runs events until virtual `nowUs` reaches `untilUs`, or `stop` says so. */
  runUntil(untilUs: number, stop: () => boolean = () => false): void {
    while (!stop()) {
      const event = this.#heap[0];
      if (event === undefined || event.atUs > untilUs) break;
      pop(this.#heap);
      this.nowUs = event.atUs;
      event.run?.();
    }
    if (!stop()) this.nowUs = Math.max(this.nowUs, untilUs);
  }
}

/** One process's clock: ticks from 1 at its start, a wall clock with an offset of its own. */
export class VirtualClock implements Clock {
  readonly #time: VirtualTime;
  readonly #startUs: number;
  readonly #wallOffsetMs: number;
  #dead = false;

  constructor(time: VirtualTime, wallOffsetMs: number) {
    this.#time = time;
    this.#startUs = time.nowUs;
    this.#wallOffsetMs = wallOffsetMs;
  }

  /** The process died: nothing that it had planned happens any more. */
  kill(): void {
    this.#dead = true;
  }

  tick(): number {
    return Math.floor(this.microseconds() / 1000) + 1;
  }

  microseconds(): number {
    return this.#time.nowUs - this.#startUs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + Math.floor(this.#time.nowUs / 1000) + this.#wallOffsetMs;
  }

  defer(run: () => void): void {
    this.#time.after(5, () => {
      if (!this.#dead) run();
    });
  }

  after(ticks: number, run: () => void): TimerHandle {
    return this.#time.after(ticks * 1000, () => {
      if (!this.#dead) run();
    });
  }
}

function before(a: Event, b: Event): boolean {
  return a.atUs !== b.atUs ? a.atUs < b.atUs : a.order < b.order;
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const up = (at - 1) >> 1;
    const parent = heap[up];
    if (parent === undefined || !before(event, parent)) break;
    heap[at] = parent;
    at = up;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let down = at * 2 + 1;
    const left = heap[down];
    if (left === undefined) break;
    const right = heap[down + 1];
    let child = left;
    if (right !== undefined && before(right, left)) {
      child = right;
      down++;
    }
    if (!before(child, last)) break;
    heap[at] = child;
    at = down;
  }
  heap[at] = last;
}
