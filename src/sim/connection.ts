/**
 * One simulated connection between two processes: what is on its way in each direction, in which order it was sent, and
 * what happens to a frame whose bytes were damaged. It decides nothing: when a frame leaves, arrives or is lost is the
 * network's affair.
 */
import type { Random } from "../base/random.js";
import { encodeFrame, FRAME_DATA, FRAME_OVERHEAD, FrameParser } from "../net/framing.js";
import type { SimulatedTransport } from "./transport.js";

/** 0: from the first end to the second. 1: back. */
export type Direction = 0 | 1;

export interface Flight {
  readonly connection: Connection;
  readonly direction: Direction;
  readonly payload: Uint8Array;
  /** Of its direction, from 1. */
  readonly sequence: number;
  /** A bit of it will be found flipped. */
  readonly corrupt: boolean;
}

export class Connection {
  readonly ends: readonly [SimulatedTransport, SimulatedTransport];
  /** Per direction: when the last frame arrives that keeps the order. */
  readonly lastUs: [number, number] = [0, 0];
  /** Sent and not read yet. */
  readonly queuedBytes: [number, number] = [0, 0];
  /** Highest sequence read. */
  readonly seen: [number, number] = [0, 0];
  /** Frames that a stalled cut keeps. */
  readonly held: readonly [Flight[], Flight[]] = [[], []];
  /** A lossy cut took frames: the stream can never go on. */
  readonly broken: [boolean, boolean] = [false, false];
  readonly #sent: [number, number] = [0, 0];

  constructor(a: SimulatedTransport, b: SimulatedTransport) {
    this.ends = [a, b];
  }

  otherEnd(end: SimulatedTransport): SimulatedTransport {
    return this.ends[0] === end ? this.ends[1] : this.ends[0];
  }

  directionFrom(end: SimulatedTransport): Direction {
    return this.ends[0] === end ? 0 : 1;
  }

  /** From whom to whom. */
  pair(direction: Direction): readonly [SimulatedTransport, SimulatedTransport] {
    return direction === 0 ? this.ends : [this.ends[1], this.ends[0]];
  }

  newFlight(direction: Direction, payload: Uint8Array, corrupt: boolean): Flight {
    this.queuedBytes[direction] += payload.length;
    this.#sent[direction]++;
    return { connection: this, direction, payload, sequence: this.#sent[direction], corrupt };
  }
}

/**
 * Flips one bit of the frame that would carry `payload`, and parses it as the real transport does: null when it is refused.
 * `trusts`: it is taken as it comes.
 */
export function flipAndParse(payload: Uint8Array, random: Random, trusts: boolean): Uint8Array | null {
  const frame = encodeFrame(FRAME_DATA, payload);
  const at = random.below(frame.length);
  frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8));
  if (trusts) return new Uint8Array(frame.subarray(FRAME_OVERHEAD));
  let taken: Uint8Array | null = null;
  const parser = new FrameParser(
    {
      onFrame: (kind, bytes) => {
        if (kind === FRAME_DATA) taken = bytes.slice();
        return true;
      },
    },
    payload.length,
  );
  // A length that reads as a longer one leaves the parser waiting; what comes next cannot fit, and ends it as well.
  parser.push(frame);
  return taken;
}
