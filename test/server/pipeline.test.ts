// Goal: replies come in the order of the commands, what is pipelined on one key takes effect in that order, and every
// bound does what it says. Method: a service that answers in random order and reads at random moments, or keeps
// everything back until the test lets go.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { startTestServer } from "./harness.js";
import type { Reply } from "./wire.js";

const OK: Reply = { simple: "OK" };
const bulk = (text: string): Reply => ({ bulk: text });
const BUSY = { error: "BUSY too many requests are under way, try again later" };

/** What a single-threaded Redis would answer. */
class Model {
  readonly #values = new Map<string, string>();

  run([name = "", ...args]: readonly string[]): Reply {
    const [key = "", value = ""] = args;
    switch (name) {
      case "SET":
        this.#values.set(key, value);
        return OK;
      case "GET":
        return this.#get(key);
      case "APPEND":
        this.#values.set(key, (this.#values.get(key) ?? "") + value);
        return this.#values.get(key)?.length ?? 0;
      case "DEL":
        return args.filter((one) => this.#values.delete(one)).length;
      case "MGET":
        return args.map((one) => this.#get(one));
      case "MSET":
        for (let i = 0; i < args.length; i += 2) this.#values.set(args[i] ?? "", args[i + 1] ?? "");
        return OK;
      case "DBSIZE":
        return this.#values.size;
      default:
        return { simple: "PONG" };
    }
  }

  #get(key: string): Reply {
    const value = this.#values.get(key);
    return value === undefined ? null : bulk(value);
  }
}

const key = fc.constantFrom("a", "b", "c");
const value = fc.stringMatching(/^[a-z]{1,4}$/);
const command: fc.Arbitrary<string[]> = fc.oneof(
  fc.tuple(fc.constant("SET"), key, value),
  fc.tuple(fc.constant("GET"), key),
  fc.tuple(fc.constant("APPEND"), key, value),
  fc.tuple(fc.constant("DEL"), key, key).filter(([, one, two]) => one !== two),
  fc.tuple(fc.constant("MGET"), key, key),
  fc.tuple(fc.constant("MSET"), key, value, key, value),
  fc.tuple(fc.constant("DBSIZE")),
  fc.tuple(fc.constant("PING")),
);

describe("a pipeline", () => {
  it("answers as one command after the other would, whatever order the node answers in", async () => {
    const run = fc.asyncProperty(fc.array(command, { maxLength: 60 }), fc.integer(), async (commands, seed) => {
      const { connect, server } = await startTestServer({}, seed);
      const client = connect();
      const model = new Model();
      client.send(...commands);
      expect(await client.receiveMany(commands.length)).toEqual(commands.map((args) => model.run(args)));
      client.close();
      await server.close();
    });
    await fc.assert(run, { numRuns: 60 });
  });

  it("lets different keys be under way together", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    service.held = true;
    client.send(...Array.from({ length: 100 }, (_, index) => ["SET", `k${String(index)}`, "v"]), ["PING"]);
    await expect.poll(() => service.pending).toBe(100);
    service.release();
    const replies = await client.receiveMany(101);
    expect(replies).toEqual([...Array.from({ length: 100 }, () => OK), { simple: "PONG" }]);
  });

  it("asks the node once for reads of one key that came together", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    client.send(["SET", "a", "1"], ["PING"]);
    await client.receiveMany(2);
    client.send(...Array.from({ length: 16 }, () => ["GET", "a"]));
    expect(await client.receiveMany(16)).toEqual(Array.from({ length: 16 }, () => bulk("1")));
    expect(service.reads).toBeLessThanOrEqual(2);
  });

