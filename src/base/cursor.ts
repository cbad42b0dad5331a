/**
 * Byte cursors: the only way bytes are written and read above the engine. Little-endian. The writer grows; the reader
 * never throws on bad input: it goes into `failed` and yields zeros, and the caller checks once at the end.
 */
import { assert } from "./assert.js";

const MAX_SAFE = Number.MAX_SAFE_INTEGER;

export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written, as a view that the next write may invalidate. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as an own copy. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
  }

  #reserve(count: number): void {
    const need = this.#length + count;
    if (need <= this.#bytes.length) return;
    let capacity = this.#bytes.length * 2;
    while (capacity < need) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = value;
    this.#bytes[this.#length++] = value >>> 8;
  }

  u32(value: number): void {
    this.#reserve(4);
    const bytes = this.#bytes;
    bytes[this.#length++] = value;
    bytes[this.#length++] = value >>> 8;
    bytes[this.#length++] = value >>> 16;
    bytes[this.#length++] = value >>> 24;
  }

  /** A safe integer in 8 bytes. */
  u53(value: number): void {
    assert(value >= 0 && value <= MAX_SAFE, "section 8: not an integer below 2^53");
    this.u32(value % 0x1_0000_0000);
    this.u32(Math.floor(value / 0x1_0000_0000));
  }

  /** A safe integer, 7 bits a byte, lowest first: 1 to 8 bytes. */
  varint(value: number): void {
    assert(value >= 0 && value <= MAX_SAFE, "section 8: not an integer below 2^53");
    this.#reserve(8);
    while (value >= 0x80) {
      this.#bytes[this.#length++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.#length++] = value;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Length as varint, then the bytes. */
  blob(value: Uint8Array): void {
    this.varint(value.length);
    this.bytes(value);
  }

  /** A latin1 string: length as varint, then one byte per character. */
  latin1(value: string): void {
    this.varint(value.length);
    this.#reserve(value.length);
    for (let i = 0; i < value.length; i++) this.#bytes[this.#length++] = value.charCodeAt(i);
  }

  /** Overwrites four bytes at `offset` that were written before. */
  patchU32(offset: number, value: number): void {
    assert(offset + 4 <= this.#length, "patch beyond what was written");
    const bytes = this.#bytes;
    bytes[offset] = value;
    bytes[offset + 1] = value >>> 8;
    bytes[offset + 2] = value >>> 16;
    bytes[offset + 3] = value >>> 24;
  }
}

const EMPTY = new Uint8Array(0);

export class ByteReader {
  #bytes: Uint8Array;
  #at: number;
  #end: number;
  /** True once a read went beyond the end or met a value out of range. */
  failed = false;

  constructor(bytes: Uint8Array = EMPTY) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** Starts over on other bytes. */
  reset(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
    this.failed = false;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  get position(): number {
    return this.#at;
  }

  #take(count: number): number {
    const at = this.#at;
    if (this.failed || count > this.#end - at) {
      this.failed = true;
      return -1;
    }
    this.#at = at + count;
    return at;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : (this.#bytes[at] ?? 0);
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8);
  }

  u32(): number {
    const at = this.#take(4);
    if (at < 0) return 0;
    const bytes = this.#bytes;
    return (
      ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>>
      0
    );
  }

  u53(): number {
    const low = this.u32();
    const high = this.u32();
    if (this.failed || high > 0x1fffff) {
      this.failed = true;
      return 0;
    }
    return high * 0x1_0000_0000 + low;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > MAX_SAFE) break;
        return this.failed ? 0 : value;
      }
      scale *= 0x80;
    }
    this.failed = true;
    return 0;
  }

  /** A view of the next `count` bytes; it shares memory with what is read. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return at < 0 ? EMPTY : this.#bytes.subarray(at, at + count);
  }

  /** A view of a length-prefixed run of bytes. */
  blob(): Uint8Array {
    return this.bytes(this.varint());
  }

  latin1(): string {
    const bytes = this.blob();
    let text = "";
    for (let i = 0; i < bytes.length; i += 4096) {
      text += String.fromCharCode(...bytes.subarray(i, i + 4096));
    }
    return text;
  }
}
