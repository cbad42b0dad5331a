// A server for client tests: real nodes over stores in memory behind real ports, as many as the test wants, each closed
// at its end.
import { createServer } from "node:net";
import { onTestFinished } from "vitest";
import type { ServerConfig } from "../../src/cluster/index.js";
import { type RunningServer, startServer } from "../../src/server/server.js";
import { silent, testConfig } from "../server/harness.js";
import { freshDisk, memoryOpener } from "../server/memory-replica.js";

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const taker = createServer();
    taker.listen(0, "127.0.0.1", () => {
      const address = taker.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      taker.close(() => {
        resolve(port);
      });
    });
  });
}

/** One node that is a cluster of its own. */
export async function startSingle(): Promise<RunningServer> {
  const peer = { host: "127.0.0.1", port: await freePort() };
  const config: ServerConfig = {
    ...testConfig(),
    peer,
    nodes: [{ id: "n1", replica: 0, peer, client: peer, zone: "a" }],
  };
  const server = await startServer(config, silent, memoryOpener(freshDisk(1)));
  onTestFinished(() => server.close());
  return server;
}
