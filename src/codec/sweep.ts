/**
 * What replicas ask each other about many keys at once (P26, P28, P31): digests of buckets, and what is held of the keys of
 * some buckets. No values; what is missing is fetched by ordinary messages. A question names the loss of the asker under
 * which it is asked, and an answer repeats it: an answer of before a loss says nothing after it.
 */
import { assert, unreachable } from "../base/assert.js";
import type { ByteReader, ByteWriter } from "../base/cursor.js";
import { type Key, NODE_SPACE, rawKey } from "../base/key.js";
import { readChoice, readFlag, writeChoice, writeFlag } from "./fields.js";

/** The digests of `count` buckets from `first` on. */
export interface DigestsQuery {
  readonly type: "digests-query";
  readonly loss: number;
  readonly first: number;
  readonly count: number;
}

export interface DigestsReply {
  readonly type: "digests";
  readonly loss: number;
  readonly first: number;
  /** Eight bytes a bucket. */
  readonly digests: Uint8Array;
  /** Keys that the sender holds in all. */
  readonly keys: number;
  /** P31: the sender's own loss is open: what differs there is its own affair, as it asks everybody for every key. */
  readonly open: boolean;
}

/** What is held of the keys of buckets `first` to `end` - 1, from place `after` on; answered page by page. */
export interface ListQuery {
  readonly type: "list-query";
  readonly loss: number;
  /** The asker's name for the question, repeated in every page. */
  readonly query: number;
  readonly first: number;
  readonly end: number;
  /** 0n at first, then what the last page said. */
  readonly after: bigint;
}

/** What a replica holds of one key. */
export interface KeyState {
  readonly key: Key;
  /** Highest position at which anything is held: chosen, accepted or promised. */
  readonly top: number;
  /** The newest position known as chosen there, and the hash of its entry; 0 = none. */
  readonly chosenIndex: number;
  readonly chosenHash: number;
  /** Hash of an entry accepted at `top`, of which it is not known whether it was chosen; 0 = none. */
  readonly acceptedHash: number;
  /**
   * P31: it votes at the position above the chosen one. A learner does not, nor does one that was restored for later positions
   * only: what it lost there may have been chosen, and is not here again yet.
   */
  readonly votes: boolean;
}

export interface ListReply {
  readonly type: "list";
  readonly loss: number;
  readonly query: number;
  readonly keys: readonly KeyState[];
  /** P31: the sender's own loss is open: of keys that are not listed it does not know whether it voted. */
  readonly open: boolean;
  /** P26: clients of the sender wait; the asker slows down. */
  readonly busy: boolean;
  /** Where the next page begins; 0n = this was the last one. */
  readonly next: bigint;
}

export type SweepMessage = DigestsQuery | DigestsReply | ListQuery | ListReply;

/** Part of the wire format: members are appended, never moved. */
const TYPES = ["digests-query", "digests", "list-query", "list"] as const satisfies readonly SweepMessage["type"][];
const MAX_BUCKETS = 65_536;
export const DIGEST_BYTES = 8;
/** A key of one byte with five numbers of one byte each. */
const LEAST_STATE_BYTES = 7;
const FLAG_VOTES = 1;
const FLAG_CHOSEN = 2;
const FLAG_ACCEPTED = 4;
const ALL_FLAGS = 7;

export function encodeSweep(out: ByteWriter, message: SweepMessage): void {
  writeChoice(out, TYPES, message.type);
  out.varint(message.loss);
  switch (message.type) {
    case "digests-query":
      out.varint(message.first);
      out.varint(message.count);
      return;
    case "digests": {
      out.varint(message.first);
      out.varint(message.keys);
      writeFlag(out, message.open);
      writeDigests(out, message.digests);
      return;
    }
    case "list-query":
      out.varint(message.query);
      out.varint(message.first);
      out.varint(message.end);
      writeU64(out, message.after);
      return;
    case "list":
      out.varint(message.query);
      writeFlag(out, message.open);
      writeFlag(out, message.busy);
      writeU64(out, message.next);
      out.varint(message.keys.length);
      for (const state of message.keys) writeState(out, state);
      return;
    default:
      unreachable(message);
  }
}

/** Null when it is none; then the reader failed. */
export function decodeSweep(reader: ByteReader): SweepMessage | null {
  const message = decodeFields(reader, readChoice(reader, TYPES));
  return reader.failed ? null : message;
}

