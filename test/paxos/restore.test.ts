/** Claims about voting again after a loss (P30, P31), for one key. Method: one replica alone (unit.ts). */
import { describe, expect, it } from "vitest";
import { NO_BALLOT, zeroBallot } from "../../src/paxos/ballot.js";
import { isIdle } from "../../src/paxos/lane.js";
import type { Message } from "../../src/paxos/message.js";
import type { RestoreInput } from "../../src/paxos/restore.js";
import { entryAt, high, low, Unit } from "./unit.js";

/** A replica whose whole disk was lost once, that loss still open. */
function lost(self = 2): Unit {
  const unit = new Unit(self);
  Object.assign(unit.self.context, { loss: 1, lossAll: 1, lossOpen: true });
  return unit;
}

function restore(unit: Unit, fields: Partial<RestoreInput> = {}): Message[] {
  unit.world.input(unit.self, unit.key, { type: "restore", loss: 1, votesFrom: 1, index: 0, from: 0, ...fields });
  return unit.sent();
}

const restart = (unit: Unit): void => {
  unit.world.crash(unit.self, 0, false);
};

describe("a replica that lost its disk", () => {
  it("P30 does not vote for a key of which it has no record while the loss is open", () => {
    const unit = lost();
    expect(unit.hearAndFlush(1, unit.prepare(1, low))).toEqual([]);
    expect(unit.self.disk.records).toBe(0);
  });

  it("P31 votes for such a key once the loss is closed", () => {
    const unit = lost();
    unit.self.context.lossOpen = false;
    expect(unit.hearAndFlush(1, unit.prepare(1, low))).toMatchObject([{ type: "promise", granted: true }]);
  });

  it("P31 does not vote on records of before the loss, over restarts too", () => {
    const unit = new Unit(2);
    unit.learn(entryAt(3, "old"));
    Object.assign(unit.self.context, { loss: 1, lossAll: 1, lossOpen: false });
    restart(unit);
    expect(unit.lane.plog).toMatchObject({ learner: true, chosen: { index: 3 } });
    unit.learn(entryAt(4, "new"));
    restart(unit);
    expect(unit.lane.plog).toMatchObject({ learner: true, chosen: { index: 4 } });
    expect(unit.hearAndFlush(1, unit.prepare(5, low))).toEqual([]);
  });

  it("P31 votes again above what the others told, and only when the record that says so is durable", () => {
    const unit = lost();
    unit.learn(entryAt(3, "c"));
    restore(unit, { votesFrom: 4, index: 3 });
    expect(unit.hear(1, unit.prepare(4, low))).toEqual([]);
    unit.flush();
    expect(unit.hearAndFlush(1, unit.prepare(4, low))).toMatchObject([{ type: "promise", granted: true }]);
    restart(unit);
    expect(unit.lane.plog).toMatchObject({ learner: false, loss: 1, votesFrom: 4, promised: low });
  });

  it("P31 is a learner again when the record was lost on its way to the disk", () => {
    const unit = lost();
    unit.learn(entryAt(3, "c"));
    restore(unit, { votesFrom: 4, index: 3 });
    restart(unit);
    expect(unit.lane.plog.learner).toBe(true);
  });

  it("P31 fetches the newest chosen entry first and writes it once", () => {
    const unit = lost();
    expect(restore(unit, { votesFrom: 8, index: 7, from: 1 })).toMatchObject([{ type: "fetch", index: 7 }]);
    unit.learn(entryAt(7, "g"));
    expect(unit.self.disk.records).toBe(1);
    restart(unit);
    expect(unit.lane.plog).toMatchObject({ learner: false, chosen: { index: 7 }, votesFrom: 8 });
  });

  it("P31 gives up when what it fetches does not come, and can be asked again", () => {
    const unit = lost();
    restore(unit, { votesFrom: 8, index: 7, from: 1 });
    unit.pass(1000);
    expect(isIdle(unit.lane)).toBe(true);
    expect(restore(unit, { votesFrom: 8, index: 7, from: 1 })).toMatchObject([{ type: "fetch", index: 7 }]);
  });

  it("P31 stays silent up to the highest index that another holds undecided", () => {
    const unit = lost();
    unit.learn(entryAt(3, "c"));
    restore(unit, { votesFrom: 5, index: 3 });
    unit.flush();
    expect(unit.hearAndFlush(1, unit.prepare(4, low))).toEqual([]);
    unit.ask(null);
    expect(unit.hearAndFlush(1, { type: "state-query", key: unit.key, query: 1, knownIndex: 3 })).toMatchObject([
      { type: "state-reply", votes: false },
    ]);
    unit.learn(entryAt(4, "d"));
    expect(unit.hearAndFlush(1, unit.prepare(5, low))).toMatchObject([{ type: "promise", granted: true }]);
    restart(unit);
    expect(unit.hearAndFlush(1, unit.prepare(5, high))).toMatchObject([{ type: "promise", granted: true }]);
  });

  it("P31 is not restored by answers that were given for an earlier loss", () => {
    const unit = lost();
    Object.assign(unit.self.context, { loss: 2, lossAll: 2 });
    unit.learn(entryAt(3, "c"));
    restore(unit, { loss: 1, votesFrom: 4, index: 3 });
    unit.flush();
    expect(unit.lane.plog.learner).toBe(true);
  });

  it("P31 keeps what an old copy of its disk had promised, and votes above it", () => {
    const unit = new Unit(2);
    unit.learn(entryAt(3, "c"));
    unit.hearAndFlush(1, unit.accept(high, entryAt(4, "d")));
    Object.assign(unit.self.context, { loss: 1, lossAll: 1, lossOpen: true });
    restart(unit);
    expect(unit.lane.plog).toMatchObject({ learner: true, accepted: high });
    restore(unit, { votesFrom: 4, index: 3 });
    unit.flush();
    restart(unit);
    expect(unit.lane.plog).toMatchObject({ learner: false, chosen: { index: 3 }, accepted: high, loss: 1 });
  });
});

