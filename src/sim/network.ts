/**
 * A simulated network between the replicas of one group: connections that come and go, frames with random delays in the
 * order of their connection, and everything that can go wrong in between. What a fault may do is what the contract of a
 * Transport leaves open: a frame about keys may be lost, doubled or overtaken; the few frames with which nodes bind each
 * other are lost only together with their connection.
 */
import type { Random } from "../base/random.js";
import { judgeHello } from "../net/handshake.js";
import type { Hello } from "../net/transport.js";
import type { ReplicaId } from "../paxos/ballot.js";
import { Connection, type Direction, flipAndParse, type Flight } from "./connection.js";
import { type FaultHits, type FaultKind, FaultHits as Hits } from "./fault-kinds.js";
import { Gate } from "./gate.js";
import { renderFrame } from "./render.js";
import { Trace } from "./trace.js";
import { SimulatedTransport } from "./transport.js";
import type { VirtualTime } from "./virtual-time.js";

export interface NetworkOptions {
  readonly leastDelayUs: number;
  readonly mostDelayUs: number;
  /** Chance that a frame takes up to `slowUs`. */
  readonly slowChance: number;
  readonly slowUs: number;
}

/** Chances, per frame, of what goes wrong with it. May be changed at any time. */
export interface FrameFaults {
  drop: number;
  duplicate: number;
  reorder: number;
  delay: number;
  /** A delayed or overtaken frame takes up to this much longer. */
  delayUs: number;
  corrupt: number;
}

/** lossy: frames vanish, and whoever lost one finds its connection reset afterwards. stalled: they wait, as TCP would have it. */
export type CutMode = "lossy" | "stalled";

interface Cut {
  readonly mode: CutMode;
  readonly kind: FaultKind;
}

/** A broken variant: sees each frame before it leaves, and says what leaves in its place. */
export interface FrameTamper {
  /** True: nobody looks at the checksums of frames. */
  readonly trustsBytes?: boolean;
  onFrame?(network: SimulatedNetwork, from: ReplicaId, to: ReplicaId, payload: Uint8Array): readonly Uint8Array[];
}

export interface NetworkHooks {
  readonly trace: Trace;
  readonly hits: FaultHits;
  readonly tamper: FrameTamper | null;
}

const RECONNECT_US = 20_000;
/** What a sender's outbox holds of what a peer has not read. */
const OUTBOX_BYTES = 1 << 20;
/** First byte of a frame about keys. */
const KEY_FRAME = 1;

export class SimulatedNetwork {
  readonly time: VirtualTime;
  readonly faults: FrameFaults = { drop: 0, duplicate: 0, reorder: 0, delay: 0, delayUs: 1, corrupt: 0 };
  readonly hits: FaultHits;
  readonly trace: Trace;
  readonly #random: Random;
  readonly #options: NetworkOptions;
  readonly #tamper: FrameTamper | null;
  readonly #ends: (SimulatedTransport | null)[];
  readonly #cuts = new Map<number, Cut>();
  frames = 0;
  framesLost = 0;

  constructor(time: VirtualTime, random: Random, replicas: number, options: NetworkOptions, hooks?: NetworkHooks) {
    this.time = time;
    this.#random = random;
    this.#options = options;
    this.hits = hooks?.hits ?? new Hits();
    this.trace = hooks?.trace ?? new Trace(() => time.nowUs, false);
    this.#tamper = hooks?.tamper ?? null;
    this.#ends = new Array<SimulatedTransport | null>(replicas).fill(null);
  }

  /** The transport of a process that starts; the one that was there is gone. */
  attach(replica: ReplicaId, gate: Gate = new Gate()): SimulatedTransport {
    const end = new SimulatedTransport(this, replica, gate);
    this.#ends[replica] = end;
    return end;
  }

  /** The process died: its peers see their connections close, or, when the machine died with it, nothing. */
  detach(replica: ReplicaId, how: "closed" | "silent" = "closed"): void {
    const end = this.#ends[replica];
    if (end === null || end === undefined) return;
    this.#ends[replica] = null;
    for (const connection of end.kill()) {
      if (how === "silent") this.hits.hit("half-open");
      else this.#closeLater(connection.otherEnd(end), connection, "the other side is gone");
    }
  }

