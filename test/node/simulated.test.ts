/**
 * Goal: the node room works and keeps its promises under faults. Method: whole clusters of real nodes on virtual time
 * (src/sim), stories with exact steps first, then random workloads with kills and cuts whose histories are checked for
 * linearizability. Every random case prints its seed through its name: run one alone with `-t "seed 17"`.
 */
import { describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { QUIET, SimulatedCluster } from "../../src/sim/cluster.js";
import { read, set, started, textOf, write } from "./harness.js";
import { RandomWorkload } from "./random-workload.js";

const ENGINES = ["memory", "native"] as const;

describe.each(ENGINES)("a simulated cluster on the %s engine", (engine) => {
  it("reads through any node what was written through any other", () => {
    const cluster = started(1, { engine });
    for (let writer = 0; writer < 3; writer++) {
      for (let reader = 0; reader < 3; reader++) {
        const key = userKey(`k${String(writer)}${String(reader)}`);
        expect(write(cluster, writer, key, set("hello")).status).toBe("ok");
        expect(textOf(read(cluster, reader, key))).toBe("hello");
      }
    }
    expect(cluster.alarms).toEqual([]);
  });

  it("finds everything after all three were killed at once", () => {
    const cluster = started(2, { engine });
    for (let i = 0; i < 50; i++) {
      expect(write(cluster, i % 3, userKey(`k${String(i)}`), set(`v${String(i)}`)).status).toBe("ok");
    }
    for (let replica = 0; replica < 3; replica++) cluster.kill(replica);
    cluster.startAll();
    expect(cluster.runUntilServing(2000)).toBe(true);
    for (let i = 0; i < 50; i++) {
      expect(textOf(read(cluster, (i + 1) % 3, userKey(`k${String(i)}`)))).toBe(`v${String(i)}`);
    }
  });

  it("goes on at once when a node is dead", () => {
    const cluster = started(3, { engine });
    for (let i = 0; i < 30; i++) write(cluster, i % 3, userKey(`k${String(i)}`), set("a"));
    cluster.kill(2);
    cluster.run(30);
    for (let i = 0; i < 30; i++) {
      const before = cluster.time.nowUs;
      expect(write(cluster, i % 2, userKey(`k${String(i)}`), set("b")).status).toBe("ok");
      expect(cluster.time.nowUs - before, "no time-out in it").toBeLessThan(5000);
    }
  });

  it("applies the first write through a node that was down while the key moved on", () => {
    // It answered UNKNOWN once: its submit at an old index could not be told from a proposal below the list (P14).
    const cluster = started(6, { engine });
    const key = userKey("k");
    write(cluster, 2, key, set("first"));
    cluster.kill(2);
    for (let i = 0; i < 30; i++) expect(write(cluster, i % 2, key, set(`v${String(i)}`)).status).toBe("ok");
    cluster.start(2);
    expect(cluster.runUntilServing(2000)).toBe(true);
    cluster.run(200);
    expect(write(cluster, 2, key, set("back")).status).toBe("ok");
    expect(textOf(read(cluster, 0, key))).toBe("back");
  });

  it("P29, P31 is no birth when peers remember another disk: the node learns, and all of it is told as a loss", () => {
    const cluster = started(4, { engine });
    write(cluster, 0, userKey("k"), set("v"));
    cluster.kill(1);
    cluster.wipe(1);
    cluster.kill(2);
    cluster.start(1);
    cluster.run(1000);
    expect(cluster.node(1), "all others are asked").toBe(null);
    cluster.start(2);
    expect(cluster.runUntilServing(3000)).toBe(true);
    expect(cluster.opened(1)?.stats()).toMatchObject({ loss: 1, incarnation: 2 });
    expect(textOf(read(cluster, 1, userKey("k")))).toBe("v");
    expect(write(cluster, 1, userKey("k"), set("w")).status).toBe("ok");
  });

  it("waits for all nodes once, at its birth, and says for whom", () => {
    const cluster = new SimulatedCluster({ ...QUIET, seed: 5, engine });
    cluster.start(0);
    cluster.start(1);
    cluster.run(1000);
    expect(cluster.node(0)).toBe(null);
    cluster.start(2);
    expect(cluster.runUntilServing(2000)).toBe(true);
    cluster.kill(2);
    cluster.kill(0);
    cluster.start(0);
    expect(cluster.runUntilServing(2000), "afterwards any majority will do").toBe(true);
    expect(write(cluster, 0, userKey("k"), set("v")).status).toBe("ok");
  });
});

describe.each(ENGINES)("random workloads on the %s engine", (engine) => {
  const seeds = Number(process.env["PLOGDB_SEEDS"] ?? 60);
  const first = Number(process.env["PLOGDB_FIRST_SEED"] ?? 1);
  for (let seed = first; seed < first + seeds; seed++) {
    it(`are linearizable under kills, cuts and slow frames: seed ${String(seed)}`, () => {
      new RandomWorkload(seed, seed % 5 === 0 ? 5 : 3, engine).run();
    }, 60_000);
  }

  it("leave the same bytes on every disk when a seed is run again", () => {
    const fingerprint = (seed: number): string => {
      const workload = new RandomWorkload(seed, 3, engine);
      workload.run();
      return workload.fingerprint();
    };
    for (const seed of [201, 202]) expect(fingerprint(seed)).toBe(fingerprint(seed));
    expect(fingerprint(201)).not.toBe(fingerprint(202));
  }, 60_000);
});
