/**
 * Every bound of the server with its value and what happens at it. Those that a configuration may set come from there;
 * the others are the same everywhere.
 */
import type { ServerConfig } from "../cluster/index.js";
import type { ParserLimits } from "./resp-parser.js";

export interface ServerLimits {
  /** Longest key. A longer one is refused with -ERR; 1 KiB to 64 KiB are sensible. */
  readonly maxKeyBytes: number;
  /** Longest value, as the engine's. A longer one is skipped while it arrives and refused with -ERR. */
  readonly maxValueBytes: number;
  readonly parser: ParserLimits;
  /** The same for a connection that has not yet said who it is, where users are configured. */
  readonly strangersParser: ParserLimits;
  /** Connections; one more is answered -ERR and closed. */
  readonly maxClients: number;
  /** Operations at the node over all connections; one more is answered -BUSY. */
  readonly maxInFlight: number;
  /** Bytes of values on their way to the node; a write beyond is answered -BUSY. */
  readonly maxInFlightBytes: number;
  /**
   * Received parts of unfinished commands over all connections; who goes beyond is closed with an error. The same again
   * for commands that wait for EXEC; one more is refused, and its transaction with it.
   */
  readonly maxPartialBytes: number;
  /** Replies that wait for a client which does not read: at the first bound nothing more is read from it, at the second it is closed. */
  readonly softOutputBytes: number;
  readonly maxOutputBytes: number;
  /** A connection that has never sent a whole command, or stops in the middle of one, or takes no reply, is closed after these. */
  readonly handshakeMs: number;
  readonly partialCommandMs: number;
  readonly stalledOutputMs: number;
  /** A connection without any command is closed after this, as Redis; 0 = never. CONFIG SET timeout changes it. */
  readonly idleMs: number;
  /** After the server's end of a connection is closed, the client's is waited for that long. */
  readonly lingerMs: number;
}

const MIB = 1024 * 1024;

export function limitsFrom(config: ServerConfig): ServerLimits {
  const { maxValueBytes } = config.storage;
  const { maxClients, maxPending, maxOutputBytes } = config.limits;
  return {
    maxKeyBytes: 16 * 1024,
    maxValueBytes,
    parser: {
      maxArguments: 128 * 1024,
      maxArgumentBytes: Math.max(maxValueBytes, 64 * 1024),
      maxCommandBytes: Math.max(64 * MIB, maxValueBytes + MIB),
    },
    strangersParser: { maxArguments: 10, maxArgumentBytes: 16 * 1024, maxCommandBytes: 64 * 1024 },
    maxClients,
    maxInFlight: maxPending,
    maxInFlightBytes: Math.max(256 * MIB, 2 * maxValueBytes),
    maxPartialBytes: Math.max(512 * MIB, 4 * maxValueBytes),
    softOutputBytes: Math.min(MIB, maxOutputBytes / 2),
    maxOutputBytes,
    handshakeMs: 60_000,
    partialCommandMs: 60_000,
    stalledOutputMs: 60_000,
    idleMs: 0,
    lingerMs: 5_000,
  };
}
