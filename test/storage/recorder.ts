/** A StoreSink that keeps what it hears, and lets a test wait for it without sleeping. */
import type { Key } from "../../src/base/key.js";
import type { StoreSink, StoreStatus } from "../../src/storage/store.js";

export interface ReadAnswer {
  readonly status: StoreStatus;
  readonly value: Uint8Array | null;
}

export class Recorder implements StoreSink {
  /** Every onDurable in the order of arrival. */
  readonly durable: { token: number; status: StoreStatus }[] = [];
  readonly reads = new Map<number, ReadAnswer>();
  readonly failures: string[] = [];
  readonly damaged: { key: Key; position: number }[] = [];
  #waiting: (() => void)[] = [];

  onDurable(token: number, status: StoreStatus): void {
    this.durable.push({ token, status });
    this.#wake();
  }

  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    if (this.reads.has(tag)) throw new Error(`the read with tag ${String(tag)} was answered twice`);
    this.reads.set(tag, { status, value });
    this.#wake();
  }

  onFailed(message: string): void {
    this.failures.push(message);
    this.#wake();
  }

  onDamaged(key: Key, position: number): void {
    this.damaged.push({ key, position });
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Waits until `done` holds; it is asked again after everything that the store says. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** Waits for the end of a batch and returns its status. */
  async ended(token: number): Promise<StoreStatus> {
    await this.until(() => this.durable.some((event) => event.token >= token));
    return this.durable.find((event) => event.token === token)?.status ?? "ok";
  }

  async answered(tag: number): Promise<ReadAnswer> {
    await this.until(() => this.reads.has(tag));
    return this.reads.get(tag) ?? { status: "failed", value: null };
  }
}
