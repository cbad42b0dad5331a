/**
 * An entry: what is decided at an index. Always a full value or a tombstone, never a delta (P7). It is encoded once, by
 * its proposer; from then on disks and networks carry the same bytes, and its hash is the hash of those bytes. The list
 * of requests (P14) is decoded only where a proposer or a learner needs it.
 */
import { assert } from "../base/assert.js";
import { ByteReader, ByteWriter } from "../base/cursor.js";
import { hashBytes } from "../base/hash.js";
import type { ReplicaId } from "./ballot.js";
import { FAIL_REASONS, type FailReason, type RequestId, type Result } from "./operation.js";

/** A request applied (or refused by its condition) at `index`, with its small result (P14). */
export interface AppliedRequest {
  readonly id: RequestId;
  readonly index: number;
  /** Why its condition did not hold, so that it changed nothing; null when it was applied. */
  readonly refusal: FailReason | null;
  /** "large": the result was too large to be kept; only the proposer could tell it. */
  readonly result: Result | "large";
  /** Version of the key after the request. */
  readonly version: number;
}

export interface Entry {
  readonly index: number;
  /** True: deleted; then value is empty. Index 0 (never written) counts as a tombstone too. */
  readonly tombstone: boolean;
  /** Grows by one with every applied request that changed the key; a no-op keeps it, a tombstone carries it on. */
  readonly version: number;
  /** Wall-clock deadline in ms, 0 = none. */
  readonly expiryMs: number;
  /** Leader of index + 1. */
  readonly leader: ReplicaId;
  /** Lowest index for which the list of requests is complete. */
  readonly coveredFrom: number;
  readonly value: Uint8Array;
  /** The canonical encoding, all of the above and the list of requests. */
  readonly bytes: Uint8Array;
  /** hashBytes(bytes). */
  readonly hash: number;
}

const FORMAT = 1;
const FLAG_TOMBSTONE = 1;
const RESULT_NULL = 0;
const RESULT_NUMBER = 1;
const RESULT_TEXT = 2;
const RESULT_LARGE = 3;
const FLAG_REFUSED = 4;
const RESULT_BITS = 3;
const FLAG_SAME_CLIENT = 8;
const ALL_REQUEST_BITS = 15;
/** A difference of counters is doubled for its sign, and must still be an integer below 2^53. */
const MAX_DELTA = 2 ** 52;
const MAX_TEXT_RESULT = 32;

const EMPTY = new Uint8Array(0);
const scratch = new ByteWriter(4096);

/** Index 0: never written. The leader of index 1 is not in it: it is a function of key and group. */
export const GENESIS: Entry = {
  index: 0,
  tombstone: true,
  version: 0,
  expiryMs: 0,
  leader: 0,
  coveredFrom: 1,
  value: EMPTY,
  bytes: EMPTY,
  hash: 0,
};

export interface EntryFields {
  readonly index: number;
  readonly tombstone: boolean;
  readonly version: number;
  readonly expiryMs: number;
  readonly leader: ReplicaId;
  readonly coveredFrom: number;
  readonly value: Uint8Array;
}

/** Encodes an entry. `requests` newest index first. */
export function makeEntry(fields: EntryFields, requests: readonly AppliedRequest[]): Entry {
  assert(fields.index >= 1, "an entry has an index from 1");
  assert(!fields.tombstone || fields.value.length === 0, "P24: a tombstone has no value");
  const out = scratch;
  out.reset();
  out.u8(FORMAT);
  out.u8(fields.tombstone ? FLAG_TOMBSTONE : 0);
  out.u8(fields.leader);
  out.varint(fields.index);
  out.varint(fields.version);
  out.varint(fields.expiryMs);
  out.varint(fields.coveredFrom);
  out.varint(requests.length);
  let previous: AppliedRequest | null = null;
  for (const request of requests) {
    writeRequest(out, request, fields.index, previous);
    previous = request;
  }
  out.bytes(fields.value);
  const bytes = out.copy();
  return {
    ...fields,
    value: bytes.subarray(bytes.length - fields.value.length),
    bytes,
    hash: hashBytes(bytes),
  };
}

/** Encoded size of the request list's items, for the bound of P14. */
export function requestBytes(request: AppliedRequest, index: number, previous: AppliedRequest | null): number {
  scratch.reset();
  writeRequest(scratch, request, index, previous);
  return scratch.length;
}

