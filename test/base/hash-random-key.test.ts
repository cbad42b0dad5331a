/** Claims about hashes (their values are compared between replicas and kept on disks), seeds and keys. */
import { describe, expect, it } from "vitest";
import { AssertionFailed, assert, unreachable } from "../../src/base/assert.js";
import { hashBytes, hashKey } from "../../src/base/hash.js";
import { clientBytes, nodeKey, rawKey, userKey } from "../../src/base/key.js";
import { Random } from "../../src/base/random.js";

describe("hashes", () => {
  it("never change silently", () => {
    expect(hashBytes(new Uint8Array(0))).toMatchInlineSnapshot(`8758854717255771`);
    expect(hashBytes(Uint8Array.of(1, 2, 3, 4, 5))).toMatchInlineSnapshot(`2223715854517794`);
    expect(hashKey("uhello")).toMatchInlineSnapshot(`508925624`);
  });

  it("are safe integers, differ in every byte and in length, and do not collide in a million", () => {
    const seen = new Set<number>();
    const bytes = new Uint8Array(12);
    for (let i = 0; i < 1_000_000; i++) {
      bytes[i % 7] = i;
      bytes[8] = i >>> 8;
      bytes[9] = i >>> 16;
      bytes[10] = i;
      seen.add(hashBytes(bytes));
    }
    for (const hash of [...seen].slice(0, 1000)) expect(Number.isSafeInteger(hash) && hash > 0).toBe(true);
    expect(seen.size).toBeGreaterThan(999_990);
    expect(hashBytes(new Uint8Array(3))).not.toBe(hashBytes(new Uint8Array(4)));
  });

  it("spread keys evenly over the replicas of a group", () => {
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) {
      const leader = hashKey(userKey(`key:${String(i)}`)) % 3;
      counts[leader] = (counts[leader] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });
});

describe("seeded random numbers", () => {
  it("repeat with the seed, and differ with it", () => {
    const take = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 20 }, () => random.next32());
    };
    expect(take(5)).toEqual(take(5));
    expect(take(5)).not.toEqual(take(6));
    expect(new Set(take(0)).size).toBe(20);
  });

  it("stay below their bound and reach every value", () => {
    const random = new Random(1);
    const seen = new Set<number>();
    for (let i = 0; i < 1000; i++) seen.add(random.below(10));
    expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(random.below(1)).toBe(0);
  });

  it("chance(p) comes true about p of the time; 0 never, 1 always", () => {
    const random = new Random(2);
    let hits = 0;
    for (let i = 0; i < 10_000; i++) {
      if (random.chance(0.3)) hits++;
      expect(random.chance(0)).toBe(false);
      expect(random.chance(1)).toBe(true);
    }
    expect(Math.abs(hits - 3000)).toBeLessThan(200);
  });
});

describe("keys and assertions", () => {
  it("what clients write never collides with what a node remembers", () => {
    expect(userKey("x")).not.toBe(nodeKey("x"));
    expect(clientBytes(userKey("x"))).toBe("x");
    expect(rawKey(userKey("x"))).toBe(userKey("x"));
  });

  it("a broken invariant throws with its rule", () => {
    expect(() => {
      assert(false, "P7: once");
    }).toThrow(new AssertionFailed("P7: once"));
    expect(() => unreachable("x" as never)).toThrow(AssertionFailed);
  });
});
