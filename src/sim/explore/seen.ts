/**
 * The states that were seen, by two 32-bit hashes each in an open-addressing table, and how each was reached. It stores no
 * state: two states that share 64 bits would be taken for one (for 50 million states the chance is below one in ten
 * thousand), and a path is walked again from its beginning.
 */

const FIRST_SLOTS = 1 << 16;
/** Load at which the table grows. */
const FULL = 0.6;

export class Seen {
  /** Two words a slot; both 0 = empty. */
  #table = new Int32Array(FIRST_SLOTS * 2);
  #mask = FIRST_SLOTS - 1;
  #parents = new Int32Array(FIRST_SLOTS);
  #acts = new Int32Array(FIRST_SLOTS);
  /** States seen; their numbers are 0 to count - 1. */
  count = 0;

  /** True when the words from `from` to `to` were not seen before; they are now, as reached from `parent` by `act`. */
  add(words: Int32Array, from: number, to: number, parent: number, act: number): boolean {
    let a = 0x243f6a88;
    let b = 0x85a308d3 | 0;
    for (let at = from; at < to; at++) {
      const word = words[at] ?? 0;
      a = Math.imul(a ^ word, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b + word, 0x85ebca77) ^ a;
      b = (b << 13) | (b >>> 19);
    }
    a = Math.imul(a ^ (b >>> 16), 0x7feb352d);
    b = Math.imul(b ^ (a >>> 15), 0x846ca68b);
    a ^= b >>> 13;
    if (a === 0 && b === 0) a = 1;
    if (!this.#insert(a, b)) return false;
    this.#note(parent, act);
    return true;
  }

  #insert(a: number, b: number): boolean {
    const table = this.#table;
    for (let slot = a & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * 2;
      const first = table[at];
      const second = table[at + 1];
      if (first === 0 && second === 0) {
        table[at] = a;
        table[at + 1] = b;
        return true;
      }
      if (first === a && second === b) return false;
    }
  }

  #note(parent: number, act: number): void {
    if (this.count === this.#parents.length) {
      this.#parents = grown(this.#parents);
      this.#acts = grown(this.#acts);
    }
    this.#parents[this.count] = parent;
    this.#acts[this.count] = act;
    this.count++;
    if (this.count > (this.#mask + 1) * FULL) this.#grow();
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    for (let at = 0; at < old.length; at += 2) {
      const a = old[at] ?? 0;
      const b = old[at + 1] ?? 0;
      if (a !== 0 || b !== 0) this.#insert(a, b);
    }
  }

  /** The acts that lead from the first state to this one. */
  pathTo(number: number): number[] {
    const path: number[] = [];
    for (let at = number; at > 0; at = this.#parents[at] ?? 0) path.push(this.#acts[at] ?? 0);
    return path.reverse();
  }
}

export function grown(words: Int32Array, atLeast = 0): Int32Array<ArrayBuffer> {
  const next = new Int32Array(Math.max(words.length * 2, atLeast));
  next.set(words);
  return next;
}
