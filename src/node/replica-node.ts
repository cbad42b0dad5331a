/**
 * One replica alive: the store, the peers and the turn loop under one roof, and the service that the rooms above use.
 * A node serves once its identity is durable, and votes once it was born (P29). It never answers from doubt: what cannot
 * be decided is refused with a code, or said to be unknown.
 */
import type { Key } from "../base/key.js";
import type { Hello, TransportSink } from "../net/transport.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Context } from "../paxos/context.js";
import type { Message } from "../paxos/message.js";
import type { Operation } from "../paxos/operation.js";
import type { StoreSink, StoreStatus } from "../storage/store.js";
import { ClientDoor, type NodeState, type Refusal, refusalOf } from "./client-door.js";
import { ClientTable } from "./clients.js";
import type { TimerHandle } from "./clock.js";
import { IDENTITY_KEYS, IdentityRecord } from "./identity-record.js";
import { Inspections } from "./inspect.js";
import { countLiveKeys, scanLiveKeys } from "./key-scan.js";
import { Lateness, PAUSE_TICKS } from "./lateness.js";
import { Links } from "./links.js";
import { Losses } from "./losses.js";
import { Once } from "./once.js";
import { NodeError } from "./node-error.js";
import { Outbox } from "./outbox.js";
import { PeerFrames } from "./peer-frames.js";
import { isReady } from "./peers.js";
import { Repair } from "./repair.js";
import { noteRoom } from "./room.js";
import { helloOf, type NodeParts } from "./node-parts.js";
import { nodeStats } from "./node-stats.js";
import {
  type ChangeListener,
  type GroupStats,
  type KeyService,
  NOBODY,
  type NodeStats,
  type PLogView,
  type ReplySink,
} from "./service.js";
import { Counters } from "./stats.js";
import type { PassFindings } from "./sweep/findings.js";
import { TurnLoop } from "./turn.js";

/** Pace at which peers are judged and heartbeats are considered. */
const BEAT_TICKS = 4;
/** Store statistics that change slowly are asked for every so many beats. */
const BEATS_PER_SAMPLE = 32;

