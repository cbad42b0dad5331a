/**
 * The Store over the native engine. What it owns is the crossing (D21): one native call a turn for the batch and the
 * reads, one a turn for all loads, one wake-up for many completions. Native memory is never touched from here, packed
 * buffers are never trusted over there. It must not know what is in a header or a value.
 *
 * An open store does not keep the process alive; one that owes an answer does. A store that nobody can reach any more and
 * that owes nothing is closed by the garbage collector.
 */
import { assert } from "../base/assert.js";
import { type Key, rawKey } from "../base/key.js";
import type { HandleOwner, OpenHandle } from "./addon.js";
import { LAYOUT } from "./layout.js";
import { resultAt } from "./loaded-key.js";
import { NativeCursor } from "./native-cursor.js";
import { readStats } from "./native-stats.js";
import { checkKey, checkMark, checkPut, RequestWriter, writeKey } from "./request-writer.js";
import {
  type Cursor,
  DIGEST_BUCKETS,
  HEADER_BYTES,
  type KeyVisitor,
  type LoadedKey,
  type MergeOptions,
  type ScrubOptions,
  type SlotView,
  type Store,
  type StoreFacts,
  type StoreSink,
  type StoreStats,
  type StoreStatus,
} from "./store.js";
import { ValueSlab } from "./value-slab.js";

const EVENTS_PER_DRAIN = 512;
const KEYS_PER_SCAN = 4096;
const EMPTY = new Uint8Array(0);
/** By number of the engine's status code. */
const STATUSES: readonly StoreStatus[] = ["ok", "disk-full", "failed", "corrupt", "too-large", "closed"];

/** What a store needs of the process around it. */
export interface StoreHost {
  /** The store owes answers from now on, or until `rests` does: neither may it be collected, nor may the process end. */
  owes(store: NativeStore): void;
  rests(store: NativeStore): void;
  /** Calls `run` once, later. */
  later(run: () => void): void;
}

const busy = new Set<NativeStore>();

/** An ordinary process: the event loop. */
const EVENT_LOOP: StoreHost = {
  owes: (store) => busy.add(store),
  rests: (store) => busy.delete(store),
  later: setImmediate,
};

/** Behind every key. */
const END = 2n ** 64n - 1n;

export class NativeStore implements Store, HandleOwner {
  readonly facts: StoreFacts;
  readonly #handle: OpenHandle;
  readonly #sink: StoreSink;
  readonly #host: StoreHost;

  readonly #batch = new RequestWriter();
  readonly #loads = new RequestWriter();
  readonly #slab = new ValueSlab(0);
  /** Of `newest`: the key lies at its front. */
  readonly #newest = new ValueSlab(LAYOUT.getFirst);
  /** Gathered since the last submit, in one buffer: the number of changes, and the tags of the reads. */
  #changes = 0;
  #tags: number[] = [];
  #token = 0;
  #owed = 0;

  #result = new ArrayBuffer(LAYOUT.loadedBytes * 64);
  #resultU8 = new Uint8Array(this.#result);
  #resultU32 = new Uint32Array(this.#result);
  #resultF64 = new Float64Array(this.#result);
  readonly #events = new ArrayBuffer(LAYOUT.eventsFirst + EVENTS_PER_DRAIN * LAYOUT.eventBytes);
  readonly #eventsU32 = new Uint32Array(this.#events);
  readonly #eventsF64 = new Float64Array(this.#events);
  readonly #single: LoadedKey[] = [];
  readonly #stats = new Float64Array(LAYOUT.statCount);

  #phase: "open" | "closing" | "closed" = "open";
  readonly #closing: (() => void)[] = [];
  #lastWatermark = 0;

  constructor(handle: OpenHandle, facts: StoreFacts, sink: StoreSink, host: StoreHost = EVENT_LOOP) {
    this.#handle = handle;
    this.facts = facts;
    this.#sink = sink;
    this.#host = host;
  }

