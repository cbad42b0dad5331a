/**
 * What a node durably remembers about itself and its peers (P29): its incarnation, whether it was born, and for every
 * peer the storage id, incarnation and watermark it is bound to. One record under a key of the node's own; rules about
 * refusing and forgetting are here, the conversation that carries them is in links.ts.
 */
import type { BindingMessage } from "../codec/control.js";
import type { Hello } from "../net/transport.js";
import { NodeError } from "./node-error.js";

/** What is remembered of one peer. */
export interface Binding {
  storageId: string;
  incarnation: number;
  /** Of the process with that incarnation: another one with the same incarnation is a copy. */
  nonce: number;
  /** The storage id is the first that was ever bound for that replica here. */
  first: boolean;
  /** Highest watermark heard in that incarnation, and in all before it. */
  watermark: number;
  watermarkBefore: number;
}

export interface Identity {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly nodeIds: readonly string[];
  readonly storageId: string;
  readonly incarnation: number;
  born: boolean;
  /**
   * Why this disk may not vote, once a peer has shown that it forgot; empty as long as none did. Durable, because each
   * start raises incarnation and watermark: a copy that is started often enough would look new again.
   */
  forgot: string;
  readonly bindings: Map<string, Binding>;
}

export interface IdentityFacts {
  readonly clusterId: string;
  readonly nodeId: string;
  /** All nodes of the group, in the order of their replica numbers. */
  readonly nodeIds: readonly string[];
  readonly storageId: string;
}

const FORMAT = 1;

export function encodeIdentity(identity: Identity): Uint8Array {
  const bindings = Object.fromEntries(identity.bindings);
  return new TextEncoder().encode(JSON.stringify({ ...identity, format: FORMAT, bindings }));
}

/**
 * The identity of this start: one incarnation above the one on disk, or the first one. Throws NodeError when the record
 * belongs to another cluster, node or disk, or to a disk that was found to have forgotten.
 */
export function nextIdentity(facts: IdentityFacts, record: Uint8Array | null): Identity {
  if (record === null) {
    return { ...facts, incarnation: 1, born: facts.nodeIds.length === 1, forgot: "", bindings: new Map() };
  }
  const old = decodeIdentity(record);
  const here = `this data directory belongs to node ${old.nodeId} of cluster ${old.clusterId} (${old.nodeIds.join(", ")})`;
  if (old.clusterId !== facts.clusterId || old.nodeId !== facts.nodeId) {
    const wanted = `node ${facts.nodeId} of cluster ${facts.clusterId}`;
    throw new NodeError("foreign", `${here}, not to ${wanted}; point "data" at its own directory`);
  }
  if (old.nodeIds.join(" ") !== facts.nodeIds.join(" ")) {
    const wanted = facts.nodeIds.join(", ");
    throw new NodeError(
      "foreign",
      `${here}; the configuration names ${wanted}: the nodes of a group cannot be changed by configuration`,
    );
  }
  if (old.storageId !== facts.storageId) {
    throw new NodeError("foreign", `${here}, but its identity was written on another disk: volumes were mixed up`);
  }
  if (old.forgot !== "") throw new NodeError("forgot", `found at an earlier start: ${old.forgot}`);
  return { ...old, incarnation: old.incarnation + 1 };
}

function decodeIdentity(record: Uint8Array): Identity {
  const broken = new NodeError("damaged", "the node's own identity record cannot be read: the disk is damaged");
  let raw: unknown;
  try {
    raw = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(record));
  } catch {
    throw broken;
  }
  if (!isRecord(raw) || raw["format"] !== FORMAT || !isRecord(raw["bindings"])) throw broken;
  const { clusterId, nodeId, nodeIds, storageId, incarnation, born, forgot = "" } = raw;
  const bindings = new Map<string, Binding>();
  for (const [peer, value] of Object.entries(raw["bindings"])) {
    if (!isBinding(value)) throw broken;
    bindings.set(peer, value);
  }
  if (typeof clusterId !== "string" || typeof nodeId !== "string" || typeof storageId !== "string") throw broken;
  if (!isCount(incarnation) || typeof born !== "boolean" || typeof forgot !== "string" || !isTexts(nodeIds))
    throw broken;
  return { clusterId, nodeId, nodeIds, storageId, incarnation, born, forgot, bindings };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isBinding(value: unknown): value is Binding {
  return (
    isRecord(value) &&
    typeof value["storageId"] === "string" &&
    typeof value["first"] === "boolean" &&
    ["incarnation", "nonce", "watermark", "watermarkBefore"].every((name) => isCount(value[name]))
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

export type BindVerdict =
  /** Known as it is: nothing to write. */
  | { readonly kind: "known"; readonly binding: Binding }
  /** To be made durable before anything of this peer is acted on. */
  | { readonly kind: "new"; readonly binding: Binding }
  | { readonly kind: "refused"; readonly reason: string };

/** P29: may this peer be bound as it says it is? */
export function judgeHello(old: Binding | undefined, hello: Hello): BindVerdict {
  const { storageId, incarnation, nonce, nodeId } = hello;
  if (old === undefined) {
    const binding = { storageId, incarnation, nonce, first: true, watermark: 0, watermarkBefore: 0 };
    return { kind: "new", binding };
  }
  if (old.storageId !== storageId) {
    const reason = `${nodeId} was bound with storage ${old.storageId} and comes with storage ${storageId}: its disk is empty, swapped or foreign`;
    return { kind: "refused", reason };
  }
  if (incarnation < old.incarnation || (incarnation === old.incarnation && nonce !== old.nonce)) {
    const reason = `${nodeId} comes as incarnation ${String(incarnation)}, but incarnation ${String(old.incarnation)} was seen: its disk is an old copy`;
    return { kind: "refused", reason };
  }
  if (incarnation === old.incarnation) return { kind: "known", binding: old };
  const watermarkBefore = Math.max(old.watermark, old.watermarkBefore);
  return { kind: "new", binding: { ...old, incarnation, nonce, watermarkBefore, watermark: 0 } };
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