  it("of thousands of commands on one connection is answered whole", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    const count = 5000;
    client.send(...Array.from({ length: count }, (_, index) => ["SET", `k${String(index)}`, "v"]));
    const replies = await client.receiveMany(count);
    expect(replies.every((reply) => JSON.stringify(reply) === JSON.stringify(OK))).toBe(true);
    expect(service.maxPending).toBeLessThanOrEqual(1024);
  });

  it("with replies beyond the output bounds is slowed down, not cut off", async () => {
    const { connect } = await startTestServer({ softOutputBytes: 10_000 });
    const client = connect();
    await client.ask("SET", "big", "x".repeat(50_000));
    client.send(
      ...Array.from({ length: 200 }, () => ["GET", "big"]),
      ...Array.from({ length: 200 }, () => ["COMMAND"]),
    );
    const replies = await client.receiveMany(400);
    expect(replies.slice(0, 200).every((reply) => JSON.stringify(reply).length > 50_000)).toBe(true);
    expect(replies.slice(200).every((reply) => Array.isArray(reply))).toBe(true);
  });

  it("whose client ends its side is answered to the end", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["SET", "a", "1"], ["GET", "a"]);
    client.socket.end();
    expect(await client.receiveMany(3)).toEqual([OK, bulk("1"), undefined]);
  });

  it("ends behind QUIT", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["SET", "a", "1"], ["QUIT"], ["PING"]);
    expect(await client.receiveMany(3)).toEqual([OK, OK, undefined]);
  });

  it("keeps quiet where CLIENT REPLY says so", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["CLIENT", "REPLY", "SKIP"], ["SET", "a", "1"], ["GET", "a"]);
    expect(await client.receive()).toEqual(bulk("1"));
    client.send(["CLIENT", "REPLY", "OFF"], ["PING"], ["GET", "a"], ["CLIENT", "REPLY", "ON"], ["PING"]);
    expect(await client.receiveMany(2)).toEqual([OK, { simple: "PONG" }]);
  });
});

describe("outcomes", () => {
  const message = "told by the test";

  it.each(["NOQUORUM", "BUSY", "DISKFULL", "CORRUPT", "LOADING"] as const)(
    "%s is the prefix of its error",
    async (code) => {
      const { connect, service } = await startTestServer();
      const client = connect();
      service.forceWrite = () => ({ status: "not-applied", code, message });
      service.forceRead = () => ({ status: "refused", code, message });
      const error = { error: `${code} ${message}` };
      for (const args of [
        ["SET", "a", "1"],
        ["INCR", "a"],
        ["DEL", "a"],
        ["DEL", "a", "b"],
        ["MSET", "a", "1"],
      ]) {
        expect(await client.ask(...args)).toEqual(error);
      }
      for (const args of [
        ["GET", "a"],
        ["MGET", "a", "b"],
        ["EXISTS", "a"],
        ["TTL", "a"],
        ["VGET", "a"],
      ]) {
        expect(await client.ask(...args)).toEqual(error);
      }
    },
  );

  it("FAILED has no prefix of its own", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    service.forceWrite = () => ({ status: "not-applied", code: "FAILED", message });
    service.forceRead = () => ({ status: "refused", code: "FAILED", message });
    for (const words of [
      ["SET", "a", "1"],
      ["GET", "a"],
      ["MGET", "a", "b"],
      ["WATCH", "a"],
    ]) {
      expect(await client.ask(...words)).toEqual({ error: `ERR ${message}` });
    }
  });

  it("a write nobody can tell of is UNKNOWN, never OK and never a plain error", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    service.forceWrite = () => ({ status: "unknown", message });
    for (const args of [
      ["SET", "a", "1"],
      ["SET", "a", "1", "NX"],
      ["INCR", "a"],
      ["EXPIRE", "a", "1"],
      ["VSET", "a", "1", "0"],
    ]) {
      expect(await client.ask(...args)).toEqual({ error: `UNKNOWN ${message}` });
    }
  });

  it("MSET and DEL that were applied in part are UNKNOWN", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    await client.ask("MSET", "a", "1", "b", "1", "c", "1");
    service.forceWrite = (key) => (key === "ub" ? { status: "not-applied", code: "NOQUORUM", message } : undefined);
    for (const args of [
      ["MSET", "a", "2", "b", "2"],
      ["DEL", "c", "b"],
    ]) {
      expect(JSON.stringify(await client.ask(...args))).toMatch(/^\{"error":"UNKNOWN 1 of 2 keys/);
    }
    expect(await client.ask("MSET", "b", "2")).toEqual({ error: `NOQUORUM ${message}` });
  });
});

