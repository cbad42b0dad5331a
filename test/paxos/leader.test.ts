/** Claims about the leader of a position and about forwards (P7 to P9, P16). Method: one replica alone (unit.ts). */
import { describe, expect, it } from "vitest";
import { NO_BALLOT, zeroBallot } from "../../src/paxos/ballot.js";
import type { ForwardMessage, SubmitMessage } from "../../src/paxos/message.js";
import { set } from "../../src/sim/soup/story.js";
import { entryAt, low, Unit } from "./unit.js";

const zero = zeroBallot(0, 1);

let sequence = 0;

function submit(unit: Unit, value: string, index = 1, targetIncarnation = 1): SubmitMessage {
  sequence++;
  return {
    type: "submit",
    key: unit.key,
    index,
    entry: entryAt(index, value, 1),
    mark: NO_BALLOT,
    base: null,
    incarnation: 1,
    targetIncarnation,
    sequence,
  };
}

function forward(unit: Unit, sequence: number, extra: Partial<ForwardMessage> = {}): ForwardMessage {
  return {
    type: "forward",
    key: unit.key,
    request: { replica: 1, incarnation: 1, counter: sequence },
    operation: set("f"),
    since: 1,
    remainingTicks: 100,
    targetIncarnation: 1,
    sequence,
    ...extra,
  };
}

describe("the leader of a position", () => {
  it("P7 gives class zero to the first submitted value, answers going to the submitter", () => {
    const unit = new Unit(0);
    expect(unit.hear(1, submit(unit, "a"))).toMatchObject([
      { type: "accept", ballot: zero, proposer: 1 },
      { type: "accept", ballot: zero, proposer: 1 },
    ]);
    expect(unit.flush()).toMatchObject([{ type: "accepted", granted: true, ballot: zero }]);
  });

  it("P7 gives class zero once per position: the second value is refused", () => {
    const unit = new Unit(0);
    unit.hearAndFlush(1, submit(unit, "a"));
    expect(unit.hearAndFlush(2, submit(unit, "b"))).toMatchObject([{ type: "submit-refused", promised: zero }]);
  });

  it("P12 gives class zero to no submit that may have lain unread for longer than anybody waits", () => {
    const unit = new Unit(0);
    unit.self.context.lateTicks = 1000;
    expect(unit.hearAndFlush(1, submit(unit, "a"))).toMatchObject([{ type: "submit-refused", promised: zero }]);
    unit.self.context.lateTicks = 0;
    expect(unit.hear(1, submit(unit, "b"))).toMatchObject([{ type: "accept" }, { type: "accept" }]);
  });

  it("P16 takes a submit once, so that what it refuses is refused for ever", () => {
    const unit = new Unit(0);
    const again = submit(unit, "a");
    unit.hearAndFlush(1, again);
    expect(unit.hearAndFlush(1, again)).toEqual([]);
    expect(unit.hearAndFlush(1, submit(unit, "b", 1, 2)), "meant for another incarnation").toEqual([]);
  });

  it("P16 sends the chosen entry along when it refuses a submit at a decided index", () => {
    const unit = new Unit(0);
    unit.hearAndFlush(1, { type: "learn", key: unit.key, entry: entryAt(3, "c", 1) });
    const refused = { type: "submit-refused", index: 1, chosenIndex: 3, entry: { index: 3 } };
    expect(unit.hearAndFlush(1, submit(unit, "a"))).toMatchObject([refused]);
  });

  it("P7 gives no class zero where something is promised", () => {
    const unit = new Unit(0);
    unit.hearAndFlush(1, unit.prepare(1, low));
    expect(unit.hearAndFlush(1, submit(unit, "a"))).toMatchObject([{ type: "submit-refused", promised: low }]);
    expect(unit.ask(set("own")).map((message) => message.type)).not.toContain("accept");
  });

  it("P7 gives no class zero at a position that it used before a restart, if that became durable", () => {
    const unit = new Unit(0);
    unit.ask(set("a"));
    unit.flush();
    unit.world.crash(unit.self, 0, false);
    const types = unit.hearAndFlush(1, submit(unit, "b", 1, 2)).map((message) => message.type);
    expect(types).toContain("submit-refused");
    expect(types).not.toContain("accept");
  });

  it("P8 its own vote does not leave before its own record is durable, the messages do", () => {
    const unit = new Unit(0);
    expect(unit.ask(set("a")).map((message) => message.type)).toEqual(["accept", "accept"]);
    expect(unit.lane.round?.votes).toBe(0);
    unit.flush();
    expect(unit.lane.round?.votes).toBe(1);
  });

  it("P9 a class-zero value is not chosen by a majority without the leader's own vote", () => {
    const unit = new Unit(1);
    unit.ask(set("a"));
    const { entry } = unit.lane.round ?? {};
    if (entry === undefined || entry === null) throw new Error("no round");
    const vote = {
      type: "accepted",
      key: unit.key,
      index: 1,
      ballot: zero,
      entryHash: entry.hash,
      granted: true,
    } as const;
    const rest = { promised: zero, accepted: zero, chosenIndex: 0 };
    unit.hearAndFlush(0, unit.accept(zero, entry));
    unit.hear(2, { ...vote, ...rest });
    expect(unit.writes).toEqual([]);
    unit.hear(0, { ...vote, ...rest });
    expect(unit.writes).toMatchObject([{ status: "ok", index: 1 }]);
  });

  it("P5 votes of two class-zero ballots are not added up", () => {
    const unit = new Unit(1);
    unit.ask(set("a"));
    const entryHash = unit.lane.round?.entry?.hash ?? 0;
    const vote = { type: "accepted", key: unit.key, index: 1, entryHash, granted: true, chosenIndex: 0 } as const;
    const later = zeroBallot(0, 2);
    unit.hear(2, { ...vote, ballot: zero, promised: zero, accepted: zero });
    unit.hear(0, { ...vote, ballot: later, promised: later, accepted: later });
    expect(unit.writes).toEqual([]);
  });

  it("P5 the same vote twice is one vote", () => {
    const unit = new Unit(0);
    unit.ask(set("a"));
    const entryHash = unit.lane.round?.entry?.hash ?? 0;
    const vote = { type: "accepted", key: unit.key, index: 1, ballot: zero, entryHash, granted: true } as const;
    unit.hear(1, { ...vote, promised: zero, accepted: zero, chosenIndex: 0 });
    unit.hear(1, { ...vote, promised: zero, accepted: zero, chosenIndex: 0 });
    expect(unit.writes).toEqual([]);
  });
});

