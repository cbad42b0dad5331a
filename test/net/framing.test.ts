/**
 * Goal: frames come out of a stream as they went in, however it is cut, and nothing else does. Method: random payloads,
 * random cuts; changed bytes; lengths that lie.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrame, FRAME_DATA, FRAME_OVERHEAD, FrameParser } from "../../src/net/framing.js";

const MAX = 1 << 20;

function parserOf(maxPayload = MAX, stopAfter = Infinity): { parser: FrameParser; frames: Buffer[]; kinds: number[] } {
  const frames: Buffer[] = [];
  const kinds: number[] = [];
  const receiver = {
    onFrame(kind: number, payload: Uint8Array): boolean {
      expect(payload.constructor).toBe(Uint8Array);
      kinds.push(kind);
      frames.push(Buffer.from(payload));
      return frames.length < stopAfter;
    },
  };
  return { parser: new FrameParser(receiver, maxPayload), frames, kinds };
}

/** Cuts `stream` at the given places. */
function cutAt(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  return places.slice(1).map((end, i) => Buffer.from(stream.subarray(places[i] ?? 0, end)));
}

describe("the frame parser", () => {
  it("yields the frames of a stream, however it is cut", () => {
    const frame = fc.record({ kind: fc.nat(255), payload: fc.uint8Array({ maxLength: 100 }) });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(({ kind, payload }) => encodeFrame(kind, payload)));
        const { parser, frames, kinds } = parserOf();
        for (const piece of cutAt(stream, cuts)) expect(parser.push(piece)).toBeNull();
        expect(kinds).toEqual(sent.map(({ kind }) => kind));
        expect(frames.map((bytes) => bytes.toString("hex"))).toEqual(
          sent.map(({ payload }) => Buffer.from(payload).toString("hex")),
        );
      }),
      { numRuns: 300 },
    );
  });

  it("yields frames that come byte by byte", () => {
    const { parser, frames } = parserOf();
    const stream = Buffer.concat([
      encodeFrame(FRAME_DATA, Buffer.from("one")),
      encodeFrame(FRAME_DATA, Buffer.from("two")),
    ]);
    for (const byte of stream) expect(parser.push(Buffer.from([byte]))).toBeNull();
    expect(frames.map(String)).toEqual(["one", "two"]);
  });

  it("never yields a frame that was changed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 50 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (payload, at, flip) => {
          const stream = encodeFrame(FRAME_DATA, payload);
          const place = at % stream.length;
          stream[place] = (stream[place] ?? 0) ^ flip;
          const { parser, frames } = parserOf();
          parser.push(stream);
          expect(frames).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("never throws on noise and yields nothing of it", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (pieces) => {
        const { parser, frames } = parserOf();
        for (const piece of pieces) parser.push(Buffer.from(piece));
        expect(frames).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("takes the largest payload and refuses one byte more before it came", () => {
    const { parser, frames } = parserOf(1000);
    expect(parser.push(encodeFrame(FRAME_DATA, new Uint8Array(1000)))).toBeNull();
    expect(frames).toHaveLength(1);
    const larger = encodeFrame(FRAME_DATA, new Uint8Array(1001));
    expect(parser.push(larger.subarray(0, 8))).toContain("at most 1000");
  });

  it("refuses a frame without a kind", () => {
    expect(parserOf().parser.push(Buffer.alloc(8))).toBe("empty frame");
  });

  it("does not allocate what a length announces", () => {
    const before = process.memoryUsage().arrayBuffers;
    const parsers = Array.from({ length: 20 }, () => parserOf(64 << 20).parser);
    const head = encodeFrame(FRAME_DATA, new Uint8Array(0)).subarray(0, FRAME_OVERHEAD);
    head.writeUInt32LE(60 << 20, 0);
    for (const parser of parsers) expect(parser.push(head)).toBeNull();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 << 20);
  });

  it("stops when its receiver says so, within a piece too", () => {
    const { parser, frames } = parserOf(MAX, 1);
    const frame = encodeFrame(FRAME_DATA, Buffer.from("x"));
    expect(parser.push(Buffer.concat([frame, frame]))).toBeNull();
    expect(parser.push(frame)).toBeNull();
    expect(frames).toHaveLength(1);
  });
});
