/**
 * Messages as bytes: one byte of type, the key, then the fields in the order of src/paxos/message.ts. It knows shapes
 * and ranges, not what a message means: decoding answers with a message in which every field is within its range and
 * every entry stands at the index the message says, or with null; it never throws. Encoding allocates nothing.
 */
import { assert, unreachable } from "../base/assert.js";
import type { ByteReader, ByteWriter } from "../base/cursor.js";
import { type Key, NODE_SPACE, rawKey } from "../base/key.js";
import { isBallot } from "../paxos/ballot.js";
import type {
  AcceptedMessage,
  AcceptMessage,
  BehindMessage,
  ForwardMessage,
  ForwardReplyMessage,
  Message,
  PrepareMessage,
  PromiseMessage,
  StateReplyMessage,
  SubmitMessage,
  SubmitRefusedMessage,
} from "../paxos/message.js";
import {
  readBallot,
  readBallotFrom,
  readChoice,
  readEntry,
  readEntryAt,
  readFlag,
  readIndex,
  readOptionalEntryAt,
  readReplica,
  readRequestId,
  writeBallot,
  writeChoice,
  writeEntry,
  writeFlag,
  writeOptionalEntry,
  writeRequestId,
} from "./fields.js";
import { readOperation, readOutcome, writeOperation, writeOutcome } from "./operation.js";

/** Part of the wire format: members are appended, never moved. */
const TYPES = [
  "prepare",
  "promise",
  "accept",
  "accepted",
  "behind",
  "learn",
  "chosen",
  "submit",
  "submit-refused",
  "forward",
  "forward-reply",
  "state-query",
  "state-reply",
  "fetch",
] as const satisfies readonly Message["type"][];
const PHASES = ["prepare", "accept", "submit"] as const satisfies readonly BehindMessage["phase"][];

/** Type, key length, one byte of key and an index: no message is shorter. */
export const LEAST_MESSAGE_BYTES = 4;

export function encodeMessage(out: ByteWriter, message: Message): void {
  assert(
    message.key.length > 0 && !message.key.startsWith(NODE_SPACE),
    "only keys of clients are anybody else's concern",
  );
  writeChoice(out, TYPES, message.type);
  out.latin1(message.key);
  switch (message.type) {
    case "prepare":
      encodePrepare(out, message);
      return;
    case "promise":
      encodePromise(out, message);
      return;
    case "accept":
      encodeAccept(out, message);
      return;
    case "accepted":
      encodeAccepted(out, message);
      return;
    case "behind":
      encodeBehind(out, message);
      return;
    case "learn":
      writeEntry(out, message.entry);
      return;
    case "chosen":
      out.varint(message.index);
      writeBallot(out, message.ballot);
      return;
    case "submit":
      encodeSubmit(out, message);
      return;
    case "submit-refused":
      encodeSubmitRefused(out, message);
      return;
    case "forward":
      encodeForward(out, message);
      return;
    case "forward-reply":
      encodeForwardReply(out, message);
      return;
    case "state-query":
      out.varint(message.query);
      out.varint(message.knownIndex);
      return;
    case "state-reply":
      encodeStateReply(out, message);
      return;
    case "fetch":
      out.varint(message.index);
      writeFlag(out, message.settle);
      return;
    default:
      unreachable(message);
  }
}

/**
 * The next message of `reader` in a group of `replicas`, or null when what stands there is none; then the reader failed
 * and the rest of the frame cannot be read either.
 */
export function decodeMessage(reader: ByteReader, replicas: number): Message | null {
  const type = readChoice(reader, TYPES);
  const text = reader.latin1();
  // A peer has no say in what a node remembers about itself.
  if (text.length === 0 || text.startsWith(NODE_SPACE)) reader.failed = true;
  if (reader.failed) return null;
  const message = decodeFields(reader, replicas, type, rawKey(text));
  return reader.failed ? null : message;
}

