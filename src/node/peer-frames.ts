/** Reading the frames of each peer: one visitor a peer, made once and used for every frame. */
import type { ControlMessage } from "../codec/control.js";
import { type FrameVisitor, readFrame } from "../codec/frame.js";
import type { SweepMessage } from "../codec/sweep.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Message } from "../paxos/message.js";

export interface FrameReceiver {
  onWatermark(peer: ReplicaId, watermark: number): void;
  onMessage(peer: ReplicaId, message: Message): void;
  onControl(peer: ReplicaId, message: ControlMessage): void;
  onSweep(peer: ReplicaId, message: SweepMessage): void;
  onBad(peer: ReplicaId, reason: string): void;
}

export class PeerFrames {
  readonly #replicas: number;
  readonly #receiver: FrameReceiver;
  readonly #visitors: FrameVisitor[] = [];

  constructor(replicas: number, receiver: FrameReceiver) {
    this.#replicas = replicas;
    this.#receiver = receiver;
  }

  read(peer: ReplicaId, payload: Uint8Array): void {
    readFrame(payload, this.#replicas, (this.#visitors[peer] ??= this.#visitorFor(peer)));
  }

  #visitorFor(peer: ReplicaId): FrameVisitor {
    const receiver = this.#receiver;
    return {
      onWatermark: (watermark) => {
        receiver.onWatermark(peer, watermark);
      },
      onMessage: (message) => {
        receiver.onMessage(peer, message);
      },
      onControl: (message) => {
        receiver.onControl(peer, message);
      },
      onSweep: (message) => {
        receiver.onSweep(peer, message);
      },
      onBad: (reason) => {
        receiver.onBad(peer, reason);
      },
    };
  }
}
