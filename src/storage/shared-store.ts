/**
 * One store for several callers, each in a space of its own (space.ts) and each with a Store of its own before it: so the
 * replicas of several groups on one machine share its disks, its flushes, its merge and its room. What one of them puts
 * may become durable with the batch of another, never without being handed over by somebody; its own tokens, its order and
 * its atomic batches stay what Store says. Keys, digests and walks are those of the space; facts, statistics, watermark and
 * room are those of the whole.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import { keyInSpace, SPACE_BUCKETS, SPACES, spaceOf, spacePrefix } from "./space.js";
import {
  type Cursor,
  DIGEST_BUCKETS,
  type KeyVisitor,
  type LoadedKey,
  type MergeOptions,
  type ScrubOptions,
  type Store,
  type StoreFacts,
  type StoreSink,
  type StoreStats,
  type StoreStatus,
} from "./store.js";

/** Buckets as a caller counts them to one of the store's. */
const BUCKETS_PER_BUCKET = DIGEST_BUCKETS / SPACE_BUCKETS;
const KEYS_PER_SCAN = 1024;

/** Calls `run` once, later, never during the call itself. */
type Later = (run: () => void) => void;

/** One batch of a caller: done when all batches of the store are that it is in. */
interface Handed {
  readonly token: number;
  /** Of the store, rising. */
  readonly batches: readonly number[];
  status: StoreStatus;
}

interface AskedRead {
  readonly space: SpaceStore;
  readonly tag: number;
}

interface GatheredRead {
  readonly tag: number;
  readonly key: Key;
  readonly position: number;
}

/** Give it to the store as its sink, and then the store to it. */
export class SharedStore implements StoreSink {
  readonly #later: Later;
  readonly #spaces = new Map<number, SpaceStore>();
  readonly #reads = new Map<number, AskedRead>();
  #lastRead = 0;
  #store: Store | null = null;
  /** Batches of the store up to this one have ended. */
  #ended = 0;

  constructor(later: Later) {
    this.#later = later;
  }

  attach(store: Store): void {
    this.#store = store;
  }

