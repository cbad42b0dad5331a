/**
 * The bytes of one connection that were received and not yet consumed: a queue of the chunks as the socket gave them.
 * Nothing is copied while what is asked for lies within one chunk; what lies across several is joined once, exactly.
 * Memory follows what was received, never what a client announced. It knows nothing of the protocol.
 */

const EMPTY: Buffer = Buffer.alloc(0);
/** Chunks smaller than this are gathered behind an unfinished one, so that a slow drip does not cost an object per byte. */
const GATHER_BYTES = 16 * 1024;
const NEWLINE = 10;

export class ChunkQueue {
  /** The front chunk; what is before `at` was consumed. */
  front: Buffer = EMPTY;
  at = 0;
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** The last chunk of #rest when it is one of ours with room behind it: its whole memory, and how much is used. */
  #gather: Buffer | null = null;
  #gathered = 0;
  /** Bytes behind `at` that hold no newline, so that a line that arrives in bits is not searched again and again. */
  #searched = 0;

  /** Bytes not yet consumed. */
  get length(): number {
    return this.front.length - this.at + this.#restBytes;
  }

  push(chunk: Buffer): void {
    if (this.at === this.front.length && this.#rest.length === 0) {
      this.front = chunk;
      this.at = 0;
      return;
    }
    this.#restBytes += chunk.length;
    const gather = this.#gather;
    if (gather !== null && this.#gathered + chunk.length <= gather.length) {
      chunk.copy(gather, this.#gathered);
      this.#gathered += chunk.length;
      this.#rest[this.#rest.length - 1] = gather.subarray(0, this.#gathered);
    } else if (chunk.length < GATHER_BYTES / 4) {
      const fresh = Buffer.allocUnsafeSlow(Math.min(GATHER_BYTES, Math.max(1024, this.#restBytes * 2)));
      chunk.copy(fresh);
      this.#gather = fresh;
      this.#gathered = chunk.length;
      this.#rest.push(fresh.subarray(0, chunk.length));
    } else {
      this.#gather = null;
      this.#rest.push(chunk);
    }
  }

  /** Makes `count` bytes lie behind `at` in the front chunk. False: they are not there yet. */
  ensure(count: number): boolean {
    if (this.front.length - this.at >= count) return true;
    if (this.length < count) return false;
    this.#join(count);
    return true;
  }

  /**
   * Makes a whole line lie behind `at` in the front chunk and returns where it ends (just behind the newline), or -1
   * when there is none within `limit` bytes or within what was received.
   */
  lineEnd(limit: number): number {
    const { front, at } = this;
    const near = Math.min(front.length, at + limit);
    for (let i = at + this.#searched; i < near; i++) {
      if (front[i] === NEWLINE) {
        this.#searched = 0;
        return i + 1;
      }
    }
    return this.#lineEndBeyond(limit);
  }

  #lineEndBeyond(limit: number): number {
    let before = this.front.length - this.at;
    for (const chunk of this.#rest) {
      if (before >= limit) break;
      const from = Math.max(0, this.#searched - before);
      const found = from < chunk.length ? chunk.indexOf(NEWLINE, from) : -1;
      if (found >= 0 && before + found < limit) {
        this.#searched = 0;
        const count = before + found + 1;
        this.#join(count);
        return this.at + count;
      }
      before += chunk.length;
    }
    this.#searched = Math.min(this.length, limit);
    return -1;
  }

  consume(count: number): void {
    this.at += count;
    this.#searched = 0;
    if (this.at === this.front.length && this.#rest.length > 0) this.#advance();
  }

  /** Drops up to `count` bytes and returns how many there were. */
  discard(count: number): number {
    let left = count;
    while (left > 0 && this.length > 0) {
      const here = Math.min(left, this.front.length - this.at);
      this.consume(here);
      left -= here;
    }
    return count - left;
  }

  /** Lets go of a chunk that was consumed to its end. */
  release(): void {
    if (this.at === this.front.length && this.#rest.length === 0) {
      this.front = EMPTY;
      this.at = 0;
    }
  }

  #advance(): void {
    this.front = this.#rest.shift() ?? EMPTY;
    this.#restBytes -= this.front.length;
    this.at = 0;
    // What is at the front is read: it must not grow any more.
    if (this.#rest.length === 0) this.#gather = null;
  }

  /** The next `count` bytes become a chunk of their own at the front; what is left of the last one stays as it is. */
  #join(count: number): void {
    const joined = Buffer.allocUnsafeSlow(count);
    let filled = this.front.copy(joined, 0, this.at);
    let used = 0;
    let last = EMPTY;
    let lastUsed = 0;
    while (filled < count) {
      last = this.#rest[used++] ?? EMPTY;
      lastUsed = Math.min(last.length, count - filled);
      last.copy(joined, filled, 0, lastUsed);
      filled += lastUsed;
      this.#restBytes -= lastUsed;
    }
    if (lastUsed < last.length) this.#rest[--used] = last.subarray(lastUsed);
    this.#rest.splice(0, used);
    if (this.#rest.length <= 1) this.#gather = null;
    this.front = joined;
    this.at = 0;
  }
}
