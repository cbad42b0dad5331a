// Goal: real nodes repair themselves (P26 to P33): after having been away, on an empty disk, on an old copy, with bits
// flipped in their volumes; nothing acknowledged is lost when another node dies afterwards. Method: three processes, their
// files changed while they are down; known values under known keys; REPLICA STATUS and VERIFY say where a node stands.
// PLOGDB_MILLION=1 uses 1,000,000 keys.
import { cpSync, existsSync, openSync, readSync, renameSync, rmSync, statSync, writeSync, closeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Cluster, pause, runCommand, until, withCluster } from "./harness.js";
import { type RespClient, RespFailure } from "./resp-client.js";

const MILLION = process.env["PLOGDB_MILLION"] === "1";
const KEYS = MILLION ? 1_000_000 : 6000;
const CHANGED = MILLION ? 100_000 : 1500;
const REPAIR_MS = MILLION ? 600_000 : 60_000;
const STORAGE = MILLION ? "{ size: 2GiB, durability: flush }" : "{ size: 128MiB, durability: flush }";
const BATCH = 500;
const OPTIONS = { storage: STORAGE, extra: "repair: { verifySeconds: 2 }" };

interface Status {
  readonly state: string;
  readonly mode: string;
  readonly loss: {
    readonly number: number;
    readonly open: boolean;
    readonly restoring: boolean;
    readonly keysRestored: number;
    readonly needsDecision: boolean;
  };
  readonly learners: number;
  readonly corruptKeys: number;
  readonly catchUp: { readonly backlog: number };
  readonly verification: {
    readonly passes: number;
    readonly found: { readonly behind: number; readonly diverged: number };
  };
}

const keyOf = (i: number): string => `k:${String(i)}`;

async function ask(cluster: Cluster, index: number, ...words: string[]): Promise<unknown> {
  const client = await cluster.node(index).connect();
  const answer = await client.call(words, REPAIR_MS);
  client.close();
  if (answer.status !== "reply" || typeof answer.value !== "string") {
    throw new Error(`${words.join(" ")}: ${JSON.stringify(answer)}`);
  }
  return JSON.parse(answer.value) as unknown;
}

const statusOf = (cluster: Cluster, index: number): Promise<Status> =>
  ask(cluster, index, "REPLICA", "STATUS") as Promise<Status>;

/** Writes `version` under keys `from` to `to` - 1 and notes what was acknowledged. */
async function writeAll(client: RespClient, from: number, to: number, version: string, known: Map<string, string>) {
  for (let at = from; at < to; at += BATCH) {
    const keys = Array.from({ length: Math.min(BATCH, to - at) }, (_, i) => keyOf(at + i));
    const answers = await Promise.all(keys.map((key) => client.call(["SET", key, `${version} of ${key}`], 20_000)));
    for (const [i, answer] of answers.entries()) {
      const key = keys[i] ?? "";
      if (answer.status === "reply" && answer.value === "OK") known.set(key, `${version} of ${key}`);
      else throw new Error(`SET ${key}: ${JSON.stringify(answer)}`);
    }
  }
}

/** `refusalMs`: how long answers may be refused; never may they be wrong. */
async function expectAll(
  cluster: Cluster,
  index: number,
  known: ReadonlyMap<string, string>,
  refusalMs = 0,
): Promise<void> {
  const client = await cluster.node(index).connect();
  const keys = [...known.keys()];
  const wrong: string[] = [];
  for (let at = 0; at < keys.length; at += BATCH) {
    const batch = keys.slice(at, at + BATCH);
    let values: unknown = null;
    const untilMs = performance.now() + refusalMs;
    do {
      const answer = await client.call(["MGET", ...batch], REPAIR_MS);
      values = answer.status === "reply" ? answer.value : answer.status;
    } while (values instanceof RespFailure && values.message.startsWith("NOQUORUM") && performance.now() < untilMs);
    if (!Array.isArray(values)) throw new Error(`MGET: ${JSON.stringify(values)}`);
    for (const [i, key] of batch.entries()) {
      if (values[i] !== known.get(key)) wrong.push(`${key}: ${JSON.stringify(values[i])}`);
    }
  }
  client.close();
  expect(wrong.slice(0, 5)).toEqual([]);
}

const volumeOf = (cluster: Cluster, index: number): string => join(cluster.node(index).plan.dataDir, "volume.plog");

