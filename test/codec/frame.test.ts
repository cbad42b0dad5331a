/**
 * Goal: what one node says is what another hears, and what is not said by a node is never heard as something in range.
 * Method: random valid frames there and back; the same frames cut, flipped and replaced by noise, every value that still
 * comes out checked against the ranges of section 8. fast-check prints seed and path of a failure.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ControlMessage } from "../../src/codec/control.js";
import { FrameWriter, readFrame } from "../../src/codec/frame.js";
import type { SweepMessage } from "../../src/codec/sweep.js";
import { rawKey, userKey } from "../../src/base/key.js";
import { type Ballot, NO_BALLOT, ordinaryBallot, zeroBallot } from "../../src/paxos/ballot.js";
import { type Entry, makeEntry } from "../../src/paxos/entry.js";
import type { Message } from "../../src/paxos/message.js";
import { MAX_STEPS, type Operation } from "../../src/paxos/operation.js";
import { anyControl, anyMessage, anySweep, CONTROLS, MESSAGES, REPLICAS, SWEEPS } from "./arbitraries.js";

interface Heard {
  watermark: number;
  messages: Message[];
  controls: ControlMessage[];
  sweeps: SweepMessage[];
  bad: string[];
}

function hear(payload: Uint8Array, replicas = REPLICAS): Heard {
  const heard: Heard = { watermark: -1, messages: [], controls: [], sweeps: [], bad: [] };
  readFrame(payload, replicas, {
    onWatermark: (watermark) => (heard.watermark = watermark),
    onMessage: (message) => heard.messages.push(message),
    onControl: (message) => heard.controls.push(message),
    onSweep: (message) => heard.sweeps.push(message),
    onBad: (reason) => heard.bad.push(reason),
  });
  return heard;
}

const writer = new FrameWriter();

function frameOf(messages: readonly Message[], watermark = 7): Uint8Array {
  writer.begin(watermark);
  for (const message of messages) writer.add(message);
  return writer.finish().slice();
}

/** Claims of section 8 that hold for anything that is handed out. */
function expectInRange(value: unknown, name: string): void {
  if (typeof value === "number") {
    expect(Number.isSafeInteger(value), name).toBe(true);
    if (name !== "expiryMs" && name !== "counter") expect(value, name).toBeGreaterThanOrEqual(0);
    if (name === "counter") expect(value, name).toBeGreaterThanOrEqual(-1);
    if (["replica", "proposer", "leader"].includes(name)) expect(value, name).toBeLessThan(REPLICAS);
  } else if (value instanceof Uint8Array) {
    expect(value.constructor, name).toBe(Uint8Array);
  } else if (typeof value === "object" && value !== null) {
    for (const [field, inner] of Object.entries(value)) expectInRange(inner, field);
  }
}

function entry(index: number, leader = 0): Entry {
  const value = new Uint8Array([1, 2, 3]);
  return makeEntry({ index, tombstone: false, version: 1, expiryMs: 0, leader, coveredFrom: 1, value }, []);
}

const KEY = userKey("k");

