// Goal: what a node does that is slow: it stood still, or its disk takes its time (P12, P17). Method: stories on the simulated
// cluster, in virtual time.
import { describe, expect, it } from "vitest";
import { type Key, userKey } from "../../src/base/key.js";
import type { PLogView } from "../../src/node/service.js";
import type { WriteOutcome } from "../../src/paxos/operation.js";
import { keyLedBy } from "../../src/sim/soup/keys.js";
import { answered, read, set, started, textOf, write } from "./harness.js";

const KEY = userKey("k");

function never(): void {
  throw new Error("an answer of the wrong kind");
}

describe("a node that stood still", () => {
  const PAUSE_MS = 60_000;

  it("P12 begins no write that may have been sent long ago, and says so; soon it serves as ever", () => {
    const cluster = started(7);
    cluster.pause(0);
    cluster.run(PAUSE_MS);
    cluster.resume(0);
    const refused = write(cluster, 0, KEY, set("old"));
    expect(refused).toMatchObject({ status: "not-applied", code: "BUSY" });
    expect(textOf(read(cluster, 1, KEY))).toBeNull();
    cluster.run(200);
    expect(write(cluster, 0, KEY, set("new"))).toMatchObject({ status: "ok" });
  });

  it("P12 proposes nothing of what its peers had handed to it and given up since", () => {
    for (const leader of [0, 1, 2]) {
      const cluster = started(8);
      const others = [0, 1, 2].filter((replica) => replica !== leader);
      const key = keyLedBy(leader);
      cluster.pause(leader);
      cluster.kill(others[1] ?? -1);
      const told: string[] = [];
      const sink = { onWrite: (_tag: number, outcome: WriteOutcome) => told.push(outcome.status), onRead: never };
      cluster.opened(others[0] ?? -1)?.write(key, set("old"), sink, 0);
      cluster.run(PAUSE_MS);
      expect(told).toHaveLength(1);
      expect(told).not.toContain("ok");
      cluster.resume(leader);
      cluster.run(1000);
      expect(textOf(read(cluster, leader, key))).toBeNull();
    }
  });
});

describe("a node with a slow disk", () => {
  // Many keys at rest, a third of them led by it: each first write of one waited for the slow disk, and p99 was that of the disk.
  it("P17 is gone round by the first write of each key that it led", () => {
    const cluster = started(10, { engine: "native" });
    const keys = Array.from({ length: 40 }, (_, i) => userKey(`k${String(i)}`));
    for (const key of keys) write(cluster, 1, key, set("v"));
    const quickUs = (() => {
      const startUs = cluster.time.nowUs;
      for (const key of keys.slice(0, 10)) write(cluster, 1, key, set("v"));
      return (cluster.time.nowUs - startUs) / 10;
    })();
    cluster.slowDisk(1, 60);
    for (const key of keys.slice(0, 5)) write(cluster, 1, key, set("w"));
    cluster.run(500);
    for (const key of keys.slice(10)) {
      const startUs = cluster.time.nowUs;
      expect(write(cluster, 0, key, set("w"))).toMatchObject({ status: "ok" });
      expect(cluster.time.nowUs - startUs).toBeLessThan(6 * quickUs);
      expect(textOf(read(cluster, 2, key))).toBe("w");
    }
  });

  it("P17 leads no more, and its own writes do not wait for it; when it is quick again it leads again", () => {
    const cluster = started(9, { engine: "native" });
    const keys = Array.from({ length: 30 }, (_, i) => userKey(`k${String(i)}`));
    const leaders = (): number[] => {
      const views = (key: Key) =>
        answered<readonly PLogView[]>(cluster, (done) => cluster.opened(0)?.inspect(key, done));
      return keys.map((key) => views(key)[0]?.leader ?? -1);
    };
    const rewrite = (): number => {
      const startUs = cluster.time.nowUs;
      for (const key of keys) expect(write(cluster, 1, key, set("v"))).toMatchObject({ status: "ok" });
      return (cluster.time.nowUs - startUs) / keys.length;
    };
    for (let i = 0; i < 3; i++) rewrite();
    expect(new Set(leaders())).toEqual(new Set([1]));
    const quickUs = rewrite();
    cluster.slowDisk(1, 20);
    for (let i = 0; i < 3; i++) rewrite();
    cluster.run(500);
    rewrite();
    const slowUs = rewrite();
    expect(leaders()).not.toContain(1);
    expect(slowUs).toBeLessThan(3 * quickUs);
    cluster.slowDisk(1, 1);
    for (let i = 0; i < 3; i++) rewrite();
    cluster.run(500);
    rewrite();
    expect(new Set(leaders())).toEqual(new Set([1]));
  });
});
