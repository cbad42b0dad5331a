/**
 * How a command ends: five exit codes, and which error means which. Scripts branch on these numbers, so they are a
 * contract; the sentence beside them is for people.
 */
import { ConfigError } from "../cluster/index.js";
import { StoreOpenError, type StoreOpenCode } from "../storage/open-error.js";

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

const STORE_EXITS: Readonly<Record<StoreOpenCode, ExitCode>> = {
  locked: EXIT.data,
  foreign: EXIT.data,
  "corrupt-superblock": EXIT.data,
  "bad-size": EXIT.usage,
  "bad-path": EXIT.usage,
  "bad-options": EXIT.usage,
  "no-access": EXIT.io,
  "no-space": EXIT.io,
  io: EXIT.io,
  "no-addon": EXIT.failed,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof ConfigError) return EXIT.usage;
  if (error instanceof StoreOpenError) return STORE_EXITS[error.code];
  if (!(error instanceof Error)) return EXIT.failed;
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
