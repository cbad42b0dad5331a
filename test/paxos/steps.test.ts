/**
 * Goal: operations on a condition on the value, and several steps as one entry, keep every promise of the rules under
 * faults: applied once, answered with what the model answers, or honestly not. Method: the random walk with a mixture of
 * its own; the oracle replays every chosen entry and every answer. PLOGDB_WALKS sets how many walks there are.
 */
import { describe, expect, it } from "vitest";
import type { Random } from "../../src/base/random.js";
import { xxh3 } from "../../src/base/xxh3.js";
import { type Condition, EXPIRY_RULES, type Operation, type Step } from "../../src/paxos/operation.js";
import { bytes } from "../../src/sim/soup/value-model.js";
import { runWalk } from "../../src/sim/soup/walk.js";

const WALKS = Math.ceil(Number(process.env["PLOGDB_WALKS"] ?? "2000") * 0.2);
const VALUES = ["", "1", "7", "x"];

function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

function condition(random: Random): Condition {
  const value = bytes(pick(random, VALUES));
  return pick<Condition>(random, [
    { kind: "none" },
    { kind: "present" },
    { kind: "version", version: random.below(6) },
    { kind: "equal", value },
    { kind: "different", value },
    { kind: "digest", digest: xxh3(value) },
    { kind: "other-digest", digest: xxh3(value) },
  ]);
}

function single(random: Random, wall: number): Exclude<Step, { readonly kind: "read" }> {
  const value = bytes(pick(random, VALUES));
  const expiryMs = wall + random.below(60) - 10;
  switch (random.below(9)) {
    case 0:
      return { kind: "remove", condition: condition(random), returnOld: random.chance(0.5) };
    case 1:
      return { kind: "expire-if", expiryMs, rule: pick(random, EXPIRY_RULES) };
    case 2:
      return { kind: "touch", expiryMs: random.chance(0.4) ? 0 : expiryMs };
    case 3:
      return { kind: "set-range", offset: random.below(3), value, maxBytes: 12 };
    case 4:
      return { kind: "add-float", delta: pick(random, ["0x1p0", "-0x6p-1", "0x5p1"]), maxBytes: 40 };
    case 5:
      return { kind: "add", delta: String(random.below(9) - 4) };
    case 6:
      return { kind: "append", value, maxBytes: 12 };
    default:
      return { kind: "set", value, expiryMs: 0, condition: condition(random), returnOld: random.chance(0.5) };
  }
}

function mixture(random: Random, wall: number): Operation | null {
  if (random.chance(0.15)) return null;
  if (random.chance(0.4)) return single(random, wall);
  const steps = Array.from(
    { length: random.below(5) },
    (): Step => (random.chance(0.3) ? { kind: "read" } : single(random, wall)),
  );
  return { kind: "steps", condition: condition(random), steps, maxBytes: 1000 };
}

describe("random walks with steps and conditions", () => {
  it.each([1, 3, 5])(
    "keep every promise of the rules at N = %i",
    (replicas) => {
      let answered = 0;
      for (let seed = 1; seed <= WALKS; seed++) {
        const options = { seed, replicas, operation: mixture };
        const result = runWalk(options);
        if (result.violation !== null) {
          const { trace } = runWalk({ ...options, trace: true });
          expect.fail([...trace.slice(-100), `seed ${String(seed)}: ${result.violation}`].join("\n"));
        }
        answered += result.counts["write ok"] ?? 0;
      }
      expect(answered).toBeGreaterThan(WALKS);
    },
    120_000,
  );
});
