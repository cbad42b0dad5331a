/**
 * `plogdb server`: one node in this process, from configuration to a clean end. Stdout carries one ready line and
 * nothing else, stderr the log.
 */
import { destination, pino, stdTimeFunctions } from "pino";
import { ConfigError, type FlagValues, formatAddress, loadConfig } from "../cluster/index.js";
import { checkFiles, OpenError, openServer, type RunningServer } from "../server/index.js";
import { EXIT, type ExitCode } from "./exit.js";
import { exitNow, stopWithStdin, watchStopSignals } from "./stop-signal.js";

/** `plogdb server --check`: whether the configuration would be taken, certificates included; nothing is opened. */
export function checkServer(config: string, flags: FlagValues): ExitCode {
  checkFiles(loadConfig(config, process.env, flags));
  process.stdout.write(`${config} is complete and right\n`);
  return EXIT.ok;
}

export interface ServerOptions {
  readonly config: string;
  readonly stopWithStdin: boolean;
  readonly flags: FlagValues;
}

export async function runServer(options: ServerOptions): Promise<ExitCode> {
  const config = loadConfig(options.config, process.env, options.flags);
  const log = pino(
    { level: config.logLevel, base: { node: config.nodeId, pid: process.pid }, timestamp: stdTimeFunctions.isoTime },
    destination({ fd: process.stderr.fd, sync: true }),
  );
  let running: RunningServer | null = null;
  const reload = (): void => {
    try {
      running?.reload(loadConfig(options.config, process.env, options.flags));
      log.info("users and certificates are read anew; the rest of a configuration takes a restart");
    } catch (error) {
      if (!(error instanceof ConfigError || error instanceof OpenError)) throw error;
      log.error(`nothing is changed: ${error.message}`);
    }
  };
  const stop = watchStopSignals(exitNow, reload);
  if (options.stopWithStdin) stopWithStdin(stop);
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, `programmer error, the process ends: ${error.message}`);
    process.exit(EXIT.failed);
  });

  const opening = openServer(config, log);
  const server = await Promise.race([opening, stop.wanted.then(() => null)]);
  if (server === null) return stopWhileOpening(opening);
  running = server;
  const ready = {
    event: "ready",
    node: config.nodeId,
    pid: process.pid,
    ...server.facts,
    client: formatAddress(server.client),
    peer: formatAddress(config.peer),
    http: server.http === null ? null : formatAddress(server.http),
  };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  const reason = await Promise.race([stop.wanted, server.shutdownAsked, server.failed]);
  log.info({ reason: reason instanceof Error ? reason.message : reason }, "stopping");
  await server.close();
  if (reason instanceof Error) throw reason;
  log.info("stopped");
  return EXIT.ok;
}

/** Recovery cannot be broken off half way: it ends, then the store is closed. */
async function stopWhileOpening(opening: ReturnType<typeof openServer>): Promise<ExitCode> {
  const server = await opening;
  await server.close();
  return EXIT.ok;
}