describe("a frame of messages", () => {
  for (const [type, arbitrary] of Object.entries(MESSAGES)) {
    it(`carries ${type} unchanged`, () => {
      fc.assert(
        fc.property(arbitrary, fc.maxSafeNat(), (message, watermark) => {
          expect(hear(frameOf([message], watermark))).toEqual({
            watermark,
            messages: [message],
            controls: [],
            sweeps: [],
            bad: [],
          });
        }),
      );
    });
  }

  it("carries many messages of many keys in their order", () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 20 }), (messages) => {
        expect(hear(frameOf(messages))).toEqual({ watermark: 7, messages, controls: [], sweeps: [], bad: [] });
      }),
    );
  });

  it("hands out bytes of its own, from a Buffer too", () => {
    const sent: Message = { type: "learn", key: KEY, entry: entry(4) };
    const payload = Buffer.from(frameOf([sent]));
    const heard = hear(payload);
    payload.fill(0xff);
    expect(heard.messages).toEqual([sent]);
    expectInRange(heard.messages, "messages");
  });

  it("is said to be full once it holds as much as should travel together", () => {
    const large = makeEntry(
      {
        index: 1,
        tombstone: false,
        version: 1,
        expiryMs: 0,
        leader: 0,
        coveredFrom: 1,
        value: new Uint8Array(5 << 20),
      },
      [],
    );
    writer.begin(0);
    expect(writer.isFull).toBe(false);
    writer.add({ type: "learn", key: KEY, entry: large });
    expect(writer.isFull).toBe(true);
    const [heard] = hear(writer.finish()).messages;
    expect(heard?.type === "learn" && Buffer.from(heard.entry.bytes).equals(large.bytes)).toBe(true);
    writer.begin(0);
    expect(writer.isFull).toBe(false);
    expect(writer.count).toBe(0);
  });

  it("does not carry what a node remembers about itself", () => {
    expect(() => frameOf([{ type: "fetch", key: rawKey("nbound"), index: 1, settle: false }])).toThrow();
    const payload = frameOf([{ type: "fetch", key: rawKey("ubound"), index: 1, settle: false }]);
    payload[payload.indexOf("u".charCodeAt(0))] = "n".charCodeAt(0);
    expect(hear(payload)).toMatchObject({ messages: [], bad: [expect.stringContaining("malformed")] });
  });
});

describe("a frame with a control message", () => {
  for (const [type, arbitrary] of Object.entries(CONTROLS)) {
    it(`carries ${type} unchanged`, () => {
      fc.assert(
        fc.property(arbitrary, fc.maxSafeNat(), (control, watermark) => {
          const payload = writer.control(watermark, control);
          expect(hear(payload)).toEqual({ watermark, messages: [], controls: [control], sweeps: [], bad: [] });
        }),
      );
    });
  }

  it("cuts a reason that is too long", () => {
    const reason = "x".repeat(5000);
    const binding = {
      type: "binding",
      bound: false,
      first: false,
      remembersIncarnation: 1,
      remembersLoss: 0,
      remembersWatermark: 2,
      reason,
    } as const;
    expect(hear(writer.control(0, binding)).controls).toEqual([{ ...binding, reason: "x".repeat(512) }]);
  });
});

describe("a frame about what replicas hold", () => {
  for (const [type, arbitrary] of Object.entries(SWEEPS)) {
    it(`carries ${type} unchanged`, () => {
      fc.assert(
        fc.property(arbitrary, fc.maxSafeNat(), (message, watermark) => {
          const payload = writer.sweep(watermark, message);
          expect(hear(payload)).toEqual({ watermark, messages: [], controls: [], sweeps: [message], bad: [] });
        }),
      );
    });
  }

  it("says nothing of keys that are the node's own", () => {
    const state = { key: rawKey("nidentity"), top: 1, chosenIndex: 1, chosenHash: 1, acceptedHash: 0, votes: true };
    const list = { type: "list", loss: 0, query: 1, keys: [state], open: false, busy: false, next: 0n } as const;
    expect(() => writer.sweep(0, list)).toThrow();
  });

  it("costs little where most buckets are empty", () => {
    const digests = new Uint8Array(65_536 * 8);
    digests[8 * 4000] = 1;
    expect(writer.sweep(0, { type: "digests", loss: 0, first: 0, digests, keys: 1, open: false }).length).toBeLessThan(
      60,
    );
  });
});

