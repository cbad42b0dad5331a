/**
 * The disk of one replica in the tests of the core: records by D5 (per key and position the newest record, positions
 * at or above the floor of the newest one), batches that become durable in order, and a crash that loses what was not
 * flushed. It uses the project's own record codec, so that what is reloaded went through bytes.
 */
import { assert } from "../../base/assert.js";
import type { Key } from "../../base/key.js";
import {
  encodeHeader,
  type LoadContext,
  loadPLog,
  markHeader,
  recordValue,
  RECORD_HEADER_BYTES,
} from "../../codec/record.js";
import type { RecordWrite } from "../../paxos/effects.js";
import type { PLog } from "../../paxos/plog.js";

interface Slot {
  readonly position: number;
  readonly floor: number;
  /** As it stands in memory; marks change it (P13). */
  header: Uint8Array;
  readonly durableHeader: Uint8Array;
  readonly value: Uint8Array;
  readonly write: RecordWrite;
}

/** What one step asked for: its records are one run. */
export interface Batch {
  readonly key: Key;
  readonly sequence: number;
  /** What was there of the key is erased first. */
  readonly erase: boolean;
  readonly writes: readonly RecordWrite[];
  readonly mark: number;
}

const NOTHING: Slot = {
  position: 0,
  floor: 0,
  header: new Uint8Array(RECORD_HEADER_BYTES),
  durableHeader: new Uint8Array(RECORD_HEADER_BYTES),
  value: new Uint8Array(0),
  write: undefined as unknown as RecordWrite, // never looked at: `slots` says how many count
};

export class Disk {
  readonly #slots = new Map<Key, Slot[]>();
  /** Records made durable so far. */
  records = 0;
  /** Batches were torn: what is found may not fit (P30). */
  torn = false;

  /** A disk with the same content; what is in it is never changed in place. */
  copy(): Disk {
    const copy = new Disk();
    for (const [key, slots] of this.#slots) {
      copy.#slots.set(
        key,
        slots.map((slot) => ({ ...slot })),
      );
    }
    copy.records = this.records;
    copy.torn = this.torn;
    return copy;
  }

  apply(batch: Batch): void {
    if (batch.erase) this.#slots.delete(batch.key);
    for (const write of batch.writes) {
      const header = new Uint8Array(RECORD_HEADER_BYTES);
      encodeHeader(write, header);
      const slot: Slot = {
        position: write.index,
        floor: write.floor,
        header,
        durableHeader: header,
        value: recordValue(write),
        write,
      };
      const kept = this.slotsOf(batch.key).filter((old) => old.position >= write.floor && old.position !== write.index);
      kept.push(slot);
      kept.sort((a, b) => a.position - b.position);
      assert(kept.length <= 2, "D5: at most two live records a key");
      this.#slots.set(batch.key, kept);
      this.records++;
    }
    if (batch.mark === 0) return;
    const marked = this.slotsOf(batch.key).find((slot) => slot.position === batch.mark);
    if (marked !== undefined) marked.header = markHeader(marked.header);
  }

  /** Only the last record of the batch reached the disk. An engine whose runs are atomic does not let this happen (D17). */
  tear(batch: Batch): void {
    this.torn = true;
    this.apply({ ...batch, writes: batch.writes.slice(-1), mark: 0 });
  }

  wipe(): void {
    this.#slots.clear();
  }

  /** Broken variants only: forgets the key. */
  forget(key: Key): void {
    this.#slots.delete(key);
  }

  /** Broken variants only: the newest record is changed to name whatever lies below it as its base. */
  believeBase(key: Key): void {
    const slots = this.slotsOf(key);
    const [below, top] = slots;
    if (below === undefined || top === undefined || top.write.chosen) return;
    const write = { ...top.write, baseHash: below.write.entry?.hash ?? 0 };
    const header = new Uint8Array(RECORD_HEADER_BYTES);
    encodeHeader(write, header);
    this.#slots.set(key, [below, { ...top, header, durableHeader: header, write }]);
  }

  slotsOf(key: Key): Slot[] {
    return this.#slots.get(key) ?? [];
  }

  keys(): Iterable<Key> {
    return this.#slots.keys();
  }

  /** A crash: marks were in memory only, unless merge happened to make one durable. */
  crash(marksKept: boolean): void {
    if (marksKept) return;
    for (const slots of this.#slots.values()) for (const slot of slots) slot.header = slot.durableHeader;
  }

  load(key: Key, context: LoadContext): { readonly plog: PLog; readonly damaged: boolean } {
    const slots = this.slotsOf(key);
    const count = slots.length === 0 ? 0 : slots.length === 1 ? 1 : 2;
    const records = { slots: count, corrupt: false, slot: [slots[0] ?? NOTHING, slots[1] ?? NOTHING] } as const;
    const outcome = loadPLog(records, context);
    const expected = outcome.kind === "ready" || (this.torn && outcome.kind === "damaged");
    assert(expected, `P13: the records of a key do not fit: ${JSON.stringify(outcome)}`);
    return { plog: outcome.plog, damaged: outcome.kind === "damaged" };
  }
}