/** A voter for every key, with nothing left to be done. */
async function untilWhole(cluster: Cluster, index: number, leastLoss = 0): Promise<Status> {
  let status: Status | null = null;
  await until(
    `n${String(index + 1)} is whole`,
    async () => {
      status = await statusOf(cluster, index);
      const { mode, loss, learners, corruptKeys } = status;
      return mode === "voter" && !loss.restoring && loss.number >= leastLoss && learners === 0 && corruptKeys === 0;
    },
    REPAIR_MS,
    () => JSON.stringify(status),
  );
  if (status === null) throw new Error("no status");
  return status;
}

/** Flips one bit in every 64 KiB of the volume, or in every `step`-th of them from `first` on; the superblocks are left. */
function flipBits(path: string, first = 1, step = 1): number {
  const file = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  let flipped = 0;
  for (let at = first * 65_536; at < statSync(path).size - 65_536; at += step * 65_536) {
    const place = at + (((at / 65_536) * 7919) % 65_536);
    readSync(file, byte, 0, 1, place);
    byte[0] = (byte[0] ?? 0) ^ (1 << ((at / 65_536) % 8));
    writeSync(file, byte, 0, 1, place);
    flipped++;
  }
  closeSync(file);
  return flipped;
}

/** Flips one bit in every copy of those values `marked(i)` that `isMeant`; returns of how many keys. */
function breakValues(path: string, isMeant: (i: number) => boolean): number {
  const file = openSync(path, "r+");
  const broken = new Set<number>();
  // In pieces that reach into the next one: a volume may be larger than a buffer.
  const piece = Buffer.alloc(PIECE_BYTES + MARK.length + 12);
  for (let from = 0; from < statSync(path).size; from += PIECE_BYTES) {
    const bytes = piece.subarray(0, readSync(file, piece, 0, piece.length, from));
    for (let at = bytes.indexOf(MARK); at >= 0 && at < PIECE_BYTES; at = bytes.indexOf(MARK, at + 1)) {
      const digits = /^\d+(?=;)/.exec(bytes.toString("latin1", at + MARK.length, at + MARK.length + 12));
      if (digits === null || !isMeant(Number(digits[0]))) continue;
      broken.add(Number(digits[0]));
      writeSync(file, Buffer.of((bytes[at] ?? 0) ^ 4), 0, 1, from + at);
    }
  }
  closeSync(file);
  return broken.size;
}

const PIECE_BYTES = 64 * 2 ** 20;

const MARK = "the value ";
const APART = 750;
const marked = (i: number): string => `${MARK}${String(i)};`;

const TIMEOUT = { timeout: MILLION ? 3_000_000 : 240_000 };

