// Goal: MULTI to EXEC is one change of one key, answers as Redis does, and WATCH notices every change in between. Method:
// sessions on connections to a server over a service in memory that answers in random order.
import { describe, expect, it } from "vitest";
import { MAX_STEPS } from "../../src/paxos/operation.js";
import { startTestServer } from "./harness.js";
import { bulk, error, OK, playSessions, type Session } from "./sessions.js";
import type { Reply } from "./wire.js";

const QUEUED: Reply = { simple: "QUEUED" };
const ABORTED = error("EXECABORT Transaction discarded because of previous errors.");
const CROSSKEY = error("CROSSKEY all keys of a transaction must be one key");
const NOTHING: Reply = { nullArray: true };

const SESSIONS: readonly Session[] = [
  [
    "a transaction answers as its commands would",
    [
      ["MULTI", OK],
      ["SET a 1", QUEUED],
      ["INCR a", QUEUED],
      ["GET a", QUEUED],
      ["PING", QUEUED],
      ["APPEND a x", QUEUED],
      ["INCR a", QUEUED],
      ["MGET a a", QUEUED],
      ["EXISTS a a", QUEUED],
      ["EXPIRE a 100", QUEUED],
      ["TTL a", QUEUED],
      ["INCRBY a x", QUEUED],
      ["DEL a a", QUEUED],
      ["GET a", QUEUED],
      [
        "EXEC",
        [
          OK,
          2,
          bulk("2"),
          { simple: "PONG" },
          2,
          error("ERR value is not an integer or out of range"),
          [bulk("2x"), bulk("2x")],
          2,
          1,
          100,
          error("ERR value is not an integer or out of range"),
          1,
          null,
        ],
      ],
      ["GET a", null],
    ],
  ],
  [
    "it is one change: its version rises by one",
    [
      ["VSET a 1 0", 1],
      ["MULTI", OK],
      ["SET a 2", QUEUED],
      ["APPEND a 3", QUEUED],
      ["VGET a", QUEUED],
      ["EXEC", [OK, 2, [2, bulk("23")]]],
      ["VGET a", [2, bulk("23")]],
      ["MULTI", OK],
      ["GET a", QUEUED],
      ["EXEC", [bulk("23")]],
      ["VGET a", [2, bulk("23")]],
    ],
  ],
  [
    "errors while it is queued end it",
    [
      ["EXEC", error("ERR EXEC without MULTI")],
      ["DISCARD", error("ERR DISCARD without MULTI")],
      ["MULTI", OK],
      ["MULTI", error("ERR MULTI calls can not be nested")],
      ["WATCH a", error("ERR WATCH inside MULTI is not allowed")],
      ["SET a", error("ERR wrong number of arguments for 'set' command")],
      ["SET a 1", QUEUED],
      ["EXEC", ABORTED],
      ["EXISTS a", 0],
      ["MULTI", OK],
      ["NOPE", error("ERR unknown command 'NOPE', with args beginning with: ")],
      ["EXEC", ABORTED],
      ["MULTI", OK],
      ["SCAN 0", error("ERR Command not allowed inside a transaction")],
      ["EXEC", ABORTED],
      ["MULTI", OK],
      ["EXEC x", error("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command")],
      ["EXEC", error("ERR EXEC without MULTI")],
      ["MULTI", OK],
      ["SET a 1", QUEUED],
      ["DISCARD", OK],
      ["EXISTS a", 0],
      ["MULTI", OK],
      ["EXEC", []],
      ["MULTI", OK],
      ["PING x", QUEUED],
      ["EXEC", [bulk("x")]],
    ],
  ],
  [
    "a second key is refused when it is named",
    [
      ["MULTI", OK],
      ["SET a 1", QUEUED],
      ["SET b 1", CROSSKEY],
      ["EXEC", ABORTED],
      ["MULTI", OK],
      ["MGET a b", CROSSKEY],
      ["EXEC", ABORTED],
      ["WATCH a b", CROSSKEY],
      ["WATCH a", OK],
      ["WATCH a a", OK],
      ["WATCH b", CROSSKEY],
      ["MULTI", OK],
      ["SET b 1", CROSSKEY],
      ["EXEC", ABORTED],
      ["EXISTS a b", 0],
    ],
  ],
  [
    "WATCH lets EXEC through when nothing happened",
    [
      ["WATCH a", OK],
      ["MULTI", OK],
      ["SET a 1", QUEUED],
      ["EXEC", [OK]],
      ["WATCH a", OK],
      ["SET a 2", OK],
      ["MULTI", OK],
      ["SET a 3", QUEUED],
      ["EXEC", NOTHING],
      ["GET a", bulk("2")],
      ["WATCH a", OK],
      ["SET a 4", OK],
      ["UNWATCH", OK],
      ["MULTI", OK],
      ["SET a 5", QUEUED],
      ["EXEC", [OK]],
      ["WATCH a", OK],
      ["SET a 6", OK],
      ["MULTI", OK],
      ["EXEC", NOTHING],
      ["WATCH a", OK],
      ["SET a 7", OK],
      ["MULTI", OK],
      ["DISCARD", OK],
      ["MULTI", OK],
      ["GET a", QUEUED],
      ["EXEC", [bulk("7")]],
    ],
  ],
  [
    "RESET ends it",
    [
      ["WATCH a", OK],
      ["MULTI", OK],
      ["SET a 1", QUEUED],
      ["RESET", { simple: "RESET" }],
      ["EXEC", error("ERR EXEC without MULTI")],
      ["SET a 1", OK],
      ["MULTI", OK],
      ["GET a", QUEUED],
      ["EXEC", [bulk("1")]],
    ],
  ],
];

