/**
 * The node's identity as a record of its own store: written again, one position higher, whenever something of it has to
 * be remembered, and acted on only once that is durable (P29). What is in it is identity.ts's affair.
 */
import { nodeKey } from "../base/key.js";
import { HEADER_BYTES, type Store, type StoreStatus } from "../storage/store.js";
import { encodeIdentity, type Identity } from "./identity.js";

export const IDENTITY_KEY = nodeKey("identity");

/** Byte 0 is the class: the record counts as no user key. */
const HEADER = new Uint8Array(HEADER_BYTES);

interface Save {
  readonly token: number;
  readonly done: () => void;
}

export class IdentityRecord {
  readonly #store: Store;
  readonly #identity: Identity;
  /** Saves under way, in the order of their batches. */
  readonly #saves: Save[] = [];
  #position: number;
  /** What is on disk cannot be read: the next record takes the place of all of it. */
  #isBroken: boolean;

  /** `position`: of the record on disk, 0 = there is none that can be read. */
  constructor(store: Store, identity: Identity, position: number, isBroken: boolean) {
    this.#store = store;
    this.#identity = identity;
    this.#position = position;
    this.#isBroken = isBroken;
  }

  /** Puts the identity as it is now into the batch that will have `token`. `done` is called once that is durable, or never. */
  put(token: number, done: () => void): void {
    this.#position++;
    if (this.#isBroken) this.#store.drop(IDENTITY_KEY);
    this.#isBroken = false;
    this.#store.put(IDENTITY_KEY, this.#position, this.#position, HEADER, encodeIdentity(this.#identity));
    this.#saves.push({ token, done });
  }

  onDurable(token: number, status: StoreStatus): void {
    while (this.#saves.length > 0 && (this.#saves[0]?.token ?? 0) <= token) {
      const save = this.#saves.shift();
      if (status === "ok") save?.done();
    }
  }
}
