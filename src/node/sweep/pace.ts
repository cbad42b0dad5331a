/**
 * How fast keys are brought up to date (P26): a bound on keys and on bytes per second, of which nothing is saved up for
 * longer than a moment. Bytes are known when they have come, so that they are paid for afterwards.
 */

/** Most that is saved up, in ticks of the rate. */
const BURST_TICKS = 50;
/** Under pressure: how often the speed is halved at most, its least share, and how soon it comes back. */
const SLOW_DOWN_TICKS = 50;
const LEAST_SHARE = 1 / 32;
const REGAIN_PER_TICK = 1 / 10_000;

class Bucket {
  readonly #perTick: number;
  #level: number;

  constructor(perSecond: number) {
    this.#perTick = perSecond / 1000;
    this.#level = this.#most;
  }

  get #most(): number {
    return Math.max(1, this.#perTick * BURST_TICKS);
  }

  get level(): number {
    return this.#level;
  }

  fill(ticks: number, share: number): void {
    this.#level = Math.min(Math.max(1, this.#most * share), this.#level + ticks * this.#perTick * share);
  }

  take(amount: number): void {
    this.#level -= amount;
  }
}

export interface PaceOptions {
  readonly keysPerSecond: number;
  readonly bytesPerSecond: number;
}

export class Pace {
  readonly #keys: Bucket;
  readonly #bytes: Bucket;
  #tick: number;
  #share = 1;
  #slowedTick = 0;

  constructor({ keysPerSecond, bytesPerSecond }: PaceOptions, tick: number) {
    this.#keys = new Bucket(keysPerSecond);
    this.#bytes = new Bucket(bytesPerSecond);
    this.#tick = tick;
  }

  advance(tick: number): void {
    const ticks = Math.max(0, tick - this.#tick);
    this.#tick = tick;
    this.#share = Math.min(1, this.#share + ticks * REGAIN_PER_TICK);
    this.#keys.fill(ticks, this.#share);
    this.#bytes.fill(ticks, this.#share);
  }

  /** Somebody's callers wait: half the speed at most once a moment, and back to all of it within seconds. */
  slowDown(): void {
    if (this.#tick < this.#slowedTick + SLOW_DOWN_TICKS) return;
    this.#slowedTick = this.#tick;
    this.#share = Math.max(LEAST_SHARE, this.#share / 2);
  }

  /** Of the bounds, that is in force now. */
  get share(): number {
    return this.#share;
  }

  get mayTake(): boolean {
    return this.#keys.level >= 1 && this.#bytes.level > 0;
  }

  takeKey(): void {
    this.#keys.take(1);
  }

  takeBytes(bytes: number): void {
    this.#bytes.take(bytes);
  }
}
