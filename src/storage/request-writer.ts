/**
 * Packs operations into the one growing buffer that submit hands to C++, and keys into that of load. Layout: layout.ts.
 * All numbers are written through aligned typed arrays over one ArrayBuffer, which is replaced by a larger one when it
 * is full and kept otherwise. It must not know what happens to a request.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import { LAYOUT } from "./layout.js";
import { HEADER_BYTES } from "./store.js";

const INITIAL_BYTES = 64 << 10;
/**
 * A buffer that grew is kept while requests need it, and given up after so many in a row that would have fitted into a
 * quarter of it: one large batch does not hold memory for ever, and a stream of them does not pay for growing each time.
 */
const SMALL_REQUESTS = 64;
/** A larger buffer goes with the first request that does not need it. */
const HUGE_BYTES = 64 << 20;
/** A request must have its bound: this much is gathered at most between two submits. */
const MAX_REQUEST_BYTES = 1 << 30;

export class RequestWriter {
  buffer = new ArrayBuffer(INITIAL_BYTES);
  /** Bytes used. */
  length = 0;
  #u8 = new Uint8Array(this.buffer);
  #u32 = new Uint32Array(this.buffer);
  #f64 = new Float64Array(this.buffer);
  #smallRequests = 0;

  reset(): void {
    const isSmall = this.buffer.byteLength > INITIAL_BYTES && this.length <= this.buffer.byteLength / 4;
    this.#smallRequests = isSmall ? this.#smallRequests + 1 : 0;
    this.length = 0;
    const isHuge = isSmall && this.buffer.byteLength > HUGE_BYTES;
    if (this.#smallRequests < SMALL_REQUESTS && !isHuge) return;
    this.#smallRequests = 0;
    this.#replace(new ArrayBuffer(INITIAL_BYTES));
  }

  #replace(buffer: ArrayBuffer): void {
    this.buffer = buffer;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f64 = new Float64Array(buffer);
  }

  #reserve(count: number): void {
    const need = this.length + count;
    if (need <= this.buffer.byteLength) return;
    assert(need <= MAX_REQUEST_BYTES, "D21: a batch of more than 1 GiB");
    let capacity = this.buffer.byteLength * 2;
    while (capacity < need) capacity *= 2;
    // Not zeroed: what is between operations nobody reads.
    const grown = Buffer.allocUnsafeSlow(capacity);
    assert(grown.byteOffset === 0 && grown.buffer.byteLength === capacity, "a buffer of its own");
    grown.set(this.#u8.subarray(0, this.length));
    this.#replace(grown.buffer);
  }

  put(key: Key, position: number, floor: number, header: Uint8Array, value: Uint8Array): void {
    this.#operation(LAYOUT.opPut, key, position, floor, header, value.length);
    this.#u8.set(value, this.length);
    this.#end(value.length);
  }

  mark(key: Key, position: number, floor: number, header: Uint8Array): void {
    this.#operation(LAYOUT.opMark, key, position, floor, header, 0);
    this.#end(0);
  }

  drop(key: Key): void {
    this.#operation(LAYOUT.opDrop, key, 0, 0, null, 0);
    this.#end(0);
  }

  read(tag: number, key: Key, position: number): void {
    this.#operation(LAYOUT.opRead, key, position, tag, null, 0);
    this.#end(0);
  }

  /** Writes everything but the value, and leaves `length` where the value starts. */
  #operation(
    kind: number,
    key: Key,
    position: number,
    floorOrTag: number,
    header: Uint8Array | null,
    valueBytes: number,
  ): void {
    this.#reserve(LAYOUT.opFixedBytes + key.length + valueBytes + 8);
    const at = this.length;
    const word = at >>> 2;
    this.#u32[word + (LAYOUT.opKind >>> 2)] = kind;
    this.#u32[word + (LAYOUT.opKeyBytes >>> 2)] = key.length;
    this.#u32[word + (LAYOUT.opValueBytes >>> 2)] = valueBytes;
    this.#f64[(at + LAYOUT.opPosition) >>> 3] = position;
    this.#f64[(at + LAYOUT.opFloor) >>> 3] = floorOrTag;
    if (header !== null) {
      const to = at + LAYOUT.opHeader;
      for (let i = 0; i < HEADER_BYTES; i++) this.#u8[to + i] = header[i] ?? 0;
    }
    writeKey(this.#u8, at + LAYOUT.opFixedBytes, key);
    this.length = at + LAYOUT.opFixedBytes + key.length;
  }

  #end(valueBytes: number): void {
    this.length = (this.length + valueBytes + 7) & ~7;
  }

  /** One key of a load. */
  loadKey(key: Key): void {
    checkKey(key);
    this.#reserve(4 + key.length + 4);
    const at = this.length;
    this.#u32[at >>> 2] = key.length;
    writeKey(this.#u8, at + 4, key);
    this.length = (at + 4 + key.length + 3) & ~3;
  }
}

/** A key's bytes into a buffer with room for them. */
export function writeKey(bytes: Uint8Array, at: number, key: Key): void {
  let all = 0;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    all |= code;
    bytes[at + i] = code;
  }
  assert(all < 256, "a key holds a character that is no byte");
}

export function checkKey(key: Key): void {
  assert(key.length >= 1 && key.length <= LAYOUT.maxKeyBytes, "a key has 1 to 65535 bytes");
}

export function checkPut(key: Key, position: number, floor: number, header: Uint8Array): void {
  checkKey(key);
  assert(header.length === HEADER_BYTES, "D4: a header has its fixed size");
  assert(Number.isSafeInteger(position) && Number.isSafeInteger(floor), "D5: not an integer below 2^53");
  assert(floor >= 0 && floor <= position && position - floor <= 1, "D5: the floor is the position or one below");
}

export function checkMark(key: Key, position: number, floor: number, header: Uint8Array): void {
  checkKey(key);
  assert(header.length === HEADER_BYTES, "D4: a header has its fixed size");
  assert(Number.isSafeInteger(position) && Number.isSafeInteger(floor), "D5: not an integer below 2^53");
  assert(floor >= 0 && floor <= position, "D5: the floor of a mark is at most its position");
}
