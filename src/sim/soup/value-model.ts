/**
 * What operations mean, written a second time and as plainly as possible: strings for values, one function. The oracle
 * compares every chosen entry with it, so that a mistake in evaluating or folding cannot hide behind agreement.
 */
import { xxh3 } from "../../base/xxh3.js";
import type { Condition, FailReason, Operation, Result, Step } from "../../paxos/operation.js";
import { readStepAnswers } from "../../paxos/steps.js";

/** A value with its version; `text` null = absent. Bytes are latin1 characters. */
export interface ModelValue {
  readonly text: string | null;
  readonly version: number;
  readonly expiryMs: number;
}

export interface ModelResult {
  readonly next: ModelValue;
  readonly refusal: FailReason | null;
  /** Bytes as latin1 text with the prefix "bytes:". */
  readonly result: string | number | null;
}

export function text(bytes: Uint8Array): string {
  return [...bytes].map((byte) => String.fromCharCode(byte)).join("");
}

export function bytes(latin1: string): Uint8Array {
  return Uint8Array.from(latin1, (character) => character.charCodeAt(0));
}

/** A result as the model writes it, to be compared. */
export function plainResult(result: Result): string | number | null {
  return result instanceof Uint8Array ? `bytes:${text(result)}` : result;
}

/** Short bytes are told as text, so that the list of requests keeps them; the word "large" is not. */
function bytesText(latin1: string): string {
  return latin1.length > 32 || latin1 === "large" ? `bytes:${latin1}` : latin1;
}

/** The result of `operation` as the model writes it. */
export function resultText(operation: Operation, result: Result): string | number | null {
  const answers = operation.kind === "steps" && result !== null;
  return answers ? plainAnswers(result, operation.steps.length) : plainResult(result);
}

/** What steps answered, in the model's own words. */
function plainAnswers(result: Result, count: number): string {
  const answers = readStepAnswers(result, count);
  if (answers === null) return "none";
  return answers
    .map((answer) => {
      if (answer.kind === "write") return answerText(answer.refusal, plainResult(answer.result), answer.version);
      const { exists, value, version, expiryMs } = answer.live;
      return readText({ text: exists ? text(value) : null, version, expiryMs });
    })
    .join(";");
}

function answerText(refusal: FailReason | null, result: ModelResult["result"], version: number): string {
  return `${refusal ?? "ok"} ${JSON.stringify(result)} v${String(version)}`;
}

function readText(value: ModelValue): string {
  return `read ${JSON.stringify(value)}`;
}

/** Null: it holds. */
function modelUnmet(condition: Condition, value: ModelValue): FailReason | null {
  const there = value.text !== null;
  switch (condition.kind) {
    case "none":
      return null;
    case "absent":
      return there ? "exists" : null;
    case "present":
      return there ? null : "absent";
    case "version":
      return condition.version === (there ? value.version : 0) ? null : "version";
    case "equal":
    case "different":
      return (value.text === text(condition.value)) === (condition.kind === "equal") ? null : "value";
    case "digest":
    case "other-digest": {
      const same = there && xxh3(bytes(value.text ?? "")) === condition.digest;
      return same === (condition.kind === "digest") ? null : "value";
    }
  }
}

/** Of a delta that is a whole number: the tests add no others where the model is asked. */
function wholeDelta(delta: string): bigint {
  const [, sign, mantissa = "0x0", power = "0"] = /^(-?)(0x[0-9a-f]+)p(-?\d+)$/.exec(delta) ?? [];
  const whole = BigInt(mantissa) >> BigInt(-Number(power));
  return sign === "-" ? -whole : whole;
}

function modelSteps(operation: Extract<Operation, { kind: "steps" }>, value: ModelValue, wallMs: number): ModelResult {
  const unmet = modelUnmet(operation.condition, value);
  if (unmet !== null) return { next: value, refusal: unmet, result: null };
  let now = value;
  const said: string[] = [];
  for (const step of operation.steps) {
    const { next, refusal, result } = modelStep(step, now, wallMs);
    if (refusal === null && step.kind !== "read") now = { ...next, version: value.version + 1 };
    const version = now.text === null ? 0 : now.version;
    said.push(step.kind === "read" ? readText(now) : answerText(refusal, result, version));
  }
  return { next: now, refusal: now === value ? "unchanged" : null, result: said.join(";") };
}

function modelStep(step: Step, value: ModelValue, wallMs: number): ModelResult {
  return step.kind === "read" ? { next: value, refusal: null, result: null } : modelEvaluate(step, value, wallMs);
}

/** The ways in which an operation ends. */
function endingsOf(value: ModelValue, wallMs: number) {
  const version = value.version + 1;
  const gone: ModelValue = { text: null, version, expiryMs: 0 };
  const refuse = (refusal: FailReason, result: ModelResult["result"] = null): ModelResult => ({
    next: value,
    refusal,
    result,
  });
  const put = (next: string, expiryMs: number, result: ModelResult["result"]): ModelResult => ({
    next: expiryMs !== 0 && expiryMs <= wallMs ? gone : { text: next, version, expiryMs },
    refusal: null,
    result,
  });
  return { gone, refuse, put };
}

