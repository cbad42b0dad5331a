/**
 * The map of a cluster: which group holds which slots, and which nodes are to be spared. It is one value of one key in the bootstrap group,
 * so its changes have one order. Text of JSON, so that people can read it. Pure.
 */
import { z } from "zod";
import { type Group, groupsWith, type Placement } from "./placement.js";

/** The group whose store holds the map. */
export const BOOTSTRAP_GROUP = 0;

export interface ClusterMap {
  /** From 1, higher with every change. */
  readonly version: number;
  readonly groups: readonly Group[];
  /** Ids, in order: clients are advised to ask these last, and their replicas lead no position. */
  readonly drained: readonly string[];
}

const count = z.number().int().min(0);
const SCHEMA = z.object({
  version: z.number().int().min(1),
  groups: z.array(
    z.object({ number: count, space: count, members: z.array(z.string().min(1)).min(1), first: count, last: count }),
  ),
  drained: z.array(z.string()),
});

/** What a cluster begins with. */
export function firstMap({ groups }: Placement): ClusterMap {
  return { version: 1, groups, drained: [] };
}

/** The next version, with a node spared or no longer so; the same map when there is nothing to change. */
export function withDrained(map: ClusterMap, nodeId: string, on: boolean): ClusterMap {
  if (map.drained.includes(nodeId) === on) return map;
  const others = map.drained.filter((id) => id !== nodeId);
  return { ...map, version: map.version + 1, drained: on ? [...others, nodeId].toSorted() : others };
}

export function encodeMap(map: ClusterMap): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(map));
}

/** Null: it is no map. */
export function decodeMap(bytes: Uint8Array): ClusterMap | null {
  let read: unknown;
  try {
    read = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
  const parsed = SCHEMA.safeParse(read);
  return parsed.success ? parsed.data : null;
}

/** The groups of a map are those of a configuration: nothing moves slots so far. */
export function isPlacedAs(map: ClusterMap, { groups }: Placement): boolean {
  return encodeGroups(map.groups) === encodeGroups(groups);
}

function encodeGroups(groups: readonly Group[]): string {
  return JSON.stringify(groups.map(({ number, space, members, first, last }) => [number, space, members, first, last]));
}

/** The nodes whose stores hold the map. */
export function mapHolders(placement: Placement): readonly string[] {
  return placement.groups[BOOTSTRAP_GROUP]?.members ?? [];
}

export function holdsMap(placement: Placement, nodeId: string): boolean {
  return groupsWith(placement, nodeId).some(({ number }) => number === BOOTSTRAP_GROUP);
}
