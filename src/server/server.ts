/**
 * One server from its opening to its end: the RESP port, the HTTP port and the replica behind them. The ports answer
 * before the data is there (-LOADING, /livez), so that whoever starts it can see it start. It does not know how a
 * replica is made: it is handed a way to open one.
 */
import type { Logger } from "pino";
import type { Address, ServerConfig } from "../cluster/index.js";
import { formatAddress } from "../cluster/index.js";
import type { KeyService } from "../node/service.js";
import { CommandTable } from "./command-table.js";
import { COMMANDS } from "./commands.js";
import { HttpListener } from "./http.js";
import { limitsFrom, type ServerLimits } from "./limits.js";
import { RespListener } from "./listener.js";
import { OpenError } from "./open-error.js";
import type { ReplicaFacts, RunningReplica } from "./replica.js";
import { ServerContext } from "./server-context.js";
import { checkFiles } from "./tls.js";

/** The replica as a server needs it. */
export type OpenReplica = Pick<RunningReplica, "map" | "facts" | "failed" | "renewCertificates" | "close"> & {
  readonly service: KeyService;
};

/** Opens the replica of a configuration. Rejects with an OpenError. */
export type ReplicaOpener = (config: ServerConfig, log: Logger) => Promise<OpenReplica>;

export interface RunningServer {
  /** Where clients are really listened for. */
  readonly client: Address;
  readonly http: Address | null;
  readonly facts: ReplicaFacts;
  /** Resolves, perhaps never, with why the node had to stop by itself: its disk failed, or turned out to have forgotten. */
  readonly failed: Promise<OpenError>;
  /** Resolves, perhaps never, when a client said SHUTDOWN; who opened the server is to close it. */
  readonly shutdownAsked: Promise<string>;
  /** What of another configuration may change while it runs: users, and certificates. Throws an OpenError, and nothing changed. */
  reload(config: ServerConfig): void;
  /** Answers what is pending, closes ports and replica. May be called twice. */
  close(): Promise<void>;
}

export async function startServer(
  config: ServerConfig,
  log: Logger,
  open: ReplicaOpener,
  limits: ServerLimits = limitsFrom(config),
): Promise<RunningServer> {
  const context = new ServerContext(config, limits, new CommandTable(COMMANDS));
  const shutdownAsked = new Promise<string>((resolve) => {
    context.shutdown = () => {
      resolve("a client said SHUTDOWN");
    };
  });
  const resp = new RespListener(context, log);
  const http = config.http === null ? null : new HttpListener(context, log);
  const client = await resp.listen(config.listen);
  context.port = client.port;
  let httpAddress: Address | null = null;
  let replica: OpenReplica;
  try {
    if (http !== null && config.http !== null) httpAddress = await http.listen(config.http);
    replica = await open(config, log);
  } catch (error) {
    await Promise.all([resp.close(), httpAddress === null ? undefined : http?.close()]);
    throw error;
  }
  context.service = replica.service;
  context.map = replica.map;
  context.feed.attach(replica.service);
  log.info({ client: formatAddress(client), ...replica.facts }, "serving clients");
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    context.feed.close(); // who waits on purpose would hold up the end
    await resp.close();
    await http?.close();
    await replica.close();
  };
  return {
    client,
    http: httpAddress,
    facts: replica.facts,
    failed: replica.failed,
    shutdownAsked,
    reload: ({ users, tls, httpTls, peerTls }) => {
      const isSwitched =
        (tls === null) !== (config.tls === null) ||
        (httpTls === null) !== (config.httpTls === null) ||
        (peerTls === null) !== (config.peerTls === null);
      if (isSwitched) throw new OpenError("CONFIG", "tls: TLS is switched on or off by a restart");
      checkFiles({ tls, httpTls, peerTls });
      if (peerTls !== null) replica.renewCertificates(peerTls);
      if (tls !== null) resp.renewCertificates(tls);
      if (httpTls !== null) http?.renewCertificates(httpTls);
      context.users.replace(users);
      resp.endStrangers();
    },
    close: () => (closing ??= close()),
  };
}
