// Goal: keys over HTTP are the keys of the Redis port: the same values, versions, conditions, deadlines and refusals, and nobody gets in
// who may not. Method: a real node over a store in memory, asked with fetch and with bare sockets, beside RESP.
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { hashPassword, type ServerConfig } from "../../src/cluster/index.js";
import { parsePasswordHash } from "../../src/cluster/password.js";
import { limitsFrom, type ServerLimits } from "../../src/server/limits.js";
import { startServer } from "../../src/server/server.js";
import { freePort } from "../ports.js";
import { silent, startTestServer, testConfig } from "./harness.js";
import { freshDisk, memoryOpener } from "./memory-replica.js";
import { WireClient } from "./wire.js";

interface Started {
  readonly base: string;
  readonly port: number;
  readonly client: WireClient;
}

async function started(change: Partial<ServerConfig> = {}, limits: Partial<ServerLimits> = {}): Promise<Started> {
  const plain = testConfig();
  const peer = { host: "127.0.0.1", port: await freePort() };
  const config = { ...plain, peer, nodes: plain.nodes.map((node) => ({ ...node, peer })), ...change };
  const server = await startServer(config, silent, memoryOpener(freshDisk(1)), { ...limitsFrom(config), ...limits });
  const client = new WireClient(server.client.port);
  onTestFinished(async () => {
    client.close();
    await server.close();
  });
  const port = server.http?.port ?? 0;
  return { base: `http://127.0.0.1:${String(port)}/v1/keys/`, port, client };
}

interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly text: string;
}

async function ask(url: string, method = "GET", headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
  return { status: response.status, etag: response.headers.get("etag"), text: await response.text() };
}

/** What a bare request is answered, headers and all. */
function bare(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (piece) => {
      received += piece.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      resolve(received);
    });
    socket.write(text, "latin1");
  });
}

