/**
 * A world for the core: N real replicas, each with lanes, a disk and a queue of records on their way to it, and a soup of
 * messages between them. It is a host that obeys effects.ts to the letter and decides nothing: what is delivered,
 * flushed, lost or crashed when is up to who drives it (the random walk, or a transcript). Broken variants of the rules
 * are wrapped around it as a `Tamper`.
 */
import { assert } from "../../base/assert.js";
import type { Key } from "../../base/key.js";
import { Random } from "../../base/random.js";
import type { ReplicaId } from "../../paxos/ballot.js";
import type { Context } from "../../paxos/context.js";
import { HandoffLog } from "../../paxos/handoffs.js";
import { Effects, SAME_WAKE, type Envelope } from "../../paxos/effects.js";
import { isIdle, type Lane, newLane } from "../../paxos/lane.js";
import type { Message } from "../../paxos/message.js";
import type { ReadOutcome, WriteOutcome } from "../../paxos/operation.js";
import { type Input, step } from "../../paxos/replica.js";
import { type Batch, Disk } from "./disk.js";

export interface Flight {
  readonly from: ReplicaId;
  readonly fromIncarnation: number;
  readonly to: ReplicaId;
  readonly message: Message;
  /** Not delivered before this tick. */
  readonly readyTick: number;
}

interface Held {
  readonly lane: Lane;
  readonly sequence: number;
  readonly envelope: Envelope;
}

export interface Replica {
  readonly id: ReplicaId;
  context: Context;
  readonly disk: Disk;
  lanes: Map<Key, Lane>;
  /** Wishes of the lanes, by key. */
  wakes: Map<Key, number>;
  queue: (Batch & { readonly lane: Lane })[];
  held: Held[];
  /** Offset of its wall clock, in ms. */
  skewMs: number;
  /** Messages to itself that wait for their turn. */
  own: Envelope[];
}

/** Sees everything that happens; throws when a rule is broken. */
export interface Observer {
  onStep(replica: Replica, lane: Lane, input: Input, effects: Effects): void;
  /** A message leaves its replica now. */
  onLeave(replica: Replica, lane: Lane | undefined, envelope: Envelope): void;
  onDurable(replica: Replica, batch: Batch): void;
  onCrash(replica: Replica): void;
  onWriteReply(replica: Replica, key: Key, client: number, outcome: WriteOutcome): void;
  onReadReply(replica: Replica, key: Key, client: number, outcome: ReadOutcome): void;
}

/** A broken variant. Every member may be left out. */
export interface Tamper {
  /** True: this message, which should wait for the disk, leaves at once. */
  early?(replica: Replica, envelope: Envelope): boolean;
  beforeStep?(world: World, replica: Replica, lane: Lane, input: Input): Input;
  afterStep?(world: World, replica: Replica, lane: Lane, input: Input): void;
  onSend?(world: World, replica: Replica, envelope: Envelope): Message;
  /** The replica has restarted; `lost` are the batches that had not reached its disk. */
  afterCrash?(world: World, replica: Replica, lost: readonly Batch[]): void;
  keepsIncarnation?: boolean;
  /** A replica that lost its disk goes on voting. */
  votesAfterLoss?: boolean;
}

export interface WorldOptions {
  readonly replicas: number;
  readonly seed: number;
  readonly patienceTicks: number;
  readonly settleTicks: number;
  readonly observer: Observer;
  readonly tamper?: Tamper;
  /** Ticks that a message travels at least. */
  readonly travelTicks?: number;
  /** Where replicas take their chances from, and what they remember hand-overs with; for a driver that copies replicas. */
  readonly newRandom?: (seed: number) => Random;
  readonly newHandoffs?: () => HandoffLog;
}

/** P29: what a crash leaves of a replica's disk. */
export type Loss = "unflushed" | "torn" | "disk";

