/**
 * Finding the identity on the disk: of its two records the newer one that can be read, from memory or, when the cache does
 * not hold it, from the disk. Callback style, before there is a node.
 */
import type { Key } from "../base/key.js";
import { emptyLoadedKey } from "../storage/loaded-key.js";
import type { LoadedKey, Store, StoreSink } from "../storage/store.js";
import { IDENTITY_KEYS } from "./identity-record.js";

/** The identity as it is on disk: nothing on a new one. */
export interface FoundIdentity {
  readonly record: Uint8Array | null;
  readonly position: number;
  /** One of the records is broken. */
  readonly isBroken: boolean;
}

/** Whoever passes on what the store says. */
interface Relay {
  target: StoreSink | null;
}

interface Place {
  readonly key: Key;
  readonly position: number;
  readonly value: Uint8Array | null;
}

export function readIdentity(store: Store, relay: Relay, done: (found: FoundIdentity) => void): void {
  const results: LoadedKey[] = [emptyLoadedKey(), emptyLoadedKey()];
  store.load(IDENTITY_KEYS, results);
  let isBroken = false;
  const places: Place[] = [];
  for (const [at, key] of IDENTITY_KEYS.entries()) {
    const found = results[at];
    if (found === undefined || found.corrupt) isBroken = true;
    else if (found.slots > 0) {
      const { position, value } = found.slot[found.slots === 2 ? 1 : 0];
      places.push({ key, position, value });
    }
  }
  places.sort((a, b) => b.position - a.position);
  const next = (): void => {
    const place = places.shift();
    if (place === undefined) {
      done({ record: null, position: 0, isBroken });
      return;
    }
    const { key, position, value } = place;
    if (value !== null) {
      done({ record: value, position, isBroken });
      return;
    }
    readValue(store, relay, key, position, (bytes) => {
      if (bytes !== null) done({ record: bytes, position, isBroken });
      else {
        isBroken = true;
        next();
      }
    });
  };
  next();
}

/** The value of one record from the disk; null: it cannot be read. */
export function readValue(
  store: Store,
  relay: Relay,
  key: Key,
  position: number,
  done: (value: Uint8Array | null) => void,
): void {
  relay.target = {
    onDurable: () => undefined,
    onFailed: () => undefined,
    onDamaged: () => undefined,
    onRead: (_tag, status, bytes) => {
      relay.target = null;
      done(status === "ok" ? bytes : null);
    },
  };
  store.read(0, key, position);
  store.submit();
}
