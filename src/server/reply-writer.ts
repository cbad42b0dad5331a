/**
 * Replies to bytes, RESP2 and RESP3. One writer serves all connections of a server, one after the other: what was
 * written for a connection is handed to its socket before the next one's turn. While the kernel takes everything at
 * once (the ordinary case) the same memory is used for ever; what a slow client leaves behind keeps its part until sent.
 */
import { assert } from "../base/assert.js";

/** The part of a socket that the writer needs. */
export interface ByteSink {
  write(bytes: Uint8Array): boolean;
  cork(): void;
  uncork(): void;
  readonly writableLength: number;
  readonly destroyed: boolean;
}

const SLAB_BYTES = 64 * 1024;
/** Longer byte strings are handed to the socket as they are instead of being copied. */
const COPY_BYTES = 8 * 1024;
/** Shorter ones are copied byte by byte, which beats a call. */
const LOOP_BYTES = 24;
/** Room for the type, a length or number of at most 20 digits, and line ends. */
const HEADER_BYTES = 32;

const CR = 0x0d;
const LF = 0x0a;
const DIGIT_ZERO = 0x30;

function oneLine(text: string): string {
  return text.replaceAll(/^[\r\n]+|[\r\n]+$/g, "").replaceAll(/[\r\n]/g, " ");
}

export class ReplyWriter {
  /** Which of the two protocols null, maps, sets and verbatim strings are written in. */
  resp3 = false;
  /** Error replies written so far. */
  errors = 0;
  /** The same by the code that they begin with: a closed list of our own words. */
  readonly errorCodes = new Map<string, number>();
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the bytes not yet handed over begin, and end. */
  #from = 0;
  #at = 0;
  /** True when a socket still holds a part of the slab: it must not be written again. */
  #lent = false;
  #segments: Uint8Array[] = [];
  #segmentBytes = 0;

  /** Bytes written and not yet handed over. */
  get length(): number {
    return this.#segmentBytes + this.#at - this.#from;
  }

  simple(text: string): void {
    this.#line(0x2b, text);
  }

  /** `text` begins with its code, such as "ERR ..."; line breaks at its ends are dropped, others become spaces. */
  error(text: string): void {
    this.errors++;
    const end = text.indexOf(" ");
    const code = end < 0 ? text : text.slice(0, end);
    this.errorCodes.set(code, (this.errorCodes.get(code) ?? 0) + 1);
    this.#line(0x2d, /[\r\n]/.test(text) ? oneLine(text) : text);
  }

  integer(value: number): void {
    this.#header(0x3a, value);
  }

  /** A 64-bit integer given as decimal digits. */
  integerDigits(digits: string): void {
    this.#line(0x3a, digits);
  }

  null(): void {
    if (this.resp3) this.#line(0x5f, "");
    else this.#line(0x24, "-1");
  }

  /** RESP2 has a null of its own where an array is expected. */
  nullArray(): void {
    if (this.resp3) this.#line(0x5f, "");
    else this.#line(0x2a, "-1");
  }

  /** What nobody asked for just now: a type of its own in RESP3, an array in RESP2. */
  push(length: number): void {
    this.#header(this.resp3 ? 0x3e : 0x2a, length);
  }

  bulk(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#header(0x24, length);
    if (length > COPY_BYTES) {
      this.#cut();
      this.#segments.push(bytes);
      this.#segmentBytes += length;
    } else {
      this.#reserve(length + 2);
      const slab = this.#slab;
      let at = this.#at;
      if (length <= LOOP_BYTES) {
        for (let i = 0; i < length; i++) slab[at++] = bytes[i] ?? 0;
      } else {
        slab.set(bytes, at);
        at += length;
      }
      this.#at = at;
    }
    this.#end();
  }

  /** A bulk string of text, as UTF-8. */
  text(text: string): void {
    this.bulk(Buffer.from(text, "utf8"));
  }

  /** Text that is meant for people (INFO): marked as such in RESP3. */
  verbatim(text: string): void {
    if (!this.resp3) {
      this.text(text);
      return;
    }
    const bytes = Buffer.from(`txt:${text}`, "utf8");
    this.#header(0x3d, bytes.length);
    this.raw(bytes);
    this.#end();
  }