  #closeLater(end: SimulatedTransport, connection: Connection, reason: string): void {
    this.time.after(this.delayUs(), () => {
      end.closeWith(connection, reason);
    });
  }

  cut(from: ReplicaId, to: ReplicaId, mode: CutMode = "lossy", kind: FaultKind = "partition"): void {
    this.#cuts.set(pair(from, to), { mode, kind });
  }

  /** Ends one cut: what it held arrives, what it broke is reset. */
  mend(from: ReplicaId, to: ReplicaId): void {
    if (!this.#cuts.delete(pair(from, to))) return;
    const connection = this.#ends[from]?.connectionWith(to) ?? this.#ends[to]?.connectionWith(from);
    if (connection === undefined || connection === null) return;
    for (const direction of [0, 1] as const) {
      if (connection.broken[direction]) {
        this.#reset(connection, "frames were lost");
        return;
      }
      for (const flight of connection.held[direction].splice(0)) this.#arrive(flight);
    }
  }

  heal(): void {
    for (const cut of [...this.#cuts.keys()]) this.mend(cut >> 8, cut & 255);
  }

  /** One side of a connection ends it and the other one does not hear of it for a while. */
  halfOpen(a: ReplicaId, b: ReplicaId, lagUs: number): void {
    const connection = this.#ends[a]?.connectionWith(b) ?? null;
    const end = this.#ends[a];
    if (connection === null || end === null || end === undefined) return;
    this.hits.hit("half-open");
    end.closeWith(connection, "connection reset");
    this.time.after(lagUs, () => {
      connection.otherEnd(end).closeWith(connection, "connection reset");
    });
  }

  /** Both sides learn, each at its own time, that the connection is gone. */
  #reset(connection: Connection, reason: string): void {
    for (const end of connection.ends) this.#closeLater(end, connection, reason);
  }

  disconnect(by: SimulatedTransport, connection: Connection, reason: string): void {
    by.closeWith(connection, reason);
    this.#closeLater(connection.otherEnd(by), connection, reason);
  }

  #cutBetween(from: ReplicaId, to: ReplicaId): Cut | undefined {
    return this.#cuts.size === 0 ? undefined : this.#cuts.get(pair(from, to));
  }

  delayUs(): number {
    const { leastDelayUs, mostDelayUs, slowChance, slowUs } = this.#options;
    if (this.#random.chance(slowChance)) return this.#random.below(slowUs);
    return leastDelayUs + this.#random.below(mostDelayUs - leastDelayUs + 1);
  }

  /** Tries to connect two living ends, until it works or one of them is gone. */
  connect(a: SimulatedTransport, b: ReplicaId, afterUs = 0): void {
    this.time.after(afterUs + this.delayUs(), () => {
      if (a.isDead || a.connectionWith(b) !== null) return;
      const other = this.#ends[b] ?? null;
      if (other === null || !this.#isReachable(a, other)) {
        this.connect(a, b, RECONNECT_US);
        return;
      }
      const refusal = refusalOf(a.hello, other.hello);
      if (refusal !== null) {
        a.refused(b, refusal);
        other.refused(a.replica, refusal);
        this.connect(a, b, RECONNECT_US);
        return;
      }
      const connection = new Connection(a, other);
      this.trace.note("connect", (a.replica << 4) | b, 0);
      a.openWith(connection);
      other.openWith(connection);
    });
  }

  #isReachable(a: SimulatedTransport, b: SimulatedTransport): boolean {
    const listening = a.isListening && b.isListening && a.gate.isOpen && b.gate.isOpen;
    return listening && !this.#cuts.has(pair(a.replica, b.replica)) && !this.#cuts.has(pair(b.replica, a.replica));
  }

  /** Takes a frame on its way. False when the sender's outbox is full: the other side does not read. */
  carry(connection: Connection, from: SimulatedTransport, payload: Uint8Array): boolean {
    const direction = connection.directionFrom(from);
    const to = connection.otherEnd(from);
    if (connection.queuedBytes[direction] + payload.length > OUTBOX_BYTES) {
      this.framesLost++;
      return false;
    }
    this.trace.noteBytes("send", (from.replica << 4) | to.replica, payload);
    if (this.trace.hasStory) this.#tell(from.replica, "->", to.replica, payload);
    // The sender uses its buffer again: what is on its way is a copy, whoever changes it.
    const sent = payload.slice();
    const frames = this.#tamper?.onFrame?.(this, from.replica, to.replica, sent) ?? [sent];
    for (const frame of frames) this.#launch(connection, direction, frame);
    return true;
  }

  #tell(from: ReplicaId, arrow: string, to: ReplicaId, payload: Uint8Array): void {
    for (const text of renderFrame(payload, this.#ends.length)) {
      this.trace.tell(`n${String(from + 1)} ${arrow} n${String(to + 1)}: ${text}`);
    }
  }

  /** A frame that nobody sent arrives as if `from` had; for broken variants. */
  forge(from: ReplicaId, to: ReplicaId, payload: Uint8Array): void {
    const end = this.#ends[from];
    const connection = end?.connectionWith(to) ?? null;
    if (end === null || end === undefined || connection === null) return;
    this.#launch(connection, connection.directionFrom(end), payload);
  }

  #launch(connection: Connection, direction: Direction, payload: Uint8Array): void {
    const { faults, hits } = this;
    this.frames++;
    const aboutKeys = payload[0] === KEY_FRAME;
    let delayUs = this.delayUs();
    if (faults.delay > 0 && this.#random.chance(faults.delay)) {
      delayUs += this.#random.below(faults.delayUs);
      hits.hit("delay");
    }
    if (aboutKeys && faults.drop > 0 && this.#random.chance(faults.drop)) {
      hits.hit("drop");
      this.#lose(connection, direction, payload);
      return;
    }
    const corrupt = faults.corrupt > 0 && this.#random.chance(faults.corrupt);
    const overtaken = aboutKeys && faults.reorder > 0 && this.#random.chance(faults.reorder);
    const flight = connection.newFlight(direction, payload, corrupt);
    if (overtaken) this.#after(delayUs + this.#random.below(faults.delayUs), flight);
    else {
      const atUs = Math.max(connection.lastUs[direction], this.time.nowUs + delayUs);
      connection.lastUs[direction] = atUs;
      this.#after(atUs - this.time.nowUs, flight);
    }
    if (aboutKeys && faults.duplicate > 0 && this.#random.chance(faults.duplicate)) {
      hits.hit("duplicate");
      this.#after(delayUs + this.#random.below(faults.delayUs), connection.newFlight(direction, payload, false));
    }
  }

  #after(delayUs: number, flight: Flight): void {
    this.time.after(delayUs, () => {
      this.#arrive(flight);
    });
  }

  #lose(connection: Connection, direction: Direction, payload: Uint8Array): void {
    this.framesLost++;
    const [from, to] = connection.pair(direction);
    if (this.trace.hasStory) this.#tell(from.replica, "-x", to.replica, payload);
    this.trace.note("lose", (from.replica << 4) | to.replica, this.framesLost);
  }

  #arrive(flight: Flight): void {
    const { connection, direction } = flight;
    const [from, to] = connection.pair(direction);
    const cut = this.#cutBetween(from.replica, to.replica);
    if (cut !== undefined) {
      this.hits.hit(cut.kind);
      if (cut.mode === "stalled") {
        connection.held[direction].push(flight);
        return;
      }
      connection.broken[direction] = true;
      connection.queuedBytes[direction] -= flight.payload.length;
      this.#lose(connection, direction, flight.payload);
      return;
    }
    const waitUs = to.takesAfterUs();
    if (waitUs > 0) {
      this.hits.hit("slow-reader");
      this.time.after(waitUs, () => {
        this.#enter(flight);
      });
    } else this.#enter(flight);
  }

  /** The frame reaches the process, when that looks. */
  #enter(flight: Flight): void {
    const { connection, direction } = flight;
    const to = connection.pair(direction)[1];
    to.gate.enter(() => {
      connection.queuedBytes[direction] -= flight.payload.length;
      if (to.connectionWith(connection.otherEnd(to).replica) !== connection) {
        this.#lose(connection, direction, flight.payload);
        return;
      }
      if (flight.sequence < connection.seen[direction]) this.hits.hit("reorder");
      else connection.seen[direction] = flight.sequence;
      const payload = flight.corrupt ? this.#corrupted(flight.payload) : flight.payload;
      if (payload === null) {
        this.hits.hit("corrupt-frame");
        this.disconnect(to, connection, "checksum of a frame does not fit");
        return;
      }
      const from = connection.otherEnd(to).replica;
      this.trace.note("deliver", (from << 4) | to.replica, flight.sequence);
      if (this.trace.hasStory) this.#tell(from, "=>", to.replica, payload);
      to.deliver(from, payload);
    });
  }

  /** What the receiver takes out of a frame of which one bit was flipped: null when it sees that. */
  #corrupted(payload: Uint8Array): Uint8Array | null {
    return flipAndParse(payload, this.#random, this.#tamper?.trustsBytes ?? false);
  }

  ends(): readonly (SimulatedTransport | null)[] {
    return this.#ends;
  }
}

function pair(from: ReplicaId, to: ReplicaId): number {
  return (from << 8) | to;
}

/** What a real transport would say to these two: the same judgement, by the one that is dialled. */
function refusalOf(a: Hello | null, b: Hello | null): string | null {
  if (a === null || b === null) return "not started";
  const [lower, higher] = a.replica < b.replica ? [a, b] : [b, a];
  const nodes = [lower, higher].map(({ replica, nodeId }) => ({ replica, nodeId, host: "", port: 0 }));
  return judgeHello(higher, lower, nodes, null);
}
