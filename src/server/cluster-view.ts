/**
 * What cluster clients are told: which node to ask for which slot. Every replica of a group serves all its keys, so the order
 * is advice, never a rule: each node is listed first for its shares of its groups' slots, and one that is down, slow or drained hands
 * them over to the others of the group, half to each side. Only nodes outside of the group send clients on (-MOVED).
 */
import { createHash } from "node:crypto";
import { type Group, groupBySlot, groupsWith, slotOfKey } from "../cluster/index.js";
import type { Command } from "./command-table.js";
import type { ServerContext } from "./server-context.js";
import type { Arguments } from "./stored-arguments.js";

export interface Member {
  /** 40 hex digits, the same at every node and after every start. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Of the peers' protocol: what Redis calls the bus. */
  readonly peerPort: number;
  readonly isSelf: boolean;
  readonly health: "online" | "failed";
  /** It serves, but its disk holds everybody up. */
  readonly isSlow: boolean;
  /** It serves, and is to be spared: somebody is going to stop it. */
  readonly isDrained: boolean;
}

export interface SlotRange {
  readonly first: number;
  readonly last: number;
  /** The one to ask first, then the others. */
  readonly members: readonly Member[];
}

/** The id of a node as cluster clients want it. */
export function clusterNodeId(clusterId: string, nodeId: string): string {
  return createHash("sha1")
    .update(JSON.stringify([clusterId, nodeId]))
    .digest("hex");
}

/** All nodes of the cluster by their names, in the order of their numbers. */
export function members(context: ServerContext): ReadonlyMap<string, Member> {
  const { clusterId, nodeId, nodes } = context.config;
  const { service } = context;
  const slow = new Set((service?.stats().peers ?? []).filter(({ isSlow }) => isSlow).map((peer) => peer.nodeId));
  return new Map(
    nodes.map((node) => [
      node.id,
      {
        id: clusterNodeId(clusterId, node.id),
        host: node.client.host,
        port: node.id === nodeId ? context.port : node.client.port,
        peerPort: node.peer.port,
        isSelf: node.id === nodeId,
        health: node.id === nodeId || service?.hears(node.id) === true ? "online" : "failed",
        isSlow: slow.has(node.id),
        isDrained: context.map?.isDrained(node.id) === true,
      },
    ]),
  );
}

/** The slots of one group: a share for each member and each way round, so that what one hands over goes to both sides. */
export function sharesOf({ first, last }: Pick<Group, "first" | "last">, all: readonly Member[]): SlotRange[] {
  const count = last - first + 1;
  const orders = all.flatMap((_, at) => {
    const onwards = [...all.slice(at), ...all.slice(0, at)];
    const [own, ...others] = onwards;
    return own === undefined || all.length < 3 ? [onwards] : [onwards, [own, ...others.toReversed()]];
  });
  const begin = (share: number): number => first + Math.ceil((share * count) / orders.length);
  return orders.map((order, share) => {
    const ranked = order.toSorted((a, b) => rankOf(a) - rankOf(b)); // a stable sort
    return { first: begin(share), last: begin(share + 1) - 1, members: ranked };
  });
}

function rankOf({ health, isSlow, isDrained }: Member): number {
  if (health === "failed") return 3;
  if (isDrained) return 2;
  return isSlow ? 1 : 0;
}

/** Who is to be asked for what; rising, without gaps. */
export function slotRanges(context: ServerContext, all = members(context)): SlotRange[] {
  return context.config.placement.groups.flatMap((group) => sharesOf(group, membersOf(group, all)));
}

function membersOf({ members: ids }: Group, all: ReadonlyMap<string, Member>): Member[] {
  return ids.flatMap((id) => all.get(id) ?? []);
}

/** A majority of them is up: their keys can be read and written. */
export function hasQuorum(all: readonly Member[]): boolean {
  return all.filter(({ health }) => health === "online").length * 2 > all.length;
}

/** Slots whose group has a majority, as far as this node can tell. */
export function slotsServed(context: ServerContext, all: ReadonlyMap<string, Member>): number {
  let slots = 0;
  for (const group of context.config.placement.groups) {
    if (hasQuorum(membersOf(group, all))) slots += group.last - group.first + 1;
  }
  return slots;
}

/** How long an answer to the question who is up is good for, where every wrong command asks it. */
const VIEW_MS = 100;

/** Which slots are this node's, and where clients are sent for the others. */
export class Routing {
  readonly #context: ServerContext;
  /** By slot; null: this node holds all of them. */
  readonly #own: readonly boolean[] | null;
  #ranges: readonly SlotRange[] = [];
  #rangesAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: ServerContext) {
    this.#context = context;
    const { placement, nodeId } = context.config;
    const own = new Set(groupsWith(placement, nodeId).map(({ number }) => number));
    this.#own =
      own.size === placement.groups.length ? null : groupBySlot(placement).map(({ number }) => own.has(number));
  }

  /** Why a command on these keys is not for this node: -MOVED or -CROSSSLOT; null: it is, or it has no keys. */
  refusal(command: Command, args: Arguments): string | null {
    const own = this.#own;
    if (own === null || command.spec.keys === null) return null;
    let first = -1;
    let isElsewhere = false;
    let isOneSlot = true;
    for (const index of command.keyIndexes(args.argc)) {
      const slot = slotOfKey(args.bytes(index));
      if (first < 0) first = slot;
      else if (slot !== first) isOneSlot = false;
      if (own[slot] !== true) isElsewhere = true;
    }
    if (!isElsewhere) return null;
    if (!isOneSlot) return "CROSSSLOT Keys in request don't hash to the same slot";
    const [to] = this.#rangeOf(first)?.members ?? [];
    return to === undefined ? null : `MOVED ${String(first)} ${to.host}:${String(to.port)}`;
  }

  #rangeOf(slot: number): SlotRange | undefined {
    const nowMs = performance.now();
    if (nowMs > this.#rangesAtMs + VIEW_MS) {
      this.#ranges = slotRanges(this.#context);
      this.#rangesAtMs = nowMs;
    }
    return this.#ranges.find(({ first, last }) => slot >= first && slot <= last);
  }
}
