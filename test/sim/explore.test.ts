/**
 * Goal: the search sees what the rules forbid, loses nothing, and every scope is quiet on the real core. Method: a small share
 * of each scope; a scope that is searched to its end; broken variants; copies that are stepped.
 */
import { describe, expect, it } from "vitest";
import { Cores, ACTS } from "../../src/sim/explore/cores.js";
import { nameOf } from "../../src/sim/explore/replica-copy.js";
import { runScope } from "../../src/sim/explore/run-scope.js";
import { SCOPES } from "../../src/sim/explore/scopes.js";
import { Search } from "../../src/sim/explore/search.js";
import { keyLedBy } from "../../src/sim/soup/keys.js";
import type { Tamper } from "../../src/sim/soup/world.js";

const SHARE = 3000;

function scopeNamed(name: string): (typeof SCOPES)[number] {
  const scope = SCOPES.find((one) => one.name === name);
  if (scope === undefined) throw new Error(`no scope ${name}`);
  return scope;
}

describe("a search", () => {
  for (const { name, aims } of SCOPES) {
    it(`finds nothing wrong in ${name} (${aims})`, () => {
      const { violation, states, heals, story } = runScope(name, SHARE, "", 300);
      expect(violation, story.join("\n")).toBeNull();
      expect(states).toBeGreaterThan(SHARE / 3);
      expect(heals).toBeGreaterThan(0);
    }, 30_000);
  }

  it("comes to an end where a scope does, and to the same one each time", () => {
    const [once, again] = [runScope("duel", 100_000, "", 100), runScope("duel", 100_000, "", 1000)];
    expect(once.exhausted).toBe(true);
    expect(again.states).toBe(once.states);
    expect(again.depth).toBe(once.depth);
  }, 30_000);

  it("tells the shortest way to what a broken variant breaks", () => {
    const { violation, story } = runScope("forgetful-acceptor", 100_000, "promise_not_durable", 1000);
    expect(violation).toMatch(/AGREEMENT/);
    expect(story.filter((line) => /^ ?\d+\./.test(line)).length).toBeLessThan(20);
    expect(story.join("\n")).toMatch(/crashes/);
  }, 30_000);

  it("sees a majority that cannot go on, when healing is tried", () => {
    const refuses: Tamper = {
      beforeStep: (_world, replica, _lane, input) =>
        input.type === "message" && input.message.type === "promise" && input.from !== replica.id
          ? { ...input, message: { ...input.message, granted: false } }
          : input,
    };
    const search = new Search({ scope: scopeNamed("two-proposers"), maxStates: 100, healEvery: 1, tamper: refuses });
    expect(search.run().violation).toMatch(/STUCK/);
  }, 30_000);
});

describe("states of a replica", () => {
  it("are not changed by the steps that are taken on them", () => {
    for (const name of ["forgetful-leader", "forward", "read-over-crash", "conditions"]) {
      const cores = new Cores({ scope: scopeNamed(name), key: keyLedBy(0) });
      for (let state = 0; state < cores.states.length && cores.states.length < 400; state++) {
        const { replica } = cores.state(state);
        const before = nameOf(replica);
        for (const [about, to] of cores.receivers.entries()) {
          if (to === replica.id) cores.transition(state, ACTS.indexOf("deliver"), about);
        }
        for (const act of ["flush", "wake", "crash"] as const) cores.transition(state, ACTS.indexOf(act), 1);
        for (const [operation, one] of cores.operations.entries()) {
          if (one.replica === replica.id) cores.transition(state, ACTS.indexOf("begin"), operation);
        }
        expect(nameOf(replica)).toBe(before);
      }
      expect(cores.states.length).toBeGreaterThan(20);
    }
  }, 30_000);
});
