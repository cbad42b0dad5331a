/**
 * One connection, from the first byte to the last: handshake, frames in, frames out, the end with its reason. It knows
 * its socket and nothing of other connections; who may speak and which of two connections counts is its owner's affair.
 *
 *   state     | waits for                    | then
 *   ----------|------------------------------|------------------------------------------------
 *   dialling  | the connection               | says Hello: greeting
 *   greeting  | the other side's Hello       | dialled: says Welcome: open; was dialled: says Hello: welcoming
 *   welcoming | the other side's Welcome     | open
 *   open      | frames                       |
 *   ended     | nothing; said once to its owner, whatever the cause
 */
import type { Socket } from "node:net";
import { assert } from "../base/assert.js";
import type { ReplicaId } from "../paxos/ballot.js";
import {
  encodeFrame,
  FRAME_DATA,
  FRAME_GOODBYE,
  FRAME_HELLO,
  FRAME_KEEPALIVE,
  FRAME_OVERHEAD,
  FRAME_WELCOME,
  FrameParser,
  type FrameReceiver,
} from "./framing.js";
import {
  decodeGreeting,
  decodeReason,
  encodeGreeting,
  encodeReason,
  type Greeting,
  MAX_HANDSHAKE_BYTES,
} from "./handshake.js";
import type { TcpLimits } from "./options.js";
import type { Hello } from "./transport.js";

const NO_PAYLOAD = new Uint8Array(0);

/** How a connection ended: `refused` when one of the two said that it does not want the other. */
export interface LinkEnd {
  readonly reason: string;
  readonly refused: boolean;
}

export interface LinkOwner {
  /** Why this peer is refused, or null. It may give the link to another owner, who is asked in its place from then on. */
  judge(link: Link, greeting: Greeting): string | null;
  /** What is said of us: when dialling at once, else when the peer was judged. */
  hello(): Hello;
  /** The handshake is done. */
  onOpen(link: Link, hello: Hello): void;
  onPayload(link: Link, payload: Uint8Array): void;
  /** Said once per link, whatever the cause and the state. */
  onEnded(link: Link, end: LinkEnd): void;
  /** The socket is gone too; said once, after onEnded. */
  onGone(link: Link): void;
}

interface LinkSetup {
  readonly socket: Socket;
  /** The replica that was dialled; null when the other side dialled. */
  readonly dialled: ReplicaId | null;
  readonly attempt: number;
  readonly limits: TcpLimits;
  /** The socket speaks TLS: it is connected when the other side's certificate was believed. */
  readonly isSecure: boolean;
}

function uncork(socket: Socket): void {
  socket.uncork();
}

export class Link implements FrameReceiver {
  readonly dialled: ReplicaId | null;
  readonly #socket: Socket;
  #owner: LinkOwner;
  readonly #setup: LinkSetup;
  readonly #parser: FrameParser;
  #state: "dialling" | "greeting" | "welcoming" | "open" | "ended" = "dialling";
  /** Handshake first, the time to read a goodbye later. */
  #timer: NodeJS.Timeout | null = null;
  #greeting: Greeting | null = null;
  #heard = false;
  #spoke = false;
  #silence = 0;
  #lived = false;

