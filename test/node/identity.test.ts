// Goal: what a node believes of its own disk and of its peers' (P29). Method: the rules are tables; every row is tested.
import { describe, expect, it } from "vitest";
import type { BindingMessage } from "../../src/codec/control.js";
import type { Hello } from "../../src/net/transport.js";
import { type Binding, judgeBinding, judgeHello } from "../../src/node/binding-rules.js";
import {
  encodeIdentity,
  firstIdentity,
  type Identity,
  loseAll,
  nextIdentity,
  takeLostPlaces,
} from "../../src/node/identity.js";
import { NodeError } from "../../src/node/node-error.js";

const FACTS = { clusterId: "c", nodeId: "n1", nodeIds: ["n1", "n2", "n3"], storageId: "a".repeat(32) };
const BOUND: Binding = {
  storageId: "b".repeat(32),
  incarnation: 5,
  nonce: 77,
  first: true,
  loss: 0,
  watermark: 40,
  watermarkBefore: 60,
};

function identity(change: Partial<Identity> = {}): Identity {
  const bindings = new Map([["n2", { ...BOUND }]]);
  return { ...firstIdentity(FACTS), incarnation: 7, born: true, bindings, ...change };
}

function hello(change: Partial<Hello> = {}): Hello {
  const { storageId, incarnation, nonce } = BOUND;
  return {
    protocolVersion: 1,
    clusterId: "c",
    epoch: 1,
    group: 0,
    placement: 0,
    nodeId: "n2",
    replica: 1,
    incarnation,
    storageId,
    nonce,
    loss: 0,
    lossAll: 0,
    ...change,
  };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof NodeError) return error.code;
    throw error;
  }
  return "none";
}

describe("the next identity", () => {
  it("is the first incarnation, not born, on a disk without one", () => {
    expect(firstIdentity(FACTS)).toMatchObject({ ...FACTS, incarnation: 1, born: false, forgot: "", loss: 0 });
  });

  it("is born at once when there is nobody else", () => {
    expect(firstIdentity({ ...FACTS, nodeIds: ["n1"] }).born).toBe(true);
  });

  it("is one incarnation above the one on disk and remembers everything else", () => {
    expect(nextIdentity(FACTS, encodeIdentity(identity()))).toEqual(identity({ incarnation: 8 }));
    expect(nextIdentity(FACTS, encodeIdentity(identity({ born: false }))).born).toBe(false);
  });

  it("remembers that the disk forgot, and what it has lost", () => {
    const old = identity({ forgot: "n2 remembers more", loss: 3, lossAll: 2, lossOpen: true, learnerOrder: true });
    expect(nextIdentity(FACTS, encodeIdentity(old))).toEqual({ ...old, incarnation: 8 });
  });

  it("reads a record of before losses had numbers", () => {
    const { bindings, clusterId, nodeId, nodeIds, storageId } = identity();
    const { loss: _none, ...bound } = BOUND;
    expect(bindings.size).toBe(1);
    const record = { clusterId, nodeId, nodeIds, storageId, incarnation: 7, born: true, forgot: "" };
    const text = JSON.stringify({ ...record, format: 1, bindings: { n2: bound } });
    expect(nextIdentity(FACTS, new TextEncoder().encode(text))).toEqual(identity({ incarnation: 8 }));
  });

  it("P31 takes numbers above all that is remembered when everything is lost", () => {
    const lost = identity({ loss: 2, forgot: "n2 remembers more" });
    loseAll(lost, "n2 remembers more", { incarnation: 20, loss: 5 });
    expect(lost).toMatchObject({ incarnation: 21, loss: 6, lossAll: 6, lossOpen: true, born: true, forgot: "" });
    loseAll(lost, "again", { incarnation: 0, loss: 0 });
    expect(lost).toMatchObject({ incarnation: 22, loss: 7, lossAll: 7, lossReason: "again" });
  });

  const refused: readonly (readonly [string, Partial<Identity>, string])[] = [
    ["of another cluster", { clusterId: "d" }, "foreign"],
    ["of another node", { nodeId: "n2" }, "foreign"],
    ["of a group with another node", { nodeIds: ["n1", "n2", "n4"] }, "foreign"],
    ["of a smaller group", { nodeIds: ["n1"] }, "foreign"],
    ["with the nodes in another order", { nodeIds: ["n2", "n1", "n3"] }, "foreign"],
    ["written on another disk", { storageId: "c".repeat(32) }, "foreign"],
  ];
  for (const [what, change, code] of refused) {
    it(`refuses a disk ${what}`, () => {
      expect(codeOf(() => nextIdentity(FACTS, encodeIdentity(identity(change))))).toBe(code);
    });
  }

  const broken: readonly (readonly [string, (record: Record<string, unknown>) => unknown])[] = [
    ["no JSON", () => undefined],
    ["a list", () => []],
    ["another format", (record) => ({ ...record, format: 4 })],
    ["no incarnation", (record) => ({ ...record, incarnation: null })],
    ["a negative incarnation", (record) => ({ ...record, incarnation: -1 })],
    ["an incarnation beyond 2^53", (record) => ({ ...record, incarnation: 2 ** 53 })],
    ["half an incarnation", (record) => ({ ...record, incarnation: 1.5 })],
    ["a loss of all above the last loss", (record) => ({ ...record, loss: 1, lossAll: 2 })],
    ["a loss beyond 24 bits", (record) => ({ ...record, loss: 2 ** 24 })],
    ["a loss that is open in words", (record) => ({ ...record, lossOpen: "yes" })],
    ["a lost place without an end", (record) => ({ ...record, lostPlaces: [{ volume: 0, life: 1, from: 2 }] })],
    ["a birth that is no truth", (record) => ({ ...record, born: "yes" })],
    ["bindings in a list", (record) => ({ ...record, bindings: [] })],
    ["a binding without a storage id", (record) => ({ ...record, bindings: { n2: { ...BOUND, storageId: 3 } } })],
    ["a binding with half a watermark", (record) => ({ ...record, bindings: { n2: { ...BOUND, watermark: 0.5 } } })],
  ];
  for (const [what, change] of broken) {
    it(`calls a record damaged that holds ${what}, and never takes it for none`, () => {
      const record = JSON.parse(new TextDecoder().decode(encodeIdentity(identity()))) as Record<string, unknown>; // an object, as written
      const text = JSON.stringify(change(record)) ?? "{";
      expect(codeOf(() => nextIdentity(FACTS, new TextEncoder().encode(text)))).toBe("damaged");
    });
  }
});

