/**
 * Time as a node sees it. The only file below the server that touches timers and clocks; the simulator brings its own.
 * Ticks are milliseconds of a monotonic clock; the wall clock decides expiry and nothing else (P25).
 */

export interface TimerHandle {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds, an integer from 1. */
  tick(): number;
  /** Monotonic microseconds, for measuring. */
  microseconds(): number;
  /** Wall clock in ms since 1970. */
  wallMs(): number;
  /** Runs once everything that this poll of the event loop brought in was handed over: the end of a turn. */
  defer(run: () => void): void;
  /** Runs once after about `ticks`. */
  after(ticks: number, run: () => void): TimerHandle;
}

/** The clock of this machine. */
export class SystemClock implements Clock {
  readonly #start = process.hrtime.bigint();

  tick(): number {
    return Math.floor(this.microseconds() / 1000) + 1;
  }

  microseconds(): number {
    return Number((process.hrtime.bigint() - this.#start) / 1000n);
  }

  wallMs(): number {
    return Date.now();
  }

  defer(run: () => void): void {
    setImmediate(run);
  }

  after(ticks: number, run: () => void): TimerHandle {
    const timer = setTimeout(run, ticks);
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  }
}