  /** The store of one caller. All spaces must be opened before the first is closed: the last to close closes the store. */
  open(space: number, sink: StoreSink): Store {
    assert(this.#store !== null, "a shared store is attached first");
    assert(space >= 0 && space < SPACES && !this.#spaces.has(space), "spaces have numbers of their own");
    const made = new SpaceStore(space, this.#store, this, sink, this.#later);
    this.#spaces.set(space, made);
    return made;
  }

  /** Hands over what everybody has put and asked. */
  submit(store: Store): void {
    const batch = store.submit();
    if (batch > 0) for (const space of this.#spaces.values()) space.onSubmitted(batch);
  }

  hasEnded(batch: number): boolean {
    return batch <= this.#ended;
  }

  /** A read's tag at the store. */
  tagOf(space: SpaceStore, tag: number): number {
    this.#reads.set(++this.#lastRead, { space, tag });
    return this.#lastRead;
  }

  /** A caller needs its space no more. */
  leave(space: number, done: () => void): void {
    this.#spaces.delete(space);
    if (this.#spaces.size > 0) done();
    else this.#store?.close(done);
  }

  onDurable(batch: number, status: StoreStatus): void {
    this.#ended = batch;
    for (const space of [...this.#spaces.values()]) space.onEnded(batch, status);
  }

  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    const asked = this.#reads.get(tag);
    this.#reads.delete(tag);
    asked?.space.onRead(asked.tag, status, value);
  }

  onFailed(message: string): void {
    for (const space of [...this.#spaces.values()]) space.onFailed(message);
  }

  onDamaged(key: Key, position: number): void {
    this.#spaces.get(spaceOf(key))?.onDamaged(keyInSpace(key), position);
  }
}

class SpaceStore implements Store {
  readonly facts: StoreFacts;
  readonly #number: number;
  readonly #prefix: string;
  readonly #store: Store;
  readonly #shared: SharedStore;
  readonly #sink: StoreSink;
  readonly #later: Later;
  /** Where the space's keys begin and end in a walk of the store. */
  readonly #begin: bigint;
  readonly #end: bigint;
  readonly #keys: Key[] = [];
  readonly #closing: (() => void)[] = [];
  #phase: "open" | "closing" | "closed" = "open";
  /** Something was put, marked or dropped since the store's last batch. */
  #isChanged = false;
  /** Batches of the store since the last own submit that hold something of this space, and how the worst of them ended. */
  #batches: number[] = [];
  #status: StoreStatus = "ok";
  #handed: Handed[] = [];
  #token = 0;
  /** Reads that were not answered. */
  #reads = 0;
  #gatheredReads: GatheredRead[] = [];

  constructor(number: number, store: Store, shared: SharedStore, sink: StoreSink, later: Later) {
    this.#number = number;
    this.#prefix = spacePrefix(number);
    this.#store = store;
    this.#shared = shared;
    this.#sink = sink;
    this.#later = later;
    this.#begin = this.placeOfBucket(0);
    this.#end = this.placeOfBucket(DIGEST_BUCKETS);
    // What other spaces hold says nothing about whether this one is new.
    this.facts = { ...store.facts, recoveredKeys: this.#isEmpty() ? 0 : store.facts.recoveredKeys };
  }

  #isEmpty(): boolean {
    const cursor = this.beginIteration();
    let seen = 0;
    while (!cursor.done && seen === 0) this.iterate(cursor, 1, () => seen++);
    return seen === 0;
  }

  #inStore(key: Key): Key {
    return (this.#prefix + key) as Key; // a key of the store: mark, number of the space, key
  }

  load(keys: readonly Key[], results: LoadedKey[]): void {
    assert(this.#phase !== "closed", "load after close");
    this.#keys.length = 0;
    for (const key of keys) this.#keys.push(this.#inStore(key));
    this.#store.load(this.#keys, results);
  }

  newest(key: Key): Uint8Array | null | "on-disk" | "corrupt" {
    return this.#store.newest(this.#inStore(key));
  }

  put(key: Key, position: number, floor: number, header: Uint8Array, value: Uint8Array): void {
    if (this.#phase === "open") this.#store.put(this.#inStore(key), position, floor, header, value);
    this.#isChanged = true;
  }

  mark(key: Key, position: number, floor: number, header: Uint8Array): void {
    if (this.#phase === "open") this.#store.mark(this.#inStore(key), position, floor, header);
    this.#isChanged = true;
  }

  drop(key: Key): void {
    if (this.#phase === "open") this.#store.drop(this.#inStore(key));
    this.#isChanged = true;
  }

  read(tag: number, key: Key, position: number): void {
    this.#gatheredReads.push({ tag, key: this.#inStore(key), position });
  }

  submit(): number {
    if (this.#phase !== "open") return this.#submitClosed();
    this.#reads += this.#gatheredReads.length;
    for (const { tag, key, position } of this.#gatheredReads) {
      this.#store.read(this.#shared.tagOf(this, tag), key, position);
    }
    this.#gatheredReads.length = 0;
    this.#shared.submit(this.#store);
    const batches = this.#batches;
    if (batches.length === 0) return 0;
    const handed: Handed = { token: ++this.#token, batches, status: this.#status };
    this.#batches = [];
    this.#status = "ok";
    this.#handed.push(handed);
    // It left with the batch of another caller, and that has ended since.
    if (this.#shared.hasEnded(batches.at(-1) ?? 0)) this.#later(this.#tellEnded);
    return handed.token;
  }

  #submitClosed(): number {
    const token = this.#isChanged ? ++this.#token : 0;
    const reads = this.#gatheredReads.splice(0);
    this.#isChanged = false;
    this.#later(() => {
      if (token > 0) this.#sink.onDurable(token, "closed");
      for (const { tag } of reads) this.#sink.onRead(tag, "closed", null);
    });
    return token;
  }

  /** The store has a new batch. */
  onSubmitted(batch: number): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.#batches.push(batch);
  }

  /** A batch of the store has ended, with all before it. */
  onEnded(batch: number, status: StoreStatus): void {
    if (status !== "ok") {
      if (this.#batches.includes(batch)) this.#status = status;
      for (const handed of this.#handed) if (handed.batches.includes(batch)) handed.status = status;
    }
    this.#tellEnded();
  }

  readonly #tellEnded = (): void => {
    for (let first = this.#handed[0]; first !== undefined; first = this.#handed[0]) {
      if (!this.#shared.hasEnded(first.batches.at(-1) ?? 0)) break;
      this.#handed.shift();
      this.#sink.onDurable(first.token, first.status);
    }
    this.#leaveWhenDone();
  };

  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    this.#reads--;
    this.#sink.onRead(tag, status, value);
    this.#leaveWhenDone();
  }

  onFailed(message: string): void {
    this.#sink.onFailed(message);
  }

  onDamaged(key: Key, position: number): void {
    this.#sink.onDamaged(key, position);
  }

  watermark(): number {
    return this.#store.watermark();
  }

  stats(): StoreStats {
    const stats = this.#store.stats();
    return this.#phase === "closed" ? { ...stats, state: "closed" } : stats;
  }

  isFull(): boolean {
    return this.#store.isFull();
  }

  isShort(): boolean {
    return this.#store.isShort();
  }

  beginIteration(from = 0n, until?: bigint): Cursor {
    return this.#store.beginIteration(from < this.#begin ? this.#begin : from, until ?? this.#end);
  }

  /** The store's buckets are coarser than the caller's: all keys of one stand in the first of those that it stands for. */
  placeOfBucket(bucket: number): bigint {
    return this.#store.placeOfBucket(this.#number * SPACE_BUCKETS + Math.ceil(bucket / BUCKETS_PER_BUCKET));
  }

  iterate(cursor: Cursor, limit: number, visit: KeyVisitor): void {
    this.#store.iterate(cursor, limit, (key, position, header) => {
      visit(keyInSpace(key), position, header);
    });
  }

  forEachKey(visit: KeyVisitor): void {
    const cursor = this.beginIteration();
    while (!cursor.done) this.iterate(cursor, KEYS_PER_SCAN, visit);
  }

  digests(first: number, count: number): BigUint64Array {
    assert(first >= 0 && count >= 0 && first + count <= DIGEST_BUCKETS, "D20: there are 65,536 buckets");
    const from = Math.ceil(first / BUCKETS_PER_BUCKET);
    const end = Math.ceil((first + count) / BUCKETS_PER_BUCKET);
    const own = this.#store.digests(this.#number * SPACE_BUCKETS + from, end - from);
    const result = new BigUint64Array(count);
    for (const [i, digest] of own.entries()) result[(from + i) * BUCKETS_PER_BUCKET - first] = digest;
    return result;
  }

  setMerge(options: MergeOptions): void {
    this.#store.setMerge(options);
  }

  setScrub(options: ScrubOptions): void {
    this.#store.setScrub(options);
  }

  /** What was handed over ends first; what was not never was, or goes with somebody else's batch. */
  close(done: () => void): void {
    if (this.#phase === "closed") {
      this.#later(done);
      return;
    }
    this.#closing.push(done);
    if (this.#phase === "closing") return;
    this.#phase = "closing";
    this.#isChanged = false;
    const reads = this.#gatheredReads.splice(0);
    this.#later(() => {
      for (const { tag } of reads) this.#sink.onRead(tag, "closed", null);
      this.#leaveWhenDone();
    });
  }

  #leaveWhenDone(): void {
    if (this.#phase !== "closing" || this.#handed.length > 0 || this.#reads > 0) return;
    this.#phase = "closed";
    this.#shared.leave(this.#number, () => {
      for (const tell of this.#closing.splice(0)) tell();
    });
  }
}