playSessions("transactions on one key", SESSIONS);

describe("a transaction", () => {
  it("goes to the node as a single operation", async () => {
    const { service, connect } = await startTestServer();
    const client = connect();
    client.send(["MULTI"], ["INCR", "a"], ["INCR", "a"], ["GET", "a"], ["EXEC"]);
    expect((await client.receiveMany(5)).at(-1)).toEqual([1, 2, bulk("2")]);
    expect([service.writes, service.reads]).toEqual([1, 0]);
  });

  it("does not take place when another connection changed the watched key", async () => {
    const { connect } = await startTestServer();
    const [client, other] = [connect(), connect()];
    await client.ask("WATCH", "a");
    await other.ask("SET", "a", "theirs");
    client.send(["MULTI"], ["SET", "a", "ours"], ["EXEC"]);
    expect((await client.receiveMany(3)).at(-1)).toEqual(NOTHING);
    expect(await client.ask("GET", "a")).toEqual(bulk("theirs"));
  });

  it("watches although replies are switched off", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["CLIENT", "REPLY", "OFF"], ["WATCH", "a"], ["CLIENT", "REPLY", "ON"]);
    expect(await client.receive()).toEqual(OK);
    client.send(["MULTI"], ["SET", "a", "1"], ["EXEC"]);
    expect((await client.receiveMany(3)).at(-1)).toEqual([OK]);
  });

  it("says -UNKNOWN when its outcome is not known, and what was refused when it was", async () => {
    const { service, connect } = await startTestServer();
    const client = connect();
    service.forceWrite = () => ({ status: "unknown", message: "nobody can say" });
    client.send(["MULTI"], ["INCR", "a"], ["EXEC"]);
    expect((await client.receiveMany(3)).at(-1)).toEqual(error("UNKNOWN nobody can say"));
    service.forceWrite = () => ({ status: "not-applied", code: "NOQUORUM", message: "no majority" });
    client.send(["MULTI"], ["INCR", "a"], ["EXEC"]);
    expect((await client.receiveMany(3)).at(-1)).toEqual(error("NOQUORUM no majority"));
  });

  it("a WATCH that could not read lets no EXEC through", async () => {
    const { service, connect } = await startTestServer();
    const client = connect();
    service.forceRead = () => ({ status: "refused", code: "NOQUORUM", message: "no majority" });
    expect(await client.ask("WATCH", "a")).toEqual(error("NOQUORUM no majority"));
    client.send(["MULTI"], ["SET", "a", "1"], ["EXEC"]);
    expect((await client.receiveMany(3)).at(-1)).toEqual(NOTHING);
  });

  it("takes a bounded number of commands and bytes", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["MULTI"], ...Array.from({ length: 1024 }, () => ["INCR", "a"]), ["INCR", "a"], ["EXEC"]);
    const replies = await client.receiveMany(1027);
    expect(replies.slice(-2)).toEqual([error("ERR too much is queued in this transaction"), ABORTED]);
    const large = "x".repeat(600_000);
    client.send(["MULTI"], ["SET", "a", large], ["SET", "a", large], ["EXEC"]);
    expect((await client.receiveMany(4)).slice(2)).toEqual([
      error("ERR too much is queued in this transaction"),
      ABORTED,
    ]);
  });

  it("is refused when those of all connections hold too much, until others end", async () => {
    const { connect } = await startTestServer({ maxPartialBytes: 1000 });
    const [first, second] = [connect(), connect()];
    first.send(["MULTI"], ["SET", "a", "x".repeat(700)]);
    expect((await first.receiveMany(2)).at(-1)).toEqual(QUEUED);
    second.send(["MULTI"], ["SET", "b", "x".repeat(700)], ["EXEC"]);
    expect((await second.receiveMany(3)).slice(1)).toEqual([
      error("ERR too much is queued in this transaction"),
      ABORTED,
    ]);
    expect(await first.ask("EXEC")).toEqual([OK]);
    second.send(["MULTI"], ["SET", "b", "x".repeat(700)], ["EXEC"]);
    expect((await second.receiveMany(3)).at(-1)).toEqual([OK]);
    first.send(["MULTI"], ["SET", "a", "x".repeat(700)]);
    await first.receiveMany(2);
    first.raw("QUIT\r\n");
    await first.untilEnded();
    first.close();
    await expect
      .poll(async () => {
        second.send(["MULTI"], ["SET", "b", "x".repeat(700)], ["EXEC"]);
        return (await second.receiveMany(3)).at(-1);
      })
      .toEqual([OK]);
  });

  it.each(["MGET", "EXISTS", "DEL", "MSET"])("takes no more keys of %s than an operation has steps", async (name) => {
    const { connect } = await startTestServer();
    const client = connect();
    const words = (count: number): string[] => Array.from({ length: name === "MSET" ? 2 * count : count }, () => "a");
    client.send(["MULTI"], [name, ...words(MAX_STEPS)], ["EXEC"], ["MULTI"], [name, ...words(MAX_STEPS - 1)]);
    client.send([name, ...words(2)], ["EXEC"]);
    const replies = await client.receiveMany(7);
    expect(replies[2]).toHaveLength(1);
    expect(replies.slice(4)).toEqual([QUEUED, error("ERR too much is queued in this transaction"), ABORTED]);
  });

  it("changes nothing when its answers would be too large", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("SET", "a", "x".repeat(500_000));
    client.send(["MULTI"], ["APPEND", "a", "y"], ...Array.from({ length: 5 }, () => ["GET", "a"]), ["EXEC"]);
    expect((await client.receiveMany(8)).at(-1)).toEqual(
      error("ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
    );
    expect(await client.ask("STRLEN", "a")).toBe(500_000);
  });

  it("speaks the protocol that HELLO chose on the way", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["MULTI"], ["GET", "a"], ["HELLO", "3"], ["GET", "a"], ["EXEC"], ["GET", "a"]);
    const replies = await client.receiveMany(6);
    const [before, greeting, after] = replies[4] as Reply[];
    expect([before, after, replies[5]]).toEqual([null, null, null]);
    expect(greeting).toHaveProperty("map");
  });
});
