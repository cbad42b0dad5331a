/** Claims about the acceptor, one per rule (P1 to P6, P29, D12). Method: one replica alone (unit.ts). */
import { describe, expect, it } from "vitest";
import { ordinaryBallot, zeroBallot } from "../../src/paxos/ballot.js";
import { entryAt, high, low, Unit } from "./unit.js";

const zero = zeroBallot(0, 1);

describe("the acceptor", () => {
  it("P1 promises a ballot at or above the promised one and shows what it accepted", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.accept(low, entryAt(1, "a")));
    const [promise] = unit.hearAndFlush(1, unit.prepare(1, high));
    expect(promise).toMatchObject({ type: "promise", granted: true, promised: high, accepted: low, chosenIndex: 0 });
    expect(promise).toHaveProperty("entry.hash", entryAt(1, "a").hash);
  });

  it("P1 refuses a prepare below the promise, and the refusal shows promise and accepted entry", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.accept(high, entryAt(1, "a")));
    const [refusal] = unit.hearAndFlush(1, unit.prepare(1, low));
    expect(refusal).toMatchObject({ type: "promise", granted: false, promised: high, accepted: high });
  });

  it("P1 refuses an accept below the promise", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.prepare(1, high));
    expect(unit.hearAndFlush(1, unit.accept(low, entryAt(1, "a")))).toMatchObject([
      { type: "accepted", granted: false, promised: high },
    ]);
    expect(unit.lane.plog.acceptedEntry).toBeNull();
  });

  it("P1 grants the same accept again, class zero included, without another record", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    const { records } = unit.self.disk;
    expect(unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")))).toMatchObject([{ granted: true }]);
    expect(unit.self.disk.records).toBe(records);
  });

  it("P1, P6 refuses one ballot with another entry, and stops the key with an alarm", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.accept(low, entryAt(1, "a")));
    expect(unit.hearAndFlush(1, unit.accept(low, entryAt(1, "b")))).toMatchObject([{ granted: false }]);
    expect(unit.alarm).toContain("P6");
    expect(unit.hearAndFlush(1, unit.prepare(1, high))).toEqual([]);
    unit.ask({ kind: "delete" });
    unit.ask(null);
    expect(unit.writes).toMatchObject([{ status: "not-applied", code: "CORRUPT" }]);
    expect(unit.reads).toMatchObject([{ status: "refused", code: "CORRUPT" }]);
  });

  it("P2 says nothing that grants before the record behind it is durable", () => {
    const unit = new Unit(2);
    expect(unit.hear(1, unit.prepare(1, low))).toEqual([]);
    expect(unit.flush()).toMatchObject([{ type: "promise", granted: true }]);
    expect(unit.hear(1, unit.accept(low, entryAt(1, "a")))).toEqual([]);
    expect(unit.flush()).toMatchObject([{ type: "accepted", granted: true }]);
  });

  it("P2 keeps a promise over a restart", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.prepare(1, high));
    unit.world.crash(unit.self, 0, false);
    expect(unit.hearAndFlush(1, unit.accept(low, entryAt(1, "a")))).toMatchObject([{ granted: false }]);
  });

  it("P3 refuses class zero after a promise", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.prepare(1, low));
    expect(unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")))).toMatchObject([{ granted: false }]);
  });

  it("P3 votes at most once in class zero, whatever the incarnation", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    expect(unit.hearAndFlush(0, unit.accept(zeroBallot(0, 2), entryAt(1, "b")))).toMatchObject([{ granted: false }]);
  });

  it("P3 refuses class zero of a replica that does not lead the position", () => {
    const unit = new Unit(2);
    expect(unit.hearAndFlush(1, unit.accept(zeroBallot(1, 1), entryAt(1, "a")))).toMatchObject([{ granted: false }]);
  });

  it("P4 says BEHIND without the entry below, and grants with it: two records in one run", () => {
    const unit = new Unit(2);
    expect(unit.hear(1, unit.accept(low, entryAt(2, "b")))).toMatchObject([
      { type: "behind", phase: "accept", index: 2, chosenIndex: 0 },
    ]);
    unit.hear(1, unit.accept(low, entryAt(2, "b"), { base: entryAt(1, "a") }));
    expect(unit.self.queue.map((batch) => batch.writes.length)).toEqual([2]);
    expect(unit.flush()).toMatchObject([{ type: "accepted", granted: true, chosenIndex: 1 }]);
  });

  it("P4 takes the mark that rides along in place of the entry, if it accepted that ballot", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    expect(unit.hearAndFlush(1, unit.prepare(2, low, { mark: zero }))).toMatchObject([{ granted: true, index: 2 }]);
  });

  it("P4 does not take a mark of another ballot", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    expect(unit.hear(1, unit.prepare(2, low, { mark: zeroBallot(0, 2) }))).toMatchObject([{ type: "behind" }]);
  });

  it("P4 answers a message for a decided index with the chosen entry, never as if it were empty", () => {
    const unit = new Unit(2);
    unit.learn(entryAt(3, "c"));
    for (const message of [unit.prepare(3, high), unit.prepare(1, high), unit.accept(high, entryAt(2, "b"))]) {
      expect(unit.hear(1, message)).toMatchObject([{ type: "learn", entry: { index: 3 } }]);
    }
  });

  it("P5 a late message lowers nothing", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.accept(high, entryAt(1, "b")));
    unit.hearAndFlush(1, unit.prepare(1, low));
    unit.hearAndFlush(1, unit.accept(low, entryAt(1, "a")));
    expect(unit.lane.plog).toMatchObject({ promised: high, accepted: high });
  });

  it("P29, P30 neither promises nor accepts while it may not vote", () => {
    const unit = new Unit(2);
    unit.self.context.mayVote = false;
    expect(unit.hearAndFlush(1, unit.prepare(1, low))).toEqual([]);
    expect(unit.hearAndFlush(1, unit.accept(low, entryAt(1, "a")))).toEqual([]);
    expect(unit.self.disk.records).toBe(0);
  });

  it("section 8: refuses a counter that jumps by more than a bound", () => {
    const unit = new Unit(2);
    expect(unit.hearAndFlush(1, unit.prepare(1, ordinaryBallot(2_000_000, 1, 1)))).toEqual([]);
    expect(unit.hearAndFlush(1, unit.prepare(1, ordinaryBallot(900_000, 1, 1)))).toMatchObject([{ granted: true }]);
  });

  it("D12 promises while the disk is full, but takes no value", () => {
    const unit = new Unit(2);
    unit.self.context.diskFull = true;
    expect(unit.hearAndFlush(1, unit.prepare(1, low))).toMatchObject([{ granted: true }]);
    expect(unit.hearAndFlush(1, unit.accept(low, entryAt(1, "a")))).toEqual([]);
  });
});
