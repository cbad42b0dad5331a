/**
 * Memory for values that come out of the engine. C++ copies each value once, into the current slab, and the caller gets
 * a view of that place for itself: nothing is written there again. A slab that is used up is left to the views on it,
 * so that a value that somebody keeps holds at most one slab.
 */
import { LAYOUT } from "./layout.js";

const SLAB_BYTES = 32 << 10;
/** Below this much room a new slab is better than a call that comes back for one. */
const LEAST_ROOM_BYTES = 512;

const EMPTY = new Uint8Array(0);

export class ValueSlab {
  buffer = new ArrayBuffer(SLAB_BYTES);
  u8 = new Uint8Array(this.buffer);
  at: number;
  /** Bytes at the front of every slab that are kept free of values. */
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
    this.at = first;
  }

  /** Leaves some room at least. */
  prepare(): void {
    if (this.buffer.byteLength - this.at < LEAST_ROOM_BYTES) this.renew(0);
  }

  /** A new slab with room for `bytes`. */
  renew(bytes: number): void {
    this.buffer = new ArrayBuffer(Math.max(SLAB_BYTES, alignUp(this.#first + bytes)));
    this.u8 = new Uint8Array(this.buffer);
    this.at = this.#first;
  }

  /** The view of the value that C++ put at `at`, which moves on behind it. */
  take(bytes: number): Uint8Array {
    if (bytes === 0) return EMPTY;
    const { at } = this;
    this.at = alignUp(at + bytes); // not beyond the buffer: its length is a multiple too
    return new Uint8Array(this.buffer, at, bytes);
  }
}

/** Lengths stay far below 2^31. */
function alignUp(bytes: number): number {
  return (bytes + LAYOUT.slabAlign - 1) & -LAYOUT.slabAlign;
}