describe("three real nodes repair themselves", () => {
  it("P26, P28: one that was away aligns itself, and then another may die", TIMEOUT, async () => {
    await withCluster(OPTIONS, async (cluster) => {
      const known = new Map<string, string>();
      const client = await cluster.node(0).connect();
      await writeAll(client, 0, KEYS, "first", known);
      await cluster.node(2).kill();
      await writeAll(client, 0, CHANGED, "second", known);
      client.close();
      cluster.node(2).spawn();
      await cluster.node(2).serving();
      const started = performance.now();
      const own = new Map([...known].slice(0, 200));
      await expectAll(cluster, 2, own); // strong reads at once
      await until(
        "a pass is over",
        async () => {
          const { catchUp, verification } = await statusOf(cluster, 2);
          return catchUp.backlog === 0 && verification.passes >= 1;
        },
        REPAIR_MS,
      );
      const seconds = (performance.now() - started) / 1000;
      console.log(`aligned ${String(CHANGED)} of ${String(KEYS)} keys within ${seconds.toFixed(1)} s`);
      for (const index of [0, 1, 2]) {
        const found = (await ask(cluster, index, "REPLICA", "VERIFY")) as { behind: number; diverged: number };
        expect(found).toMatchObject({ behind: 0, diverged: 0 });
      }
      await cluster.node(0).kill();
      await expectAll(cluster, 2, known);
      const writer = await cluster.node(2).connect();
      await writeAll(writer, 0, 500, "third", known);
      writer.close();
    });
  });

  it(
    "P29, P31, P33: an emptied disk under load is a learner's, then a voter's, and another may die",
    TIMEOUT,
    async () => {
      await withCluster(OPTIONS, async (cluster) => {
        const known = new Map<string, string>();
        const client = await cluster.node(0).connect();
        await writeAll(client, 0, KEYS, "first", known);
        await cluster.node(1).kill();
        rmSync(cluster.node(1).plan.dataDir, { recursive: true });
        let load = true;
        const loading = (async () => {
          for (let round = 0; load; round++) {
            const from = (round * BATCH) % KEYS;
            await writeAll(client, from, Math.min(KEYS, from + BATCH), `round ${String(round)}`, known);
            await writeAll(client, KEYS + round * 10, KEYS + round * 10 + 10, "new", known);
          }
        })();
        const replaced = await (async () => {
          const { plan } = cluster.node(1);
          cluster.node(1).spawn();
          await cluster.node(1).serving();
          expect(existsSync(plan.dataDir)).toBe(true);
          return statusOf(cluster, 1);
        })();
        expect(replaced.loss.number).toBe(1);
        const status = await untilWhole(cluster, 1, 1);
        load = false;
        await loading;
        client.close();
        console.log(`restored ${String(status.loss.keysRestored)} keys under load`);
        expect(status.loss.keysRestored).toBeGreaterThanOrEqual(KEYS);
        await untilWhole(cluster, 1, 1);
        await cluster.node(2).kill();
        await expectAll(cluster, 1, known);
      });
    },
  );

  it("P29, P31: an old copy of a directory is recognised, learns, and votes again", TIMEOUT, async () => {
    await withCluster(OPTIONS, async (cluster) => {
      const known = new Map<string, string>();
      const client = await cluster.node(0).connect();
      await writeAll(client, 0, KEYS, "first", known);
      const { dataDir } = cluster.node(1).plan;
      await cluster.node(1).kill();
      cpSync(dataDir, `${dataDir}.copy`, { recursive: true });
      cluster.node(1).spawn();
      await cluster.node(1).serving();
      await writeAll(client, 0, CHANGED, "second", known);
      await pause(1500); // the peers note what its disk holds about every second
      await cluster.node(1).kill();
      rmSync(dataDir, { recursive: true });
      renameSync(`${dataDir}.copy`, dataDir);
      cluster.node(1).spawn();
      await cluster.node(1).serving();
      await untilWhole(cluster, 1, 1);
      client.close();
      await cluster.node(2).kill();
      await expectAll(cluster, 1, known);
    });
  });

  it("P29: two directories that were swapped are refused, and harm nobody", TIMEOUT, async () => {
    await withCluster(OPTIONS, async (cluster) => {
      const known = new Map<string, string>();
      const client = await cluster.node(2).connect();
      await writeAll(client, 0, 200, "first", known);
      client.close();
      const [one, two] = [cluster.node(0).plan, cluster.node(1).plan];
      const swap = (): void => {
        renameSync(one.dataDir, `${one.dataDir}.x`);
        renameSync(two.dataDir, one.dataDir);
        renameSync(`${one.dataDir}.x`, two.dataDir);
      };
      await Promise.all([cluster.node(0).kill(), cluster.node(1).kill()]);
      swap();
      for (const index of [0, 1]) {
        const refused = await runCommand(["server", "--config", cluster.node(index).plan.configFile], cluster.dir);
        expect(refused.exitCode).toBe(3);
      }
      swap();
      await cluster.startAll();
      for (const index of [0, 1, 2]) await expectAll(cluster, index, known);
    });
  });

  it(
    "P30, D19: a bit flipped in every 64 KiB of one node's volume is answered rightly, and repaired",
    TIMEOUT,
    async () => {
      await withCluster(OPTIONS, async (cluster) => {
        const known = new Map<string, string>();
        const client = await cluster.node(0).connect();
        await writeAll(client, 0, KEYS, "first", known);
        client.close();
        await pause(500);
        await cluster.node(1).kill();
        const flipped = flipBits(volumeOf(cluster, 1));
        cluster.node(1).spawn();
        await cluster.node(1).serving();
        await expectAll(cluster, 1, known);
        const status = await untilWhole(cluster, 1);
        console.log(
          `${String(flipped)} bits flipped; loss ${String(status.loss.number)}, restored ${String(status.loss.keysRestored)}`,
        );
        await expectAll(cluster, 1, known);
        await cluster.node(2).kill();
        await expectAll(cluster, 1, known);
      });
    },
  );

  it("P30, P31: damage at other places of each node loses no key", TIMEOUT, async () => {
    await withCluster(OPTIONS, async (cluster) => {
      const known = new Map<string, string>();
      const client = await cluster.node(0).connect();
      await writeAll(client, 0, KEYS, "first", known);
      client.close();
      await pause(500);
      // One node after the other: each is whole again before the next is damaged, or two may have lost the same key.
      for (const index of [0, 1, 2]) {
        await cluster.node(index).kill();
        flipBits(volumeOf(cluster, index), 1 + index, 3);
        cluster.node(index).spawn();
        await cluster.node(index).serving();
        await expectAll(cluster, index, known);
        await untilWhole(cluster, index);
      }
      for (const index of [0, 1, 2]) await expectAll(cluster, index, known);
      await cluster.node(1).kill();
      await expectAll(cluster, 0, known);
    });
  });

  it("P30, P31: other keys broken on each of the three nodes at once, and no key is lost", TIMEOUT, async () => {
    await withCluster(OPTIONS, async (cluster) => {
      const known = new Map<string, string>();
      const client = await cluster.node(0).connect();
      // Few at a time, so that they lie in this order on every disk.
      for (let at = 0; at < KEYS; at += 20) {
        const numbers = Array.from({ length: 20 }, (_, i) => at + i);
        await Promise.all(numbers.map((i) => client.must("SET", keyOf(i), marked(i))));
        for (const i of numbers) known.set(keyOf(i), marked(i));
      }
      client.close();
      await pause(1000); // who was not in the majority of a write has it by then
      await Promise.all([0, 1, 2].map((index) => cluster.node(index).kill()));
      // A bit takes its block of about sixty such records along: what lies in one on one node must be whole on the others.
      const isBroken = (index: number) => (i: number) => i % APART === (index * APART) / 3;
      const broken = [0, 1, 2].map((index) => breakValues(volumeOf(cluster, index), isBroken(index)));
      const meant = [0, 1, 2].map((index) => Math.ceil((KEYS - (index * APART) / 3) / APART));
      expect(broken).toEqual(meant);
      await cluster.startAll();
      // Each node tells its losses of single keys as it finds them, and every time its connections begin anew.
      await Promise.all([0, 1, 2].map((index) => expectAll(cluster, index, known, 20_000)));
      const whole = await Promise.all([0, 1, 2].map((index) => untilWhole(cluster, index, 1)));
      const restored = whole.map(({ loss }) => loss.keysRestored);
      console.log(`${broken.join(", ")} keys broken, ${restored.join(", ")} restored`);
      for (const index of [0, 1, 2]) await expectAll(cluster, index, known);
      await cluster.node(0).kill();
      for (const index of [1, 2]) await expectAll(cluster, index, known);
    });
  });

  it("P31: what two lost disks held waits for an operator, and the command takes the decision", TIMEOUT, async () => {
    await withCluster(OPTIONS, async (cluster) => {
      const known = new Map<string, string>();
      const client = await cluster.node(0).connect();
      await writeAll(client, 0, 500, "first", known);
      await Promise.all([1, 2].map((index) => cluster.node(index).kill()));
      for (const index of [1, 2]) rmSync(cluster.node(index).plan.dataDir, { recursive: true });
      for (const index of [1, 2]) cluster.node(index).spawn();
      const needsDecision = async (): Promise<boolean> =>
        (await Promise.all([1, 2].map((index) => statusOf(cluster, index)))).every(({ loss }) => loss.needsDecision);
      // Neither serves: there is no majority for any key.
      await until("both ask for a decision", () => needsDecision().catch(() => false));
      const refused = await client.call(["GET", keyOf(1)]);
      expect(refused.status !== "reply" || refused.value instanceof RespFailure).toBe(true);
      client.close();
      const order = ["cluster", "accept-loss", "n2", "--config", cluster.node(0).plan.configFile];
      const done = await runCommand(order, cluster.dir);
      expect([done.exitCode, done.stderr]).toEqual([0, ""]);
      for (const index of [1, 2]) await untilWhole(cluster, index, 1);
      expect((await runCommand(order, cluster.dir)).exitCode).toBe(1); // nothing waits any more
      await cluster.node(0).kill();
      await expectAll(cluster, 2, known);
    });
  });

  it("P30, by order: learner on and off through the command, and its answer for tools", TIMEOUT, async () => {
    await withCluster(OPTIONS, async (cluster) => {
      const { configFile } = cluster.node(0).plan;
      const run = async (...words: string[]): Promise<unknown[]> => {
        const done = await runCommand([...words, "--config", configFile, "--json"], cluster.dir);
        expect([done.exitCode, done.stderr]).toEqual([0, ""]);
        return done.stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown);
      };
      await run("cluster", "learner", "n2", "on");
      expect(await run("cluster", "status")).toMatchObject([
        { node: "n1", mode: "voter" },
        { node: "n2", mode: "learner-by-order" },
        { node: "n3", mode: "voter" },
      ]);
      const known = new Map<string, string>();
      const client = await cluster.node(1).connect();
      await writeAll(client, 0, 100, "through a learner", known);
      client.close();
      await run("cluster", "learner", "n2", "off");
      expect(await run("verify", "--now")).toMatchObject([
        { node: "n1", reached: true, diverged: 0 },
        { node: "n2", reached: true, diverged: 0 },
        { node: "n3", reached: true, diverged: 0 },
      ]);
      expect((await statusOf(cluster, 1)).mode).toBe("voter");
    });
  });
});
