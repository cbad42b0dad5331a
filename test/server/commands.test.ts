// Goal: every command answers as Redis 7 does: type of reply, value, text of errors. Method: a table of sessions, each a
// line of commands with the replies they must get, against a server over a service in memory.
import { describe, expect, it } from "vitest";
import { startTestServer } from "./harness.js";
import { arity, bulk, error, NOT_INTEGER, OK, SYNTAX, playSessions, type Session } from "./sessions.js";
import type { Reply } from "./wire.js";

const SESSIONS: readonly Session[] = [
  [
    "PING and ECHO",
    [
      ["PING", { simple: "PONG" }],
      ["ping hello", bulk("hello")],
      ["PING a b", arity("ping")],
      ["ECHO hello", bulk("hello")],
      ["ECHO", arity("echo")],
    ],
  ],
  [
    "unknown commands and subcommands",
    [
      ["FOO", error("ERR unknown command 'FOO', with args beginning with: ")],
      ["foo a b", error("ERR unknown command 'foo', with args beginning with: 'a' 'b' ")],
      ["CLIENT nope", error("ERR unknown subcommand 'nope'. Try CLIENT HELP.")],
      ["CLIENT", arity("client")],
      ["CLIENT SETNAME", arity("client|setname")],
      ["GET", arity("get")],
      ["GET a b", arity("get")],
      ["SET a", arity("set")],
    ],
  ],
  [
    "GET, SET and their options",
    [
      ["GET a", null],
      ["SET a 1", OK],
      ["GET a", bulk("1")],
      ["SET a 2 NX", null],
      ["SET b 2 nx", OK],
      ["SET c 2 XX", null],
      ["SET a 3 XX", OK],
      ["SET a 4 GET", bulk("3")],
      ["SET new 4 GET", null],
      ["SET a 5 NX GET", bulk("4")],
      ["GET a", bulk("4")],
      ["SET none 5 XX GET", null],
      ["SET a 5 NX XX", SYNTAX],
      ["SET a 5 EX", SYNTAX],
      ["SET a 5 EX 1 PX 1", SYNTAX],
      ["SET a 5 KEEPTTL EX 1", SYNTAX],
      ["SET a 5 EX 1 KEEPTTL", SYNTAX],
      ["SET a 5 BLA", SYNTAX],
      ["SET a 5 EX abc", NOT_INTEGER],
      ["SET a 5 EX 0", error("ERR invalid expire time in 'set' command")],
      ["SET a 5 PX -1", error("ERR invalid expire time in 'set' command")],
      ["SET a 5 EX 9223372036854775807", error("ERR invalid expire time in 'set' command")],
      ["SET a 5 EX 9223372036854775808", NOT_INTEGER],
      ['SET "" ""', OK],
      ['GET ""', bulk("")],
    ],
  ],
  [
    "deadlines",
    [
      ["TTL t", -2],
      ["PTTL t", -2],
      ["SET t v", OK],
      ["TTL t", -1],
      ["EXPIRETIME t", -1],
      ["EXPIRE t 100", 1],
      ["TTL t", 100],
      ["PERSIST t", 1],
      ["PERSIST t", 0],
      ["PERSIST none", 0],
      ["EXPIRE none 100", 0],
      ["PEXPIRE t 100000", 1],
      ["TTL t", 100],
      ["EXPIREAT t 33177117420", 1],
      ["EXPIRETIME t", 33_177_117_420],
      ["PEXPIRETIME t", 33_177_117_420_000],
      ["PEXPIREAT t 33177117420001", 1],
      ["PEXPIRETIME t", 33_177_117_420_001],
      ["SET t w KEEPTTL", OK],
      ["PEXPIRETIME t", 33_177_117_420_001],
      ["SET t w", OK],
      ["TTL t", -1],
      ["SET t w EX 50", OK],
      ["TTL t", 50],
      ["SET t w PXAT 33177117420001", OK],
      ["PEXPIRETIME t", 33_177_117_420_001],
      ["SETEX t 10 v", OK],
      ["TTL t", 10],
      ["PSETEX t 20000 v", OK],
      ["TTL t", 20],
      ["SETEX t 0 v", error("ERR invalid expire time in 'setex' command")],
      ["PSETEX t x v", NOT_INTEGER],
      ["EXPIRE t 9223372036854775807", error("ERR invalid expire time in 'expire' command")],
      ["EXPIRE t abc", NOT_INTEGER],
      ["EXPIRE t 10 BLA", error("ERR Unsupported option BLA")],
      ["EXPIRE t -1", 1],
      ["EXISTS t", 0],
      ["SET t v PXAT 1", OK],
      ["GET t", null],
    ],
  ],
  [
    "integers",
    [
      ["INCR n", 1],
      ["INCR n", 2],
      ["DECR n", 1],
      ["INCRBY n 10", 11],
      ["DECRBY n 20", -9],
      ["INCRBY n abc", NOT_INTEGER],
      ["INCRBY n 1.5", NOT_INTEGER],
      ["INCRBY n +1", NOT_INTEGER],
      ["INCRBY n 01", NOT_INTEGER],
      ["SET n 9223372036854775806", OK],
      ["INCR n", 9_223_372_036_854_775_807],
      ["INCR n", error("ERR increment or decrement would overflow")],
      ["GET n", bulk("9223372036854775807")],
      ["DECRBY n -9223372036854775808", error("ERR decrement would overflow")],
      ["SET n abc", OK],
      ["INCR n", NOT_INTEGER],
      ["DECRBY z 0", 0],
    ],
  ],
  [
    "strings",
    [
      ["APPEND s abc", 3],
      ["APPEND s de", 5],
      ["GET s", bulk("abcde")],
      ["STRLEN s", 5],
      ["STRLEN none", 0],
      ["TYPE s", { simple: "string" }],
      ["TYPE none", { simple: "none" }],
      ["SETNX s x", 0],
      ["SETNX fresh x", 1],
      ["GETSET s new", bulk("abcde")],
      ["GETSET never new", null],
    ],
  ],
  [
    "several keys",
    [
      ["MSET a 1 b 2 c 3", OK],
      ["MSET a 1 b", arity("mset")],
      ["MSET a", arity("mset")],
      ["MGET a b none c", [bulk("1"), bulk("2"), null, bulk("3")]],
      ["EXISTS a a b none", 3],
      ["DBSIZE", 3],
      ["DEL a none", 1],
      ["UNLINK b c", 2],
      ["DEL a", 0],
      ["DBSIZE", 0],
      ["MSET d 1 d 2", OK],
      ["GET d", bulk("2")],
    ],
  ],
  [
    "versions",
    [
      ["VGET v", { nullArray: true }],
      ["VSET v one 1", null],
      ["VSET v one 0", 1],
      ["VSET v two 0", null],
      ["VSET v two 1", 2],
      ["VGET v", [2, bulk("two")]],
      ["VSET v x abc", NOT_INTEGER],
      ["VSET v x -1", NOT_INTEGER],
    ],
  ],
  [
    "the connection",
    [
      ["CLIENT GETNAME", null],
      ["CLIENT SETNAME me", OK],
      ["CLIENT GETNAME", bulk("me")],
      ["CLIENT SETINFO lib-name x", OK],
      ["CLIENT SETINFO LIB-VER 1.0", OK],
      ["CLIENT SETINFO bla 1.0", error("ERR Unrecognized option 'bla'")],
      ["CLIENT NO-EVICT on", OK],
      ["CLIENT NO-EVICT bla", SYNTAX],
      ["SELECT 0", OK],
      ["SELECT 1", error("ERR DB index is out of range")],
      ["SELECT a", NOT_INTEGER],
      [
        "AUTH secret",
        error(
          "ERR AUTH <password> called without any password configured for the default user. " +
            "Are you sure your configuration is correct?",
        ),
      ],
      ["HELLO 4", error("NOPROTO unsupported protocol version")],
      ["HELLO x", error("ERR Protocol version is not an integer or out of range")],
      ["HELLO 2 BLA", error("ERR Syntax error in HELLO option 'BLA'")],
      ["READONLY", OK],
      ["RESET", { simple: "RESET" }],
      ["CLIENT GETNAME", null],
    ],
  ],
  [
    "the server",
    [
      ["CONFIG GET save", [bulk("save"), bulk("")]],
      ["CONFIG GET appendonly", [bulk("appendonly"), bulk("yes")]],
      ["CONFIG GET maxmemory", [bulk("maxmemory"), bulk("0")]],
      ["CONFIG GET max*y", [bulk("maxmemory"), bulk("0"), bulk("maxmemory-policy"), bulk("noeviction")]],
      ["CONFIG GET nothing", []],
      [
        "CONFIG SET maxmemory 1",
        error("ERR CONFIG SET failed (possibly related to argument 'maxmemory') - can't set immutable config"),
      ],
      ["CONFIG SET bla 1", error("ERR Unknown option or number of arguments for CONFIG SET - 'bla'")],
      ["COMMAND GETKEYS MSET a 1 b 2", [bulk("a"), bulk("b")]],
      ["COMMAND GETKEYS PING", error("ERR The command has no key arguments")],
      ["COMMAND GETKEYS nope", error("ERR Invalid command specified")],
      ["COMMAND INFO nope", [null]],
      ["COMMAND DOCS nope", []],
    ],
  ],
];

