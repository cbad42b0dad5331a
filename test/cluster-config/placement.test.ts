// Goal: groups of three nodes in different zones, every slot in one of them, and the load of a dead node on at least four
// others; the same whatever the order of the file. Method: the function, over many sizes.
import { describe, expect, it } from "vitest";
import { SLOTS } from "../../src/cluster/hash-slot.js";
import { groupBySlot, groupsWith, type PlacedNode, type Placement, placementOf } from "../../src/cluster/placement.js";

/** Nodes n01, n02, ... in the zones a, b and c in turn. */
function nodesOf(count: number, zoneOf = (i: number): string => "abc"[i % 3] ?? ""): PlacedNode[] {
  return Array.from({ length: count }, (_, i) => ({ id: `n${String(i + 1).padStart(2, "0")}`, zone: zoneOf(i) }));
}

function placed(nodes: readonly PlacedNode[]): Placement {
  const placement = placementOf(nodes);
  if (typeof placement === "string") throw new Error(placement);
  return placement;
}

describe("a placement", () => {
  it.each([1, 3, 5, 7])("is one group of %d nodes, whatever their zones", (count) => {
    const nodes = nodesOf(count);
    expect(placed(nodes)).toEqual({
      groups: [{ number: 0, space: 0, members: nodes.map(({ id }) => id), first: 0, last: SLOTS - 1 }],
      digest: 0,
    });
  });

  it.each([6, 9, 12, 15, 30, 48])("of %d nodes is one of groups of three", (count) => {
    const nodes = nodesOf(count);
    const placement = placed(nodes);
    const zones = new Map(nodes.map(({ id, zone }) => [id, zone]));
    expect(placement.groups).toHaveLength((count / 3) * 4);
    for (const { members } of placement.groups) expect(new Set(members.map((id) => zones.get(id))).size).toBe(3);
    for (const { id } of nodes) {
      const groups = groupsWith(placement, id);
      expect(groups).toHaveLength(4);
      expect(new Set(groups.map(({ space }) => space)).size, "spaces of one store").toBe(4);
      const others = new Set(groups.flatMap(({ members }) => members).filter((other) => other !== id));
      expect(others.size, `who takes over from ${id}`).toBeGreaterThanOrEqual(4);
    }
    const bySlot = groupBySlot(placement);
    expect(bySlot).toHaveLength(SLOTS);
    for (const { number, first, last } of placement.groups) {
      expect(Math.abs(last - first + 1 - SLOTS / placement.groups.length)).toBeLessThanOrEqual(1);
      expect([bySlot[first]?.number, bySlot[last]?.number]).toEqual([number, number]);
    }
  });

  it("takes more zones than three, as long as they fall into three parts of one size", () => {
    const zones = ["a", "a", "b", "c", "d", "d"];
    const placement = placed(nodesOf(6, (i) => zones[i] ?? ""));
    for (const { members } of placement.groups) {
      expect(new Set(members.map((id) => zones[Number(id.slice(1)) - 1])).size).toBe(3);
    }
    expect(placed(nodesOf(6, String)).groups).toHaveLength(8);
  });

  it("says what is wrong, and the fix", () => {
    for (const count of [0, 2, 4, 8, 10, 11])
      expect(placementOf(nodesOf(count))).toMatch(/multiple of three from 6 on/);
    expect(placementOf(nodesOf(6, (i) => (i < 3 ? "a" : "b")))).toMatch(
      /in the zones a, b; .* change the nodes' zones/,
    );
    expect(placementOf(nodesOf(9, (i) => (i < 4 ? "a" : String(i))))).toMatch(/three parts of 3 nodes/);
  });

  it("has another digest with other zones, nodes or groups", () => {
    const digests = [
      placed(nodesOf(6)),
      placed(nodesOf(9)),
      placed(nodesOf(6, (i) => "aabbcc"[i] ?? "")),
      placed(nodesOf(6).map(({ id, zone }) => ({ id: `x${id}`, zone }))),
    ].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(4);
    for (const digest of digests) expect(digest).toBeGreaterThan(0);
    // Names of zones alone change nothing.
    expect(placed(nodesOf(6, (i) => "xyz"[i % 3] ?? "")).digest).toBe(digests[0]);
  });
});
