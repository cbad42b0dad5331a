/**
 * Frames: what one node sends another at once. A frame is [u8 kind][u53 watermark] and then, for kind 1, [u32 count] and
 * that many messages about any number of keys, or, for kind 2, one control message, or, for kind 3, one about what replicas hold. The watermark of the sender's disk
 * rides on every frame (P29, D18). Length and checksum are the transport's.
 */
import { ByteReader, ByteWriter } from "../base/cursor.js";
import type { Message } from "../paxos/message.js";
import { type ControlMessage, decodeControl, encodeControl } from "./control.js";
import { decodeSweep, encodeSweep, type SweepMessage } from "./sweep.js";
import { decodeMessage, encodeMessage, LEAST_MESSAGE_BYTES } from "./message.js";

const KIND_MESSAGES = 1;
const KIND_CONTROL = 2;
const KIND_SWEEP = 3;
const COUNT_AT = 9;

/** A frame that has grown to this much is sent before more is added: one large value must not hold up many small ones. */
const FULL_BYTES = 1 << 20;
/** A buffer that grew beyond this for one large value is given back. */
const KEPT_BYTES = 4 << 20;

/** Builds one frame at a time in a buffer that is used again. One writer per peer, or one that is finished in between. */
export class FrameWriter {
  #out = new ByteWriter(4096);
  #count = 0;

  /** Starts a frame of protocol messages. `watermark`: highest durable LSN of the own disk. */
  begin(watermark: number): void {
    this.#open(KIND_MESSAGES, watermark);
    this.#out.u32(0);
  }

  add(message: Message): void {
    encodeMessage(this.#out, message);
    this.#count++;
  }

  /** Messages added since `begin`. */
  get count(): number {
    return this.#count;
  }

  /** True when the frame should be sent before another message is added. */
  get isFull(): boolean {
    return this.#out.length >= FULL_BYTES;
  }

  /** The frame's payload: a view, valid until the next `begin` or `control`. */
  finish(): Uint8Array {
    this.#out.patchU32(COUNT_AT, this.#count);
    return this.#out.view();
  }

  /** A whole frame of one control message: a view, valid until the next `begin` or `control`. */
  control(watermark: number, message: ControlMessage): Uint8Array {
    this.#open(KIND_CONTROL, watermark);
    encodeControl(this.#out, message);
    return this.#out.view();
  }

  /** A whole frame of one message about what replicas hold: a view, as of `control`. */
  sweep(watermark: number, message: SweepMessage): Uint8Array {
    this.#open(KIND_SWEEP, watermark);
    encodeSweep(this.#out, message);
    return this.#out.view();
  }

  #open(kind: number, watermark: number): void {
    if (this.#out.length > KEPT_BYTES) this.#out = new ByteWriter(4096);
    this.#out.reset();
    this.#count = 0;
    this.#out.u8(kind);
    this.#out.u53(watermark);
  }
}

/** Called back by readFrame, in the order of the frame. */
export interface FrameVisitor {
  /** Once, before anything else of the frame. */
  onWatermark(watermark: number): void;
  onMessage(message: Message): void;
  onControl(message: ControlMessage): void;
  onSweep(message: SweepMessage): void;
  /** The frame is not what a peer of this version says; nothing of it follows. What came before was valid. */
  onBad(reason: string): void;
}

/** Reads a frame of a group of `replicas`. Never throws on what is in it; everything handed out owns its bytes. */
export function readFrame(payload: Uint8Array, replicas: number, visitor: FrameVisitor): void {
  const reader = new ByteReader(payload);
  const kind = reader.u8();
  const watermark = reader.u53();
  if (reader.failed) {
    visitor.onBad("frame without a head");
    return;
  }
  if (kind < KIND_MESSAGES || kind > KIND_SWEEP) {
    visitor.onBad(`unknown kind of frame ${String(kind)}`);
    return;
  }
  visitor.onWatermark(watermark);
  if (kind === KIND_MESSAGES) readMessages(reader, replicas, visitor);
  else if (kind === KIND_CONTROL) readControl(reader, visitor);
  else readSweep(reader, visitor);
}

function readMessages(reader: ByteReader, replicas: number, visitor: FrameVisitor): void {
  const count = reader.u32();
  if (reader.failed || count > reader.remaining / LEAST_MESSAGE_BYTES) {
    visitor.onBad("frame announces more messages than it can hold");
    return;
  }
  for (let i = 0; i < count; i++) {
    const at = reader.position;
    const message = decodeMessage(reader, replicas);
    if (message === null) {
      visitor.onBad(`message ${String(i + 1)} of ${String(count)}, at byte ${String(at)}, is malformed`);
      return;
    }
    visitor.onMessage(message);
  }
  if (reader.remaining > 0) visitor.onBad("bytes after the last message of a frame");
}

function readSweep(reader: ByteReader, visitor: FrameVisitor): void {
  const message = decodeSweep(reader);
  if (message === null || reader.remaining > 0) visitor.onBad("malformed message about what is held");
  else visitor.onSweep(message);
}

function readControl(reader: ByteReader, visitor: FrameVisitor): void {
  const message = decodeControl(reader);
  if (message === null || reader.remaining > 0) visitor.onBad("malformed control message");
  else visitor.onControl(message);
}