  constructor(setup: LinkSetup, owner: LinkOwner) {
    this.dialled = setup.dialled;
    this.#setup = setup;
    this.#socket = setup.socket;
    this.#owner = owner;
    this.#parser = new FrameParser(this, MAX_HANDSHAKE_BYTES);
    const socket = setup.socket;
    socket.setNoDelay(true);
    socket.on("data", (piece: Buffer) => {
      this.#onData(piece);
    });
    socket.on("error", (error) => {
      this.#end({ reason: error.message === "" ? error.name : error.message, refused: false }, null);
    });
    socket.on("end", () => {
      this.#end({ reason: "the other side closed the connection", refused: false }, null);
    });
    socket.on("close", () => {
      this.#end({ reason: "the connection closed", refused: false }, null);
      this.#stopTimer();
      this.#owner.onGone(this);
    });
    this.#timer = setTimeout(() => {
      this.refuse(`no handshake within ${setup.limits.handshakeMs} ms`);
    }, setup.limits.handshakeMs);
    if (setup.dialled === null) {
      this.#state = "greeting";
    } else {
      socket.once(setup.isSecure ? "secureConnect" : "connect", () => {
        if (this.#state !== "dialling") return;
        this.#state = "greeting";
        this.#write(encodeFrame(FRAME_HELLO, encodeGreeting(this.#owner.hello(), setup.attempt)));
      });
    }
  }

  /** From now on somebody else is asked and told. */
  giveTo(owner: LinkOwner): void {
    this.#owner = owner;
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** What the other side said of itself; null before its Hello. */
  get greeting(): Greeting | null {
    return this.#greeting;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** True once the link was open for a whole keepalive interval. */
  get lived(): boolean {
    return this.#lived;
  }

  /** Queues a frame; false when it was dropped: not open, too large, or the outbox is full. */
  send(payload: Uint8Array): boolean {
    const { limits } = this.#setup;
    if (this.#state !== "open" || payload.length > limits.maxFrameBytes) return false;
    if (this.#socket.writableLength + payload.length + FRAME_OVERHEAD > limits.outboxBytes) return false;
    this.#write(encodeFrame(FRAME_DATA, payload));
    return true;
  }

  /** Ends the link and tells the other side that it is refused, and why. */
  refuse(reason: string): void {
    this.#end({ reason, refused: true }, encodeFrame(FRAME_GOODBYE, encodeReason(reason)));
  }

  /** Ends the link at once. */
  cut(reason: string): void {
    this.#end({ reason, refused: false }, null);
  }

  /** Called once per keepalive interval. A stalled event loop counts as one interval, however long it was. */
  beat(): void {
    if (this.#state !== "open") return;
    this.#lived = true;
    this.#silence = this.#heard ? 0 : this.#silence + 1;
    if (this.#silence >= this.#setup.limits.silentIntervals) {
      this.cut(`silent for ${this.#silence * this.#setup.limits.keepaliveMs} ms`);
      return;
    }
    this.#heard = false;
    if (!this.#spoke && this.#socket.writableLength === 0) this.#write(encodeFrame(FRAME_KEEPALIVE, NO_PAYLOAD));
    this.#spoke = false;
  }

  onFrame(kind: number, payload: Uint8Array): boolean {
    if (kind === FRAME_DATA && this.#state === "open") this.#owner.onPayload(this, payload);
    else this.#onOtherFrame(kind, payload);
    return this.#state !== "ended";
  }

  #onOtherFrame(kind: number, payload: Uint8Array): void {
    if (kind === FRAME_HELLO && this.#state === "greeting") this.#onHello(payload);
    else if (kind === FRAME_WELCOME && this.#state === "welcoming") this.#open();
    else if (kind === FRAME_GOODBYE)
      this.#end({ reason: `refused by the other side: ${decodeReason(payload)}`, refused: true }, null);
    else if (kind !== FRAME_KEEPALIVE || this.#state !== "open")
      this.refuse(`frame of kind ${kind} while ${this.#state}`);
  }

  #onHello(payload: Uint8Array): void {
    const greeting = decodeGreeting(payload);
    if (typeof greeting === "string") {
      this.refuse(greeting);
      return;
    }
    this.#greeting = greeting;
    const refusal = this.#owner.judge(this, greeting);
    if (refusal !== null) {
      this.refuse(refusal);
    } else if (this.dialled === null) {
      this.#state = "welcoming";
      this.#write(encodeFrame(FRAME_HELLO, encodeGreeting(this.#owner.hello(), this.#setup.attempt)));
    } else {
      this.#write(encodeFrame(FRAME_WELCOME, NO_PAYLOAD));
      this.#open();
    }
  }

  #open(): void {
    assert(this.#greeting !== null, "a link opens after the other side's hello");
    this.#stopTimer();
    this.#state = "open";
    this.#parser.setMaxPayload(this.#setup.limits.maxFrameBytes);
    this.#owner.onOpen(this, this.#greeting.hello);
  }

  #onData(piece: Buffer): void {
    if (this.#state === "ended") return;
    this.#heard = true;
    const problem = this.#parser.push(piece);
    if (problem !== null) this.refuse(problem);
  }

  /** One system call per turn: what is written until the present callback ends leaves together. */
  #write(frame: Buffer): void {
    this.#spoke = true;
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(uncork, this.#socket);
    }
    this.#socket.write(frame);
  }

  #end(end: LinkEnd, goodbye: Buffer | null): void {
    if (this.#state === "ended") return;
    const connected = this.#state !== "dialling";
    this.#state = "ended";
    this.#stopTimer();
    if (goodbye === null || !connected) {
      this.#socket.destroy();
    } else {
      // What still comes is read and thrown away: closing with unread bytes would take the reason from the other side.
      this.#socket.end(goodbye);
      this.#timer = setTimeout(() => {
        this.#socket.destroy();
      }, this.#setup.limits.lingerMs);
    }
    this.#owner.onEnded(this, end);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
