/**
 * The storage engine with promises, as the benches of the command use it: plain keys and values (position 0, so that a
 * newer put replaces an older one), batches, reads. The only file of this room that knows how a store is opened and told.
 */
import type { Key } from "../base/key.js";
import {
  emptyLoadedKey,
  HEADER_BYTES,
  openNativeStore,
  type Store,
  type StoreFacts,
  type StoreSink,
  type StoreStats,
  type StoreStatus,
} from "../storage/index.js";
import { CommandError, EXIT } from "./exit.js";

export interface BenchPut {
  readonly key: Key;
  /** Kept in the record's header: which put it is. */
  readonly serial: number;
  readonly value: Uint8Array;
}

export interface BenchValue {
  readonly status: StoreStatus;
  readonly value: Uint8Array | null;
}

export interface BenchStoreOptions {
  /** A directory, a file or a block device. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly cacheBytes: number;
}

type Callback<T> = (result: T) => void;

/** A store is open from `open` to `close`. */
export class BenchStore implements StoreSink {
  #store: Store | null = null;
  readonly #batches = new Map<number, Callback<StoreStatus>>();
  readonly #reads = new Map<number, Callback<BenchValue>>();
  readonly #loaded = [emptyLoadedKey()];
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #serial = new DataView(this.#header.buffer);
  #nextTag = 0;
  /** Records that the engine found broken, whoever read them. */
  damaged = 0;

  static open(options: BenchStoreOptions): Promise<BenchStore> {
    const opened = new BenchStore();
    return new Promise((resolve, reject) => {
      const { path, sizeBytes, cacheBytes } = options;
      openNativeStore({ volumes: [path], sizeBytes, nodeId: "bench", cacheBytes }, opened, (error, store) => {
        if (error !== null) {
          reject(error);
          return;
        }
        opened.#store = store;
        resolve(opened);
      });
    });
  }

  onDurable(token: number, status: StoreStatus): void {
    const done = this.#batches.get(token);
    this.#batches.delete(token);
    done?.(status);
  }

  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    const done = this.#reads.get(tag);
    this.#reads.delete(tag);
    done?.({ status, value });
  }

  onDamaged(): void {
    this.damaged++;
  }

  onFailed(message: string): void {
    throw new CommandError(EXIT.io, message);
  }

  get #open(): Store {
    if (this.#store === null) throw new CommandError(EXIT.failed, "the store is not open");
    return this.#store;
  }

  get facts(): StoreFacts {
    return this.#open.facts;
  }

  stats(): StoreStats {
    return this.#open.stats();
  }

  /** One batch; resolves when it ended, in the order of the calls. */
  put(puts: readonly BenchPut[]): Promise<StoreStatus> {
    for (const { key, serial, value } of puts) {
      this.#serial.setFloat64(0, serial, true);
      this.#open.put(key, 0, 0, this.#header, value);
    }
    const token = this.#open.submit();
    return new Promise((resolve) => this.#batches.set(token, resolve));
  }

  /** From memory or from disk. */
  read(key: Key): Promise<BenchValue> {
    const tag = this.#nextTag++;
    this.#open.read(tag, key, 0);
    this.#open.submit();
    return new Promise((resolve) => this.#reads.set(tag, resolve));
  }

  /** The serial of what is stored of a key; null when there is nothing, "corrupt" when it is not known. */
  serialOf(key: Key): number | null | "corrupt" {
    this.#open.load([key], this.#loaded);
    const loaded = this.#loaded[0];
    if (loaded === undefined || loaded.corrupt) return "corrupt";
    return loaded.slots === 0 ? null : serialIn(loaded.slot[0].header);
  }

  /** Highest serial of all records; -1 when there is none. */
  highestSerial(): number {
    let highest = -1;
    this.#open.forEachKey((_, __, header) => {
      highest = Math.max(highest, serialIn(header));
    });
    return highest;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#open.close(resolve);
    });
  }
}

function serialIn(header: Uint8Array): number {
  return new DataView(header.buffer, header.byteOffset, header.byteLength).getFloat64(0, true);
}
