// Goal: a server says what it is doing while it starts, tells machines that watch how it stands, and fails to open with
// an error that names the reason. Method: servers over a service in memory, asked over HTTP and RESP.
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { placementOf } from "../../src/cluster/index.js";
import { NodeError } from "../../src/node/node-error.js";
import { asOpenError, OpenError } from "../../src/server/open-error.js";
import { type OpenReplica, startServer } from "../../src/server/server.js";
import { freePort } from "../ports.js";
import { naiveReplica, silent, startTestServer, testConfig } from "./harness.js";
import { freshDisk, memoryOpener } from "./memory-replica.js";
import { NaiveService } from "./naive-service.js";
import { WireClient } from "./wire.js";

async function page(port: number | undefined, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${String(port)}${path}`);
  return { status: response.status, text: await response.text() };
}

/** A port that is free now and was taken for a moment. */
function takenPort(): Promise<number> {
  return new Promise((resolve) => {
    const taker = createServer();
    onTestFinished(() => {
      taker.close();
    });
    taker.listen(0, "127.0.0.1", () => {
      const address = taker.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

describe("the HTTP port", () => {
  it("tells liveness, readiness, metrics and facts", async () => {
    const { server, connect, service } = await startTestServer();
    const port = server.http?.port;
    await connect().ask("SET", "a", "1");
    expect(await page(port, "/livez")).toEqual({ status: 200, text: "ok\n" });
    expect(await page(port, "/readyz")).toEqual({ status: 200, text: "ready\n" });
    expect((await page(port, "/readyz?verbose")).text).toContain("[+] quorum: 1 of 1 nodes reached, 1 needed\n");
    expect((await page(port, "/")).text).toContain("plogdb node n1 of cluster test");
    expect((await page(port, "/nope")).status).toBe(404);
    service.state = "waiting";
    const waiting = await page(port, "/readyz?verbose");
    expect(waiting.status).toBe(503);
    expect(waiting.text).toContain("[-] node: waiting, waits for n2");
  });

  it("gives metrics in Prometheus' form: every line a comment or a sample, every name announced once", async () => {
    const { server, connect } = await startTestServer();
    await connect().ask("SET", "a", "1");
    const { text } = await page(server.http?.port, "/metrics");
    const announced = new Set<string>();
    for (const line of text.trimEnd().split("\n")) {
      const type = /^# TYPE (\S+) (?:counter|gauge|histogram)$/.exec(line);
      if (type?.[1] !== undefined) {
        expect(announced.has(type[1])).toBe(false);
        announced.add(type[1]);
      } else if (!line.startsWith("# HELP ")) {
        expect(line).toMatch(/^[a-z_0-9]+(?:\{[^}]*\})? (?:-?[0-9.e+-]+|\+Inf)$/);
        expect(announced).toContain(line.replace(/[{ ].*$/, "").replace(/_(?:bucket|sum|count)$/, ""));
      }
    }
    for (const line of text.split("\n")) {
      const [, name = "", type = ""] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
      // What `promtool check metrics` asks of names.
      expect(name.endsWith("_total"), name).toBe(type === "counter");
      expect(name, "units are written out").not.toMatch(/_(?:us|ms|ns|kb|mb|kib|mib|sec|secs)(?:_|$)/);
    }
    expect(text).toContain('plogdb_commands_total{command="set"} 1\n');
    expect(text).toContain("plogdb_write_seconds_count 1\n");
  });

  const promtool = spawnSync("promtool", ["--version"]).status === 0;
  it.skipIf(!promtool)(
    `promtool takes its metrics${promtool ? "" : " (skipped: promtool is not installed)"}`,
    async () => {
      const { server, connect } = await startTestServer();
      await connect().ask("SET", "a", "1");
      const { text } = await page(server.http?.port, "/metrics");
      const checked = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
      expect([checked.status, checked.stderr]).toEqual([0, ""]);
    },
  );
});

describe("REPLICA VERIFY", () => {
  it("says at once that there is nobody to compare with", async () => {
    const plain = testConfig();
    const [peer, ...others] = await Promise.all([freePort(), freePort(), freePort()]);
    const nodes = [peer, ...others].map((port, replica) => ({
      id: `n${String(replica + 1)}`,
      replica,
      peer: { host: "127.0.0.1", port },
      client: { host: "127.0.0.1", port: 1 },
      zone: "a",
    }));
    const placement = placementOf(nodes);
    if (typeof placement === "string" || nodes[0] === undefined) throw new Error("three nodes are one group");
    const config = { ...plain, peer: nodes[0].peer, nodes, placement };
    const server = await startServer(config, silent, memoryOpener(freshDisk(1)));
    const client = new WireClient(server.client.port);
    onTestFinished(async () => {
      client.close();
      await server.close();
    });
    const answer = await client.ask("REPLICA", "VERIFY");
    expect(answer).toEqual({ error: "NOQUORUM no other node can be reached to compare with" });
  });
});

describe("opening", () => {
  it("answers LOADING until the data is there, PING too, and lives already", async () => {
    const config = testConfig();
    let ready: (replica: OpenReplica) => void = () => undefined;
    const opening = new Promise<OpenReplica>((resolve) => {
      ready = resolve;
    });
    // A port of our own choice, because nobody tells it before the server is open.
    const port = await freePort();
    const started = startServer({ ...config, listen: { host: "127.0.0.1", port } }, silent, () => opening);
    const client = new WireClient(port);
    const loading = { error: "LOADING the node is recovering its data" };
    expect(await client.ask("PING")).toEqual(loading);
    expect(await client.ask("GET", "a")).toEqual(loading);
    expect(JSON.stringify(await client.ask("INFO", "persistence"))).toContain("loading:1");
    client.send(["WATCH", "a"], ["MULTI"], ["DISCARD"]);
    expect(await client.receiveMany(3)).toEqual([loading, { simple: "OK" }, { simple: "OK" }]);
    ready(naiveReplica(new NaiveService(), config));
    const server = await started;
    expect(await client.ask("PING")).toEqual({ simple: "PONG" });
    client.close();
    await server.close();
  });

  it("fails with a configuration error when a port is taken, and gives the others back", async () => {
    const config = testConfig();
    const http = { host: "127.0.0.1", port: await takenPort() };
    const never = () => Promise.reject(new Error("must not be opened"));
    await expect(startServer({ ...config, http }, silent, never)).rejects.toMatchObject({
      code: "CONFIG",
      exitCode: 2,
      message: `http: 127.0.0.1:${String(http.port)} is taken; stop who uses it or choose another port`,
    });
  });

  it("passes on why the replica could not be opened", async () => {
    const refused = () => Promise.reject(new OpenError("FOREIGN", "this data belongs to somebody else"));
    await expect(startServer(testConfig(), silent, refused)).rejects.toMatchObject({ code: "FOREIGN", exitCode: 3 });
  });

  it.each([
    ["foreign", "FOREIGN", 3],
    ["damaged", "DAMAGED", 3],
    ["io", "IO", 4],
    ["listen", "CONFIG", 2],
  ] as const)("calls the node's %s error %s, exit code %i", (code, name, exitCode) => {
    expect(asOpenError(new NodeError(code, "why"))).toMatchObject({ code: name, exitCode, message: "why" });
  });
});
