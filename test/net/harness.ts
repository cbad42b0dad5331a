/** Transports on loopback for the tests of src/net: what each heard, as a list that can be waited for. No sleeps. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Random } from "../../src/base/random.js";
import type { PeerAddress, PeerTls, TcpLimits } from "../../src/net/options.js";
import { PeerPort } from "../../src/net/peer-port.js";
import { TcpTransport } from "../../src/net/tcp-transport.js";
import { type Hello, PROTOCOL_VERSION, type TransportSink } from "../../src/net/transport.js";

export function helloOf(replica: number, changes: Partial<Hello> = {}): Hello {
  return {
    protocolVersion: PROTOCOL_VERSION,
    clusterId: "test",
    epoch: 1,
    group: 0,
    placement: 0,
    nodeId: `n${replica}`,
    replica,
    incarnation: 1,
    storageId: "0123456789abcdef0123456789abcdef",
    nonce: 1000 + replica,
    loss: 0,
    lossAll: 0,
    ...changes,
  };
}

/** What a transport said to its sink, in order, and a way to wait for what is not there yet. */
export class Heard implements TransportSink {
  readonly events: string[] = [];
  readonly frames: { readonly peer: number; readonly payload: Buffer }[] = [];
  readonly hellos: Hello[] = [];
  /** Called with every frame, before it is noted. */
  onEachFrame: ((peer: number, payload: Uint8Array) => void) | null = null;
  #waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];

  onConnected(peer: number, hello: Hello): void {
    this.hellos.push(hello);
    this.#note(`connected ${peer}`);
  }

  onClosed(peer: number, reason: string): void {
    this.#note(`closed ${peer}: ${reason}`);
  }

  onFrame(peer: number, payload: Uint8Array): void {
    this.onEachFrame?.(peer, payload);
    this.frames.push({ peer, payload: Buffer.from(payload) });
    this.#wake();
  }

  onRefused(peer: number, reason: string): void {
    this.#note(`refused ${peer}: ${reason}`);
  }

  count(start: string): number {
    return this.events.filter((event) => event.startsWith(start)).length;
  }

  /** Resolves as soon as `done` holds; looked at after every event. */
  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ done, resolve });
      this.#wake();
    });
  }

  /** Resolves with the first event that starts so. */
  async event(start: string): Promise<string> {
    await this.until(() => this.count(start) > 0);
    return this.events.find((event) => event.startsWith(start)) ?? "";
  }

  #note(event: string): void {
    this.events.push(event);
    this.#wake();
  }

  #wake(): void {
    const ready = this.#waiting.filter((one) => one.done());
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const one of ready) one.resolve();
  }
}

export interface Running {
  readonly transport: TcpTransport;
  readonly heard: Heard;
  readonly port: number;
  readonly peerPort: PeerPort;
}

/** Quick, so that tests need not wait; silence is never noticed unless a test asks for it. */
const QUICK: Partial<TcpLimits> = { backoffFirstMs: 1, backoffLastMs: 20, keepaliveMs: 60_000, lingerMs: 100 };

export interface StartOptions {
  readonly hello?: Partial<Hello>;
  readonly limits?: Partial<TcpLimits>;
  readonly port?: number;
  readonly nodes?: readonly PeerAddress[];
  readonly tls?: PeerTls;
  /** The port of a node that is in several groups. */
  readonly on?: PeerPort;
}

/** Everything a test started, ended after it. */
export class Bench {
  readonly #closers: (() => Promise<void>)[] = [];

  /** Replica `self` of a group of three; `ports` of the peers it dials. */
  async start(
    self: number,
    ports: Readonly<Record<number, number>> = {},
    options: StartOptions = {},
  ): Promise<Running> {
    const nodes =
      options.nodes ??
      [0, 1, 2].map((replica) => ({ replica, nodeId: `n${replica}`, host: "127.0.0.1", port: ports[replica] ?? 1 }));
    const peerPort =
      options.on ??
      new PeerPort({
        listen: { host: "127.0.0.1", port: options.port ?? 0 },
        limits: { ...QUICK, ...options.limits },
        ...(options.tls === undefined ? {} : { tls: options.tls }),
      });
    const group = {
      self,
      // A replica whose port is not known is not dialled.
      nodes: options.nodes ?? nodes.filter((node) => node.replica >= self || ports[node.replica] !== undefined),
      random: new Random(self + 1),
    };
    const transport = new TcpTransport(group, peerPort);
    const heard = new Heard();
    await new Promise<void>((resolve, reject) => {
      transport.start(heard, helloOf(self, options.hello), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    const running = { transport, heard, port: transport.port, peerPort };
    this.#closers.push(() => this.stop(running));
    return running;
  }

  readonly #stopped = new Set<TcpTransport>();

  stop(running: Running): Promise<void> {
    if (this.#stopped.has(running.transport)) return Promise.resolve();
    this.#stopped.add(running.transport);
    return new Promise((resolve) => {
      running.transport.close(resolve);
    });
  }

  /** A bare connection to a transport: for strangers and for peers played by hand. */
  async raw(port: number): Promise<RawPeer> {
    const socket = connect({ host: "127.0.0.1", port });
    const raw = new RawPeer(socket);
    this.#closers.push(async () => {
      socket.destroy();
    });
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    return raw;
  }

  /** A bare listener: for peers that listen and are played by hand. */
  async listener(onSocket: (peer: RawPeer) => void): Promise<number> {
    const sockets: Socket[] = [];
    const server: Server = createServer((socket) => {
      sockets.push(socket);
      onSocket(new RawPeer(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#closers.push(
      () =>
        new Promise((resolve) => {
          for (const socket of sockets) socket.destroy();
          server.close(() => {
            resolve();
          });
        }),
    );
    const address = server.address() as AddressInfo; // a TCP server that listens has one
    return address.port;
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.reverse()) await closer();
  }
}

/** One end of a connection, played by hand. */
export class RawPeer {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  ended = false;
  #waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (piece: Buffer) => {
      this.received = Buffer.concat([this.received, piece]);
      this.#wake();
    });
    socket.on("error", () => {
      this.#wake();
    });
    socket.on("close", () => {
      this.ended = true;
      this.#wake();
    });
  }

  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ done, resolve });
      this.#wake();
    });
  }

  /** Resolves with everything received once the other side closed. */
  async end(): Promise<Buffer> {
    await this.until(() => this.ended);
    return this.received;
  }

  #wake(): void {
    const ready = this.#waiting.filter((one) => one.done());
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const one of ready) one.resolve();
  }
}
