/**
 * The conversation with the peers that is about no key: binding one another (P29), being born, hearing what they remember of
 * a disk that forgot, heartbeats, watermarks. Until both sides have bound each other durably no message about a key goes
 * either way.
 */
import { assert } from "../base/assert.js";
import type { BindingMessage, ControlMessage } from "../codec/control.js";
import type { Hello, Transport } from "../net/transport.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Context } from "../paxos/context.js";
import { HandoffLog } from "../paxos/handoffs.js";
import type { Clock } from "./clock.js";
import { judgeBinding, judgeHello } from "./binding-rules.js";
import type { Identity } from "./identity.js";
import type { NodeError } from "./node-error.js";
import { NodeError as Failure } from "./node-error.js";
import type { MapBoard } from "./map-board.js";
import type { Reach } from "./reach.js";
import type { Outbox } from "./outbox.js";
import { isReady, judgePeers, newPeer, noteHeard, noteRoundTrip, noteSent, type Peer } from "./peers.js";

/** Pace of heartbeats in ticks while there is work, and while there is none. */
const BUSY_HEARTBEAT_TICKS = 8;
const IDLE_HEARTBEAT_TICKS = 100;
/** A node is idle when it had no message about a key for this long. */
const IDLE_AFTER_TICKS = 1000;
/** P29: peers note watermarks durably about every second. */
const NOTE_TICKS = 1000;
/** Records that an idle peer may have written since its watermark was noted. */
const UNNOTED_RECORDS = 16;

export interface LinkHost {
  readonly clock: Clock;
  readonly context: Context;
  readonly identity: Identity;
  readonly transport: Transport;
  readonly recoveredWatermark: number;
  watermark(): number;
  /** P17: what a write with its flush takes here of late, in microseconds; 0 = not known, or this node does not vote. */
  flushUs(): number;
  readonly reach: Reach | null;
  readonly map: MapBoard | null;
  /** A peer showed something that is no map. */
  onBadMap(nodeId: string): void;
  /** Makes the identity durable, then calls `done`. */
  saveIdentity(done: () => void): void;
  /** Readiness of a peer changed: suspicion is to be judged again. */
  onReadiness(): void;
  onBorn(): void;
  /** P31: a peer tells of a loss of its disk that was not known here: what it said before is to be forgotten. */
  onPeerLoss(replica: ReplicaId): void;
  /** P29: a peer shows that our own disk forgot. */
  onForgot(reason: string): void;
  /** P29: all peers have told what they remember of a disk that forgot: the highest numbers. */
  onTold(told: { readonly incarnation: number; readonly loss: number }): void;
  /** P31: all peers have bound us under our present loss. */
  onFence(): void;
  onFatal(error: NodeError): void;
  outboxOf(replica: ReplicaId): Outbox;
}

export class Links {
  readonly peers: readonly Peer[];
  readonly #host: LinkHost;
  readonly #byReplica: (Peer | null)[];
  /** Counts connections of each peer, so that what became durable for an older one is not taken for the present one. */
  readonly #connections: number[];
  /** P29: peers that durably bound our storage id as the first one ever. */
  readonly #confirmedBirth = new Set<ReplicaId>();
  /**
   * Peers whose binding is in memory and not yet durable, with the number of the connection that it was made for: a record for
   * an older one says nothing of this.
   */
  readonly #unsaved = new Map<string, number>();
  /** They have told all, and what follows from it is on its way to the disk. */
  #isTaking = false;
  /** What peers remember of us, as they told last. */
  readonly #told = new Map<ReplicaId, { readonly incarnation: number; readonly loss: number }>();
  /** Connected peers that refuse us and are refused here. */
  readonly #strangers = new Set<ReplicaId>();
  #lastWorkTick = 0;
  #lastNoteTick = 0;
  #nextBeatTick = 0;
  #nextNoteTick = 0;
  #pauseEndedUs = 0;

