// A server on free ports over a service in memory, closed with its clients after each test.
import type { ConnectionOptions } from "node:tls";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import { decodeMap, type ServerConfig } from "../../src/cluster/index.js";
import { MapBoard } from "../../src/node/map-board.js";
import { limitsFrom, type ServerLimits } from "../../src/server/limits.js";
import { MapKeeper } from "../../src/server/map-keeper.js";
import { type OpenReplica, type RunningServer, startServer } from "../../src/server/server.js";
import { DEFAULT_MERGE, NO_SCRUB } from "../../src/storage/store.js";
import { NaiveService } from "./naive-service.js";
import { WireClient } from "./wire.js";

export const silent = pino({ level: "silent" });

export function testConfig(): ServerConfig {
  const local = (port: number) => ({ host: "127.0.0.1", port });
  return {
    clusterId: "test",
    nodeId: "n1",
    replica: 0,
    data: ["/nowhere"],
    listen: local(0),
    peer: local(1),
    http: local(0),
    nodes: [{ id: "n1", replica: 0, peer: local(1), client: local(2), zone: "a" }],
    placement: { groups: [{ number: 0, space: 0, members: ["n1"], first: 0, last: 16_383 }], digest: 0 },
    users: [],
    tls: null,
    httpTls: null,
    peerTls: null,
    storage: {
      sizeBytes: 2 ** 30,
      durability: "none",
      cacheBytes: 0,
      maxValueBytes: 1 << 20,
      merge: DEFAULT_MERGE,
      scrub: NO_SCRUB,
    },
    repair: { keysPerSecond: 20_000, bytesPerSecond: 64 * 2 ** 20, verifySeconds: 60 },
    timeouts: { requestMs: 3000 },
    limits: { maxClients: 100, maxPending: 4096, maxOutputBytes: 64 * 2 ** 20 },
    logLevel: "silent",
  };
}

export interface TestServer {
  readonly server: RunningServer;
  readonly service: NaiveService;
  connect(tls?: ConnectionOptions): WireClient;
}

/** The service as an opened replica. */
export function naiveReplica(service: NaiveService, { placement, nodeId }: ServerConfig): OpenReplica {
  return {
    service,
    map: new MapKeeper({ service, board: new MapBoard(decodeMap), placement, nodeId, log: silent }),
    facts: { ioMode: "memory" },
    failed: new Promise<never>(() => undefined),
    renewCertificates: () => undefined,
    close: () => Promise.resolve(),
  };
}

export async function startTestServer(
  limits: Partial<ServerLimits> = {},
  seed = 1,
  change: Partial<ServerConfig> = {},
): Promise<TestServer> {
  const config = { ...testConfig(), ...change };
  const service = new NaiveService(seed);
  const open = () => Promise.resolve(naiveReplica(service, config));
  const server = await startServer(config, silent, open, { ...limitsFrom(config), ...limits });
  const clients: WireClient[] = [];
  onTestFinished(async () => {
    service.release();
    for (const client of clients) client.close();
    await server.close();
  });
  const connect = (tls?: ConnectionOptions): WireClient => {
    const client = new WireClient(server.client.port, tls);
    clients.push(client);
    return client;
  };
  return { server, service, connect };
}
