// Goal: with TLS configured, only TLS 1.3 with the right certificates gets in, and certificates change without a restart. Method:
// certificates made by openssl, clients of node:tls, and redis-cli where it is installed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request, type RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TlsFiles } from "../../src/cluster/index.js";
import { OpenError } from "../../src/server/open-error.js";
import { canMakeCertificates, Certificates } from "../certificates.js";
import { startTestServer, testConfig } from "./harness.js";
import type { WireClient } from "./wire.js";

const canTry = spawnSync("redis-cli", ["--version"]).status === 0;
let home = "";
let made: Certificates;
const path = (name: string): string => made.path(name);
const bytes = (name: string): Buffer => made.bytes(name);

const files = (name: string, clientCa: string | null = null): TlsFiles => ({
  cert: path(`${name}.crt`),
  key: path(`${name}.key`),
  clientCa: clientCa === null ? null : path(`${clientCa}.crt`),
});

/** What the HTTP port says, or why it says nothing. */
function fetchText(port: number, url: string, options: RequestOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    const asked = request(
      { host: "127.0.0.1", servername: "localhost", port, path: url, agent: false, ...options },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part: string) => (text += part));
        answer.on("end", () => {
          resolve(`${String(answer.statusCode)} ${text}`);
        });
      },
    );
    asked.on("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
    asked.end(options.method === "PUT" ? "value" : undefined);
  });
}

/** True when a command is answered. */
async function isServed(client: WireClient): Promise<boolean> {
  return JSON.stringify(await client.ask("PING")) === JSON.stringify({ simple: "PONG" });
}