  constructor(host: LinkHost) {
    this.#host = host;
    const { self } = host.context;
    this.#byReplica = host.identity.nodeIds.map((nodeId, replica) =>
      replica === self ? null : newPeer(replica, nodeId),
    );
    this.peers = this.#byReplica.filter((peer) => peer !== null);
    this.#connections = this.#byReplica.map(() => 0);
  }

  peer(replica: ReplicaId): Peer {
    const peer = this.#byReplica[replica];
    assert(peer !== null && peer !== undefined, "a peer is another replica of the group");
    return peer;
  }

  /** Whom birth, or a disk that forgot, waits for (P29); empty when there is nothing to wait for. */
  waitingFor(): string[] {
    const { born, forgot } = this.#host.identity;
    if (born && forgot === "") return [];
    const heard = forgot === "" ? this.#confirmedBirth : this.#told;
    return this.peers.filter((peer) => !heard.has(peer.replica)).map((peer) => peer.nodeId);
  }

  /** P31: every peer has bound us under our loss of this number or a later one; -1 = one of them has not said so yet. */
  get fencedLoss(): number {
    return this.peers.reduce((least, peer) => Math.min(least, peer.fencedLoss), Number.MAX_SAFE_INTEGER);
  }

  /** Whom the fence of the present loss waits for. */
  unfenced(): string[] {
    const { loss } = this.#host.identity;
    return this.peers.filter((peer) => peer.fencedLoss < loss).map((peer) => peer.nodeId);
  }

  onConnected(replica: ReplicaId, hello: Hello): void {
    const { identity } = this.#host;
    const peer = this.peer(replica);
    peer.connected = true;
    peer.boundHere = false;
    peer.boundThere = false;
    peer.awaitedSinceTick = 0;
    const connection = (this.#connections[replica] ?? 0) + 1;
    this.#connections[replica] = connection;
    this.#strangers.delete(replica);
    this.#takeWatermark(peer, 0);
    const verdict = judgeHello(identity.bindings.get(peer.nodeId), hello);
    if (verdict.kind === "refused") {
      peer.refused = verdict.reason;
      const remembered = identity.bindings.get(peer.nodeId);
      this.#say(replica, {
        type: "binding",
        bound: false,
        first: false,
        remembersIncarnation: remembered?.incarnation ?? 0,
        remembersLoss: remembered?.loss ?? 0,
        remembersWatermark: remembered?.watermark ?? 0,
        reason: verdict.reason,
      });
      return;
    }
    peer.refused = "";
    if (verdict.kind === "known" && !this.#unsaved.has(peer.nodeId)) {
      this.#bound(peer, hello);
      return;
    }
    const lossBefore = identity.bindings.get(peer.nodeId)?.loss ?? 0;
    identity.bindings.set(peer.nodeId, verdict.binding);
    if (verdict.binding.loss > lossBefore) this.#host.onPeerLoss(replica);
    this.#unsaved.set(peer.nodeId, connection);
    this.#host.saveIdentity(() => {
      if (this.#unsaved.get(peer.nodeId) !== connection) return;
      this.#unsaved.delete(peer.nodeId);
      if (peer.connected && this.#connections[replica] === connection) this.#bound(peer, hello);
    });
  }

  /** The binding is durable: from now on this peer's messages are acted on. */
  #bound(peer: Peer, hello: Hello): void {
    const { context, identity } = this.#host;
    const binding = identity.bindings.get(peer.nodeId);
    assert(binding !== undefined, "P29: bound durably before anything is acted on");
    const { replica } = peer;
    if (context.peerIncarnations[replica] !== hello.incarnation) {
      context.peerIncarnations[replica] = hello.incarnation;
      context.handoffsSent[replica] = 0;
      context.handoffsTaken[replica] = new HandoffLog();
      peer.watermark = 0;
    }
    peer.incarnation = hello.incarnation;
    peer.boundHere = true;
    this.#say(replica, {
      type: "binding",
      bound: true,
      first: binding.first,
      remembersIncarnation: binding.incarnation,
      remembersLoss: binding.loss,
      remembersWatermark: binding.watermarkBefore,
      reason: "",
    });
    this.#host.onReadiness();
  }

  onClosed(replica: ReplicaId): void {
    const peer = this.peer(replica);
    peer.connected = false;
    peer.boundHere = false;
    peer.boundThere = false;
    this.#strangers.delete(replica);
    this.#host.outboxOf(replica).reset();
    this.#host.onReadiness();
  }

  /** True when messages about keys from this peer may be acted on. */
  mayAct(replica: ReplicaId): boolean {
    const peer = this.#byReplica[replica];
    return peer !== null && peer !== undefined && peer.boundHere;
  }

  onFrame(replica: ReplicaId): void {
    noteHeard(this.peer(replica));
  }

  onWatermark(replica: ReplicaId, watermark: number): void {
    const peer = this.peer(replica);
    if (peer.boundHere && watermark > peer.watermark) peer.watermark = watermark;
  }

  onControl(replica: ReplicaId, message: ControlMessage): void {
    const peer = this.peer(replica);
    switch (message.type) {
      case "heartbeat":
        this.#say(replica, {
          type: "heartbeat-reply",
          sentTick: message.sentTick,
          flushUs: this.#host.flushUs(),
          reaches: this.#host.reach?.mask() ?? 0,
          mapVersion: this.#host.map?.version ?? 0,
        });
        return;
      case "heartbeat-reply": {
        peer.flushUs = message.flushUs;
        this.#host.reach?.note(peer.nodeId, message.reaches);
        if (this.#host.map !== null && message.mapVersion > this.#host.map.version) {
          this.#say(replica, { type: "map-query" });
        }
        const microseconds = this.#host.clock.microseconds() - message.sentTick;
        // What was on its way during a pause of our own measures the pause.
        if (microseconds >= 0 && message.sentTick >= this.#pauseEndedUs) noteRoundTrip(peer, microseconds);
        return;
      }
      case "map-query": {
        const { map } = this.#host;
        if (map !== null && map.version > 0) this.#say(replica, { type: "map", bytes: map.bytes });
        return;
      }
      case "map":
        if (this.#host.map?.show(message.bytes) === false) this.#host.onBadMap(peer.nodeId);
        return;
      case "binding": {
        if (this.#isTaking) return; // said of what this node has just ceased to be
        const isBinding = this.#unsaved.get(peer.nodeId) === this.#connections[replica];
        if (!peer.boundHere && !isBinding) {
          if (!message.bound) this.#noteStranger(peer);
          return; // P29: a peer whose disk is refused here does not judge ours
        }
        this.#onBinding(peer, message);
        return;
      }
    }
  }

  #onBinding(peer: Peer, message: BindingMessage): void {
    const host = this.#host;
    const { identity } = host;
    this.#told.set(peer.replica, { incarnation: message.remembersIncarnation, loss: message.remembersLoss });
    const forgot = this.#whatWasForgotten(peer, message);
    if (identity.forgot !== "" || forgot !== null) {
      if (identity.forgot === "" && forgot !== null) host.onForgot(forgot);
      this.tellTold();
      return;
    }
    peer.boundThere = true;
    const before = this.fencedLoss;
    peer.fencedLoss = Math.max(peer.fencedLoss, message.remembersLoss);
    this.#confirmBirth(peer);
    host.onReadiness();
    if (before < identity.loss && this.fencedLoss >= identity.loss) host.onFence();
  }

  #whatWasForgotten(peer: Peer, message: BindingMessage): string | null {
    const forgot = judgeBinding(message, peer.nodeId, this.#host.recoveredWatermark);
    if (forgot !== null || this.#host.identity.born || message.first) return forgot;
    return `${peer.nodeId} has bound another disk for this node before: an empty disk may not vote in its place`;
  }

  /** P29: when all have told, the node may take numbers that are above all that they remember. */
  tellTold(): void {
    if (this.#host.identity.forgot === "" || this.#told.size < this.peers.length) return;
    let incarnation = 0;
    let loss = 0;
    for (const told of this.#told.values()) {
      incarnation = Math.max(incarnation, told.incarnation);
      loss = Math.max(loss, told.loss);
    }
    this.#isTaking = true;
    this.#host.onTold({ incarnation, loss });
  }

  /** All connections have ended, and this node says something new of itself on those to come. */
  beginAgain(): void {
    this.#isTaking = false;
  }

  /** It refuses us and we refuse it. One such peer has a wrong disk; when they are a majority, we have. */
  #noteStranger(peer: Peer): void {
    this.#strangers.add(peer.replica);
    if (this.#strangers.size <= this.peers.length / 2) return;
    const names = this.peers.filter(({ replica }) => this.#strangers.has(replica)).map(({ nodeId }) => nodeId);
    const text = `this disk and those of ${names.join(", ")} do not know each other: they belong to different clusters of one name`;
    this.#host.onFatal(new Failure("foreign", text));
  }

  #confirmBirth(peer: Peer): void {
    const { identity } = this.#host;
    if (identity.born) return;
    this.#confirmedBirth.add(peer.replica);
    if (this.#confirmedBirth.size < this.peers.length) return;
    identity.born = true;
    this.#host.saveIdentity(() => {
      this.#host.onBorn();
    });
  }

  /** Something about a key was sent to this peer: it is expected to be heard. */
  noteSent(replica: ReplicaId): void {
    const { tick } = this.#host.context;
    this.#lastWorkTick = tick;
    noteSent(this.peer(replica), tick);
    // Not everything is answered: a heartbeat soon, or a silence that means nothing would look like a death.
    this.#nextBeatTick = Math.min(this.#nextBeatTick, tick + BUSY_HEARTBEAT_TICKS);
  }

  /** Called every few ticks. */
  beat(): void {
    const { clock, context } = this.#host;
    const now = context.tick;
    if (now >= this.#nextBeatTick) {
      const busy = now - this.#lastWorkTick < IDLE_AFTER_TICKS;
      this.#nextBeatTick = now + (busy ? BUSY_HEARTBEAT_TICKS : IDLE_HEARTBEAT_TICKS);
      for (const peer of this.peers) {
        if (!isReady(peer)) continue;
        // A peer that answers anyway need not be asked whether it lives; how quick it is, now and then.
        const isHeard = peer.awaitedSinceTick === 0 && now < peer.lastBeatTick + IDLE_HEARTBEAT_TICKS;
        if (busy && isHeard) continue;
        peer.lastBeatTick = now;
        this.#say(peer.replica, { type: "heartbeat", sentTick: clock.microseconds() });
        noteSent(peer, now);
      }
    }
    if (now >= this.#nextNoteTick) {
      this.#nextNoteTick = now + NOTE_TICKS;
      this.#noteWatermarks();
    }
  }

  /** Brings up to date what is thought of each peer (peers.ts). True when suspicion changed. */
  judge(flushUs: number): boolean {
    const { context, identity, map } = this.#host;
    for (const peer of this.peers) peer.isDrained = map?.isDrained(peer.nodeId) ?? false;
    return judgePeers(context, this.peers, { flushUs, isDrained: map?.isDrained(identity.nodeId) ?? false });
  }

  /** A pause of our own says nothing about the peers: what they sent meanwhile has not been read yet. */
  forgiveSilence(): void {
    this.#pauseEndedUs = this.#host.clock.microseconds();
    for (const peer of this.peers) if (peer.awaitedSinceTick !== 0) peer.awaitedSinceTick = this.#host.context.tick;
  }

  /**
   * A note is a record too and raises the own watermark, which the peers would note in turn, for ever. So a node that had
   * nothing to do with keys since its last note leaves a difference that notes alone explain unnoted.
   */
  #noteWatermarks(): void {
    const slack = this.#lastWorkTick > this.#lastNoteTick ? 0 : UNNOTED_RECORDS;
    let changed = false;
    for (const peer of this.peers) {
      if (peer.boundHere && this.#takeWatermark(peer, slack)) changed = true;
    }
    if (!changed) return;
    this.#lastNoteTick = this.#host.context.tick;
    this.#host.saveIdentity(() => undefined);
  }

  /** What was heard from a peer becomes part of its binding, if it is more than `slack` above; durable with the next save. */
  #takeWatermark(peer: Peer, slack: number): boolean {
    const binding = this.#host.identity.bindings.get(peer.nodeId);
    if (binding === undefined || binding.incarnation !== peer.incarnation) return false;
    if (peer.watermark <= binding.watermark + slack) return false;
    binding.watermark = peer.watermark;
    return true;
  }

  #say(replica: ReplicaId, message: ControlMessage): void {
    this.#host.outboxOf(replica).control(message, this.#host.watermark());
  }
}
