/**
 * The node's identity as a record of its own store: written again, one position higher, whenever something of it has to
 * be remembered, and acted on only once that is durable (P29). What is in it is identity.ts's affair.
 */
import { type Key, nodeKey } from "../base/key.js";
import { HEADER_BYTES, type Store, type StoreStatus } from "../storage/store.js";
import { encodeIdentity, type Identity } from "./identity.js";

/** Twice, in runs of their own: one broken run must not make a stranger of a disk. The second follows the first. */
export const IDENTITY_KEYS = [nodeKey("identity"), nodeKey("identity-copy")] as const;

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
  /** Position of the second record. */
  #copied = 0;
  /** One of them cannot be read: the next ones take the place of all that is there. */
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
    if (this.#isBroken) for (const key of IDENTITY_KEYS) this.#store.drop(key);
    this.#isBroken = false;
    this.#write(IDENTITY_KEYS[0]);
    this.#saves.push({ token, done });
  }

  #write(key: Key): void {
    this.#store.put(key, this.#position, this.#position, HEADER, encodeIdentity(this.#identity));
  }

  /** Puts the second record, when the first is durable and nothing newer is on its way; true when it did. */
  putCopy(): boolean {
    const isDue = this.#copied < this.#position && this.#saves.length === 0;
    if (isDue) {
      this.#copied = this.#position;
      this.#write(IDENTITY_KEYS[1]);
    }
    return isDue;
  }

  onDurable(token: number, status: StoreStatus): void {
    while (this.#saves.length > 0 && (this.#saves[0]?.token ?? 0) <= token) {
      const save = this.#saves.shift();
      if (status === "ok") save?.done();
    }
  }
}
