/** Claims about what operations mean, and that folding equals doing them one by one (P15, P23, P25). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exactText, parseLongDouble } from "../../src/base/long-double.js";
import { xxh3 } from "../../src/base/xxh3.js";
import { evaluate, isExpired, type LiveValue } from "../../src/paxos/evaluate.js";
import { type Condition, EXPIRY_RULES, type Operation, type Step } from "../../src/paxos/operation.js";
import { set, Story } from "../../src/sim/soup/story.js";
import { entryAt } from "./unit.js";
import { bytes, modelEvaluate, resultText, text } from "../../src/sim/soup/value-model.js";

const WALL = 1000;
const absent: LiveValue = { exists: false, value: new Uint8Array(0), version: 3, expiryMs: 0 };
const live = (value: string, version = 3, expiryMs = 0): LiveValue => ({
  exists: true,
  value: bytes(value),
  version,
  expiryMs,
});
const conditional = (condition: Condition): Operation => set("n", { condition });

const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.constantFrom<Condition>({ kind: "none" }, { kind: "absent" }, { kind: "present" }),
  fc.record({ kind: fc.constant("version" as const), version: fc.nat(5) }),
  fc.record({
    kind: fc.constantFrom("equal" as const, "different" as const),
    value: fc.constantFrom("", "7", "x").map(bytes),
  }),
  fc.record({
    kind: fc.constantFrom("digest" as const, "other-digest" as const),
    digest: fc.constantFrom("", "7", "x").map((value) => xxh3(bytes(value))),
  }),
);
const small = fc
  .oneof(
    fc.constantFrom("", "0", "7", "-1", "9223372036854775807", "-9223372036854775808", "x"),
    fc.string({ maxLength: 3 }),
  )
  .map((value) => value.replace(/[^ -~]|[.a-z]/gi, "?"));
const expiryMs = fc.constantFrom(0, 1, WALL - 1, WALL, WALL + 1, 5000);
/** Whole numbers: their sums are exact, and the model can do them. */
const floatDelta = fc.integer({ min: -8, max: 8 }).map((n) => exactText(parseLongDouble(String(n)) ?? "infinite"));
const single = fc.oneof(
  fc.record({
    kind: fc.constant("set" as const),
    value: small.map(bytes),
    expiryMs: fc.oneof(expiryMs, fc.constant(-1)),
    condition,
    returnOld: fc.boolean(),
  }),
  fc.constantFrom({ kind: "delete" } as const, { kind: "persist" } as const),
  fc.record({
    kind: fc.constant("add" as const),
    delta: fc.constantFrom("0", "1", "-1", "9223372036854775807", "-9223372036854775808"),
  }),
  fc.record({ kind: fc.constant("append" as const), value: small.map(bytes), maxBytes: fc.nat(6) }),
  fc.record({ kind: fc.constant("expire" as const), expiryMs: expiryMs.filter((ms) => ms > 0) }),
  fc.record({
    kind: fc.constant("expire-if" as const),
    expiryMs: expiryMs.filter((ms) => ms > 0),
    rule: fc.constantFrom(...EXPIRY_RULES),
  }),
  fc.record({ kind: fc.constant("touch" as const), expiryMs }),
  fc.record({ kind: fc.constant("remove" as const), condition, returnOld: fc.boolean() }),
  fc.record({
    kind: fc.constant("set-range" as const),
    offset: fc.nat(4),
    value: small.map(bytes),
    maxBytes: fc.nat(8),
  }),
  fc.record({ kind: fc.constant("add-float" as const), delta: floatDelta, maxBytes: fc.constant(99) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(single, fc.constant({ kind: "read" } as const));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 8, arbitrary: single },
  { weight: 1, arbitrary: fc.constant({ kind: "expire-due" } as const) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("steps" as const),
      condition,
      steps: fc.array(step, { maxLength: 5 }),
      maxBytes: fc.constant(9999),
    }),
  },
);
const value: fc.Arbitrary<LiveValue> = fc.oneof(
  fc.constant(absent),
  fc.record({
    exists: fc.constant(true),
    value: small.map(bytes),
    version: fc.nat(5),
    expiryMs: fc.constantFrom(0, 2000, 9000),
  }),
);

/** With a deadline that is ahead by the clock of stories. */
function later<T extends Operation | Step>(one: T): T {
  return "expiryMs" in one && one.expiryMs > 0 ? { ...one, expiryMs: one.expiryMs + 1_000_000 } : one;
}

