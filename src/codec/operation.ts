/**
 * Operations and outcomes as they travel inside Forward and its reply (P16). The lists of codes below are part of the
 * wire format: members are appended, never moved.
 */
import { unreachable } from "../base/assert.js";
import type { ByteReader, ByteWriter } from "../base/cursor.js";
import {
  type Condition,
  FAIL_REASONS,
  KEEP_EXPIRY,
  NO_EXPIRY,
  type Operation,
  type RefuseCode,
  type Result,
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
] as const satisfies readonly Operation["kind"][];
const CONDITIONS = ["none", "absent", "present", "version"] as const satisfies readonly Condition["kind"][];
const STATUSES = ["ok", "failed", "not-applied", "unknown"] as const satisfies readonly WriteOutcome["status"][];
const RESULTS = ["null", "number", "string", "bytes"] as const;
const REFUSE_CODES = [
  "NOQUORUM",
  "BUSY",
  "DISKFULL",
  "CORRUPT",
  "LOADING",
  "FAILED",
] as const satisfies readonly RefuseCode[];

/** Enough for a sign and the 19 digits of a signed 64-bit integer. */
const DELTA = /^-?(0|[1-9][0-9]{0,18})$/;
const LARGEST = "9223372036854775807";
const SMALLEST = "9223372036854775808";

export function writeOperation(out: ByteWriter, operation: Operation): void {
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
    case "append":
      out.varint(operation.maxBytes);
      out.blob(operation.value);
      return;
    case "expire":
      // A client may name a deadline before 1970: it has passed, which is an order to delete.
      writeFlag(out, operation.expiryMs < 0);
      out.varint(Math.abs(operation.expiryMs));
      return;
    case "delete":
    case "persist":
    case "expire-due":
      return;
    default:
      unreachable(operation);
  }
}

export function readOperation(reader: ByteReader): Operation {
  const kind = readChoice(reader, KINDS);
  switch (kind) {
    case "set":
      return readSet(reader);
    case "add": {
      const delta = readText(reader);
      if (!isSigned64(delta)) reader.failed = true;
      return { kind, delta };
    }
    case "append": {
      const maxBytes = reader.varint();
      return { kind, value: readOwnBytes(reader), maxBytes };
    }
    case "expire": {
      const negative = readFlag(reader);
      const magnitude = reader.varint();
      if (negative && magnitude === 0) reader.failed = true;
      return { kind, expiryMs: negative ? -magnitude : magnitude };
    }
    case "delete":
    case "persist":
    case "expire-due":
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
}

function readCondition(reader: ByteReader): Condition {
  const kind = readChoice(reader, CONDITIONS);
  return kind === "version" ? { kind, version: reader.varint() } : { kind };
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