  load(keys: readonly Key[], results: LoadedKey[]): void {
    assert(this.#phase === "open", "load after close");
    for (let first = 0; first < keys.length; first += LAYOUT.maxLoadKeys) {
      this.#loadSome(keys, results, first, Math.min(keys.length - first, LAYOUT.maxLoadKeys));
    }
  }

  #loadSome(keys: readonly Key[], results: LoadedKey[], first: number, count: number): void {
    this.#loads.reset();
    for (let i = 0; i < count; i++) {
      const key = keys[first + i];
      assert(key !== undefined, "load: a hole in the list of keys");
      this.#loads.loadKey(key);
    }
    this.#growResult(count * LAYOUT.loadedBytes);
    const slab = this.#slab;
    slab.prepare();
    for (;;) {
      const request = this.#loads;
      const end = this.#handle.load(request.buffer, request.length, count, this.#result, slab.buffer, slab.at);
      if (end >= 0) {
        slab.at = end;
        break;
      }
      // What is in memory may have grown when it asks again: then it asks once more.
      slab.renew(-end);
    }
    for (let i = 0; i < count; i++) this.#takeLoaded(i * LAYOUT.loadedBytes, resultAt(results, first + i));
  }

  #growResult(bytes: number): void {
    if (this.#result.byteLength >= bytes) return;
    let capacity = this.#result.byteLength;
    while (capacity < bytes) capacity *= 2;
    this.#result = new ArrayBuffer(capacity);
    this.#resultU8 = new Uint8Array(this.#result);
    this.#resultU32 = new Uint32Array(this.#result);
    this.#resultF64 = new Float64Array(this.#result);
  }

