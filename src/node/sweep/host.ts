/** What the sweep needs of the node that it runs in. */
import type { Key } from "../../base/key.js";
import type { SweepMessage } from "../../codec/sweep.js";
import type { ReplicaId } from "../../paxos/ballot.js";
import type { Context } from "../../paxos/context.js";
import type { RestoreInput } from "../../paxos/restore.js";
import type { Store } from "../../storage/store.js";
import type { Pace } from "./pace.js";

export interface SweepHost {
  readonly context: Context;
  readonly store: Store;
  readonly pace: Pace;
  /** False: the peer is not there, or its queue is full. */
  send(peer: ReplicaId, message: SweepMessage): boolean;
  isReady(peer: ReplicaId): boolean;
  /** Asks a peer for its newest chosen entry, and to settle the position first if it is undecided; it comes as any other. */
  fetch(peer: ReplicaId, key: Key, index: number, settle: boolean): void;
  /** P27: opens the key's lane, which asks and, in the end, settles. */
  look(key: Key): void;
  restore(key: Key, input: RestoreInput): void;
  /** The key is in flight. */
  hasLane(key: Key): boolean;
  /** Callers come first (P26): nothing is done now. */
  isBusy(): boolean;
  /** Callers wait longer than they should: what is done is done more slowly. */
  hasPressure(): boolean;
  /** P31: every peer has confirmed our present loss. */
  isFenced(): boolean;
  /** P30: damage was found that no loss covers yet. */
  taint(): void;
  /** P31: every key was restored. */
  closeLoss(): void;
}
