// Goal: the keys that are asked for most are found in bounded memory, with counts that are right within what is told, and old heat
// fades. Method: streams with known counts, and the command over a service in memory.
import { describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { Random } from "../../src/base/random.js";
import { HotKeys } from "../../src/server/hot-keys.js";
import { startTestServer } from "./harness.js";

describe("hot keys", () => {
  it("are found among a million others, with counts near the truth", () => {
    const random = new Random(1);
    const hot = new HotKeys(new Random(2));
    const truth = new Map<string, number>();
    const operations = 400_000;
    for (let i = 0; i < operations; i++) {
      // A tenth of all goes to ten keys, hotter ones before others; the rest to nobody twice, or nearly.
      const name = random.chance(0.1)
        ? `hot:${String(Math.min(random.below(10), random.below(10)))}`
        : `cold:${String(random.below(1e6))}`;
      truth.set(name, (truth.get(name) ?? 0) + 1);
      hot.note(userKey(name));
    }
    const top = hot.top(8);
    expect(top.filter(({ key }) => key.startsWith("uhot:")).length).toBe(8);
    expect(top[0]?.key).toBe("uhot:0");
    for (const { key, count, excess } of top) {
      const real = truth.get(key.slice(1)) ?? 0;
      const doubt = 4 * Math.sqrt(real * 16) + 16;
      expect(count, key).toBeGreaterThan(real - doubt);
      expect(count - excess, key).toBeLessThan(real + doubt);
    }
    expect(hot.top(10_000).length).toBeLessThanOrEqual(256);
  });

  it("fade when nobody asks for them any more", () => {
    const hot = new HotKeys(new Random(3));
    for (let i = 0; i < 10_000; i++) hot.note(userKey("old"));
    hot.fade(1);
    const before = hot.top(1)[0]?.count ?? 0;
    for (let minute = 1; minute <= 3; minute++) hot.fade(1 + minute * 60_000);
    expect(hot.top(1)[0]?.count).toBeLessThan(before / 7);
    for (let minute = 4; minute <= 20; minute++) hot.fade(1 + minute * 60_000);
    expect(hot.top(1)).toEqual([]);
  });

  it("are told by HOTKEYS, whatever the commands were", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    for (let i = 0; i < 40; i++) {
      client.send(
        ...Array.from({ length: 20 }, () => ["GET", "a"]),
        ...Array.from({ length: 10 }, () => ["MGET", "b", "c"]),
        ["SET", "d", "1"],
      );
      await client.receiveMany(31);
    }
    const top = await client.ask("HOTKEYS", "COUNT", "1");
    expect(top).toEqual([[{ bulk: "a" }, expect.any(Number), 0]]);
    expect(await client.ask("HOTKEYS")).toHaveLength(4);
    for (const words of [["COUNT"], ["COUNT", "0"], ["COUNT", "x"], ["x", "1"]]) {
      expect(await client.ask("HOTKEYS", ...words)).toHaveProperty("error");
    }
  });
});
