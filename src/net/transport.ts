/**
 * What a node asks of the network: framed bytes to and from its peers, at most once each, in order per connection,
 * with connections that come and go. It knows nothing of keys or ballots. Implementations: TCP, and the simulator's.
 */
import type { ReplicaId } from "../paxos/ballot.js";

/** 2: a refused submit names itself; operations that carry a condition on the value, a rule for deadlines, or several steps. */
/** 3: losses of disks in hellos and bindings; a fetch that asks for settling; what replicas compare of their keys. */
/** 6: the group in hellos, for nodes that are in several. */
export const PROTOCOL_VERSION = 7;

/** Said by both sides before anything else. A difference in version, cluster, placement or epoch, or a node that is not the one expected, is refused. */
export interface Hello {
  readonly protocolVersion: number;
  readonly clusterId: string;
  readonly epoch: number;
  /** Which group of the cluster this is about, from 0; replica numbers are those of the group. */
  readonly group: number;
  /** 32 bits that differ where groups, their members or their slots do. */
  readonly placement: number;
  readonly nodeId: string;
  readonly replica: ReplicaId;
  readonly incarnation: number;
  /** 32 hex digits (P29). */
  readonly storageId: string;
  /** Random, made at each start: tells two processes with the same incarnation apart (a restored copy). */
  readonly nonce: number;
  /** P31: number of the last loss of this disk, and of the last one of all of it; 0 = none. */
  readonly loss: number;
  readonly lossAll: number;
}

export interface TransportSink {
  /** A connection whose Hello passed the checks. The node decides whether it acts on what comes (P29). */
  onConnected(peer: ReplicaId, hello: Hello): void;
  /** The present connection of `peer` ended. */
  onClosed(peer: ReplicaId, reason: string): void;
  /** One whole frame, checksum verified. `payload` is only valid during the call. */
  onFrame(peer: ReplicaId, payload: Uint8Array): void;
  /** Somebody was refused, or refused us: for logs and INFO; `fatal` when going on makes no sense (our identity is refused). */
  onRefused(peer: ReplicaId | -1, reason: string): void;
}

export interface Transport {
  /** Starts listening and dialling. Throws nothing: problems arrive through `listening`. */
  start(sink: TransportSink, hello: Hello, listening: (error: Error | null) => void): void;
  /** From now on this node says something else of itself: all connections end, and are made again. */
  changeHello(hello: Hello): void;
  /** Queues one frame (copied before return). False: not connected, or the bounded outbox is full; the frame is dropped. */
  send(peer: ReplicaId, payload: Uint8Array): boolean;
  /** Ends the connection with `peer`; a later one may be made. */
  disconnect(peer: ReplicaId, reason: string): void;
  close(done: () => void): void;
}