  #takeLoaded(at: number, into: LoadedKey): void {
    const slots = this.#resultU32[(at + LAYOUT.loadedSlots) >>> 2] ?? 0;
    into.slots = slots === 0 ? 0 : slots === 1 ? 1 : 2;
    into.corrupt = ((this.#resultU32[(at + LAYOUT.loadedFlags) >>> 2] ?? 0) & LAYOUT.flagCorrupt) !== 0;
    const first = at + LAYOUT.loadedFirst;
    if (slots > 0) this.#takeSlot(first, into.slot[0]);
    if (slots > 1) this.#takeSlot(first + LAYOUT.loadedSlotBytes, into.slot[1]);
  }

  #takeSlot(at: number, into: SlotView): void {
    into.position = this.#resultF64[(at + LAYOUT.slotPosition) >>> 3] ?? 0;
    into.floor = this.#resultF64[(at + LAYOUT.slotFloor) >>> 3] ?? 0;
    into.lsn = this.#resultF64[(at + LAYOUT.slotLsn) >>> 3] ?? 0;
    const from = at + LAYOUT.slotHeader;
    for (let i = 0; i < HEADER_BYTES; i++) into.header[i] = this.#resultU8[from + i] ?? 0;
    if (this.#resultU32[(at + LAYOUT.slotInSlab) >>> 2] === 1) {
      const offset = this.#resultU32[(at + LAYOUT.slotOffset) >>> 2] ?? 0;
      into.value = viewOf(this.#slab.buffer, offset, this.#resultU32[(at + LAYOUT.slotBytes) >>> 2] ?? 0);
    } else {
      into.value = null;
    }
    into.valueBytes = this.#resultU32[(at + LAYOUT.slotBytes) >>> 2] ?? 0;
  }

  newest(key: Key): Uint8Array | null | "on-disk" | "corrupt" {
    assert(this.#phase === "open", "newest after close");
    checkKey(key);
    if (key.length > LAYOUT.getFirst) return this.#newestOfLongKey(key);
    const slab = this.#newest;
    slab.prepare();
    writeKey(slab.u8, 0, key);
    let bytes = this.#handle.get(slab.buffer, key.length, slab.at);
    while (bytes < LAYOUT.getNoRoom) {
      slab.renew(LAYOUT.getNoRoom - bytes);
      writeKey(slab.u8, 0, key);
      bytes = this.#handle.get(slab.buffer, key.length, slab.at);
    }
    if (bytes >= 0) return slab.take(bytes);
    if (bytes === LAYOUT.getAbsent) return null;
    return bytes === LAYOUT.getOnDisk ? "on-disk" : "corrupt";
  }

  #newestOfLongKey(key: Key): Uint8Array | null | "on-disk" | "corrupt" {
    this.load([key], this.#single);
    const found = this.#single[0];
    assert(found !== undefined, "load fills what it is given");
    if (found.corrupt) return "corrupt";
    if (found.slots === 0) return null;
    return (found.slots === 2 ? found.slot[1] : found.slot[0]).value ?? "on-disk";
  }

  put(key: Key, position: number, floor: number, header: Uint8Array, value: Uint8Array): void {
    checkPut(key, position, floor, header);
    this.#batch.put(key, position, floor, header, value);
    this.#changes++;
  }

  mark(key: Key, position: number, floor: number, header: Uint8Array): void {
    checkMark(key, position, floor, header);
    this.#batch.mark(key, position, floor, header);
    this.#changes++;
  }

  drop(key: Key): void {
    checkKey(key);
    this.#batch.drop(key);
    this.#changes++;
  }

  read(tag: number, key: Key, position: number): void {
    checkKey(key);
    assert(Number.isSafeInteger(tag) && tag >= 0, "a tag is an integer below 2^53");
    assert(Number.isSafeInteger(position) && position >= 0, "D5: not an integer below 2^53");
    this.#batch.read(tag, key, position);
    this.#tags.push(tag);
  }

  submit(): number {
    if (this.#batch.length === 0) return 0;
    let token = 0;
    if (this.#changes > 0) {
      this.#token++;
      token = this.#token;
    }
    if (this.#phase === "open") {
      this.#owe(this.#tags.length + (token > 0 ? 1 : 0));
      this.#handle.submit(this.#batch.buffer, this.#batch.length, token);
    } else {
      this.#answerClosed(token, this.#tags.slice());
    }
    this.#dropGathered();
    return token;
  }

  #dropGathered(): void {
    this.#batch.reset();
    this.#changes = 0;
    this.#tags.length = 0;
  }

  /** After close: answered from here, later, because nothing is below any more. */
  #answerClosed(token: number, tags: readonly number[]): void {
    this.#host.later(() => {
      if (token > 0) this.#sink.onDurable(token, "closed");
      for (const tag of tags) this.#sink.onRead(tag, "closed", null);
    });
  }

  #owe(count: number): void {
    if (this.#owed === 0 && count > 0) {
      this.#host.owes(this);
      this.#handle.ref();
    }
    this.#owed += count;
    assert(this.#owed >= 0, "D21: an answer that nobody asked for");
    if (this.#owed === 0) {
      this.#host.rests(this);
      this.#handle.unref();
    }
  }

  /** Called through the handle, once for many completions. */
  onWake(reason: number): void {
    if (reason === LAYOUT.wakeClosed) this.#handle.finishClose();
    this.#drain();
    if (reason === LAYOUT.wakeClosed) this.#finishClose();
  }

  #drain(): void {
    const slab = this.#slab;
    for (;;) {
      slab.prepare();
      const count = this.#handle.drain(this.#events, slab.buffer, slab.at);
      if (count === 0) return;
      if (count < 0) {
        slab.renew(-count);
        continue;
      }
      // The sink may load, and so take from the slab, while events are told: remember which slab they lie in.
      const buffer = slab.buffer;
      slab.at = this.#eventsF64[LAYOUT.eventsSlabEnd >>> 3] ?? 0;
      for (let i = 0; i < count; i++) this.#tell(LAYOUT.eventsFirst + i * LAYOUT.eventBytes, buffer);
    }
  }

  #tell(at: number, slab: ArrayBuffer): void {
    const word = at >>> 2;
    const kind = this.#eventsU32[word + (LAYOUT.eventKind >>> 2)];
    const code = this.#eventsU32[word + (LAYOUT.eventStatus >>> 2)] ?? 0;
    const tag = this.#eventsF64[(at + LAYOUT.eventTag) >>> 3] ?? 0;
    let value: Uint8Array | null = null;
    if (this.#eventsU32[word + (LAYOUT.eventHasValue >>> 2)] === 1) {
      const offset = this.#eventsU32[word + (LAYOUT.eventOffset >>> 2)] ?? 0;
      value = viewOf(slab, offset, this.#eventsU32[word + (LAYOUT.eventValueBytes >>> 2)] ?? 0);
    }
    if (kind === LAYOUT.eventBatch) {
      this.#owe(-1);
      this.#sink.onDurable(tag, statusOf(code));
    } else if (kind === LAYOUT.eventRead) {
      this.#owe(-1);
      // A record that is not there is no error of the store: ok, and no value.
      if (code === LAYOUT.statusNotFound) this.#sink.onRead(tag, "ok", null);
      else this.#sink.onRead(tag, statusOf(code), value);
    } else if (kind === LAYOUT.eventDamaged) {
      this.#sink.onDamaged(rawKey(Buffer.from(value ?? EMPTY).toString("latin1")), tag);
    } else {
      this.#sink.onFailed(Buffer.from(value ?? EMPTY).toString("utf8"));
    }
  }

  watermark(): number {
    if (this.#phase === "open") this.#lastWatermark = this.#handle.watermark();
    return this.#lastWatermark;
  }

  stats(): StoreStats {
    if (this.#phase === "open") this.#handle.stats(this.#stats.buffer);
    return readStats(this.#stats, this.#phase !== "open");
  }

  isFull(): boolean {
    return this.#phase === "open" && this.#handle.isFull();
  }

  isShort(): boolean {
    return this.#phase === "open" && this.#handle.isShort();
  }

  beginIteration(from = 0n, until = END): Cursor {
    return new NativeCursor(from, until);
  }

  placeOfBucket(bucket: number): bigint {
    return bucket === DIGEST_BUCKETS ? END : BigInt(bucket) << 48n;
  }

  iterate(cursor: Cursor, limit: number, visit: KeyVisitor): void {
    assert(this.#phase === "open", "iterate after close");
    assert(cursor instanceof NativeCursor, "a cursor of another store");
    assert(Number.isSafeInteger(limit) && limit >= 1, "at least one key a call");
    cursor.advance(this.#handle, Math.min(limit, LAYOUT.maxScanKeys), visit);
  }

  forEachKey(visit: KeyVisitor): void {
    const cursor = this.beginIteration();
    while (!cursor.done) this.iterate(cursor, KEYS_PER_SCAN, visit);
  }

  digests(first: number, count: number): BigUint64Array {
    assert(this.#phase === "open", "digests after close");
    const result = new BigUint64Array(count);
    this.#handle.digests(first, count, result.buffer);
    return result;
  }

  setMerge(options: MergeOptions): void {
    if (this.#phase === "open") this.#handle.setMerge(options);
  }

  setScrub(options: ScrubOptions): void {
    if (this.#phase === "open") this.#handle.setScrub(options);
  }

  close(done: () => void): void {
    if (this.#phase === "closed") {
      this.#host.later(done);
      return;
    }
    this.#closing.push(done);
    if (this.#phase === "closing") return;
    this.stats();
    this.watermark();
    // A batch that was not submitted never was; reads get their answer.
    if (this.#tags.length > 0) this.#answerClosed(0, this.#tags.slice());
    this.#dropGathered();
    this.#phase = "closing";
    this.#host.owes(this);
    this.#handle.close();
  }

  #finishClose(): void {
    this.#phase = "closed";
    this.#host.rests(this);
    for (const done of this.#closing.splice(0)) done();
  }
}

function viewOf(slab: ArrayBuffer, offset: number, bytes: number): Uint8Array {
  return bytes === 0 ? EMPTY : new Uint8Array(slab, offset, bytes);
}

function statusOf(code: number): StoreStatus {
  const status = STATUSES[code];
  assert(status !== undefined, "D21: the engine answered with an unknown status");
  return status;
}
