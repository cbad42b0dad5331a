/** Claims about two phases, deadlines and what a write costs (P10 to P13, P17). Method: one replica alone, and stories. */
import { describe, expect, it } from "vitest";
import { type Ballot, NO_BALLOT, ordinaryBallot } from "../../src/paxos/ballot.js";
import type { Entry } from "../../src/paxos/entry.js";
import type { Message, PromiseMessage } from "../../src/paxos/message.js";
import { PATIENCE, set, Story } from "../../src/sim/soup/story.js";
import { entryAt, Unit } from "./unit.js";

/** Replica 1 with its leader dead: it goes by two phases. */
function alone(): { unit: Unit; ballot: Ballot; messages: Message[] } {
  const unit = new Unit(1);
  unit.self.context.suspected[0] = true;
  const messages = unit.ask(set("own"));
  return { unit, ballot: unit.lane.round?.ballot ?? NO_BALLOT, messages };
}

function promise(unit: Unit, ballot: Ballot, accepted: Ballot = NO_BALLOT, entry: Entry | null = null): PromiseMessage {
  const shown = { promised: ballot, accepted, entry, chosenIndex: 0 };
  return { type: "promise", key: unit.key, index: 1, ballot, granted: true, ...shown };
}

function acceptedValue(messages: readonly Message[]): Entry | undefined {
  const message = messages.find((one) => one.type === "accept");
  return message?.type === "accept" ? message.entry : undefined;
}

describe("two phases", () => {
  it("P10 start at once when the leader is suspected; the prepare does not wait for the own disk", () => {
    expect(alone().messages).toMatchObject([{ type: "prepare" }, { type: "prepare" }]);
  });

  it("P11 the own promise counts only when it is durable", () => {
    const { unit, ballot } = alone();
    expect(unit.hear(2, promise(unit, ballot))).toEqual([]);
    expect(unit.flush()).toMatchObject([{ type: "accept" }, { type: "accept" }]);
  });

  it("P11 propose the own value when nobody accepted anything", () => {
    const { unit, ballot } = alone();
    unit.flush();
    const entry = acceptedValue(unit.hear(2, promise(unit, ballot)));
    expect(entry).toMatchObject({ index: 1, leader: 1, version: 1 });
  });

  it("P12 propose nothing of a request whose time is over when the promises come: the position is closed without it", () => {
    const { unit, ballot } = alone();
    unit.flush();
    unit.world.tick += 2000; // the process stood still: no step told it what time it is
    const messages = unit.hear(2, promise(unit, ballot));
    expect(acceptedValue(messages)?.value).toHaveLength(0);
    expect(unit.writes).toMatchObject([{ status: "not-applied", code: "NOQUORUM" }]);
  });

  it("P11 take the accepted entry with the highest ballot", () => {
    const { unit, ballot } = alone();
    const found = entryAt(1, "found", 2);
    const messages = unit.hear(2, promise(unit, ballot, ordinaryBallot(1, 0, 1), found));
    expect(acceptedValue([...messages, ...unit.flush()])?.hash).toBe(found.hash);
  });

  it("P11 take the highest one among refusals too", () => {
    const { unit, ballot } = alone();
    const older = entryAt(1, "older", 2);
    const newer = entryAt(1, "newer", 2);
    const above = ordinaryBallot(9, 0, 1);
    unit.hear(0, { ...promise(unit, ballot, above, newer), granted: false, promised: above });
    const messages = unit.hear(2, promise(unit, ballot, ordinaryBallot(1, 0, 1), older));
    expect(acceptedValue([...messages, ...unit.flush()])?.hash).toBe(newer.hash);
  });

  it("P12 jump above the ballot of a refusal, after a random pause", () => {
    const { unit, ballot } = alone();
    unit.flush();
    const above = ordinaryBallot(41, 2, 1);
    unit.hear(2, { ...promise(unit, ballot), granted: false, promised: above });
    unit.hear(0, { ...promise(unit, ballot), granted: false, promised: above });
    expect(unit.lane.round).toBeNull();
    unit.pass(PATIENCE);
    expect(unit.lane.round?.ballot.counter).toBe(42);
  });

  it("section 1: no ballot is used twice, over rounds and restarts", () => {
    const used = new Set<string>();
    const { unit } = alone();
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < PATIENCE * 3; j++) {
        unit.world.passTick();
        const { round } = unit.lane;
        if (round !== null) used.add(`${String(i)} ${JSON.stringify(round.ballot)}`);
      }
      unit.world.crash(unit.self, i % 2, false);
      unit.self.context.suspected[0] = true;
      unit.ask(set("again"));
    }
    const ballots = [...used].map((line) => line.slice(2));
    expect(new Set(ballots).size).toBe(ballots.length);
  });

  it("P12 after the deadline nothing more is proposed, and a request that was proposed is UNKNOWN", () => {
    const { unit, ballot } = alone();
    unit.flush();
    unit.hear(2, promise(unit, ballot));
    unit.pass(1001);
    expect(unit.writes).toMatchObject([{ status: "unknown" }]);
    unit.sent();
    expect(unit.pass(500).filter((message) => message.type === "accept" || message.type === "submit")).toEqual([]);
  });

  it("P12 a request that was never proposed is NOT APPLIED at its deadline", () => {
    const { unit } = alone();
    unit.pass(1001);
    expect(unit.writes).toMatchObject([{ status: "not-applied", code: "NOQUORUM" }]);
  });

  it("P17 name the proposer as the leader of the next index", () => {
    const story = new Story();
    story.ask(2, set("a"));
    story.run();
    expect(story.lane(0).plog.chosen.leader).toBe(2);
  });

  it("P17 name another one that the policy prefers, who then gives class zero to the proposer's next value", () => {
    const story = new Story();
    story.world.replica(2).context.namedLeader = 1;
    story.ask(2, set("a"));
    story.run();
    expect(story.lane(0).plog.chosen.leader).toBe(1);
    story.count();
    story.ask(2, set("b"));
    story.run();
    const { messages } = story.count();
    expect([messages["submit"], messages["prepare"] ?? 0]).toEqual([1, 0]);
    expect(story.lane(0).plog.chosen.index).toBe(2);
  });
});

