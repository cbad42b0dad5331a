/**
 * An iteration over the keys of a native store: the engine's cursor, and how the keys come out of the packed buffer that
 * one call returns. What it must not know: where in the index a cursor stands.
 */
import { rawKey } from "../base/key.js";
import type { OpenHandle } from "./addon.js";
import { LAYOUT } from "./layout.js";
import { type Cursor, HEADER_BYTES, type KeyVisitor } from "./store.js";

export class NativeCursor implements Cursor {
  readonly #position = new ArrayBuffer(LAYOUT.cursorBytes);
  readonly #words = new Uint32Array(this.#position);
  readonly #place = new BigUint64Array(this.#position, 0, 1);
  readonly #until: bigint;

  constructor(from: bigint, until: bigint) {
    this.#place[0] = from;
    new BigUint64Array(this.#position, LAYOUT.cursorUntil, 1)[0] = until;
    this.#until = until;
  }

  get position(): bigint {
    return this.#place[0] ?? 0n;
  }

  get done(): boolean {
    return this.#words[LAYOUT.cursorDone >>> 2] === 1 || this.position >= this.#until;
  }

  advance(handle: OpenHandle, limit: number, visit: KeyVisitor): void {
    const scanned = Buffer.from(handle.iterate(this.#position, limit));
    let at = 0;
    while (at < scanned.length) {
      const keyBytes = scanned.readUInt32LE(at + LAYOUT.scanKeyBytes);
      const keyAt = at + LAYOUT.scanFixedBytes;
      const key = rawKey(scanned.toString("latin1", keyAt, keyAt + keyBytes));
      const position = scanned.readDoubleLE(at + LAYOUT.scanPosition);
      visit(key, position, scanned.subarray(at + LAYOUT.scanHeader, at + LAYOUT.scanHeader + HEADER_BYTES));
      at = Math.ceil((keyAt + keyBytes) / 8) * 8;
    }
  }
}
