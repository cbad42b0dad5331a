/**
 * From a key to its lane. What the engine has in memory is loaded for all keys of a turn in one call; where a value is on
 * disk only, the inputs for that key wait until it was read. A state query needs no lane: headers answer it (P18).
 */
import type { Key } from "../base/key.js";
import { type LoadOutcome, loadPLog, stateOf } from "../codec/record.js";
import type { LoadedKey, Store, StoreStatus } from "../storage/store.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Context } from "../paxos/context.js";
import { type Lane, newLane } from "../paxos/lane.js";
import type { StateQueryMessage, StateReplyMessage } from "../paxos/message.js";
import type { Input } from "../paxos/replica.js";

/** Inputs that wait for one key's value; messages beyond are lost, as messages may be. Clients are bounded elsewhere. */
const MAX_WAITING_INPUTS = 1024;

interface Waiting {
  readonly key: Key;
  readonly inputs: Input[];
  /** Values read so far, by position. */
  readonly values: Map<number, Uint8Array>;
  broken: boolean;
}

export interface LoaderHost {
  readonly context: Context;
  readonly store: Store;
  /** A lane came to life; `inputs` waited for it. */
  onLane(lane: Lane, inputs: readonly Input[]): void;
  /** P30: the records of this key are damaged; it is a learner from now on. */
  onDamaged(key: Key, reason: string): void;
}

export class Loader {
  readonly #host: LoaderHost;
  readonly #results: LoadedKey[] = [];
  readonly #waiting = new Map<Key, Waiting>();
  readonly #reads = new Map<number, { readonly waiting: Waiting; readonly position: number }>();
  #lastTag = 0;

  constructor(host: LoaderHost) {
    this.#host = host;
  }

  /** Keys whose values are being read. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** True when the key is being read: the input waits with the others. */
  enqueue(key: Key, input: Input): boolean {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return false;
    if (input.type !== "message" || waiting.inputs.length < MAX_WAITING_INPUTS) waiting.inputs.push(input);
    return true;
  }

  /** One native call for all keys, then what `each` makes of them. */
  load(keys: readonly Key[], each: (key: Key, records: LoadedKey) => void): void {
    this.#host.store.load(keys, this.#results);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      const records = this.#results[i];
      if (key !== undefined && records !== undefined) each(key, records);
    }
  }

  /** The answer to a state query from headers alone; null when it takes a lane. */
  answerFromHeaders(records: LoadedKey, query: StateQueryMessage): StateReplyMessage | null {
    const { context } = this.#host;
    const state = stateOf(query.key, records, context);
    if (state === null || state.chosenIndex > query.knownIndex) return null; // an entry may ride along
    const votes = state.votes && context.mayVote && context.storeWorks;
    return { type: "state-reply", key: query.key, query: query.query, ...state, votes, entry: null };
  }

  /** Opens the lane of `key` now, or once its values were read. */
  open(key: Key, records: LoadedKey, inputs: Input[]): void {
    this.#proceed({ key, inputs, values: new Map(), broken: false }, records);
  }

  #proceed(waiting: Waiting, records: LoadedKey): void {
    const { context } = this.#host;
    const { key } = waiting;
    fillIn(records, waiting.values);
    if (waiting.broken) records.corrupt = true;
    const outcome: LoadOutcome = loadPLog(records, context);
    if (outcome.kind === "needs-value") {
      this.#waiting.set(key, waiting);
      this.#lastTag++;
      this.#reads.set(this.#lastTag, { waiting, position: outcome.position });
      this.#host.store.read(this.#lastTag, key, outcome.position);
      return;
    }
    this.#waiting.delete(key);
    if (outcome.kind === "damaged") this.#host.onDamaged(key, outcome.reason);
    this.#host.onLane(newLane(key, outcome.plog, outcome.kind === "damaged"), waiting.inputs);
  }

  /** P31: what a peer said before its loss is not heard any more. */
  forgetPeer(replica: ReplicaId): void {
    for (const { inputs } of this.#waiting.values()) dropOfPeer(inputs, replica, (input) => input);
  }

  clear(): void {
    this.#waiting.clear();
    this.#reads.clear();
  }

  /** The store's answer to a read. */
  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    const read = this.#reads.get(tag);
    if (read === undefined) return;
    this.#reads.delete(tag);
    const { waiting, position } = read;
    if (status === "ok" && value !== null) waiting.values.set(position, value);
    else waiting.broken = true;
    this.load([waiting.key], (_key, records) => {
      this.#proceed(waiting, records);
    });
  }
}

/** Takes messages of `replica` out of a list of whatever holds inputs. */
export function dropOfPeer<T>(list: T[], replica: ReplicaId, inputOf: (item: T) => Input): void {
  const kept = list.filter((item) => {
    const input = inputOf(item);
    return input.type !== "message" || input.from !== replica;
  });
  list.splice(0, list.length, ...kept);
}

/** Puts values that were read from disk beside the headers they belong to. */
function fillIn(records: LoadedKey, values: ReadonlyMap<number, Uint8Array>): void {
  for (const slot of records.slot) slot.value ??= values.get(slot.position) ?? null;
}
