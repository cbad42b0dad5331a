/**
 * Spaces: several sets of keys in one store, each as if it were alone. A key in a space begins with a mark and the space's
 * number; the engine hashes such keys so that a space is one stretch of a walk and has digest buckets of its own
 * (native/core/format.h).
 */
import { type Key, rawKey } from "../base/key.js";
import { DIGEST_BUCKETS } from "./store.js";

export const SPACE_BITS = 4;
/** Numbers of spaces are below this. */
export const SPACES = 1 << SPACE_BITS;
/** Digest buckets of the store that one space has. */
export const SPACE_BUCKETS = DIGEST_BUCKETS / SPACES;

const MARK = "\xff";
const PREFIX_LENGTH = 2;

/** What the keys of a space begin with. */
export function spacePrefix(space: number): string {
  return MARK + String.fromCharCode(space);
}

/** The number of the space that a key of the store is in, -1 = in none. */
export function spaceOf(key: Key): number {
  const space = key.startsWith(MARK) ? key.charCodeAt(1) : SPACES; // NaN where there is no second byte
  return space < SPACES ? space : -1;
}

/** A key of the store as its space knows it. */
export function keyInSpace(key: Key): Key {
  return rawKey(key.slice(PREFIX_LENGTH));
}