function decodeFields(reader: ByteReader, replicas: number, type: Message["type"], key: Key): Message {
  switch (type) {
    case "prepare":
      return decodePrepare(reader, replicas, key);
    case "promise":
      return decodePromise(reader, replicas, key);
    case "accept":
      return decodeAccept(reader, replicas, key);
    case "accepted":
      return decodeAccepted(reader, replicas, key);
    case "behind":
      return decodeBehind(reader, replicas, key);
    case "learn":
      return { type, key, entry: readEntry(reader, replicas) };
    case "chosen": {
      const index = readIndex(reader);
      return { type, key, index, ballot: readBallotFrom(reader, replicas, 0) };
    }
    case "submit":
      return decodeSubmit(reader, replicas, key);
    case "submit-refused":
      return decodeSubmitRefused(reader, replicas, key);
    case "forward":
      return decodeForward(reader, replicas, key);
    case "forward-reply":
      return decodeForwardReply(reader, replicas, key);
    case "state-query": {
      const query = reader.varint();
      return { type, key, query, knownIndex: reader.varint() };
    }
    case "state-reply":
      return decodeStateReply(reader, replicas, key);
    case "fetch": {
      const index = readIndex(reader);
      return { type, key, index, settle: readFlag(reader) };
    }
    default:
      return unreachable(type);
  }
}

function encodePrepare(out: ByteWriter, message: PrepareMessage): void {
  out.varint(message.index);
  writeBallot(out, message.ballot);
  writeBallot(out, message.mark);
  writeOptionalEntry(out, message.base);
}

function decodePrepare(reader: ByteReader, replicas: number, key: Key): PrepareMessage {
  const index = readIndex(reader);
  const ballot = readBallotFrom(reader, replicas, 1);
  const mark = readBallot(reader, replicas);
  const base = readOptionalEntryAt(reader, replicas, index - 1);
  return { type: "prepare", key, index, ballot, mark, base };
}

function encodePromise(out: ByteWriter, message: PromiseMessage): void {
  out.varint(message.index);
  writeBallot(out, message.ballot);
  writeFlag(out, message.granted);
  writeBallot(out, message.promised);
  writeBallot(out, message.accepted);
  writeOptionalEntry(out, message.entry);
  out.varint(message.chosenIndex);
}

function decodePromise(reader: ByteReader, replicas: number, key: Key): PromiseMessage {
  const index = readIndex(reader);
  const ballot = readBallotFrom(reader, replicas, 1);
  const granted = readFlag(reader);
  const promised = readBallot(reader, replicas);
  const accepted = readBallot(reader, replicas);
  const entry = readOptionalEntryAt(reader, replicas, index);
  const chosenIndex = reader.varint();
  // P11 takes the entry of the highest accepted ballot: a grant that names the ballot and withholds the entry is none.
  if (granted && isBallot(accepted) !== (entry !== null)) reader.failed = true;
  return { type: "promise", key, index, ballot, granted, promised, accepted, entry, chosenIndex };
}

function encodeAccept(out: ByteWriter, message: AcceptMessage): void {
  out.varint(message.index);
  writeBallot(out, message.ballot);
  writeEntry(out, message.entry);
  out.u8(message.proposer);
  writeBallot(out, message.mark);
  writeOptionalEntry(out, message.base);
}

function decodeAccept(reader: ByteReader, replicas: number, key: Key): AcceptMessage {
  const index = readIndex(reader);
  const ballot = readBallotFrom(reader, replicas, 0);
  const entry = readEntryAt(reader, replicas, index);
  const proposer = readReplica(reader, replicas);
  const mark = readBallot(reader, replicas);
  const base = readOptionalEntryAt(reader, replicas, index - 1);
  return { type: "accept", key, index, ballot, entry, proposer, mark, base };
}

function encodeAccepted(out: ByteWriter, message: AcceptedMessage): void {
  out.varint(message.index);
  writeBallot(out, message.ballot);
  out.u53(message.entryHash);
  writeFlag(out, message.granted);
  writeBallot(out, message.promised);
  writeBallot(out, message.accepted);
  out.varint(message.chosenIndex);
}

function decodeAccepted(reader: ByteReader, replicas: number, key: Key): AcceptedMessage {
  const index = readIndex(reader);
  const ballot = readBallotFrom(reader, replicas, 0);
  const entryHash = reader.u53();
  const granted = readFlag(reader);
  const promised = readBallot(reader, replicas);
  const accepted = readBallot(reader, replicas);
  const chosenIndex = reader.varint();
  return { type: "accepted", key, index, ballot, entryHash, granted, promised, accepted, chosenIndex };
}

function encodeBehind(out: ByteWriter, message: BehindMessage): void {
  out.varint(message.index);
  writeBallot(out, message.ballot);
  writeChoice(out, PHASES, message.phase);
  out.varint(message.chosenIndex);
  out.varint(message.sequence);
}

