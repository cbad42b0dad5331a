/**
 * What one node believes of another's disk (P29, P31): pure rules over what a peer says of itself and what is remembered
 * of it. The conversation that carries them is in links.ts, what is remembered of all is in identity.ts.
 */
import type { BindingMessage } from "../codec/control.js";
import type { Hello } from "../net/transport.js";

/** What is remembered of one peer. */
export interface Binding {
  storageId: string;
  incarnation: number;
  /** Of the process with that incarnation: another one with the same incarnation is a copy. */
  nonce: number;
  /** The storage id is the first that was ever bound for that replica here. */
  first: boolean;
  /** P31, the fence: what this peer said before its loss of this number counts for nothing here. */
  loss: number;
  /** Highest watermark heard in that incarnation, and in all before it. */
  watermark: number;
  watermarkBefore: number;
}

export type BindVerdict =
  /** Known as it is: nothing to write. */
  | { readonly kind: "known"; readonly binding: Binding }
  /** To be made durable before anything of this peer is acted on. */
  | { readonly kind: "new"; readonly binding: Binding }
  | { readonly kind: "refused"; readonly reason: string };

/** P29: may this peer be bound as it says it is? */
export function judgeHello(old: Binding | undefined, hello: Hello): BindVerdict {
  const { storageId, incarnation, nonce, nodeId, loss, lossAll } = hello;
  if (old === undefined) {
    const binding = { storageId, incarnation, nonce, first: true, loss, watermark: 0, watermarkBefore: 0 };
    return { kind: "new", binding };
  }
  // A loss of the whole disk that is told here for the first time: nothing that was heard of it before is held against it.
  const isNewLoss = lossAll > old.loss;
  if (old.storageId !== storageId && !(isNewLoss && incarnation > old.incarnation)) {
    const reason = `${nodeId} was bound with storage ${old.storageId} and comes with storage ${storageId}: its disk is empty, swapped or foreign`;
    return { kind: "refused", reason };
  }
  const isCopy = incarnation < old.incarnation || (incarnation === old.incarnation && nonce !== old.nonce);
  if (isCopy || loss < old.loss) {
    const seen = `incarnation ${String(old.incarnation)} and loss ${String(old.loss)} were seen`;
    const reason = `${nodeId} comes as incarnation ${String(incarnation)} with loss ${String(loss)}, but ${seen}: its disk is an old copy`;
    return { kind: "refused", reason };
  }
  if (incarnation === old.incarnation && loss === old.loss) return { kind: "known", binding: old };
  const first = old.first && old.storageId === storageId;
  const again = { ...old, storageId, incarnation, nonce, first, loss };
  if (isNewLoss) return { kind: "new", binding: { ...again, watermark: 0, watermarkBefore: 0 } };
  if (incarnation === old.incarnation) return { kind: "new", binding: again };
  const watermarkBefore = Math.max(old.watermark, old.watermarkBefore);
  return { kind: "new", binding: { ...again, watermarkBefore, watermark: 0 } };
}

/** What a peer says of us, held against what our disk says: text of the reason when the disk forgot (P29, D18), else null. */
export function judgeBinding(message: BindingMessage, peerId: string, recoveredWatermark: number): string | null {
  if (!message.bound) return `${peerId} refuses this node: ${message.reason}`;
  if (message.remembersWatermark > recoveredWatermark) {
    return (
      `${peerId} remembers that this disk held everything up to ${String(message.remembersWatermark)}, ` +
      `but it holds only up to ${String(recoveredWatermark)}: acknowledged data is gone or an old copy was restored`
    );
  }
  return null;
}
