/**
 * What keeps this replica whole (P26 to P31): its losses, and the sweep that compares it with its peers; put together from
 * the parts of the node that they need.
 */
import type { SweepMessage } from "../codec/sweep.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Context } from "../paxos/context.js";
import type { Store } from "../storage/store.js";
import type { ClientDoor } from "./client-door.js";
import type { Identity } from "./identity.js";
import type { Links } from "./links.js";
import type { Losses } from "./losses.js";
import { isReady } from "./peers.js";
import type { PassFindings } from "./sweep/findings.js";
import { Pace } from "./sweep/pace.js";
import { Sweep, type SweepStats } from "./sweep/sweep.js";
import type { TurnLoop } from "./turn.js";

/** P26, P28: bounds on bringing keys up to date, and how long a pass that found nothing is followed by none. */
export interface RepairOptions {
  readonly keysPerSecond: number;
  readonly bytesPerSecond: number;
  readonly verifySeconds: number;
}

export const DEFAULT_REPAIR: RepairOptions = {
  keysPerSecond: 20_000,
  bytesPerSecond: 64 * 2 ** 20,
  verifySeconds: 60,
};

/** With more than this in flight callers come first. */
const BUSY_LANES = 1000;
const BUSY_BATCHES = 8;
/** Callers that wait longer than this for their turn are slowed by what is done for repair. */
const PRESSURE_TICKS = 3;

interface RepairParts {
  readonly context: Context;
  readonly identity: Identity;
  readonly store: Store;
  readonly links: Links;
  readonly turns: TurnLoop;
  readonly door: ClientDoor;
  readonly losses: Losses;
  readonly options: RepairOptions;
  sendSweep(peer: ReplicaId, message: SweepMessage): boolean;
}

export class Repair {
  readonly #parts: RepairParts;
  readonly #sweep: Sweep;
  /** Of late, on average. */
  #lateTicks = 0;

  constructor(parts: RepairParts) {
    this.#parts = parts;
    const { context, store, links, turns, door, losses, options } = parts;
    const host = {
      context,
      store,
      pace: new Pace(options, context.tick),
      send: (peer: ReplicaId, message: SweepMessage) => parts.sendSweep(peer, message),
      isReady: (peer: ReplicaId) => isReady(links.peer(peer)),
      fetch: (peer: ReplicaId, key: Parameters<ClientDoor["look"]>[0], index: number, settle: boolean) => {
        turns.send(peer, { type: "fetch", key, index, settle });
      },
      look: door.look.bind(door),
      restore: turns.enqueue.bind(turns),
      hasLane: turns.hasLane.bind(turns),
      isBusy: () => turns.lanes > BUSY_LANES || turns.batches > BUSY_BATCHES,
      hasPressure: () => this.#lateTicks > PRESSURE_TICKS && parts.door.inFlight > 0,
      isFenced: () => losses.isFenced,
      taint: () => {
        losses.taint();
      },
      closeLoss: () => {
        losses.close(() => undefined);
      },
    };
    this.#sweep = new Sweep(host, options.verifySeconds * 1000);
  }

  get stats(): SweepStats {
    return this.#sweep.stats;
  }

  verifyNow(done: (found: Readonly<PassFindings>) => void): void {
    this.#sweep.verifyNow(done);
  }

  acceptLoss(): boolean {
    return this.#sweep.acceptLoss();
  }

  end(): void {
    this.#sweep.end();
  }

  /** P31: all peers have confirmed the present loss. */
  onFence(): void {
    this.#sweep.lookForLearners();
  }

  onGone(peer: ReplicaId): void {
    this.#sweep.onGone(peer);
  }

  onMessage(peer: ReplicaId, message: SweepMessage): void {
    const { identity, links } = this.#parts;
    const bound = identity.bindings.get(links.peer(peer).nodeId);
    if (bound !== undefined) this.#sweep.onMessage(peer, message, bound.loss);
  }

  /** A chosen entry came from a peer. */
  noteFetched(bytes: number): void {
    this.#sweep.noteFetched(bytes);
  }

  /** `lateTicks`: how much later than asked for this beat comes, which is how long callers wait for the event loop. */
  beat(lateTicks: number): void {
    this.#lateTicks += (lateTicks - this.#lateTicks) / 8;
    this.#sweep.beat();
  }
}
