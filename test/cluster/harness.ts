// Real node processes for the tests: started, killed with -9, restarted and cleaned up, in a temp dir of their own with
// small volumes. It knows the configuration's shape and the command's; nothing of what a test wants to show.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../ports.js";
import { RespClient, RespFailure } from "./resp-client.js";

export const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
export const LONG = process.env["PLOGDB_LONG"] === "1";
const POLL_MS = 20;
const START_TIMEOUT_MS = 30_000;
const MAX_STDERR = 64 * 1024;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until `ready` says yes; throws after `timeoutMs` with what `describe` tells. */
export async function until(
  what: string,
  ready: () => boolean | Promise<boolean>,
  timeoutMs = START_TIMEOUT_MS,
  describe: () => string = () => "",
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await ready())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${String(timeoutMs)} ms\n${describe()}`);
    await pause(POLL_MS);
  }
}

/** Where a node runs: its address, and the command that runs another one there, in place of itself. */
export interface Host {
  readonly address: string;
  readonly enter: readonly string[];
}

const LOOPBACK: Host = { address: "127.0.0.1", enter: [] };

/** A process of the plogdb command, its output kept. */
export class CommandProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stdout = "";
  stderr = "";
  exitCode: number | null = null;
  #running = true;

  constructor(args: readonly string[], cwd: string, host: Host = LOOPBACK) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PLOGDB_|npm_)/.test(name)));
    const [command = "", ...words] = [...host.enter, process.execPath, COMMAND, ...args];
    this.child = spawn(command, words, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout = (this.stdout + chunk.toString()).slice(-MAX_STDERR);
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-MAX_STDERR);
    });
    this.exited = new Promise((resolve) => {
      // "close" comes after the last of stdout and stderr was read.
      this.child.once("close", (code) => {
        this.#running = false;
        this.exitCode = code;
        resolve(code);
      });
    });
  }

  get running(): boolean {
    return this.#running;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#running) this.child.kill(signal);
    return this.exited;
  }
}

/** Runs the command to its end; one that goes on for longer than `timeoutMs` is killed and has no exit code. */
export async function runCommand(args: readonly string[], cwd: string, timeoutMs = 20_000): Promise<CommandProcess> {
  const run = new CommandProcess(args, cwd);
  const timer = setTimeout(() => {
    run.child.kill("SIGKILL");
  }, timeoutMs);
  await run.exited;
  clearTimeout(timer);
  return run;
}

export function tempDir(): string {
  return mkdtempSync(join(tmpdir(), "plogdb-cluster-"));
}

export interface NodePlan {
  readonly id: string;
  readonly host: Host;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly httpPort: number;
  readonly dataDir: string;
  readonly configFile: string;
}

/** One node of a cluster; `process` is its present or last process. */
export class ClusterNode {
  readonly plan: NodePlan;
  process: CommandProcess | null = null;
  readonly #cwd: string;

  constructor(plan: NodePlan, cwd: string) {
    this.plan = plan;
    this.#cwd = cwd;
  }

  get alive(): boolean {
    return this.process?.running === true;
  }

  /** Starts the process; does not wait for anything. */
  spawn(): CommandProcess {
    if (this.alive) throw new Error(`${this.plan.id} is running`);
    this.process = new CommandProcess(["server", "--config", this.plan.configFile], this.#cwd, this.plan.host);
    return this.process;
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    await this.process?.end("SIGKILL");
  }

  /** Waits until a strong read through this node is answered, which takes recovery, binding and a majority. */
  async serving(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const { id, host, clientPort } = this.plan;
    await until(
      `${id} serves`,
      async () => {
        if (!this.alive) throw new Error(`${id} ended with code ${String(this.process?.exitCode)}\n${this.describe()}`);
        const client = await RespClient.connect(clientPort, host.address);
        const answer = await client?.call(["GET", "ready"], 5_000);
        client?.close();
        if (answer?.status !== "reply") return false;
        if (!(answer.value instanceof RespFailure)) return true;
        // The key is another group's: then this node says of itself that it serves its own.
        return answer.value.prefix === "MOVED" && (await this.info()).get("state") === "serving";
      },
      timeoutMs,
      () => this.describe(),
    );
  }

  async connect(): Promise<RespClient> {
    const client = await RespClient.connect(this.plan.clientPort, this.plan.host.address);
    if (client === null) throw new Error(`cannot connect to ${this.plan.id}\n${this.describe()}`);
    return client;
  }

  /** INFO's fields as numbers where they are numbers. */
  async info(): Promise<Map<string, string>> {
    const client = await this.connect();
    const text = await client.must("INFO", "everything");
    if (typeof text !== "string") throw new Error("INFO answers with text");
    client.close();
    const fields = new Map<string, string>();
    for (const line of text.split("\r\n")) {
      const colon = line.indexOf(":");
      if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
    }
    return fields;
  }

  describe(): string {
    return `--- ${this.plan.id} stderr ---\n${this.process?.stderr ?? "(never started)"}`;
  }
}

export interface ClusterOptions {
  readonly nodes?: number;
  /** YAML of the storage section's value. */
  readonly storage?: string;
  /** More lines for every node's file. */
  readonly extra?: string;
  /** Where the nodes run; default: all on the loopback. */
  readonly hosts?: readonly Host[];
}

export class Cluster {
  readonly dir: string;
  readonly nodes: readonly ClusterNode[];

  private constructor(dir: string, nodes: readonly ClusterNode[]) {
    this.dir = dir;
    this.nodes = nodes;
  }

  /** Writes directories and configurations of a new cluster; starts nothing. */
  static async plan(options: ClusterOptions = {}): Promise<Cluster> {
    const count = options.nodes ?? 3;
    const dir = tempDir();
    const ports = await freePorts(3 * count);
    const plans = Array.from({ length: count }, (_, i): NodePlan => {
      const id = `n${String(i + 1)}`;
      const port = (offset: number): number => ports[offset * count + i] ?? 0;
      const dataDir = join(dir, id);
      mkdirSync(dataDir);
      const configFile = join(dir, `${id}.yaml`);
      const host = options.hosts?.[i] ?? LOOPBACK;
      return { id, host, clientPort: port(0), peerPort: port(1), httpPort: port(2), dataDir, configFile };
    });
    for (const plan of plans) writeFileSync(plan.configFile, configText(plan, plans, options));
    return new Cluster(
      dir,
      plans.map((plan) => new ClusterNode(plan, dir)),
    );
  }

  /** A new cluster, every node serving. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    if (!existsSync(COMMAND)) throw new Error(`${COMMAND} is missing: npm run build`);
    const cluster = await Cluster.plan(options);
    try {
      await cluster.startAll();
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
    return cluster;
  }

  async startAll(): Promise<void> {
    for (const node of this.nodes) if (!node.alive) node.spawn();
    await Promise.all(this.nodes.map((node) => node.serving()));
  }

  node(index: number): ClusterNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`no node ${String(index)}`);
    return node;
  }

  /** kill -9 of all at once. */
  async killAll(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  describe(): string {
    return this.nodes.map((node) => node.describe()).join("\n");
  }

  /** Ends every process and removes the directory. */
  async destroy(): Promise<void> {
    await this.killAll();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Runs `body` with a new cluster; when it fails, the nodes' stderr goes with the error. */
export async function withCluster(options: ClusterOptions, body: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await Cluster.start(options);
  try {
    await body(cluster);
  } catch (error) {
    console.error(cluster.describe());
    throw error;
  } finally {
    await cluster.destroy();
  }
}

function configText(plan: NodePlan, all: readonly NodePlan[], options: ClusterOptions): string {
  const lines = [
    "cluster: test",
    `node: ${plan.id}`,
    `data: [./${plan.id}]`,
    `listen: ${plan.host.address}:${String(plan.clientPort)}`,
    `peer: ${plan.host.address}:${String(plan.peerPort)}`,
    `http: ${plan.host.address}:${String(plan.httpPort)}`,
    "nodes:",
    ...all.map(
      ({ id, host: { address }, peerPort, clientPort }, i) =>
        `  ${id}: { peer: ${address}:${String(peerPort)}, client: ${address}:${String(clientPort)}, zone: ${"abc"[i % 3] ?? ""} }`,
    ),
    `storage: ${options.storage ?? "{ size: 256MiB, durability: flush }"}`,
    options.extra ?? "",
  ];
  return `${lines.join("\n")}\n`;
}
