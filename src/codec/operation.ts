/**
 * Operations and outcomes as they travel inside Forward and its reply (P16). The lists of codes below are part of the
 * wire format: members are appended, never moved.
 */
import { assert, unreachable } from "../base/assert.js";
import type { ByteReader, ByteWriter } from "../base/cursor.js";
import {
  type Condition,
  EXPIRY_RULES,
  FAIL_REASONS,
  KEEP_EXPIRY,
  MAX_STEPS,
  NO_EXPIRY,
  type Operation,
  type RefuseCode,
  type Result,
  type Step,
  type WriteOutcome,
} from "../paxos/operation.js";
import {
  readChoice,
  readFlag,
  readIndex,
  readOwnBytes,
  readText,
  writeChoice,
  writeFlag,
  writeText,
} from "./fields.js";

const KINDS = [
  "set",
  "delete",
  "add",
  "append",
  "expire",
  "persist",
  "expire-due",
  "remove",
  "expire-if",
  "touch",
  "set-range",
  "add-float",
  "steps",
  "read",
] as const satisfies readonly (Operation | Step)["kind"][];
const CONDITIONS = [
  "none",
  "absent",
  "present",
  "version",
  "equal",
  "different",
  "digest",
  "other-digest",
] as const satisfies readonly Condition["kind"][];
const STATUSES = ["ok", "failed", "not-applied", "unknown"] as const satisfies readonly WriteOutcome["status"][];
const RESULTS = ["null", "number", "string", "bytes"] as const;
const REFUSE_CODES = [
  "NOQUORUM",
  "BUSY",
  "DISKFULL",
  "CORRUPT",
  "LOADING",
  "FAILED",
  "ELSEWHERE",
] as const satisfies readonly RefuseCode[];

/** Enough for a sign and the 19 digits of a signed 64-bit integer. */
const DELTA = /^-?(0|[1-9][0-9]{0,18})$/;
/** A 64-bit mantissa and a power of two, as base/long-double writes them; "inf" is a sum that fails. */
const FLOAT_DELTA = /^(?:-?0x[0-9a-f]{1,16}p-?[0-9]{1,5}|inf)$/;
/** No node takes values of that size; an offset or a bound beyond would ask for more memory than there is. */
const MAX_BYTES = 64 * 2 ** 20;
const DIGEST = /^[0-9a-f]{16}$/;
const LARGEST = "9223372036854775807";
const SMALLEST = "9223372036854775808";

export function writeOperation(out: ByteWriter, operation: Operation): void {
  writeAny(out, operation);
}

function writeAny(out: ByteWriter, operation: Operation | Step): void {
  writeChoice(out, KINDS, operation.kind);
  switch (operation.kind) {
    case "set":
      writeFlag(out, operation.returnOld);
      writeFlag(out, operation.expiryMs === KEEP_EXPIRY);
      out.varint(operation.expiryMs === KEEP_EXPIRY ? NO_EXPIRY : operation.expiryMs);
      writeCondition(out, operation.condition);
      out.blob(operation.value);
      return;
    case "add":
      writeText(out, operation.delta);
      return;
    case "add-float":
      out.varint(operation.maxBytes);
      writeText(out, operation.delta);
      return;
    case "set-range":
      out.varint(operation.offset);
      out.varint(operation.maxBytes);
      out.blob(operation.value);
      return;
    case "append":
      out.varint(operation.maxBytes);
      out.blob(operation.value);
      return;
    case "expire-if":
      writeChoice(out, EXPIRY_RULES, operation.rule);
      writeDeadline(out, operation.expiryMs);
      return;
    case "expire":
    case "touch":
      writeDeadline(out, operation.expiryMs);
      return;
    case "remove":
      writeFlag(out, operation.returnOld);
      writeCondition(out, operation.condition);
      return;
    case "steps":
      writeSteps(out, operation);
      return;
    case "delete":
    case "persist":
    case "expire-due":
    case "read":
      return;
    default:
      unreachable(operation);
  }
}

/** A client may name a deadline before 1970: it has passed, which is an order to delete. */
function writeDeadline(out: ByteWriter, expiryMs: number): void {
  writeFlag(out, expiryMs < 0);
  out.varint(Math.abs(expiryMs));
}

function readDeadline(reader: ByteReader): number {
  const negative = readFlag(reader);
  const magnitude = reader.varint();
  if (negative && magnitude === 0) reader.failed = true;
  return negative ? -magnitude : magnitude;
}

function readBytesBound(reader: ByteReader): number {
  const bytes = reader.varint();
  if (bytes > MAX_BYTES) reader.failed = true;
  return bytes;
}

function writeSteps(out: ByteWriter, operation: Extract<Operation, { kind: "steps" }>): void {
  assert(operation.steps.length <= MAX_STEPS, "a peer would cut the link over more steps");
  writeCondition(out, operation.condition);
  out.varint(operation.maxBytes);
  out.varint(operation.steps.length);
  for (const step of operation.steps) writeAny(out, step);
}

function readSteps(reader: ByteReader): Operation {
  const condition = readCondition(reader);
  const maxBytes = readBytesBound(reader);
  const count = reader.varint();
  if (count > MAX_STEPS) reader.failed = true;
  const steps: Step[] = [];
  while (steps.length < count && !reader.failed) {
    const step = readAny(reader, readChoice(reader, KINDS));
    if (step.kind === "steps" || step.kind === "expire-due") reader.failed = true;
    else steps.push(step);
  }
  return { kind: "steps", condition, steps, maxBytes };
}

