// Goal: the example server, the library's first user, does what its README says, and goes on while one of three is dead.
// Method: three processes of it as a reader would start them, on free ports, with small volumes in a temp dir.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePorts } from "../ports.js";

const SERVER = fileURLToPath(new URL("../../examples/kv-server/server.mjs", import.meta.url));

interface Example {
  readonly url: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

async function startThree(): Promise<readonly [Example, Example, Example]> {
  const directory = mkdtempSync(join(tmpdir(), "plogdb-example-"));
  const ports = await freePorts(3);
  const nodes = ports.map((port, index) => `n${String(index + 1)}=127.0.0.1:${String(port)}`).join(",");
  const children: Example[] = [];
  onTestFinished(async () => {
    for (const { child } of children) child.kill("SIGKILL");
    await Promise.all(children.map(({ ended }) => ended));
    rmSync(directory, { recursive: true, force: true });
  });
  const start = async (node: string): Promise<Example> => {
    const args = ["--node", node, "--nodes", nodes, "--data", join(directory, node), "--http", "0", "--size", "64MiB"];
    const child = spawn(process.execPath, [SERVER, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    let output = "";
    const url = new Promise<string>((resolve, reject) => {
      const look = (chunk: Buffer): void => {
        output += chunk.toString();
        const found = /serves (http:\/\/[^/]+)\//.exec(output);
        if (found?.[1] !== undefined) resolve(found[1]);
      };
      child.stdout.on("data", look);
      child.stderr.on("data", look);
      void ended.then(() => {
        reject(new Error(`the example ended: ${output}`));
      });
    });
    const example = { child, ended };
    children.push({ ...example, url: "" });
    return { ...example, url: await url };
  };
  return Promise.all([start("n1"), start("n2"), start("n3")]);
}

async function ask(server: Example, method: string, path: string, body?: string, headers: Record<string, string> = {}) {
  const request: RequestInit = { method, headers };
  if (body !== undefined) request.body = body;
  const response = await fetch(`${server.url}${path}`, request);
  return { status: response.status, etag: response.headers.get("etag"), text: await response.text() };
}

describe("the example server", () => {
  it("does what its README says, also with one of three dead", { timeout: 60_000 }, async () => {
    const [one, two, three] = await startThree();
    await expect
      .poll(async () => (await ask(one, "PUT", "/kv/greeting", "hello")).status, { timeout: 20_000 })
      .toBe(204);
    const first = await ask(two, "GET", "/kv/greeting");
    expect(first).toMatchObject({ status: 200, text: "hello" });
    const etag = first.etag ?? "";
    const match = { "If-Match": etag };
    expect((await ask(three, "PUT", "/kv/greeting", "hi", match)).status).toBe(204);
    expect((await ask(one, "PUT", "/kv/greeting", "no", match)).status).toBe(412);
    expect((await ask(one, "PUT", "/kv/greeting", "no", { "If-None-Match": "*" })).status).toBe(412);
    expect((await ask(one, "PUT", "/kv/new", "yes", { "If-None-Match": "*" })).status).toBe(204);
    expect((await ask(two, "POST", "/kv/visits/increment?by=2")).text).toBe("2\n");
    expect((await ask(two, "POST", "/kv/greeting/increment")).status).toBe(400);

    three.child.kill("SIGKILL");
    await three.ended;
    expect((await ask(one, "POST", "/kv/visits/increment")).text).toBe("3\n");
    expect(await ask(two, "GET", "/kv/greeting")).toMatchObject({ status: 200, text: "hi" });
    expect((await ask(two, "DELETE", "/kv/greeting")).status).toBe(204);
    expect((await ask(one, "GET", "/kv/greeting")).status).toBe(404);
    expect((await ask(one, "GET", "/nope")).status).toBe(404);

    one.child.kill("SIGTERM");
    expect(await one.ended).toBe(0);
  });
});
