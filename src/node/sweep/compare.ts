/**
 * One key, as this replica and its peers hold it: what is to be done here. Pure. Everybody compares for itself, so what a
 * peer lacks is its own affair; and a difference that is in flight ends by itself.
 */
import type { KeyState } from "../../codec/sweep.js";
import type { ReplicaId } from "../../paxos/ballot.js";

/** What this replica holds. */
export interface OwnState extends KeyState {
  /** P30: its votes for the key do not count, at any position. */
  readonly learner: boolean;
  /** Of a learner: the lowest loss under which it may be restored. */
  readonly loss: number;
  /** P30: a record of the key cannot be read. */
  readonly broken: boolean;
}

/** What one peer listed: null = nothing of this key. */
export interface PeerState {
  readonly replica: ReplicaId;
  readonly state: KeyState | null;
  /** P31: its own loss is open, so that of a key it does not list it knows nothing. */
  readonly open: boolean;
}

/** Where this replica stands after its last loss. */
export interface Standing {
  readonly loss: number;
  readonly lossOpen: boolean;
  /** All other replicas were asked, under `loss`, after all had confirmed it. */
  readonly isPoll: boolean;
  /** P31, a second loss: an operator has said that what both may have held is given up. */
  readonly acceptsLoss: boolean;
}

export type Action =
  | { readonly kind: "none" }
  /** Another replica holds a newer chosen entry. */
  | { readonly kind: "fetch"; readonly from: ReplicaId; readonly index: number }
  /** P6: another entry for the same index; to be seen by the key's lane, which stops. */
  | { readonly kind: "diverged"; readonly from: ReplicaId; readonly index: number }
  /** P27: something is undecided, here or there, and nobody is known to be at work on it. */
  | { readonly kind: "look" }
  /** P31: the position above the chosen one is open, and this replica has no vote there: a peer is asked to settle it. */
  | { readonly kind: "settle"; readonly from: ReplicaId; readonly index: number }
  /** P30: nobody holds anything that could take the place of a broken record; that this is a learner is written there. */
  | { readonly kind: "note" }
  /** P31: this replica votes again from this index on. */
  | { readonly kind: "restore"; readonly votesFrom: number; readonly from: ReplicaId; readonly index: number }
  /** P31: a second loss of the same key before the first was repaired: an operator decides. */
  | { readonly kind: "refused" }
  /** A learner that cannot be restored yet. */
  | { readonly kind: "learner" };

const NONE: Action = { kind: "none" };

export function compare(own: OwnState | null, peers: readonly PeerState[], standing: Standing): Action {
  let newest: PeerState | null = null;
  let top = 0;
  for (const peer of peers) {
    if (peer.state === null) continue;
    top = Math.max(top, peer.state.top);
    if (newest === null || peer.state.chosenIndex > (newest.state?.chosenIndex ?? 0)) newest = peer;
  }
  const from = newest?.replica ?? -1;
  const index = newest?.state?.chosenIndex ?? 0;
  const isLearner = own === null ? standing.lossOpen : own.learner;
  if (isLearner) {
    if (own === null && top === 0) return NONE; // nobody holds anything: closing the loss is what it takes
    // What is broken becomes a learner's sound record first: only that says under which loss it may be restored.
    if (own?.broken === true) return index > 0 ? { kind: "fetch", from, index } : { kind: "note" };
    const mayBeRestored = standing.isPoll && (own === null || own.loss <= standing.loss);
    if (!mayBeRestored) return index > (own?.chosenIndex ?? 0) ? { kind: "fetch", from, index } : { kind: "learner" };
    const isLostTwice = peers.some(({ state, open }) => (state === null ? open : !state.votes));
    if (!isLostTwice) return { kind: "restore", votesFrom: top + 1, from, index };
    // Voters that are left are no majority: what is open above the newest chosen entry is decided anew, or never.
    return standing.acceptsLoss ? { kind: "restore", votesFrom: index + 1, from, index } : { kind: "refused" };
  }
  const ownIndex = own?.chosenIndex ?? 0;
  if (index > ownIndex) {
    // What was chosen is here, and only the mark is not, which whoever uses the key next will bring (P13).
    const isAcceptedHere = own !== null && own.top === index && own.acceptedHash === newest?.state?.chosenHash;
    return isAcceptedHere ? NONE : { kind: "fetch", from, index };
  }
  if (ownIndex > 0) {
    const other = peers.find(({ state }) => state?.chosenIndex === ownIndex && state.chosenHash !== own?.chosenHash);
    if (other !== undefined) return { kind: "diverged", from: other.replica, index: ownIndex };
  }
  if (own !== null && !own.votes) {
    const voter = peers.find(({ state }) => state?.votes === true && state.chosenIndex === ownIndex);
    if (voter !== undefined) return { kind: "settle", from: voter.replica, index: ownIndex + 1 };
  }
  const isUndecided = (own?.acceptedHash ?? 0) > 0;
  const isUndecidedThere = peers.some(({ state }) => state !== null && state.acceptedHash > 0 && state.top > ownIndex);
  return isUndecided || isUndecidedThere ? { kind: "look" } : NONE;
}
