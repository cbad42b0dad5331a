/**
 * Frames on a byte stream: [u32 length][u32 crc32][u8 kind][payload], little-endian; length and checksum cover kind and
 * payload. The parser takes the stream in whatever pieces it comes, hands out views of the pieces where a frame lies in
 * one of them, and copies only what a frame boundary cuts. It never allocates by an announced length: the buffer for a
 * cut frame grows with the bytes that came. It knows nothing of who speaks.
 */
import { crc32 } from "node:zlib";
import { assert } from "../base/assert.js";

/** What a frame is to the transport. Part of the wire format. */
export const FRAME_DATA = 0;
export const FRAME_HELLO = 1;
/** The dialling side accepts the other one's Hello: the handshake is done. */
export const FRAME_WELCOME = 2;
/** The last frame of a connection: why it ends. */
export const FRAME_GOODBYE = 3;
export const FRAME_KEEPALIVE = 4;

/** Length, checksum and kind. */
export const FRAME_OVERHEAD = 9;

const HEAD_BYTES = 8;
const FIRST_BUFFER = 64 << 10;
/** The buffer for cut frames is kept up to this size, and given back beyond. */
const KEPT_BUFFER = 1 << 20;
const GROWTH = 4;

/** One frame as it goes out: the only copy that sending makes. */
export function encodeFrame(kind: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_OVERHEAD + payload.length);
  frame.writeUInt32LE(payload.length + 1, 0);
  frame[HEAD_BYTES] = kind;
  frame.set(payload, FRAME_OVERHEAD);
  frame.writeUInt32LE(crc32(frame.subarray(HEAD_BYTES)), 4);
  return frame;
}

/** Takes frames from a parser. `payload` is only valid during the call. False stops the parser for good. */
export interface FrameReceiver {
  onFrame(kind: number, payload: Uint8Array): boolean;
}

export class FrameParser {
  readonly #receiver: FrameReceiver;
  #maxPayload: number;
  /** The start of a frame that a piece of the stream cut off: head included. */
  #cut: Buffer = Buffer.alloc(0);
  #cutLength = 0;
  #stopped = false;

  constructor(receiver: FrameReceiver, maxPayload: number) {
    this.#receiver = receiver;
    this.#maxPayload = maxPayload;
  }

  /** The bound of payloads from now on. */
  setMaxPayload(bytes: number): void {
    this.#maxPayload = bytes;
  }

  /** Takes the next piece of the stream. Null, or what is wrong with it: then the stream is lost. */
  push(piece: Buffer): string | null {
    let at = 0;
    while (at < piece.length && !this.#stopped) {
      const taken = this.#cutLength > 0 ? this.#resume(piece, at) : this.#direct(piece, at);
      if (typeof taken === "string") return this.#stop(taken);
      at += taken;
    }
    return null;
  }

  #stop(problem: string): string {
    this.#stopped = true;
    this.#cut = Buffer.alloc(0);
    this.#cutLength = 0;
    return problem;
  }

  /** A frame that begins at `at`. The number of bytes used, or what is wrong. */
  #direct(piece: Buffer, at: number): number | string {
    const left = piece.length - at;
    if (left < HEAD_BYTES) return this.#hold(piece, at, left);
    const need = HEAD_BYTES + piece.readUInt32LE(at);
    const problem = this.#judgeLength(need);
    if (problem !== null) return problem;
    if (left < need) return this.#hold(piece, at, left);
    return this.#deliver(piece, at, need) ?? need;
  }

  /** More of the frame that was cut. */
  #resume(piece: Buffer, at: number): number | string {
    let used = 0;
    if (this.#cutLength < HEAD_BYTES) {
      used = this.#hold(piece, at, Math.min(HEAD_BYTES - this.#cutLength, piece.length - at));
      if (this.#cutLength < HEAD_BYTES) return used;
    }
    const need = HEAD_BYTES + this.#cut.readUInt32LE(0);
    const problem = this.#judgeLength(need);
    if (problem !== null) return problem;
    used += this.#hold(piece, at + used, Math.min(need - this.#cutLength, piece.length - at - used));
    if (this.#cutLength < need) return used;
    this.#cutLength = 0;
    const bad = this.#deliver(this.#cut, 0, need);
    if (this.#cut.length > KEPT_BUFFER) this.#cut = Buffer.alloc(0);
    return bad ?? used;
  }

  #judgeLength(need: number): string | null {
    const payload = need - FRAME_OVERHEAD;
    if (payload < 0) return "empty frame";
    return payload > this.#maxPayload ? `frame of ${payload} bytes, at most ${this.#maxPayload} are allowed` : null;
  }

  /** Keeps `count` bytes of a cut frame, in a buffer that grows with what came and never by what was announced. */
  #hold(piece: Buffer, at: number, count: number): number {
    const length = this.#cutLength + count;
    if (length > this.#cut.length) {
      const wished = Math.max(FIRST_BUFFER, length * GROWTH);
      const grown = Buffer.allocUnsafe(Math.max(length, Math.min(wished, this.#maxPayload + FRAME_OVERHEAD)));
      this.#cut.copy(grown, 0, 0, this.#cutLength);
      this.#cut = grown;
    }
    piece.copy(this.#cut, this.#cutLength, at, at + count);
    this.#cutLength = length;
    return count;
  }

  /** Null, or what is wrong with the frame. */
  #deliver(bytes: Buffer, at: number, need: number): string | null {
    assert(need >= FRAME_OVERHEAD && at + need <= bytes.length, "a frame lies within its piece");
    const body = bytes.subarray(at + HEAD_BYTES, at + need);
    if (crc32(body) !== bytes.readUInt32LE(at + 4)) return "checksum of a frame does not fit";
    // A plain view: on a Buffer `slice` would share memory with the one who keeps what it slices.
    const payload = new Uint8Array(body.buffer, body.byteOffset + 1, body.length - 1);
    if (!this.#receiver.onFrame(body[0] ?? 0, payload)) this.#stopped = true;
    return null;
  }
}
