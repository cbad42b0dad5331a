/**
 * Messages that wait for the disk (P2). Everything that one turn asked to be made durable is one batch with one token;
 * what may only leave afterwards is kept under that token, together with the lanes that are to be told.
 */
import { assert } from "../base/assert.js";
import type { Envelope } from "../paxos/effects.js";
import type { LaneSlot } from "./lane-table.js";

interface Batch {
  readonly envelopes: Envelope[];
  /** Lanes with records in the batch, and their sequence after it. */
  readonly slots: LaneSlot[];
  readonly sequences: number[];
}

export class HeldMessages {
  /** In the order of their tokens; the first has token #firstToken. */
  readonly #batches: Batch[] = [];
  #firstToken = 1;
  #gathering: Batch = { envelopes: [], slots: [], sequences: [] };

  /** What waits is not said, and nobody is told: everything in memory is forgotten, the batches themselves go on. */
  clear(): void {
    for (const { envelopes, slots, sequences } of [...this.#batches, this.#gathering]) {
      envelopes.length = 0;
      slots.length = 0;
      sequences.length = 0;
    }
  }

  /** The token that the batch being gathered will have. */
  get nextToken(): number {
    return this.#firstToken + this.#batches.length;
  }

  /** Batches under way. */
  get pending(): number {
    return this.#batches.length;
  }

  /** `slot`'s lane has put records into the batch being gathered, up to `sequence`. */
  addLane(slot: LaneSlot, sequence: number): void {
    const { slots, sequences } = this.#gathering;
    if (slot.lastToken === this.nextToken) {
      const at = slots.lastIndexOf(slot);
      assert(at >= 0, "P2: a lane of this batch is listed in it");
      sequences[at] = sequence;
      return;
    }
    slot.lastToken = this.nextToken;
    slots.push(slot);
    sequences.push(sequence);
  }

  /** True when the batch with `token` has ended: what waits for it need not wait, even if its lane was not told yet. */
  hasEnded(token: number): boolean {
    return token < this.#firstToken;
  }

  /** Keeps `envelope` until the batch with `token` is durable. */
  hold(envelope: Envelope, token: number): void {
    const batch = token === this.nextToken ? this.#gathering : this.#batches[token - this.#firstToken];
    assert(batch !== undefined, "P2: held for a batch that is under way");
    batch.envelopes.push(envelope);
  }

  /** The batch was handed over and the store named it `token`. */
  submitted(token: number): void {
    assert(token === this.nextToken, "tokens rise by one");
    this.#batches.push(this.#gathering);
    this.#gathering = { envelopes: [], slots: [], sequences: [] };
  }

  /** Takes the oldest batch out if its token is at or below `token`; null when there is none. */
  takeUpTo(token: number): Batch | null {
    if (this.#batches.length === 0 || this.#firstToken > token) return null;
    this.#firstToken++;
    return this.#batches.shift() ?? null;
  }
}
