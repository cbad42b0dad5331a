/** Claims about learning what was chosen (P4, P6, P13, P24, P26). Method: one replica alone (unit.ts). */
import { describe, expect, it } from "vitest";
import { ordinaryBallot, zeroBallot } from "../../src/paxos/ballot.js";
import { makeEntry } from "../../src/paxos/entry.js";
import { entryAt, high, low, Unit } from "./unit.js";

const zero = zeroBallot(0, 1);

describe("learning", () => {
  it("P13 a mark makes the accepted entry the chosen one, and nothing is written for it", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    const { records } = unit.self.disk;
    unit.hearAndFlush(0, { type: "chosen", key: unit.key, index: 1, ballot: zero });
    expect(unit.lane.plog.chosen.index).toBe(1);
    expect(unit.self.disk.records).toBe(records);
  });

  it("D12, D13 a deletion that a mark makes the chosen one is recorded as that where room is short: what it deletes can go", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    unit.hearAndFlush(0, { type: "chosen", key: unit.key, index: 1, ballot: zero });
    unit.self.context.diskFull = true;
    const deletion = makeEntry({ ...entryAt(2, ""), tombstone: true }, []);
    unit.hearAndFlush(0, unit.accept(zero, deletion, { mark: zero }));
    unit.hearAndFlush(0, { type: "chosen", key: unit.key, index: 2, ballot: zero });
    unit.world.crash(unit.self, 0, false);
    expect(unit.lane.plog, "without the mark too").toMatchObject({ chosen: { index: 2, tombstone: true } });
  });

  it("P13 a mark of another ballot does not: the entry is fetched", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    for (const ballot of [zeroBallot(0, 2), ordinaryBallot(1, 0, 1)]) {
      unit.world.tick += 100;
      const sent = unit.hear(0, { type: "chosen", key: unit.key, index: 1, ballot });
      expect(sent.map((message) => message.type)).toContain("fetch");
    }
    expect(unit.lane.plog.chosen.index).toBe(0);
  });

  // Seed 62358 of the profile repair: an old copy of a disk began with an incarnation that was used, and gave 0.n1.2 to another entry
  // before its peers told it; a mark of 0.n1.2, or a read that finds it with the others, would have made that the chosen one here.
  it("P13, P29 a mark says nothing of what was accepted where this replica has no vote any more", () => {
    for (const lost of [{ learner: true }, { votesFrom: 2 }]) {
      const unit = new Unit(2);
      unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
      Object.assign(unit.lane.plog, lost);
      const sent = unit.hear(0, { type: "chosen", key: unit.key, index: 1, ballot: zero });
      expect(sent.map((message) => message.type)).toContain("fetch");
      expect(unit.lane.plog.chosen.index).toBe(0);
      unit.learn(entryAt(1, "b"));
      expect(unit.lane.plog.chosen).toMatchObject({ index: 1, hash: entryAt(1, "b").hash });
    }
  });

  it("P13 after a crash without the mark, the position is undecided again, with the same accepted entry", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    unit.hearAndFlush(0, { type: "chosen", key: unit.key, index: 1, ballot: zero });
    unit.world.crash(unit.self, 0, false);
    expect(unit.lane.plog).toMatchObject({ chosen: { index: 0 }, accepted: zero });
  });

  it("P4, P13 a durable promise above proves the entry below, over a crash", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    unit.hearAndFlush(1, unit.prepare(2, low, { mark: zero }));
    unit.world.crash(unit.self, 0, false);
    expect(unit.lane.plog).toMatchObject({ chosen: { index: 1 }, promised: low });
  });

  it("P26 one fetch for all signs of being behind within a patience", () => {
    const unit = new Unit(2);
    const chosen = { type: "chosen", key: unit.key, index: 3, ballot: zero } as const;
    expect(unit.hear(0, chosen).length).toBe(1);
    expect(unit.hear(0, chosen).length).toBe(0);
  });

  it("P26 a fetch is answered with the newest chosen entry, or not at all", () => {
    const unit = new Unit(2);
    expect(unit.hear(0, { type: "fetch", key: unit.key, index: 1, settle: false })).toEqual([]);
    unit.learn(entryAt(5, "e"));
    expect(unit.hear(0, { type: "fetch", key: unit.key, index: 2, settle: false })).toMatchObject([
      { type: "learn", entry: { index: 5 } },
    ]);
  });

  it("P24 an older entry is old news", () => {
    const unit = new Unit(2);
    unit.learn(entryAt(5, "e"));
    unit.learn(entryAt(2, "b"));
    expect(unit.lane.plog.chosen.index).toBe(5);
    expect(unit.alarm).toBeNull();
  });

  it("P6 another entry for the chosen index stops the key", () => {
    const unit = new Unit(2);
    unit.learn(entryAt(5, "e"));
    unit.learn(entryAt(5, "other"));
    expect(unit.alarm).toContain("P6");
    expect(unit.lane.quarantined).toBe(true);
  });

  it("what was promised and accepted below a newer entry has no meaning any more", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(1, unit.accept(high, entryAt(1, "a")));
    unit.learn(entryAt(7, "g"));
    expect(unit.hearAndFlush(1, unit.prepare(8, low))).toMatchObject([{ granted: true, index: 8 }]);
  });

  it("D12 without room an entry is learned in memory, and no vote is cast on it until there is", () => {
    const unit = new Unit(2);
    unit.self.context.diskFull = true;
    unit.learn(entryAt(1, "a"));
    expect(unit.lane.plog.chosen.index).toBe(1);
    expect(unit.hearAndFlush(1, unit.prepare(2, low))).toEqual([]);
    unit.self.context.diskFull = false;
    expect(unit.hearAndFlush(1, unit.prepare(2, low))).toMatchObject([{ granted: true }]);
    expect(unit.self.disk.records).toBe(2);
  });
});
