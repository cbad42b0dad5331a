/**
 * Where a node listens for its peers: one port for the replicas of all groups that it holds. Who dials says in its Hello
 * which group it is about; the connection is that group's transport's from then on. Here are the socket that listens, TLS,
 * and the bound on those that have not said anything yet.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Server as SecureServer } from "node:tls";
import { assert } from "../base/assert.js";
import type { Greeting } from "./handshake.js";
import { Link, type LinkEnd, type LinkOwner } from "./link.js";
import { DEFAULT_LIMITS, type PeerTls, type PortOptions, type TcpLimits } from "./options.js";
import { createSecureServer, secureContextOf } from "./peer-tls.js";
import type { Hello } from "./transport.js";

/** The transport of one group, as its port sees it. */
export interface GroupTransport extends LinkOwner {
  readonly group: number;
  /** Others of the group. */
  readonly peerCount: number;
  /** Of somebody who never said which group it is about. */
  onStranger(reason: string): void;
  /** A peer of this group has dialled: the link is this transport's from now on. */
  adopt(link: Link): void;
}

export class PeerPort implements LinkOwner {
  readonly limits: TcpLimits;
  readonly #options: PortOptions;
  readonly #server: Server;
  #secure: SecureServer | null = null;
  #tls: PeerTls | null;
  readonly #groups = new Map<number, GroupTransport>();
  /** Connections that came and whose sockets are not gone yet, adopted or not. */
  readonly #links = new Set<Link>();
  #listening: "no" | "soon" | "yes" = "no";
  /** Who waits to hear that the port is there. */
  #waiting: ((error: Error | null) => void)[] = [];

  constructor(options: PortOptions) {
    this.#options = options;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#tls = options.tls ?? null;
    const onSocket = (socket: Socket): void => {
      this.#onSocket(socket);
    };
    if (this.#tls === null) {
      this.#server = createServer(onSocket);
    } else {
      const secure = createSecureServer(this.#tls, this.limits.handshakeMs, onSocket);
      secure.on("tlsClientError", (error, socket) => {
        socket.destroy();
        this.#reportStranger(`no TLS with somebody who dialled: ${error.message}`);
      });
      this.#server = secure;
      this.#secure = secure;
    }
    this.#server.on("error", (error) => {
      if (this.#listening === "soon") this.#tellWaiting(error);
      else this.#reportStranger(`listening: ${error.message}`);
    });
  }

  get tls(): PeerTls | null {
    return this.#tls;
  }

  /** For connections that are made from now on; those that are there stay. Throws when the files do not belong together. */
  renewCertificates(tls: PeerTls): void {
    assert(this.#secure !== null, "TLS is switched on at the start");
    this.#secure.setSecureContext(secureContextOf(tls));
    this.#tls = tls;
  }

  /** The port that is listened on; 0 before that. */
  get port(): number {
    const address = this.#server.address();
    return address === null || typeof address === "string" ? 0 : address.port;
  }

  /** The first group's transport makes the port listen. `listening` comes later, never during the call. */
  join(transport: GroupTransport, listening: (error: Error | null) => void): void {
    assert(!this.#groups.has(transport.group), "one transport a group");
    this.#groups.set(transport.group, transport);
    // Whoever is in the midst of TLS is no link yet.
    if (this.#secure !== null) this.#secure.maxConnections = 2 * this.#mostLinks();
    if (this.#listening === "yes") {
      queueMicrotask(() => {
        listening(null);
      });
      return;
    }
    this.#waiting.push(listening);
    if (this.#listening === "soon") return;
    this.#listening = "soon";
    this.#server.listen(this.#options.listen, () => {
      this.#listening = "yes";
      this.#tellWaiting(null);
    });
  }

  #tellWaiting(error: Error | null): void {
    if (error !== null) this.#listening = "no";
    for (const tell of this.#waiting.splice(0)) tell(error);
  }

  /** The transport has ended its links and speaks no more; with the last one the port is closed. */
  leave(transport: GroupTransport, done: () => void): void {
    if (this.#groups.get(transport.group) === transport) this.#groups.delete(transport.group);
    if (this.#groups.size > 0) {
      done();
      return;
    }
    for (const link of this.#links) link.cut("this node is closing");
    this.#listening = "no";
    this.#server.close(() => {
      done();
    });
  }

  #mostLinks(): number {
    let peers = 0;
    for (const { peerCount } of this.#groups.values()) peers += peerCount;
    return this.limits.halfOpen + peers;
  }

  #onSocket(socket: Socket): void {
    if (this.#groups.size === 0) {
      socket.destroy();
      return;
    }
    if (this.#links.size >= this.#mostLinks()) {
      socket.destroy();
      this.#reportStranger("too many connections that say nothing");
      return;
    }
    const { limits } = this;
    this.#links.add(new Link({ socket, dialled: null, attempt: 0, limits, isSecure: this.#tls !== null }, this));
  }

  #reportStranger(reason: string): void {
    const [first] = this.#groups.values();
    first?.onStranger(reason);
  }

  /** Finds the group's transport, which judges from then on. */
  judge(link: Link, greeting: Greeting): string | null {
    const { group, clusterId } = greeting.hello;
    const [any] = this.#groups.values();
    const transport = this.#groups.get(group) ?? (any?.hello().clusterId === clusterId ? undefined : any);
    if (transport === undefined) return `group ${group} has no replica here`;
    link.giveTo(transport);
    transport.adopt(link);
    return transport.judge(link, greeting);
  }

  hello(): Hello {
    assert(false, "who was not judged is told nothing");
  }

  onOpen(): void {
    assert(false, "a link that opens has a transport");
  }

  onPayload(): void {
    assert(false, "a link that is open has a transport");
  }

  onEnded(_link: Link, end: LinkEnd): void {
    if (end.refused) this.#reportStranger(end.reason);
  }

  onGone(link: Link): void {
    this.#links.delete(link);
  }
}
