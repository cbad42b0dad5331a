// Goal: conditions, deadlines, ranges, floating point sums, scans, and what operators look at answer as Redis does (8.4
// where 7 does not have them). Method: sessions as in commands.test.ts, one by one and all in one pipeline.
import { describe, expect, it } from "vitest";
import { startTestServer } from "./harness.js";
import { arity, bulk, error, NOT_INTEGER, OK, SYNTAX, playSessions, type Session } from "./sessions.js";
import type { Reply } from "./wire.js";

const NOT_FLOAT = error("ERR value is not a valid float");
const BAD_DIGEST = error("ERR digest must be exactly 16 hexadecimal characters");

/** XXH3 of "abc", as the reference program says. */
const ABC = "78af5f94892f3950";

const SESSIONS: readonly Session[] = [
  [
    "SET on a condition on the value",
    [
      ["SET a 1 IFEQ 0", null],
      ["EXISTS a", 0],
      ["SET a 1 IFNE 0", OK],
      ["SET a 2 IFEQ 1", OK],
      ["SET a 3 IFEQ 1", null],
      ["SET a 3 IFNE 2", null],
      ["SET a 3 IFNE 1 GET", bulk("2")],
      ["SET a 4 IFEQ nope GET", bulk("3")],
      ["GET a", bulk("3")],
      ["SET a 4 IFEQ 3 EX 100", OK],
      ["TTL a", 100],
      ["SET a abc IFEQ 4 KEEPTTL", OK],
      ["TTL a", 100],
      [`SET a x IFDEQ ${ABC}`, OK],
      [`SET a x IFDEQ ${ABC}`, null],
      [`SET a abc IFDNE ${ABC}`, OK],
      [`SET a y IFDNE ${ABC.toUpperCase()}`, null],
      [`SET none y IFDEQ ${ABC}`, null],
      [`SET none y IFDNE ${ABC}`, OK],
      ["SET a y IFDEQ abc", BAD_DIGEST],
      ["SET a y IFDEQ 78af5f94892f395g", BAD_DIGEST],
      ["SET a y IFEQ", SYNTAX],
      ["SET a y NX IFEQ 1", SYNTAX],
      ["SET a y IFEQ 1 XX", SYNTAX],
      ["SET a y IFEQ 1 IFNE 2", SYNTAX],
    ],
  ],
  [
    "deleting on a condition, and digests",
    [
      ["DIGEST a", null],
      ["SET a abc", OK],
      ["DIGEST a", bulk(ABC)],
      ["DELIFEQ a abd", 0],
      ["DELIFEQ a abc", 1],
      ["DELIFEQ a abc", 0],
      ["DELIFEQ a", arity("delifeq")],
      ["DELEX a IFNE x", 0],
      ["SET a abc", OK],
      ["DELEX a IFEQ x", 0],
      ["DELEX a IFNE abc", 0],
      [`DELEX a IFDNE ${ABC}`, 0],
      [`DELEX a IFDEQ ${ABC}`, 1],
      ["SET a abc", OK],
      ["DELEX a IFNE x", 1],
      ["SET a abc", OK],
      ["DELEX a", 1],
      ["DELEX a", 0],
      ["DELEX a IFEQ", SYNTAX],
      ["DELEX a BLA x", SYNTAX],
      ["DELEX a IFDEQ x", BAD_DIGEST],
      ["SET a abc", OK],
      ["GETDEL a", bulk("abc")],
      ["GETDEL a", null],
    ],
  ],
  [
    "deadlines on a condition",
    [
      ["SET t v", OK],
      ["EXPIRE t 100 XX", 0],
      ["EXPIRE t 100 GT", 0],
      ["EXPIRE t 100 LT", 1],
      ["EXPIRE t 200 NX", 0],
      ["EXPIRE t 200 LT", 0],
      ["EXPIRE t 200 gt", 1],
      ["EXPIRE t 100 XX LT", 1],
      ["TTL t", 100],
      ["PERSIST t", 1],
      ["EXPIRE t 100 XX LT", 0],
      ["PEXPIREAT t 33177117420001 NX", 1],
      ["PEXPIREAT t 33177117420001 GT", 0],
      ["PEXPIREAT t 33177117420001 LT", 0],
      ["PEXPIREAT t 33177117420000 XX LT", 1],
      ["PEXPIRETIME t", 33_177_117_420_000],
      ["EXPIRE t 1 NX XX", error("ERR NX and XX, GT or LT options at the same time are not compatible")],
      ["EXPIRE t abc GT LT", error("ERR GT and LT options at the same time are not compatible")],
      ["EXPIRE t abc BLA", error("ERR Unsupported option BLA")],
      ["EXPIRE t -1 GT", 0],
      ["EXPIRE t -1 LT", 1],
      ["EXISTS t", 0],
      ["EXPIRE t 1 LT", 0],
    ],
  ],
  [
    "GETEX",
    [
      ["GETEX g", null],
      ["GETEX g EX 0", null],
      ["SET g v", OK],
      ["GETEX g", bulk("v")],
      ["TTL g", -1],
      ["GETEX g PERSIST", bulk("v")],
      ["GETEX g EX 100", bulk("v")],
      ["TTL g", 100],
      ["GETEX g PERSIST", bulk("v")],
      ["TTL g", -1],
      ["GETEX g PXAT 33177117420001", bulk("v")],
      ["PEXPIRETIME g", 33_177_117_420_001],
      ["GETEX g EX 0", error("ERR invalid expire time in 'getex' command")],
      ["GETEX g EX abc", NOT_INTEGER],
      ["GETEX g KEEPTTL", SYNTAX],
      ["GETEX g EX", SYNTAX],
      ["GETEX g EX 1 PX 1", SYNTAX],
      ["GETEX g PERSIST EX 1", SYNTAX],
      ["GETEX g PXAT 1", bulk("v")],
      ["EXISTS g", 0],
    ],
  ],
  [
    "parts of values",
    [
      ["SETRANGE s 0 Hello", 5],
      ["SETRANGE s 6 world", 11],
      ["GET s", bulk("Hello\0world")],
      ["SETRANGE s 1 ipp", 11],
      ["GETRANGE s 0 4", bulk("Hippo")],
      ["GETRANGE s -5 -1", bulk("world")],
      ["GETRANGE s -1 -5", bulk("")],
      ["GETRANGE s 0 -100", bulk("H")],
      ["GETRANGE s 5 2", bulk("")],
      ["GETRANGE s 9 9223372036854775807", bulk("ld")],
      ["GETRANGE none 0 -1", bulk("")],
      ["GETRANGE s a 1", NOT_INTEGER],
      ['SETRANGE s 100 ""', 11],
      ['SETRANGE none 100 ""', 0],
      ["EXISTS none", 0],
      ["SETRANGE s -1 x", error("ERR offset is out of range")],
      ["SETRANGE s abc x", NOT_INTEGER],
      ["SETRANGE s 600000000 x", error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")],
    ],
  ],
  [
    "floating point sums",
    [
      ["INCRBYFLOAT f 10.5", bulk("10.5")],
      ["INCRBYFLOAT f 0.1", bulk("10.6")],
      ["INCRBYFLOAT f -5", bulk("5.6")],
      ["INCRBYFLOAT f 2.0e2", bulk("205.60000000000000001")],
      ["GET f", bulk("205.60000000000000001")],
      ["INCRBYFLOAT f abc", NOT_FLOAT],
      ["INCRBYFLOAT f nan", NOT_FLOAT],
      ["INCRBYFLOAT f inf", error("ERR increment would produce NaN or Infinity")],
      ["SET f x", OK],
      ["INCRBYFLOAT f 1", NOT_FLOAT],
      ["SET f 3", OK],
      ["INCRBYFLOAT f 1", bulk("4")],
      ["INCR f", 5],
      ["SET f 5.0e3", OK],
      ["INCRBYFLOAT f 200", bulk("5200")],
      ["SET f 0.30000000000000004", OK],
      ["INCRBYFLOAT f 0", bulk("0.30000000000000004")],
      ["SET f 1", OK],
      ["INCRBYFLOAT f 1e-17", bulk("1.00000000000000001")],
      ["SET f 18446744073709551615", OK],
      ["INCRBYFLOAT f 1", bulk("18446744073709551616")],
      ["INCRBYFLOAT f 1", bulk("18446744073709551616")],
    ],
  ],
  [
    "going over keys",
    [
      ["SCAN 0", [bulk("0"), []]],
      ["MSET k1 a k2 b other c", OK],
      ["SCAN 0 MATCH k* COUNT 100", [bulk("0"), [bulk("k1"), bulk("k2")]]],
      ["SCAN 0 TYPE string MATCH other", [bulk("0"), [bulk("other")]]],
      ["SCAN 0 TYPE hash", [bulk("0"), []]],
      ["DEL k1", 1],
      ["SET k2 b PXAT 1", OK],
      ["SCAN 0", [bulk("0"), [bulk("other")]]],
      ["KEYS *", [bulk("other")]],
      ["KEYS [^o]*", []],
      ["DBSIZE", 1],
      ["SCAN x", error("ERR invalid cursor")],
      ["SCAN 18446744073709551616", error("ERR invalid cursor")],
      ["SCAN 0 COUNT 0", SYNTAX],
      ["SCAN 0 COUNT x", NOT_INTEGER],
      ["SCAN 0 COUNT", SYNTAX],
      ["SCAN 0 BLA 1", SYNTAX],
      ["MSETNX m 1 m 2", 1],
      ["GET m", bulk("2")],
      ["MSETNX m 1 n 2", error("CROSSKEY all keys of MSETNX must be one key")],
      ["MSETNX m 1 n", arity("msetnx")],
    ],
  ],
  [
    "what operators look at",
    [
      ["CONFIG SET slowlog-log-slower-than -1", OK],
      ["CONFIG GET slowlog-log-slower-than", [bulk("slowlog-log-slower-than"), bulk("-1")]],
      ["SLOWLOG RESET", OK],
      ["SLOWLOG LEN", 0],
      ["SLOWLOG GET", []],
      ["SLOWLOG GET -2", error("ERR count should be greater than or equal to -1")],
      ["CONFIG SET slowlog-max-len 1 slowlog-max-len 2", duplicate("slowlog-max-len")],
      ["CONFIG SET slowlog-max-len x", failed("slowlog-max-len", "argument couldn't be parsed into an integer")],
      ["CONFIG SET slowlog-max-len -1", failed("slowlog-max-len", "argument must be between 0 and 4096 inclusive")],
      ["CONFIG SET timeout", arity("config|set")],
      ["CONFIG RESETSTAT", OK],
      ["LATENCY LATEST", []],
      ["LATENCY HISTORY command", []],
      ["LATENCY RESET", 0],
      ["DEBUG SLEEP 0", error("ERR DEBUG command not allowed.")],
      ["SHUTDOWN ABORT", error("ERR No shutdown in progress.")],
      ["SHUTDOWN BLA", SYNTAX],
      ["CLIENT KILL 127.0.0.1:1", error("ERR No such client")],
      ["CLIENT KILL ID 12345", 0],
      ["CLIENT KILL ID 0", error("ERR client-id should be greater than 0")],
      ["CLIENT KILL SKIPME maybe", SYNTAX],
      ["CLIENT LIST TYPE pubsub", bulk("")],
      ["CLIENT LIST TYPE bla", error("ERR Unknown client type 'bla'")],
      ["CLIENT LIST ID 12345", bulk("")],
      ["COMMAND LIST FILTERBY PATTERN DELE*", [bulk("delex")]],
      ["COMMAND LIST FILTERBY BLA x", SYNTAX],
      ["AUTH default anything", OK],
      ["AUTH other anything", error("WRONGPASS invalid username-password pair or user is disabled.")],
    ],
  ],
];

function failed(name: string, why: string): Reply {
  return error(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`);
}

function duplicate(name: string): Reply {
  return failed(name, "duplicate parameter");
}

playSessions("commands answer as Redis does", SESSIONS);

describe("KEYS", () => {
  it("is refused where it would go over too many deleted keys", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    for (let round = 0; round < 21; round++) {
      const keys = Array.from({ length: 1000 }, (_, index) => `k${String(round)}.${String(index)}`);
      client.send(["MSET", ...keys.flatMap((key) => [key, ""])], ["DEL", ...keys]);
    }
    await client.receiveMany(42);
    expect(await client.ask("DBSIZE")).toBe(0);
    expect(await client.ask("KEYS", "*")).toEqual({ error: "ERR KEYS would go over too many deleted keys; use SCAN" });
  });
});

describe("SCAN", () => {
  it("shows every key once, a few at a time, to the end", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    for (let i = 0; i < 100; i++) await client.ask("SET", `k${String(i)}`, "v");
    const seen: string[] = [];
    let cursor = "0";
    let calls = 0;
    do {
      const reply = await client.ask("SCAN", cursor, "COUNT", "7");
      if (!Array.isArray(reply)) throw new Error("SCAN answers with an array");
      const [next, keys] = reply as [{ bulk: string }, { bulk: string }[]];
      expect(keys.length).toBeLessThanOrEqual(7);
      seen.push(...keys.map((key) => key.bulk));
      cursor = next.bulk;
      calls++;
    } while (cursor !== "0");
    expect(calls).toBe(15);
    expect(seen.toSorted()).toEqual(Array.from({ length: 100 }, (_, i) => `k${String(i)}`).toSorted());
  });
});
