/**
 * What the TCP transport must be told: who the nodes are and how much it may hold. Every limit has a default that holds
 * a value of the largest size; what happens at each bound stands beside it.
 */
import type { Random } from "../base/random.js";
import type { ReplicaId } from "../paxos/ballot.js";

export interface PeerAddress {
  readonly replica: ReplicaId;
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
}

export interface TcpLimits {
  /** Largest payload of a frame, both ways. A larger one is not sent (false), and closes the connection it came from. */
  readonly maxFrameBytes: number;
  /** Bytes that wait for one peer. A frame beyond this is dropped: `send` answers false. */
  readonly outboxBytes: number;
  /** From the connection to the end of the handshake. */
  readonly handshakeMs: number;
  /** Connections that did not end their handshake, or are being told why they are refused. More are cut off at once. */
  readonly halfOpen: number;
  /** Silence is filled with a keepalive after one such interval; a peer that is silent for `silentIntervals` is closed. */
  readonly keepaliveMs: number;
  readonly silentIntervals: number;
  /** Between attempts to reach a peer: randomised, doubled from the first to the second. */
  readonly backoffFirstMs: number;
  readonly backoffLastMs: number;
  /** How long a refused connection may take to read why. */
  readonly lingerMs: number;
  /** Reports about strangers in one `strangerWindowMs`; the rest are counted and reported as a number. */
  readonly strangerReports: number;
  readonly strangerWindowMs: number;
}

export const DEFAULT_LIMITS: TcpLimits = {
  maxFrameBytes: 64 << 20,
  outboxBytes: 128 << 20,
  handshakeMs: 2000,
  halfOpen: 64,
  keepaliveMs: 1000,
  silentIntervals: 5,
  backoffFirstMs: 10,
  backoffLastMs: 500,
  lingerMs: 500,
  strangerReports: 8,
  strangerWindowMs: 10_000,
};

/** What this node shows its peers, and whom it believes: contents of PEM files. */
export interface PeerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

/** Where a node listens for its peers, of one group or of several. */
export interface PortOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly limits?: Partial<TcpLimits>;
  /** Left out: nodes speak plain TCP. */
  readonly tls?: PeerTls;
}

export interface GroupOptions {
  readonly self: ReplicaId;
  /** All nodes of the group, this one included. */
  readonly nodes: readonly PeerAddress[];
  readonly random: Random;
}

export interface TcpOptions extends PortOptions, GroupOptions {}
