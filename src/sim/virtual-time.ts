/**
 * Virtual time: one queue of events for everything that happens in a simulated cluster. Same events, same order: what is
 * due at one microsecond runs in the order in which it was asked for. A clock made here belongs to one process: its timers
 * go through the process's gate, so they wait while it is stopped and go silent when it dies.
 */
import type { Clock, TimerHandle } from "../node/clock.js";
import type { Gate } from "./gate.js";

/** A turn of a process's event loop ends this long after what began it. */
const DEFER_US = 5;

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

/** How a process sees time: its wall clock may be off and jump, its monotonic clock may run fast or slow. */
export interface ClockOptions {
  readonly wallOffsetMs: number;
  /** Its seconds per true second; default: 1. */
  readonly rate?: number;
}

/** One process's clock: ticks from 1 at its start, a wall clock with an offset of its own. */
export class VirtualClock implements Clock {
  readonly #time: VirtualTime;
  readonly #gate: Gate;
  readonly #startUs: number;
  readonly #rate: number;
  #wallOffsetMs: number;

  constructor(time: VirtualTime, gate: Gate, options: ClockOptions) {
    this.#time = time;
    this.#gate = gate;
    this.#startUs = time.nowUs;
    this.#wallOffsetMs = options.wallOffsetMs;
    this.#rate = options.rate ?? 1;
  }

  /** Somebody sets the wall clock. How far it is off now, in ms. */
  jump(byMs: number): number {
    this.#wallOffsetMs += byMs;
    return this.#wallOffsetMs;
  }

  tick(): number {
    return Math.floor(this.microseconds() / 1000) + 1;
  }

  microseconds(): number {
    return Math.floor((this.#time.nowUs - this.#startUs) * this.#rate);
  }

  wallMs(): number {
    return wallMsAt(this.#time.nowUs) + this.#wallOffsetMs;
  }

  defer(run: () => void): void {
    this.#after(DEFER_US, run);
  }

  after(ticks: number, run: () => void): TimerHandle {
    return this.#after(Math.ceil((ticks * 1000) / this.#rate), run);
  }

  #after(us: number, run: () => void): TimerHandle {
    let cancelled = false;
    this.#time.after(us, () => {
      if (cancelled) return;
      this.#gate.enter(() => {
        if (!cancelled) run();
      });
    });
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }
}

/** The true wall clock of the simulated world, from which processes' clocks differ. */
export function wallMsAt(nowUs: number): number {
  return 1_700_000_000_000 + Math.floor(nowUs / 1000);
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
