// Goal: what an operator does to let some in and keep others out works as docs/operations.md says, on real processes. Method: one node
// with users and TLS, certificates made by openssl, the command itself.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { COMMAND, CommandProcess, until } from "../cluster/harness.js";
import { canMakeCertificates, Certificates } from "../certificates.js";
import { RespClient } from "../cluster/resp-client.js";
import { freePorts } from "../ports.js";

let home = "";
let started: CommandProcess[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plogdb-access-"));
});
afterEach(async () => {
  await Promise.all(started.map((one) => one.end("SIGKILL")));
  started = [];
  rmSync(home, { recursive: true });
});

function hashOf(password: string): string {
  const words = [COMMAND, "hash-password"];
  return execFileSync(process.execPath, words, { input: `${password}\n`, encoding: "latin1" }).trim();
}

async function run(...words: string[]): Promise<{ code: number | null; text: string }> {
  const command = new CommandProcess(words, home);
  const code = await command.exited;
  return { code, text: command.stdout + command.stderr };
}

describe.runIf(canMakeCertificates)("a node with users and TLS", () => {
  it("is checked, serves who may, is asked by operators, and takes other users on SIGHUP", {
    timeout: 60_000,
  }, async () => {
    new Certificates(home).authority("n1");
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
    started.push(running);
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

describe.runIf(canMakeCertificates)("three nodes that speak TLS to each other", () => {
  it("serve, refuse one with another's certificate, and take it back with its own on SIGHUP", {
    timeout: 90_000,
  }, async () => {
    const made = new Certificates(home);
    made.authority("ca");
    const ids = ["n1", "n2", "n3"];
    for (const id of ids) made.certificate(id, "ca", { subject: `/O=demo/CN=${id}` });
    const ports = await freePorts(6);
    const nodes = ids.map(
      (id, i) => `${id}: { peer: 127.0.0.1:${String(ports[i + 3])}, client: 127.0.0.1:${String(ports[i])} }`,
    );
    const fileOf = (i: number): string => join(home, `${ids[i] ?? ""}.yaml`);
    const write = (i: number, certificate = ids[i] ?? ""): void => {
      const own = `listen: 127.0.0.1:${String(ports[i])}\npeer: 127.0.0.1:${String(ports[i + 3])}`;
      const tls = `peerTls: { cert: ${certificate}.crt, key: ${certificate}.key, ca: ca.crt }`;
      const head = `cluster: demo\nnode: ${ids[i] ?? ""}\ndata: [./${ids[i] ?? ""}]\n${own}\n`;
      writeFileSync(fileOf(i), `${head}nodes: { ${nodes.join(", ")} }\nstorage: { size: 64MiB }\n${tls}\n`);
    };
    const start = (i: number): CommandProcess => {
      const one = new CommandProcess(["server", "--config", fileOf(i)], home);
      started.push(one);
      return one;
    };
    for (const i of [0, 1, 2]) write(i);
    const processes = [start(0), start(1), start(2)];
    const ask = async (i: number, ...words: string[]): Promise<unknown> => {
      const client = await RespClient.connect(ports[i] ?? 0, "127.0.0.1");
      const answer = await client?.call(words, 5000);
      client?.close();
      return answer?.status === "reply" ? answer.value : answer?.status;
    };
    await until("the cluster serves", async () => (await ask(0, "SET", "k", "v")) === "OK");
    await until("through each", async () => (await ask(2, "GET", "k")) === "v");

    await processes[2]?.end("SIGTERM");
    write(2, "n2");
    const wrong = start(2);
    await until("it is refused", () => wrong.stderr.includes("comes with a certificate of"));
    expect(await ask(0, "SET", "k", "w")).toBe("OK"); // the other two are a majority
    expect(await ask(2, "GET", "k")).not.toBe("w");
    write(2);
    wrong.child.kill("SIGHUP");
    await until("it is heard again", async () => (await ask(2, "GET", "k")) === "w");
  });
});
