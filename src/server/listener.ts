/**
 * The accept loop of the RESP port: takes connections up to their bound, sweeps out those that stopped, and ends all
 * of them in order. What is said on a connection is connection.ts's business.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { Logger } from "pino";
import type { Address, TlsFiles } from "../cluster/index.js";
import { formatAddress } from "../cluster/index.js";
import { Connection } from "./connection.js";
import { listenError } from "./open-error.js";
import type { ServerContext } from "./server-context.js";
import { secureOptions, serverOptions } from "./tls.js";

const BACKLOG = 1024;
const MOST_HANDSHAKES = 256;
const SWEEP_MS = 1000;
const KEEP_ALIVE_MS = 300_000;
/** How long pending requests may take at a clean end beyond their own time-out. */
const CLOSE_GRACE_MS = 1000;
/** A client that keeps its end open does not keep a closing server waiting. */
const CLOSING_SWEEP_MS = 50;
const CLOSING_LINGER_MS = 300;

export class RespListener {
  readonly #context: ServerContext;
  readonly #log: Logger;
  readonly #server: Server;
  #secure: TlsServer | null = null;
  readonly #connections = new Set<Connection>();
  #sweeper: NodeJS.Timeout | null = null;
  #nextId = 1;
  #onEmpty: (() => void) | null = null;

  constructor(context: ServerContext, log: Logger) {
    this.#context = context;
    this.#log = log;
    const { tls } = context.config;
    const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    if (tls === null) {
      this.#server = createServer(options);
      this.#server.on("connection", (socket) => {
        this.#accept(socket);
      });
      return;
    }
    const secure = createTlsServer({ ...options, ...serverOptions("tls", tls) });
    this.#secure = secure;
    this.#server = secure;
    secure.on("secureConnection", (socket) => {
      this.#accept(socket);
    });
    secure.on("tlsClientError", (error, socket) => {
      context.counters.failedHandshakes++;
      this.#log.debug({ client: socket.remoteAddress }, `no TLS with a client: ${error.message}`);
      socket.destroy();
    });
    // Those in the midst of a handshake are no connections of ours yet.
    secure.maxConnections = context.limits.maxClients + MOST_HANDSHAKES;
  }

  /** New certificates for who connects from now on. Throws an OpenError. */
  renewCertificates(files: TlsFiles): void {
    this.#secure?.setSecureContext(secureOptions("tls", files));
  }

  /** Connections whose user is not what it was when they came are closed. */
  endStrangers(): void {
    const { users } = this.#context;
    for (const connection of this.#connections) {
      const { user } = connection;
      if (user !== null && users.find(user.name) !== user) connection.destroy();
    }
  }

  /** Where it really listens, or an OpenError. */
  async listen(address: Address): Promise<Address> {
    const port = await listenOn(this.#server, address, "listen");
    this.#server.on("error", (error) => {
      this.#log.error({ err: error }, `accepting connections: ${error.message}`);
    });
    this.#sweepEvery(SWEEP_MS, this.#context.limits.lingerMs);
    return { host: address.host, port };
  }

  #sweepEvery(periodMs: number, lingerMs: number): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = setInterval(() => {
      this.#context.hotKeys.fade(performance.now());
      const nowMs = Date.now();
      this.#context.rates.look(this.#context.counters, nowMs);
      for (const connection of this.#connections) connection.sweep(nowMs, lingerMs);
    }, periodMs);
    this.#sweeper.unref();
  }

  #accept(socket: Socket): void {
    const context = this.#context;
    context.counters.connections++;
    if (this.#connections.size >= context.limits.maxClients) {
      context.counters.rejectedConnections++;
      socket.on("error", () => undefined); // it is sent away; how it goes does not matter
      socket.end("-ERR max number of clients reached\r\n");
      socket.destroySoon();
      return;
    }
    const connection = new Connection(this.#nextId++, socket, context, (gone) => {
      this.#connections.delete(gone);
      context.clients.delete(gone);
      context.monitors.delete(gone);
      context.feed.subscriptions.forget(gone);
      if (this.#connections.size === 0) this.#onEmpty?.();
    });
    this.#connections.add(connection);
    context.clients.add(connection);
  }

  /** No new connections and commands; what was taken is answered, then everything is closed. */
  async close(): Promise<void> {
    this.#sweepEvery(CLOSING_SWEEP_MS, CLOSING_LINGER_MS);
    const closed = new Promise<void>((resolve) =>
      this.#server.close(() => {
        resolve();
      }),
    );
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#connections.size === 0) resolve();
    });
    for (const connection of [...this.#connections]) connection.end();
    const graceMs = this.#context.config.timeouts.requestMs + CLOSE_GRACE_MS;
    const lastCall = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, graceMs);
    await empty;
    clearTimeout(lastCall);
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    await closed;
  }
}

/** Listens; the port that was taken, or an OpenError that names the key of the configuration. */
export function listenOn(server: Server, address: Address, key: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      reject(listenError(`${key}: ${formatAddress(address)}`, error));
    };
    server.once("error", failed);
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      server.off("error", failed);
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
    });
  });
}
