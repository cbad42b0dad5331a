/**
 * One node as a child process: started, watched until it serves, stopped. Its stdin is a pipe that nobody writes to:
 * it ends when this process ends in whatever way, and the child stops then. Its stdout brings one ready line; its log
 * goes to a file.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EXIT, type ExitCode } from "./exit.js";
import type { LocalNode } from "./layout.js";

const COMMAND_FILE = fileURLToPath(new URL("./main.js", import.meta.url));
const MAX_LOG_BYTES = 16 * 2 ** 20;
const MAX_READY_BYTES = 64 * 1024;
const STOP_TIMEOUT_MS = 15_000;
const LOG_TAIL_LINES = 5;

/** What the node said about itself when it began to serve. */
export type ReadyLine = Readonly<Record<string, unknown>>;

/** How a child ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
}

export class NodeProcess {
  readonly node: LocalNode;
  readonly pid: number;
  /** Resolves when the process is gone, for whatever reason. */
  readonly ended: Promise<Ending>;
  /** Resolves with the ready line, or null when the process ended before it. */
  readonly ready: Promise<ReadyLine | null>;
  readonly #child: ChildProcess;
  /** Where the lines of this start begin in the log. */
  readonly #logStart: number;
  #ending: Ending | null = null;

  constructor(node: LocalNode) {
    this.node = node;
    rotateLog(node.logFile);
    const log = openSync(node.logFile, "a", 0o600);
    this.#logStart = fstatSync(log).size;
    const args = [COMMAND_FILE, "server", "--config", node.configFile, "--stop-with-stdin"];
    this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", log], env: withoutSettings(process.env) });
    closeSync(log);
    this.pid = this.#child.pid ?? -1;
    this.ended = new Promise((resolve) => {
      const finish = (code: number | null, signal: string | null): void => {
        this.#ending ??= { code, signal };
        resolve(this.#ending);
      };
      this.#child.on("exit", finish);
      this.#child.on("error", () => {
        finish(EXIT.failed, null); // could not be spawned at all
      });
    });
    this.#child.stdin?.on("error", () => undefined); // the child is gone; `ended` tells
    this.ready = this.#readReady();
  }

  get ending(): Ending | null {
    return this.#ending;
  }

  /** Asks it to stop and waits; after the time-out it is killed. True when it stopped by itself and cleanly. */
  async stop(): Promise<boolean> {
    if (this.#ending !== null) return true; // it had ended before, and was reported then
    this.#child.kill("SIGTERM");
    let forced = false;
    const timer = setTimeout(() => {
      forced = true;
      this.#child.kill("SIGKILL");
    }, STOP_TIMEOUT_MS);
    const { code, signal } = await this.ended;
    clearTimeout(timer);
    // A process that did not listen for signals yet ends by the first one; it had opened nothing.
    const early = signal === "SIGTERM" || signal === "SIGINT" || signal === "SIGHUP";
    return !forced && (code === EXIT.ok || early);
  }

  kill(): void {
    if (this.#ending === null) this.#child.kill("SIGKILL");
  }

  /** The last lines of its log since this start, as text for people. */
  logTail(): readonly string[] {
    if (!existsSync(this.node.logFile)) return [];
    const text = readFileSync(this.node.logFile).subarray(this.#logStart).toString("utf8");
    return text.trimEnd().split("\n").slice(-LOG_TAIL_LINES).map(logText);
  }

  async #readReady(): Promise<ReadyLine | null> {
    const { stdout } = this.#child;
    if (stdout === null) return null;
    const line = new Promise<ReadyLine | null>((resolve) => {
      let text = "";
      stdout.on("data", (chunk: Buffer) => {
        if (text.length > MAX_READY_BYTES) return; // keeps the pipe empty whatever comes
        text += chunk.toString("utf8");
        const end = text.indexOf("\n");
        if (end >= 0) resolve(parseReady(text.slice(0, end)));
      });
    });
    return Promise.race([line, this.ended.then(() => null)]);
  }
}

/** How an ending reads: "exit code 3" or "signal SIGKILL". */
export function describeEnding(ending: Ending): string {
  return ending.signal === null ? `exit code ${String(ending.code)}` : `signal ${ending.signal}`;
}

/** A child's exit code as ours, when it is one of the contract. */
export function exitCodeOfEnding(ending: Ending | null): ExitCode {
  return Object.values(EXIT).find((code) => code !== EXIT.ok && code === ending?.code) ?? EXIT.failed;
}

/** Settings in the environment name one node; they must not reach three. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("PLOGDB_")));
}

function rotateLog(file: string): void {
  if (existsSync(file) && statSync(file).size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
}

function parseReady(line: string): ReadyLine | null {
  const parsed = parseObject(line);
  return parsed?.event === "ready" ? parsed : null;
}

function parseObject(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : null;
  } catch {
    return null; // not one of our lines
  }
}

function logText(line: string): string {
  const entry = parseObject(line);
  return typeof entry?.msg === "string" ? entry.msg : line;
}