describe("bounds", () => {
  it("requests beyond the total are answered BUSY, the others served", async () => {
    const { connect, service } = await startTestServer({ maxInFlight: 10 });
    const client = connect();
    service.held = true;
    client.send(...Array.from({ length: 15 }, (_, index) => ["SET", `k${String(index)}`, "v"]));
    await expect.poll(() => service.pending).toBe(10);
    service.release();
    const replies = await client.receiveMany(15);
    expect(replies).toEqual([...Array.from({ length: 10 }, () => OK), ...Array.from({ length: 5 }, () => BUSY)]);
    expect(await client.ask("SET", "a", "1")).toEqual(OK);
  });

  it("who has many commands under way is held back at the total, who has few is answered BUSY", async () => {
    const { connect, service } = await startTestServer({ maxInFlight: 100 });
    const [deep, other] = [connect(), connect()];
    service.held = true;
    deep.send(...Array.from({ length: 300 }, (_, index) => ["SET", `k${String(index)}`, "v"]));
    await expect.poll(() => service.pending).toBe(100);
    expect(await other.ask("SET", "a", "1")).toEqual(BUSY);
    service.release();
    expect(await deep.receiveMany(300)).toEqual(Array.from({ length: 300 }, () => OK));
    expect(await other.ask("SET", "a", "1")).toEqual(OK);
  });

  it("an operator is answered also when clients are refused", async () => {
    const { connect, service } = await startTestServer({ maxInFlight: 1 });
    const [client, other, operator] = [connect(), connect(), connect()];
    service.held = true;
    client.send(["SET", "a", "1"]);
    await expect.poll(() => service.pending).toBe(1);
    expect(await other.ask("SET", "b", "1")).toEqual(BUSY);
    expect(await operator.ask("REPLICA", "VERIFY")).not.toHaveProperty("error");
    expect(JSON.stringify(await operator.ask("REPLICA", "STATUS"))).toContain("serving");
    service.release();
    expect(await client.receiveMany(1)).toEqual([OK]);
  });

  it("values beyond the total on their way are answered BUSY", async () => {
    const { connect, service } = await startTestServer({ maxInFlightBytes: 1000 });
    const client = connect();
    service.held = true;
    client.send(["SET", "a", "x".repeat(600)], ["SET", "b", "x".repeat(600)]);
    await expect.poll(() => service.pending).toBe(1);
    service.release();
    expect(await client.receiveMany(2)).toEqual([OK, BUSY]);
  });

  it.each([
    ["SET", "b", "v", "IFEQ"],
    ["SET", "b", "v", "IFNE"],
    ["DELEX", "b", "IFEQ"],
    ["DELIFEQ", "b"],
  ])("values to compare with count too: %s %s %s %s", async (...words) => {
    const { connect, service } = await startTestServer({ maxInFlightBytes: 1000 });
    const client = connect();
    service.held = true;
    client.send(["SET", "a", "x".repeat(600)], [...words, "x".repeat(600)]);
    await expect.poll(() => service.pending).toBeGreaterThan(0);
    service.release();
    expect(await client.receiveMany(2)).toEqual([OK, BUSY]);
  });

  it("commands on many keys are done in shares", async () => {
    const { connect, service } = await startTestServer({ maxInFlight: 50 });
    const client = connect();
    const pairs = Array.from({ length: 2000 }, (_, index) => [`k${String(index)}`, "v"]).flat();
    expect(await client.ask("MSET", ...pairs)).toEqual(OK);
    expect(service.maxPending).toBeLessThanOrEqual(50);
    expect(await client.ask("DBSIZE")).toBe(2000);
  });

  it("keys and values beyond their bounds are refused, and the connection lives", async () => {
    const { connect } = await startTestServer({ maxKeyBytes: 1024 });
    const client = connect();
    expect(await client.ask("SET", "k".repeat(1025), "v")).toEqual({
      error: "ERR key is too long (1025 bytes; the limit is 1024)",
    });
    expect(await client.ask("SET", "a", "x".repeat((1 << 20) + 1))).toHaveProperty("error");
    expect(await client.ask("SET", "a", "x".repeat(1 << 20))).toEqual(OK);
    expect(await client.ask("APPEND", "a", "y")).toEqual({
      error: "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
    });
    expect(await client.ask("STRLEN", "a")).toBe(1 << 20);
  });

  it("a protocol error is told behind what came before it, and ends the connection", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["SET", "a", "1"]);
    client.raw("*1\r\n!bad\r\n");
    expect(await client.receiveMany(3)).toEqual([
      OK,
      { error: "ERR Protocol error: expected '$', got '!'" },
      undefined,
    ]);
  });

  it("a browser is sent away", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.raw("POST / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await client.receiveMany(2)).toEqual([{ error: "ERR Protocol error: this is no HTTP port" }, undefined]);
  });

  it("one connection more than allowed is refused", async () => {
    const { connect } = await startTestServer({ maxClients: 1 });
    expect(await connect().ask("PING")).toEqual({ simple: "PONG" });
    expect(await connect().receiveMany(2)).toEqual([{ error: "ERR max number of clients reached" }, undefined]);
  });

  it("unfinished commands beyond the total end their connection", async () => {
    const { connect } = await startTestServer({ maxPartialBytes: 10_000 });
    const client = connect();
    client.raw(`*2\r\n$4\r\nECHO\r\n$50000\r\n${"x".repeat(20_000)}`);
    expect(await client.receiveMany(2)).toEqual([
      { error: "ERR Protocol error: too many unfinished commands on this server" },
      undefined,
    ]);
  });

  it("more replies than may wait for one client end its connection", async () => {
    const { connect, service } = await startTestServer({ maxOutputBytes: 200_000 });
    const client = connect();
    await client.ask("SET", "a", "x".repeat(100_000));
    service.held = true;
    client.send(...Array.from({ length: 50 }, () => ["GET", "a"]));
    await expect.poll(() => service.pending).toBe(1);
    service.release();
    await client.untilEnded();
    expect(await connect().ask("PING")).toEqual({ simple: "PONG" });
  });

  it("what a client left behind is counted off when it comes back", async () => {
    const { connect, service } = await startTestServer({ maxInFlight: 20 });
    const client = connect();
    service.held = true;
    client.send(...Array.from({ length: 10 }, (_, index) => ["SET", `k${String(index)}`, "v"]), [
      "MGET",
      "x",
      "y",
      "z",
    ]);
    await expect.poll(() => service.pending).toBe(13);
    client.socket.resetAndDestroy();
    const other = connect();
    await expect.poll(async () => JSON.stringify(await other.ask("INFO", "clients"))).toContain("connected_clients:1");
    expect(JSON.stringify(await other.ask("INFO", "plogdb"))).toContain("requests_in_flight:13");
    service.release();
    await expect.poll(async () => JSON.stringify(await other.ask("INFO", "plogdb"))).toContain("requests_in_flight:0");
  });

  it("a connection that never says anything is closed in time", async () => {
    const { connect } = await startTestServer({ handshakeMs: 1 });
    await connect().untilEnded();
  });
});

describe("closing", () => {
  it("answers what is pending and refuses what comes later", async () => {
    const { connect, server, service } = await startTestServer();
    const client = connect();
    service.held = true;
    client.send(["SET", "a", "1"]);
    await expect.poll(() => service.pending).toBe(1);
    const closed = server.close();
    service.release();
    expect(await client.receiveMany(2)).toEqual([OK, undefined]);
    client.close();
    await closed;
  });
});
