/**
 * Opening this node's replica for the promise side of the house: settings become the options of src/node, its callback a
 * promise, its errors OpenErrors, its events lines of the log. Used by the server and by openNode alike.
 */
import type { Logger } from "pino";
import {
  BOOTSTRAP_GROUP,
  decodeMap,
  groupBySlot,
  groupsWith,
  type PeerTlsFiles,
  type ServerConfig,
  slotOfName,
} from "../cluster/index.js";
import { isUserKey, type Key } from "../base/key.js";
import type { GroupsOptions, KeyService, NodeEvents, OpenedGroups, OpenedReplica } from "../node/index.js";
import { MapBoard, openGroups, openReplica, type ReplicaOptions } from "../node/index.js";
import { MapKeeper } from "./map-keeper.js";
import { asOpenError, OpenError } from "./open-error.js";
import { peerTlsOf } from "./tls.js";

/** What of a configuration a replica needs. */
export type ReplicaSettings = Pick<
  ServerConfig,
  "clusterId" | "nodeId" | "data" | "peer" | "nodes" | "placement" | "storage" | "repair" | "timeouts" | "peerTls"
>;

/** Plain facts about an opened node, for ready lines and logs. */
export type ReplicaFacts = Readonly<Record<string, string | number | boolean | null>>;

/** A replica that recovered its data and listens for its peers. */
export interface RunningReplica {
  readonly service: KeyService;
  readonly map: MapKeeper;
  readonly facts: ReplicaFacts;
  /** Resolves, perhaps never, with why the node had to stop by itself. */
  readonly failed: Promise<OpenError>;
  /** Certificates for connections with other nodes that are made from now on. Throws an OpenError. */
  renewCertificates(files: PeerTlsFiles): void;
  close(): Promise<void>;
}

/** What an entry has around its value: header, ids of requests, and room for more of them. */
const ENTRY_OVERHEAD_BYTES = 16 * 1024;
/** There is one configuration of the cluster so far. */
const EPOCH = 1;

export async function openRunningReplica(settings: ReplicaSettings, log: Logger): Promise<RunningReplica> {
  let fail: (error: OpenError) => void = () => undefined;
  const failed = new Promise<OpenError>((resolve) => {
    fail = resolve;
  });
  const board = new MapBoard(decodeMap);
  const opened = await openWith(settings, board, eventsTo(log, fail));
  const { placement, nodeId } = settings;
  const map = new MapKeeper({ service: opened.node, board, placement, nodeId, log });
  map.start();
  return {
    service: opened.node,
    map,
    facts: factsOf(opened),
    failed,
    renewCertificates: (files) => {
      opened.renewCertificates?.(peerTlsOf(files));
    },
    close: () =>
      new Promise((resolve) => {
        map.close();
        opened.node.close(resolve);
      }),
  };
}

/** A replica of the one group, or one of each of several. */
type OpenedNode = OpenedReplica | OpenedGroups;

function openWith(settings: ReplicaSettings, map: MapBoard, events: NodeEvents): Promise<OpenedNode> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, opened: OpenedNode | null): void => {
      if (opened !== null) resolve(opened);
      else reject(asOpenError(error ?? new OpenError("IO", "the replica did not open")));
    };
    if (settings.placement.groups.length === 1) openReplica({ ...optionsOf(settings, events), map }, done);
    else openGroups({ ...groupsOf(settings, events), map }, done);
  });
}

function optionsOf(settings: ReplicaSettings, events: NodeEvents): ReplicaOptions {
  const { clusterId, nodeId, data, peer, nodes, storage, repair, timeouts, peerTls } = settings;
  return {
    clusterId,
    nodeId,
    nodes: nodes.map(({ id, replica, peer: { host, port } }) => ({ replica, nodeId: id, host, port })),
    listen: peer,
    epoch: EPOCH,
    group: 0,
    placement: 0,
    requestMs: timeouts.requestMs,
    repair,
    ...(peerTls === null ? {} : { peerTls: peerTlsOf(peerTls) }),
    events,
    seed: Math.floor(Math.random() * 0x1_0000_0000),
    storage: {
      volumes: data,
      sizeBytes: storage.sizeBytes,
      durability: storage.durability,
      cacheBytes: storage.cacheBytes,
      maxValueBytes: storage.maxValueBytes + ENTRY_OVERHEAD_BYTES,
      merge: storage.merge,
      scrub: storage.scrub,
    },
  };
}

/** For a node of a cluster of many groups. */
function groupsOf(settings: ReplicaSettings, events: NodeEvents): GroupsOptions {
  const { placement, nodeId } = settings;
  const options = optionsOf(settings, events);
  const bySlot = groupBySlot(placement).map(({ number }) => number);
  return {
    ...options,
    placement: placement.digest,
    groups: groupsWith(placement, nodeId).map(({ number, space, members }) => ({
      number,
      space,
      nodes: members.flatMap((id, replica) =>
        options.nodes.filter((node) => node.nodeId === id).map((node) => ({ ...node, replica })),
      ),
    })),
    nodeIds: options.nodes.map((node) => node.nodeId),
    places: {
      groupOf: (key) => groupOf(bySlot, key),
      membersOf: (group) => placement.groups[group]?.members ?? [],
    },
  };
}

/** What the cluster remembers of itself is in the bootstrap group, whatever its slot. */
function groupOf(bySlot: readonly number[], key: Key): number {
  return isUserKey(key) ? (bySlot[slotOfName(key)] ?? -1) : BOOTSTRAP_GROUP;
}

function eventsTo(log: Logger, fail: (error: OpenError) => void): NodeEvents {
  return {
    onBorn: () => {
      log.info("the node votes");
    },
    onFatal: (error) => {
      log.fatal({ code: error.code }, error.message);
      const told = asOpenError(error);
      fail(told instanceof OpenError ? told : new OpenError("IO", error.message, error));
    },
    onAlarm: (text) => {
      log.error({ alarm: true }, text);
    },
    onPeer: (text) => {
      log.info(text);
    },
  };
}

function factsOf({ store, facts }: OpenedNode): ReplicaFacts {
  const modes = new Set(facts.volumes.map((volume) => volume.ioMode));
  return {
    storageId: facts.storageId,
    fresh: facts.fresh,
    ioMode: [...modes].join(","),
    durability: facts.durability,
    volumes: facts.volumes.map((volume) => volume.path).join(","),
    bytes: facts.volumes.reduce((sum, volume) => sum + volume.bytes, 0),
    recoveredKeys: facts.recoveredKeys,
    recoveryMs: facts.recoveryMs,
    flushUs: store.stats().flushUs,
  };
}
