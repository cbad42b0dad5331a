/**
 * Goal: the flows of the protocol, readable. Method: stories (story.ts) told line by line and compared as text; -x marks
 * a lost message. What a line says is rendered by render.ts: ballots as counter.replica.incarnation, entries as
 * e<index>(value version leader [requests]).
 */
import { describe, expect, it } from "vitest";
import { PATIENCE, set, SETTLE, Story, WALL } from "../../src/sim/soup/story.js";

describe("stories", () => {
  it("write at the leader: one round trip", () => {
    const story = new Story();
    story.ask(0, set("a"));
    expect(story.run().tell()).toMatchInlineSnapshot(`
      "client 1 at 0: set "a"
      0 -> 1: accept 0.0.1 e1("a" v1 L0 [0.1.1]) for 0
      0 -> 2: accept 0.0.1 e1("a" v1 L0 [0.1.1]) for 0
      0 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      1 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      1 -> 0: accepted 1 0.0.1 granted
      2 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      2 -> 0: accepted 1 0.0.1 granted
      0 -> 1: chosen 1 0.0.1
      0 -> 2: chosen 1 0.0.1
      client 1: OK at 1 (null)"
    `);
  });

  it("write elsewhere goes through the leader", () => {
    const story = new Story();
    story.ask(1, set("a"));
    expect(story.run().tell()).toMatchInlineSnapshot(`
      "client 1 at 1: set "a"
      1 -> 0: submit e1("a" v1 L1 [1.1.1])
      0 -> 1: accept 0.0.1 e1("a" v1 L1 [1.1.1]) for 1
      0 -> 2: accept 0.0.1 e1("a" v1 L1 [1.1.1]) for 1
      0 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L1 [1.1.1])
      0 -> 1: accepted 1 0.0.1 granted
      1 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L1 [1.1.1])
      2 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L1 [1.1.1])
      2 -> 1: accepted 1 0.0.1 granted
      1 -> 0: chosen 1 0.0.1
      1 -> 2: chosen 1 0.0.1
      client 1: OK at 1 (null)"
    `);
  });

  it("leader dead: two phases", () => {
    const story = new Story();
    story.suspect(0);
    story.ask(1, set("a"));
    story.settle([0]);
    expect(story.tell()).toMatchInlineSnapshot(`
      "client 1 at 1: set "a"
      1 -> 0: prepare 1 1.1.1
      1 -> 2: prepare 1 1.1.1
      1 disk: record 1 promised 1.1.1 accepted none nothing
      2 disk: record 1 promised 1.1.1 accepted none nothing
      2 -> 1: promise 1 1.1.1 granted accepted none nothing
      1 -> 0: accept 1.1.1 e1("a" v1 L1 [1.1.1]) for 1
      1 -> 2: accept 1.1.1 e1("a" v1 L1 [1.1.1]) for 1
      1 disk: record 1 promised 1.1.1 accepted 1.1.1 e1("a" v1 L1 [1.1.1])
      2 disk: record 1 promised 1.1.1 accepted 1.1.1 e1("a" v1 L1 [1.1.1])
      2 -> 1: accepted 1 1.1.1 granted
      1 -> 0: chosen 1 1.1.1
      1 -> 2: chosen 1 1.1.1
      client 1: OK at 1 (null)"
    `);
  });

  it("two writers on a hot key are folded", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.ask(0, { kind: "add", delta: "1" });
    story.ask(0, set("7"));
    story.ask(0, { kind: "add", delta: "5" });
    story.run();
    expect(story.tell()).toMatchInlineSnapshot(`
      "client 1 at 0: set "a"
      0 -> 1: accept 0.0.1 e1("a" v1 L0 [0.1.1]) for 0
      0 -> 2: accept 0.0.1 e1("a" v1 L0 [0.1.1]) for 0
      client 2 at 0: add 1
      client 3 at 0: set "7"
      client 4 at 0: add 5
      0 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      1 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      1 -> 0: accepted 1 0.0.1 granted
      2 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      2 -> 0: accepted 1 0.0.1 granted
      0 -> 1: chosen 1 0.0.1
      0 -> 2: chosen 1 0.0.1
      0 -> 1: accept 0.0.1 e2("12" v3 L0 [!0.1.2 0.1.3 0.1.4]) for 0
      0 -> 2: accept 0.0.1 e2("12" v3 L0 [!0.1.2 0.1.3 0.1.4]) for 0
      client 1: OK at 1 (null)
      0 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("12" v3 L0 [!0.1.2 0.1.3 0.1.4])
      1 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("12" v3 L0 [!0.1.2 0.1.3 0.1.4])
      1 -> 0: accepted 2 0.0.1 granted
      2 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("12" v3 L0 [!0.1.2 0.1.3 0.1.4])
      2 -> 0: accepted 2 0.0.1 granted
      0 -> 1: chosen 2 0.0.1
      0 -> 2: chosen 2 0.0.1
      client 2: FAILED not-integer
      client 3: OK at 2 (null)
      client 4: OK at 2 (12)"
    `);
  });

  it("a lagging replica gets the base with the accept", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.settle([2]);
    story.tell();
    story.ask(0, set("b"));
    expect(story.run().tell()).toMatchInlineSnapshot(`
      "client 2 at 0: set "b"
      0 -> 1: accept 0.0.1 e2("b" v2 L0 [0.1.2]) for 0
      0 -> 2: accept 0.0.1 e2("b" v2 L0 [0.1.2]) for 0
      2 -> 0: behind 0 at accept 2
      0 -> 2: accept 0.0.1 e2("b" v2 L0 [0.1.2]) for 0 base e1("a" v1 L0 [0.1.1])
      0 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("b" v2 L0 [0.1.2])
      1 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("b" v2 L0 [0.1.2])
      1 -> 0: accepted 2 0.0.1 granted
      2 disk: record chosen e1("a" v1 L0 [0.1.1])
      2 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("b" v2 L0 [0.1.2])
      2 -> 0: accepted 2 0.0.1 granted
      0 -> 1: chosen 2 0.0.1
      0 -> 2: chosen 2 0.0.1
      client 2: OK at 2 (null)"
    `);
  });

  it("read during an undecided write: it waits for who is silent, then sees the write chosen by counting", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.deliver((message, { to }) => message.type === "accept" && to === 1);
    story.flush();
    story.lose(() => true);
    story.tell();
    story.ask(2, null);
    story.settle([1]);
    story.pass(PATIENCE);
    expect(story.tell()).toMatchInlineSnapshot(`
      "client 2 at 2: read
      2 -> 0: state-query #1
      0 -> 2: state-reply #1 chosen 0 accepted 0.0.1
      2 -> 1: state-query #1
      2 -> 0: state-query #2
      2 -> 1: state-query #2
      0 -> 2: state-reply #2 chosen 0 accepted 0.0.1
      1 -> 2: state-reply #2 chosen 0 accepted 0.0.1
      2 -> 0: chosen 1 0.0.1
      2 -> 0: fetch 1
      client 1: OK at 1 (null)
      0 -> 2: learn e1("a" v1 L0 [0.1.1])
      client 2: "a" at 1
      2 disk: record chosen e1("a" v1 L0 [0.1.1])"
    `);
  });

  it("expired key: the reader buries it before it answers", () => {
    const story = new Story();
    story.ask(0, set("a", { expiryMs: WALL + 50 }));
    story.run();
    story.pass(60).tell();
    story.ask(1, null);
    expect(story.run().tell()).toMatchInlineSnapshot(`
      "client 2 at 1: read
      1 -> 0: state-query #1
      0 -> 1: state-reply #1 chosen 1 accepted none
      1 -> 0: submit e2(deleted v2 L1 [!1.1.1])
      0 -> 1: accept 0.0.1 e2(deleted v2 L1 [!1.1.1]) for 1
      0 -> 2: accept 0.0.1 e2(deleted v2 L1 [!1.1.1]) for 1
      0 disk: record 2 promised 0.0.1 accepted 0.0.1 e2(deleted v2 L1 [!1.1.1])
      0 -> 1: accepted 2 0.0.1 granted
      1 disk: record 2 promised 0.0.1 accepted 0.0.1 e2(deleted v2 L1 [!1.1.1])
      2 disk: record 2 promised 0.0.1 accepted 0.0.1 e2(deleted v2 L1 [!1.1.1])
      2 -> 1: accepted 2 0.0.1 granted
      1 -> 0: chosen 2 0.0.1
      1 -> 2: chosen 2 0.0.1
      client 2: absent at 2"
    `);
  });

  it("retry after a lost answer: the value is found accepted, nothing is applied twice", () => {
    const story = new Story();
    story.ask(1, set("a"));
    story.deliver((message) => message.type === "submit");
    story.deliver((message, { to }) => message.type === "accept" && to === 2);
    story.flush();
    story.lose(() => true);
    story.tell();
    story.ask(2, set("b"));
    story.suspect(0);
    story.settle([0]);
    expect(story.tell()).toMatchInlineSnapshot(`
      "client 2 at 2: set "b"
      2 -> 0: forward 2.1.1 set since 1 #1
      1 -> 0: prepare 1 1.1.1
      1 -> 2: prepare 1 1.1.1
      1 disk: record 1 promised 1.1.1 accepted none nothing
      2 disk: record 1 promised 1.1.1 accepted 0.0.1 e1("a" v1 L1 [1.1.1])
      2 -> 1: promise 1 1.1.1 granted accepted 0.0.1 e1("a" v1 L1 [1.1.1])
      1 -> 0: accept 1.1.1 e1("a" v1 L1 [1.1.1]) for 1
      1 -> 2: accept 1.1.1 e1("a" v1 L1 [1.1.1]) for 1
      1 disk: record 1 promised 1.1.1 accepted 1.1.1 e1("a" v1 L1 [1.1.1])
      2 disk: record 1 promised 1.1.1 accepted 1.1.1 e1("a" v1 L1 [1.1.1])
      2 -> 1: accepted 1 1.1.1 granted
      1 -> 0: chosen 1 1.1.1
      1 -> 2: chosen 1 1.1.1
      client 1: OK at 1 (null)
      2 -> 0: prepare 2 1.2.1
      2 -> 1: prepare 2 1.2.1
      1 disk: record 2 promised 1.2.1 accepted none nothing
      1 -> 2: promise 2 1.2.1 granted accepted none nothing
      2 disk: record 2 promised 1.2.1 accepted none nothing
      2 -> 0: accept 1.2.1 e2("b" v2 L2 [2.1.1]) for 2
      2 -> 1: accept 1.2.1 e2("b" v2 L2 [2.1.1]) for 2
      1 disk: record 2 promised 1.2.1 accepted 1.2.1 e2("b" v2 L2 [2.1.1])
      1 -> 2: accepted 2 1.2.1 granted
      2 disk: record 2 promised 1.2.1 accepted 1.2.1 e2("b" v2 L2 [2.1.1])
      2 -> 0: chosen 2 1.2.1
      2 -> 1: chosen 2 1.2.1
      client 2: OK at 2 (null)"
    `);
  });

  it("forward and its reply lost: the origin finds its request in the list", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.deliver((message) => message.type === "accept");
    story.ask(1, set("b"));
    story.run();
    story.lose(() => true);
    expect(story.tell()).toMatchInlineSnapshot(`
      "client 1 at 0: set "a"
      0 -> 1: accept 0.0.1 e1("a" v1 L0 [0.1.1]) for 0
      0 -> 2: accept 0.0.1 e1("a" v1 L0 [0.1.1]) for 0
      client 2 at 1: set "b"
      1 -> 0: forward 1.1.1 set since 1 #1
      0 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      1 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      1 -> 0: accepted 1 0.0.1 granted
      2 disk: record 1 promised 0.0.1 accepted 0.0.1 e1("a" v1 L0 [0.1.1])
      2 -> 0: accepted 1 0.0.1 granted
      0 -> 1: chosen 1 0.0.1
      0 -> 2: chosen 1 0.0.1
      0 -> 1: accept 0.0.1 e2("b" v2 L0 [1.1.1]) for 0
      0 -> 2: accept 0.0.1 e2("b" v2 L0 [1.1.1]) for 0
      client 1: OK at 1 (null)
      0 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("b" v2 L0 [1.1.1])
      1 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("b" v2 L0 [1.1.1])
      1 -> 0: accepted 2 0.0.1 granted
      2 disk: record 2 promised 0.0.1 accepted 0.0.1 e2("b" v2 L0 [1.1.1])
      2 -> 0: accepted 2 0.0.1 granted
      0 -> 1: chosen 2 0.0.1
      0 -> 2: chosen 2 0.0.1
      0 -> 1: forward-reply 1.1.1 OK at 2 (null)
      client 2: OK at 2 (null)"
    `);
  });

  it("restart of all three with undecided positions: the first read finds it chosen by counting", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.deliver((message) => message.type === "accept");
    story.flush();
    story.lose(() => true);
    story.crash(0).crash(1).crash(2).tell();
    story.ask(2, null);
    expect(story.run().tell()).toMatchInlineSnapshot(`
      "client 2 at 2: read
      2 -> 0: state-query #1
      0 -> 2: state-reply #1 chosen 0 accepted 0.0.1
      0 -> 1: state-query #1
      client 2: "a" at 1
      1 -> 0: state-reply #1 chosen 0 accepted 0.0.1
      1 -> 0: state-query #1
      0 -> 1: state-reply #1 chosen 1 accepted none with entry"
    `);
  });

  it("a lone undecided accept is settled by the leader first, once it is old", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.lose(() => true);
    story.flush();
    story.lose(() => true);
    story.crash(0).tell();
    story.ask(0, null);
    story.run();
    story.tell();
    story.pass(2 * SETTLE);
    expect(
      story
        .tell()
        .split("\n")
        .filter((line) => !line.includes("state-")),
    ).toMatchInlineSnapshot(`
      [
        "0 -> 1: prepare 1 1.0.2",
        "0 -> 2: prepare 1 1.0.2",
        "0 disk: record 1 promised 1.0.2 accepted 0.0.1 e1("a" v1 L0 [0.1.1])",
        "1 disk: record 1 promised 1.0.2 accepted none nothing",
        "1 -> 0: promise 1 1.0.2 granted accepted none nothing",
        "2 disk: record 1 promised 1.0.2 accepted none nothing",
        "2 -> 0: promise 1 1.0.2 granted accepted none nothing",
        "0 -> 1: accept 1.0.2 e1("a" v1 L0 [0.1.1]) for 0",
        "0 -> 2: accept 1.0.2 e1("a" v1 L0 [0.1.1]) for 0",
        "0 disk: record 1 promised 1.0.2 accepted 1.0.2 e1("a" v1 L0 [0.1.1])",
        "1 disk: record 1 promised 1.0.2 accepted 1.0.2 e1("a" v1 L0 [0.1.1])",
        "1 -> 0: accepted 1 1.0.2 granted",
        "2 disk: record 1 promised 1.0.2 accepted 1.0.2 e1("a" v1 L0 [0.1.1])",
        "2 -> 0: accepted 1 1.0.2 granted",
        "0 -> 1: chosen 1 1.0.2",
        "0 -> 2: chosen 1 1.0.2",
      ]
    `);
  });
});
