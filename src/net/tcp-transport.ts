/**
 * The transport over TCP: one duplex connection per pair of replicas, dialled by the one with the higher number, made
 * again whenever it ends. It decides which connection counts and when to dial; what is said on one connection is the
 * link's. Frames are opaque here. Callbacks only.
 *
 * What a sink can rely on: onConnected and onClosed alternate per peer, beginning with onConnected; onFrame of a peer
 * comes only in between. `disconnect` calls onClosed before it returns. After `close` nothing is called but `done`.
 */
import { connect } from "node:net";
import { assert } from "../base/assert.js";
import type { ReplicaId } from "../paxos/ballot.js";
import { judgeHello, type Greeting } from "./handshake.js";
import { Link, type LinkEnd } from "./link.js";
import type { GroupOptions, PeerAddress, PeerTls, TcpLimits, TcpOptions } from "./options.js";
import { type GroupTransport, PeerPort } from "./peer-port.js";
import { dialSecurely, judgeCertificate } from "./peer-tls.js";
import { Refusals } from "./refusals.js";
import type { Hello, Transport, TransportSink } from "./transport.js";

interface Peer {
  readonly address: PeerAddress;
  /** The one connection that counts; its onConnected was called. */
  link: Link | null;
  /** A dial under way. */
  dial: Link | null;
  timer: NodeJS.Timeout | null;
  /** Dials since a connection last lived. */
  failures: number;
}

interface Started {
  readonly sink: TransportSink;
  hello: Hello;
  readonly refusals: Refusals;
  readonly heart: NodeJS.Timeout;
}

export class TcpTransport implements Transport, GroupTransport {
  readonly #options: GroupOptions;
  readonly #limits: TcpLimits;
  readonly #port: PeerPort;
  readonly #peers = new Map<ReplicaId, Peer>();
  /** Every link of this group whose socket is not gone yet. */
  readonly #links = new Set<Link>();
  #started: Started | null = null;
  #attempts = 0;
  #closed = false;

