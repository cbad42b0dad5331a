/**
 * What one node must know before it starts, complete and checked: no default, no unit, no relative path is left in it.
 * Made by config.ts from file, environment and flags, or by a test from nothing but literals. It knows no room above
 * storage and net.
 */
import type { Placement } from "./placement.js";
import type { PasswordHash } from "./password.js";
import type { RepairOptions } from "../node/repair.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { MergeOptions, ScrubOptions } from "../storage/store.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export type Durability = "flush" | "device" | "none";
export type LogLevel = "silent" | "error" | "warn" | "info" | "debug";

/** One node of the cluster as the file names it. */
export interface NodeEntry {
  readonly id: string;
  /** Position of the id among all ids in rising byte order; in a cluster of one group the number that ballots carry. */
  readonly replica: ReplicaId;
  readonly peer: Address;
  readonly client: Address;
  readonly zone: string;
}

/** read: what changes nothing. write: that and writing keys. admin: everything. */
export type Role = "read" | "write" | "admin";

export interface UserEntry {
  readonly name: string;
  readonly role: Role;
  readonly password: PasswordHash;
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Clients must have a certificate of this authority; null = they need none. */
  readonly clientCa: string | null;
}

export interface PeerTlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface ServerConfig {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly replica: ReplicaId;
  /** Absolute paths, at least one: a directory or a block device per volume. */
  readonly data: readonly string[];
  /** Clients (RESP). Port 0 = any free port, told in the ready line. */
  readonly listen: Address;
  /** Replication: where this node listens; peers dial the address in `nodes`. */
  readonly peer: Address;
  /** Metrics, health, console; null = none. Port 0 = any free port. */
  readonly http: Address | null;
  /** All of the cluster, by rising number; holds this node. */
  readonly nodes: readonly NodeEntry[];
  /** Which of them hold which slots. */
  readonly placement: Placement;
  /** Who may do what on the RESP port; none = everybody may do everything. */
  readonly users: readonly UserEntry[];
  /** Clients speak TLS 1.3; null = plain TCP. Absolute paths of PEM files. */
  readonly tls: TlsFiles | null;
  /** The HTTP port speaks TLS 1.3; null = plain. Absolute paths of PEM files. */
  readonly httpTls: TlsFiles | null;
  /** Nodes speak TLS 1.3 to each other, each with its own certificate; null = plain TCP. */
  readonly peerTls: PeerTlsFiles | null;
  readonly storage: {
    readonly sizeBytes: number;
    readonly durability: Durability;
    readonly cacheBytes: number;
    readonly maxValueBytes: number;
    readonly merge: MergeOptions;
    readonly scrub: ScrubOptions;
  };
  /** P26, P28: how fast keys are brought up to date, and the pause between passes of verification. */
  readonly repair: RepairOptions;
  readonly timeouts: {
    /** A client's request is decided or answered with an error within this time. */
    readonly requestMs: number;
  };
  readonly limits: {
    readonly maxClients: number;
    /** Commands under way at once, over all connections; more are answered -BUSY. */
    readonly maxPending: number;
    /** Replies waiting for one client that does not read; at the bound its connection is closed. */
    readonly maxOutputBytes: number;
  };
  readonly logLevel: LogLevel;
}

/** "host:port", with brackets around IPv6. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${String(address.port)}`;
}
