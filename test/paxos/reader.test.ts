/** Claims about strong reads (P18 to P22, P25). Method: one replica alone hears made-up states (unit.ts). */
import { describe, expect, it } from "vitest";
import { NO_BALLOT, ordinaryBallot, zeroBallot } from "../../src/paxos/ballot.js";
import { PATIENCE, set, Story, WALL } from "../../src/sim/soup/story.js";
import { entryAt, Unit } from "./unit.js";

const zero = zeroBallot(0, 1);

/** Replica 1 with a read out; both others were asked. */
function reading(): Unit {
  const unit = new Unit(1);
  unit.ask(null);
  return unit;
}

describe("a strong read", () => {
  it("P18 asks just enough voters first, the rest after a delay", () => {
    const unit = new Unit(1);
    expect(unit.ask(null).map((message) => message.type)).toEqual(["state-query"]);
    expect(unit.pass(PATIENCE).length).toBeGreaterThanOrEqual(2);
  });

  it("P19 answers the highest chosen index when a majority has nothing accepted above it", () => {
    const unit = reading();
    unit.hear(0, unit.state({ chosenIndex: 4, entry: entryAt(4, "four") }));
    expect(unit.reads).toMatchObject([{ status: "ok", index: 4 }]);
  });

  it("P19 is not held up by a bare promise", () => {
    const unit = new Unit(1);
    unit.hearAndFlush(2, unit.prepare(1, ordinaryBallot(1, 2, 1)));
    unit.ask(null);
    unit.hear(0, unit.state());
    expect(unit.reads).toMatchObject([{ status: "ok", found: false, index: 0 }]);
  });

  it("P20 does not answer below an accepted entry that may be chosen", () => {
    const unit = reading();
    unit.hear(0, unit.state({ accepted: zero }));
    expect(unit.reads).toEqual([]);
    unit.hear(2, unit.state());
    expect(unit.reads).toMatchObject([{ status: "ok", index: 0 }]);
  });

  it("P20 sees that a majority accepted at one ballot with the leader among them, and fetches the entry", () => {
    const unit = reading();
    unit.hear(0, unit.state({ accepted: zero }));
    const sent = unit.hear(2, unit.state({ accepted: zero }));
    expect(unit.reads).toEqual([]);
    expect(sent.map((message) => message.type)).toEqual(["chosen", "fetch"]);
    unit.hear(0, { type: "learn", key: unit.key, entry: entryAt(1, "one") });
    expect(unit.reads).toMatchObject([{ status: "ok", index: 1 }]);
  });

  it("P20 does not believe a majority of class zero without the leader", () => {
    const unit = new Unit(1);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    unit.ask(null);
    unit.hear(2, unit.state({ accepted: zero }));
    expect(unit.reads).toEqual([]);
    expect(unit.lane.plog.chosen.index).toBe(0);
  });

  it("P20 counts its own accept only once it is durable", () => {
    const unit = new Unit(1);
    unit.hear(0, unit.accept(zero, entryAt(1, "a")));
    unit.ask(null);
    unit.hear(0, unit.state({ accepted: zero }));
    expect(unit.lane.plog.chosen.index).toBe(0);
  });

  it("P20 settles by two phases only when the proposer of what is undecided is suspected", () => {
    for (const suspected of [false, true]) {
      const unit = reading();
      unit.hear(0, unit.state({ accepted: zero }));
      unit.self.context.suspected[0] = suspected;
      const sent = unit.pass(PATIENCE * 2);
      sent.push(...unit.hear(0, unit.state({ accepted: zero })));
      expect(sent.some((message) => message.type === "prepare")).toBe(suspected);
    }
  });

  it("P20 settles at once what a proposer left behind that was started again", () => {
    // The swarm's find (seed 1146): the proposer lived, in its next incarnation, and knew nothing of it; with deadlines shorter
    // than level 2 (P27) the key was never read again.
    for (const ended of [false, true]) {
      const unit = reading();
      unit.hear(0, unit.state({ accepted: zero }));
      if (ended) unit.self.context.peerIncarnations[0] = 2;
      const sent = unit.pass(PATIENCE * 2);
      sent.push(...unit.hear(0, unit.state({ accepted: zero })));
      expect(sent.some((message) => message.type === "prepare")).toBe(ended);
    }
  });

  it("P30 does not count learners", () => {
    const unit = reading();
    unit.hear(0, unit.state({ votes: false }));
    expect(unit.reads).toEqual([]);
  });

  it("P30 asks another one in the place of a learner at once, so that who has little time is answered too", () => {
    const unit = reading(); // replica 0 was asked
    expect(unit.hear(0, unit.state({ votes: false })).map((message) => message.type)).toEqual(["state-query"]);
    unit.hear(2, unit.state({ chosenIndex: 4, entry: entryAt(4, "four") }));
    expect(unit.reads).toMatchObject([{ status: "ok", index: 4 }]);
  });

  it("P18 a read that came later than the question waits for a later question", () => {
    const unit = reading();
    unit.ask(null);
    unit.hear(0, unit.state());
    expect(unit.reads.length).toBe(1);
    unit.hear(0, unit.state());
    expect(unit.reads.length).toBe(2);
  });

  it("P18 answers state queries with what is durably accepted only", () => {
    const unit = new Unit(2);
    unit.hear(0, unit.accept(zero, entryAt(1, "a")));
    const query = { type: "state-query", key: unit.key, query: 5, knownIndex: 0 } as const;
    expect(unit.hear(1, query)).toMatchObject([{ accepted: NO_BALLOT }]);
    unit.flush();
    expect(unit.hear(1, query)).toMatchObject([{ accepted: zero, chosenIndex: 0, leader: 0 }]);
  });

  it("P21 a failed condition is confirmed by a read before it is answered", () => {
    const unit = new Unit(0);
    const sent = unit.ask(set("x", { condition: { kind: "present" } }));
    expect(sent.map((message) => message.type)).toEqual(["state-query"]);
    expect(unit.writes).toEqual([]);
    unit.hear(1, unit.state());
    expect(unit.writes).toMatchObject([{ status: "failed", reason: "absent" }]);
  });

  it("P21 a condition that holds on a newer entry than this replica's is not failed", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.settle([1]);
    const writer = story.ask(1, set("b", { condition: { kind: "present" } }));
    story.run();
    expect(story.answers.get(writer)).toMatch(/^OK at 2/);
  });

  it("P25 two readers with different clocks: the one that buries is never contradicted", () => {
    const story = new Story();
    story.ask(0, set("a", { expiryMs: WALL + 100 }));
    story.run();
    story.replica(1).skewMs = 200;
    const slow = story.ask(2, null);
    story.run();
    const fast = story.ask(1, null);
    story.run();
    const slowAgain = story.ask(2, null);
    story.run();
    expect([slow, fast, slowAgain].map((client) => story.answers.get(client))).toEqual([
      '"a" at 1',
      "absent at 2",
      "absent at 2",
    ]);
  });

  it("N = 1 reads without asking anybody", () => {
    const story = new Story(1);
    story.ask(0, set("a"));
    story.run();
    const reader = story.ask(0, null);
    expect(story.answers.get(reader)).toBe('"a" at 1');
    expect(story.count().messages).toEqual({});
  });
});