function decodeBehind(reader: ByteReader, replicas: number, key: Key): BehindMessage {
  const index = readIndex(reader);
  const ballot = readBallot(reader, replicas);
  const phase = readChoice(reader, PHASES);
  const chosenIndex = reader.varint();
  const sequence = reader.varint();
  return { type: "behind", key, index, ballot, phase, chosenIndex, sequence };
}

function encodeSubmit(out: ByteWriter, message: SubmitMessage): void {
  out.varint(message.index);
  writeEntry(out, message.entry);
  writeBallot(out, message.mark);
  writeOptionalEntry(out, message.base);
  out.varint(message.incarnation);
  out.varint(message.targetIncarnation);
  out.varint(message.sequence);
}

function decodeSubmit(reader: ByteReader, replicas: number, key: Key): SubmitMessage {
  const index = readIndex(reader);
  const entry = readEntryAt(reader, replicas, index);
  const mark = readBallot(reader, replicas);
  const base = readOptionalEntryAt(reader, replicas, index - 1);
  const incarnation = reader.varint();
  const targetIncarnation = reader.varint();
  const sequence = reader.varint();
  return { type: "submit", key, index, entry, mark, base, incarnation, targetIncarnation, sequence };
}

function encodeSubmitRefused(out: ByteWriter, message: SubmitRefusedMessage): void {
  out.varint(message.index);
  out.varint(message.sequence);
  writeBallot(out, message.promised);
  out.varint(message.chosenIndex);
  writeOptionalEntry(out, message.entry);
}

function decodeSubmitRefused(reader: ByteReader, replicas: number, key: Key): SubmitRefusedMessage {
  const index = readIndex(reader);
  const sequence = reader.varint();
  const promised = readBallot(reader, replicas);
  const chosenIndex = reader.varint();
  const entry = readOptionalEntryAt(reader, replicas, chosenIndex);
  return { type: "submit-refused", key, index, sequence, promised, chosenIndex, entry };
}

function encodeForward(out: ByteWriter, message: ForwardMessage): void {
  writeRequestId(out, message.request);
  writeOperation(out, message.operation);
  out.varint(message.since);
  out.varint(message.remainingTicks);
  out.varint(message.targetIncarnation);
  out.varint(message.sequence);
}

function decodeForward(reader: ByteReader, replicas: number, key: Key): ForwardMessage {
  const request = readRequestId(reader, replicas);
  const operation = readOperation(reader);
  const since = reader.varint();
  const remainingTicks = reader.varint();
  const targetIncarnation = reader.varint();
  const sequence = reader.varint();
  return { type: "forward", key, request, operation, since, remainingTicks, targetIncarnation, sequence };
}

function encodeForwardReply(out: ByteWriter, message: ForwardReplyMessage): void {
  writeRequestId(out, message.request);
  writeOutcome(out, message.outcome);
  out.varint(message.index);
  out.varint(message.sequence);
}

function decodeForwardReply(reader: ByteReader, replicas: number, key: Key): ForwardReplyMessage {
  const request = readRequestId(reader, replicas);
  const outcome = readOutcome(reader);
  const index = reader.varint();
  return { type: "forward-reply", key, request, outcome, index, sequence: reader.varint() };
}

function encodeStateReply(out: ByteWriter, message: StateReplyMessage): void {
  out.varint(message.query);
  writeFlag(out, message.votes);
  out.varint(message.chosenIndex);
  writeBallot(out, message.chosenBallot);
  out.u8(message.leader);
  writeBallot(out, message.accepted);
  out.u8(message.proposer);
  writeOptionalEntry(out, message.entry);
}

function decodeStateReply(reader: ByteReader, replicas: number, key: Key): StateReplyMessage {
  const query = reader.varint();
  const votes = readFlag(reader);
  const chosenIndex = reader.varint();
  const chosenBallot = readBallot(reader, replicas);
  const leader = readReplica(reader, replicas);
  const accepted = readBallot(reader, replicas);
  const proposer = readReplica(reader, replicas);
  const entry = readOptionalEntryAt(reader, replicas, chosenIndex);
  return { type: "state-reply", key, query, votes, chosenIndex, chosenBallot, leader, accepted, proposer, entry };
}
