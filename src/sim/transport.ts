/**
 * One process's end of the simulated network: a Transport for its node. Whatever it tells the node goes through the gate of
 * the process. It knows which connections the process believes in; the other side may believe otherwise.
 */
import type { Hello, Transport, TransportSink } from "../net/transport.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Connection } from "./connection.js";
import type { Gate } from "./gate.js";
import type { SimulatedNetwork } from "./network.js";

export class SimulatedTransport implements Transport {
  readonly replica: ReplicaId;
  readonly gate: Gate;
  readonly #network: SimulatedNetwork;
  readonly #connections = new Map<ReplicaId, Connection>();
  #sink: TransportSink | null = null;
  #hello: Hello | null = null;
  /** A slow reader takes one frame in this time; 0 = at once. */
  #readUs = 0;
  #busyUntilUs = 0;
  isDead = false;

  constructor(network: SimulatedNetwork, replica: ReplicaId, gate: Gate) {
    this.#network = network;
    this.replica = replica;
    this.gate = gate;
  }

  get hello(): Hello | null {
    return this.#hello;
  }

  get isListening(): boolean {
    return this.#sink !== null && !this.isDead;
  }

  connectionWith(peer: ReplicaId): Connection | null {
    return this.#connections.get(peer) ?? null;
  }

  start(sink: TransportSink, hello: Hello, listening: (error: Error | null) => void): void {
    this.#sink = sink;
    this.#hello = hello;
    listening(null);
    for (let other = 0; other < this.#network.ends().length; other++) {
      if (other !== this.replica) this.#network.connect(this, other);
    }
  }

  changeHello(hello: Hello): void {
    this.#hello = hello;
    for (const peer of [...this.#connections.keys()]) this.disconnect(peer, "this node says something new of itself");
  }

  send(peer: ReplicaId, payload: Uint8Array): boolean {
    const connection = this.#connections.get(peer);
    if (connection === undefined || this.isDead) return false;
    return this.#network.carry(connection, this, payload);
  }

  disconnect(peer: ReplicaId, reason: string): void {
    const connection = this.#connections.get(peer);
    if (connection !== undefined) this.#network.disconnect(this, connection, reason);
  }

  close(done: () => void): void {
    if (!this.isDead) this.#network.detach(this.replica);
    done();
  }

  /** Ends everything; what it was connected with. */
  kill(): Connection[] {
    this.isDead = true;
    const ended = [...this.#connections.values()];
    this.#connections.clear();
    return ended;
  }

  /** From now on this process takes a frame only every so often. */
  readSlowly(usPerFrame: number): void {
    this.#readUs = usPerFrame;
  }

  /** How long a frame that arrives now waits until it is read; its turn is taken with that. */
  takesAfterUs(): number {
    const { nowUs } = this.#network.time;
    if (this.#readUs === 0 && this.#busyUntilUs <= nowUs) return 0;
    const atUs = Math.max(nowUs, this.#busyUntilUs);
    this.#busyUntilUs = atUs + this.#readUs;
    return atUs - nowUs;
  }

  openWith(connection: Connection): void {
    const peer = connection.otherEnd(this);
    const present = this.#connections.get(peer.replica);
    this.#connections.set(peer.replica, connection);
    if (present !== undefined) this.#sink?.onClosed(peer.replica, "replaced");
    // What heard of the end of the old one may have ended this process.
    if (this.#connections.get(peer.replica) !== connection || peer.#hello === null) return;
    this.#sink?.onConnected(peer.replica, peer.#hello);
  }

  closeWith(connection: Connection, reason: string): void {
    this.gate.enter(() => {
      const peer = connection.otherEnd(this).replica;
      if (this.isDead || this.#connections.get(peer) !== connection) return;
      this.#connections.delete(peer);
      this.#network.trace.note("disconnect", (this.replica << 4) | peer, 0);
      this.#sink?.onClosed(peer, reason);
      if (!this.isDead) this.#network.connect(this, peer);
    });
  }

  deliver(from: ReplicaId, payload: Uint8Array): void {
    this.#sink?.onFrame(from, payload);
  }

  refused(peer: ReplicaId, reason: string): void {
    this.gate.enter(() => {
      this.#sink?.onRefused(peer, reason);
    });
  }
}