describe("reading what no node said", () => {
  it("never throws and yields nothing out of range, however a frame was changed", () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255) });
    fc.assert(
      fc.property(
        fc.array(anyMessage, { minLength: 1, maxLength: 4 }),
        fc.array(change, { maxLength: 4 }),
        (messages, changes) => {
          const payload = frameOf(messages);
          for (const { at, byte } of changes) payload[at % payload.length] = byte;
          const heard = hear(payload);
          expectInRange(heard.messages, "messages");
          expect(heard.bad.length).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("says that a frame cut anywhere is bad, after the messages that came whole", () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { minLength: 1, maxLength: 3 }), fc.nat(), (messages, cut) => {
        const payload = frameOf(messages);
        const heard = hear(payload.subarray(0, cut % payload.length));
        expect(heard.bad).toHaveLength(1);
        expect(heard.messages).toEqual(messages.slice(0, heard.messages.length));
      }),
      { numRuns: 500 },
    );
  });

  it("says that a control frame cut anywhere, or with more behind it, is bad", () => {
    fc.assert(
      fc.property(anyControl, fc.nat(), (control, cut) => {
        const payload = writer.control(1, control).slice();
        expect(hear(payload.subarray(0, cut % payload.length))).toMatchObject({
          controls: [],
          bad: [expect.any(String)],
        });
        expect(hear(new Uint8Array([...payload, 0]))).toMatchObject({ controls: [], bad: [expect.any(String)] });
      }),
    );
  });

  it("says that a frame about what is held, cut anywhere or with more behind it, is bad", () => {
    fc.assert(
      fc.property(anySweep, fc.nat(), (message, cut) => {
        const payload = writer.sweep(1, message).slice();
        const bad = { sweeps: [], bad: [expect.any(String)] };
        expect(hear(payload.subarray(0, cut % payload.length))).toMatchObject(bad);
        expect(hear(new Uint8Array([...payload, 0]))).toMatchObject(bad);
      }),
    );
  });

  it("yields nothing of what is held out of range, however a frame was changed", () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255) });
    fc.assert(
      fc.property(anySweep, fc.array(change, { maxLength: 4 }), (message, changes) => {
        const payload = writer.sweep(1, message).slice();
        for (const { at, byte } of changes) payload[at % payload.length] = byte;
        const heard = hear(payload);
        for (const one of heard.sweeps) {
          if (one.type !== "list") continue;
          expectInRange(one.keys, "keys");
          for (const { top, chosenIndex } of one.keys)
            expect(top - chosenIndex === 0 || top - chosenIndex === 1).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("never throws on noise", () => {
    const head = fc.constantFrom(
      new Uint8Array(0),
      new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]),
      new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0]),
      new Uint8Array([3, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    );
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 200 }), (start, noise) => {
        const heard = hear(new Uint8Array([...start, ...noise]));
        expectInRange(heard.messages, "messages");
        expectInRange(heard.controls, "controls");
      }),
      { numRuns: 2000 },
    );
  });

  it("does not believe a count that the frame cannot hold", () => {
    const payload = frameOf([{ type: "fetch", key: KEY, index: 1, settle: false }]);
    payload.set([0xff, 0xff, 0xff, 0xff], 9);
    expect(hear(payload).bad).toEqual([expect.stringContaining("more messages")]);
  });

  it("says that bytes after the last message are bad", () => {
    const payload = frameOf([{ type: "fetch", key: KEY, index: 1, settle: false }]);
    const heard = hear(new Uint8Array([...payload, 1]));
    expect(heard.messages).toHaveLength(1);
    expect(heard.bad).toHaveLength(1);
  });

  it("does not know other kinds of frames", () => {
    expect(hear(new Uint8Array([4, 0, 0, 0, 0, 0, 0, 0, 0])).bad).toEqual(["unknown kind of frame 4"]);
  });
});

