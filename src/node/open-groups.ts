/**
 * Opening a node that is in several groups: the store once, the port once, then the replica of each group in its space of
 * the store. It opens when all of them do. Under which placement the store was filled is remembered in it, in a space of its
 * own: with another one, keys would be looked for where they are not.
 */
import { nodeKey } from "../base/key.js";
import { Random } from "../base/random.js";
import { RECORD_HASH_OFFSET } from "../codec/record.js";
import type { PeerAddress } from "../net/options.js";
import { PeerPort } from "../net/peer-port.js";
import { TcpTransport } from "../net/tcp-transport.js";
import { emptyLoadedKey } from "../storage/loaded-key.js";
import type { StoreOpenError } from "../storage/open-error.js";
import { openNativeStore } from "../storage/open-native.js";
import { SharedStore } from "../storage/shared-store.js";
import { SPACES } from "../storage/space.js";
import { HEADER_BYTES, type Store } from "../storage/store.js";
import { SystemClock } from "./clock.js";
import { closeAll, GroupedNode, type KeyPlaces } from "./grouped-node.js";
import { NodeError } from "./node-error.js";
import type { NodeEvents } from "./node-parts.js";
import { type OpenedReplica, type ReplicaOptions, selfOf, SinkRelay, startReplica } from "./open-replica.js";
import { Reach } from "./reach.js";
import { readValue } from "./read-identity.js";
import type { ReplicaNode } from "./replica-node.js";

export interface NodeGroup {
  readonly number: number;
  readonly space: number;
  readonly nodes: readonly PeerAddress[];
}

export interface GroupsOptions extends Omit<ReplicaOptions, "nodes" | "group"> {
  /** Those that this node is in. */
  readonly groups: readonly NodeGroup[];
  readonly places: KeyPlaces;
  /** All nodes of the cluster. */
  readonly nodeIds: readonly string[];
}

export interface OpenedGroups extends Omit<OpenedReplica, "node"> {
  readonly node: GroupedNode;
}

type OnGroups = (error: NodeError | StoreOpenError | null, opened: OpenedGroups | null) => void;

/** Not one of the groups'. */
const PLACEMENT_SPACE = SPACES - 1;
const PLACEMENT_KEY = nodeKey("placement");

/** `opened` is called once, when all replicas listen for their peers; clients may be served then. */
export function openGroups(options: GroupsOptions, opened: OnGroups): void {
  const clock = new SystemClock();
  const shared = new SharedStore((run) => {
    clock.defer(run);
  });
  const storage = { ...options.storage, nodeId: options.nodeId, digestOffset: RECORD_HASH_OFFSET };
  openNativeStore(storage, shared, (error, store) => {
    if (store === null) {
      opened(error ?? new NodeError("io", "the store did not open"), null);
      return;
    }
    shared.attach(store);
    const relays = options.groups.map(() => new SinkRelay());
    const spaces = options.groups.map(({ space }, i) => shared.open(space, relays[i] ?? new SinkRelay()));
    const giveUp = (problem: NodeError): void => {
      closeAll(spaces, () => {
        opened(problem, null);
      });
    };
    keepPlacement(shared, options.placement, (problem) => {
      if (problem === null) startAll(options, clock, { store, spaces, relays }, opened);
      else giveUp(problem);
    });
  });
}