playSessions("commands answer as Redis does", SESSIONS);

describe("RESP3", () => {
  it("is switched on by HELLO 3 and off by HELLO 2 and RESET", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    const fields = (proto: number): readonly (readonly [Reply, Reply])[] => [
      [bulk("server"), bulk("redis")],
      [bulk("version"), bulk("7.2.0")],
      [bulk("proto"), proto],
      [bulk("id"), 1],
      [bulk("mode"), bulk("cluster")],
      [bulk("role"), bulk("master")],
      [bulk("modules"), []],
    ];
    expect(await client.ask("HELLO", "3", "SETNAME", "me")).toEqual({ map: fields(3) });
    expect(await client.ask("CLIENT", "GETNAME")).toEqual(bulk("me"));
    expect(await client.ask("HELLO")).toEqual({ map: fields(3) });
    expect(await client.ask("HELLO", "2")).toEqual(fields(2).flat());
    await client.ask("HELLO", "3");
    await client.ask("RESET");
    expect(await client.ask("CLIENT", "GETNAME")).toBeNull();
  });

  it("has maps, sets, its own null and verbatim text", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("HELLO", "3");
    client.raw("*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    expect(await client.receive()).toBeNull();
    expect(await client.ask("VGET", "a")).toBeNull();
    expect(await client.ask("CONFIG", "GET", "save")).toEqual({ map: [[bulk("save"), bulk("")]] });
    expect(await client.ask("INFO", "cluster")).toEqual({
      verbatim: "# Cluster\r\ncluster_enabled:1\r\ncluster_map_version:1\r\ncluster_drained:\r\n",
    });
    expect(await client.ask("COMMAND", "LIST")).toHaveProperty("set");
  });

  it("is spoken from HELLO on, also behind replies that wait", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    service.held = true;
    client.send(["VGET", "a"], ["HELLO", "3"], ["VGET", "a"], ["HELLO", "2"], ["VGET", "b"]);
    service.release();
    const replies = await client.receiveMany(5);
    expect([replies[0], replies[2], replies[4]]).toEqual([{ nullArray: true }, null, { nullArray: true }]);
  });
});

