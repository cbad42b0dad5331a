/**
 * Goal: what a node does when its store finds one of its records broken while it runs (D19, P30). Method: stories on the
 * simulated cluster, with records broken on one disk and a scrub that finds them.
 */
import { describe, expect, it } from "vitest";
import { type Key, userKey } from "../../src/base/key.js";
import { IDENTITY_KEYS } from "../../src/node/identity-record.js";
import type { PLogView } from "../../src/node/service.js";
import type { SimulatedCluster } from "../../src/sim/cluster.js";
import { answered, memoryDisk, read, set, started, textOf, write } from "./harness.js";

const KEY = userKey("k");

function breakRecords(cluster: SimulatedCluster, replica: number, key: Key): void {
  const records = memoryDisk(cluster, replica).keys.get(key) ?? [];
  expect(records.length, "there is something to break").toBeGreaterThan(0);
  for (const record of records) record.corrupt = true;
}

function isBroken(cluster: SimulatedCluster, replica: number, key: Key): boolean {
  return (memoryDisk(cluster, replica).keys.get(key) ?? []).some((record) => record.corrupt);
}

function votes(cluster: SimulatedCluster, replica: number): boolean {
  const views = answered<readonly PLogView[]>(cluster, (done) => cluster.opened(0)?.inspect(KEY, done));
  return views[replica]?.votes ?? false;
}

describe("a record that is found broken", () => {
  it("of a key at rest: the value is fetched, and this replica has no vote for the key until all others were asked", () => {
    const cluster = started(61);
    write(cluster, 0, KEY, set("v"));
    cluster.run(3000);
    expect(cluster.node(0)?.stats().lanes).toBe(0);
    cluster.kill(2);
    breakRecords(cluster, 0, KEY);
    cluster.store(0)?.scrubAll();
    cluster.run(500);
    expect(isBroken(cluster, 0, KEY), "a sound record stands in its place").toBe(false);
    expect(cluster.alarms.some((text) => text.includes("D19"))).toBe(true);
    cluster.run(3000);
    expect([votes(cluster, 0), votes(cluster, 1), votes(cluster, 2)]).toEqual([false, true, false]);
    cluster.start(2);
    cluster.run(5000);
    expect([votes(cluster, 0), votes(cluster, 1), votes(cluster, 2)]).toEqual([true, true, true]);
    cluster.store(0)?.scrubAll();
    for (let replica = 0; replica < 3; replica++) expect(textOf(read(cluster, replica, KEY))).toBe("v");
    expect(write(cluster, 0, KEY, set("w")).status).toBe("ok");
    expect(textOf(read(cluster, 0, KEY))).toBe("w");
  });

  it("of a key in flight: the lane goes on from memory, and nothing that it said is taken back", () => {
    const cluster = started(62);
    write(cluster, 0, KEY, set("v"));
    cluster.run(3000);
    cluster.kill(1);
    cluster.kill(2);
    let outcome = "";
    cluster.write(0, KEY, set("w"), (answer) => {
      outcome = answer.status;
    });
    cluster.run(50);
    expect(outcome, "nobody can decide it yet").toBe("");
    breakRecords(cluster, 0, KEY);
    cluster.store(0)?.scrubAll();
    cluster.startAll();
    expect(cluster.runUntilServing(2000)).toBe(true);
    cluster.run(3000);
    expect(outcome).toBe("ok");
    for (let replica = 0; replica < 3; replica++) expect(textOf(read(cluster, replica, KEY))).toBe("w");
    for (let i = 0; i < 3; i++) expect(write(cluster, i, KEY, set(`x${String(i)}`)).status).toBe("ok");
    cluster.run(3000);
    cluster.kill(0);
    cluster.start(0);
    expect(cluster.runUntilServing(2000)).toBe(true);
    for (let replica = 0; replica < 3; replica++) expect(textOf(read(cluster, replica, KEY))).toBe("x2");
  });

  it("of the node's identity: it is written anew from memory, and the node can start again", () => {
    const cluster = started(63);
    for (const key of IDENTITY_KEYS) breakRecords(cluster, 0, key);
    cluster.store(0)?.scrubAll();
    cluster.run(200);
    for (const key of IDENTITY_KEYS) expect(isBroken(cluster, 0, key)).toBe(false);
    expect(cluster.alarms).toHaveLength(2);
    cluster.kill(0);
    cluster.start(0);
    expect(cluster.runUntilServing(2000)).toBe(true);
    expect(write(cluster, 0, KEY, set("v")).status).toBe("ok");
    expect(cluster.fatal).toEqual([]);
  });

  it("is told once, however often it is met", () => {
    const cluster = started(64);
    write(cluster, 0, KEY, set("v"));
    cluster.run(3000);
    cluster.kill(1);
    cluster.kill(2);
    breakRecords(cluster, 0, KEY);
    for (let i = 0; i < 5; i++) cluster.store(0)?.scrubAll();
    expect(cluster.alarms.filter((text) => text.includes("D19"))).toHaveLength(1);
  });
});