/** Compares the placement with the one under which the store was filled, and writes it into a new one. */
function keepPlacement(shared: SharedStore, placement: number, done: (problem: NodeError | null) => void): void {
  const relay = new SinkRelay();
  const space = shared.open(PLACEMENT_SPACE, relay);
  const end = (problem: NodeError | null): void => {
    relay.target = null;
    space.close(() => {
      done(problem);
    });
  };
  const judge = (bytes: Uint8Array | null): void => {
    if (bytes !== null && new TextDecoder().decode(bytes) === String(placement)) end(null);
    else end(new NodeError("foreign", OTHER_PLACEMENT));
  };
  const results = [emptyLoadedKey()];
  space.load([PLACEMENT_KEY], results);
  const [found = emptyLoadedKey()] = results;
  const [slot] = found.slot;
  if (found.corrupt || found.slots === 0) {
    // A damaged disk may have lost it: the identities of the groups tell who their members are as well.
    if (found.corrupt) space.drop(PLACEMENT_KEY);
    relay.target = {
      onDurable: (_token, status) => {
        const text = `the placement of slots could not be written (${status})`;
        end(status === "ok" ? null : new NodeError("io", text));
      },
      onRead: () => undefined,
      onFailed: () => undefined, // the batch is answered too
      onDamaged: () => undefined,
    };
    space.put(PLACEMENT_KEY, 1, 1, new Uint8Array(HEADER_BYTES), new TextEncoder().encode(String(placement)));
    space.submit();
  } else if (slot.value !== null) {
    judge(slot.value);
  } else {
    readValue(space, relay, PLACEMENT_KEY, slot.position, judge);
  }
}

const OTHER_PLACEMENT =
  "this data directory was filled under another placement of slots: the configuration names other nodes or zones than " +
  "before; set them back as they were";

interface Stores {
  readonly store: Store;
  /** In the order of the groups. */
  readonly spaces: readonly Store[];
  readonly relays: readonly SinkRelay[];
}

function startAll(options: GroupsOptions, clock: SystemClock, stores: Stores, opened: OnGroups): void {
  const { listen, transportLimits: limits, peerTls: tls } = options;
  const port = new PeerPort({
    listen,
    ...(limits === undefined ? {} : { limits }),
    ...(tls === undefined ? {} : { tls }),
  });
  const events = onceFatal(options.events);
  const reach = new Reach(options.nodeIds, options.nodeId);
  const replicas = new Map<number, ReplicaNode>();
  let problem: NodeError | StoreOpenError | null = null;
  let left = options.groups.length;
  for (const [i, group] of options.groups.entries()) {
    const { number, nodes } = group;
    const [space, relay] = [stores.spaces[i], stores.relays[i]];
    if (space === undefined || relay === undefined) throw new Error("every group has a space");
    const facts = { ...options, group: number, nodes, reach, events: eventsOf(number, events) };
    const random = new Random(options.seed + number);
    const transport = new TcpTransport({ self: selfOf(facts), nodes, random }, port);
    startReplica(facts, space, relay, transport, random, clock, (error, replica) => {
      if (replica === null) problem ??= error ?? new NodeError("io", `group ${String(number)} did not open`);
      else replicas.set(number, replica.node);
      if (--left > 0) return;
      if (problem === null) {
        const { places, nodeIds } = options;
        const node = new GroupedNode({ replicas, store: stores.store, places, nodeIds, reach, clock });
        opened(null, {
          node,
          store: stores.store,
          facts: stores.store.facts,
          renewCertificates: (renewed) => {
            port.renewCertificates(renewed);
          },
        });
        return;
      }
      const told = problem;
      closeAll([...replicas.values()], () => {
        opened(told, null);
      });
    });
  }
}

/** What ends one replica, its disk above all, ends the node; it is told once. */
function onceFatal(events: NodeEvents): NodeEvents {
  let isTold = false;
  return {
    ...events,
    onFatal: (error) => {
      if (!isTold) events.onFatal(error);
      isTold = true;
    },
  };
}

function eventsOf(group: number, events: NodeEvents): NodeEvents {
  const where = `group ${String(group)}: `;
  return {
    onBorn: () => {
      events.onPeer(`${where}the replica serves`);
    },
    onFatal: (error) => {
      events.onFatal(new NodeError(error.code, where + error.message));
    },
    onAlarm: (text) => {
      events.onAlarm(where + text);
    },
    onPeer: (text) => {
      events.onPeer(where + text);
    },
  };
}
