// A real node (turn loop, lanes, identity) over a store in memory and real sockets, for tests of what stands on a node:
// quick to open, nothing on disk. Disks live as long as the test wants, so that a node can be opened again.
import { pino } from "pino";
import { Random } from "../../src/base/random.js";
import { decodeMap } from "../../src/cluster/index.js";
import { TcpTransport } from "../../src/net/tcp-transport.js";
import { SystemClock } from "../../src/node/clock.js";
import { MapBoard } from "../../src/node/map-board.js";
import { type OpenedReplica, SinkRelay, startReplica } from "../../src/node/open-replica.js";
import { MapKeeper } from "../../src/server/map-keeper.js";
import type { ReplicaSettings, RunningReplica } from "../../src/server/replica.js";
import { MemoryDisk, openMemoryStore } from "../../src/storage/index.js";

export function memoryOpener(disk: MemoryDisk): (settings: ReplicaSettings) => Promise<RunningReplica> {
  return (settings) =>
    new Promise((resolve, reject) => {
      const { clusterId, nodeId, peer } = settings;
      const nodes = settings.nodes.map(({ id, replica, peer: { host, port } }) => ({
        replica,
        nodeId: id,
        host,
        port,
      }));
      const board = new MapBoard(decodeMap);
      const self = settings.nodes.find((node) => node.id === nodeId)?.replica ?? 0;
      const random = new Random(self + 1);
      const relay = new SinkRelay();
      const store = openMemoryStore({ disk, nodeId, schedule: setImmediate }, relay);
      const transport = TcpTransport.alone({ self, nodes, listen: peer, random });
      const failed = new Promise<never>(() => undefined);
      const events = { onBorn: ignore, onFatal: ignore, onAlarm: ignore, onPeer: ignore };
      const facts = {
        clusterId,
        nodeId,
        nodes,
        epoch: 1,
        group: 0,
        placement: 0,
        requestMs: settings.timeouts.requestMs,
        events,
        map: board,
      };
      startReplica(facts, store, relay, transport, random, new SystemClock(), (error, opened) => {
        if (opened === null) {
          reject(error ?? new Error("the replica did not open"));
          return;
        }
        const { placement } = settings;
        const map = new MapKeeper({ service: opened.node, board, placement, nodeId, log: pino({ level: "silent" }) });
        map.start();
        const close = (): Promise<void> => {
          map.close();
          return closed(opened);
        };
        resolve({ service: opened.node, map, facts: {}, failed, renewCertificates: ignore, close });
      });
    });
}

/** A disk that nobody has written to, with a storage id of its own. */
export function freshDisk(number: number): MemoryDisk {
  return new MemoryDisk(String(number).padStart(32, "0"));
}

function ignore(): void {
  // Nobody looks at events here.
}

function closed(opened: OpenedReplica): Promise<void> {
  return new Promise((resolve) => {
    opened.node.close(resolve);
  });
}
