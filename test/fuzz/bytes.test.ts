/**
 * Goal: bytes that nobody meant never break anything: frames, streams, entries, records, requests of clients. Method: valid
 * bytes that were changed (flipped, cut, doubled, spliced, noise put in), and malformed requests of every kind; whatever comes
 * out must be the same however the bytes were cut, must fit what it says, and must not be held because it was announced.
 * PLOGDB_FUZZ_SECONDS gives each target so long instead of a number of runs; PLOGDB_FUZZ_SEED repeats a seed.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rawKey } from "../../src/base/key.js";
import { FrameWriter, readFrame } from "../../src/codec/frame.js";
import { encodeHeader, loadPLog, RECORD_HEADER_BYTES, recordValue } from "../../src/codec/record.js";
import { encodeFrame, FRAME_DATA, FRAME_OVERHEAD, FrameParser } from "../../src/net/framing.js";
import { NO_BALLOT, ordinaryBallot } from "../../src/paxos/ballot.js";
import type { RecordWrite } from "../../src/paxos/effects.js";
import { decodeEntry, type Entry, makeEntry, requestsOf } from "../../src/paxos/entry.js";
import type { Message } from "../../src/paxos/message.js";
import { leaderOf } from "../../src/paxos/plog.js";
import { RespParser } from "../../src/server/resp-parser.js";
import { anyMessage, entryAt, REPLICAS } from "../codec/arbitraries.js";

const CONTEXT = { replicas: REPLICAS, loss: 0, lossAll: 0, lossOpen: false };

const seconds = Number(process.env["PLOGDB_FUZZ_SECONDS"] ?? "0");
const seed = Number(process.env["PLOGDB_FUZZ_SEED"] ?? "20260101");
const RUNS = 400;

const options =
  seconds > 0
    ? { seed, numRuns: 2 ** 30, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false }
    : { seed, numRuns: RUNS };

function fuzz<T>(claim: string, inputs: fc.Arbitrary<T>, check: (input: T) => void): void {
  it(
    `${claim} (seed ${seed})`,
    () => {
      let runs = 0;
      const counted = (input: T): void => {
        runs++;
        check(input);
      };
      fc.assert(fc.property(inputs, counted), options);
      expect(runs).toBeGreaterThanOrEqual(seconds > 0 ? 1 : RUNS);
      if (seconds > 0) console.log(`${claim}: ${runs} runs, seed ${seed}`);
    },
    (seconds + 60) * 1000,
  );
}

type Change =
  | { readonly kind: "flip"; readonly at: number; readonly bits: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "drop" | "double"; readonly at: number; readonly length: number }
  | { readonly kind: "insert"; readonly at: number; readonly bytes: Uint8Array };

const at = fc.nat(5000);
/** Bytes that are a large number, a length that lies, or plain noise. */
const nasty = fc.oneof(
  fc.uint8Array({ maxLength: 8 }),
  fc.constantFrom(
    new Uint8Array(10).fill(0xff),
    new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    new Uint8Array([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
    new Uint8Array(9),
  ),
);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant("flip" as const), at, bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant("cut" as const), at }),
  fc.record({ kind: fc.constantFrom("drop" as const, "double" as const), at, length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant("insert" as const), at, bytes: nasty }),
);
const changes = fc.array(change, { minLength: 1, maxLength: 4 });

function changed(bytes: Uint8Array, list: readonly Change[]): Buffer {
  let now = Buffer.from(bytes);
  for (const one of list) {
    const place = one.at % (now.length + 1);
    if (one.kind === "cut") now = now.subarray(0, place);
    else if (one.kind === "flip") {
      now = Buffer.from(now);
      if (place < now.length) now[place] = (now[place] ?? 0) ^ one.bits;
    } else if (one.kind === "insert") now = Buffer.concat([now.subarray(0, place), one.bytes, now.subarray(place)]);
    else {
      const part = now.subarray(place, place + one.length);
      const middle = one.kind === "double" ? [part, part] : [];
      now = Buffer.concat([now.subarray(0, place), ...middle, now.subarray(place + one.length)]);
    }
  }
  return now;
}

