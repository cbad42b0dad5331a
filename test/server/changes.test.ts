// Goal: who subscribed hears of changes as Redis tells them, who waits for a key is told of its next version, and both are bounded.
// Method: a real node over a store in memory, several connections, RESP2 and RESP3; fetch for the HTTP port; the library.
import { describe, expect, it, onTestFinished } from "vitest";
import { openNode } from "../../src/api/node.js";
import { startServer } from "../../src/server/server.js";
import { MAX_SUBSCRIPTIONS } from "../../src/server/subscriptions.js";
import { freePort } from "../ports.js";
import { silent, startTestServer, testConfig } from "./harness.js";
import { freshDisk, memoryOpener } from "./memory-replica.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Reply, WireClient } from "./wire.js";

async function started() {
  const plain = testConfig();
  const peer = { host: "127.0.0.1", port: await freePort() };
  const config = { ...plain, peer, nodes: plain.nodes.map((node) => ({ ...node, peer })) };
  const server = await startServer(config, silent, memoryOpener(freshDisk(1)));
  const clients: WireClient[] = [];
  onTestFinished(async () => {
    for (const client of clients) client.close();
    await server.close();
  });
  const connect = (): WireClient => {
    const client = new WireClient(server.client.port);
    clients.push(client);
    return client;
  };
  return { connect, base: `http://127.0.0.1:${String(server.http?.port)}/v1/keys/` };
}

const VALUE = { status: "ok", found: true, value: Buffer.from("v"), expiryMs: 0, index: 1 } as const;
const bulks = (...texts: string[]): Reply[] => texts.map((bulk) => ({ bulk }));

describe("keyspace notifications", () => {
  it("are off at first, and tell by key and by event what was set and what is gone", async () => {
    const { connect } = await started();
    const [writer, reader] = [connect(), connect()];
    expect(await writer.ask("CONFIG", "GET", "notify-keyspace-events")).toEqual(bulks("notify-keyspace-events", ""));
    expect(await reader.ask("SUBSCRIBE", "__keyspace@0__:a")).toEqual([...bulks("subscribe", "__keyspace@0__:a"), 1]);
    expect(await reader.ask("PSUBSCRIBE", "__keyevent@0__:*")).toEqual([...bulks("psubscribe", "__keyevent@0__:*"), 2]);
    await writer.ask("SET", "a", "unheard");
    expect(await writer.ask("CONFIG", "SET", "notify-keyspace-events", "KEA")).toEqual({ simple: "OK" });
    await writer.ask("SET", "a", "1");
    await writer.ask("INCR", "b");
    await writer.ask("SET", "a", "2", "XX", "IFEQ", "not it");
    await writer.ask("DEL", "a");
    reader.send(["PING"]);
    expect(await reader.receiveMany(6)).toEqual([
      bulks("message", "__keyspace@0__:a", "set"),
      bulks("pmessage", "__keyevent@0__:*", "__keyevent@0__:set", "a"),
      bulks("pmessage", "__keyevent@0__:*", "__keyevent@0__:set", "b"),
      bulks("message", "__keyspace@0__:a", "del"),
      bulks("pmessage", "__keyevent@0__:*", "__keyevent@0__:del", "a"),
      bulks("pong", ""),
    ]);
  });

  it("tell of the kinds that are asked for only", async () => {
    const { connect } = await started();
    const [writer, reader] = [connect(), connect()];
    await reader.ask("PSUBSCRIBE", "*");
    await writer.ask("CONFIG", "SET", "notify-keyspace-events", "Eg");
    await writer.ask("SET", "a", "1");
    await writer.ask("DEL", "a");
    expect(await reader.receive()).toEqual(bulks("pmessage", "*", "__keyevent@0__:del", "a"));
    expect(await writer.ask("CONFIG", "SET", "notify-keyspace-events", "Ky")).toMatchObject({
      error: expect.stringContaining("Invalid event class character"),
    });
    expect(await writer.ask("CONFIG", "GET", "notify-keyspace-events")).toEqual(bulks("notify-keyspace-events", "Eg"));
  });

  it("come as pushes in RESP3, among which commands go on", async () => {
    const { connect } = await started();
    const client = connect();
    await client.ask("HELLO", "3");
    await client.ask("CONFIG", "SET", "notify-keyspace-events", "K$");
    expect(await client.ask("SUBSCRIBE", "__keyspace@0__:a")).toEqual({
      push: [...bulks("subscribe", "__keyspace@0__:a"), 1],
    });
    client.send(["SET", "a", "1"]);
    const both = await client.receiveMany(2);
    expect(both).toContainEqual({ push: bulks("message", "__keyspace@0__:a", "set") });
    expect(both).toContainEqual({ simple: "OK" });
    expect(await client.ask("GET", "a")).toEqual({ bulk: "1" });
    expect(await client.ask("PING")).toEqual({ simple: "PONG" });
  });

  it("leave a RESP2 connection that hears them few commands, until it has unsubscribed or was reset", async () => {
    const { connect } = await started();
    const client = connect();
    await client.ask("SUBSCRIBE", "x");
    expect(await client.ask("GET", "a")).toMatchObject({ error: expect.stringContaining("ERR Can't execute 'get'") });
    expect(await client.ask("PING")).toEqual(bulks("pong", ""));
    expect(await client.ask("PING", "hi")).toEqual(bulks("pong", "hi"));
    expect(await client.ask("UNSUBSCRIBE")).toEqual([...bulks("unsubscribe", "x"), 0]);
    expect(await client.ask("UNSUBSCRIBE")).toEqual([{ bulk: "unsubscribe" }, null, 0]);
    expect(await client.ask("GET", "a")).toBeNull();
    await client.ask("PSUBSCRIBE", "y*");
    expect(await client.ask("RESET")).toEqual({ simple: "RESET" });
    expect(await client.ask("GET", "a")).toBeNull();
    expect(await client.ask("PUBSUB", "NUMPAT")).toBe(0);
  });

  it("count who listens, forget who is gone, and take no more than a bound", async () => {
    const { connect } = await started();
    const [one, other, asker] = [connect(), connect(), connect()];
    for (const client of [one, other]) await client.ask("SUBSCRIBE", "x");
    await one.ask("SUBSCRIBE", "y");
    expect(await asker.ask("PUBSUB", "NUMSUB", "x", "y", "z")).toEqual([
      { bulk: "x" },
      2,
      { bulk: "y" },
      1,
      { bulk: "z" },
      0,
    ]);
    expect(await asker.ask("PUBSUB", "CHANNELS", "y*")).toEqual(bulks("y"));
    one.close();
    while (((await asker.ask("PUBSUB", "CHANNELS")) as Reply[]).length > 1)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const names = Array.from({ length: MAX_SUBSCRIPTIONS }, (_, i) => `c${String(i)}`);
    other.send(["SUBSCRIBE", ...names]);
    const confirmed = await other.receiveMany(names.length);
    expect(confirmed.at(-2)).toEqual([...bulks("subscribe", `c${String(MAX_SUBSCRIPTIONS - 2)}`), MAX_SUBSCRIPTIONS]);
    expect(confirmed.at(-1)).toMatchObject({ error: expect.stringContaining("at most 1024 subscriptions") });
  });
});

