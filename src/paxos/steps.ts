/**
 * What the steps of one operation answered, as the bytes that are the operation's result: written where it is evaluated,
 * read where the client is answered. What it must not know: which command a step came from.
 */
import { ByteReader, ByteWriter } from "../base/cursor.js";
import type { Evaluation, LiveValue } from "./evaluate.js";
import { FAIL_REASONS, type FailReason, type Result, resultBytes } from "./operation.js";

/** One step's answer. A read shows the value as it was between the steps. */
export type StepAnswer =
  | { readonly kind: "read"; readonly live: LiveValue }
  | { readonly kind: "write"; readonly refusal: FailReason | null; readonly result: Result; readonly version: number };

const READ = 0;
const WRITE = 1;
const REFUSED = 2;
const RESULT_NULL = 0;
const RESULT_NUMBER = 1;
const RESULT_TEXT = 2;
const RESULT_BYTES = 3;

export class StepAnswers {
  readonly #out = new ByteWriter(256);

  get bytes(): number {
    return this.#out.length;
  }

  addRead(live: LiveValue): void {
    const out = this.#out;
    out.u8(READ);
    out.u8(live.exists ? 1 : 0);
    out.varint(live.version);
    out.varint(live.expiryMs);
    out.blob(live.value);
  }

  addWrite(evaluation: Evaluation, version: number): void {
    const out = this.#out;
    out.u8(evaluation.applied ? WRITE : REFUSED);
    if (!evaluation.applied) out.u8(FAIL_REASONS.indexOf(evaluation.reason));
    out.varint(version);
    const { result } = evaluation;
    if (result === null) {
      out.u8(RESULT_NULL);
    } else if (typeof result === "number") {
      out.u8(RESULT_NUMBER);
      out.varint(result);
    } else if (typeof result === "string") {
      out.u8(RESULT_TEXT);
      out.latin1(result);
    } else {
      out.u8(RESULT_BYTES);
      out.blob(result);
    }
  }

  encode(): Uint8Array {
    return this.#out.copy();
  }
}

/** Null: these are not the answers of `count` steps. They come from a peer perhaps, so nothing is asserted. */
export function readStepAnswers(result: Result, count: number): StepAnswer[] | null {
  const bytes = resultBytes(result);
  if (bytes === null) return null;
  const reader = new ByteReader(bytes);
  const answers: StepAnswer[] = [];
  while (answers.length < count && !reader.failed) answers.push(readAnswer(reader));
  return reader.failed || reader.remaining > 0 ? null : answers;
}

function readAnswer(reader: ByteReader): StepAnswer {
  const kind = reader.u8();
  if (kind === READ) {
    const exists = reader.u8() === 1;
    const version = reader.varint();
    const expiryMs = reader.varint();
    return { kind: "read", live: { exists, version, expiryMs, value: reader.blob() } };
  }
  const refusal = kind === REFUSED ? FAIL_REASONS[reader.u8()] : null;
  const version = reader.varint();
  if (kind > REFUSED || refusal === undefined) reader.failed = true;
  return { kind: "write", refusal: refusal ?? null, version, result: readResult(reader) };
}

function readResult(reader: ByteReader): Result {
  switch (reader.u8()) {
    case RESULT_NULL:
      return null;
    case RESULT_NUMBER:
      return reader.varint();
    case RESULT_TEXT:
      return reader.latin1();
    case RESULT_BYTES:
      return reader.blob();
    default:
      reader.failed = true;
      return null;
  }
}
