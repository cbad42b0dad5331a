/** What the parts of the store contract share: places, sessions, and short ways to write, load and compare. */
import { expect } from "vitest";
import type { Key } from "../../src/base/key.js";
import { emptyLoadedKey } from "../../src/storage/loaded-key.js";
import { HEADER_BYTES, type LoadedKey, type Store, type StoreStatus } from "../../src/storage/store.js";
import { Recorder } from "./recorder.js";

export interface PlaceOptions {
  readonly nodeId?: string;
  readonly cacheBytes?: number;
  readonly maxValueBytes?: number;
}

/** A disk of a test; it outlives the stores that are opened on it. */
export interface Place {
  /** Rejects with StoreOpenError. */
  open(options: PlaceOptions, sink: Recorder): Promise<Store>;
  /** Breaks the stored value `value` of a record, while no store is open. */
  corrupt(key: Key, position: number, value: Uint8Array): void;
  remove(): void;
}

export interface Contract {
  readonly name: string;
  /** A place with room for `bytes` in all. */
  readonly makePlace: (bytes: number) => Place;
}

export interface Session {
  readonly store: Store;
  readonly sink: Recorder;
}

export function header(fill: number): Uint8Array {
  return new Uint8Array(HEADER_BYTES).fill(fill);
}

export function bytes(length: number, seed: number): Uint8Array {
  const made = new Uint8Array(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    made[i] = state >>> 24;
  }
  return made;
}

/** Compares in one step: element by element takes seconds for large values. */
export function expectBytes(actual: Uint8Array | null | undefined, expected: Uint8Array): void {
  if (actual === null || actual === undefined) expect(actual).toEqual(expected);
  else expect(Buffer.compare(actual, expected) === 0 ? "equal" : "different").toBe("equal");
}

export function load(store: Store, key: Key): LoadedKey {
  const results = [emptyLoadedKey()];
  store.load([key], results);
  return results[0] ?? emptyLoadedKey();
}

/** Positions, floors and first header bytes of what is loaded: short to compare. */
export function shape(loaded: LoadedKey): string[] {
  return loaded.slot
    .slice(0, loaded.slots)
    .map((slot) => `${String(slot.position)}/${String(slot.floor)}:${String(slot.header[0])}`);
}

export async function put(
  session: Session,
  key: Key,
  position: number,
  floor: number,
  value: Uint8Array,
): Promise<StoreStatus> {
  session.store.put(key, position, floor, header(position % 251), value);
  return session.sink.ended(session.store.submit());
}

export async function valueOf(session: Session, key: Key, position: number, tag: number): Promise<Uint8Array | null> {
  session.store.read(tag, key, position);
  session.store.submit();
  const answer = await session.sink.answered(tag);
  expect(answer.status).toBe("ok");
  return answer.value;
}

export function closed(store: Store): Promise<void> {
  return new Promise((resolve) => {
    store.close(resolve);
  });
}

/** One test's disk and the stores that are open on it. */
export class Scene {
  readonly place: Place;
  #open: Session[] = [];

  constructor(place: Place) {
    this.place = place;
  }

  async start(options: PlaceOptions = {}): Promise<Session> {
    const sink = new Recorder();
    const session = { store: await this.place.open(options, sink), sink };
    this.#open.push(session);
    return session;
  }

  async restart(session: Session, options: PlaceOptions = {}): Promise<Session> {
    await closed(session.store);
    this.#open = this.#open.filter((other) => other !== session);
    return this.start(options);
  }

  async end(): Promise<void> {
    for (const session of this.#open.splice(0)) await closed(session.store);
    this.place.remove();
  }
}
