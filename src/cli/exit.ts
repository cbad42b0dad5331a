/**
 * How a command ends: five exit codes, and which error means which. Scripts branch on these numbers, so they are a
 * contract; the sentence beside them is for people.
 */
import { ConfigError } from "../cluster/index.js";

export const EXIT = { ok: 0, failed: 1, usage: 2, data: 3, io: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command that cannot go on, with the sentence for the user and the way it ends. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof ConfigError) return EXIT.usage;
  if (!(error instanceof Error)) return EXIT.failed;
  // Errors of opening a server, a node or a store say themselves how a command ends by them.
  if ("exitCode" in error) return Object.values(EXIT).find((code) => code === error.exitCode) ?? EXIT.failed;
  if (!("syscall" in error) || !("code" in error)) return EXIT.failed;
  // An address that is taken or not ours is a matter of configuration; everything else the system refuses is I/O.
  return error.code === "EADDRINUSE" || error.code === "EADDRNOTAVAIL" ? EXIT.usage : EXIT.io;
}

const EXIT_NAMES: Readonly<Record<ExitCode, string>> = { 0: "OK", 1: "FAILED", 2: "USAGE", 3: "DATA", 4: "IO" };

/** The error's code for machines, beside the exit code. */
export function errorCodeOf(error: unknown): string {
  if (error instanceof CommandError) return EXIT_NAMES[error.exitCode];
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.name : "unknown";
}
