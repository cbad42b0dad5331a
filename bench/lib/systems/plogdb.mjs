// The engine as a plain key-value store, through the addon. The only file of the benches that knows how our storage is
// called. Puts of one turn of the event loop go down in one batch.
import { statfsSync } from "node:fs";
import { emptyLoadedKey, HEADER_BYTES, openNativeStore } from "../../../dist/storage/index.js";

const HEADER = new Uint8Array(HEADER_BYTES);
const FILL_IN_FLIGHT = 8;
/** The engine's defaults. */
const MERGE = { bytesPerSecond: 256 << 20, operationsPerSecond: 1000, hours: 0x00ffffff };

export const name = "plogdb";
export const settings = "durability flush (write + fdatasync, O_DIRECT)";
export const version = () => "this checkout";

class PlogdbSystem {
  #store;
  #waiting = new Map(); // token -> callbacks
  #gathered = [];
  #loaded = [emptyLoadedKey()];
  #reads = new Map();
  #nextTag = 0;

  attach(store) {
    this.#store = store;
  }

  onDurable(token, status) {
    if (status !== "ok") throw new Error(`plogdb: a batch ended with ${status}`);
    const callbacks = this.#waiting.get(token);
    if (callbacks === undefined) return;
    this.#waiting.delete(token);
    for (const done of callbacks) done();
  }

  onRead(tag, status, value) {
    const done = this.#reads.get(tag);
    this.#reads.delete(tag);
    if (status !== "ok") throw new Error(`plogdb: a read ended with ${status}`);
    done(value);
  }

  onFailed(message) {
    throw new Error(`plogdb: ${message}`);
  }

  onDamaged(key) {
    throw new Error(`plogdb: ${key} is damaged`);
  }

  put(key, value, done) {
    this.#store.put(key, 0, 0, HEADER, value);
    this.#gather(done);
  }

  batch(pairs, done) {
    for (const [key, value] of pairs) this.#store.put(key, 0, 0, HEADER, value);
    this.#gather(done);
  }

  #gather(done) {
    this.#gathered.push(done);
    if (this.#gathered.length === 1) queueMicrotask(() => this.#submit());
  }

  #submit() {
    const callbacks = this.#gathered;
    this.#gathered = [];
    this.#waiting.set(this.#store.submit(), callbacks);
  }

  /** Batches one after the other, several under way. Resolves when all are durable. */
  fill(batches) {
    return new Promise((resolve) => {
      let underWay = 0;
      let ended = false;
      const more = () => {
        while (underWay < FILL_IN_FLIGHT && !ended) {
          const { value: pairs, done } = batches.next();
          ended = done === true;
          if (ended) break;
          underWay++;
          this.batch(pairs, () => {
            underWay--;
            more();
          });
        }
        if (ended && underWay === 0) resolve();
      };
      more();
    });
  }

  /** As the storage API's peek asks. */
  get(key) {
    const value = this.#store.newest(key);
    return value instanceof Uint8Array ? value : undefined;
  }

  /** Values of many keys with one call of the addon, as a turn of a server asks. */
  getMany(keys) {
    while (this.#loaded.length < keys.length) this.#loaded.push(emptyLoadedKey());
    this.#store.load(keys, this.#loaded);
    return this.#loaded[0].slot[0].value ?? undefined;
  }

  /** From memory or disk, answered later. */
  read(key, done) {
    const tag = this.#nextTag++;
    this.#reads.set(tag, done);
    this.#store.read(tag, key, 0);
    if (this.#reads.size === 1) queueMicrotask(() => this.#store.submit());
  }

  /** The figures that the benches look at; undefined where the engine does not tell. */
  stats() {
    const { bytesWritten, runs, bytesTotal, indexBytes, space, merge } = this.#store.stats();
    return {
      bytesWritten,
      runs,
      bytesTotal,
      indexBytes,
      usableBytes: space?.usableBytes,
      liveBytes: space?.liveBytes,
      zeroFilledBytes: space?.zeroFilledBytes,
      mergedBytes: merge?.bytesCopied,
      mergedExtents: merge?.extents,
    };
  }

  /** False when the engine has no merge to pause. */
  pauseMerge(paused) {
    if (this.#store.setMerge === undefined) return false;
    this.#store.setMerge({ ...MERGE, paused });
    return true;
  }

  facts() {
    return this.#store.facts;
  }

  close() {
    return new Promise((resolve) => this.#store.close(resolve));
  }
}

export function open(dir, { sizeBytes, cacheBytes }) {
  const free = statfsSync(dir);
  const room = free.bavail * free.bsize * 0.8;
  const system = new PlogdbSystem();
  const options = {
    volumes: [dir],
    sizeBytes: Math.min(sizeBytes, room),
    nodeId: "bench",
    cacheBytes,
  };
  return new Promise((resolve, reject) => {
    openNativeStore(options, system, (error, store) => {
      if (error !== null) return reject(error);
      system.attach(store);
      resolve(system);
    });
  });
}