describe("what a write costs (P17, P13)", () => {
  it("at the leader: 4 messages and the marks, 3 records, each with one value", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.run();
    expect(story.count()).toEqual({ messages: { accept: 2, accepted: 2, chosen: 2 }, records: 3 });
  });

  it("through submit: 5 messages and the marks, 3 records", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.run();
    story.count();
    story.ask(1, set("b"));
    story.run();
    expect(story.count()).toEqual({ messages: { submit: 1, accept: 2, accepted: 2, chosen: 2 }, records: 3 });
  });

  it("a write is answered after one flush in sequence: its own vote and one other", () => {
    const story = new Story();
    const writer = story.ask(0, set("a"));
    story.deliver((message, { to }) => message.type === "accept" && to === 1);
    story.flush(0);
    story.flush(1);
    story.deliver((message) => message.type === "accepted");
    expect(story.answers.get(writer)).toBe("OK at 1 (null)");
    expect(story.count().records).toBe(2);
  });

  it("two phases with the leader dead: two round trips, two records at each of two replicas", () => {
    const story = new Story();
    story.suspect(0);
    story.ask(1, set("a"));
    story.settle([0]);
    const { messages, records } = story.count();
    expect(messages).toEqual({ prepare: 2, promise: 1, accept: 2, accepted: 1, chosen: 2 });
    expect(records).toBe(4);
  });

  it("a steady read costs one question and one answer, no record and no flush", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.run();
    story.count();
    story.ask(1, null);
    story.run();
    expect(story.count()).toEqual({ messages: { "state-query": 1, "state-reply": 1 }, records: 0 });
  });

  it("P15 sixty-four waiting writes cost one more round, the sixty-fifth another", () => {
    const story = new Story();
    story.ask(0, set("0"));
    for (let i = 0; i < 65; i++) story.ask(0, { kind: "add", delta: "1" });
    story.run();
    expect(story.lane(0).plog.chosen.index).toBe(3);
    expect(story.count().records).toBe(9);
  });
});