describe("VWAIT", () => {
  it("answers at once when the version is another one, and else when it becomes one", async () => {
    const { connect } = await started();
    const [writer, waiter] = [connect(), connect()];
    await writer.ask("SET", "a", "1");
    expect(await waiter.ask("VWAIT", "a", "0", "1000")).toEqual([1, { bulk: "1" }]);
    waiter.send(["VWAIT", "a", "1", "60000"]);
    await writer.ask("SET", "other", "x");
    await writer.ask("SET", "a", "2");
    expect(await waiter.receive()).toEqual([2, { bulk: "2" }]);
    waiter.send(["VWAIT", "a", "2", "60000"], ["PING"]);
    await writer.ask("DEL", "a");
    expect(await waiter.receiveMany(2)).toEqual([[0, null], { simple: "PONG" }]);
    waiter.send(["VWAIT", "a", "0", "60000"]);
    await writer.ask("APPEND", "a", "new");
    expect(await waiter.receive()).toEqual([4, { bulk: "new" }]);
  });

  it("tells when a deadline has passed, and null when nothing happened in time", async () => {
    const { connect } = await started();
    const client = connect();
    await client.ask("SET", "a", "1", "PX", "100");
    expect(await client.ask("VWAIT", "a", "1", "5000")).toEqual([0, null]);
    const sinceMs = performance.now();
    expect(await client.ask("VWAIT", "a", "0", "50")).toEqual({ nullArray: true });
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(49);
  });

  it("is refused with wrong numbers and in a transaction, and told what a read would be told", async () => {
    const { connect, service } = await startTestServer();
    const client = connect();
    for (const [version, timeout] of [
      ["x", "1"],
      ["-1", "1"],
      ["1", "0"],
      ["1", "3600001"],
      ["1", "x"],
    ]) {
      expect(await client.ask("VWAIT", "a", version ?? "", timeout ?? "")).toHaveProperty("error");
    }
    await client.ask("MULTI");
    expect(await client.ask("VWAIT", "a", "0", "10")).toMatchObject({
      error: "ERR Command not allowed inside a transaction",
    });
    await client.ask("DISCARD");
    service.forceRead = () => ({ status: "refused", code: "NOQUORUM", message: "told by the test" });
    expect(await client.ask("VWAIT", "a", "0", "1000")).toEqual({ error: "NOQUORUM told by the test" });
  });

  it("does not hold up the end of the server", async () => {
    const plain = testConfig();
    const peer = { host: "127.0.0.1", port: await freePort() };
    const config = { ...plain, peer, nodes: plain.nodes.map((node) => ({ ...node, peer })) };
    const server = await startServer(config, silent, memoryOpener(freshDisk(2)));
    const client = new WireClient(server.client.port);
    client.send(["PING"], ["VWAIT", "a", "0", "3600000"]);
    expect(await client.receive()).toEqual({ simple: "PONG" });
    const waiting = fetch(`http://127.0.0.1:${String(server.http?.port)}/v1/keys/a?waitMs=60000`, {
      headers: { "if-none-match": '"0"' },
    }).then(
      ({ status }) => status,
      () => 0,
    );
    const looker = new WireClient(server.client.port);
    const blocked = async (): Promise<string> => JSON.stringify(await looker.ask("INFO", "clients"));
    while (!(await blocked()).includes("blocked_clients:2")) await new Promise((resolve) => setTimeout(resolve, 5));
    looker.close();
    const sinceMs = performance.now();
    await server.close();
    expect(performance.now() - sinceMs).toBeLessThan(3000);
    expect(await client.receive()).toEqual({ nullArray: true });
    expect([0, 404]).toContain(await waiting);
    client.close();
  });

  it("asks once for all who wait, and tells nobody of an older version than the one that was seen", async () => {
    const { connect, service } = await startTestServer();
    const writer = connect();
    await writer.ask("SET", "a", "1");
    service.held = true;
    const before = service.reads;
    // The first read finds the old value, every later one the new one.
    service.forceRead = () => ({ ...VALUE, version: service.reads - before > 1 ? 2 : 1 });
    const many = Array.from({ length: 50 }, connect);
    for (const client of many) client.send(["VWAIT", "a", "1", "60000"]);
    while (service.reads === before) await new Promise((resolve) => setTimeout(resolve, 2));
    // What this one saw comes from elsewhere, and is newer than what the read under way may find.
    const late = connect();
    late.send(["VWAIT", "a", "2", "100"]);
    while (!JSON.stringify(await writer.ask("INFO", "clients")).includes("blocked_clients:51")) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    service.release();
    for (const client of many) expect(await client.receive()).toEqual([2, { bulk: "v" }]);
    expect(await late.receive()).toEqual({ nullArray: true });
    expect(service.reads - before, "a few for all of them, not one for each").toBeLessThanOrEqual(6);
  });

  it("looks again when the key is changed while it looks", async () => {
    const { connect, service } = await startTestServer();
    const [writer, waiter] = [connect(), connect()];
    await writer.ask("SET", "a", "1");
    const { reads } = service;
    service.held = true;
    waiter.send(["VWAIT", "a", "1", "60000"]);
    while (service.reads === reads) await new Promise((resolve) => setTimeout(resolve, 2));
    writer.send(["SET", "a", "2"]);
    while (service.pending < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    service.release();
    expect(await waiter.receive()).toEqual([2, { bulk: "2" }]);
  });
});

describe("waiting elsewhere", () => {
  it("works over HTTP with the tag that was seen", async () => {
    const { connect, base } = await started();
    const writer = connect();
    const wait = (tag: string, waitMs: number) =>
      fetch(`${base}a?waitMs=${String(waitMs)}`, { headers: { "if-none-match": tag } });
    const first = wait('"0"', 60_000);
    await writer.ask("SET", "a", "1");
    const told = await first;
    expect([told.status, told.headers.get("etag"), await told.text()]).toEqual([200, '"1"', "1"]);
    expect((await wait('"1"', 30)).status).toBe(304);
    const gone = wait('"1"', 60_000);
    await writer.ask("DEL", "a");
    expect((await gone).status).toBe(404);
    for (const query of ["waitMs=0", "waitMs=60001", "waitMs=x"]) {
      expect((await fetch(`${base}a?${query}`, { headers: { "if-none-match": '"1"' } })).status, query).toBe(400);
    }
    expect((await fetch(`${base}a?waitMs=10`)).status).toBe(400);
  });

  it("works in a program that links the node, until it is aborted or the node is closed", async () => {
    const directory = mkdtempSync(join(tmpdir(), "plogdb-wait-"));
    const address = `127.0.0.1:${String(await freePort())}`;
    const node = await openNode({
      cluster: "test",
      node: "n1",
      data: directory,
      nodes: { n1: address },
      storage: { size: "64MiB", durability: "none" },
    });
    onTestFinished(async () => {
      await node.close();
      rmSync(directory, { recursive: true });
    });
    const waiting = node.waitForChange("a", 0);
    await node.set("a", "1");
    expect(await waiting).toMatchObject({ version: 1 });
    const gone = node.waitForChange("a", 1);
    await node.delete("a");
    expect(await gone).toBeNull();
    const abort = new AbortController();
    const aborted = node.waitForChange("a", 0, abort.signal);
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: "INVALID" });
    const closed = node.waitForChange("a", 0);
    const closing = expect(closed).rejects.toMatchObject({ code: "FAILED" });
    await node.close();
    await closing;
  });
});
