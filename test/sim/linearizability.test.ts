// Goal: the checker accepts what an atomic register can do and refuses what it cannot. Method: known bad histories one
// by one; a comparison with the plainest search there is (every order, no pruning) on thousands of small histories, true
// and mutated; large histories for speed. Replay one: PLOGDB_SEED=n npx vitest run test/sim.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applyCall,
  NEVER_WRITTEN,
  sameReply,
  type Call,
  type HistoryOperation,
  type KeyState,
  type Reply,
} from "../../src/sim/history.js";
import { checkHistory, checkKey, describeFailures } from "../../src/sim/linearizability.js";
import { mutateHistory, registerHistory } from "./register-history.js";

const SEED = Number(process.env["PLOGDB_SEED"] ?? 20260101);
const ALL: readonly Call["kind"][] = ["read", "set", "set-absent", "delete", "add", "read-version", "set-version"];
const UNVERSIONED: readonly Call["kind"][] = ["read", "read", "set", "set-absent", "delete", "add"];

/** Client, call, start, end, and the reply ("?" = UNKNOWN, "!" = NOT APPLIED). */
type Line = readonly [client: number, call: Call, start: number, end: number, reply: Reply | "?" | "!"];

function history(...lines: readonly Line[]): HistoryOperation[] {
  return lines.map(([client, call, start, end, reply]) => ({
    client,
    key: "k",
    call,
    start,
    end,
    told:
      reply === "?" ? { status: "unknown" } : reply === "!" ? { status: "not-applied" } : { status: "replied", reply },
  }));
}

function verdict(...lines: readonly Line[]): string {
  return checkKey(history(...lines)).verdict;
}

const READ: Call = { kind: "read" };
const VGET: Call = { kind: "read-version" };
const DEL: Call = { kind: "delete" };
const INCR: Call = { kind: "add", delta: 1 };
const set = (value: string): Call => ({ kind: "set", value });
const setAbsent = (value: string): Call => ({ kind: "set-absent", value });
const vset = (value: string, version: number): Call => ({ kind: "set-version", value, version });

/** Every order, without a thought: the judge of the checker on small histories. */
function plainSearch(operations: readonly HistoryOperation[], state: KeyState = NEVER_WRITTEN): boolean {
  const left = operations.filter(({ told }) => told.status !== "not-applied");
  if (left.every(({ told }) => told.status === "unknown")) return true;
  return left.some((operation) => {
    const { start, call, told } = operation;
    if (left.some((other) => other.told.status !== "unknown" && other.end < start)) return false;
    const step = applyCall(state, call);
    const rest = left.filter((other) => other !== operation);
    if (told.status === "unknown") return step !== null && step.state !== state && plainSearch(rest, step.state);
    return (
      told.status === "replied" && step !== null && sameReply(step.reply, told.reply) && plainSearch(rest, step.state)
    );
  });
}

describe("what an atomic register can do is accepted", () => {
  it("a write and a read at the same time, the read seeing either", () => {
    expect(verdict([1, set("a"), 0, 10, 1], [2, READ, 5, 6, null])).toBe("linearizable");
    expect(verdict([1, set("a"), 0, 10, 1], [2, READ, 5, 6, "a"])).toBe("linearizable");
  });

  it("an UNKNOWN write that shows up late, or never", () => {
    expect(verdict([1, set("a"), 0, 0, "?"], [2, READ, 5, 6, null], [2, READ, 7, 8, "a"])).toBe("linearizable");
    expect(verdict([1, set("a"), 0, 0, "?"], [2, READ, 5, 6, null], [2, READ, 7, 8, null])).toBe("linearizable");
  });

  it("an UNKNOWN write buried under another one, seen in the version only", () => {
    expect(verdict([1, set("a"), 0, 0, "?"], [2, set("b"), 1, 2, 1], [2, VGET, 3, 4, [2, "b"]])).toBe("linearizable");
    expect(verdict([1, set("a"), 0, 0, "?"], [2, set("b"), 1, 2, 1], [2, VGET, 3, 4, [1, "b"]])).toBe("linearizable");
  });

  it("an UNKNOWN delete between two that succeed on either side of a write", () => {
    expect(verdict([1, set("a"), 0, 1, 1], [2, DEL, 2, 2, "?"], [1, setAbsent("b"), 3, 4, 1], [1, DEL, 5, 6, 1])).toBe(
      "linearizable",
    );
  });

  it("versions that go on over a delete", () => {
    expect(
      verdict([1, vset("a", 0), 0, 1, 1], [1, DEL, 2, 3, 1], [1, vset("b", 0), 4, 5, 3], [1, vset("c", 1), 6, 7, null]),
    ).toBe("linearizable");
  });
});

