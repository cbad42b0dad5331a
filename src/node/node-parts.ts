/** What a node is made of, and whom it tells: the parts come open from open-replica.ts. */
import { type Hello, PROTOCOL_VERSION, type Transport } from "../net/transport.js";
import type { Context } from "../paxos/context.js";
import type { Store } from "../storage/store.js";
import type { Clock } from "./clock.js";
import type { Identity } from "./identity.js";
import type { MapBoard } from "./map-board.js";
import type { Reach } from "./reach.js";
import type { NodeError } from "./node-error.js";
import type { RepairOptions } from "./repair.js";

export interface NodeEvents {
  /** The node began to vote, after it had waited for its birth. */
  onBorn(): void;
  /** The node cannot go on; it has stopped voting and serving. */
  onFatal(error: NodeError): void;
  /** P6, P30: somebody has to look at this. */
  onAlarm(text: string): void;
  /** A connection came, went or was refused. For the log. */
  onPeer(text: string): void;
}

export interface NodeParts {
  readonly context: Context;
  readonly identity: Identity;
  /** Position of the identity record on disk, 0 = there was none. */
  readonly identityPosition: number;
  /** One of its two records cannot be read. */
  readonly identityBroken: boolean;
  readonly store: Store;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly epoch: number;
  readonly group: number;
  readonly placement: number;
  readonly nonce: number;
  readonly requestTicks: number;
  readonly repair: RepairOptions;
  /** Null in a cluster of one group. */
  readonly reach: Reach | null;
  /** Null where there is none: in simulations. */
  readonly map: MapBoard | null;
  readonly events: NodeEvents;
}

/** What a node says of itself now. */
export function helloOf({ identity, context, nonce, epoch, group, placement }: NodeParts): Hello {
  const { clusterId, nodeId, incarnation, storageId, loss, lossAll } = identity;
  const whose = { protocolVersion: PROTOCOL_VERSION, clusterId, epoch, group, placement };
  return { ...whose, nodeId, replica: context.self, incarnation, storageId, nonce, loss, lossAll };
}
