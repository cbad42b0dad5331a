// Goal: what operators look at is there, bounded, and shows no values: SLOWLOG, LATENCY, MONITOR, CLIENT LIST and KILL,
// INFO, SHUTDOWN. Method: a server over a service in memory, several connections.
import { describe, expect, it } from "vitest";
import { startTestServer } from "./harness.js";
import type { Reply } from "./wire.js";

const OK: Reply = { simple: "OK" };

/** The text of a bulk reply. */
function textOf(reply: Reply | undefined): string {
  if (typeof reply === "object" && reply !== null && "bulk" in reply) return reply.bulk;
  throw new Error(`no bulk string: ${JSON.stringify(reply)}`);
}

describe("SLOWLOG and LATENCY", () => {
  it("tell slow commands by name and keys, never by values", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("CLIENT", "SETNAME", "me");
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0", "latency-monitor-threshold", "1");
    await client.ask("SET", "key", "secret");
    await client.ask("MGET", "a", "b");
    const shown = JSON.stringify(await client.ask("SLOWLOG", "GET"));
    expect(shown).toContain('"set"},{"bulk":"key"}');
    expect(shown).toContain('"mget"},{"bulk":"a"},{"bulk":"b"}');
    expect(shown).toContain('{"bulk":"me"}');
    expect(shown).not.toContain("secret");
    expect(await client.ask("SLOWLOG", "LEN")).toBe(2);
    expect(await client.ask("SLOWLOG", "GET", "1")).toHaveLength(1);
    expect(await client.ask("SLOWLOG", "RESET")).toEqual(OK);
    expect(await client.ask("SLOWLOG", "LEN")).toBe(0);
  });

  it("cut long names and keys", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("CLIENT", "SETNAME", "n".repeat(1000));
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0");
    await client.ask("GET", "k".repeat(1000));
    const [entry] = (await client.ask("SLOWLOG", "GET")) as Reply[][];
    expect(entry?.[3]).toEqual([{ bulk: "get" }, { bulk: `${"k".repeat(128)}... (872 more bytes)` }]);
    expect(entry?.[5]).toEqual({ bulk: "n".repeat(64) });
  });

  it("keep no more than they are told to", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "5");
    client.send(...Array.from({ length: 20 }, () => ["GET", "a"]));
    await client.receiveMany(20);
    expect(await client.ask("SLOWLOG", "LEN")).toBe(5);
    expect(await client.ask("CONFIG", "SET", "slowlog-max-len", "2")).toEqual(OK);
    expect(await client.ask("SLOWLOG", "LEN")).toBe(2);
    expect(await client.ask("SLOWLOG", "GET", "-1")).toHaveLength(2);
  });
});

