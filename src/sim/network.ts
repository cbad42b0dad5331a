/**
 * A simulated network between the replicas of one group: connections that come and go, frames with random delays in the
 * order of their connection, one-way and two-way cuts. A cut closes nothing by itself: frames vanish and both sides find
 * out by silence, as with a dead switch.
 */
import type { Random } from "../base/random.js";
import { judgeHello } from "../net/handshake.js";
import type { Hello, Transport, TransportSink } from "../net/transport.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { VirtualTime } from "./virtual-time.js";

export interface NetworkOptions {
  readonly leastDelayUs: number;
  readonly mostDelayUs: number;
  /** Chance that a frame takes up to `slowUs`. */
  readonly slowChance: number;
  readonly slowUs: number;
}

const RECONNECT_US = 20_000;

export class SimulatedNetwork {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #options: NetworkOptions;
  readonly #ends: (SimulatedTransport | null)[];
  readonly #cut = new Set<string>();
  frames = 0;
  framesLost = 0;

  constructor(time: VirtualTime, random: Random, replicas: number, options: NetworkOptions) {
    this.#time = time;
    this.#random = random;
    this.#options = options;
    this.#ends = new Array<SimulatedTransport | null>(replicas).fill(null);
  }

  /** The transport of a process that starts; the one that was there is gone. */
  attach(replica: ReplicaId): SimulatedTransport {
    const end = new SimulatedTransport(this, replica);
    this.#ends[replica] = end;
    return end;
  }

  /** The process died: its peers see their connections close. */
  detach(replica: ReplicaId): void {
    const end = this.#ends[replica];
    if (end === null || end === undefined) return;
    this.#ends[replica] = null;
    end.kill();
    for (const other of this.#ends) {
      if (other !== null)
        this.#time.after(this.#delayUs(), () => {
          other.closeWith(replica, end, "the other side is gone");
        });
    }
  }

  cut(from: ReplicaId, to: ReplicaId): void {
    this.#cut.add(`${String(from)}>${String(to)}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  #isCut(from: ReplicaId, to: ReplicaId): boolean {
    return this.#cut.has(`${String(from)}>${String(to)}`);
  }

  #delayUs(): number {
    const { leastDelayUs, mostDelayUs, slowChance, slowUs } = this.#options;
    if (this.#random.chance(slowChance)) return this.#random.below(slowUs);
    return leastDelayUs + this.#random.below(mostDelayUs - leastDelayUs + 1);
  }

  /** Tries to connect two living ends, until it works or one of them is gone. */
  connect(a: SimulatedTransport, b: ReplicaId): void {
    this.#time.after(this.#delayUs(), () => {
      const other = this.#ends[b];
      if (a.isDead || this.#ends[a.replica] !== a) return;
      const reachable = other?.isListening === true && !this.#isCut(a.replica, b) && !this.#isCut(b, a.replica);
      if (!reachable || other === null || other === undefined) {
        this.#time.after(RECONNECT_US, () => {
          this.connect(a, b);
        });
        return;
      }
      const refusal = refusalOf(a.hello, other.hello);
      if (refusal !== null) {
        a.refused(b, refusal);
        other.refused(a.replica, refusal);
        this.#time.after(RECONNECT_US, () => {
          this.connect(a, b);
        });
        return;
      }
      a.openWith(b, other);
      other.openWith(a.replica, a);
    });
  }

  /** Carries a frame; frames of one direction of one connection stay in order. */
  carry(from: SimulatedTransport, to: SimulatedTransport, payload: Uint8Array, earliestUs: number): number {
    this.frames++;
    const atUs = Math.max(earliestUs, this.#time.nowUs + this.#delayUs());
    this.#time.after(atUs - this.#time.nowUs, () => {
      if (this.#isCut(from.replica, to.replica) || !to.isConnectedWith(from)) this.framesLost++;
      else to.deliver(from.replica, payload);
    });
    return atUs;
  }

  ends(): readonly (SimulatedTransport | null)[] {
    return this.#ends;
  }
}

/** What a real transport would say to these two: the same judgement, by the one that is dialled. */
function refusalOf(a: Hello | null, b: Hello | null): string | null {
  if (a === null || b === null) return "not started";
  const [lower, higher] = a.replica < b.replica ? [a, b] : [b, a];
  const nodes = [lower, higher].map(({ replica, nodeId }) => ({ replica, nodeId, host: "", port: 0 }));
  return judgeHello(higher, lower, nodes, null);
}

interface Connection {
  readonly other: SimulatedTransport;
  lastUs: number;
}

export class SimulatedTransport implements Transport {
  readonly replica: ReplicaId;
  readonly #network: SimulatedNetwork;
  readonly #connections = new Map<ReplicaId, Connection>();
  #sink: TransportSink | null = null;
  #hello: Hello | null = null;
  isDead = false;

  constructor(network: SimulatedNetwork, replica: ReplicaId) {
    this.#network = network;
    this.replica = replica;
  }

  get hello(): Hello | null {
    return this.#hello;
  }

  refused(peer: ReplicaId, reason: string): void {
    this.#sink?.onRefused(peer, reason);
  }

  get isListening(): boolean {
    return this.#sink !== null && !this.isDead;
  }

  start(sink: TransportSink, hello: Hello, listening: (error: Error | null) => void): void {
    this.#sink = sink;
    this.#hello = hello;
    listening(null);
    for (let other = 0; other < this.#network.ends().length; other++) {
      if (other !== this.replica) this.#network.connect(this, other);
    }
  }

  send(peer: ReplicaId, payload: Uint8Array): boolean {
    const connection = this.#connections.get(peer);
    if (connection === undefined || this.isDead) return false;
    connection.lastUs = this.#network.carry(this, connection.other, payload.slice(), connection.lastUs);
    return true;
  }

  disconnect(peer: ReplicaId, reason: string): void {
    const connection = this.#connections.get(peer);
    if (connection === undefined) return;
    this.closeWith(peer, connection.other, reason);
    connection.other.closeWith(this.replica, this, reason);
  }

  close(done: () => void): void {
    this.#network.detach(this.replica);
    done();
  }

  kill(): void {
    this.isDead = true;
    this.#connections.clear();
  }

  openWith(peer: ReplicaId, other: SimulatedTransport): void {
    if (this.#connections.get(peer)?.other === other) return;
    if (this.#connections.has(peer)) this.#sink?.onClosed(peer, "replaced");
    this.#connections.set(peer, { other, lastUs: 0 });
    if (other.#hello !== null) this.#sink?.onConnected(peer, other.#hello);
  }

  closeWith(peer: ReplicaId, other: SimulatedTransport, reason: string): void {
    if (this.isDead || this.#connections.get(peer)?.other !== other) return;
    this.#connections.delete(peer);
    this.#sink?.onClosed(peer, reason);
    this.#network.connect(this, peer);
  }

  isConnectedWith(other: SimulatedTransport): boolean {
    return !this.isDead && this.#connections.get(other.replica)?.other === other;
  }

  deliver(from: ReplicaId, payload: Uint8Array): void {
    this.#sink?.onFrame(from, payload);
  }
}