function decodeFields(reader: ByteReader, type: SweepMessage["type"]): SweepMessage {
  const loss = reader.varint();
  switch (type) {
    case "digests-query": {
      const first = reader.varint();
      const count = reader.varint();
      if (count < 1 || first + count > MAX_BUCKETS) reader.failed = true;
      return { type, loss, first, count };
    }
    case "digests": {
      const first = reader.varint();
      const keys = reader.varint();
      const open = readFlag(reader);
      const digests = readDigests(reader);
      if (first + digests.length / DIGEST_BYTES > MAX_BUCKETS) reader.failed = true;
      return { type, loss, first, digests, keys, open };
    }
    case "list-query": {
      const query = reader.varint();
      const first = reader.varint();
      const end = reader.varint();
      if (first >= end || end > MAX_BUCKETS) reader.failed = true;
      return { type, loss, query, first, end, after: readU64(reader) };
    }
    case "list": {
      const query = reader.varint();
      const open = readFlag(reader);
      const busy = readFlag(reader);
      const next = readU64(reader);
      return { type, loss, query, open, busy, next, keys: readStates(reader) };
    }
    default:
      return unreachable(type);
  }
}

/** Runs of empty buckets as their length: most are empty in a small store. */
function writeDigests(out: ByteWriter, digests: Uint8Array): void {
  const count = digests.length / DIGEST_BYTES;
  // Halves of digests, to be compared with 0 at once; a copy where they do not lie at a multiple of four.
  const aligned = digests.byteOffset % 4 === 0 ? digests : digests.slice();
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, count * 2);
  out.varint(count);
  for (let bucket = 0; bucket < count; ) {
    const filled = skip(words, bucket, count, true);
    const end = skip(words, filled, count, false);
    out.varint(filled - bucket);
    out.varint(end - filled);
    out.bytes(digests.subarray(filled * DIGEST_BYTES, end * DIGEST_BYTES));
    bucket = end;
  }
}

function skip(words: Uint32Array, from: number, count: number, empty: boolean): number {
  let bucket = from;
  while (bucket < count && (words[bucket * 2] === 0 && words[bucket * 2 + 1] === 0) === empty) bucket++;
  return bucket;
}

function readDigests(reader: ByteReader): Uint8Array {
  const count = reader.varint();
  if (count > MAX_BUCKETS) reader.failed = true;
  const digests = new Uint8Array(reader.failed ? 0 : count * DIGEST_BYTES);
  for (let bucket = 0; bucket < count && !reader.failed; ) {
    const filled = bucket + reader.varint();
    const bytes = reader.varint() * DIGEST_BYTES;
    if (filled * DIGEST_BYTES + bytes > digests.length || bytes > reader.remaining) reader.failed = true;
    if (reader.failed || filled + bytes === bucket) break;
    digests.set(reader.bytes(bytes), filled * DIGEST_BYTES);
    bucket = filled + bytes / DIGEST_BYTES;
  }
  return digests;
}

function writeU64(out: ByteWriter, value: bigint): void {
  out.u32(Number(value & 0xffff_ffffn));
  out.u32(Number(value >> 32n));
}

function readU64(reader: ByteReader): bigint {
  const low = BigInt(reader.u32());
  return (BigInt(reader.u32()) << 32n) | low;
}

function writeState(out: ByteWriter, state: KeyState): void {
  const { key, top, chosenIndex, chosenHash, acceptedHash, votes } = state;
  assert(key.length > 0 && !key.startsWith(NODE_SPACE), "only keys of clients are anybody else's concern");
  assert(top >= chosenIndex && top - chosenIndex <= 1, "P4: at most one position is undecided");
  out.latin1(key);
  const flags =
    (votes ? FLAG_VOTES : 0) | (top === chosenIndex ? FLAG_CHOSEN : 0) | (acceptedHash > 0 ? FLAG_ACCEPTED : 0);
  out.u8(flags);
  out.varint(top);
  out.u53(chosenHash);
  if (acceptedHash > 0) out.u53(acceptedHash);
}

function readStates(reader: ByteReader): KeyState[] {
  const count = reader.varint();
  if (count > reader.remaining / LEAST_STATE_BYTES) reader.failed = true;
  const states: KeyState[] = [];
  for (let i = 0; i < count && !reader.failed; i++) states.push(readState(reader));
  return states;
}

function readState(reader: ByteReader): KeyState {
  const key = rawKey(reader.latin1());
  const flags = reader.u8();
  const top = reader.varint();
  const chosenHash = reader.u53();
  const isChosen = (flags & FLAG_CHOSEN) !== 0;
  const isAccepted = (flags & FLAG_ACCEPTED) !== 0;
  const acceptedHash = isAccepted ? reader.u53() : 0;
  const chosenIndex = isChosen ? top : top - 1;
  if (key.length === 0 || key.startsWith(NODE_SPACE) || flags > ALL_FLAGS || top < 1) reader.failed = true;
  if ((isChosen && isAccepted) || (isAccepted && acceptedHash === 0)) reader.failed = true;
  return { key, top, chosenIndex, chosenHash, acceptedHash, votes: (flags & FLAG_VOTES) !== 0 };
}
