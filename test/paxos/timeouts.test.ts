/** Claims about time: levels of looking after, wishes for ticks, coming to rest (P12, P16, P27). Method: stories. */
import { describe, expect, it } from "vitest";
import { isIdle } from "../../src/paxos/lane.js";
import { PATIENCE, set, SETTLE, Story } from "../../src/sim/soup/story.js";

function undecided(): Story {
  const story = new Story();
  story.ask(0, set("a"));
  story.deliver((message, { to }) => message.type === "accept" && to === 1);
  story.flush(1);
  story.lose(() => true);
  return story;
}

describe("time", () => {
  it("P27 level 1: an acceptor asks what became of what it accepted, less and less often", () => {
    const story = undecided();
    story.crash(0);
    story.count();
    const asked: number[] = [];
    for (let i = 0; i < SETTLE - 10; i++) {
      story.pass(1, [0, 2]);
      const { messages } = story.count();
      if ((messages["state-query"] ?? 0) > 0) asked.push(i);
    }
    expect(asked.length).toBeGreaterThanOrEqual(2);
    expect(asked.length).toBeLessThanOrEqual(8);
  });

  it("P27 level 2: settles it when it is old, the leader first, and everything comes to rest", () => {
    const story = undecided();
    story.crash(0);
    story.pass(SETTLE * 6);
    expect([0, 1, 2].map((id) => story.lane(id).plog.chosen.index)).toContain(1);
    for (const id of [0, 1, 2]) expect(isIdle(story.lane(id))).toBe(true);
  });

  it("a lane at rest has no wish", () => {
    const story = new Story();
    story.ask(1, set("a"));
    story.ask(2, null);
    story.run();
    story.pass(PATIENCE * 4);
    expect(story.world.nextWake()).toBe(0);
    for (const id of [0, 1, 2]) expect(isIdle(story.lane(id))).toBe(true);
  });

  it("a lane with an undecided accept, a round, a read or a forward always has a wish in the future", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.ask(1, set("b"));
    story.ask(2, null);
    for (let i = 0; i < 300; i++) {
      story.pass(1, i < 150 ? [0] : []);
      for (const replica of story.world.replicas) {
        const lane = replica.lanes.get(story.key);
        if (lane === undefined || isIdle(lane)) continue;
        expect(replica.wakes.get(story.key) ?? 0).toBeGreaterThan(story.world.tick);
      }
    }
  });

  it("P12 a replica cut off from everybody tries with growing pauses, not in a loop", () => {
    const story = new Story();
    story.askFor(0, 2000, set("a"));
    story.settle([1, 2]);
    story.count();
    story.pass(1500, [1, 2]);
    expect(story.count().messages["prepare"] ?? 0).toBeLessThan(60);
  });

  it("P12 two proposers with a dead leader do not duel for long", () => {
    const story = new Story();
    story.suspect(0);
    const first = story.ask(1, set("a"));
    const second = story.ask(2, set("b"));
    story.settle([0]);
    story.pass(PATIENCE * 10, [0]);
    expect([first, second].map((client) => story.answers.get(client)?.slice(0, 2))).toEqual(["OK", "OK"]);
    expect(story.count().messages["prepare"]).toBeLessThan(12);
  });

  it("P16 a forwarded operation is not starved by a leader with a queue", () => {
    const story = new Story();
    for (let i = 0; i < 200; i++) story.ask(0, { kind: "add", delta: "1" });
    const forwarded = story.ask(1, { kind: "add", delta: "1" });
    story.run();
    story.pass(PATIENCE * 8);
    expect(story.answers.get(forwarded)).toMatch(/^OK/);
  });

  it("P16 a leader that restarts loses no forwarded operation: its origin takes it back", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.deliver((message) => message.type === "accept");
    const forwarded = story.ask(1, set("b"));
    story.deliver((message) => message.type === "forward");
    story.crash(0);
    story.pass(PATIENCE * 20);
    expect(story.answers.get(forwarded)).toMatch(/^OK/);
  });

  it("P10 with a dead leader a write takes no time-out once the leader is suspected", () => {
    const story = new Story();
    story.suspect(0);
    const { tick } = story.world;
    const writer = story.ask(2, set("a"));
    story.settle([0]);
    expect(story.answers.get(writer)).toBe("OK at 1 (null)");
    expect(story.world.tick).toBe(tick);
  });

  it("P10 suspicion that comes while a submit is out ends it at once", () => {
    const story = new Story();
    const writer = story.ask(2, set("a"));
    story.lose(() => true);
    story.suspect(0);
    story.settle([0]);
    expect(story.answers.get(writer)).toBe("OK at 1 (null)");
  });

  it("at the bound of the lane one more write is BUSY", () => {
    const story = new Story();
    for (let i = 0; i < 4096; i++) story.ask(0, { kind: "add", delta: "1" });
    const refused = story.ask(0, { kind: "add", delta: "1" });
    expect(story.answers.get(refused)).toBe("NOT APPLIED BUSY");
    story.run();
    expect(story.lane(0).plog.chosen.version).toBe(4096);
  });
});
