/**
 * Goal: every checker of the simulator can fail. Method: each is shown, by hand, the smallest thing that breaks its rule,
 * and beside it the same thing whole.
 */
import { describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { encodeHeader, RECORD_HEADER_BYTES, recordValue } from "../../src/codec/record.js";
import { type Ballot, NO_BALLOT, ordinaryBallot, zeroBallot } from "../../src/paxos/ballot.js";
import type { RecordWrite } from "../../src/paxos/effects.js";
import { type AppliedRequest, type Entry, makeEntry } from "../../src/paxos/entry.js";
import type { Operation } from "../../src/paxos/operation.js";
import { type ClientOperation, Ledger } from "../../src/sim/ledger.js";
import { Oracle } from "../../src/sim/oracle.js";

const KEY = userKey("k");
const B1 = ordinaryBallot(1, 0, 1);
const encoder = new TextEncoder();

function request(counter: number, index: number, version: number, result: string | null = null): AppliedRequest {
  return { id: { replica: 0, incarnation: 1, counter }, index, refusal: null, result, version };
}

function entry(
  index: number,
  text: string,
  version: number,
  requests: AppliedRequest[],
  more: Partial<Entry> = {},
): Entry {
  const fields = {
    index,
    tombstone: false,
    version,
    expiryMs: 0,
    leader: 0,
    coveredFrom: 1,
    value: encoder.encode(text),
  };
  return makeEntry({ ...fields, ...more }, requests);
}

class Bench {
  readonly found: string[] = [];
  readonly oracle: Oracle;
  readonly ledger: Ledger;
  latest = 1000;
  #token = 0;
  #id = 0;

  constructor() {
    const report = (checker: string): void => void this.found.push(checker);
    this.oracle = new Oracle(3, report, (facts, index, hash) => {
      this.ledger.onChosen(facts, index, hash);
    });
    const clocks = { latestWallMs: () => this.latest, earliestWallMs: () => this.latest };
    this.ledger = new Ledger(report, this.oracle, clocks);
  }

  put(replica: number, write: Partial<RecordWrite>, status: "ok" | "failed" = "ok"): void {
    const index = write.entry?.index ?? write.index ?? 1;
    const whole: RecordWrite = {
      index,
      floor: index,
      promised: NO_BALLOT,
      accepted: NO_BALLOT,
      entry: null,
      proposer: 0,
      chosen: false,
      baseHash: 0,
      learner: false,
      votesFrom: 0,
      loss: 0,
      live: true,
      ...write,
    };
    const header = new Uint8Array(RECORD_HEADER_BYTES);
    encodeHeader(whole, header);
    this.oracle.onPut(replica, KEY, whole.index, header, recordValue(whole));
    this.#token++;
    this.oracle.onSubmit(replica, this.#token);
    this.oracle.onDurable(replica, this.#token, status);
  }

  accept(replica: number, it: Entry, baseHash = 0, ballot: Ballot = B1): void {
    this.put(replica, { entry: it, promised: ballot, accepted: ballot, baseHash });
  }

  /** A majority holds it, and one says so. */
  choose(it: Entry, baseHash = 0): Entry {
    for (const replica of [0, 1]) this.accept(replica, it, baseHash);
    this.put(0, { entry: it, accepted: B1, chosen: true });
    return it;
  }

  operation(operation: Operation | null): ClientOperation {
    this.#id++;
    const low = this.ledger.low(KEY);
    return { id: this.#id, client: 1, key: KEY, replica: 0, operation, low, startUs: 0, outcome: "open" };
  }
}

function set(text: string, more: Partial<Extract<Operation, { kind: "set" }>> = {}): Operation {
  return {
    kind: "set",
    value: encoder.encode(text),
    expiryMs: 0,
    condition: { kind: "none" },
    returnOld: false,
    ...more,
  };
}

describe("the oracle", () => {
  it("takes an entry for chosen that a majority holds", () => {
    const bench = new Bench();
    bench.choose(entry(1, "a", 1, [request(1, 1, 1)]));
    expect(bench.found).toEqual([]);
  });

  it("agreement: sees two entries chosen at one index", () => {
    const bench = new Bench();
    bench.choose(entry(1, "a", 1, [request(1, 1, 1)]));
    const other = entry(1, "b", 1, [request(2, 1, 1)]);
    bench.put(2, { entry: other, chosen: true });
    expect(bench.found).toContain("agreement");
  });

  it("agreement: sees two entries at one ballot", () => {
    const bench = new Bench();
    bench.accept(0, entry(1, "a", 1, []));
    bench.accept(1, entry(1, "b", 1, []));
    expect(bench.found).toContain("agreement");
  });

  // Seed 1006277 of the swarm (3 replicas, 16 keys, 450 ms) at 0e098c5: an incarnation that no peer had heard of went with its
  // disk, and the next one had its number.
  it("agreement: allows a replica that lost its disk its own ballot again, when nobody else had accepted it", () => {
    for (const others of [0, 1]) {
      const bench = new Bench();
      const ballot = ordinaryBallot(1, 2, 3);
      const before = entry(2, "a", 2, []);
      bench.accept(2, before, 0, ballot);
      if (others === 1) bench.accept(1, before, 0, ballot);
      bench.oracle.allowLoss(2);
      bench.put(2, { index: 1, chosen: false, loss: 1, votesFrom: 2 });
      bench.accept(2, entry(2, "b", 2, []), 0, ballot);
      expect(bench.found.includes("agreement")).toBe(others === 1);
    }
  });

  it("majority: sees a chosen entry that one replica holds, or whose flush failed", () => {
    const bench = new Bench();
    const it = entry(1, "a", 1, [request(1, 1, 1)]);
    bench.accept(0, it);
    bench.put(1, { entry: it, promised: B1, accepted: B1 }, "failed");
    bench.put(0, { entry: it, accepted: B1, chosen: true });
    expect(bench.found).toContain("majority");
  });

  it("majority: class zero without its leader is none (P9)", () => {
    const bench = new Bench();
    const it = entry(1, "a", 1, [request(1, 1, 1)]);
    for (const replica of [0, 1]) bench.accept(replica, it, 0, zeroBallot(2, 1));
    bench.put(0, { entry: it, accepted: zeroBallot(2, 1), chosen: true });
    expect(bench.found).toContain("majority");
  });

  it("regression: sees a promise taken back", () => {
    const bench = new Bench();
    bench.put(0, { index: 1, promised: ordinaryBallot(2, 0, 1) });
    bench.put(0, { index: 1, promised: ordinaryBallot(1, 0, 1) });
    expect(bench.found).toContain("regression");
  });

  it("damage: sees a broken key that nobody broke, and allows one that was", () => {
    const bench = new Bench();
    bench.oracle.allowLoss(1);
    bench.oracle.onDamaged(1, KEY);
    expect(bench.found).toEqual([]);
    bench.oracle.onDamaged(0, KEY);
    expect(bench.found).toEqual(["damage"]);
  });
});

describe("the ledger", () => {
  it("exactly-once: sees a request applied twice", () => {
    const bench = new Bench();
    const first = bench.choose(entry(1, "a", 1, [request(1, 1, 1)]));
    bench.choose(entry(2, "a", 2, [request(1, 2, 2), request(1, 1, 1)]), first.hash);
    expect(bench.found).toContain("exactly-once");
  });

  it("window: sees a list of requests that forgot one (P14)", () => {
    const bench = new Bench();
    const first = bench.choose(entry(1, "a", 1, [request(1, 1, 1)]));
    bench.choose(entry(2, "b", 2, [request(2, 2, 2)]), first.hash);
    expect(bench.found).toContain("window");
  });

  it("versions: sees a version that jumps, and a value that changed without a request", () => {
    const bench = new Bench();
    const first = bench.choose(entry(1, "a", 1, [request(1, 1, 1)]));
    bench.choose(entry(2, "b", 1, [request(1, 1, 1)]), first.hash);
    bench.choose(entry(3, "b", 9, [request(1, 1, 1)]), bench.oracle.chosenAt(KEY, 2)?.hash);
    expect(bench.found.filter((checker) => checker === "versions")).toHaveLength(2);
  });

  it("expiry: sees a value buried before its time", () => {
    const bench = new Bench();
    const first = bench.choose(entry(1, "a", 1, [request(1, 1, 1)], { expiryMs: 5000 }));
    const buried = { tombstone: true, value: new Uint8Array(0) };
    bench.choose(entry(2, "", 2, [request(1, 1, 1)], buried), first.hash);
    expect(bench.found).toEqual(["expiry"]);
  });

  it("order: sees an answer from before what was known when it was asked for", () => {
    const bench = new Bench();
    const first = bench.choose(entry(1, "a", 1, [request(1, 1, 1)]));
    bench.ledger.onWriteAnswer(bench.operation(set("a")), { status: "ok", index: 1, version: 1, result: null });
    bench.choose(entry(2, "b", 2, [request(2, 2, 2), request(1, 1, 1)]), first.hash);
    bench.ledger.onWriteAnswer(bench.operation(set("b")), { status: "ok", index: 2, version: 2, result: null });
    expect(bench.found).toEqual([]);
    const value = encoder.encode("a");
    const stale = { status: "ok", found: true, value, version: 1, expiryMs: 0, index: 1 } as const;
    bench.ledger.onReadAnswer(bench.operation(null), stale);
    expect(bench.found).toEqual(["order"]);
  });

  it("reads: sees an answer that is not the entry", () => {
    const bench = new Bench();
    bench.choose(entry(1, "a", 1, [request(1, 1, 1)]));
    const absent = { status: "ok", found: false, value: new Uint8Array(0), version: 0, expiryMs: 0, index: 1 } as const;
    bench.ledger.onReadAnswer(bench.operation(null), absent);
    expect(bench.found).toEqual(["reads"]);
  });

  it("majority: sees an acknowledged write that nobody holds", () => {
    const bench = new Bench();
    bench.ledger.onWriteAnswer(bench.operation(set("a")), { status: "ok", index: 1, version: 1, result: null });
    expect(bench.found).toEqual(["majority"]);
  });

  it("effects: sees an entry that is not what its requests make of the one below, and a wrong answer", () => {
    const bench = new Bench();
    const first = bench.choose(entry(1, "5", 1, [request(1, 1, 1)]));
    bench.ledger.onWriteAnswer(bench.operation(set("5")), { status: "ok", index: 1, version: 1, result: null });
    bench.choose(entry(2, "9", 2, [request(2, 2, 2, "7"), request(1, 1, 1)]), first.hash);
    const add = { kind: "add", delta: "2" } as const;
    bench.ledger.onWriteAnswer(bench.operation(add), { status: "ok", index: 2, version: 2, result: "8" });
    bench.ledger.checkEffects();
    expect(bench.found).toEqual(["effects", "effects"]);
  });

  it("not-applied: sees a write that was refused, and is there", () => {
    const bench = new Bench();
    bench.choose(entry(1, "v1", 1, [request(1, 1, 1)]));
    bench.ledger.onWriteAnswer(bench.operation(set("v1")), { status: "not-applied", code: "BUSY", message: "" });
    bench.ledger.checkEffects();
    expect(bench.found).toEqual(["not-applied", "not-applied"]);
  });

  it("not-applied: allows a write of which nobody was told", () => {
    const bench = new Bench();
    bench.choose(entry(1, "v1", 1, [request(1, 1, 1)]));
    bench.ledger.onLost(bench.operation(set("v1")));
    bench.ledger.checkEffects();
    expect(bench.found).toEqual([]);
  });
});
