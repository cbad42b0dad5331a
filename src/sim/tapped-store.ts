/**
 * A Store that passes everything on and lets somebody watch: what is put, what is marked, what became durable. So checkers
 * see what a replica tells its disk, whichever engine is below, and broken variants can lie about it.
 */
import { type Key, NODE_SPACE } from "../base/key.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type {
  Cursor,
  KeyVisitor,
  LoadedKey,
  MergeOptions,
  ScrubOptions,
  Store,
  StoreFacts,
  StoreSink,
  StoreStats,
  StoreStatus,
} from "../storage/store.js";
import { renderHeader } from "./render.js";
import type { Trace } from "./trace.js";

/** A header is read for a story: how large the group is does not matter. */
const MOST_REPLICAS = 256;

export interface StoreWatch {
  onPut(replica: ReplicaId, key: Key, position: number, header: Uint8Array, value: Uint8Array): void;
  onMark(replica: ReplicaId, key: Key, position: number, header: Uint8Array): void;
  /** What was put since the last time is the batch `token`. */
  onSubmit(replica: ReplicaId, token: number): void;
  /** Before the node hears of it. */
  onDurable(replica: ReplicaId, token: number, status: StoreStatus): void;
  onDamaged(replica: ReplicaId, key: Key): void;
}

/** A broken variant of a disk. */
export interface StoreTamper {
  /** True: the node is told at once that the batch is durable, and never again. */
  tellsEarly?(replica: ReplicaId, token: number): boolean;
  /** False: the record is not written, and nobody is told. */
  keeps?(replica: ReplicaId, key: Key, position: number, header: Uint8Array): boolean;
}

/** One replica's store and who looks on. */
export interface Tap {
  readonly replica: ReplicaId;
  readonly watch: StoreWatch | null;
  readonly tamper: StoreTamper | null;
  readonly trace: Trace;
}

export class TappedStore implements Store {
  readonly #store: Store;
  readonly #tap: Tap;
  readonly #early: (token: number) => void;
  /** Batches under way. */
  unfinished = 0;

  /** `early`: tells the node now that a batch is durable. */
  constructor(store: Store, tap: Tap, early: (token: number) => void) {
    this.#store = store;
    this.#tap = tap;
    this.#early = early;
  }

  get facts(): StoreFacts {
    return this.#store.facts;
  }

  load(keys: readonly Key[], results: LoadedKey[]): void {
    this.#store.load(keys, results);
  }

  newest(key: Key): Uint8Array | null | "on-disk" | "corrupt" {
    return this.#store.newest(key);
  }

  put(key: Key, position: number, floor: number, header: Uint8Array, value: Uint8Array): void {
    const { replica, watch, tamper, trace } = this.#tap;
    watch?.onPut(replica, key, position, header, value);
    trace.noteBytes("persist", replica, header);
    if (trace.hasStory && !key.startsWith(NODE_SPACE)) {
      const text = renderHeader(position, header, MOST_REPLICAS);
      trace.tell(`n${String(replica + 1)} disk: ${JSON.stringify(key.slice(1))} ${text}`);
    }
    if (tamper?.keeps?.(replica, key, position, header) ?? true) this.#store.put(key, position, floor, header, value);
  }

  mark(key: Key, position: number, floor: number, header: Uint8Array): void {
    this.#tap.watch?.onMark(this.#tap.replica, key, position, header);
    this.#store.mark(key, position, floor, header);
  }

  drop(key: Key): void {
    this.#store.drop(key);
  }

  submit(): number {
    const token = this.#store.submit();
    if (token === 0) return 0;
    const { replica, watch, tamper } = this.#tap;
    this.unfinished++;
    watch?.onSubmit(replica, token);
    if (tamper?.tellsEarly?.(replica, token) === true) this.#early(token);
    return token;
  }

  read(tag: number, key: Key, position: number): void {
    this.#store.read(tag, key, position);
  }

  watermark(): number {
    return this.#store.watermark();
  }

  stats(): StoreStats {
    return this.#store.stats();
  }

  isShort(): boolean {
    return this.#store.isShort();
  }

  isFull(): boolean {
    return this.#store.isFull();
  }

  beginIteration(from?: bigint, until?: bigint): Cursor {
    return this.#store.beginIteration(from, until);
  }

  placeOfBucket(bucket: number): bigint {
    return this.#store.placeOfBucket(bucket);
  }

  iterate(cursor: Cursor, limit: number, visit: KeyVisitor): void {
    this.#store.iterate(cursor, limit, visit);
  }

  forEachKey(visit: KeyVisitor): void {
    this.#store.forEachKey(visit);
  }

  digests(first: number, count: number): BigUint64Array {
    return this.#store.digests(first, count);
  }

  setMerge(options: MergeOptions): void {
    this.#store.setMerge(options);
  }

  setScrub(options: ScrubOptions): void {
    this.#store.setScrub(options);
  }

  close(done: () => void): void {
    this.#store.close(done);
  }
}

/** What the store below says, on its way to the node. */
export function tappedSink(sink: StoreSink, tap: Tap, ended: () => void): StoreSink {
  const { replica, watch, tamper, trace } = tap;
  return {
    onDurable: (token, status) => {
      ended();
      trace.note("durable", replica, token, status === "ok" ? 0 : 1);
      watch?.onDurable(replica, token, status);
      if (tamper?.tellsEarly?.(replica, token) !== true) sink.onDurable(token, status);
    },
    onRead: (tag, status, value) => {
      sink.onRead(tag, status, value);
    },
    onFailed: (message) => {
      trace.note("store-failed", replica, 0);
      trace.tell(`the store of n${String(replica + 1)} has failed: ${message}`);
      sink.onFailed(message);
    },
    onDamaged: (key, position) => {
      trace.note("damaged", replica, position);
      watch?.onDamaged(replica, key);
      sink.onDamaged(key, position);
    },
  };
}