describe("P30 what the disk lost of keys that cannot be told", () => {
  const place = { volume: 1, life: 40, from: 10, to: 20 };
  const cases: readonly (readonly [string, readonly (typeof place)[], boolean, number?])[] = [
    ["the same place", [place], false],
    ["a part of it", [{ ...place, from: 12, to: 14 }], false],
    ["nothing", [], false],
    ["a place that begins before it", [{ ...place, from: 9 }], true],
    ["a place that goes on behind it", [{ ...place, to: 21 }], true],
    ["the same blocks of another life", [{ ...place, life: 41 }], true],
    ["the same blocks of another volume", [{ ...place, volume: 0 }], true],
    ["one more place", [place, { ...place, from: 30, to: 31 }], true],
    ["a loss without a place", [place], true, 2],
  ];
  for (const [what, lostPlaces, isNew, unknownLosses = lostPlaces.length] of cases) {
    it(`is ${isNew ? "a new loss" : "known"}: ${what}`, () => {
      const own = identity({ lostPlaces: [place] });
      expect(takeLostPlaces(own, { unknownLosses, lostPlaces })).toBe(isNew);
      const next = nextIdentity(FACTS, encodeIdentity(own));
      expect(next.lostPlaces).toEqual(lostPlaces);
      expect(takeLostPlaces(next, { unknownLosses: lostPlaces.length, lostPlaces })).toBe(false);
    });
  }

  it("is known up to a thousand places, and more of them are found anew", () => {
    const many = Array.from({ length: 1001 }, (_, i) => ({ ...place, from: 10 * i, to: 10 * i + 1 }));
    const own = identity();
    const found = { unknownLosses: many.length, lostPlaces: many };
    expect([takeLostPlaces(own, found), takeLostPlaces(own, found)]).toEqual([true, true]);
    expect(own.lostPlaces).toHaveLength(1000);
  });
});

