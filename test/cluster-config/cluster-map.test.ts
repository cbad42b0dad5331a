// Goal: the map of a cluster is read as it was written, refused when it is none, and gets a new version with every change and with nothing else.
import { describe, expect, it } from "vitest";
import {
  decodeMap,
  encodeMap,
  firstMap,
  holdsMap,
  isPlacedAs,
  mapHolders,
  type Placement,
  placementOf,
  withDrained,
} from "../../src/cluster/index.js";

function placed(count: number): Placement {
  const placement = placementOf(
    Array.from({ length: count }, (_, i) => ({ id: `n${String(i + 1)}`, zone: "abc".charAt(i % 3) })),
  );
  if (typeof placement === "string") throw new Error(placement);
  return placement;
}

describe("the map of a cluster", () => {
  it("is read as it was written", () => {
    for (const count of [1, 3, 5, 6, 12]) {
      const map = withDrained(firstMap(placed(count)), "n1", true);
      expect(decodeMap(encodeMap(map))).toEqual(map);
    }
  });

  it("begins with version 1, and has one more with every change", () => {
    const first = firstMap(placed(6));
    expect(first.version).toBe(1);
    const second = withDrained(first, "n2", true);
    const third = withDrained(second, "n1", true);
    expect([second.version, second.drained]).toEqual([2, ["n2"]]);
    expect([third.version, third.drained]).toEqual([3, ["n1", "n2"]]);
    expect(withDrained(third, "n2", false)).toEqual({ ...third, version: 4, drained: ["n1"] });
  });

  it("stays what it is when there is nothing to change", () => {
    const first = firstMap(placed(3));
    const second = withDrained(first, "n2", true);
    expect(withDrained(first, "n2", false)).toBe(first);
    expect(withDrained(second, "n2", true)).toBe(second);
  });

  it("is told from what is no map", () => {
    const text = (what: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(what));
    const map = firstMap(placed(3));
    for (const bytes of [
      new Uint8Array(0),
      Uint8Array.of(0xff, 0xfe),
      new TextEncoder().encode("{"),
      text(null),
      text([]),
      text({ ...map, version: 0 }),
      text({ ...map, version: 1.5 }),
      text({ ...map, groups: [{ number: 0 }] }),
      text({ ...map, drained: [1] }),
    ]) {
      expect(decodeMap(bytes)).toBeNull();
    }
  });

  it("is known to be one for other groups than those of a configuration", () => {
    expect(isPlacedAs(withDrained(firstMap(placed(6)), "n1", true), placed(6))).toBe(true);
    expect(isPlacedAs(firstMap(placed(6)), placed(9))).toBe(false);
  });

  it("is held by the nodes of the first group, so that a majority of them can always read it", () => {
    const six = placed(6);
    expect(mapHolders(six)).toHaveLength(3);
    expect(six.groups[0]?.members.every((id) => holdsMap(six, id))).toBe(true);
    expect(["n1", "n2", "n3", "n4", "n5", "n6"].filter((id) => holdsMap(six, id))).toHaveLength(3);
  });
});
