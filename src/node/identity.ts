/**
 * What a node durably remembers about itself and its peers (P29 to P31): its incarnation, whether it was born, what its
 * disk has lost, and for every peer the storage id, incarnation, loss and watermark it is bound to. One record under a key
 * of the node's own. Who is believed is in binding-rules.ts, what a loss leads to in losses.ts.
 */
import { MAX_LOSS } from "../codec/record.js";
import type { LostPlace, StoreFacts } from "../storage/store.js";
import type { Binding } from "./binding-rules.js";
import { NodeError } from "./node-error.js";

export interface Identity {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly nodeIds: readonly string[];
  readonly storageId: string;
  incarnation: number;
  born: boolean;
  /** Number of the last loss of this disk, 0 = none. */
  loss: number;
  /** Number of the last loss of all of it, 0 = none; records that were written under a lower one do not vote. */
  lossAll: number;
  /** Not every key was restored after that loss: there may be others of which nothing is known here. */
  lossOpen: boolean;
  /** Where the disk lost records of keys that cannot be told, as part of a loss already. */
  lostPlaces: readonly LostPlace[];
  /** The operator has ordered that this node does not vote. */
  learnerOrder: boolean;
  /**
   * Why this disk may not be believed, once a peer has shown that it forgot; empty as long as none did, and again once that
   * has become a loss with a number. Durable, because each start raises incarnation and watermark: a copy that is started
   * often enough would look new again.
   */
  forgot: string;
  /** Why the last loss of all of it was one; for people. */
  lossReason: string;
  readonly bindings: Map<string, Binding>;
}

export interface IdentityFacts {
  readonly clusterId: string;
  readonly nodeId: string;
  /** All nodes of the group, in the order of their replica numbers. */
  readonly nodeIds: readonly string[];
  readonly storageId: string;
}

/** 1 knew of no losses, 2 of no places: what is found is another loss then. */
const FORMATS = [1, 2, 3];
const FORMAT = 3;
/** More are not remembered, and found again as new ones: such a disk is lost at every start. */
const MOST_LOST_PLACES = 1000;

export function encodeIdentity(identity: Identity): Uint8Array {
  const bindings = Object.fromEntries(identity.bindings);
  return new TextEncoder().encode(JSON.stringify({ ...identity, format: FORMAT, bindings }));
}

/** Of a new disk. */
export function firstIdentity(facts: IdentityFacts): Identity {
  return {
    ...facts,
    incarnation: 1,
    born: facts.nodeIds.length === 1,
    loss: 0,
    lossAll: 0,
    lossOpen: false,
    lostPlaces: [],
    learnerOrder: false,
    forgot: "",
    lossReason: "",
    bindings: new Map(),
  };
}

/**
 * The identity of this start: one incarnation above the one on disk. Throws NodeError: foreign when the record belongs to
 * another cluster, node or disk; damaged when it cannot be read.
 */
export function nextIdentity(facts: IdentityFacts, record: Uint8Array): Identity {
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
  return { ...old, incarnation: old.incarnation + 1 };
}

/** P29, P31: all of the disk is lost, as a loss above every number in `told` and in the identity. The caller saves it. */
export function loseAll(identity: Identity, reason: string, told: { incarnation: number; loss: number }): void {
  identity.incarnation = Math.max(identity.incarnation, told.incarnation) + 1;
  identity.loss = nextLoss(Math.max(identity.loss, told.loss));
  identity.lossAll = identity.loss;
  identity.lossOpen = true;
  identity.born = true; // the others are: they remember
  identity.forgot = "";
  identity.lossReason = reason;
}

/**
 * Whether the disk lost more of keys that cannot be told than what is part of a loss already; takes down what is there now.
 * How many places there are says nothing: damage between two of them makes one of both. A record that is there only because
 * something newer was lost has no place; its key is written anew when it is restored, so it is not found again after that.
 */
export function takeLostPlaces(identity: Identity, facts: Pick<StoreFacts, "unknownLosses" | "lostPlaces">): boolean {
  const known = identity.lostPlaces;
  const isNew =
    facts.unknownLosses > facts.lostPlaces.length ||
    facts.lostPlaces.some((place) => !known.some((other) => isWithin(place, other)));
  identity.lostPlaces = facts.lostPlaces.slice(0, MOST_LOST_PLACES);
  return isNew;
}

function isWithin(place: LostPlace, other: LostPlace): boolean {
  return place.volume === other.volume && place.life === other.life && place.from >= other.from && place.to <= other.to;
}

export function nextLoss(loss: number): number {
  if (loss >= MAX_LOSS)
    throw new NodeError("damaged", "this disk was lost too often to be counted: replace the machine");
  return loss + 1;
}

function decodeIdentity(record: Uint8Array): Identity {
  const broken = new NodeError("damaged", "the node's own identity record cannot be read: the disk is damaged");
  let raw: unknown;
  try {
    raw = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(record));
  } catch {
    throw broken;
  }
  if (!isRecord(raw) || !FORMATS.includes(Number(raw["format"])) || !isRecord(raw["bindings"])) throw broken;
  const { clusterId, nodeId, nodeIds, storageId, incarnation, born } = raw;
  const { loss = 0, lossAll = 0, lossOpen = false, lostPlaces = [], learnerOrder = false } = raw;
  const { forgot = "", lossReason = "" } = raw;
  const bindings = new Map<string, Binding>();
  for (const [peer, value] of Object.entries(raw["bindings"])) {
    const binding = isRecord(value) ? { loss: 0, ...value } : value;
    if (!isBinding(binding)) throw broken;
    bindings.set(peer, binding);
  }
  if (typeof clusterId !== "string" || typeof nodeId !== "string" || typeof storageId !== "string") throw broken;
  if (!isCount(incarnation) || !isCount(loss) || !isCount(lossAll)) throw broken;
  if (typeof born !== "boolean" || typeof lossOpen !== "boolean" || typeof learnerOrder !== "boolean") throw broken;
  if (typeof forgot !== "string" || typeof lossReason !== "string" || !isTexts(nodeIds)) throw broken;
  if (!Array.isArray(lostPlaces) || !lostPlaces.every(isLostPlace)) throw broken;
  if (loss > MAX_LOSS || lossAll > loss) throw broken;
  const losses = { loss, lossAll, lossOpen, lostPlaces, learnerOrder, forgot, lossReason };
  return { clusterId, nodeId, nodeIds, storageId, incarnation, born, ...losses, bindings };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isLostPlace(value: unknown): value is LostPlace {
  return isRecord(value) && ["volume", "life", "from", "to"].every((name) => isCount(value[name]));
}

function isBinding(value: unknown): value is Binding {
  return (
    isRecord(value) &&
    typeof value["storageId"] === "string" &&
    typeof value["first"] === "boolean" &&
    ["incarnation", "nonce", "loss", "watermark", "watermarkBefore"].every((name) => isCount(value[name]))
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
