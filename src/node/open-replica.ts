/**
 * Opening one replica: the store with its recovery, the identity with its new incarnation (P29), the transport, and the
 * node over them. Callback style; the public API wraps it in a promise.
 */
import type { Key } from "../base/key.js";
import { Random } from "../base/random.js";
import { RECORD_HASH_OFFSET } from "../codec/record.js";
import { TcpTransport } from "../net/tcp-transport.js";
import type { PeerAddress, PeerTls, TcpLimits } from "../net/options.js";
import type { Transport } from "../net/transport.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Context } from "../paxos/context.js";
import { HandoffLog } from "../paxos/handoffs.js";
import { openNativeStore } from "../storage/open-native.js";
import type { NativeStoreOptions } from "../storage/open-native.js";
import type { StoreOpenError } from "../storage/open-error.js";
import type { Store, StoreFacts, StoreSink, StoreStatus } from "../storage/store.js";
import { type Clock, SystemClock } from "./clock.js";
import { firstIdentity, type Identity, loseAll, nextIdentity, takeLostPlaces } from "./identity.js";
import { type FoundIdentity, readIdentity } from "./read-identity.js";
import type { MapBoard } from "./map-board.js";
import { NodeError } from "./node-error.js";
import type { Reach } from "./reach.js";
import { DEFAULT_REPAIR, type RepairOptions } from "./repair.js";
import type { NodeEvents } from "./node-parts.js";
import { ReplicaNode } from "./replica-node.js";

/** P27, level 2. */
const SETTLE_TICKS = 1000;
const FIRST_PATIENCE_TICKS = 20;

/** Who the node is, whatever it stores its records in and talks over. */
export interface ReplicaFacts {
  readonly clusterId: string;
  readonly nodeId: string;
  /** All nodes of the group by rising replica number, this one included. */
  readonly nodes: readonly { readonly replica: ReplicaId; readonly nodeId: string }[];
  readonly epoch: number;
  /** Which group of the cluster this is, from 0, and what tells one placement of slots from another (Hello). */
  readonly group: number;
  readonly placement: number;
  /** A client's request is decided or answered with an error within this time. */
  readonly requestMs: number;
  readonly events: NodeEvents;
  readonly repair?: Partial<RepairOptions>;
  /** Of a node that is in several groups. */
  readonly reach?: Reach;
  readonly map?: MapBoard;
}

export interface ReplicaOptions extends ReplicaFacts {
  readonly nodes: readonly PeerAddress[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly storage: Omit<NativeStoreOptions, "nodeId" | "digestOffset">;
  /** Seed of back-off and nonces: any number that differs between starts. */
  readonly seed: number;
  readonly transportLimits?: Partial<TcpLimits>;
  /** Left out: plain TCP between the nodes. */
  readonly peerTls?: PeerTls;
}

export interface OpenedReplica {
  readonly node: ReplicaNode;
  readonly store: Store;
  readonly facts: StoreFacts;
  /** Of a replica over TLS. Throws when the files do not belong together. */
  readonly renewCertificates?: (tls: PeerTls) => void;
}

export type OnReplica = (error: NodeError | StoreOpenError | null, replica: OpenedReplica | null) => void;

/** Passes on what the store says: to whoever reads the identity at first, to the node from then on. */
export class SinkRelay implements StoreSink {
  target: StoreSink | null = null;

  onDurable(token: number, status: StoreStatus): void {
    this.target?.onDurable(token, status);
  }

  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    this.target?.onRead(tag, status, value);
  }

  onFailed(message: string): void {
    this.target?.onFailed(message);
  }

  onDamaged(key: Key, position: number): void {
    this.target?.onDamaged(key, position);
  }
}

/** Opens the store, then the node. `opened` is called once, when the node listens for its peers; clients may be served then. */
export function openReplica(options: ReplicaOptions, opened: OnReplica): void {
  const relay = new SinkRelay();
  const storage = { ...options.storage, nodeId: options.nodeId, digestOffset: RECORD_HASH_OFFSET };
  openNativeStore(storage, relay, (error, store) => {
    if (store === null) {
      opened(error ?? new NodeError("io", "the store did not open"), null);
      return;
    }
    const random = new Random(options.seed);
    const transport = TcpTransport.alone({
      self: selfOf(options),
      nodes: options.nodes,
      listen: options.listen,
      random,
      ...(options.transportLimits === undefined ? {} : { limits: options.transportLimits }),
      ...(options.peerTls === undefined ? {} : { tls: options.peerTls }),
    });
    startReplica(options, store, relay, transport, random, new SystemClock(), (problem, replica) => {
      if (replica === null) opened(problem, null);
      else {
        opened(null, {
          ...replica,
          renewCertificates: (tls) => {
            transport.renewCertificates(tls);
          },
        });
      }
    });
  });
}