describe("a key over HTTP", () => {
  it("is what the Redis port says it is, with its version as the tag", async () => {
    const { base, client } = await started();
    expect(await ask(`${base}a`)).toMatchObject({ status: 404 });
    const put = await ask(`${base}a`, "PUT", {}, "one");
    expect(put).toEqual({ status: 200, etag: '"1"', text: '{"version":1}' });
    expect(await client.ask("VGET", "a")).toEqual([1, { bulk: "one" }]);
    await client.ask("SET", "a", "two");
    expect(await ask(`${base}a`)).toEqual({ status: 200, etag: '"2"', text: "two" });
    expect(await ask(`${base}a`, "HEAD")).toEqual({ status: 200, etag: '"2"', text: "" });
    expect(await ask(`${base}a`, "GET", { "if-none-match": '"1", "2"' })).toMatchObject({ status: 304, text: "" });
    expect(await ask(`${base}a`, "GET", { "if-none-match": '"1"' })).toMatchObject({ status: 200, text: "two" });
    expect(await ask(`${base}a`, "DELETE")).toMatchObject({ status: 204 });
    expect(await ask(`${base}a`, "DELETE")).toMatchObject({ status: 404 });
    expect(await client.ask("GET", "a")).toBeNull();
  });

  it("is written under conditions on its version, its presence and its absence", async () => {
    const { base } = await started();
    expect(await ask(`${base}a`, "PUT", { "if-match": "*" }, "x")).toMatchObject({ status: 412 });
    expect(await ask(`${base}a`, "PUT", { "if-match": '"3"' }, "x")).toMatchObject({ status: 412 });
    expect(await ask(`${base}a`, "PUT", { "if-none-match": "*" }, "x")).toMatchObject({ status: 200, etag: '"1"' });
    const taken = await ask(`${base}a`, "PUT", { "if-none-match": "*" }, "y");
    expect(taken).toMatchObject({ status: 412 });
    expect(JSON.parse(taken.text)).toMatchObject({ error: "VERSION", outcome: "not-applied" });
    expect(await ask(`${base}a`, "PUT", { "if-match": '"1"' }, "y")).toMatchObject({ status: 200, etag: '"2"' });
    expect(await ask(`${base}a`, "PUT", { "if-match": "*" }, "z")).toMatchObject({ status: 200, etag: '"3"' });
    expect(await ask(`${base}a`, "DELETE", { "if-match": '"2"' })).toMatchObject({ status: 412 });
    expect(await ask(`${base}a`, "DELETE", { "if-match": '"3"' })).toMatchObject({ status: 204 });
    expect(await ask(`${base}a`, "DELETE", { "if-match": '"3"' })).toMatchObject({ status: 412 });
    for (const headers of [
      { "if-match": "W/x" },
      { "if-match": '"1", "2"' },
      { "if-match": "*", "if-none-match": "*" },
    ]) {
      expect(await ask(`${base}a`, "PUT", headers, "x")).toMatchObject({ status: 400 });
    }
    expect(await ask(`${base}a`)).toMatchObject({ status: 404 });
  });

  it("has any bytes as its name, and its value as bytes or as JSON", async () => {
    const { base, client } = await started();
    await client.ask("SET", "a/b?c%\u00ff\0", "v");
    expect(await ask(`${base}a/b%3Fc%25%ff%00`)).toMatchObject({ status: 200, text: "v" });
    expect(
      await ask(`${base}t`, "PUT", { "content-type": "application/json" }, '{"value":"Größe \\u0041"}'),
    ).toMatchObject({ status: 200 });
    const json = { accept: "application/json" };
    const shown = await ask(`${base}t`, "GET", json);
    expect(JSON.parse(shown.text)).toEqual({ value: "Größe A", encoding: "utf-8", version: 1, expiresAtMs: null });
    await client.ask("SET", "b", "\xff\x00");
    const binary = await ask(`${base}b`, "GET", json);
    expect(JSON.parse(binary.text)).toMatchObject({ value: "/wA=", encoding: "base64" });
    const sent = JSON.stringify({ value: "/wA=", encoding: "base64" });
    await ask(`${base}c`, "PUT", { "content-type": "application/json" }, sent);
    expect(await client.ask("STRLEN", "c")).toBe(2);
    for (const body of [
      "{",
      "7",
      "{}",
      '{"value":7}',
      '{"value":"x","ttl":1}',
      '{"value":"=","encoding":"base64"}',
      '{"value":"","encoding":"x"}',
    ]) {
      expect(await ask(`${base}t`, "PUT", { "content-type": "application/json" }, body), body).toMatchObject({
        status: 400,
      });
    }
  });

  it("expires when it is told to", async () => {
    const { base, client } = await started();
    await ask(`${base}a?ttlMs=60000`, "PUT", {}, "x");
    const left = Number(await client.ask("PTTL", "a"));
    expect(left).toBeGreaterThan(50_000);
    expect(left).toBeLessThanOrEqual(60_000);
    const atMs = Date.now() + 100_000;
    await ask(`${base}a?expiresAtMs=${String(atMs)}`, "PUT", {}, "x");
    expect(await client.ask("PEXPIRETIME", "a")).toBe(atMs);
    const shown = await ask(`${base}a`, "GET", { accept: "application/json" });
    expect(JSON.parse(shown.text)).toMatchObject({ expiresAtMs: atMs });
    for (const query of ["ttlMs=0", "ttlMs=-1", "ttlMs=x", "ttl=5", "ttlMs=1&expiresAtMs=2"]) {
      expect(await ask(`${base}a?${query}`, "PUT", {}, "y"), query).toMatchObject({ status: 400 });
    }
    expect(await ask(`${base}a`)).toMatchObject({ text: "x" });
  });

  it("is refused when it is too large, wrongly named, or asked for in another way", async () => {
    const { base, port, client } = await started({}, { maxValueBytes: 1000 });
    expect(await ask(`${base}a`, "PUT", {}, "x".repeat(1000))).toMatchObject({ status: 200 });
    expect(await ask(`${base}a`, "PUT", {}, "x".repeat(1001))).toMatchObject({ status: 413 });
    const json = JSON.stringify({ value: "x".repeat(1001) });
    expect(await ask(`${base}a`, "PUT", { "content-type": "application/json" }, json)).toMatchObject({ status: 413 });
    expect(await client.ask("STRLEN", "a")).toBe(1000);
    for (const name of ["", "%", "%zz", "a b"]) {
      const answer = await bare(port, `GET /v1/keys/${name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
      expect(answer, name).toMatch(/^HTTP\/1.1 400/);
    }
    for (const method of ["POST", "PATCH", "OPTIONS"])
      expect(await ask(`${base}a`, method)).toMatchObject({ status: 405 });
    expect(await client.ask("STRLEN", "a")).toBe(1000);
  });

  it("is not for web pages: a Host that is another's name is refused", async () => {
    const { port, client } = await started();
    await client.ask("SET", "a", "secret");
    const of = (host: string): Promise<string> =>
      bare(port, `GET /v1/keys/a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    for (const host of ["evil.example", "127.0.0.1.evil.example:80", ""]) {
      const answer = await of(host);
      expect(answer, host).toMatch(/^HTTP\/1.1 40[03]/);
      expect(answer).not.toContain("secret");
    }
    for (const host of ["localhost", "127.0.0.1:7201", "[::1]:7201"]) expect(await of(host), host).toContain("secret");
  });

  it("is for those who say who they are, where users are named, and for what they may do", async () => {
    const entry = async (name: string, role: "read" | "write") => {
      const password = parsePasswordHash(await hashPassword(`of ${name}`));
      if (password === null) throw new Error("no hash");
      return { name, role, password };
    };
    const { base } = await started({ users: [await entry("reader", "read"), await entry("writer", "write")] });
    const as = (name: string, password = `of ${name}`) => ({
      authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
    });
    expect(await ask(`${base}a`, "PUT", as("writer"), "x")).toMatchObject({ status: 200 });
    expect(await ask(`${base}a`, "GET", as("reader"))).toMatchObject({ status: 200, text: "x" });
    expect(await ask(`${base}a`, "PUT", as("reader"), "y")).toMatchObject({ status: 403 });
    expect(await ask(`${base}a`, "DELETE", as("reader"))).toMatchObject({ status: 403 });
    for (const headers of [
      {},
      as("reader", "wrong"),
      as("nobody"),
      { authorization: "Bearer x" },
      { authorization: "Basic !" },
    ]) {
      expect(await ask(`${base}a`, "GET", headers)).toMatchObject({ status: 401 });
    }
    expect(await ask(`${base}a`, "GET", as("reader"))).toMatchObject({ status: 200, text: "x" });
  });

  it.each([
    ["NOQUORUM", 503],
    ["BUSY", 503],
    ["LOADING", 503],
    ["DISKFULL", 507],
    ["CORRUPT", 500],
    ["ELSEWHERE", 421],
  ] as const)("answers %s as %d, and says that a write was not applied", async (code, status) => {
    const { server, service } = await startTestServer();
    const base = `http://127.0.0.1:${String(server.http?.port)}/v1/keys/`;
    service.forceWrite = () => ({ status: "not-applied", code, message: "told by the test" });
    const put = await ask(`${base}a`, "PUT", {}, "x");
    expect(put.status).toBe(status);
    expect(JSON.parse(put.text)).toEqual({ error: code, message: "told by the test", outcome: "not-applied" });
    service.forceRead = () => ({ status: "refused", code, message: "told by the test" });
    const got = await ask(`${base}a`);
    expect(got.status).toBe(status);
    expect(JSON.parse(got.text)).toEqual({ error: code, message: "told by the test" });
  });

  it("says of a write that nobody knows of that it is unknown, never that it failed", async () => {
    const { server, service } = await startTestServer();
    service.forceWrite = () => ({ status: "unknown", message: "who knows" });
    for (const method of ["PUT", "DELETE"]) {
      const body = method === "PUT" ? "x" : undefined;
      const answer = await ask(`http://127.0.0.1:${String(server.http?.port)}/v1/keys/a`, method, {}, body);
      expect(answer.status).toBe(504);
      expect(JSON.parse(answer.text)).toEqual({ error: "UNKNOWN", message: "who knows", outcome: "unknown" });
    }
  });

  it("is refused at the bound of what may be under way, at once", async () => {
    const { server, service } = await startTestServer({ maxInFlight: 2 });
    const url = `http://127.0.0.1:${String(server.http?.port)}/v1/keys/a`;
    service.held = true;
    const first = [ask(url), ask(url)];
    while (service.pending < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const refused = await ask(url, "PUT", {}, "x");
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.text)).toMatchObject({ error: "BUSY", outcome: "not-applied" });
    service.release();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([404, 404]);
    expect(await ask(url, "PUT", {}, "x")).toMatchObject({ status: 200 });
  });

  it("does not let a body that never ends hold memory, nor one whose sender goes away", async () => {
    const { base, port } = await started({}, { maxValueBytes: 1000, maxPartialBytes: 5000 });
    const endless = httpRequest({
      port,
      path: "/v1/keys/a",
      method: "PUT",
      headers: { "transfer-encoding": "chunked" },
    });
    const status = new Promise<number | undefined>((resolve) => {
      endless.on("response", (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      endless.on("error", () => {
        resolve(undefined);
      });
    });
    for (let i = 0; i < 50; i++) endless.write("x".repeat(100));
    expect(await status).toBe(413);
    endless.destroy();
    const gone = connect(port, "127.0.0.1");
    gone.write("PUT /v1/keys/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nhalf");
    await new Promise((resolve) => setTimeout(resolve, 20));
    gone.destroy();
    expect(await ask(`${base}a`)).toMatchObject({ status: 404 });
  });
});
