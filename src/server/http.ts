/**
 * The HTTP port, for machines that watch: is the process alive, can it serve, what do its counters say; one page of plain
 * text for people; and the keys, for people without a Redis client (http-keys.ts).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Logger } from "pino";
import type { Address, TlsFiles } from "../cluster/index.js";
import type { GroupStats } from "../node/index.js";
import { HttpKeys, KEYS_PATH } from "./http-keys.js";
import { infoText } from "./info.js";
import { listenOn } from "./listener.js";
import { metricsText } from "./metrics.js";
import type { ServerContext } from "./server-context.js";
import { secureOptions, serverOptions } from "./tls.js";

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 256;
const LIMITS = {
  requestTimeout: REQUEST_TIMEOUT_MS,
  headersTimeout: REQUEST_TIMEOUT_MS,
  maxHeaderSize: 8 * 1024,
} as const;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export class HttpListener {
  readonly #context: ServerContext;
  readonly #server: Server | TlsServer;
  #secure: TlsServer | null = null;
  readonly #keys: HttpKeys;

  /** Throws an OpenError. */
  constructor(context: ServerContext, log: Logger) {
    this.#context = context;
    this.#keys = new HttpKeys(context);
    const respond = (request: IncomingMessage, response: ServerResponse): void => {
      this.#respond(request, response);
    };
    const { httpTls } = context.config;
    if (httpTls === null) this.#server = createServer(LIMITS, respond);
    else {
      const secure = createTlsServer({ ...LIMITS, ...serverOptions("httpTls", httpTls) }, respond);
      secure.on("tlsClientError", (error, socket) => {
        context.counters.failedHandshakes++;
        log.debug({ client: socket.remoteAddress }, `http: no TLS: ${error.message}`);
        socket.destroy();
      });
      this.#secure = secure;
      this.#server = secure;
    }
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** New certificates for who connects from now on. Throws an OpenError. */
  renewCertificates(files: TlsFiles): void {
    this.#secure?.setSecureContext(secureOptions("httpTls", files));
  }

  async listen(address: Address): Promise<Address> {
    return { host: address.host, port: await listenOn(this.#server, address, "http") };
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    if (request.url?.startsWith(KEYS_PATH) === true) {
      void this.#keys.respond(request, response);
      return;
    }
    request.resume();
    const { status, type, text } = this.#answer(request);
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
    response.end(request.method === "HEAD" ? "" : text);
  }

  #answer(request: IncomingMessage): Answer {
    if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "only GET and HEAD\n");
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    switch (path) {
      case "/livez":
        return plain(200, "ok\n");
      case "/readyz":
        return readiness(
          this.#context,
          query.split("&").some((word) => word === "verbose" || word.startsWith("verbose=")),
        );
      case "/metrics":
        return { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", text: metricsText(this.#context) };
      case "/":
        return plain(200, frontPage(this.#context));
      default:
        return plain(404, "there are /, /livez, /readyz?verbose, /metrics and /v1/keys/NAME\n");
    }
  }
}

function plain(status: number, text: string): Answer {
  return { status, type: "text/plain; charset=utf-8", text };
}

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

function checks(context: ServerContext): readonly Check[] {
  const stats = context.service?.stats();
  if (stats === undefined) return [{ name: "recovery", ok: false, detail: "the data is being recovered" }];
  const waiting = stats.waitingFor.length > 0 ? `, waits for ${stats.waitingFor.join(", ")}` : "";
  return [
    { name: "recovery", ok: stats.state !== "loading", detail: stats.state === "loading" ? "not done" : "done" },
    { name: "node", ok: stats.state === "serving", detail: `${stats.state}${waiting}` },
    ...(context.service?.groupStats() ?? []).map((one) => quorumOf(one, context.config.placement.groups.length > 1)),
  ];
}

function quorumOf({ group, stats }: GroupStats, isOneOfMany: boolean): Check {
  const reached = stats.peers.filter((peer) => peer.state === "self" || peer.state === "connected").length;
  const needed = Math.floor(stats.peers.length / 2) + 1;
  return {
    name: isOneOfMany ? `quorum of group ${String(group)}` : "quorum",
    ok: reached >= needed,
    detail: `${String(reached)} of ${String(stats.peers.length)} nodes reached, ${String(needed)} needed`,
  };
}

/** 200 when clients can be served; ?verbose shows one line for each thing that is looked at. */
function readiness(context: ServerContext, verbose: boolean): Answer {
  const all = checks(context);
  const ready = all.every((check) => check.ok);
  const lines = all.map((check) => `[${check.ok ? "+" : "-"}] ${check.name}: ${check.detail}\n`);
  return plain(ready ? 200 : 503, `${verbose ? lines.join("") : ""}${ready ? "ready" : "not ready"}\n`);
}

function frontPage(context: ServerContext): string {
  const { config } = context;
  const head = `plogdb node ${config.nodeId} of cluster ${config.clusterId}\n\n`;
  const info = infoText(context, ["server", "clients", "stats", "plogdb"]).replaceAll("\r\n", "\n");
  const paths = "\n/livez  /readyz?verbose  /metrics  /v1/keys/NAME\n";
  return `${head}${readiness(context, true).text}\n${info}${paths}`;
}