  /** `port`: where this node listens for the peers of all its groups. */
  constructor(options: GroupOptions, port: PeerPort) {
    this.#options = options;
    this.#port = port;
    this.#limits = port.limits;
    for (const address of options.nodes) {
      assert(!this.#peers.has(address.replica), "every replica has one address");
      this.#peers.set(address.replica, { address, link: null, dial: null, timer: null, failures: 0 });
    }
    assert(this.#peers.delete(options.self), "this node is one of the nodes");
  }

  /** Of a node in one group. */
  static alone(options: TcpOptions): TcpTransport {
    return new TcpTransport(options, new PeerPort(options));
  }

  /** For connections that are made from now on; those that are there stay. Throws when the files do not belong together. */
  renewCertificates(tls: PeerTls): void {
    this.#port.renewCertificates(tls);
  }

  /** The port that is listened on; 0 before `listening` was called. */
  get port(): number {
    return this.#port.port;
  }

  get group(): number {
    assert(this.#started !== null, "a transport joins its port when it starts");
    return this.#started.hello.group;
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  hello(): Hello {
    assert(this.#started !== null, "who is not started says nothing");
    return this.#started.hello;
  }

  start(sink: TransportSink, hello: Hello, listening: (error: Error | null) => void): void {
    assert(this.#started === null && !this.#closed, "a transport is started once");
    assert(hello.replica === this.#options.self, "we say who we are");
    const report = (peer: ReplicaId | -1, reason: string): void => {
      if (!this.#closed) sink.onRefused(peer, reason);
    };
    this.#started = {
      sink,
      hello,
      refusals: new Refusals(report, this.#limits.strangerReports, this.#limits.strangerWindowMs),
      heart: setInterval(() => {
        this.#beat();
      }, this.#limits.keepaliveMs),
    };
    this.#port.join(this, (error) => {
      if (this.#closed) return;
      listening(error);
      if (error === null) for (const peer of this.#peers.values()) this.#dial(peer);
    });
  }

  changeHello(hello: Hello): void {
    if (this.#started === null || this.#closed) return;
    this.#started.hello = hello;
    // Those that are not open yet have the old one too.
    for (const link of this.#links) link.cut("this node says something new of itself");
  }

  send(replica: ReplicaId, payload: Uint8Array): boolean {
    return this.#peers.get(replica)?.link?.send(payload) ?? false;
  }

  disconnect(replica: ReplicaId, reason: string): void {
    this.#peers.get(replica)?.link?.refuse(reason);
  }

  close(done: () => void): void {
    assert(!this.#closed, "a transport is closed once");
    this.#closed = true;
    if (this.#started !== null) {
      clearInterval(this.#started.heart);
      this.#started.refusals.close();
    }
    for (const peer of this.#peers.values()) {
      if (peer.timer !== null) clearTimeout(peer.timer);
      peer.timer = null;
    }
    for (const link of this.#links) link.cut("this node is closing");
    if (this.#started === null) done();
    else this.#port.leave(this, done);
  }

  adopt(link: Link): void {
    this.#links.add(link);
  }

  onStranger(reason: string): void {
    if (!this.#closed) this.#started?.refusals.add(-1, reason);
  }

  /** Dials a peer of a lower number; those of a higher one dial us. */
  #dial(peer: Peer): void {
    const started = this.#started;
    if (this.#closed || started === null || peer.address.replica > this.#options.self) return;
    assert(peer.link === null && peer.dial === null, "one connection per pair");
    this.#attempts++;
    const { host, port } = peer.address;
    const { tls } = this.#port;
    const socket = tls === null ? connect({ host, port }) : dialSecurely(tls, host, port);
    const [dialled, attempt, limits, isSecure] = [peer.address.replica, this.#attempts, this.#limits, tls !== null];
    peer.dial = new Link({ socket, dialled, attempt, limits, isSecure }, this);
    this.#links.add(peer.dial);
  }

  #dialLater(peer: Peer): void {
    const { backoffFirstMs, backoffLastMs } = this.#limits;
    const longest = Math.min(backoffLastMs, backoffFirstMs * 2 ** Math.min(peer.failures, 20));
    peer.failures++;
    const delay = longest / 2 + this.#options.random.below(Math.ceil(longest / 2) + 1);
    peer.timer = setTimeout(() => {
      peer.timer = null;
      this.#dial(peer);
    }, delay);
  }

  #beat(): void {
    for (const peer of this.#peers.values()) peer.link?.beat();
  }

  judge(link: Link, greeting: Greeting): string | null {
    const started = this.#started;
    if (started === null) return "not started";
    const refusal = judgeHello(greeting.hello, started.hello, this.#options.nodes, link.dialled);
    const foreign = this.#port.tls === null ? null : judgeCertificate(link.socket, greeting.hello);
    return refusal ?? foreign ?? this.#staleness(greeting);
  }

  /** A dial that its process gave up may arrive after a later one of the same process: it must not replace it. */
  #staleness(greeting: Greeting): string | null {
    const present = this.#peers.get(greeting.hello.replica)?.link?.greeting ?? null;
    if (present === null || present.hello.nonce !== greeting.hello.nonce) return null;
    return present.attempt > greeting.attempt ? "an older attempt than the present connection" : null;
  }

  onOpen(link: Link, hello: Hello): void {
    const peer = this.#peers.get(hello.replica);
    assert(peer !== undefined && link.greeting !== null && this.#started !== null, "an open link was judged");
    const stale = this.#staleness(link.greeting);
    if (stale !== null) {
      link.cut(stale);
      return;
    }
    if (link.dialled !== null) peer.dial = null;
    peer.link?.cut("replaced by a newer connection of the same peer");
    // The sink may have closed the transport while it heard that the old connection ended.
    if (this.#closed || !link.isOpen) return;
    peer.link = link;
    this.#started.refusals.forget(hello.replica);
    this.#started.sink.onConnected(hello.replica, hello);
  }

  onPayload(link: Link, payload: Uint8Array): void {
    const replica = link.greeting?.hello.replica;
    assert(replica !== undefined && this.#started !== null, "an open link was judged");
    this.#started.sink.onFrame(replica, payload);
  }

  onEnded(link: Link, end: LinkEnd): void {
    const started = this.#started;
    if (this.#closed || started === null) return;
    const replica = link.dialled ?? link.greeting?.hello.replica ?? -1;
    const peer = this.#peers.get(replica);
    if (peer?.link === link) {
      peer.link = null;
      if (link.lived) peer.failures = 0;
      if (link.dialled !== null) this.#dialLater(peer);
      started.sink.onClosed(replica, end.reason);
      return;
    }
    if (peer?.dial === link) {
      peer.dial = null;
      this.#dialLater(peer);
    }
    if (end.refused) started.refusals.add(this.#blame(link), end.reason);
  }

  /** The peer that a refused link belongs to: the one dialled, or the one it claims to be unless that one is connected. */
  #blame(link: Link): ReplicaId | -1 {
    if (link.dialled !== null) return link.dialled;
    const hello = link.greeting?.hello;
    const peer = hello === undefined ? undefined : this.#peers.get(hello.replica);
    return peer?.link === null && peer.address.nodeId === hello?.nodeId ? peer.address.replica : -1;
  }

  onGone(link: Link): void {
    this.#links.delete(link);
    this.#port.onGone(link);
  }
}