describe.runIf(canMakeCertificates)("TLS for clients", () => {
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "plogdb-tls-"));
    made = new Certificates(home);
    for (const name of ["ca", "other"]) made.authority(name);
    for (const name of ["node", "client"]) made.certificate(name, "ca");
    made.certificate("stranger", "other");
    made.certificate("expired", "ca", { days: 0 });
  });
  afterAll(() => {
    rmSync(home, { recursive: true });
  });

  it("speaks 1.3 with those who trust its authority, and nothing older, and no plain text", async () => {
    const { connect } = await startTestServer({}, 1, { tls: files("node") });
    const client = connect({ ca: bytes("ca.crt") });
    expect(await client.ask("SET", "k", "v".repeat(100_000))).toEqual({ simple: "OK" });
    expect(await client.ask("GET", "k")).toEqual({ bulk: "v".repeat(100_000) });
    expect(await isServed(connect({ ca: bytes("ca.crt"), maxVersion: "TLSv1.2" }))).toBe(false);
    expect(await isServed(connect({ ca: bytes("other.crt") }))).toBe(false); // that client would not trust the node
    const plain = connect();
    plain.raw("PING\r\n");
    await plain.untilEnded();
    expect(await isServed(connect({ ca: bytes("ca.crt") }))).toBe(true);
  });

  it("asks clients for a certificate of its authority, and refuses others, expired ones and none", async () => {
    const { connect } = await startTestServer({}, 1, { tls: files("node", "ca") });
    const as = (name: string) => ({ ca: bytes("ca.crt"), cert: bytes(`${name}.crt`), key: bytes(`${name}.key`) });
    expect(await isServed(connect(as("client")))).toBe(true);
    expect(await isServed(connect(as("stranger")))).toBe(false);
    expect(await isServed(connect(as("expired")))).toBe(false);
    expect(await isServed(connect({ ca: bytes("ca.crt") }))).toBe(false);
    expect(await isServed(connect(as("client")))).toBe(true);
  });

  it("takes new certificates without a restart; connections that are there stay", async () => {
    const { connect, server } = await startTestServer({}, 1, { tls: files("node") });
    const before = connect({ ca: bytes("ca.crt") });
    expect(await isServed(before)).toBe(true);
    expect(() => {
      server.reload({ ...testConfig(), tls: { ...files("node"), key: path("client.key") } });
    }).toThrow(OpenError);
    expect(await isServed(connect({ ca: bytes("ca.crt") }))).toBe(true);
    server.reload({ ...testConfig(), tls: files("stranger") });
    expect(await isServed(connect({ ca: bytes("ca.crt") }))).toBe(false);
    expect(await isServed(connect({ ca: bytes("other.crt") }))).toBe(true);
    expect(await isServed(before)).toBe(true);
  });

  it("is spoken on the HTTP port, with those who have a certificate where one is asked for, under any name", async () => {
    const { server } = await startTestServer({}, 1, { httpTls: files("node", "ca") });
    const port = server.http?.port ?? 0;
    const as = (name: string) => ({ ca: bytes("ca.crt"), cert: bytes(`${name}.crt`), key: bytes(`${name}.key`) });
    expect(await fetchText(port, "/livez", as("client"))).toBe("200 ok\n");
    expect(await fetchText(port, "/metrics", as("client"))).toMatch(/^200 # HELP/);
    const named = { ...as("client"), headers: { host: `n1.example:${String(port)}` } };
    expect(await fetchText(port, "/v1/keys/k", { ...named, method: "PUT" })).toMatch(/^200 .*"version":1/);
    expect(await fetchText(port, "/v1/keys/k", named)).toBe("200 value");
    for (const stranger of [as("stranger"), as("expired"), { ca: bytes("ca.crt") }]) {
      expect(await fetchText(port, "/livez", stranger)).not.toMatch(/^\d/);
    }
    expect(await fetchText(port, "/livez", { ...as("client"), ca: bytes("other.crt") })).toMatch(/CERT|SIGNATURE/);
    expect(await fetchText(port, "/livez", { ...as("client"), maxVersion: "TLSv1.2" })).not.toMatch(/^\d/);
  });

  it("takes new certificates for the HTTP port too, and none of any port when one of them is wrong", async () => {
    const { connect, server } = await startTestServer({}, 1, { tls: files("node"), httpTls: files("node") });
    const port = server.http?.port ?? 0;
    const wrong = { ...files("node"), key: path("client.key") };
    expect(() => {
      server.reload({ ...testConfig(), tls: files("stranger"), httpTls: wrong });
    }).toThrow(/^httpTls: /);
    expect(() => {
      server.reload({ ...testConfig(), tls: files("node") });
    }).toThrow(/restart/);
    expect(await isServed(connect({ ca: bytes("ca.crt") }))).toBe(true);
    expect(await fetchText(port, "/livez", { ca: bytes("ca.crt") })).toBe("200 ok\n");
    server.reload({ ...testConfig(), tls: files("node"), httpTls: files("stranger") });
    expect(await fetchText(port, "/livez", { ca: bytes("other.crt") })).toBe("200 ok\n");
  });

  it("names the key when a file is not there, or is no certificate", async () => {
    const missing = startTestServer({}, 1, { tls: { ...files("node"), cert: path("nothing.crt") } });
    await expect(missing).rejects.toThrow(/^tls\.cert: .*nothing\.crt cannot be read \(ENOENT\)/);
    await expect(startTestServer({}, 1, { tls: { ...files("node"), key: path("extensions") } })).rejects.toThrow(
      /^tls: /,
    );
  });

  it("holds a bounded number of handshakes, and goes on serving", { timeout: 30_000 }, async () => {
    const { connect, server } = await startTestServer({ maxClients: 20 }, 1, { tls: files("node") });
    const client = connect({ ca: bytes("ca.crt") });
    expect(await isServed(client)).toBe(true);
    const silent = Array.from({ length: 400 }, () => connect());
    await Promise.all(silent.slice(300).map((one) => one.untilEnded()));
    expect(await isServed(client)).toBe(true);
    expect(server.client.port).toBeGreaterThan(0);
  });

  it.runIf(canTry)("is spoken by redis-cli", async () => {
    const { server } = await startTestServer({}, 1, { tls: files("node") });
    const words = ["--tls", "--cacert", path("ca.crt"), "-p", String(server.client.port)];
    // Not the synchronous call: this process is the server.
    const { execFile } = await import("node:child_process");
    const said = await new Promise<string>((resolve) => {
      execFile("redis-cli", [...words, "SET", "a", "b"], (_error, stdout, stderr) => {
        resolve(stdout + stderr);
      });
    });
    expect(said).toBe("OK\n");
  });
});
