/**
 * Goal: every fault that the walk or a review found in the core stays found. Method: the shortest story of each. Claims
 * name the rule that was broken.
 */
import { describe, expect, it } from "vitest";
import { NO_BALLOT } from "../../src/paxos/ballot.js";
import type { BehindMessage, ForwardReplyMessage } from "../../src/paxos/message.js";
import { isIdle } from "../../src/paxos/lane.js";
import { PATIENCE, set, SETTLE, Story, WALL } from "../../src/sim/soup/story.js";

describe("faults that were found", () => {
  it("P16: a late copy of a forward from the origin's earlier life is not taken again", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.deliver((message) => message.type === "accept");
    story.ask(1, { kind: "add", delta: "1" });
    const [forward] = story.take((message) => message.type === "forward");
    if (forward === undefined) throw new Error("no forward");
    story.world.deliver(forward);
    story.crash(1);
    story.world.deliver(forward);
    expect(story.lane(0).operations.length).toBe(2); // the first write and one forward
    story.run();
    expect(story.lane(0).plog.chosen.index).toBe(1); // adding to "a" fails, and is confirmed by a read
  });

  it("P16: an answer to an earlier forward does not end a later one", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.run();
    story.ask(0, set("b"));
    story.deliver((message) => message.type === "accept");
    story.ask(1, set("c"));
    const request = { replica: 1, incarnation: 1, counter: 1 };
    const back: ForwardReplyMessage = {
      type: "forward-reply",
      key: story.key,
      request,
      outcome: { status: "not-applied", code: "LOADING", message: "" },
      index: 1,
      sequence: 0,
    };
    story.world.forge(0, 1, back);
    story.deliver((message) => message.type === "forward-reply");
    expect(story.lane(1).forwarded.map((pending) => pending.forwardedTo)).toEqual([0]);
    story.run();
    expect([...story.answers.values()]).toEqual(["OK at 1 (null)", "OK at 2 (null)", "OK at 3 (null)"]);
  });

  it("P16: a BEHIND that comes twice does not send a second submit, whose refusal would take back the first", () => {
    // The swarm's find (seed 1569): the submit that was taken was chosen, and its client was told NOT APPLIED.
    const story = new Story();
    story.ask(0, set("a"));
    story.run();
    const writer = story.ask(1, set("b"));
    const [first] = story.take((message) => message.type === "submit");
    if (first?.message.type !== "submit") throw new Error("no submit");
    const { index, sequence } = first.message;
    const behind: BehindMessage = {
      type: "behind",
      key: story.key,
      index,
      ballot: NO_BALLOT,
      phase: "submit",
      chosenIndex: index - 2,
      sequence,
    };
    story.world.forge(0, 1, behind);
    story.deliver((message) => message.type === "behind");
    expect(story.count().messages["submit"]).toBe(2); // the first one, and its repetition with the base
    story.deliver((message) => message.type === "submit");
    story.world.forge(0, 1, behind);
    story.deliver((message) => message.type === "behind");
    expect(story.count().messages["submit"] ?? 0).toBe(0);
    story.run();
    expect(story.answers.get(writer)).toBe("OK at 2 (null)");
  });

  it("P14: a request forwarded, taken back and applied is not applied again by its late forward", () => {
    const story = new Story();
    story.ask(0, set("5"));
    story.deliver((message) => message.type === "accept");
    story.ask(1, { kind: "add", delta: "1" });
    const late = story.take((message) => message.type === "forward");
    story.run();
    story.pass(PATIENCE * 20);
    for (const flight of late) story.world.deliver(flight);
    story.run();
    const reader = story.ask(2, null);
    story.run();
    expect(story.answers.get(reader)).toMatch(/^"6"/);
  });

  it("P14: what waits is tested on an entry that a look took as chosen within the same step", () => {
    const story = new Story(1);
    const { world } = story;
    const replica = story.replica(0);
    story.ask(0, { kind: "add", delta: "1" });
    while (replica.queue.length < 2) world.passTick(); // the slow disk makes it try two phases
    world.flush(replica, 1); // only the first accept is durable
    for (let i = 0; i < PATIENCE * 8; i++) world.passTick();
    story.run();
    expect([...story.answers.values()]).toEqual(["OK at 1 (1)"]);
    expect(story.lane(0).plog.chosen.index).toBe(1);
  });

  it("P18: an answer to a question of an earlier incarnation does not count", () => {
    const story = new Story();
    story.ask(2, null);
    story.deliver((message) => message.type === "state-query");
    const old = story.take((message) => message.type === "state-reply");
    expect(old.length).toBeGreaterThan(0);
    story.ask(0, set("a"));
    story.settle([2]);
    story.crash(2);
    const reader = story.ask(2, null);
    for (const flight of old) story.world.deliver(flight);
    expect(story.answers.has(reader)).toBe(false);
    story.run();
    expect(story.answers.get(reader)).toBe('"a" at 1');
  });

  it("P12: reads are refused at their own deadlines, in whatever order these come", () => {
    const story = new Story();
    story.askFor(1, 500, null);
    const late = story.askFor(1, 50, null);
    const soon = story.askFor(1, 20, null);
    story.settle([0, 2]);
    story.pass(20, [0, 2]);
    expect(story.answers.has(late)).toBe(false);
    expect(story.answers.get(soon)).toBe("REFUSED NOQUORUM");
    story.pass(30, [0, 2]);
    expect(story.answers.get(late)).toBe("REFUSED NOQUORUM");
  });

  it("P25: a lone read of an expired key does not wait for anything else to happen", () => {
    const story = new Story();
    story.ask(0, set("a", { expiryMs: WALL + 5 }));
    story.run();
    story.pass(10);
    const tick = story.world.tick;
    const reader = story.ask(0, null);
    story.run();
    expect(story.answers.get(reader)).toBe("absent at 2");
    expect(story.world.tick).toBe(tick);
  });

  it("P21: when the holder of the entry falls silent, another one is asked", () => {
    const story = new Story();
    story.ask(0, set("x".repeat(2000)));
    story.settle([2]);
    const reader = story.ask(2, null);
    story.deliver((message) => message.type === "state-query");
    story.deliver((message) => message.type === "state-reply");
    story.lose((message) => message.type === "fetch");
    story.pass(PATIENCE * 5, [0]);
    expect(story.answers.get(reader)).toMatch(/ at 1$/);
  });

  it("P16: a leader that is heard but does not answer is passed by two phases", () => {
    const story = new Story();
    const writer = story.askFor(1, 300, set("a"));
    for (let i = 0; i < 150; i++) {
      story.lose((message, { to }) => to === 0 && message.type === "submit");
      story.pass(1, [0]);
    }
    expect(story.answers.get(writer)).toBe("OK at 1 (null)");
  });

  it("P30: a replica that may not vote does not wait for ever to settle a position", () => {
    const story = new Story();
    story.replica(2).context.mayVote = false;
    const reader = story.askFor(2, SETTLE * 3, null);
    story.settle([0, 1]);
    story.pass(SETTLE * 4, [0, 1]);
    expect(story.answers.get(reader)).toBe("REFUSED NOQUORUM");
    story.pass(PATIENCE * 4);
    expect(isIdle(story.lane(2))).toBe(true);
  });

  it("P30: a replica that may not vote finds one that may, though the leader of the position may not vote either", () => {
    // The swarm's find (seeds 500075 and 500190): the leader refused, and the write stayed where it was until its time was up.
    const story = new Story(5);
    story.ask(0, set("a"));
    story.run();
    for (const id of [0, 1]) story.replica(id).context.mayVote = false;
    const writer = story.askFor(1, 300, set("b"));
    story.pass(PATIENCE * 4);
    expect(story.answers.get(writer)).toBe("OK at 2 (null)");
  });

  it("P30: a replica that may not vote asks nobody all the time when nobody may", () => {
    const story = new Story(5);
    for (const id of [0, 1, 2, 3, 4]) story.replica(id).context.mayVote = false;
    const writer = story.askFor(1, 300, set("a"));
    story.pass(300);
    expect(story.answers.get(writer)).toBe("NOT APPLIED NOQUORUM");
    const forwards = story.count().messages["forward"] ?? 0;
    expect(forwards).toBeGreaterThanOrEqual(8);
    expect(forwards).toBeLessThanOrEqual((300 / PATIENCE) * 4);
  });

  it("P21: nobody is asked any more for a condition whose client was answered", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.run();
    const writer = story.askFor(0, 30, set("b", { condition: { kind: "absent" } }));
    story.settle([1, 2]);
    story.pass(40, [1, 2]);
    expect(story.answers.get(writer)).toBe("NOT APPLIED NOQUORUM");
    story.count();
    story.pass(100, [1, 2]);
    expect(story.count().messages["state-query"] ?? 0).toBe(0);
    expect(isIdle(story.lane(0))).toBe(true);
  });

  it("P20: a read that waits for a look to end is asked when nobody answers the look", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.deliver((message, { to }) => message.type === "accept" && to === 1);
    story.flush();
    const votes = story.take((message) => message.type === "accepted");
    story.world.tick += PATIENCE * 2;
    story.world.tickAll(story.replica(1)); // it begins to look after what it accepted; nobody hears it
    story.lose(() => true);
    expect(story.lane(1).read).not.toBeNull();
    const reader = story.ask(1, null);
    for (const vote of votes) story.world.deliver(vote);
    story.deliver((message) => message.type === "chosen");
    story.lose(() => true);
    story.pass(PATIENCE);
    expect(story.answers.get(reader)).toBe('"a" at 1');
  });

  it("D12: a full disk refuses values and says so, takes deletions, and makes nobody talk in circles", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.settle([2]);
    story.replica(2).context.diskFull = true;
    story.ask(0, set("b"));
    story.run(); // replica 2 is behind and has no room for the base
    expect(story.count().messages["behind"] ?? 0).toBeLessThanOrEqual(1);
    story.replica(0).context.diskFull = true;
    const refused = story.ask(0, set("c"));
    const deleted = story.ask(0, { kind: "delete" });
    story.run();
    story.pass(PATIENCE * 3);
    expect(story.answers.get(refused)).toBe("NOT APPLIED DISKFULL");
    expect(story.answers.get(deleted)).toBe("OK at 3 (1)");
  });

  it("D12: while merge makes room values wait, and are refused only when their time is up", () => {
    // The swarm's find (profile full): a value was proposed while the store still hoped for room, its batch was refused in the end,
    // and the node had to stop; a later batch that stood on it was durable without it.
    const story = new Story();
    const { context } = story.replica(0);
    context.diskFull = true;
    context.roomReturns = true;
    const waits = story.ask(0, set("a"));
    story.run();
    story.pass(PATIENCE);
    expect(story.answers.has(waits)).toBe(false);
    context.diskFull = false;
    context.roomReturns = false;
    story.pass(PATIENCE * 2);
    story.run();
    expect(story.answers.get(waits)).toBe("OK at 1 (null)");
    context.diskFull = true;
    context.roomReturns = true;
    const late = story.askFor(0, PATIENCE * 4, set("b"));
    story.run();
    story.pass(PATIENCE * 5);
    expect(story.answers.get(late)).toBe("NOT APPLIED DISKFULL");
  });
});