type Conditional = Extract<
  Operation,
  { readonly kind: "remove" | "expire-if" | "touch" | "set-range" | "add-float" | "steps" }
>;

export function modelEvaluate(operation: Operation, value: ModelValue, wallMs: number): ModelResult {
  const { gone, refuse, put } = endingsOf(value, wallMs);
  const there = value.text !== null;
  switch (operation.kind) {
    case "set": {
      const old = operation.returnOld && there ? bytesText(value.text ?? "") : null;
      const unmet = modelUnmet(operation.condition, value);
      if (unmet !== null) return refuse(unmet, old);
      const keep = operation.expiryMs === -1;
      return put(text(operation.value), keep ? (there ? value.expiryMs : 0) : operation.expiryMs, old);
    }
    case "delete":
      return there ? { next: gone, refusal: null, result: 1 } : refuse("absent", 0);
    case "expire":
      return there ? put(value.text ?? "", operation.expiryMs, 1) : refuse("absent", 0);
    case "persist":
      if (!there) return refuse("absent", 0);
      return value.expiryMs === 0 ? refuse("no-deadline", 0) : put(value.text ?? "", 0, 1);
    case "append": {
      const joined = (value.text ?? "") + text(operation.value);
      if (joined.length > operation.maxBytes) return refuse("too-large");
      return put(joined, value.expiryMs, joined.length);
    }
    case "add": {
      const before = value.text ?? "0";
      if (!/^(0|-?[1-9]\d{0,18})$/.test(before)) return refuse("not-integer");
      const sum = BigInt(before) + BigInt(operation.delta);
      if (BigInt(before) !== BigInt.asIntN(64, BigInt(before))) return refuse("not-integer");
      if (sum !== BigInt.asIntN(64, sum)) return refuse("overflow");
      return put(String(sum), value.expiryMs, String(sum));
    }
    case "expire-due":
      return refuse("not-due");
    default:
      return modelConditional(operation, value, wallMs);
  }
}

function modelConditional(operation: Conditional, value: ModelValue, wallMs: number): ModelResult {
  const { gone, refuse, put } = endingsOf(value, wallMs);
  const there = value.text !== null;
  switch (operation.kind) {
    case "remove": {
      const old = operation.returnOld ? (there ? bytesText(value.text ?? "") : null) : there ? 1 : 0;
      const unmet = there ? modelUnmet(operation.condition, value) : "absent";
      if (unmet !== null) return refuse(unmet, operation.returnOld ? old : 0);
      return { next: gone, refusal: null, result: old };
    }
    case "expire-if": {
      if (!there) return refuse("absent", 0);
      const present = value.expiryMs === 0 ? Number.POSITIVE_INFINITY : value.expiryMs;
      const wanted = operation.expiryMs;
      const allowed = {
        without: value.expiryMs === 0,
        with: value.expiryMs !== 0,
        later: wanted > present,
        sooner: wanted < present,
        "with-sooner": value.expiryMs !== 0 && wanted < present,
      }[operation.rule];
      if (!allowed) return refuse("deadline", 0);
      return { ...put(value.text ?? "", wanted, 1), ...(wanted <= wallMs ? { next: gone } : {}) };
    }
    case "touch":
      if (!there) return refuse("absent");
      if (operation.expiryMs === 0 && value.expiryMs === 0) return refuse("no-deadline", bytesText(value.text ?? ""));
      return put(value.text ?? "", operation.expiryMs, bytesText(value.text ?? ""));
    case "set-range": {
      const before = value.text ?? "";
      const part = text(operation.value);
      if (part === "") return refuse("unchanged", before.length);
      if (operation.offset + part.length > operation.maxBytes) return refuse("too-large");
      const head = before.slice(0, operation.offset).padEnd(operation.offset, "\0");
      const next = head + part + before.slice(operation.offset + part.length);
      return put(next, value.expiryMs, next.length);
    }
    case "add-float": {
      const before = value.text ?? "0";
      if (!/^[+-]?\d+$/.test(before)) return refuse("not-float");
      const sum = String(BigInt(before.replace("+", "")) + wholeDelta(operation.delta));
      return put(sum, value.expiryMs, sum);
    }
    case "steps":
      return modelSteps(operation, value, wallMs);
  }
}

/** A value whose deadline has passed by this clock is absent, and burying it takes one version. */
export function modelAt(value: ModelValue, wallMs: number): ModelValue {
  if (value.text === null || value.expiryMs === 0 || value.expiryMs > wallMs) return value;
  return { text: null, version: value.version + 1, expiryMs: 0 };
}
