/**
 * Goal: replicas align themselves (P26 to P28), and a replica that lost its disk votes again, key by key, without anybody
 * doing anything (P31). Method: stories on the simulated cluster, on both engines where it matters.
 */
import { describe, expect, it } from "vitest";
import { type Key, userKey } from "../../src/base/key.js";
import { headOf } from "../../src/codec/record.js";
import type { PLogView } from "../../src/node/service.js";
import type { SimulatedCluster } from "../../src/sim/cluster.js";
import { wallMsAt } from "../../src/sim/virtual-time.js";
import { emptyLoadedKey } from "../../src/storage/loaded-key.js";
import { answered, memoryDisk, read, set, started, textOf, write } from "./harness.js";

const ENGINES = ["memory", "native"] as const;

function keysOf(count: number): Key[] {
  return Array.from({ length: count }, (_, i) => userKey(`key:${String(i)}`));
}

function viewsOf(cluster: SimulatedCluster, key: Key, through = 0): readonly PLogView[] {
  return answered(cluster, (done: (views: readonly PLogView[]) => void) => {
    cluster.opened(through)?.inspect(key, done);
  });
}

/** The newest position that a replica's own store holds, and the chosen one that it knows of. */
function heldBy(
  cluster: SimulatedCluster,
  replica: number,
  key: Key,
): { readonly top: number; readonly chosen: number } {
  const results = [emptyLoadedKey()];
  cluster.store(replica)?.load([key], results);
  const [records] = results;
  if (records === undefined || records.slots === 0) return { top: 0, chosen: 0 };
  const { position, header } = records.slot[records.slots === 2 ? 1 : 0];
  const isChosen = headOf(header, cluster.options.replicas)?.chosen === true;
  return { top: position, chosen: isChosen ? position : position - 1 };
}

/** The replica's own store holds a vote of it for a position of the key above the first. */
function votesGivenBy(cluster: SimulatedCluster, replica: number, key: Key): boolean {
  const results = [emptyLoadedKey()];
  cluster.store(replica)?.load([key], results);
  const slots = results[0]?.slot.slice(0, results[0].slots).filter(({ position }) => position > 1) ?? [];
  const heads = slots.map(({ header }) => headOf(header, cluster.options.replicas));
  return heads.some((head) => head !== null && head.hasEntry && !head.chosen && !head.learner);
}

function runUntil(cluster: SimulatedCluster, ms: number, done: () => boolean): boolean {
  cluster.time.runUntil(cluster.time.nowUs + ms * 1000, done);
  return done();
}

function statsOf(cluster: SimulatedCluster, replica: number) {
  const stats = cluster.opened(replica)?.stats();
  if (stats === undefined) throw new Error("not open");
  return stats;
}

function verified(cluster: SimulatedCluster, replica: number) {
  return answered(cluster, (done: (found: ReturnType<typeof statsOf>["sweepFound"]) => void) => {
    cluster.opened(replica)?.verifyNow(done);
  });
}

describe.each(ENGINES)("a replica that was away, on the %s engine", (engine) => {
  it("P26 takes what it missed without being asked for it, new keys, newer values and deletions", () => {
    const cluster = started(1, { engine });
    const keys = keysOf(60);
    for (const key of keys.slice(0, 40)) write(cluster, 0, key, set("old"));
    cluster.run(50);
    cluster.kill(2);
    for (const key of keys.slice(20)) for (let i = 0; i < 3; i++) write(cluster, i % 2, key, set(`new ${String(i)}`));
    for (const key of keys.slice(0, 5)) write(cluster, 0, key, { kind: "delete" });
    cluster.start(2);
    const aligned = (): boolean => keys.every((key) => heldBy(cluster, 2, key).top >= heldBy(cluster, 0, key).top);
    expect(runUntil(cluster, 3000, aligned)).toBe(true);
    expect(verified(cluster, 2)).toMatchObject({ buckets: 65_536, behind: 0, diverged: 0, learners: 0 });
    cluster.kill(1);
    for (const key of keys.slice(20)) expect(textOf(read(cluster, 2, key))).toBe("new 2");
    for (const key of keys.slice(0, 5)) expect(textOf(read(cluster, 2, key))).toBe(null);
  });
});

