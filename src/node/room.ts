/**
 * What the core must know of the room below it (D12). It decides what to write before the store is asked, and a batch that is
 * refused then would take away a record that later ones stand on (P13, P30): so values are proposed and accepted only
 * while the store takes them at once, and wait while merge makes room.
 */
import type { Context } from "../paxos/context.js";
import type { Store } from "../storage/store.js";

export function noteRoom(context: Context, store: Store): void {
  const isFull = store.isFull();
  context.diskFull = isFull || store.isShort();
  context.roomReturns = context.diskFull && !isFull;
}
