// Goal: what an operator does to let some in and keep others out works as docs/operations.md says, on real processes. Method: one node
// with users and TLS, certificates made by openssl, the command itself.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { COMMAND, CommandProcess, until } from "../cluster/harness.js";
import { freePorts } from "../ports.js";

const canMake = spawnSync("openssl", ["version"]).status === 0;

let home = "";
let server: CommandProcess | null = null;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plogdb-access-"));
});
afterEach(async () => {
  await server?.end("SIGKILL");
  server = null;
  rmSync(home, { recursive: true });
});

function hashOf(password: string): string {
  const words = [COMMAND, "hash-password"];
  return execFileSync(process.execPath, words, { input: `${password}\n`, encoding: "latin1" }).trim();
}

function certificate(): void {
  const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=n1";
  const out = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "n1.key", "-out", "n1.crt"];
  execFileSync("openssl", [...words.split(" "), ...out], { cwd: home, stdio: "pipe" });
}

async function run(...words: string[]): Promise<{ code: number | null; text: string }> {
  const command = new CommandProcess(words, home);
  const code = await command.exited;
  return { code, text: command.stdout + command.stderr };
}

describe.runIf(canMake)("a node with users and TLS", () => {
  it("is checked, serves who may, is asked by operators, and takes other users on SIGHUP", {
    timeout: 60_000,
  }, async () => {
    certificate();
    const [client, peer] = await freePorts(2);
    const file = join(home, "n1.yaml");
    const configure = (password: string): void => {
      writeFileSync(
        file,
        `cluster: demo
node: n1
data: [./data]
listen: 127.0.0.1:${String(client)}
peer: 127.0.0.1:${String(peer)}
nodes: { n1: { peer: 127.0.0.1:${String(peer)}, client: 127.0.0.1:${String(client)} } }
storage: { size: 64MiB }
users: { ops: { role: admin, password: "${hashOf(password)}" } }
tls: { cert: n1.crt, key: n1.key }
`,
      );
    };
    configure("first");
    expect(await run("server", "--check", "--config", file)).toMatchObject({
      code: 0,
      text: expect.stringContaining("right") as string,
    });
    const running = new CommandProcess(["server", "--config", file], home);
    server = running;
    await until("the node is ready", () => running.stdout.includes('"event":"ready"'));
    const asOps = (password: string): string[] => {
      writeFileSync(join(home, "password"), `${password}\n`);
      return ["--user", "ops", "--password-file", join(home, "password"), "--config", file, "--json"];
    };
    const status = await run("cluster", "status", ...asOps("first"));
    expect(status).toMatchObject({ code: 0, text: expect.stringContaining('"mode":"voter"') as string });
    const stranger = await run("cluster", "status", "--config", file, "--json");
    expect(stranger).toMatchObject({ code: 1, text: expect.stringContaining("NOAUTH") as string });

    configure("second");
    running.child.kill("SIGHUP");
    await until("users are read anew", () => running.stderr.includes("read anew"));
    expect((await run("cluster", "status", ...asOps("first"))).text).toContain("WRONGPASS");
    expect(await run("verify", "--now", ...asOps("second"))).toMatchObject({ code: 0 });

    writeFileSync(file, "users: nonsense");
    running.child.kill("SIGHUP");
    await until("the mistake is told", () => running.stderr.includes("nothing is changed"));
    configure("second");
    expect((await run("cluster", "status", ...asOps("second"))).code).toBe(0);
    running.child.kill("SIGTERM");
    expect(await running.exited).toBe(0);
  });

  it("a mistake in the files of TLS is told by --check, with the key", async () => {
    const file = join(home, "n1.yaml");
    writeFileSync(
      file,
      "cluster: demo\nnode: n1\ndata: [./data]\nlisten: 127.0.0.1:7001\npeer: 127.0.0.1:7101\n" +
        "nodes: { n1: { peer: 127.0.0.1:7101, client: 127.0.0.1:7001 } }\ntls: { cert: n1.crt, key: n1.key }\n",
    );
    const { code, text } = await run("server", "--check", "--config", file);
    expect(code).toBe(2);
    expect(text).toMatch(/tls\.cert: .*n1\.crt cannot be read \(ENOENT\)/);
  });

  it("no password is no hash", () => {
    const done = spawnSync(process.execPath, [COMMAND, "hash-password"], { input: "\n", encoding: "latin1" });
    expect(done).toMatchObject({ status: 2, stdout: "" });
  });
});