export function selfOf(options: ReplicaFacts): number {
  const self = options.nodes.find((node) => node.nodeId === options.nodeId);
  if (self === undefined) throw new NodeError("foreign", `node ${options.nodeId} is not one of the nodes`);
  return self.replica;
}

/** The node over parts that are open: the way in for other stores, transports and clocks. */
export function startReplica(
  options: ReplicaFacts,
  store: Store,
  relay: SinkRelay,
  transport: Transport,
  random: Random,
  clock: Clock,
  opened: OnReplica,
): void {
  const giveUp = (error: NodeError): void => {
    store.close(() => {
      opened(error, null);
    });
  };
  readIdentity(store, relay, (found) => {
    let identity: Identity;
    try {
      identity = identityOf(options, store.facts, found);
    } catch (problem) {
      if (!(problem instanceof NodeError)) throw problem;
      giveUp(problem);
      return;
    }
    const node = new ReplicaNode({
      context: newContext(selfOf(options), options.nodes.length, identity.incarnation, random, clock),
      identity,
      identityPosition: found.position,
      identityBroken: found.isBroken,
      store,
      transport,
      clock,
      epoch: options.epoch,
      group: options.group,
      placement: options.placement,
      nonce: random.next32(),
      requestTicks: options.requestMs,
      repair: { ...DEFAULT_REPAIR, ...options.repair },
      reach: options.reach ?? null,
      map: options.map ?? null,
      events: options.events,
    });
    options.reach?.add(node);
    relay.target = node;
    node.start((problem) => {
      if (problem === null) opened(null, { node, store, facts: store.facts });
      else
        node.close(() => {
          opened(problem, null);
        });
    });
  });
}

/** P29, P31: who this node is in this start. What the disk is known to have lost since the last one has its number now. */
function identityOf(options: ReplicaFacts, facts: StoreFacts, found: FoundIdentity): Identity {
  const nodeIds = options.nodes.map((node) => node.nodeId);
  const { clusterId, nodeId } = options;
  const own = { clusterId, nodeId, nodeIds, storageId: facts.storageId };
  if (found.record === null) {
    // Records without an identity may be those of another cluster: what they say was chosen must not be believed.
    const isNew = !found.isBroken && facts.recoveredKeys === 0 && facts.unknownLosses === 0;
    if (isNew) return firstIdentity(own);
    const text =
      "the disk holds records, but not whose they are: empty the data directory, and the node comes back as a new one";
    throw new NodeError("damaged", text);
  }
  const identity = nextIdentity(own, found.record);
  if (takeLostPlaces(identity, facts)) {
    const reason = `${String(facts.unknownLosses)} losses of records whose keys cannot be told`;
    if (nodeIds.length === 1) throw new NodeError("damaged", `${reason}, and no other node can tell what is missing`);
    if (identity.forgot === "") loseAll(identity, reason, { incarnation: 0, loss: 0 });
  }
  return identity;
}

function newContext(self: number, replicas: number, incarnation: number, random: Random, clock: Clock): Context {
  const peerOrder: number[] = [];
  for (let replica = 0; replica < replicas; replica++) if (replica !== self) peerOrder.push(replica);
  return {
    self,
    replicas,
    incarnation,
    random,
    tick: clock.tick(),
    lateTicks: 0,
    turn: 0,
    wallMs: clock.wallMs(),
    mayVote: false,
    loss: 0,
    lossAll: 0,
    lossOpen: false,
    storeWorks: true,
    diskFull: false,
    roomReturns: false,
    suspected: Array.from({ length: replicas }, (_, replica) => replica !== self),
    namedLeader: self,
    avoided: new Array<boolean>(replicas).fill(false),
    slowSinceTick: new Array<number>(replicas).fill(0),
    peerOrder,
    patienceTicks: FIRST_PATIENCE_TICKS,
    settleTicks: SETTLE_TICKS,
    peerIncarnations: new Array<number>(replicas).fill(0),
    handoffsSent: new Array<number>(replicas).fill(0),
    handoffsTaken: Array.from({ length: replicas }, () => new HandoffLog()),
    lastRequest: 0,
    lastQuery: 0,
  };
}
