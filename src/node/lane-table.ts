/** The lanes that are alive, and what the host keeps beside each. Lanes exist only while a key is in flight. */
import type { Sleeper } from "../base/timing-wheel.js";
import type { Key } from "../base/key.js";
import { isIdle, type Lane } from "../paxos/lane.js";

export interface LaneSlot extends Sleeper {
  readonly lane: Lane;
  /** Token of the last batch with a record of this lane, 0 = none. */
  lastToken: number;
  /** Turn in which it was last stepped, so that the end of the turn looks at it once. */
  touchedTurn: number;
}

export class LaneTable {
  readonly #slots = new Map<Key, LaneSlot>();

  get size(): number {
    return this.#slots.size;
  }

  get(key: Key): LaneSlot | undefined {
    return this.#slots.get(key);
  }

  add(lane: Lane): LaneSlot {
    const slot: LaneSlot = { lane, lastToken: 0, touchedTurn: 0, wakeTick: 0 };
    this.#slots.set(lane.key, slot);
    return slot;
  }

  /** Drops the lane if the disk holds all of it and nobody waits. */
  dropIfIdle(slot: LaneSlot): boolean {
    if (!isIdle(slot.lane)) return false;
    slot.wakeTick = 0;
    this.#slots.delete(slot.lane.key);
    return true;
  }

  clear(): void {
    this.#slots.clear();
  }

  values(): IterableIterator<LaneSlot> {
    return this.#slots.values();
  }
}