function writeRequest(out: ByteWriter, request: AppliedRequest, index: number, previous: AppliedRequest | null): void {
  const { id } = request;
  const same =
    previous !== null &&
    previous.id.replica === id.replica &&
    previous.id.incarnation === id.incarnation &&
    Math.abs(id.counter - previous.id.counter) < MAX_DELTA;
  let shape = RESULT_NULL;
  if (request.result === "large" || request.result instanceof Uint8Array) shape = RESULT_LARGE;
  else if (typeof request.result === "number") shape = RESULT_NUMBER;
  else if (typeof request.result === "string")
    shape = request.result.length > MAX_TEXT_RESULT ? RESULT_LARGE : RESULT_TEXT;
  out.u8(shape | (request.refusal === null ? 0 : FLAG_REFUSED) | (same ? FLAG_SAME_CLIENT : 0));
  if (request.refusal !== null) out.u8(FAIL_REASONS.indexOf(request.refusal));
  if (!same) {
    out.u8(id.replica);
    out.varint(id.incarnation);
    out.varint(id.counter);
  } else {
    const delta = id.counter - previous.id.counter;
    out.varint(delta >= 0 ? delta * 2 : -delta * 2 - 1);
  }
  out.varint(index - request.index);
  out.varint(request.version);
  if (shape === RESULT_NUMBER) out.varint(Number(request.result));
  else if (shape === RESULT_TEXT) out.latin1(String(request.result));
}

/**
 * Decodes what `bytes` says; null when it is not an entry. The entry shares memory with `bytes`: the caller gives
 * bytes that nobody will overwrite. The list of requests is walked (validated), not built.
 */
export function decodeEntry(bytes: Uint8Array): Entry | null {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  const flags = reader.u8();
  const leader = reader.u8();
  const index = reader.varint();
  const version = reader.varint();
  const expiryMs = reader.varint();
  const coveredFrom = reader.varint();
  const count = reader.varint();
  if (reader.failed || format !== FORMAT || flags > FLAG_TOMBSTONE || index < 1 || count > bytes.length) return null;
  if (coveredFrom < 1 || coveredFrom > index) return null;
  walkRequests(reader, count, index);
  const value = reader.bytes(reader.remaining);
  const tombstone = flags === FLAG_TOMBSTONE;
  if (reader.failed || (tombstone && value.length > 0)) return null;
  return { index, tombstone, version, expiryMs, leader, coveredFrom, value, bytes, hash: hashBytes(bytes) };
}

/**
 * Walks the list of requests and fails the reader when it could not be built and carried on: a peer's bytes must not be
 * able to break an assertion later. Newest index first, none above the entry's own.
 */
function walkRequests(reader: ByteReader, count: number, index: number): void {
  let counter = 0;
  let newestAge = 0;
  for (let i = 0; i < count && !reader.failed; i++) {
    const shape = reader.u8();
    const refused = (shape & FLAG_REFUSED) !== 0;
    const same = (shape & FLAG_SAME_CLIENT) !== 0;
    let valid = shape <= ALL_REQUEST_BITS && !(same && i === 0);
    if (refused && reader.u8() >= FAIL_REASONS.length) valid = false;
    if (same) counter += unzigzag(reader.varint());
    else {
      reader.u8();
      reader.varint();
      counter = reader.varint();
    }
    const age = reader.varint();
    valid &&= counter >= 0 && counter <= Number.MAX_SAFE_INTEGER && age >= newestAge && age < index;
    newestAge = age;
    reader.varint();
    if ((shape & RESULT_BITS) === RESULT_NUMBER) reader.varint();
    else if ((shape & RESULT_BITS) === RESULT_TEXT) valid &&= reader.blob().length <= MAX_TEXT_RESULT;
    if (!valid) reader.failed = true;
  }
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** The list of requests of a valid entry, newest index first. */
export function requestsOf(entry: Entry): AppliedRequest[] {
  const list: AppliedRequest[] = [];
  if (entry.index === 0) return list;
  const reader = new ByteReader(entry.bytes);
  reader.bytes(3);
  reader.varint();
  reader.varint();
  reader.varint();
  reader.varint();
  const count = reader.varint();
  let replica = 0;
  let incarnation = 0;
  let counter = 0;
  for (let i = 0; i < count; i++) {
    const shape = reader.u8();
    const refusal = (shape & FLAG_REFUSED) === 0 ? null : (FAIL_REASONS[reader.u8()] ?? null);
    if ((shape & FLAG_SAME_CLIENT) !== 0) {
      counter += unzigzag(reader.varint());
    } else {
      replica = reader.u8();
      incarnation = reader.varint();
      counter = reader.varint();
    }
    const index = entry.index - reader.varint();
    const version = reader.varint();
    let result: Result | "large" = null;
    if ((shape & RESULT_BITS) === RESULT_NUMBER) result = reader.varint();
    else if ((shape & RESULT_BITS) === RESULT_TEXT) result = reader.latin1();
    else if ((shape & RESULT_BITS) === RESULT_LARGE) result = "large";
    list.push({ id: { replica, incarnation, counter }, index, refusal, result, version });
  }
  return list;
}