export class World {
  readonly random: Random;
  readonly replicas: Replica[] = [];
  wire: Flight[] = [];
  tick = 1;
  #turn = 0;
  travelTicks: number;
  /** Messages that left a replica for another one. */
  sent = 0;
  steps = 0;
  readonly options: WorldOptions;
  readonly #effects = new Effects();
  #stepping = false;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.travelTicks = options.travelTicks ?? 0;
    for (let id = 0; id < options.replicas; id++) {
      this.replicas.push({
        id,
        context: this.#newContext(id, 1),
        disk: new Disk(),
        lanes: new Map(),
        wakes: new Map(),
        queue: [],
        held: [],
        skewMs: 0,
        own: [],
      });
    }
    for (const replica of this.replicas) {
      replica.context.peerIncarnations.fill(1);
    }
  }

  #newContext(self: ReplicaId, incarnation: number): Context {
    const { replicas, patienceTicks, settleTicks } = this.options;
    const others: ReplicaId[] = [];
    for (let id = 0; id < replicas; id++) if (id !== self) others.push(id);
    const seed = this.options.seed * 31 + self * 7 + incarnation;
    return {
      self,
      replicas,
      incarnation,
      random: this.options.newRandom?.(seed) ?? new Random(seed),
      tick: this.tick,
      lateTicks: 0,
      turn: 0,
      wallMs: 0,
      mayVote: true,
      loss: 0,
      lossAll: 0,
      lossOpen: false,
      storeWorks: true,
      diskFull: false,
      roomReturns: false,
      suspected: new Array<boolean>(replicas).fill(false),
      namedLeader: self,
      avoided: new Array<boolean>(replicas).fill(false),
      slowSinceTick: new Array<number>(replicas).fill(0),
      peerOrder: others,
      patienceTicks,
      settleTicks,
      peerIncarnations: new Array<number>(replicas).fill(0),
      handoffsSent: new Array<number>(replicas).fill(0),
      handoffsTaken: Array.from({ length: replicas }, () => this.#newHandoffs()),
      lastRequest: 0,
      lastQuery: 0,
    };
  }

  #newHandoffs(): HandoffLog {
    return this.options.newHandoffs?.() ?? new HandoffLog();
  }

  replica(id: ReplicaId): Replica {
    const replica = this.replicas[id];
    assert(replica !== undefined, `there is no replica ${String(id)}`);
    return replica;
  }

  laneOf(replica: Replica, key: Key): Lane {
    let lane = replica.lanes.get(key);
    if (lane === undefined) {
      const { plog, damaged } = replica.disk.load(key, replica.context);
      lane = newLane(key, plog, damaged);
      replica.lanes.set(key, lane);
    }
    return lane;
  }

  /** One turn of a replica: one or more inputs of one key; what it says to itself is heard before the turn ends. */
  input(replica: Replica, key: Key, ...inputs: Input[]): void {
    this.#turn++;
    for (const input of inputs) this.#one(replica, key, input);
    this.#hearOwn(replica);
  }

  #hearOwn(replica: Replica): void {
    for (let envelope = replica.own.shift(); envelope !== undefined; envelope = replica.own.shift()) {
      const { message } = envelope;
      this.#one(replica, message.key, { type: "message", from: replica.id, message });
    }
  }

  #one(replica: Replica, key: Key, plain: Input): void {
    assert(!this.#stepping, "one step at a time");
    this.#stepping = true;
    const { context } = replica;
    context.tick = this.tick;
    context.turn = this.#turn;
    context.wallMs = 1_000_000 + this.tick + replica.skewMs;
    const lane = this.laneOf(replica, key);
    const { tamper, observer } = this.options;
    const input = tamper?.beforeStep?.(this, replica, lane, plain) ?? plain;
    const effects = this.#effects;
    effects.clear();
    this.steps++;
    step(context, lane, input, effects);
    tamper?.afterStep?.(this, replica, lane, input);
    observer.onStep(replica, lane, input, effects);
    if (effects.persist.length > 0 || effects.mark > 0) {
      const { erase, persist, mark } = effects;
      replica.queue.push({ key, lane, sequence: lane.writes, erase, writes: [...persist], mark });
    }
    if (effects.wakeAtTick > 0) replica.wakes.set(key, effects.wakeAtTick);
    else if (effects.wakeAtTick !== SAME_WAKE) replica.wakes.delete(key);
    this.#stepping = false;
    for (const envelope of effects.send) this.#leave(replica, lane, envelope);
    for (const envelope of effects.sendWhenDurable) {
      const free = lane.durable === lane.writes || tamper?.early?.(replica, envelope) === true;
      if (free) this.#leave(replica, lane, envelope);
      else replica.held.push({ lane, sequence: lane.writes, envelope });
    }
    for (const { client, outcome } of effects.writeReplies) observer.onWriteReply(replica, key, client, outcome);
    for (const { client, outcome } of effects.readReplies) observer.onReadReply(replica, key, client, outcome);
  }

  #leave(replica: Replica, lane: Lane | undefined, envelope: Envelope): void {
    const message = this.options.tamper?.onSend?.(this, replica, envelope) ?? envelope.message;
    this.options.observer.onLeave(replica, lane, { to: envelope.to, message });
    if (envelope.to === replica.id) {
      replica.own.push({ to: envelope.to, message });
      return;
    }
    this.sent++;
    this.wire.push({
      from: replica.id,
      fromIncarnation: replica.context.incarnation,
      to: envelope.to,
      message,
      readyTick: this.tick + this.travelTicks,
    });
  }

  /** Puts a forged message on the wire (broken variants only). */
  forge(from: ReplicaId, to: ReplicaId, message: Message): void {
    const { incarnation } = this.replica(from).context;
    this.wire.push({ from, fromIncarnation: incarnation, to, message, readyTick: this.tick });
  }

  deliver(flight: Flight): void {
    const replica = this.replica(flight.to);
    this.bind(replica, flight.from, flight.fromIncarnation);
    this.input(replica, flight.message.key, { type: "message", from: flight.from, message: flight.message });
  }

  /** A newer incarnation of a peer is heard of. */
  bind(replica: Replica, peer: ReplicaId, incarnation: number): void {
    const { peerIncarnations, handoffsSent, handoffsTaken } = replica.context;
    if (incarnation <= (peerIncarnations[peer] ?? 0)) return;
    peerIncarnations[peer] = incarnation;
    handoffsSent[peer] = 0;
    handoffsTaken[peer] = this.#newHandoffs();
  }

  /** The first `count` batches become durable, in order, as one run. */
  flush(replica: Replica, count: number = replica.queue.length): void {
    const done = replica.queue.splice(0, count);
    for (const batch of done) {
      replica.disk.apply(batch);
      this.options.observer.onDurable(replica, batch);
    }
    this.#turn++;
    for (const { lane, key, sequence } of done) {
      if (replica.lanes.get(key) !== lane) continue;
      this.#one(replica, key, { type: "persisted", sequence });
      const free = replica.held.filter((held) => held.lane === lane && held.sequence <= lane.durable);
      replica.held = replica.held.filter((held) => !free.includes(held));
      for (const { envelope } of free) this.#leave(replica, lane, envelope);
      this.#hearOwn(replica);
    }
  }

  /**
   * Power loss and restart: the first `flushed` batches had reached the disk, but nobody heard of it. Torn: of the next one
   * only the last record had. A replica that lost its disk comes back as a learner (P29, P30).
   */
  crash(replica: Replica, flushed: number, marksKept: boolean, loss: Loss = "unflushed"): void {
    for (const batch of replica.queue.splice(0, flushed)) {
      replica.disk.apply(batch);
      this.options.observer.onDurable(replica, batch);
    }
    const lost = replica.queue;
    const [next] = lost;
    if (loss === "torn" && next !== undefined) replica.disk.tear(next);
    if (loss === "disk") replica.disk.wipe();
    if (loss === "disk" && this.options.tamper?.votesAfterLoss !== true) replica.context.mayVote = false;
    replica.queue = [];
    replica.held = [];
    replica.own = [];
    replica.lanes = new Map();
    replica.wakes = new Map();
    replica.disk.crash(marksKept);
    const {
      suspected,
      mayVote,
      peerIncarnations,
      incarnation,
      lastRequest,
      loss: number,
      lossAll,
      lossOpen,
    } = replica.context;
    replica.context = this.#newContext(replica.id, incarnation + (this.options.tamper?.keepsIncarnation ? 0 : 1));
    Object.assign(replica.context, { mayVote, loss: number, lossAll, lossOpen }); // as the identity has them, durably
    if (this.options.tamper?.keepsIncarnation === true) replica.context.lastRequest = lastRequest;
    for (let peer = 0; peer < suspected.length; peer++) {
      replica.context.suspected[peer] = suspected[peer] ?? false;
      replica.context.peerIncarnations[peer] = peerIncarnations[peer] ?? 0; // bound durably (P29)
    }
    this.options.tamper?.afterCrash?.(this, replica, lost);
    this.options.observer.onCrash(replica);
  }

  /** Everybody hears of a peer's incarnation, as by a handshake. */
  introduce(peer: Replica): void {
    for (const replica of this.replicas) {
      if (replica !== peer) this.bind(replica, peer.id, peer.context.incarnation);
    }
  }

  setSuspected(replica: Replica, peer: ReplicaId, suspected: boolean): void {
    if (replica.id === peer || replica.context.suspected[peer] === suspected) return;
    replica.context.suspected[peer] = suspected;
    this.tickAll(replica);
  }

  tickAll(replica: Replica): void {
    for (const key of [...replica.lanes.keys()]) this.input(replica, key, { type: "tick" });
  }

  /** Time goes on by one tick; lanes whose wish has come are stepped. */
  passTick(): void {
    this.tick++;
    for (const replica of this.replicas) {
      for (const [key, wake] of [...replica.wakes]) {
        if (wake <= this.tick) this.input(replica, key, { type: "tick" });
      }
    }
  }

  /** Earliest wish of any lane; 0 when there is none. */
  nextWake(): number {
    let next = 0;
    for (const replica of this.replicas) {
      for (const wake of replica.wakes.values()) if (next === 0 || wake < next) next = wake;
    }
    return next;
  }

  /** Drops the lanes that hold nothing which the disk does not hold too. */
  dropIdle(replica: Replica): number {
    let dropped = 0;
    for (const [key, lane] of [...replica.lanes]) {
      if (!isIdle(lane) || replica.queue.some((batch) => batch.lane === lane)) continue;
      replica.lanes.delete(key);
      replica.wakes.delete(key);
      dropped++;
    }
    return dropped;
  }
}