describe.each(ENGINES)("a replica on an empty disk, on the %s engine", (engine) => {
  for (const replicas of [3, 5]) {
    it(`P31 becomes a voter for every key by itself, and then another may die: group of ${String(replicas)}`, () => {
      const cluster = started(2, { engine, replicas });
      const keys = keysOf(50);
      for (const key of keys) for (let i = 0; i < 2; i++) write(cluster, i, key, set(`v${String(i)}`));
      cluster.kill(1);
      cluster.wipe(1);
      cluster.start(1);
      expect(cluster.runUntilServing(3000)).toBe(true);
      expect(
        runUntil(cluster, 5000, () => statsOf(cluster, 1).mode === "voter"),
        "the loss is closed",
      ).toBe(true);
      for (const key of keys) expect(viewsOf(cluster, key).every(({ votes }) => votes)).toBe(true);
      expect(statsOf(cluster, 1)).toMatchObject({ loss: 1, lossOpen: false, keysRestored: 50 });
      for (let dead = 2; dead < 2 + (replicas - 1) / 2; dead++) cluster.kill(dead);
      for (const key of keys) {
        expect(textOf(read(cluster, 1, key))).toBe("v1");
        expect(write(cluster, 1, key, set("w")).status).toBe("ok");
      }
      expect(write(cluster, 0, userKey("never written before"), set("w")).status).toBe("ok");
    });
  }

  it("P31 votes for nothing while one of the others is away, and for everything when it is back", () => {
    const cluster = started(3, { engine });
    const keys = keysOf(10);
    for (const key of keys) write(cluster, 0, key, set("v"));
    cluster.kill(1);
    cluster.wipe(1);
    cluster.start(1);
    expect(cluster.runUntilServing(3000)).toBe(true);
    cluster.kill(2);
    cluster.run(3000);
    const mayVote = (): boolean => keys.some((key) => viewsOf(cluster, key)[1]?.votes === true);
    if (statsOf(cluster, 1).lossOpen) {
      expect(mayVote()).toBe(false);
      expect(write(cluster, 0, userKey("key:0"), set("w")).status).not.toBe("ok");
    }
    cluster.start(2);
    expect(runUntil(cluster, 8000, () => statsOf(cluster, 1).mode === "voter")).toBe(true);
    for (const key of keys) expect(viewsOf(cluster, key)[1]?.votes).toBe(true);
  });

  it("P31 is restored under writes to old keys and new ones", () => {
    const cluster = started(4, { engine });
    const keys = keysOf(30);
    for (const key of keys) write(cluster, 0, key, set("v"));
    cluster.kill(1);
    cluster.wipe(1);
    cluster.start(1);
    let written = 0;
    const isVoter = (): boolean => cluster.node(1) !== null && statsOf(cluster, 1).mode === "voter";
    for (; written < 400 && !isVoter(); written++) {
      const key = written % 2 === 0 ? userKey(`new:${String(written)}`) : (keys[written % 30] ?? userKey("none"));
      expect(write(cluster, written % 4 === 0 ? 0 : 2, key, set(`w${String(written)}`)).status).toBe("ok");
    }
    expect(runUntil(cluster, 8000, isVoter)).toBe(true);
    expect(runUntil(cluster, 5000, () => !statsOf(cluster, 1).restoring)).toBe(true);
    cluster.kill(2);
    for (const key of keys) expect(textOf(read(cluster, 1, key))).toMatch(/^[vw]/);
    for (let i = 0; i < written; i += 2) {
      expect(textOf(read(cluster, 1, userKey(`new:${String(i)}`)))).toBe(`w${String(i)}`);
    }
  });

  it("P31 goes on where it was when it is killed in the midst of it", () => {
    const cluster = started(5, { engine });
    const keys = keysOf(40);
    for (const key of keys) write(cluster, 0, key, set("v"));
    cluster.kill(1);
    cluster.wipe(1);
    for (let i = 0; i < 6; i++) {
      cluster.start(1);
      cluster.run(20 + i * 15);
      cluster.kill(1);
    }
    cluster.start(1);
    expect(cluster.runUntilServing(3000)).toBe(true);
    expect(runUntil(cluster, 8000, () => statsOf(cluster, 1).mode === "voter")).toBe(true);
    expect(statsOf(cluster, 1).loss).toBe(1);
    cluster.kill(0);
    for (const key of keys) expect(textOf(read(cluster, 1, key))).toBe("v");
  });

  it("P31 does not restore what two replicas have lost", () => {
    const cluster = started(6, { engine });
    const keys = keysOf(5);
    for (const key of keys) write(cluster, 0, key, set("v"));
    for (const victim of [1, 2]) {
      cluster.kill(victim);
      cluster.wipe(victim);
    }
    cluster.start(1);
    cluster.start(2);
    expect(cluster.runUntilServing(4000)).toBe(true);
    cluster.run(6000);
    for (const victim of [1, 2]) {
      expect(statsOf(cluster, victim)).toMatchObject({ mode: "learner", lossOpen: true, keysRestored: 0 });
      expect(statsOf(cluster, victim).sweepFound.lostTwice).toBe(5);
    }
    for (const key of keys) expect(viewsOf(cluster, key).map(({ votes }) => votes)).toEqual([true, false, false]);
    expect(read(cluster, 0, userKey("key:1")).status).toBe("refused");

    // An operator decides, for one of them; the other one learns from it.
    expect(cluster.node(0)?.acceptLoss()).toBe(false);
    expect(cluster.node(1)?.acceptLoss()).toBe(true);
    for (const victim of [1, 2]) {
      expect(runUntil(cluster, 12_000, () => statsOf(cluster, victim).mode === "voter")).toBe(true);
    }
    cluster.kill(0);
    for (const key of keys) expect(textOf(read(cluster, 1, key))).toBe("v");
    write(cluster, 2, keys[0] ?? userKey("key:1"), set("w"));
  });

  // Nobody listed such a key, so nobody missed it: the first of the two closed its loss, and the write was gone without a word.
  it("P31 does not take a key for new that two lost disks may have held", () => {
    const cluster = started(8, { engine });
    const key = userKey("key:1");
    cluster.kill(0);
    write(cluster, 1, key, set("v"));
    for (const victim of [1, 2]) {
      cluster.kill(victim);
      cluster.wipe(victim);
    }
    for (const node of [0, 1, 2]) cluster.start(node);
    expect(cluster.runUntilServing(4000)).toBe(true);
    cluster.run(6000);
    for (const victim of [1, 2]) {
      expect(statsOf(cluster, victim)).toMatchObject({ mode: "learner", lossOpen: true });
      expect(statsOf(cluster, victim).sweepFound.lostDisks).toBe(1);
    }
    expect(read(cluster, 0, key).status).toBe("refused");
    expect(cluster.node(2)?.acceptLoss()).toBe(true);
    for (const victim of [2, 1]) {
      expect(runUntil(cluster, 12_000, () => statsOf(cluster, victim).mode === "voter")).toBe(true);
    }
    expect(textOf(read(cluster, 0, key))).toBeNull();
  });
});

