// Runs the compiled command as a user would, and waits for what it says. Needs dist/ (npm run build); npm test builds it.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePorts } from "../ports.js";

export const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export type Event = Readonly<Record<string, unknown>> & { readonly event?: string };

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command under way, its JSON lines as they come. */
export class RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";
  readonly #waiting = new Set<() => void>();

  constructor(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const env = { ...process.env, npm_lifecycle_event: undefined, ...environment };
    this.child = spawn(process.execPath, [COMMAND, ...words], { stdio: ["ignore", "pipe", "pipe"], env });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString("utf8");
      for (const look of this.#waiting) look();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString("utf8");
    });
    this.ended = new Promise((resolve) => {
      this.child.on("close", (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
        for (const look of this.#waiting) look();
      });
    });
  }

  events(): readonly Event[] {
    return this.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Event); // our own output, checked by the claims that read it
  }

  /** The first event of that name; fails when the command ends without it. */
  event(name: string): Promise<Event> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.events().find((one) => one.event === name);
        const over = this.child.exitCode !== null || this.child.signalCode !== null;
        if (found === undefined && !over) return;
        this.#waiting.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`ended without the event ${name}:\n${this.stdout}\n${this.stderr}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

export function runCommand(words: readonly string[]): Promise<Ended> {
  return new RunningCommand(words).ended;
}

/** A base port whose whole plan (client, peer and HTTP ports, see planCluster) is free. */
export async function freeBasePort(): Promise<number> {
  const [first = 0] = await freePorts(210);
  return first - 1;
}

/** Waits until `condition` holds; the test's own time-out is the bound. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

/** False for a process that ended and waits for its parent to notice (a zombie). */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false; // no such process
  }
}
