// Goal: the newest map wins, whoever shows it, and what is none changes nothing; who hears of a newer one asks for it, once it is bound to the peer.
import { describe, expect, it } from "vitest";
import { MapBoard } from "../../src/node/map-board.js";

function board(): MapBoard {
  return new MapBoard((bytes) => {
    const [version = 0, ...drained] = bytes;
    return version === 0 ? null : { version, drained: drained.map((number) => `n${String(number)}`) };
  });
}

describe("the board of a node", () => {
  it("takes what is newer than what it has, and nothing else", () => {
    const map = board();
    expect([map.version, map.isDrained("n2")]).toEqual([0, false]);
    expect(map.show(Uint8Array.of(2, 2))).toBe(true);
    expect([map.version, map.isDrained("n2"), [...map.bytes]]).toEqual([2, true, [2, 2]]);
    for (const older of [Uint8Array.of(1, 3), Uint8Array.of(2, 3)]) {
      expect(map.show(older)).toBe(true);
      expect([map.version, map.isDrained("n3")]).toEqual([2, false]);
    }
    map.show(Uint8Array.of(3));
    expect([map.version, map.isDrained("n2")]).toEqual([3, false]);
  });

  it("says that something is no map, and keeps what it has", () => {
    const map = board();
    map.show(Uint8Array.of(2, 2));
    expect(map.show(Uint8Array.of(0))).toBe(false);
    expect([map.version, map.isDrained("n2")]).toEqual([2, true]);
  });
});
