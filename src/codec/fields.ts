/**
 * The parts that messages are made of: ballots, replica ids, flags, entries, bounded text. Everything read here comes
 * from a peer, so it is validated (section 8 of the protocol), never asserted: a value out of range puts the reader into
 * `failed`, and whoever drives the reader throws the whole message away. What is read owns its bytes; a frame may be
 * overwritten as soon as it was decoded.
 */
import { assert } from "../base/assert.js";
import type { ByteReader, ByteWriter } from "../base/cursor.js";
import { type Ballot, NO_BALLOT, type ReplicaId } from "../paxos/ballot.js";
import { decodeEntry, type Entry, GENESIS } from "../paxos/entry.js";
import type { RequestId } from "../paxos/operation.js";

/** Texts are explanations for people: longer ones are cut when written and refused when read. */
const MAX_TEXT = 512;
const NO_BYTES = new Uint8Array(0);

/** counter + 1, so that NO_BALLOT is one zero byte; then replica and incarnation. */
export function writeBallot(out: ByteWriter, ballot: Ballot): void {
  out.varint(ballot.counter + 1);
  if (ballot.counter < 0) return;
  out.u8(ballot.replica);
  out.varint(ballot.incarnation);
}

/** Any ballot, NO_BALLOT included. */
export function readBallot(reader: ByteReader, replicas: number): Ballot {
  const counter = reader.varint() - 1;
  if (counter < 0) return NO_BALLOT;
  const replica = readReplica(reader, replicas);
  const incarnation = reader.varint();
  return { counter, replica, incarnation };
}

/** A ballot of at least this counter: 0 admits class zero, 1 ordinary ballots only. */
export function readBallotFrom(reader: ByteReader, replicas: number, leastCounter: 0 | 1): Ballot {
  const ballot = readBallot(reader, replicas);
  if (ballot.counter < leastCounter) reader.failed = true;
  return ballot;
}

export function readReplica(reader: ByteReader, replicas: number): ReplicaId {
  const replica = reader.u8();
  if (replica >= replicas) reader.failed = true;
  return replica;
}

/** A position in a log: from 1. */
export function readIndex(reader: ByteReader): number {
  const index = reader.varint();
  if (index < 1) reader.failed = true;
  return index;
}

export function writeFlag(out: ByteWriter, flag: boolean): void {
  out.u8(flag ? 1 : 0);
}

/** 0 or 1, nothing else. */
export function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) reader.failed = true;
  return value === 1;
}

export function writeText(out: ByteWriter, text: string): void {
  out.latin1(text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text);
}

export function readText(reader: ByteReader): string {
  const text = reader.latin1();
  if (text.length > MAX_TEXT) reader.failed = true;
  return text;
}

/** The next length-prefixed bytes as an own copy. Not `slice`: on a Buffer that would share memory. */
export function readOwnBytes(reader: ByteReader): Uint8Array {
  const length = reader.varint();
  if (length === 0) return NO_BYTES;
  const view = reader.bytes(length);
  const own = new Uint8Array(view.length);
  own.set(view);
  return own;
}

/** An entry, or nothing (null, and GENESIS, which nobody needs to be told). */
export function writeOptionalEntry(out: ByteWriter, entry: Entry | null): void {
  if (entry === null) out.varint(0);
  else out.blob(entry.bytes);
}

export function writeEntry(out: ByteWriter, entry: Entry): void {
  assert(entry.index >= 1, "index 0 is never sent: nobody ever wrote it");
  out.blob(entry.bytes);
}

/** Null when there is none, and when it is not an entry (then the reader failed). */
function readOptionalEntry(reader: ByteReader, replicas: number): Entry | null {
  const bytes = readOwnBytes(reader);
  if (bytes.length === 0) return null;
  const entry = decodeEntry(bytes);
  if (entry === null || entry.leader >= replicas) {
    reader.failed = true;
    return null;
  }
  return entry;
}

export function readEntry(reader: ByteReader, replicas: number): Entry {
  const entry = readOptionalEntry(reader, replicas);
  if (entry !== null) return entry;
  reader.failed = true;
  return GENESIS;
}

/** An entry of exactly this index, or none. */
export function readOptionalEntryAt(reader: ByteReader, replicas: number, index: number): Entry | null {
  const entry = readOptionalEntry(reader, replicas);
  if (entry !== null && entry.index !== index) reader.failed = true;
  return entry;
}

export function readEntryAt(reader: ByteReader, replicas: number, index: number): Entry {
  const entry = readEntry(reader, replicas);
  if (entry.index !== index) reader.failed = true;
  return entry;
}

export function writeRequestId(out: ByteWriter, id: RequestId): void {
  out.u8(id.replica);
  out.varint(id.incarnation);
  out.varint(id.counter);
}

export function readRequestId(reader: ByteReader, replicas: number): RequestId {
  const replica = readReplica(reader, replicas);
  const incarnation = reader.varint();
  const counter = reader.varint();
  return { replica, incarnation, counter };
}

/** Reads a byte as a place in a closed list; the first member stands in for a byte out of range. */
export function readChoice<T extends string>(reader: ByteReader, choices: readonly [T, ...T[]]): T {
  const choice = choices[reader.u8()];
  if (choice !== undefined) return choice;
  reader.failed = true;
  return choices[0];
}

export function writeChoice<T extends string>(out: ByteWriter, choices: readonly [T, ...T[]], choice: T): void {
  const place = choices.indexOf(choice);
  assert(place >= 0, "a member of the closed list");
  out.u8(place);
}