describe("a message is refused when", () => {
  const ballot: Ballot = ordinaryBallot(3, 1, 5);
  const prepare: Message = { type: "prepare", key: KEY, index: 5, ballot, mark: NO_BALLOT, base: null };
  const promise: Message = {
    type: "promise",
    key: KEY,
    index: 5,
    ballot,
    granted: true,
    promised: ballot,
    accepted: NO_BALLOT,
    entry: null,
    chosenIndex: 4,
  };
  const accept: Message = {
    type: "accept",
    key: KEY,
    index: 5,
    ballot,
    entry: entry(5),
    proposer: 2,
    mark: NO_BALLOT,
    base: null,
  };
  const cases: readonly (readonly [string, Message, number?])[] = [
    ["a replica is not of the group", { ...prepare, ballot: ordinaryBallot(1, 3, 1) }],
    ["a proposer is not of the group", { ...accept, proposer: 3 }],
    ["the leader of an entry is not of the group", { type: "learn", key: KEY, entry: entry(1, 4) }],
    ["it prepares class zero", { ...prepare, ballot: zeroBallot(1, 5) }],
    ["it asks to accept at no ballot", { ...accept, ballot: NO_BALLOT }],
    ["an entry stands at another index", { ...accept, entry: entry(6) }],
    ["a base is not the entry below", { ...accept, base: entry(3) }],
    ["it is about index 0", { type: "fetch", key: KEY, index: 0, settle: false }],
    ["a grant withholds the accepted entry", { ...promise, accepted: ballot }],
    ["a grant shows an entry without its ballot", { ...promise, entry: entry(5) }],
    ["a mark names no ballot", { type: "chosen", key: KEY, index: 5, ballot: NO_BALLOT }],
  ];
  for (const [claim, message] of cases) {
    it(claim, () => {
      expect(hear(frameOf([message]))).toMatchObject({ messages: [], bad: [expect.stringContaining("malformed")] });
    });
  }

  const forwardOf = (operation: Operation): Message => ({
    type: "forward",
    key: KEY,
    request: { replica: 0, incarnation: 1, counter: 1 },
    operation,
    since: 0,
    remainingTicks: 1,
    targetIncarnation: 1,
    sequence: 1,
  });

  it("an operation is none that could be evaluated", () => {
    const value = new Uint8Array(3);
    const most = 64 * 2 ** 20;
    const steps = { kind: "steps", condition: { kind: "none" }, maxBytes: 9 } as const;
    const bad: readonly unknown[] = [
      { kind: "read" },
      { ...steps, steps: [{ ...steps, steps: [] }] },
      { ...steps, steps: [{ kind: "expire-due" }] },
      { kind: "set-range", offset: most + 1, value, maxBytes: 9 },
      { kind: "set-range", offset: 0, value, maxBytes: most + 1 },
      { kind: "append", value, maxBytes: most + 1 },
      { kind: "add-float", delta: "0x1p0", maxBytes: most + 1 },
      { ...steps, steps: [], maxBytes: most + 1 },
      { kind: "add-float", delta: "0.5", maxBytes: 9 },
      { kind: "add-float", delta: "0x1p99999999", maxBytes: 9 },
      { kind: "remove", condition: { kind: "digest", digest: "78AF5F94892F3950" }, returnOld: false },
      { kind: "remove", condition: { kind: "other-digest", digest: "abc" }, returnOld: false },
    ];
    for (const operation of bad) {
      const message = forwardOf(operation as Operation);
      expect(hear(frameOf([message])).messages, JSON.stringify(operation)).toEqual([]);
    }
    const many = { ...steps, steps: Array.from({ length: MAX_STEPS + 1 }, () => ({ kind: "delete" as const })) };
    expect(() => frameOf([forwardOf(many)])).toThrow("more steps");
    const good: Operation = { ...steps, steps: Array.from({ length: MAX_STEPS }, () => ({ kind: "delete" })) };
    expect(hear(frameOf([forwardOf(good)])).messages).toEqual([forwardOf(good)]);
  });

  it("an increment is no integer of 64 bits", () => {
    const forward = (delta: string): Message => forwardOf({ kind: "add", delta });
    for (const delta of [
      "9223372036854775808",
      "-9223372036854775809",
      "",
      "-",
      "1e3",
      "007",
      "+1",
      " 1",
      "99999999999999999999",
    ]) {
      expect(hear(frameOf([forward(delta)])).messages, delta).toEqual([]);
    }
    for (const delta of ["9223372036854775807", "-9223372036854775808", "0", "-1"]) {
      expect(hear(frameOf([forward(delta)])).messages, delta).toEqual([forward(delta)]);
    }
  });
});
