/**
 * Goal: two nodes that can talk to each other do so in the end, whatever becomes of the connections on which they bound each
 * other (P29). Method: the simulated cluster with disks and links that are slow enough to hit a moment.
 */
import { describe, expect, it } from "vitest";
import { QUIET, SimulatedCluster } from "../../src/sim/cluster.js";

describe("binding a peer", () => {
  it("is heard on a new connection though the record for the old one becomes durable meanwhile", () => {
    // Found by the swarm (seed 202002): a peer came in a new incarnation, the connection was replaced while its binding was on its way
    // to the disk, and the peer's word on the new connection fell between the two records. It was thrown away, and the two nodes
    // never spoke again.
    const cluster = new SimulatedCluster({
      ...QUIET,
      seed: 7,
      network: { leastDelayUs: 30_000, mostDelayUs: 30_000, slowChance: 0, slowUs: 1 },
      leastFlushUs: 50_000,
      mostFlushUs: 50_000,
    });
    cluster.startAll();
    expect(cluster.runUntilServing(10_000)).toBe(true);
    cluster.kill(2);
    cluster.start(2);
    const stateAt = (replica: number): string | undefined => cluster.opened(replica)?.stats().peers[2 - replica]?.state;
    // With the process that runs now: the end of the old one is heard of late.
    const isConnected = (): boolean => (cluster.network.ends()[2]?.connectionWith(0) ?? null) !== null;
    cluster.time.runUntil(cluster.time.nowUs + 1_000_000, isConnected);
    expect(isConnected()).toBe(true);
    cluster.run(10); // the record of the new incarnation takes 50 ms
    cluster.network.halfOpen(2, 0, 1);
    cluster.run(3000);
    expect([stateAt(0), stateAt(2)]).toEqual(["connected", "connected"]);
    cluster.end();
  });
});