function pieces(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  return ends.map((end) => {
    const part = Buffer.from(bytes.subarray(from, end)); // its own memory: reading beyond it would be seen
    from = end;
    return part;
  });
}
const places = fc.array(fc.nat(100_000), { maxLength: 12 });

const writer = new FrameWriter();

function frameOf(messages: readonly Message[]): Uint8Array {
  writer.begin(1);
  for (const message of messages) writer.add(message);
  return writer.finish().slice();
}

function messagesIn(payload: Uint8Array): { messages: Message[]; bad: boolean } {
  const heard = { messages: [] as Message[], bad: false };
  readFrame(payload, REPLICAS, {
    onWatermark: () => undefined,
    onMessage: (message) => heard.messages.push(message),
    onControl: () => undefined,
    onSweep: () => undefined,
    onBad: () => {
      heard.bad = true;
    },
  });
  return heard;
}

describe("what peers and disks say", () => {
  fuzz(
    "a changed frame yields only messages that can be said again",
    fc.record({ messages: fc.array(anyMessage, { minLength: 1, maxLength: 4 }), list: changes }),
    ({ messages, list }) => {
      const heard = messagesIn(changed(frameOf(messages), list));
      expect(messagesIn(frameOf(heard.messages)).messages).toEqual(heard.messages);
    },
  );

  fuzz(
    "a changed stream yields the same frames and the same end however it is cut, and no data that was not sent",
    fc.record({
      payloads: fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 4 }),
      list: changes,
      places,
    }),
    ({ payloads, list, places: cuts }) => {
      const stream = changed(Buffer.concat(payloads.map((payload) => encodeFrame(FRAME_DATA, payload))), list);
      const hear = (parts: readonly Buffer[]): { frames: string[]; problem: string | null } => {
        const frames: string[] = [];
        const receiver = {
          onFrame: (kind: number, payload: Uint8Array) => {
            // Four bytes of ones have a CRC of ones: such a frame gets through, with a kind that no link knows.
            if (kind === FRAME_DATA) frames.push(Buffer.from(payload).toString("hex"));
            return true;
          },
        };
        const parser = new FrameParser(receiver, 1000);
        let problem: string | null = null;
        for (const part of parts) problem ??= parser.push(part);
        return { frames, problem };
      };
      const whole = hear([stream]);
      expect(hear(pieces(stream, cuts))).toEqual(whole);
      const sent = new Set(payloads.map((payload) => Buffer.from(payload).toString("hex")));
      for (const frame of whole.frames) expect(sent.has(frame)).toBe(true);
      expect(whole.frames.length * FRAME_OVERHEAD).toBeLessThanOrEqual(stream.length);
    },
  );

  const entry = fc.integer({ min: 1, max: 20 }).chain(entryAt);

  fuzz(
    "changed bytes are no entry, or one that can be carried on",
    fc.record({ one: entry, list: changes }),
    ({ one, list }) => {
      const bytes = new Uint8Array(changed(one.bytes, list));
      const read = decodeEntry(bytes);
      if (read === null) return;
      const again = makeEntry(read, requestsOf(read));
      const second = decodeEntry(again.bytes);
      expect(second).not.toBeNull();
      expect(requestsOf(second as Entry)).toEqual(requestsOf(read));
      expect(Buffer.from(again.value).equals(Buffer.from(read.value))).toBe(true);
    },
  );

  fuzz(
    "a changed record gives a learner, or a state whose entries are where they should be",
    fc.record({
      one: entry,
      header: fc.array(change, { maxLength: 2 }),
      value: fc.array(change, { maxLength: 2 }),
      chosen: fc.boolean(),
    }),
    ({ one, header: inHeader, value: inValue, chosen }) => {
      const ballot = ordinaryBallot(3, 1, 2);
      const write: RecordWrite = {
        index: one.index,
        floor: chosen ? one.index : one.index - 1,
        promised: chosen ? NO_BALLOT : ballot,
        accepted: chosen ? NO_BALLOT : ballot,
        entry: one,
        proposer: 1,
        chosen,
        baseHash: 0,
        learner: false,
        votesFrom: 0,
        loss: 0,
        live: !one.tombstone,
      };
      const header = new Uint8Array(RECORD_HEADER_BYTES);
      encodeHeader(write, header);
      const damaged = new Uint8Array(RECORD_HEADER_BYTES);
      damaged.set(changed(header, inHeader).subarray(0, RECORD_HEADER_BYTES));
      const slot = {
        position: one.index,
        header: damaged,
        value: new Uint8Array(changed(recordValue(write), inValue)),
      };
      const outcome = loadPLog({ slots: 1, corrupt: false, slot: [slot, slot] }, CONTEXT);
      expect(outcome.kind).not.toBe("needs-value");
      if (outcome.kind === "needs-value") return;
      const { plog } = outcome;
      if (outcome.kind === "damaged") expect(plog.learner).toBe(true);
      expect(plog.acceptedEntry === null || plog.acceptedEntry.index === plog.chosen.index + 1).toBe(true);
      expect(leaderOf(rawKey("uk"), plog.chosen, REPLICAS)).toBeLessThan(REPLICAS);
    },
  );
});