  array(count: number): void {
    this.#header(0x2a, count);
  }

  /** A map of `count` pairs; a flat array in RESP2. */
  map(count: number): void {
    if (this.resp3) this.#header(0x25, count);
    else this.#header(0x2a, count * 2);
  }

  set(count: number): void {
    this.#header(this.resp3 ? 0x7e : 0x2a, count);
  }

  boolean(value: boolean): void {
    if (this.resp3) this.#line(0x23, value ? "t" : "f");
    else this.integer(value ? 1 : 0);
  }

  /** Bytes that were rendered before. */
  raw(bytes: Uint8Array): void {
    if (bytes.length > COPY_BYTES) {
      this.#cut();
      this.#segments.push(bytes);
      this.#segmentBytes += bytes.length;
      return;
    }
    this.#reserve(bytes.length);
    this.#slab.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Hands everything over. */
  sendTo(socket: ByteSink): void {
    if (this.#segments.length === 0) {
      if (this.#at === this.#from) return;
      if (!socket.destroyed) socket.write(this.#slab.subarray(this.#from, this.#at));
    } else {
      this.#cut();
      socket.cork();
      if (!socket.destroyed) for (const segment of this.#segments) socket.write(segment);
      socket.uncork();
      this.#segments = [];
      this.#segmentBytes = 0;
    }
    // Nothing waits in the socket: the kernel has its own copy. Of what others were lent we cannot know.
    if (socket.writableLength > 0) this.#lent = true;
    this.#from = this.#lent ? this.#at : 0;
    this.#at = this.#from;
  }

  /** Everything written and not handed over, as an own copy; the writer forgets it. */
  take(): Buffer {
    this.#cut();
    const copy = Buffer.concat(this.#segments, this.#segmentBytes);
    this.discard();
    return copy;
  }

  /** Forgets what was not handed over. */
  discard(): void {
    this.#segments = [];
    this.#segmentBytes = 0;
    if (!this.#lent) this.#from = 0;
    this.#at = this.#from;
  }

  #line(type: number, text: string): void {
    const { length } = text;
    this.#reserve(length + HEADER_BYTES);
    const slab = this.#slab;
    let at = this.#at;
    slab[at++] = type;
    if (length <= LOOP_BYTES) for (let i = 0; i < length; i++) slab[at++] = text.charCodeAt(i);
    else at += slab.write(text, at, "latin1");
    this.#at = at;
    this.#end();
  }

  #header(type: number, value: number): void {
    assert(Number.isSafeInteger(value), "a number in a reply is a safe integer");
    this.#reserve(HEADER_BYTES);
    const slab = this.#slab;
    let at = this.#at;
    slab[at++] = type;
    if (value >= 0 && value < 10) {
      slab[at++] = DIGIT_ZERO + value;
    } else if (value > 0 && value < 0x7fff_ffff) {
      let digits = 1;
      for (let rest = value; rest >= 10; rest = (rest / 10) | 0) digits++;
      let rest = value;
      for (let i = at + digits - 1; i >= at; i--) {
        const tenth = (rest / 10) | 0;
        slab[i] = DIGIT_ZERO + rest - tenth * 10;
        rest = tenth;
      }
      at += digits;
    } else {
      at += slab.write(String(value), at, "latin1");
    }
    slab[at++] = CR;
    slab[at++] = LF;
    this.#at = at;
  }

  #end(): void {
    this.#reserve(2);
    this.#slab[this.#at++] = CR;
    this.#slab[this.#at++] = LF;
  }

  #reserve(count: number): void {
    if (this.#at + count > this.#slab.length) this.#renew(count);
  }

  /** Goes on in fresh memory; what was written becomes a segment. */
  #renew(count: number): void {
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, count));
    this.#from = 0;
    this.#at = 0;
    this.#lent = false;
  }

  #cut(): void {
    if (this.#at === this.#from) return;
    const part = this.#slab.subarray(this.#from, this.#at);
    this.#segments.push(part);
    this.#segmentBytes += part.length;
    this.#from = this.#at;
  }
}