describe("evaluating operations", () => {
  it("agrees with the model written a second time", () => {
    fc.assert(
      fc.property(value, operation, (before, what) => {
        const model = modelEvaluate(
          what,
          { text: before.exists ? text(before.value) : null, version: before.version, expiryMs: before.expiryMs },
          WALL,
        );
        const real = evaluate(what, before, WALL);
        expect(real.applied ? null : real.reason).toBe(model.refusal);
        expect(resultText(what, real.result)).toBe(model.result);
        const next = real.applied ? real.next : before;
        expect({ text: next.exists ? text(next.value) : null, version: next.version, expiryMs: next.expiryMs }).toEqual(
          model.next,
        );
      }),
      { numRuns: 2000 },
    );
  });

  it("checks conditions on the live value; version 0 means absent", () => {
    expect(evaluate(conditional({ kind: "absent" }), live("a"), WALL)).toMatchObject({
      applied: false,
      reason: "exists",
    });
    expect(evaluate(conditional({ kind: "present" }), absent, WALL)).toMatchObject({
      applied: false,
      reason: "absent",
    });
    expect(evaluate(conditional({ kind: "version", version: 3 }), live("a"), WALL).applied).toBe(true);
    expect(evaluate(conditional({ kind: "version", version: 3 }), absent, WALL).applied).toBe(false);
    expect(evaluate(conditional({ kind: "version", version: 0 }), absent, WALL).applied).toBe(true);
  });

  it("adds within 64 bits, and only to canonical integers", () => {
    const add = (text: string, delta: string) => evaluate({ kind: "add", delta }, live(text), WALL);
    expect(add("9223372036854775806", "1")).toMatchObject({ applied: true, result: "9223372036854775807" });
    expect(add("9223372036854775807", "1")).toMatchObject({ applied: false, reason: "overflow" });
    expect(add("9223372036854775808", "-1")).toMatchObject({ applied: false, reason: "not-integer" });
    for (const bad of ["", " 1", "1 ", "+1", "01", "-0", "1.0", "0x1", "1e3"]) {
      expect(add(bad, "1")).toMatchObject({ applied: false, reason: "not-integer" });
    }
  });

  it("an absent value counts as 0 and as empty", () => {
    expect(evaluate({ kind: "add", delta: "-5" }, absent, WALL)).toMatchObject({ applied: true, result: "-5" });
    expect(evaluate({ kind: "append", value: bytes("ab"), maxBytes: 2 }, absent, WALL)).toMatchObject({ result: 2 });
    expect(evaluate({ kind: "append", value: bytes("abc"), maxBytes: 2 }, absent, WALL).applied).toBe(false);
  });

  it("P25 a deadline in the past deletes; KEEP_EXPIRY keeps; a new value has none", () => {
    expect(evaluate(set("a", { expiryMs: WALL }), live("x"), WALL)).toMatchObject({ next: { exists: false } });
    expect(evaluate(set("a", { expiryMs: -1 }), live("x", 3, 5000), WALL)).toMatchObject({ next: { expiryMs: 5000 } });
    expect(evaluate(set("a"), live("x", 3, 5000), WALL)).toMatchObject({ next: { expiryMs: 0 } });
    expect(isExpired({ ...entryAt(1, "a"), expiryMs: WALL }, WALL)).toBe(true);
    expect(isExpired({ ...entryAt(1, "a"), expiryMs: WALL + 1 }, WALL)).toBe(false);
  });

  it("P23 versions grow with every change, over deletions", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.ask(0, { kind: "delete" });
    story.ask(0, { kind: "delete" });
    story.ask(0, set("b"));
    story.run();
    const reader = story.ask(0, null);
    story.run();
    expect([...story.answers.values()]).toEqual([
      "OK at 1 (null)",
      "OK at 2 (1)",
      "FAILED absent",
      "OK at 2 (null)",
      '"b" at 2',
    ]);
    expect(story.lane(0).plog.chosen.version).toBe(3);
    expect(story.answers.get(reader)).toBe('"b" at 2');
  });

  it("steps work on four times the bytes that they may answer, and on no more", () => {
    const before = live("x".repeat(100));
    const other: Condition = { kind: "equal", value: bytes("y".repeat(100)) };
    const digest: Condition = { kind: "digest", digest: "0".repeat(16) };
    const refusal = (count: number, step: Step): string => {
      const steps = Array.from({ length: count }, () => step);
      const evaluation = evaluate({ kind: "steps", condition: { kind: "none" }, steps, maxBytes: 300 }, before, WALL);
      return evaluation.applied ? "" : evaluation.reason;
    };
    const remove = (condition: Condition): Step => ({ kind: "remove", condition, returnOld: false });
    const copying: readonly Step[] = [
      { kind: "append", value: bytes("z"), maxBytes: 1000 },
      { kind: "set-range", offset: 0, value: bytes("z"), maxBytes: 1000 },
    ];
    for (const one of copying) {
      expect(refusal(10, one), one.kind).toBe("");
      expect(refusal(12, one), one.kind).toBe("too-large");
    }
    expect(refusal(10, remove(other))).toBe("unchanged");
    expect(refusal(12, remove(other))).toBe("too-large");
    // A value is hashed once, however often its digest is asked for.
    expect(refusal(60, remove(digest))).toBe("unchanged");
  });

  it("a value's digest is worked out once", () => {
    const value = new Uint8Array(1000);
    const before: LiveValue = { exists: true, value, version: 3, expiryMs: 0 };
    const wanted: Condition = { kind: "digest", digest: xxh3(value) };
    expect(evaluate(conditional(wanted), before, WALL).applied).toBe(true);
    value[0] = 1; // as nobody does: a digest that is worked out anew would be another
    expect(evaluate(conditional(wanted), before, WALL).applied).toBe(true);
    expect(evaluate(conditional({ kind: "equal", value: value.slice() }), before, WALL).applied).toBe(true);
    const last = value.slice();
    last[999] = 1;
    expect(evaluate(conditional({ kind: "equal", value: last }), before, WALL).applied).toBe(false);
  });

  it("P15 folding equals doing one after the other, each with its own result", () => {
    fc.assert(
      fc.property(
        fc.array(
          operation.filter((one) => one.kind !== "expire-due"),
          { minLength: 1, maxLength: 12 },
        ),
        (operations) => {
          const story = new Story(1); // the oracle replays every entry with the model
          story.ask(0, set("1"));
          story.ask(
            0,
            ...operations.map((one) => (one.kind === "steps" ? { ...one, steps: one.steps.map(later) } : later(one))),
          );
          story.run();
          expect(story.answers.size).toBe(operations.length + 1);
          expect([...story.answers.values()].filter((answer) => answer === "UNKNOWN")).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });
});