describe("a replica on an old copy of its disk", () => {
  // Seed 63557 of the profile repair: it knew that its disk forgot, waited for what all peers remember, and opened lanes for keys that
  // came up meanwhile; when it served again, those had not heard of the loss, and voted.
  it("P31 has no vote for a key that it met while it waited for what its peers remember", () => {
    const cluster = started(12);
    const key = userKey("k");
    write(cluster, 0, key, set("x"));
    cluster.run(50);
    // Without a mark: what it says is open, so whoever hears of the key has something to settle.
    const copy = memoryDisk(cluster, 2).copy();
    for (let i = 0; i < 30; i++) write(cluster, 0, userKey(String(i)), set("v"));
    cluster.run(1500); // the peers note its watermark
    cluster.kill(2);
    cluster.disks[2] = copy;
    cluster.network.cut(0, 2);
    cluster.network.cut(2, 0);
    cluster.start(2);
    expect(runUntil(cluster, 1000, () => (cluster.opened(2)?.stats().lossReason ?? "") !== "")).toBe(true);
    expect(statsOf(cluster, 2).state).toBe("waiting");
    // Written all the while, so that the replica hears of it before and after.
    let isEnough = false;
    const again = (): void => {
      const onWrite = (): void => {
        if (!isEnough) again();
      };
      cluster.opened(1)?.write(key, set("v"), { onWrite, onRead: () => undefined }, 0);
    };
    again();
    cluster.run(20);
    cluster.network.heal();
    expect(runUntil(cluster, 3000, () => statsOf(cluster, 2).state === "serving")).toBe(true);
    let steps = 0;
    while (runUntil(cluster, 0.1, () => false) || statsOf(cluster, 2).keysRestored === 0) {
      expect(votesGivenBy(cluster, 2, key)).toBe(false);
      steps++;
    }
    expect(steps).toBeGreaterThan(5);
    isEnough = true;
    expect(runUntil(cluster, 5000, () => statsOf(cluster, 2).mode === "voter")).toBe(true);
    expect(viewsOf(cluster, key, 2)[2]).toMatchObject({ votes: true });
  });
});

