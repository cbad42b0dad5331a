/**
 * How fast keys are brought up to date (P26): a bound on keys and on bytes per second, of which nothing is saved up for
 * longer than a moment. Bytes are known when they have come, so that they are paid for afterwards.
 */

/** Most that is saved up, in ticks of the rate. */
const BURST_TICKS = 50;

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

  fill(ticks: number): void {
    this.#level = Math.min(this.#most, this.#level + ticks * this.#perTick);
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

  constructor({ keysPerSecond, bytesPerSecond }: PaceOptions, tick: number) {
    this.#keys = new Bucket(keysPerSecond);
    this.#bytes = new Bucket(bytesPerSecond);
    this.#tick = tick;
  }

  advance(tick: number): void {
    const ticks = Math.max(0, tick - this.#tick);
    this.#tick = tick;
    this.#keys.fill(ticks);
    this.#bytes.fill(ticks);
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