describe("the judgement of a peer's hello", () => {
  it("binds a peer that was never seen, as the first", () => {
    expect(judgeHello(undefined, hello())).toEqual({
      kind: "new",
      binding: { ...BOUND, first: true, watermark: 0, watermarkBefore: 0 },
    });
  });

  it("knows the same process again", () => {
    expect(judgeHello(BOUND, hello())).toEqual({ kind: "known", binding: BOUND });
  });

  it("binds a later incarnation, and carries over the highest watermark of all earlier ones", () => {
    for (const [watermark, watermarkBefore] of [
      [40, 60],
      [60, 40],
    ] as const) {
      const verdict = judgeHello({ ...BOUND, watermark, watermarkBefore }, hello({ incarnation: 6, nonce: 1 }));
      expect(verdict).toEqual({
        kind: "new",
        binding: { ...BOUND, incarnation: 6, nonce: 1, watermark: 0, watermarkBefore: 60 },
      });
    }
  });

  it("keeps that a storage id was not the first one", () => {
    const verdict = judgeHello({ ...BOUND, first: false }, hello({ incarnation: 6 }));
    expect(verdict.kind === "new" && verdict.binding.first).toBe(false);
  });

  const renewed: readonly (readonly [string, Partial<Hello>, Partial<Binding>])[] = [
    [
      "another disk that is told as a loss",
      { storageId: "c".repeat(32), incarnation: 9, loss: 1, lossAll: 1 },
      { first: false, watermark: 0, watermarkBefore: 0 },
    ],
    [
      "a restored copy that is told as a loss",
      { incarnation: 9, loss: 1, lossAll: 1 },
      { watermark: 0, watermarkBefore: 0 },
    ],
    ["a small loss of the process that is known", { loss: 1 }, {}],
    ["a small loss that is told at the next start", { loss: 1, incarnation: 6 }, { watermark: 0, watermarkBefore: 60 }],
  ];
  for (const [what, change, then] of renewed) {
    it(`P31 binds ${what} anew, and its loss with it`, () => {
      const { storageId, incarnation, loss } = hello(change);
      const binding = { ...BOUND, storageId, incarnation, loss, ...then };
      expect(judgeHello(BOUND, hello(change))).toEqual({ kind: "new", binding });
    });
  }

  const refused: readonly (readonly [string, Partial<Hello>])[] = [
    ["another storage id", { storageId: "c".repeat(32) }],
    ["another storage id in a later incarnation", { storageId: "c".repeat(32), incarnation: 9 }],
    ["another storage id as a small loss", { storageId: "c".repeat(32), incarnation: 9, loss: 1 }],
    [
      "another storage id with a loss, in an incarnation that was seen",
      { storageId: "c".repeat(32), loss: 1, lossAll: 1 },
    ],
    ["an earlier incarnation", { incarnation: 4 }],
    ["the same incarnation in another process", { nonce: 78 }],
  ];
  for (const [what, change] of refused) {
    it(`refuses ${what}`, () => {
      expect(judgeHello(BOUND, hello(change)).kind).toBe("refused");
    });
  }
});

describe("a peer whose loss is known", () => {
  it("is refused when it comes as before that loss", () => {
    expect(judgeHello({ ...BOUND, loss: 2 }, hello({ incarnation: 9, loss: 1, lossAll: 1 })).kind).toBe("refused");
  });

  it("is not taken for another disk by a loss that is known already", () => {
    const change = { storageId: "c".repeat(32), incarnation: 9, loss: 2, lossAll: 2 };
    expect(judgeHello({ ...BOUND, loss: 2 }, hello(change)).kind).toBe("refused");
  });
});

describe("the judgement of what a peer says of us", () => {
  const message: BindingMessage = {
    type: "binding",
    bound: true,
    first: true,
    remembersIncarnation: 7,
    remembersLoss: 0,
    remembersWatermark: 100,
    reason: "",
  };

  it("is content when the disk holds at least what is remembered", () => {
    expect(judgeBinding(message, "n2", 100)).toBe(null);
    expect(judgeBinding(message, "n2", 101)).toBe(null);
  });

  it("finds that the disk forgot when it holds less, or when the peer refuses it", () => {
    expect(judgeBinding(message, "n2", 99)).toMatch(/n2 remembers/);
    expect(judgeBinding({ ...message, bound: false, reason: "why" }, "n2", 1000)).toMatch(/n2 refuses this node: why/);
  });
});
