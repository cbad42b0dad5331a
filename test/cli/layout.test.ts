// Goal: a local cluster's directory is what was planned, and nothing that exists is broken by a next start. Method:
// temporary directories, no process.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lockDirectory } from "../../src/cli/directory-lock.js";
import { CommandError, EXIT, exitCodeOf } from "../../src/cli/exit.js";
import { planCluster, writeConfigs } from "../../src/cli/layout.js";
import { checkPorts } from "../../src/cli/ports.js";
import { OpenError } from "../../src/server/open-error.js";
import { ConfigError, loadConfig } from "../../src/cluster/index.js";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plogdb-layout-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** What a refusal says, and how the command ends by it. */
function refusal(act: () => unknown): { readonly exitCode: number; readonly message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return { exitCode: exitCodeOf(error), message: error.message };
  }
  throw new Error("it was not refused");
}

describe("the plan", () => {
  it("puts clients at P+1, peers at P+101, http at P+201 and so on", () => {
    const { nodes } = planCluster(directory, 3, 7000);
    expect(nodes.map((node) => [node.id, node.clientPort, node.peerPort, node.httpPort])).toEqual([
      ["n1", 7001, 7101, 7201],
      ["n2", 7002, 7102, 7202],
      ["n3", 7003, 7103, 7203],
    ]);
  });

  it.each([0, 2, 4, 17, -1, 1.5])("refuses %d nodes as usage", (count) => {
    expect(refusal(() => planCluster(directory, count, 7000))).toMatchObject({ exitCode: EXIT.usage });
  });

  it("refuses ports that do not exist", () => {
    expect(refusal(() => planCluster(directory, 3, 65_400)).message).toMatch(/use a number from 0 to 65332/);
  });
});

describe("the configuration files", () => {
  it("are complete, agree with each other, and only their owner reads them", () => {
    const plan = planCluster(directory, 3, 7000);
    writeConfigs(plan, "64MiB");
    const configs = plan.nodes.map((node) => loadConfig(node.configFile, {}, {}));
    expect(configs.map((config) => [config.nodeId, config.replica])).toEqual([
      ["n1", 0],
      ["n2", 1],
      ["n3", 2],
    ]);
    for (const config of configs) {
      expect(config.nodes).toEqual(configs[0]?.nodes);
      expect(config.storage).toMatchObject({ sizeBytes: 64 * 2 ** 20, durability: "flush" });
      expect(config.data).toEqual([join(directory, config.nodeId, "store")]);
    }
    expect(statSync(plan.nodes[0]?.configFile ?? "").mode & 0o777).toBe(0o600);
  });

  it("keep what was edited in them; a next start changes addresses only", () => {
    writeConfigs(planCluster(directory, 1, 7000), "64MiB");
    const file = join(directory, "n1", "plogdb.yaml");
    const edited = `${readFileSync(file, "utf8").replace("durability: flush", "durability: none")}timeouts: { requestMs: 700 } # mine\n`;
    writeFileSync(file, edited);
    writeConfigs(planCluster(directory, 1, 7000), undefined);
    expect(loadConfig(file, {}, {}).timeouts.requestMs).toBe(700);
    writeConfigs(planCluster(directory, 1, 8000), undefined);
    const config = loadConfig(file, {}, {});
    expect(config).toMatchObject({
      listen: { port: 8001 },
      timeouts: { requestMs: 700 },
      storage: { durability: "none" },
    });
    expect(config.nodes[0]).toMatchObject({ peer: { port: 8101 }, client: { port: 8001 } });
    expect(readFileSync(file, "utf8")).toContain("# mine");
  });

  it("are not turned into a cluster of another number of nodes", () => {
    writeConfigs(planCluster(directory, 3, 7000), "64MiB");
    const said = refusal(() => writeConfigs(planCluster(directory, 5, 7000), undefined));
    expect(said).toMatchObject({ exitCode: EXIT.data });
    expect(said.message).toMatch(/holds a cluster of the nodes n1, n2, n3; .* --nodes 3/);
  });

  it("keep their volume size: another one is refused", () => {
    writeConfigs(planCluster(directory, 1, 7000), "64MiB");
    expect(refusal(() => writeConfigs(planCluster(directory, 1, 7000), "128MiB"))).toMatchObject({
      exitCode: EXIT.usage,
    });
    writeConfigs(planCluster(directory, 1, 7000), "64MiB");
  });

  it("are refused with file and line when they were broken", () => {
    writeConfigs(planCluster(directory, 1, 7000), "64MiB");
    const file = join(directory, "n1", "plogdb.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace("node: n1", "node: [n1"));
    expect(() => writeConfigs(planCluster(directory, 1, 7000), undefined)).toThrow(ConfigError);
  });

  it("are not written for a size that has no meaning or no room", () => {
    expect(refusal(() => writeConfigs(planCluster(directory, 1, 7000), "big"))).toMatchObject({ exitCode: EXIT.usage });
    expect(refusal(() => writeConfigs(planCluster(directory, 1, 7000), "1MiB")).message).toMatch(/use at least 16MiB/);
    const said = refusal(() => writeConfigs(planCluster(directory, 3, 7000), "2000TiB"));
    expect(said).toMatchObject({ exitCode: EXIT.io });
    expect(said.message).toMatch(/free; 3 volumes of .* need .*: use a smaller --size/);
  });
});

describe("ports", () => {
  it("that are taken are named, with their use and a way out", async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    const check = checkPorts(planCluster(directory, 1, port - 101));
    await expect(check).rejects.toThrow(new RegExp(`port ${port} \\(peers of n1\\) is taken[^]*--base-port`));
    await expect(check).rejects.toMatchObject({ exitCode: EXIT.usage });
    server.close();
  });
});

describe("a directory", () => {
  it("is given back, and a file left by a process that is gone does not hold it", () => {
    lockDirectory(directory)();
    writeFileSync(join(directory, "cluster.pid"), "999999999\n");
    lockDirectory(directory)();
    writeFileSync(join(directory, "cluster.pid"), `${process.ppid}\n`); // alive, but no cluster
    lockDirectory(directory)();
  });
});

describe("exit codes", () => {
  it("follow from the kind of error", () => {
    const system = (code: string): Error => Object.assign(new Error(code), { code, syscall: "open" });
    expect(exitCodeOf(new CommandError(EXIT.data, ""))).toBe(3);
    expect(exitCodeOf(new ConfigError([]))).toBe(2);
    expect(exitCodeOf(system("EADDRINUSE"))).toBe(2);
    expect(exitCodeOf(system("EACCES"))).toBe(4);
    expect(exitCodeOf(new OpenError("DAMAGED", ""))).toBe(3);
    expect(exitCodeOf(new OpenError("LOCKED", ""))).toBe(3);
    expect(exitCodeOf(new OpenError("IO", ""))).toBe(4);
    expect(exitCodeOf(new Error("anything else"))).toBe(1);
    expect(exitCodeOf("text")).toBe(1);
  });
});
