/** Makes the reusable objects that `Store.load` fills. It knows nothing of any store. */
import { HEADER_BYTES, type LoadedKey, type SlotView } from "./store.js";

function emptySlot(): SlotView {
  return { position: 0, floor: 0, lsn: 0, header: new Uint8Array(HEADER_BYTES), valueBytes: 0, value: null };
}

/** A key of which nothing is known yet, with its own memory for two headers. */
export function emptyLoadedKey(): LoadedKey {
  return { slots: 0, corrupt: false, slot: [emptySlot(), emptySlot()] };
}

/** The result at `at`; made when the caller's array does not reach that far. */
export function resultAt(results: LoadedKey[], at: number): LoadedKey {
  const known = results[at];
  if (known !== undefined) return known;
  const made = emptyLoadedKey();
  results[at] = made;
  return made;
}