const LIMITS = { maxArguments: 64, maxArgumentBytes: 4096, maxCommandBytes: 16_384 };
/** Of the parser's own for each argument that it holds; see its ARGUMENT_OVERHEAD_BYTES. */
const OVERHEAD = 200;

/** Numbers as clients announce them: fine, at every edge up to 2^64, and no numbers at all. */
const announced = fc.oneof(
  fc.integer({ min: -2, max: 12 }).map(String),
  fc.constantFrom(
    "64",
    "65",
    "4096",
    "4097",
    "536870912",
    "536870913",
    "1048576",
    "2147483647",
    "2147483648",
    "4294967296",
  ),
  fc.constantFrom(
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
  ),
  fc.constantFrom("", "-", "+1", "01", " 1", "1 ", "0x10", "1e3", "NaN", "1".repeat(40), "\0", "-0"),
);
const lineEnd = fc.constantFrom("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\n\r", "", "\r\r\n");
const token: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(fc.constantFrom("*", "$", "*", "$", ":", "+", "-", "%"), announced, lineEnd).map((parts) => parts.join("")),
  fc.tuple(fc.string({ maxLength: 12 }), lineEnd).map((parts) => parts.join("")),
  fc.array(fc.string({ maxLength: 9 }), { minLength: 1, maxLength: 4 }).map((args) => request(args)),
  fc.constantFrom("PING\r\n", 'set a "b\r\n', "set 'a' \"\\x4\"\r\n", "'", '"\\', "x".repeat(70_000)),
);

function request(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join("")}`;
}

describe("what clients say", () => {
  fuzz(
    "requests of every malformed kind end alike however they are cut, and hold no more than came",
    fc.record({
      tokens: fc.array(token, { minLength: 1, maxLength: 8 }),
      list: fc.array(change, { maxLength: 2 }),
      places,
    }),
    ({ tokens, list, places: cuts }) => {
      const bytes = changed(Buffer.from(tokens.join("")), list);
      const hear = (parts: readonly Buffer[]): unknown => {
        const parser = new RespParser(LIMITS);
        const commands: string[] = [];
        let fed = 0;
        for (const part of parts) {
          parser.feed(part);
          fed += part.length;
          while (parser.next() === "command") {
            expect(parser.argc).toBeLessThanOrEqual(Math.max(LIMITS.maxArguments, fed));
            const args = Array.from({ length: parser.argc }, (_, index) => parser.latin1(index));
            commands.push(parser.oversized > 0 ? "oversized" : args.join("\u0001"));
          }
          expect(parser.pendingBytes).toBeLessThanOrEqual(fed + OVERHEAD * LIMITS.maxArguments);
          parser.release();
        }
        return { commands, error: parser.error };
      };
      expect(hear(pieces(bytes, cuts))).toEqual(hear([bytes]));
    },
  );
});
