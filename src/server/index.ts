/**
 * The server: one node of a cluster behind a Redis port. A command goes from connection.ts (bytes, phases) through
 * resp-parser.ts and dispatch.ts to its handler (commands-*.ts, listed in commands.ts), from there through pipeline.ts
 * to the node, and its outcome through replies.ts and reply-writer.ts back to the socket. Replies keep the order of the
 * commands; no operation costs a promise or a closure; every bound is in limits.ts.
 *
 * What a client can rely on: `-UNKNOWN` says that the outcome of a write is not known; every other error says that it
 * was not applied and never will be. MSET and DEL are not atomic across keys; MULTI to EXEC is, on one key.
 *
 * Left out so far: the console. docs/commands.md is made from the list of commands.
 */
import type { Logger } from "pino";
import type { ServerConfig } from "../cluster/index.js";
import { openRunningReplica } from "./replica.js";
import { type RunningServer, startServer } from "./server.js";

export { OpenError, type OpenErrorCode } from "./open-error.js";
export type { ReplicaFacts } from "./replica.js";
export type { RunningServer } from "./server.js";
export { checkFiles } from "./tls.js";

/** Opens the replica of a configuration and serves it. Rejects with an OpenError; nothing is left open then. */
export function openServer(config: ServerConfig, log: Logger): Promise<RunningServer> {
  return startServer(config, log, openRunningReplica);
}
