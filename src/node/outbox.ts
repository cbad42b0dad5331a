/**
 * What goes to the peers: one frame each at the end of a turn, many keys in it. Chosen marks are patient: they ride on
 * the next frame, or leave alone when none has come for a while (P13).
 */
import { FrameWriter } from "../codec/frame.js";
import type { ControlMessage } from "../codec/control.js";
import type { SweepMessage } from "../codec/sweep.js";
import type { Transport } from "../net/transport.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { ChosenMessage, Message } from "../paxos/message.js";

/** How long a mark waits for a frame to ride on, in ticks. */
export const MARK_PATIENCE_TICKS = 2;
/** More marks than this do not wait. */
const MAX_WAITING_MARKS = 256;

export interface OutboxCounters {
  messagesSent: number;
  framesSent: number;
  /** Frames that the transport did not take: no connection, or its bounded queue is full. */
  framesDropped: number;
}

export class Outbox {
  readonly #transport: Transport;
  readonly #peer: ReplicaId;
  readonly #counters: OutboxCounters;
  readonly #writer = new FrameWriter();
  #marks: ChosenMessage[] = [];
  #marksSinceTick = 0;
  #open = false;

  constructor(transport: Transport, peer: ReplicaId, counters: OutboxCounters) {
    this.#transport = transport;
    this.#peer = peer;
    this.#counters = counters;
  }

  /** Marks wait here and nothing else leaves: somebody has to call `flush` after MARK_PATIENCE_TICKS. */
  get hasWaitingMarks(): boolean {
    return this.#marks.length > 0;
  }

  add(message: Message, watermark: number, tick: number): void {
    this.#counters.messagesSent++;
    if (message.type === "chosen") {
      if (this.#marks.length === 0) this.#marksSinceTick = tick;
      this.#marks.push(message);
      return;
    }
    this.#append(message, watermark);
  }

  #append(message: Message, watermark: number): void {
    if (!this.#open) {
      this.#writer.begin(watermark);
      this.#open = true;
    }
    this.#writer.add(message);
    if (this.#writer.isFull) this.#send();
  }

  /** End of a turn: sends what is to be sent now. */
  flush(watermark: number, tick: number): void {
    const late = tick >= this.#marksSinceTick + MARK_PATIENCE_TICKS || this.#marks.length >= MAX_WAITING_MARKS;
    if (this.#marks.length > 0 && (this.#open || late)) {
      const marks = this.#marks;
      this.#marks = [];
      for (const mark of marks) this.#append(mark, watermark);
    }
    if (this.#open) this.#send();
  }

  control(message: ControlMessage, watermark: number): void {
    if (this.#open) this.#send();
    this.#count(this.#transport.send(this.#peer, this.#writer.control(watermark, message)));
  }

  /** About what replicas hold: it waits for nothing, and need not arrive. False: it was not taken. */
  sweep(message: SweepMessage, watermark: number): boolean {
    if (this.#open) this.#send();
    const taken = this.#transport.send(this.#peer, this.#writer.sweep(watermark, message));
    this.#count(taken);
    return taken;
  }

  /** The connection ended: what was not sent is of no use any more. */
  reset(): void {
    this.#marks = [];
    this.#open = false;
  }

  #send(): void {
    this.#open = false;
    this.#count(this.#transport.send(this.#peer, this.#writer.finish()));
  }

  #count(taken: boolean): void {
    if (taken) this.#counters.framesSent++;
    else this.#counters.framesDropped++;
  }
}
