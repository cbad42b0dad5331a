// Goal: one frame a turn with everything in it, and marks that ride along or leave by themselves after a while (P13).
import { beforeEach, describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { readFrame } from "../../src/codec/frame.js";
import type { Transport } from "../../src/net/transport.js";
import { MARK_PATIENCE_TICKS, Outbox } from "../../src/node/outbox.js";
import type { Message } from "../../src/paxos/message.js";

const KEY = userKey("k");

function fetch(index: number): Message {
  return { type: "fetch", key: KEY, index, settle: false };
}

function mark(index: number): Message {
  return { type: "chosen", key: KEY, index, ballot: { counter: 0, replica: 0, incarnation: 1 } };
}

/** Takes frames, as types of what is in each, and the watermark before them. */
class Wire implements Transport {
  readonly frames: string[] = [];
  taken = true;

  send(_peer: number, payload: Uint8Array): boolean {
    const parts: string[] = [];
    readFrame(payload, 3, {
      onWatermark: (watermark) => parts.push(String(watermark)),
      onMessage: (message) => parts.push(message.type),
      onControl: (message) => parts.push(message.type),
      onSweep: () => undefined,
      onBad: (reason) => parts.push(`bad: ${reason}`),
    });
    if (this.taken) this.frames.push(parts.join(" "));
    return this.taken;
  }

  start(): void {
    throw new Error("not asked for");
  }
  changeHello(): void {
    throw new Error("not asked for");
  }
  disconnect(): void {
    throw new Error("not asked for");
  }
  close(): void {
    throw new Error("not asked for");
  }
}

describe("an outbox", () => {
  let wire = new Wire();
  let counters = { messagesSent: 0, framesSent: 0, framesDropped: 0 };
  let outbox = new Outbox(wire, 1, counters);
  beforeEach(() => {
    wire = new Wire();
    counters = { messagesSent: 0, framesSent: 0, framesDropped: 0 };
    outbox = new Outbox(wire, 1, counters);
  });

  it("sends one frame for all messages of a turn, and none for none", () => {
    outbox.flush(9, 100);
    expect(wire.frames).toEqual([]);
    outbox.add(fetch(1), 9, 100);
    outbox.add(fetch(2), 9, 100);
    outbox.flush(9, 100);
    expect(wire.frames).toEqual(["9 fetch fetch"]);
    expect(counters).toEqual({ messagesSent: 2, framesSent: 1, framesDropped: 0 });
  });

  it("lets a mark wait for a frame to ride on", () => {
    outbox.add(mark(1), 9, 100);
    outbox.flush(9, 100);
    expect(wire.frames).toEqual([]);
    expect(outbox.hasWaitingMarks).toBe(true);
    outbox.add(fetch(2), 9, 101);
    outbox.flush(9, 101);
    expect(wire.frames).toEqual(["9 fetch chosen"]);
    expect(outbox.hasWaitingMarks).toBe(false);
  });

  it("sends a mark alone when its patience is over, counted from the first that waits", () => {
    outbox.add(mark(1), 9, 100);
    outbox.flush(9, 100);
    outbox.add(mark(2), 9, 100 + MARK_PATIENCE_TICKS - 1);
    outbox.flush(9, 100 + MARK_PATIENCE_TICKS - 1);
    expect(wire.frames).toEqual([]);
    outbox.flush(9, 100 + MARK_PATIENCE_TICKS);
    expect(wire.frames).toEqual(["9 chosen chosen"]);
  });

  it("does not let marks pile up", () => {
    for (let index = 1; index <= 256; index++) outbox.add(mark(index), 9, 100);
    outbox.flush(9, 100);
    expect(wire.frames).toHaveLength(1);
    expect(outbox.hasWaitingMarks).toBe(false);
  });

  it("sends a control message by itself, after what was begun", () => {
    outbox.add(fetch(1), 9, 100);
    outbox.control({ type: "heartbeat", sentTick: 5 }, 10);
    outbox.flush(10, 100);
    expect(wire.frames).toEqual(["9 fetch", "10 heartbeat"]);
  });

  it("forgets what was begun and what waited when the connection ends", () => {
    outbox.add(fetch(1), 9, 100);
    outbox.add(mark(1), 9, 100);
    outbox.reset();
    outbox.flush(9, 200);
    expect(wire.frames).toEqual([]);
    outbox.add(fetch(2), 9, 201);
    outbox.flush(9, 201);
    expect(wire.frames).toEqual(["9 fetch"]);
  });

  it("counts what the transport did not take", () => {
    wire.taken = false;
    outbox.add(fetch(1), 9, 100);
    outbox.flush(9, 100);
    expect(counters).toEqual({ messagesSent: 1, framesSent: 0, framesDropped: 1 });
  });
});
