/**
 * The side that is asked what it holds (P28, P31): from what the store has in memory, one bounded page at a time. What is
 * durable is never left out, so that a list is an answer to the question how far lost votes may reach; what is in it may
 * be newer.
 */
import { type Key, isReplicated } from "../../base/key.js";
import { heldState, type LoadContext } from "../../codec/record.js";
import type { DigestsQuery, DigestsReply, KeyState, ListQuery, ListReply } from "../../codec/sweep.js";
import { emptyLoadedKey } from "../../storage/loaded-key.js";
import type { LoadedKey, Store } from "../../storage/store.js";

const PAGE_BYTES = 128 * 1024;
const PAGE_KEYS = 2048;
const KEYS_PER_STEP = 64;
/** Of a state beside its key. */
const STATE_BYTES = 24;
const NONE: ReadonlySet<Key> = new Set();

export function answerDigests(store: Store, context: LoadContext, query: DigestsQuery): DigestsReply {
  const { loss, first, count } = query;
  const { keys } = store.stats();
  return { type: "digests", loss, first, digests: digestBytes(store, first, count), keys, open: context.lossOpen };
}

export function digestBytes(store: Store, first: number, count: number): Uint8Array {
  return new Uint8Array(store.digests(first, count).buffer);
}

export function answerList(store: Store, context: LoadContext, query: ListQuery, busy: boolean): ListReply {
  const { loss, first, end, after } = query;
  const from = after === 0n ? store.placeOfBucket(first) : after;
  const cursor = store.beginIteration(from, store.placeOfBucket(end));
  const keys: KeyState[] = [];
  let bytes = 0;
  while (!cursor.done && keys.length < PAGE_KEYS && bytes < PAGE_BYTES) {
    store.iterate(cursor, KEYS_PER_STEP, (key, top, header) => {
      if (!isReplicated(key)) return;
      bytes += key.length + STATE_BYTES;
      keys.push(stateOf(key, top, header, context));
    });
  }
  const next = cursor.done ? 0n : cursor.position;
  const open = context.lossOpen;
  return { type: "list", loss, query: query.query, keys: withDamage(store, keys), open, busy, next };
}

/** A header that cannot be read is a learner's, who holds nothing: its position is as far as its votes may have gone. */
function stateOf(key: Key, top: number, header: Uint8Array, context: LoadContext): KeyState {
  const held = heldState(top, header, context);
  if (held === null) return { key, top, chosenIndex: top - 1, chosenHash: 0, acceptedHash: 0, votes: false };
  const { chosenIndex, chosenHash, acceptedHash, votes } = held;
  return { key, top, chosenIndex, chosenHash, acceptedHash, votes };
}

/** P30: keys with a broken record have no vote. */
function withDamage(store: Store, states: readonly KeyState[]): readonly KeyState[] {
  const broken = brokenOf(
    store,
    states.map(({ key }) => key),
  );
  return broken.size === 0
    ? states
    : states.map((state) => (broken.has(state.key) ? { ...state, votes: false } : state));
}

/** Those of `keys` with a broken record, which a walk does not tell. Nothing is asked where nothing is broken. */
export function brokenOf(store: Store, keys: readonly Key[]): ReadonlySet<Key> {
  if (keys.length === 0 || store.stats().corruptKeys === 0) return NONE;
  const results: LoadedKey[] = [emptyLoadedKey()];
  store.load(keys, results);
  return new Set(keys.filter((_key, i) => results[i]?.corrupt === true));
}
