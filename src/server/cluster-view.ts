/**
 * What cluster clients are told: which node to ask for which slot. Every replica of a group serves all its keys, so this is
 * advice, never a rule: each node is listed first for its share of the slots, and one that is down hands its share over to the
 * next that is up. There is one group, and it holds all slots.
 */
import { createHash } from "node:crypto";
import type { NodeEntry } from "../cluster/index.js";
import type { PeerView } from "../node/service.js";
import { SLOTS } from "../cluster/index.js";
import type { ServerContext } from "./server-context.js";

export interface Member {
  /** 40 hex digits, the same at every node and after every start. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Of the peers' protocol: what Redis calls the bus. */
  readonly peerPort: number;
  readonly isSelf: boolean;
  readonly health: "online" | "failed";
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

/** All nodes, by rising replica number. A node that this one cannot reach counts as failed. */
export function members(context: ServerContext): Member[] {
  const { clusterId, nodeId, nodes } = context.config;
  const peers = context.service?.stats().peers ?? [];
  return nodes.map((node) => ({
    id: clusterNodeId(clusterId, node.id),
    host: node.client.host,
    port: node.id === nodeId ? context.port : node.client.port,
    peerPort: node.peer.port,
    isSelf: node.id === nodeId,
    health: node.id === nodeId || isUp(node, peers) ? "online" : "failed",
  }));
}

function isUp(node: NodeEntry, peers: readonly PeerView[]): boolean {
  return peers.some(({ replica, state }) => replica === node.replica && state === "connected");
}

/** Who is to be asked for what; rising, without gaps. */
export function slotRanges(all: readonly Member[]): SlotRange[] {
  return all.map((_, share) => {
    const turned = [...all.slice(share), ...all.slice(0, share)];
    const up = turned.filter(({ health }) => health === "online");
    const down = turned.filter(({ health }) => health === "failed");
    return {
      first: Math.ceil((share * SLOTS) / all.length),
      last: Math.ceil(((share + 1) * SLOTS) / all.length) - 1,
      members: [...up, ...down],
    };
  });
}

/** A majority is up: keys can be read and written. */
export function hasQuorum(all: readonly Member[]): boolean {
  return all.filter(({ health }) => health === "online").length * 2 > all.length;
}