export class ReplicaNode implements KeyService, StoreSink, TransportSink {
  readonly #parts: NodeParts;
  readonly #context: Context;
  readonly #counters = new Counters();
  readonly #door: ClientDoor;
  readonly #outboxes: (Outbox | null)[];
  readonly #links: Links;
  readonly #turns: TurnLoop;
  readonly #inspections: Inspections;
  readonly #frames: PeerFrames;
  readonly #repair: Repair;
  readonly #record: IdentityRecord;
  readonly #losses: Losses;
  readonly #lateness: Lateness;
  #state: NodeState = "loading";
  /** Whom to tell how the start went; null once told. */
  #starting: ((error: NodeError | null) => void) | null = null;
  readonly #leaving: Once;
  #failure = "";
  #beatTimer: TimerHandle | null = null;
  #lastBeatTick = 0;
  #beats = 0;
  #flushUs = 0;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#leaving = new Once((done) => {
      parts.transport.close(done); // all connections end, so that the peers know at once
    });
    const { context, identity, transport, store, clock } = parts;
    this.#lateness = new Lateness(clock.tick());
    this.#record = new IdentityRecord(store, identity, parts.identityPosition, parts.identityBroken);
    this.#outboxes = identity.nodeIds.map((_id, replica) =>
      replica === context.self ? null : new Outbox(transport, replica, this.#counters),
    );
    this.#losses = this.#newLosses();
    this.#links = this.#newLinks();
    const clients = new ClientTable();
    this.#turns = this.#newTurns(clients);
    const [turns, counters, lateness] = [this.#turns, this.#counters, this.#lateness];
    const { requestTicks } = parts;
    this.#door = new ClientDoor({ clock, context, turns, clients, counters, requestTicks, lateness });
    this.#repair = this.#newRepair();
    this.#frames = this.#newFrames();
    this.#inspections = new Inspections(context, clock, identity.nodeIds);
  }

  #newRepair(): Repair {
    const { context, identity, store, repair: options } = this.#parts;
    const [links, turns, door, losses] = [this.#links, this.#turns, this.#door, this.#losses];
    const parts = { context, identity, store, links, turns, door, losses, options };
    return new Repair({
      ...parts,
      sendSweep: (peer, message) => {
        if (!isReady(links.peer(peer))) return false;
        links.noteSent(peer);
        return this.#outboxOf(peer).sweep(message, store.watermark());
      },
    });
  }

  #newFrames(): PeerFrames {
    return new PeerFrames(this.#context.replicas, {
      onWatermark: (peer, watermark) => {
        this.#links.onWatermark(peer, watermark);
      },
      onMessage: (peer, message) => {
        this.#onMessage(peer, message);
      },
      onControl: (peer, message) => {
        this.#links.onControl(peer, message);
      },
      onSweep: (peer, message) => {
        if (this.#links.mayAct(peer) && this.#state === "serving") this.#repair.onMessage(peer, message);
      },
      onBad: (peer, reason) => {
        this.#parts.transport.disconnect(peer, `a frame could not be read: ${reason}`);
      },
    });
  }

  #newLosses(): Losses {
    const { context, identity, transport } = this.#parts;
    return new Losses({
      context,
      identity,
      save: (done) => {
        this.#saveIdentity(done);
      },
      announce: () => {
        transport.changeHello(this.#hello());
        this.#links.beginAgain();
      },
      fencedLoss: () => this.#links.fencedLoss,
    });
  }

  #newLinks(): Links {
    const { context, identity, transport, store, clock, reach, map } = this.#parts;
    return new Links({
      reach,
      map,
      onBadMap: (nodeId) => {
        this.#alarm(`${nodeId} showed a map of the cluster that cannot be read`);
      },
      clock,
      context,
      identity,
      transport,
      recoveredWatermark: store.facts.recoveredWatermark,
      watermark: () => store.watermark(),
      flushUs: () => (context.mayVote ? Math.round(this.#flushUs) : 0),
      saveIdentity: (done) => {
        this.#saveIdentity(done);
      },
      onReadiness: () => {
        this.#judge();
      },
      onBorn: () => {
        this.#beginServing();
      },
      onPeerLoss: (replica) => {
        this.#turns.forgetPeer(replica);
      },
      onForgot: (reason) => {
        this.#forget(reason);
      },
      onTold: (told) => {
        this.#losses.takeAll(told, () => {
          // P31: no lane may go on that was opened before the loss: it would vote for what it only believes to know (seed 63557).
          this.#turns.clear();
          this.#beginServing();
        });
      },
      onFence: () => {
        this.#repair.onFence();
      },
      onFatal: (error) => {
        this.#fail(error);
      },
      outboxOf: (replica) => this.#outboxOf(replica),
    });
  }

  #newTurns(clients: ClientTable): TurnLoop {
    const { context, store, clock } = this.#parts;
    return new TurnLoop({
      clock,
      context,
      store,
      clients,
      counters: this.#counters,
      lateness: this.#lateness,
      outboxFor: (replica) => (isReady(this.#links.peer(replica)) ? this.#outboxOf(replica) : null),
      eachOutbox: (visit) => {
        for (const outbox of this.#outboxes) if (outbox !== null) visit(outbox);
      },
      onSent: (replica) => {
        this.#links.noteSent(replica);
      },
      onOwnReply: (message) => this.#inspections.onReply(context.self, message),
      onAlarm: (key, text) => {
        this.#alarm(`${JSON.stringify(key.slice(1))}: ${text}`);
      },
      onTainted: () => {
        this.#losses.taint();
      },
      onBatchFailed: (status) => {
        this.#storeFailed(`a batch could not be made durable (${status})`);
      },
    });
  }

  /** Makes the new incarnation durable, then begins to listen. `serving`: once, or with why not. */
  start(serving: (error: NodeError | null) => void): void {
    this.#starting = serving;
    this.#saveIdentity(() => {
      if (this.#state === "loading") this.#listen();
    });
  }

  #listen(): void {
    const { transport, identity } = this.#parts;
    transport.start(this, this.#hello(), (error) => {
      if (this.#state !== "loading") return;
      if (error !== null) {
        this.#fail(new NodeError("listen", `cannot listen for peers: ${error.message}`));
        return;
      }
      this.#state = "waiting";
      if (identity.born && identity.forgot === "") this.#beginServing();
      this.#lastBeatTick = this.#parts.clock.tick();
      this.#beat();
      this.#started(null);
    });
  }

  #hello(): Hello {
    return helloOf(this.#parts);
  }

  #started(error: NodeError | null): void {
    const told = this.#starting;
    this.#starting = null;
    told?.(error);
  }

  /** May be called again, and whatever became of the node. */
  close(done: () => void): void {
    this.#stop("closed", "the node is closing");
    this.#leaving.run(() => {
      this.#parts.store.close(done);
    });
  }

  write(key: Key, operation: Operation, sink: ReplySink, tag: number): void {
    this.#door.write(key, operation, sink, tag, this.#refusal());
  }

  read(key: Key, sink: ReplySink, tag: number): void {
    this.#door.read(key, sink, tag, this.#refusal());
  }

  inspect(key: Key, done: (views: readonly PLogView[]) => void): void {
    this.#inspections.ask(key, this.#turns, this.#isOver, done);
  }

  get #isOver(): boolean {
    return this.#state === "failed" || this.#state === "closed";
  }

  get isServing(): boolean {
    return this.#state === "serving";
  }

  countKeys(): number {
    return countLiveKeys(this.#parts.store);
  }

  scanKeys(cursor: bigint, limit: number, visit: (key: Key) => void): bigint {
    return this.#isOver ? 0n : scanLiveKeys(this.#parts.store, cursor, limit, visit);
  }

  stats(): NodeStats {
    const { identity, store } = this.#parts;
    const [context, links, counters, turns] = [this.#context, this.#links, this.#counters, this.#turns];
    const [state, sweep] = [this.#state, this.#repair.stats];
    return nodeStats({ state, identity, context, links, counters, turns, sweep, store: store.stats() });
  }

  get nodeIds(): readonly string[] {
    return this.#parts.identity.nodeIds;
  }

  reaches(peer: ReplicaId): boolean {
    return this.#context.suspected[peer] === false;
  }

  hears(nodeId: string): boolean {
    return this.reaches(this.nodeIds.indexOf(nodeId));
  }

  listen(listener: ChangeListener | null): void {
    this.#turns.listener = listener;
  }

  groupStats(): readonly GroupStats[] {
    return [{ group: this.#parts.group, stats: this.stats() }];
  }

  verifyNow(done: (found: Readonly<PassFindings>) => void): void {
    this.#repair.verifyNow(done);
  }

  acceptLoss(): boolean {
    const accepted = this.#repair.acceptLoss();
    if (accepted) this.#alarm("P31: by order, what this replica and another one have both lost is given up");
    return accepted;
  }

  #refusal(): Refusal | null {
    return this.#state === "serving"
      ? null
      : refusalOf(this.#state, this.#parts.identity.forgot, this.#links, this.#failure);
  }

  onDurable(token: number, status: StoreStatus): void {
    this.#turns.onDurable(token, status);
    this.#record.onDurable(token, status);
    if (status === "ok" && this.#record.putCopy()) this.#turns.schedule();
  }

  onRead(tag: number, status: StoreStatus, value: Uint8Array | null): void {
    this.#turns.onRead(tag, status, value);
  }

  onFailed(message: string): void {
    this.#storeFailed(message);
  }

  /**
   * D19, P30. A lane in memory is whole: it knows what it promised and accepted, goes on, and its next record replaces the
   * broken one. A key at rest is learner-only from now on: reading it fetches what was chosen from the others, and so
   * puts a sound record in the place of the broken one. The own identity is in memory, and written anew.
   */
  onDamaged(key: Key, position: number): void {
    if (this.#isOver) return;
    const text = `D19: the record at position ${String(position)} is broken on disk`;
    if ((IDENTITY_KEYS as readonly Key[]).includes(key)) {
      this.#alarm(`identity: ${text}; it is written anew`);
      this.#saveIdentity(() => undefined);
      return;
    }
    this.#alarm(`${JSON.stringify(key.slice(1))}: ${text}`);
    if (!this.#turns.hasLane(key) && this.#state === "serving") this.read(key, NOBODY, 0);
  }

  onConnected(peer: ReplicaId, hello: Hello): void {
    this.#parts.events.onPeer(`connected to ${hello.nodeId}, incarnation ${String(hello.incarnation)}`);
    this.#links.onConnected(peer, hello);
  }

  onClosed(peer: ReplicaId, reason: string): void {
    this.#parts.events.onPeer(`connection with ${this.#links.peer(peer).nodeId} ended: ${reason}`);
    this.#links.onClosed(peer);
    this.#repair.onGone(peer);
  }

  onFrame(peer: ReplicaId, payload: Uint8Array): void {
    this.#links.onFrame(peer);
    this.#frames.read(peer, payload);
  }

  onRefused(peer: ReplicaId | -1, reason: string): void {
    const who = peer === -1 ? "a stranger" : this.#links.peer(peer).nodeId;
    if (peer !== -1) this.#links.peer(peer).refused = reason;
    this.#parts.events.onPeer(`refused: ${who}: ${reason}`);
  }

  #onMessage(from: ReplicaId, message: Message): void {
    if (!this.#links.mayAct(from)) return;
    if (message.type === "state-reply" && this.#inspections.onReply(from, message)) return;
    // Before its birth a node has nothing to say, and on a disk that forgot nothing may be begun (P29).
    if (this.#state !== "serving") return;
    if (message.type === "learn") this.#repair.noteFetched(message.entry.bytes.length);
    this.#turns.enqueueMessage(from, message);
  }

  #outboxOf(replica: ReplicaId): Outbox {
    const outbox = this.#outboxes[replica];
    if (outbox === null || outbox === undefined) throw new NodeError("io", "no outbox for the own replica");
    return outbox;
  }

  #saveIdentity(done: () => void): void {
    this.#record.put(this.#turns.nextToken, done);
    this.#turns.schedule();
  }

  #beginServing(): void {
    if (this.#state !== "waiting") return; // it failed or was closed while its birth became durable
    this.#context.mayVote = !this.#parts.identity.learnerOrder;
    this.#state = "serving";
    this.#parts.events.onBorn();
    this.#turns.wakeAll();
  }

  /** P29: this disk may not be believed, so whatever was begun on it ends. All others are asked what they remember. */
  #forget(reason: string): void {
    if (this.#isOver) return;
    this.#alarm(`P29: ${reason}; this node votes again for each key when all others have told what they hold of it`);
    this.#parts.identity.forgot = reason;
    if (this.#state === "serving") {
      this.#state = "waiting";
      this.#context.mayVote = false;
      this.#turns.clear();
      this.#door.drain(`${reason}; the node has to ask all others`);
    }
    this.#saveIdentity(() => undefined);
  }

  /** P30, by order: durable before `done`; the node votes or is silent from then on. */
  setLearner(on: boolean, done: () => void): void {
    const { identity } = this.#parts;
    identity.learnerOrder = on;
    if (on) this.#context.mayVote = false;
    this.#saveIdentity(() => {
      if (this.#state === "serving") this.#context.mayVote = !identity.learnerOrder;
      this.#turns.wakeAll();
      done();
    });
  }

  readonly #beat = (): void => {
    const { clock, store, events, requestTicks } = this.#parts;
    const context = this.#context;
    context.tick = clock.tick();
    context.wallMs = clock.wallMs();
    const pauseTicks = context.tick - this.#lastBeatTick;
    if (pauseTicks > PAUSE_TICKS) this.#links.forgiveSilence();
    if (pauseTicks >= requestTicks) events.onPeer(`this process stood still for ${String(pauseTicks)} ms`);
    context.lateTicks = this.#lateness.at(context.tick);
    this.#lastBeatTick = context.tick;
    if (this.#beats++ % BEATS_PER_SAMPLE === 0) this.#flushUs = store.stats().flushUs;
    noteRoom(context, store);
    this.#links.beat();
    this.#losses.beat();
    if (this.#state === "serving") this.#repair.beat(Math.max(0, pauseTicks - BEAT_TICKS));
    this.#inspections.expire(context.tick);
    this.#judge();
    this.#beatTimer = clock.after(BEAT_TICKS, this.#beat);
  };

  #judge(): void {
    if (this.#links.judge(this.#flushUs)) this.#turns.wakeAll();
  }

  #alarm(text: string): void {
    this.#counters.alarms++;
    this.#parts.events.onAlarm(text);
  }

  #storeFailed(message: string): void {
    if (!this.#context.storeWorks) return;
    this.#context.storeWorks = false;
    this.#fail(new NodeError("io", `the store failed: ${message}`));
  }

  #fail(error: NodeError): void {
    if (this.#isOver) return;
    this.#stop("failed", error.message);
    this.#leaving.run(() => undefined);
    if (this.#starting === null) this.#parts.events.onFatal(error);
    else this.#started(error);
  }

  /** Stops voting and serving. Who waits for a write is told the truth: nobody knows. */
  #stop(state: "failed" | "closed", why: string): void {
    if (this.#state === "closed") return;
    this.#state = state;
    this.#failure = why;
    this.#context.mayVote = false;
    this.#beatTimer?.cancel();
    this.#turns.stop();
    this.#door.drain(why);
    this.#inspections.endAll();
    this.#repair.end();
  }
}