describe("texts for people and tools", () => {
  it("PLOG shows every replica's state of the key", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("HELLO", "3");
    await client.ask("SET", "a", "1");
    const reply = await client.ask("PLOG", "a");
    expect(reply).toHaveLength(3);
    expect(JSON.stringify(reply)).toContain('"3.1.7"');
  });

  it("INFO has the fields that clients and exporters read, and what the node tells", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("SET", "a", "1");
    const reply = await client.ask("INFO");
    const text = JSON.stringify(reply);
    for (const field of [
      "redis_version:7.2.0",
      "redis_mode:cluster",
      "loading:0",
      "role:master",
      "connected_clients:1",
      "db0:keys=1,expires=0,avg_ttl=0",
      "# Plogdb",
      "cluster_id:test",
      "state:serving",
    ]) {
      expect(text).toContain(field);
    }
    expect(JSON.stringify(await client.ask("INFO", "commandstats"))).toContain("cmdstat_set:calls=1");
  });

  it("COMMAND tells arity, flags and keys of every command", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    const count = await client.ask("COMMAND", "COUNT");
    const all = await client.ask("COMMAND");
    expect(all).toHaveLength(Number(count));
    const [get] = (await client.ask("COMMAND", "INFO", "get")) as readonly (readonly Reply[])[];
    expect(get?.slice(0, 6)).toEqual([bulk("get"), 2, [{ simple: "readonly" }, { simple: "fast" }], 1, 1, 1]);
    expect(JSON.stringify(await client.ask("COMMAND", "DOCS", "client"))).toContain("client|setname");
  });

  it("TIME is seconds and microseconds", async () => {
    const { connect } = await startTestServer();
    const reply = (await connect().ask("TIME")) as readonly { bulk: string }[];
    expect(Math.abs(Number(reply[0]?.bulk) - Date.now() / 1000)).toBeLessThan(10);
    expect(Number(reply[1]?.bulk)).toBeLessThan(1_000_000);
  });

  it("CLIENT INFO tells of the connection", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("CLIENT", "SETNAME", "me");
    expect(JSON.stringify(await client.ask("CLIENT", "INFO"))).toMatch(/id=1 addr=127\.0\.0\.1:\d+ .*name=me .*resp=2/);
    expect(await client.ask("CLIENT", "ID")).toBe(1);
  });
});