describe("MONITOR", () => {
  it("shows what other connections ask, long arguments cut, and ends with the connection", async () => {
    const { connect } = await startTestServer();
    const [monitor, client] = [connect(), connect()];
    expect(await monitor.ask("MONITOR")).toEqual(OK);
    client.send(["SET", "k", 'a"\r\n\0'], ["AUTH", "hidden"], ["SET", "k", "x".repeat(100)], ["CONFIG", "GET", "x"]);
    await client.receiveMany(4);
    const lines = await monitor.receiveMany(2);
    expect(lines.map((line) => JSON.stringify(line))).toEqual([
      expect.stringMatching(/\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] \\"SET\\" \\"k\\" \\"a\\\\\\"\\\\r\\\\n\\\\x00\\""}$/),
      expect.stringContaining(`\\"${"x".repeat(64)}...\\" (36 more bytes)`),
    ]);
    expect(await monitor.ask("CLIENT", "LIST")).toMatchObject({ bulk: expect.stringContaining("flags=O") });
    monitor.close();
    expect(await client.ask("PING")).toEqual({ simple: "PONG" });
  });

  it("shows its own connection's commands, those that wait for earlier replies once", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    expect(await client.ask("MONITOR")).toEqual(OK);
    service.held = true;
    client.send(["SET", "k", "v"], ["DBSIZE"], ["GET", "k"], ["PING"]);
    await expect.poll(() => service.pending).toBe(1);
    service.release();
    const replies = (await client.receiveMany(8)).map((reply) => JSON.stringify(reply));
    const lines = replies.filter((reply) => reply.includes("[0 127.0.0.1:"));
    expect(lines.map((line) => /\] \\"(\w+)/.exec(line)?.[1])).toEqual(["SET", "DBSIZE", "GET", "PING"]);
    const others = replies.filter((reply) => !lines.includes(reply));
    expect(others).toEqual([OK, 1, { bulk: "v" }, { simple: "PONG" }].map((reply) => JSON.stringify(reply)));
  });

  it("is refused inside MULTI", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    client.send(["MULTI"], ["MONITOR"], ["EXEC"], ["INFO", "clients"]);
    const replies = await client.receiveMany(4);
    expect(replies[1]).toEqual({ error: "ERR Command not allowed inside a transaction" });
    expect(textOf(replies[3])).toContain("monitor_clients:0\r\n");
  });

  it("is refused to more than eight at once", async () => {
    const { connect } = await startTestServer();
    const all = Array.from({ length: 9 }, connect);
    const replies: (Reply | undefined)[] = [];
    for (const one of all) replies.push(await one.ask("MONITOR"));
    expect(replies.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => OK));
    expect(replies[8]).toEqual({ error: "ERR there are 8 monitors already" });
  });
});

describe("CLIENT LIST and KILL", () => {
  it("show every connection and end the ones that are named", async () => {
    const { connect } = await startTestServer();
    const [first, second, third] = [connect(), connect(), connect()];
    const id = Number(await first.ask("CLIENT", "ID"));
    await second.ask("CLIENT", "SETNAME", "second");
    await third.ask("MULTI");
    const list = textOf(await first.ask("CLIENT", "LIST"))
      .trimEnd()
      .split("\n");
    expect(list).toHaveLength(3);
    expect(list[1]).toContain("name=second");
    expect(list[2]).toMatch(/flags=x .* multi=0 /);
    const address = /addr=(\S+)/.exec(list[1] ?? "")?.[1] ?? "";
    expect(await first.ask("CLIENT", "KILL", address)).toEqual(OK);
    await second.untilEnded();
    expect(await first.ask("CLIENT", "KILL", "TYPE", "normal")).toBe(1);
    await third.untilEnded();
    expect(await first.ask("CLIENT", "KILL", "ID", String(id), "SKIPME", "yes")).toBe(0);
    expect(await first.ask("CLIENT", "KILL", "ID", String(id), "SKIPME", "no")).toBe(1);
    await first.untilEnded();
  });
});

describe("INFO", () => {
  it("counts commands, refusals, failures and errors by their code", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("CONFIG", "RESETSTAT");
    client.send(["SET", "a", "x"], ["INCR", "a"], ["GET"], ["NOPE"], ["EXEC"]);
    await client.receiveMany(5);
    const info = textOf(await client.ask("INFO", "all"));
    expect(info).toMatch(/cmdstat_set:calls=1,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=0/);
    expect(info).toMatch(/cmdstat_incr:calls=1,.*,failed_calls=1/);
    expect(info).toMatch(/cmdstat_get:calls=0,.*,rejected_calls=1,/);
    expect(info).toContain("errorstat_ERR:count=4");
    expect(info).toMatch(/instantaneous_ops_per_sec:\d+/);
    expect(textOf(await client.ask("INFO"))).not.toContain("cmdstat_");
  });
});

describe("SHUTDOWN", () => {
  it("asks whoever opened the server to close it, and ends the connection without a reply", async () => {
    const { server, connect } = await startTestServer();
    const client = connect();
    expect(await client.ask("SET", "a", "1")).toEqual(OK);
    client.send(["SHUTDOWN", "NOSAVE"]);
    expect(await server.shutdownAsked).toContain("SHUTDOWN");
    expect(await client.receive()).toBeUndefined();
  });
});