describe("a key whose record is broken", () => {
  it("P30, P31 is restored under a loss that comes after the damage, and what is broken is erased", () => {
    const unit = new Unit(2);
    unit.hearAndFlush(0, unit.accept(zeroBallot(0, 1), entryAt(1, "a")));
    unit.hearAndFlush(1, unit.prepare(2, low, { base: entryAt(1, "a") }));
    const { disk } = unit.self;
    disk.torn = true;
    disk.apply({
      key: unit.key,
      sequence: 0,
      erase: true,
      mark: 0,
      writes: [{ ...NOTHING, index: 2, floor: 1, promised: low, baseHash: 5 }],
    });
    restart(unit);
    expect(unit.lane).toMatchObject({ damaged: true, plog: { learner: true, loss: 1 } });
    restore(unit, { loss: 0, votesFrom: 2, index: 1 });
    unit.learn(entryAt(1, "a"));
    expect(unit.lane.plog).toMatchObject({ learner: true, chosen: { index: 1 } });
    expect(disk.slotsOf(unit.key).map((slot) => slot.position)).toEqual([1]);
    unit.self.context.loss = 1;
    restore(unit, { votesFrom: 2, index: 1 });
    unit.flush();
    restart(unit);
    expect(unit.lane).toMatchObject({ damaged: false, plog: { learner: false, votesFrom: 2, loss: 1 } });
  });
});

const NOTHING = {
  accepted: NO_BALLOT,
  entry: null,
  proposer: 0,
  chosen: false,
  learner: false,
  votesFrom: 0,
  loss: 0,
  live: false,
} as const;

describe("a position that a learner finds undecided", () => {
  it("P20, P30 is settled by a voter that it asks, when nobody is at work on it", () => {
    const voter = new Unit(1);
    const asked = { type: "fetch", key: voter.key, index: 1, settle: true } as const;
    expect(voter.hear(2, { ...asked, settle: false })).toEqual([]);
    expect(voter.hear(2, asked).filter((message) => message.type === "prepare")).toHaveLength(2);
  });
});
