/**
 * Why a server or a node could not be opened, as one kind of error with a closed list of codes, whatever room it came
 * from. `exitCode` is the command's: 2 configuration, 3 data refused, 4 I/O.
 */
import { NodeError, type NodeErrorCode } from "../node/node-error.js";
import { type StoreOpenCode, StoreOpenError } from "../storage/open-error.js";

export type OpenErrorCode =
  /** The configuration cannot be used: an address that is taken or not ours, options that contradict each other. */
  | "CONFIG"
  /** Another process holds the data. */
  | "LOCKED"
  /** The data belongs to another cluster, node or version, or is no data of ours. */
  | "FOREIGN"
  /** What is on the disk is broken beyond what may be repaired unasked. */
  | "DAMAGED"
  /** The operating system or the device refused. */
  | "IO";

const EXIT_CODES: Readonly<Record<OpenErrorCode, 2 | 3 | 4>> = {
  CONFIG: 2,
  LOCKED: 3,
  FOREIGN: 3,
  DAMAGED: 3,
  IO: 4,
};

export class OpenError extends Error {
  override readonly name = "OpenError";
  readonly code: OpenErrorCode;
  readonly exitCode: 2 | 3 | 4;

  constructor(code: OpenErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.exitCode = EXIT_CODES[code];
  }
}

const FROM_NODE: Readonly<Record<NodeErrorCode, OpenErrorCode>> = {
  foreign: "FOREIGN",
  damaged: "DAMAGED",
  io: "IO",
  listen: "CONFIG",
};

const FROM_STORE: Readonly<Record<StoreOpenCode, OpenErrorCode>> = {
  locked: "LOCKED",
  foreign: "FOREIGN",
  "corrupt-superblock": "DAMAGED",
  "bad-size": "CONFIG",
  "bad-path": "CONFIG",
  "bad-options": "CONFIG",
  "no-access": "IO",
  "no-space": "IO",
  io: "IO",
  "no-addon": "IO",
};

/** The same failure as an OpenError; what is no operating error comes back as it is. */
export function asOpenError(error: unknown): Error {
  if (error instanceof NodeError) return new OpenError(FROM_NODE[error.code], error.message, error);
  if (error instanceof StoreOpenError) return new OpenError(FROM_STORE[error.code], error.message, error);
  return error instanceof Error ? error : new Error(String(error));
}

/** An address that could not be listened on. */
export function listenError(what: string, error: Error): OpenError {
  const code = "code" in error ? String(error.code) : "";
  if (code === "EADDRINUSE") {
    return new OpenError("CONFIG", `${what} is taken; stop who uses it or choose another port`, error);
  }
  if (code === "EADDRNOTAVAIL") return new OpenError("CONFIG", `${what} is no address of this machine`, error);
  return new OpenError(code === "EACCES" ? "CONFIG" : "IO", `${what} cannot be listened on: ${error.message}`, error);
}