describe("a replica that may not vote", () => {
  // Seed 66940 of the profile repair: it met an expired value, could not bury it, and nobody else came across it: its reads were never answered.
  it("P25, P30 has an expired value buried by one that votes", () => {
    const cluster = started(11);
    const key = userKey("k");
    const expiryMs = wallMsAt(cluster.time.nowUs) + 200;
    write(cluster, 0, key, {
      kind: "set",
      value: Buffer.from("v"),
      expiryMs,
      condition: { kind: "none" },
      returnOld: false,
    });
    const done = answered<true>(cluster, (told) => cluster.opened(2)?.setLearner(true, () => told(true)));
    expect(done).toBe(true);
    expect(textOf(read(cluster, 2, key))).toBe("v");
    cluster.run(400);
    const sinceUs = cluster.time.nowUs;
    expect(textOf(read(cluster, 2, key))).toBeNull();
    expect(cluster.time.nowUs - sinceUs).toBeLessThan(500_000);
    cluster.run(100);
    expect(heldBy(cluster, 0, key)).toMatchObject({ chosen: 2 });
  });
});

describe("a group of one", () => {
  it("P28 ends a pass that was asked for: there is nobody to be compared with", () => {
    const cluster = started(3, { replicas: 1 });
    write(cluster, 0, userKey("k"), set("v"));
    expect(verified(cluster, 0)).toMatchObject({ differing: 0, learners: 0 });
  });
});

describe("a key with a broken record", () => {
  it("P30, P31 is taken from the others, and this replica votes for it again under a loss of its own", () => {
    const cluster = started(7);
    const keys = keysOf(20);
    for (const key of keys) write(cluster, 0, key, set("v"));
    cluster.run(50);
    for (const key of keys.slice(0, 3)) {
      const records = memoryDisk(cluster, 1).keys.get(key) ?? [];
      for (const record of records) record.corrupt = true;
    }
    cluster.store(1)?.scrubAll();
    const isRestored = (): boolean => statsOf(cluster, 1).loss > 0 && statsOf(cluster, 1).keysRestored >= 3;
    expect(runUntil(cluster, 6000, isRestored)).toBe(true);
    expect(statsOf(cluster, 1)).toMatchObject({ mode: "voter", lossOpen: false, corruptKeys: 0 });
    for (const key of keys) expect(viewsOf(cluster, key)[1]?.votes).toBe(true);
    cluster.kill(2);
    for (const key of keys) expect(textOf(read(cluster, 1, key))).toBe("v");
  });

  it("P30 that nobody else holds is a new one afterwards", () => {
    const cluster = started(8);
    const key = userKey("alone");
    write(cluster, 0, key, set("v"));
    for (const replica of [0, 2]) memoryDisk(cluster, replica).keys.delete(key);
    const records = memoryDisk(cluster, 1).keys.get(key) ?? [];
    for (const record of records) record.corrupt = true;
    cluster.kill(1);
    cluster.start(1);
    expect(cluster.runUntilServing(3000)).toBe(true);
    expect(runUntil(cluster, 8000, () => statsOf(cluster, 1).corruptKeys === 0)).toBe(true);
    expect(runUntil(cluster, 8000, () => viewsOf(cluster, key)[1]?.votes === true)).toBe(true);
  });
});

