/**
 * Memory for values that come out of the engine. C++ copies each value once, into the current slab, and the caller gets
 * a view of that place for itself: nothing is written there again. A slab that is used up is left to the views on it,
 * so that a value that somebody keeps holds at most one slab.
 */

const SLAB_BYTES = 32 << 10;
/** Below this much room a new slab is better than a call that comes back for one. */
const LEAST_ROOM_BYTES = 512;

export class ValueSlab {
  buffer = new ArrayBuffer(SLAB_BYTES);
  at = 0;

  /** Leaves some room at least. */
  prepare(): void {
    if (this.buffer.byteLength - this.at < LEAST_ROOM_BYTES) this.renew(0);
  }

  /** A new slab with room for `bytes`. */
  renew(bytes: number): void {
    this.buffer = new ArrayBuffer(Math.max(SLAB_BYTES, bytes));
    this.at = 0;
  }
}