describe("forwards", () => {
  it("P16 are taken once, by the incarnation that is meant, also when one overtakes another", () => {
    const unit = new Unit(0);
    unit.ask(set("own")); // so that what is taken waits
    const waiting = (): number => unit.lane.operations.length;
    unit.hear(1, forward(unit, 2));
    expect(waiting()).toBe(2);
    unit.hear(1, forward(unit, 2));
    unit.hear(1, forward(unit, 3, { targetIncarnation: 7 }));
    unit.hear(1, forward(unit, 3, { request: { replica: 2, incarnation: 1, counter: 9 } }));
    expect(waiting()).toBe(2);
    unit.hear(1, forward(unit, 1));
    expect(waiting()).toBe(3);
    unit.hear(1, forward(unit, 1));
    unit.hear(1, forward(unit, 3));
    expect(waiting()).toBe(4);
  });

  it("P12 are not proposed when their time may have run out while they lay unread", () => {
    const unit = new Unit(0);
    unit.self.context.lateTicks = 100;
    const refused = { type: "forward-reply", outcome: { status: "not-applied" } };
    expect(unit.hearAndFlush(1, forward(unit, 1, { remainingTicks: 100 }))).toMatchObject([refused]);
    const types = unit.hear(1, forward(unit, 2, { remainingTicks: 101 })).map(({ type }) => type);
    expect(types).toEqual(["accept", "accept"]);
  });

  it("P16 are answered at once by a replica that may not vote: it never will propose them", () => {
    const unit = new Unit(0);
    unit.self.context.mayVote = false;
    expect(unit.hear(1, forward(unit, 1))).toMatchObject([
      { type: "forward-reply", sequence: 1, outcome: { status: "not-applied", code: "BUSY" } },
    ]);
  });

  it("P14 are tested before they are proposed: what the list shows is answered from it", () => {
    const unit = new Unit(0);
    const id = { replica: 1, incarnation: 1, counter: 4 };
    unit.learn(entryAt(1, "x", 0, [{ id, index: 1, refusal: null, result: 3, version: 1 }]));
    expect(unit.hear(1, forward(unit, 4))).toMatchObject([
      { type: "forward-reply", outcome: { status: "ok", index: 1, result: 3 } },
    ]);
  });

  it("P12 the origin says UNKNOWN at its deadline while a forward is out, not NOT APPLIED", () => {
    const unit = new Unit(1);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    expect(unit.ask(set("b"), 5)).toMatchObject([{ type: "forward" }]);
    unit.pass(6);
    expect(unit.writes).toMatchObject([{ status: "unknown" }]);
  });

  it("P10 come back at once when their target is suspected", () => {
    const unit = new Unit(1);
    unit.hearAndFlush(0, unit.accept(zero, entryAt(1, "a")));
    unit.ask(set("b"));
    unit.world.setSuspected(unit.self, 0, true);
    expect(unit.sent().map((message) => message.type)).toContain("prepare");
  });
});
