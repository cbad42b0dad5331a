/**
 * What a store's callers say in one turn of the event loop, as one call to the engine: writes as one batch with one promise
 * for all of them, reads beside it. Bounds what is under way. It must not know what keys and values mean.
 *
 * A batch ends well or badly as a whole, so its writes can share a promise: an operation costs none of its own.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import type { Store, StoreStatus } from "../storage/store.js";
import { StoreError, statusError } from "./storage-errors.js";

/** Head, header and what the engine keeps of a record while it is under way. */
const RECORD_BYTES = 128;
/** Reads from disk under way at once; one more is refused with "busy". */
const MAX_READS = 65_536;
/** D12: deletions and small values may use room that is kept from others, as long as no larger value is in their batch. */
const SMALL_VALUE_BYTES = 1024;

const DROP = 0;
const SMALL = 1;
const LARGE = 2;
type SpaceClass = typeof DROP | typeof SMALL | typeof LARGE;

interface Batch {
  token: number;
  bytes: number;
  spaceClass: SpaceClass;
  readonly promise: Promise<void>;
  readonly settle: (error: StoreError | null) => void;
}

interface Read {
  readonly resolve: (value: Uint8Array | null) => void;
  readonly reject: (error: StoreError) => void;
}

export interface TurnBounds {
  /** A batch to the engine stays below this, so that it lies in one run: an eighth of an extent (D6). */
  readonly atomicBytes: number;
  readonly maxPendingBytes: number;
}

export class StoreTurn {
  readonly #store: Store;
  readonly #bounds: TurnBounds;
  readonly #batches: Batch[] = [];
  readonly #reads = new Map<number, Read>();
  readonly #draining: (() => void)[] = [];
  #gathered: Batch | null = null;
  #scheduled = false;
  #pendingBytes = 0;
  #full: boolean;
  #lastTag = 0;
  #failure = "";
  #closed = false;

  constructor(store: Store, bounds: TurnBounds) {
    this.#store = store;
    this.#bounds = bounds;
    this.#full = store.isFull();
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** What a write counts for in the bounds. */
  static costOf(key: Key, valueBytes: number): number {
    return RECORD_BYTES + key.length + valueBytes;
  }

  static classOf(valueBytes: number): SpaceClass {
    return valueBytes > SMALL_VALUE_BYTES ? LARGE : SMALL;
  }

  static readonly dropClass: SpaceClass = DROP;

  /** Why writes of `bytes` cannot be taken now; null when they can. */
  refusal(bytes: number): StoreError | null {
    if (this.#closed) return statusError("closed");
    if (this.#pendingBytes === 0 || this.#pendingBytes + bytes <= this.#bounds.maxPendingBytes) return null;
    return new StoreError("busy", `${String(this.#pendingBytes)} bytes are under way; wait for drain()`);
  }

  /**
   * Makes room in the batch of this turn for writes that belong together; they are put into the store right after this
   * call. The promise is that of the whole batch.
   */
  admit(bytes: number, spaceClass: SpaceClass): Promise<void> {
    let batch = this.#gathered;
    if (batch !== null && this.#mustPart(batch, bytes, spaceClass)) {
      this.#submit();
      batch = null;
    }
    if (batch === null) {
      batch = newBatch(spaceClass);
      this.#gathered = batch;
      this.#schedule();
    }
    batch.bytes += bytes;
    batch.spaceClass = larger(batch.spaceClass, spaceClass);
    this.#pendingBytes += bytes;
    return batch.promise;
  }

  /** In a full store a batch has one class: a value that finds no room must not take a deletion down with it. */
  #mustPart(batch: Batch, bytes: number, spaceClass: SpaceClass): boolean {
    return batch.bytes + bytes > this.#bounds.atomicBytes || (this.#full && batch.spaceClass !== spaceClass);
  }

  /** Null: there is no record at that position any more. */
  read(key: Key, position: number): Promise<Uint8Array | null> {
    if (this.#closed) return Promise.reject(statusError("closed"));
    if (this.#reads.size >= MAX_READS) {
      return Promise.reject(new StoreError("busy", `${String(MAX_READS)} reads are under way`));
    }
    const tag = ++this.#lastTag;
    this.#store.read(tag, key, position);
    this.#schedule();
    return new Promise((resolve, reject) => {
      this.#reads.set(tag, { resolve, reject });
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#scheduled = false;
    if (!this.#closed) this.#submit();
  };

  #submit(): void {
    const batch = this.#gathered;
    this.#gathered = null;
    const token = this.#store.submit();
    if (batch === null) return;
    assert(token > 0, "an admitted batch holds something");
    batch.token = token;
    this.#batches.push(batch);
    this.#full = this.#store.isFull();
  }

  /** Resolves when everything that was said before is durable; rejects with the first error of it. */
  async flush(): Promise<void> {
    const gathered = this.#gathered === null ? [] : [this.#gathered.promise];
    await Promise.all([...this.#batches.map((batch) => batch.promise), ...gathered]);
  }

  /** Resolves when at most half of the bound is under way. */
  drain(): Promise<void> {
    if (this.#isDrained()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#draining.push(resolve);
    });
  }

  #isDrained(): boolean {
    return this.#pendingBytes <= this.#bounds.maxPendingBytes / 2;
  }

  onDurable(token: number, status: StoreStatus): void {
    let ended = 0;
    for (const batch of this.#batches) {
      if (batch.token > token) break;
      ended++;
      this.#pendingBytes -= batch.bytes;
      const isOk = status === "ok" || batch.token < token;
      batch.settle(isOk ? null : statusError(status, this.#failure));
    }
    this.#batches.splice(0, ended);
    if (status !== "ok") this.#full = true; // at worst one batch too many
    if (this.#isDrained()) for (const tell of this.#draining.splice(0)) tell();
  }

  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    const read = this.#reads.get(tag);
    assert(read !== undefined, "an answer to a read that nobody asked for");
    this.#reads.delete(tag);
    if (status === "ok") read.resolve(value);
    else read.reject(statusError(status, this.#failure));
  }

  onFailed(message: string): void {
    this.#failure = message;
  }

  /** Hands over what was said so far; nothing is taken any more. */
  close(): void {
    if (this.#closed) return;
    this.#submit();
    this.#closed = true;
  }
}

function larger(a: SpaceClass, b: SpaceClass): SpaceClass {
  return a > b ? a : b;
}

function newBatch(spaceClass: SpaceClass): Batch {
  let settle: Batch["settle"] = () => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      if (error === null) resolve();
      else reject(error);
    };
  });
  return { token: 0, bytes: 0, spaceClass, promise, settle };
}
