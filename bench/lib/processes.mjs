// Server processes of a benchmark: ports, start, end, and the CPU time that they used. Only processes that were started
// here are ever ended.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

/** Linux counts CPU time for /proc in hundredths of a second, on every architecture. */
const TICKS_PER_SECOND = 100;
const FIRST_PORT = 12_000;
const PORTS = 18_000;
const OUTPUT_KEPT = 16 * 1024;

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Free ports in one stretch, below those that the system gives to outgoing connections. */
export async function freePorts(count) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const first = FIRST_PORT + Math.floor(Math.random() * (PORTS - count));
    const ports = Array.from({ length: count }, (_, i) => first + i);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return ports;
  }
  throw new Error("no free ports");
}

const started = new Set();

/** Ends every server process that is still running. */
export async function endAll() {
  await Promise.all([...started].map((server) => server.end()));
}

export class ServerProcess {
  #child;
  #output = "";
  #running = true;
  #exited;

  constructor(command, args, cwd) {
    this.#child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    started.add(this);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (chunk) => {
        this.#output = (this.#output + chunk).slice(-OUTPUT_KEPT);
      });
    }
    this.#child.on("error", (error) => {
      this.#output += error.message;
      this.#running = false;
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once("close", () => {
        this.#running = false;
        resolve();
      });
    });
  }

  get running() {
    return this.#running;
  }

  get output() {
    return this.#output;
  }

  get pid() {
    return this.#child.pid;
  }

  /** Seconds of CPU, user and system, of all its threads so far. */
  cpuSeconds() {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** kill -9, and waits until it is gone. */
  async kill() {
    if (this.#running) this.#child.kill("SIGKILL");
    if (this.#running) await this.#exited;
  }

  async end() {
    if (this.#running) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    if (this.#running) await this.#exited;
    clearTimeout(timer);
  }
}

/** Asks again and again until `ready` is true; fails when a process ended or time is up. */
export async function waitUntil(what, processes, ready, timeoutMs = 30_000) {
  const deadline = performance.now() + timeoutMs;
  while (!(await ready())) {
    const ended = processes.find((process) => !process.running);
    if (ended !== undefined) throw new Error(`${what}: a process ended\n${ended.output}`);
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms\n${processes[0]?.output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
