// A server for client tests: real nodes over stores in memory behind real ports, as many as the test wants, each closed
// at its end.
import { onTestFinished } from "vitest";
import type { ServerConfig } from "../../src/cluster/index.js";
import { type RunningServer, startServer } from "../../src/server/server.js";
import { freePort } from "../ports.js";
import { silent, testConfig } from "../server/harness.js";
import { freshDisk, memoryOpener } from "../server/memory-replica.js";

/** One node that is a cluster of its own. */
export async function startSingle(): Promise<RunningServer> {
  const peer = { host: "127.0.0.1", port: await freePort() };
  const config: ServerConfig = {
    ...testConfig(),
    peer,
    nodes: [{ id: "n1", replica: 0, peer, client: peer, zone: "a" }],
    placement: { groups: [{ number: 0, space: 0, members: ["n1"], first: 0, last: 16_383 }], digest: 0 },
  };
  const server = await startServer(config, silent, memoryOpener(freshDisk(1)));
  onTestFinished(() => server.close());
  return server;
}
