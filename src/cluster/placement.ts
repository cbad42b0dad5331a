/**
 * Which nodes hold which slots: groups of three nodes in different zones, each with its share of the slots. Worked out from
 * the nodes and zones of a configuration, the same at every node; two that work out something else do not speak to each
 * other (Hello.placement). Up to seven nodes are one group, unless their number is six. Pure.
 */
import { hashBytes } from "../base/hash.js";
import { SPACES } from "../storage/space.js";
import { SLOTS } from "./hash-slot.js";

const GROUP_SIZE = 3;
const LARGEST_SINGLE_GROUP = 7;
const LEAST_NODES_IN_GROUPS = 6;

export interface PlacedNode {
  readonly id: string;
  readonly zone: string;
}

/** Nodes that hold the same keys. */
export interface Group {
  readonly number: number;
  /** Of its keys in the stores of its members (src/storage/space.ts); different from those of every group that shares a member. */
  readonly space: number;
  /** Ids; the place in the list is the replica number. */
  readonly members: readonly string[];
  /** Slots from `first` to `last`, both in. */
  readonly first: number;
  readonly last: number;
}

export interface Placement {
  readonly groups: readonly Group[];
  /** 32 bits that tell it from others; 0 for a single group. */
  readonly digest: number;
}

/** `nodes` by rising id. A text says what is wrong with them, and the fix. */
export function placementOf(nodes: readonly PlacedNode[]): Placement | string {
  const count = nodes.length;
  if (count <= LARGEST_SINGLE_GROUP && count % 2 === 1) {
    const members = nodes.map(({ id }) => id);
    return { groups: [{ number: 0, space: 0, members, first: 0, last: SLOTS - 1 }], digest: 0 };
  }
  if (count < LEAST_NODES_IN_GROUPS || count % GROUP_SIZE !== 0) {
    return `has ${count} nodes; use 1, 3, 5 or 7 for one group, or a multiple of three from 6 on: add or remove some`;
  }
  const rows = rowsOf(nodes);
  if (rows === null) {
    const zones = [...new Set(nodes.map(({ zone }) => zone))].join(", ");
    return (
      `has ${count} nodes in the zones ${zones}; these must fall into three parts of ${count / GROUP_SIZE} nodes ` +
      "without dividing a zone, as with zones a, b and c of the same size: change the nodes' zones"
    );
  }
  return withDigest(groupsOf(rows));
}

/**
 * Three rows of the same number of nodes, no zone in two of them, so that three nodes of different rows are in different
 * zones. Null: the zones do not divide so.
 */
function rowsOf(nodes: readonly PlacedNode[]): string[][] | null {
  const zones = new Map<string, string[]>();
  for (const { id, zone } of nodes) zones.set(zone, [...(zones.get(zone) ?? []), id]);
  const width = nodes.length / GROUP_SIZE;
  // The largest first: they are the hardest to place.
  const left = [...zones].toSorted(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1)).map(([, ids]) => ids);
  const rows: string[][] = Array.from({ length: GROUP_SIZE }, () => []);
  const place = (at: number): boolean => {
    const zone = left[at];
    if (zone === undefined) return true;
    const tried = new Set<number>();
    for (const row of rows) {
      // Rows of the same length are the same, as far as what follows is concerned.
      if (row.length + zone.length > width || tried.has(row.length)) continue;
      tried.add(row.length);
      row.push(...zone);
      if (place(at + 1)) return true;
      row.length -= zone.length;
    }
    return false;
  };
  return place(0) ? rows : null;
}

/**
 * Every node of the first row with two neighbours of each other row, in all four ways. So each node is in four groups, with
 * at least four others, and what it served falls on all of them when it dies (shares of a group go to both others).
 */
function groupsOf([a = [], b = [], c = []]: readonly string[][]): Group[] {
  const width = a.length;
  const count = width * 4;
  const groups: Group[] = [];
  for (let i = 0; i < width; i++) {
    for (const [j, k] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const) {
      const members = [a[i] ?? "", b[(i + j) % width] ?? "", c[(i + k) % width] ?? ""];
      const number = groups.length;
      const [first, last] = [slotFrom(number, count), slotFrom(number + 1, count) - 1];
      groups.push({ number, space: freeSpace(groups, members), members, first, last });
    }
  }
  return groups;
}

function slotFrom(group: number, groups: number): number {
  return Math.ceil((group * SLOTS) / groups);
}

/** The lowest that no group with one of these members has. */
function freeSpace(groups: readonly Group[], members: readonly string[]): number {
  const neighbours = groups.filter((group) => group.members.some((id) => members.includes(id)));
  const taken = new Set(neighbours.map(({ space }) => space));
  let space = 0;
  while (taken.has(space)) space++;
  // Each of three members is in four groups: at most nine others. The last space is the node's own (node/open-groups.ts).
  if (space >= SPACES - 1) throw new Error(`${String(space)} groups share a member`);
  return space;
}

function withDigest(groups: readonly Group[]): Placement {
  const text = JSON.stringify(groups.map(({ space, members, first, last }) => [space, members, first, last]));
  return { groups, digest: hashBytes(new TextEncoder().encode(text)) >>> 0 || 1 };
}

/** The groups that a node is in. */
export function groupsWith(placement: Placement, id: string): readonly Group[] {
  return placement.groups.filter(({ members }) => members.includes(id));
}

/** The group of each slot, by slot. */
export function groupBySlot({ groups }: Placement): readonly Group[] {
  return groups.flatMap((group) => new Array<Group>(group.last - group.first + 1).fill(group));
}