describe("verification", () => {
  it("P28 finds and repairs 100 of 100 planted differences, and reports each once", () => {
    const cluster = started(9);
    const keys = keysOf(300);
    for (const key of keys) write(cluster, 0, key, set("a"));
    cluster.run(50);
    expect(verified(cluster, 2)).toMatchObject({ behind: 0, diverged: 0 });
    for (const key of keys.slice(0, 50)) memoryDisk(cluster, 2).keys.delete(key);
    const older = new Map(keys.slice(50, 100).map((key) => [key, [...(memoryDisk(cluster, 2).keys.get(key) ?? [])]]));
    for (const key of keys.slice(50, 100)) write(cluster, 0, key, set("b"));
    cluster.run(50);
    for (const [key, records] of older) memoryDisk(cluster, 2).keys.set(key, records);
    expect(verified(cluster, 2)).toMatchObject({ behind: 100, diverged: 0 });
    for (const key of keys) expect(heldBy(cluster, 2, key)).toEqual(heldBy(cluster, 0, key));
    expect(verified(cluster, 2)).toMatchObject({ behind: 0, diverged: 0 });
  });

  it("P6, P28 stops a key with another entry at the same index, tells it, and no other key", () => {
    const cluster = started(10);
    const [one, other] = [userKey("one"), userKey("other")];
    for (const key of [one, other]) write(cluster, 0, key, set("a"));
    cluster.run(50);
    const source = memoryDisk(cluster, 2).keys.get(other);
    write(cluster, 1, userKey("forged"), set("another"));
    cluster.run(50);
    const forged = memoryDisk(cluster, 0).keys.get(userKey("forged"));
    if (source === undefined || forged === undefined) throw new Error("no records");
    memoryDisk(cluster, 2).keys.set(one, [...forged]);
    const alarms = cluster.alarms.length;
    expect(verified(cluster, 2)).toMatchObject({ diverged: 1 });
    cluster.run(100);
    expect(cluster.alarms.slice(alarms).join("\n")).toMatch(/"one": P6/);
    expect(read(cluster, 2, one)).toMatchObject({ status: "refused", code: "CORRUPT" });
    expect(textOf(read(cluster, 2, other))).toBe("a");
  });

  it("P28 does not report what is in flight", () => {
    const cluster = started(11);
    const keys = keysOf(8);
    let over = false;
    const insist = (i: number): void => {
      if (over) return;
      const key = keys[i % keys.length];
      if (key !== undefined) cluster.write(i % 2, key, set(String(i)), () => insist(i + 1));
    };
    insist(0);
    let found = 0;
    for (let i = 0; i < 20; i++) {
      const { behind, diverged } = verified(cluster, 2);
      found += behind + diverged;
    }
    over = true;
    expect(found).toBe(0);
  });

  it("P26 keeps to its rate", () => {
    const cluster = started(12, { repair: { keysPerSecond: 50 } });
    const keys = keysOf(200);
    cluster.kill(2);
    for (const key of keys) write(cluster, 0, key, set("v"));
    cluster.start(2);
    cluster.runUntilServing(2000);
    cluster.run(1000);
    const held = keys.filter((key) => heldBy(cluster, 2, key).top > 0).length;
    expect(held).toBeGreaterThan(10);
    expect(held).toBeLessThan(120);
    expect(runUntil(cluster, 8000, () => keys.every((key) => heldBy(cluster, 2, key).top > 0))).toBe(true);
  });

  it("P27 settles, over a restart, what was left undecided and nobody asks for", () => {
    const cluster = started(13);
    const key = userKey("k");
    write(cluster, 0, key, set("a"));
    for (const peer of [1, 2]) cluster.network.cut(0, peer);
    cluster.write(0, key, set("b"), () => undefined);
    cluster.run(30);
    for (const replica of [0, 1, 2]) cluster.kill(replica);
    cluster.network.heal();
    cluster.startAll();
    expect(cluster.runUntilServing(3000)).toBe(true);
    const isSettled = (): boolean => [0, 1, 2].every((replica) => heldBy(cluster, replica, key).chosen === 2);
    expect(runUntil(cluster, 8000, isSettled)).toBe(true);
  });
});