export function readOperation(reader: ByteReader): Operation {
  const kind = readChoice(reader, KINDS);
  if (kind === "steps") return readSteps(reader);
  const operation = readAny(reader, kind);
  if (operation.kind !== "read") return operation;
  reader.failed = true; // a read is a step, never an operation of its own
  return { kind: "expire-due" };
}

function readAny(reader: ByteReader, kind: (typeof KINDS)[number]): Operation | Step {
  switch (kind) {
    case "set":
      return readSet(reader);
    case "add": {
      const delta = readText(reader);
      if (!isSigned64(delta)) reader.failed = true;
      return { kind, delta };
    }
    case "add-float": {
      const maxBytes = readBytesBound(reader);
      const delta = readText(reader);
      if (!FLOAT_DELTA.test(delta)) reader.failed = true;
      return { kind, delta, maxBytes };
    }
    case "set-range": {
      const offset = readBytesBound(reader);
      const maxBytes = readBytesBound(reader);
      return { kind, offset, value: readOwnBytes(reader), maxBytes };
    }
    case "append": {
      const maxBytes = readBytesBound(reader);
      return { kind, value: readOwnBytes(reader), maxBytes };
    }
    case "expire-if": {
      const rule = readChoice(reader, EXPIRY_RULES);
      return { kind, expiryMs: readDeadline(reader), rule };
    }
    case "expire":
    case "touch":
      return { kind, expiryMs: readDeadline(reader) };
    case "remove": {
      const returnOld = readFlag(reader);
      return { kind, condition: readCondition(reader), returnOld };
    }
    case "steps":
      reader.failed = true; // steps do not nest
      return { kind: "read" };
    case "delete":
    case "persist":
    case "expire-due":
    case "read":
      return { kind };
    default:
      return unreachable(kind);
  }
}

function readSet(reader: ByteReader): Operation {
  const returnOld = readFlag(reader);
  const keep = readFlag(reader);
  const expiryMs = reader.varint();
  if (keep && expiryMs !== NO_EXPIRY) reader.failed = true;
  const condition = readCondition(reader);
  const value = readOwnBytes(reader);
  return { kind: "set", value, expiryMs: keep ? KEEP_EXPIRY : expiryMs, condition, returnOld };
}

function writeCondition(out: ByteWriter, condition: Condition): void {
  writeChoice(out, CONDITIONS, condition.kind);
  if (condition.kind === "version") out.varint(condition.version);
  else if ("value" in condition) out.blob(condition.value);
  else if ("digest" in condition) writeText(out, condition.digest);
}

function readCondition(reader: ByteReader): Condition {
  const kind = readChoice(reader, CONDITIONS);
  switch (kind) {
    case "version":
      return { kind, version: reader.varint() };
    case "equal":
    case "different":
      return { kind, value: readOwnBytes(reader) };
    case "digest":
    case "other-digest": {
      const digest = readText(reader);
      if (!DIGEST.test(digest)) reader.failed = true;
      return { kind, digest };
    }
    case "none":
    case "absent":
    case "present":
      return { kind };
    default:
      return unreachable(kind);
  }
}

/** True for the decimal digits of an integer of 64 bits with sign. */
function isSigned64(text: string): boolean {
  if (!DELTA.test(text)) return false;
  const negative = text.startsWith("-");
  const digits = negative ? text.slice(1) : text;
  return digits.length < LARGEST.length || digits <= (negative ? SMALLEST : LARGEST);
}

export function writeOutcome(out: ByteWriter, outcome: WriteOutcome): void {
  writeChoice(out, STATUSES, outcome.status);
  switch (outcome.status) {
    case "ok":
      out.varint(outcome.index);
      out.varint(outcome.version);
      writeResult(out, outcome.result);
      return;
    case "failed":
      writeChoice(out, FAIL_REASONS, outcome.reason);
      out.varint(outcome.version);
      writeResult(out, outcome.result);
      return;
    case "not-applied":
      writeChoice(out, REFUSE_CODES, outcome.code);
      writeText(out, outcome.message);
      return;
    case "unknown":
      writeText(out, outcome.message);
      return;
    default:
      unreachable(outcome);
  }
}

export function readOutcome(reader: ByteReader): WriteOutcome {
  const status = readChoice(reader, STATUSES);
  switch (status) {
    case "ok": {
      const index = readIndex(reader);
      const version = reader.varint();
      return { status, index, version, result: readResult(reader) };
    }
    case "failed": {
      const reason = readChoice(reader, FAIL_REASONS);
      const version = reader.varint();
      return { status, reason, version, result: readResult(reader) };
    }
    case "not-applied": {
      const code = readChoice(reader, REFUSE_CODES);
      return { status, code, message: readText(reader) };
    }
    case "unknown":
      return { status, message: readText(reader) };
    default:
      return unreachable(status);
  }
}

function writeResult(out: ByteWriter, result: Result): void {
  if (result === null) {
    writeChoice(out, RESULTS, "null");
  } else if (typeof result === "number") {
    writeChoice(out, RESULTS, "number");
    out.varint(result);
  } else if (typeof result === "string") {
    writeChoice(out, RESULTS, "string");
    writeText(out, result);
  } else {
    writeChoice(out, RESULTS, "bytes");
    out.blob(result);
  }
}

function readResult(reader: ByteReader): Result {
  const shape = readChoice(reader, RESULTS);
  switch (shape) {
    case "null":
      return null;
    case "number":
      return reader.varint();
    case "string":
      return readText(reader);
    case "bytes":
      return readOwnBytes(reader);
    default:
      return unreachable(shape);
  }
}