describe("what no atomic register does is refused", () => {
  it("a stale read", () => {
    expect(verdict([1, set("a"), 0, 1, 1], [1, set("b"), 2, 3, 1], [2, READ, 4, 5, "a"])).toBe("not-linearizable");
  });

  it("an acknowledged write that is gone", () => {
    expect(verdict([1, set("a"), 0, 1, 1], [2, READ, 2, 3, null])).toBe("not-linearizable");
  });

  it("a lost update: two increments answered with the same sum", () => {
    expect(verdict([1, INCR, 0, 5, 1], [2, INCR, 1, 6, 1])).toBe("not-linearizable");
  });

  it("two clients that both win SET NX, or VSET of one version", () => {
    expect(verdict([1, setAbsent("a"), 0, 5, 1], [2, setAbsent("b"), 1, 6, 1])).toBe("not-linearizable");
    expect(verdict([1, vset("a", 0), 0, 5, 1], [2, vset("b", 0), 1, 6, 1])).toBe("not-linearizable");
  });

  it("a deleted value that is back", () => {
    expect(verdict([1, set("a"), 0, 1, 1], [1, DEL, 2, 3, 1], [2, READ, 4, 5, null], [2, READ, 6, 7, "a"])).toBe(
      "not-linearizable",
    );
  });

  it("one increment applied twice, acknowledged or UNKNOWN", () => {
    expect(verdict([1, INCR, 0, 1, 1], [2, READ, 2, 3, "2"])).toBe("not-linearizable");
    expect(verdict([1, INCR, 0, 1, "?"], [2, READ, 2, 3, "2"])).toBe("not-linearizable");
  });

  it("one UNKNOWN write applied twice around another write", () => {
    expect(verdict([1, set("a"), 0, 0, "?"], [2, READ, 1, 2, "a"], [2, set("b"), 3, 4, 1], [2, READ, 5, 6, "a"])).toBe(
      "not-linearizable",
    );
  });

  it("a write applied twice that only the version tells", () => {
    expect(verdict([1, set("a"), 0, 1, 1], [2, VGET, 2, 3, [2, "a"]])).toBe("not-linearizable");
  });

  it("a NOT APPLIED write that is seen", () => {
    expect(verdict([1, set("a"), 0, 1, "!"], [2, READ, 2, 3, "a"])).toBe("not-linearizable");
    expect(verdict([1, set("b"), 0, 1, "!"], [2, setAbsent("a"), 2, 3, 0])).toBe("not-linearizable");
  });

  it("a value that nobody wrote, and one read before it was written", () => {
    expect(verdict([2, READ, 2, 3, "x"])).toBe("not-linearizable");
    expect(verdict([2, READ, 0, 1, "a"], [1, set("a"), 2, 2, "?"])).toBe("not-linearizable");
  });

  it("two reads that see two writes in opposite orders", () => {
    expect(
      verdict(
        [1, set("a"), 0, 20, 1],
        [2, set("b"), 0, 20, 1],
        [3, READ, 1, 2, "a"],
        [3, READ, 3, 4, "b"],
        [4, READ, 5, 6, "a"],
      ),
    ).toBe("not-linearizable");
  });

  it("names the key, the longest order and what did not fit", () => {
    const text = describeFailures(checkHistory(history([1, set("a"), 0, 1, 1], [2, READ, 2, 3, null])));
    expect(text).toContain("key k: not-linearizable");
    expect(text).toContain("client 1 [0, 1] set a -> 1");
    expect(text).toContain("client 2 [2, 3] read -> null");
  });
});

describe("against the plain search", () => {
  const small = fc.record({
    seed: fc.nat(),
    clients: fc.integer({ min: 1, max: 4 }),
    operations: fc.integer({ min: 2, max: 7 }),
    unknown: fc.constantFrom(0, 0.3, 0.6),
    kinds: fc.constantFrom(ALL, UNVERSIONED, ["read", "set", "delete"] as const, ["read", "add"] as const),
  });

  it("agrees on small histories of an atomic register: all pass", () => {
    fc.assert(
      fc.property(small, (options) => {
        const operations = registerHistory(options);
        expect(plainSearch(operations)).toBe(true);
        expect(checkKey(operations).verdict).toBe("linearizable");
      }),
      { seed: SEED, numRuns: 1500 },
    );
  });

  it("agrees on mutated ones, of which many are not linearizable", () => {
    let bad = 0;
    fc.assert(
      fc.property(small, fc.nat(), (options, seed) => {
        const operations = mutateHistory(registerHistory(options), seed);
        fc.pre(operations !== null);
        const expected = plainSearch(operations);
        if (!expected) bad++;
        expect(checkKey(operations).verdict).toBe(expected ? "linearizable" : "not-linearizable");
      }),
      { seed: SEED, numRuns: 3000 },
    );
    expect(bad).toBeGreaterThan(1000);
  });
});

describe("large histories", () => {
  const shapes: readonly { name: string; clients: number; kinds: readonly Call["kind"][] }[] = [
    { name: "all kinds mixed on one key", clients: 8, kinds: ALL },
    { name: "without versions", clients: 8, kinds: UNVERSIONED },
    { name: "without increments", clients: 20, kinds: ALL.filter((kind) => kind !== "add") },
    { name: "writes and few reads", clients: 20, kinds: ["set", "set", "set", "set", "read"] },
    { name: "increments", clients: 20, kinds: ["add", "add", "read"] },
  ];
  for (const { name, clients, kinds } of shapes) {
    it(`accepts 600 operations of ${String(clients)} clients that never rest, dozens of them UNKNOWN: ${name}`, () => {
      for (let seed = SEED; seed < SEED + 5; seed++) {
        const operations = registerHistory({ seed, clients, operations: 600, unknown: 0.05, kinds });
        const result = checkKey(operations);
        expect(result.verdict, `seed ${String(seed)}: ${describeFailures([result])}`).toBe("linearizable");
      }
    });

    it(`refuses most of them after one lie: ${name}`, () => {
      let refused = 0;
      let undecided = 0;
      for (let seed = SEED; seed < SEED + 10; seed++) {
        const operations = mutateHistory(
          registerHistory({ seed, clients: 6, operations: 400, unknown: 0.03, kinds }),
          seed,
        );
        const result = operations === null ? "none" : checkKey(operations, NEVER_WRITTEN, 200_000).verdict;
        if (result === "not-linearizable") refused++;
        if (result === "undecided") undecided++;
      }
      expect(refused + undecided).toBeGreaterThanOrEqual(7);
      expect(undecided).toBeLessThanOrEqual(2);
    });
  }
});
