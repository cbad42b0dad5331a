/**
 * Records: one position of a key's PLog as the engine stores it, a header of 64 bytes that stays in memory and a value
 * (the entry's own bytes, empty for a bare promise); and the way back, from the one or two records of a key to its PLog
 * or, from the headers alone, to its answer to a state query. It knows nothing of disks: whose checksum failed is told
 * to it. The one idea: the mark "chosen" is never flushed (P13), so loading proves it anew from the record above (P4).
 *
 * Header, little-endian:
 *
 *   | bytes | what                                                                            |
 *   |-------|---------------------------------------------------------------------------------|
 *   | 0     | class, by which stats count keys: 1 live, 2 deleted, 3 nothing yet              |
 *   | 1     | flags: 1 chosen, 2 learner, 4 has an entry                                      |
 *   | 2     | format version                                                                  |
 *   | 3     | proposer of the entry                                                           |
 *   | 4     | leader of the next position, as the entry names it                              |
 *   | 5-7   | number of the loss after which the key was restored, or may be (P31), as in PLog  |
 *   | 8-23  | promised ballot: counter + 1 in 7 bytes, replica in 1, incarnation in 8          |
 *   | 24-39 | accepted ballot, likewise; of a chosen record the ballot it was chosen at, if known |
 *   | 40-47 | hash of the entry, 0 without one                                                |
 *   | 48-55 | hash of the chosen entry one position below (the base), 0 when there is none     |
 *   | 56-63 | first position that the writer votes for, 0 from the beginning (P31)             |
 *
 * What a key's records mean (p is the newest position, b the record at p - 1 if it is there):
 *
 *   | newest record                          | PLog                                                       |
 *   |----------------------------------------|------------------------------------------------------------|
 *   | none                                   | empty                                                      |
 *   | p, flagged chosen                      | chosen = p; b no longer matters                            |
 *   | p = 1, not flagged                     | chosen = genesis, undecided = p; its base hash must be 0   |
 *   | p > 1, not flagged, b fits its base hash | chosen = b, undecided = p                                |
 *   | p > 1, not flagged, b missing, bare or another entry | damaged: learner, empty (P13, P30)           |
 *   | anything broken or out of range        | damaged: learner, empty (P30)                              |
 *
 * And, whatever they mean: a key whose records are of before the last loss of the whole disk, or that has none while that
 * loss is open, is a learner (P31).
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import { type Ballot, compareBallots, isBallot, NO_BALLOT, type ReplicaId } from "../paxos/ballot.js";
import type { RecordWrite } from "../paxos/effects.js";
import { decodeEntry, type Entry, GENESIS } from "../paxos/entry.js";
import { emptyPLog, leaderOf, type PLog } from "../paxos/plog.js";

export const RECORD_HEADER_BYTES = 64;
/** P31: losses of one disk are counted up to here. */
export const MAX_LOSS = 0xff_ffff;

/** Classes of byte 0: indexes into the engine's count of keys by class. */
export const CLASS_LIVE = 1;
export const CLASS_DELETED = 2;
/** A bare promise at index 1: nobody ever had a value accepted here. */
export const CLASS_NOTHING = 3;

const FORMAT = 1;
const FLAG_CHOSEN = 1;
const FLAG_LEARNER = 2;
const FLAG_ENTRY = 4;
const ALL_FLAGS = FLAG_CHOSEN | FLAG_LEARNER | FLAG_ENTRY;

const AT_CLASS = 0;
const AT_FLAGS = 1;
const AT_FORMAT = 2;
const AT_PROPOSER = 3;
const AT_LEADER = 4;
const AT_LOSS = 5;
const AT_PROMISED = 8;
const AT_ACCEPTED = 24;
const AT_ENTRY_HASH = 40;
const AT_BASE_HASH = 48;
const AT_VOTES_FROM = 56;
/** D20: what tells one record from another when replicas compare theirs. */
export const RECORD_HASH_OFFSET = AT_ENTRY_HASH;

const TWO_32 = 0x1_0000_0000;
const NO_BYTES = new Uint8Array(0);

/** What this room needs of a record in memory. */
export interface RecordSlot {
  readonly position: number;
  readonly header: Uint8Array;
  /** Bytes that nobody will overwrite; null when they are on disk only. */
  readonly value: Uint8Array | null;
}

/** What this room needs of a loaded key: slots in rising position, only the first `slots` count. */
export interface KeyRecords {
  readonly slots: 0 | 1 | 2;
  /** A record of the key is broken. */
  readonly corrupt: boolean;
  readonly slot: readonly [RecordSlot, RecordSlot];
}

/** What the records of a key turned out to be. */
export type LoadOutcome =
  | { readonly kind: "ready"; readonly plog: PLog }
  /** P30: the key's state is not known; `plog` is that of a learner who knows nothing. For the alarm: `reason`. */
  | { readonly kind: "damaged"; readonly plog: PLog; readonly reason: string }
  /** The value at `position` must be read first, then ask again. */
  | { readonly kind: "needs-value"; readonly position: number };

/** A key's durable state, as a state query asks for it (P18). */
export interface KeyState {
  readonly chosenIndex: number;
  readonly chosenBallot: Ballot;
  /** Leader of chosenIndex + 1. */
  readonly leader: ReplicaId;
  readonly accepted: Ballot;
  readonly proposer: ReplicaId;
  /** False for a learner of the key. */
  readonly votes: boolean;
}

/** Fills `header` (RECORD_HEADER_BYTES long) with the header of a record. */
export function encodeHeader(write: RecordWrite, header: Uint8Array): void {
  const { entry } = write;
  assert(header.length === RECORD_HEADER_BYTES, "a header has its fixed size");
  assert(entry === null || entry.index === write.index, "an entry is recorded at its own index");
  assert(entry !== null || !write.chosen, "P4: what was chosen has an entry");
  assert(write.chosen || isBallot(write.accepted) === (entry !== null), "an undecided entry was accepted at a ballot");
  header.fill(0);
  header[AT_CLASS] = classOf(write);
  header[AT_FLAGS] =
    (write.chosen ? FLAG_CHOSEN : 0) | (write.learner ? FLAG_LEARNER : 0) | (entry === null ? 0 : FLAG_ENTRY);
  header[AT_FORMAT] = FORMAT;
  header[AT_PROPOSER] = write.proposer;
  header[AT_LEADER] = entry === null ? 0 : entry.leader;
  putBallot(header, AT_PROMISED, write.promised);
  putBallot(header, AT_ACCEPTED, write.accepted);
  putU53(header, AT_ENTRY_HASH, entry === null ? 0 : entry.hash);
  putU53(header, AT_BASE_HASH, write.baseHash);
  putU53(header, AT_VOTES_FROM, write.votesFrom);
  assert(write.loss <= MAX_LOSS, "P31: a loss number has 24 bits");
  header[AT_LOSS] = write.loss;
  header[AT_LOSS + 1] = write.loss >>> 8;
  header[AT_LOSS + 2] = write.loss >>> 16;
}

/** The value of a record: the entry as its proposer encoded it. */
export function recordValue(write: RecordWrite): Uint8Array {
  return write.entry === null ? NO_BYTES : write.entry.bytes;
}

function classOf(write: RecordWrite): number {
  if (write.live) return CLASS_LIVE;
  return write.entry === null && write.index === 1 ? CLASS_NOTHING : CLASS_DELETED;
}

/** P13: the header of the same record once its entry is known as chosen at its accepted ballot. An own copy. */
export function markHeader(header: Uint8Array): Uint8Array {
  assert(header.length === RECORD_HEADER_BYTES, "a header has its fixed size");
  const flags = header[AT_FLAGS] ?? 0;
  assert((flags & FLAG_ENTRY) !== 0, "P13: only an entry can have been chosen");
  const marked = new Uint8Array(RECORD_HEADER_BYTES);
  marked.set(header);
  marked[AT_FLAGS] = flags | FLAG_CHOSEN;
  return marked;
}

/** The size of the group, and what the disk as a whole has lost (P31), as in Context. */
export interface LoadContext {
  readonly replicas: number;
  readonly loss: number;
  readonly lossAll: number;
  readonly lossOpen: boolean;
}

/** The PLog of a key, by the table above. */
export function loadPLog(records: KeyRecords, context: LoadContext): LoadOutcome {
  const outcome = loadRecords(records, context);
  if (outcome.kind === "damaged") {
    outcome.plog.loss = context.loss + 1; // P31: votes of before this loss are still counted somewhere
    outcome.plog.learner = true;
  } else if (outcome.kind === "ready") {
    const { plog } = outcome;
    plog.learner ||= isLearner(records, plog.loss, context);
    plog.loss = Math.max(plog.loss, context.lossAll);
  }
  return outcome;
}

/** P31: what was recorded before the whole disk was lost does not vote, nor does what should have been recorded. */
function isLearner(records: KeyRecords, loss: number, context: LoadContext): boolean {
  return records.slots === 0 ? context.lossOpen : loss < context.lossAll;
}

function loadRecords(records: KeyRecords, { replicas }: LoadContext): LoadOutcome {
  if (records.corrupt) return damaged("a record is broken");
  if (records.slots === 0) return { kind: "ready", plog: emptyPLog() };
  const [first, second] = records.slot;
  const top = records.slots === 2 ? second : first;
  const below = records.slots === 2 ? first : null;
  const topHead = headOf(top.header, replicas);
  if (topHead === null || top.position < 1) return damaged("a header is out of range");
  if (below !== null && below.position >= top.position) return damaged("positions do not rise");
  return topHead.chosen ? loadChosen(top, topHead) : loadUndecided(top, topHead, below, replicas);
}

function loadChosen(slot: RecordSlot, head: Head): LoadOutcome {
  if (slot.value === null) return { kind: "needs-value", position: slot.position };
  const chosen = entryOf(slot.value, slot, head);
  if (chosen === null) return damaged("the entry does not fit its header");
  const plog = emptyPLog();
  plog.chosen = chosen;
  plog.chosenBallot = head.accepted;
  takeStanding(plog, head, null);
  return { kind: "ready", plog };
}

function loadUndecided(top: RecordSlot, head: Head, below: RecordSlot | null, replicas: number): LoadOutcome {
  const baseHead = below === null ? null : headOf(below.header, replicas);
  const doubt = doubtOfBase(top, head, below, baseHead);
  if (doubt !== null) return damaged(doubt);
  const plog = emptyPLog();
  takeStanding(plog, head, top.position > 1 ? baseHead : null);
  if (top.position > 1 && below !== null && baseHead !== null) {
    if (below.value === null) return { kind: "needs-value", position: below.position };
    const chosen = entryOf(below.value, below, baseHead);
    if (chosen === null) return damaged("the entry does not fit its header");
    plog.chosen = chosen;
    plog.chosenBallot = baseBallot(baseHead);
  }
  plog.promised = head.promised;
  if (head.hasEntry) {
    if (top.value === null) return { kind: "needs-value", position: top.position };
    const accepted = entryOf(top.value, top, head);
    if (accepted === null) return damaged("the entry does not fit its header");
    plog.accepted = head.accepted;
    plog.acceptedEntry = accepted;
    plog.acceptedProposer = head.proposer;
  }
  return { kind: "ready", plog };
}

/** The record above says where the writer votes, as it was written last; a learner's base makes a learner. */
function takeStanding(plog: PLog, head: Head, base: Head | null): void {
  plog.learner = head.learner || (base?.learner ?? false);
  plog.votesFrom = head.votesFrom;
  plog.loss = base === null ? head.loss : Math.min(head.loss, base.loss);
}

/** P13: why the record below an undecided one is not the chosen entry that it was written on; null when it is. */
function doubtOfBase(top: RecordSlot, head: Head, below: RecordSlot | null, baseHead: Head | null): string | null {
  if (top.position === 1) return head.baseHash === 0 ? null : "index 1 names a base";
  if (below === null) return "the base of an undecided position is missing";
  if (baseHead === null) return "a header is out of range";
  if (below.position !== top.position - 1) return "the base of an undecided position is missing";
  if (!baseHead.hasEntry) return "the base of an undecided position has no entry";
  return baseHead.entryHash === head.baseHash ? null : "the base of an undecided position is another entry";
}

/** A base that is proven only by what stands on it may have been chosen at another ballot than it was accepted at here. */
function baseBallot(head: Head): Ballot {
  return head.chosen ? head.accepted : NO_BALLOT;
}

/** What loadPLog would say, from the headers alone; null when the key is damaged and loadPLog has to say so. */
export function stateOf(key: Key, records: KeyRecords, context: LoadContext): KeyState | null {
  const { replicas } = context;
  if (records.corrupt) return null;
  if (records.slots === 0) return untouched(key, context);
  const [first, second] = records.slot;
  const top = records.slots === 2 ? second : first;
  const below = records.slots === 2 ? first : null;
  const head = headOf(top.header, replicas);
  if (head === null || top.position < 1 || (below !== null && below.position >= top.position)) return null;
  if (head.chosen) {
    return {
      chosenIndex: top.position,
      chosenBallot: head.accepted,
      leader: head.leader,
      accepted: NO_BALLOT,
      proposer: 0,
      votes: votesAbove(top.position, head, null, context),
    };
  }
  const baseHead = below === null ? null : headOf(below.header, replicas);
  if (doubtOfBase(top, head, below, baseHead) !== null) return null;
  const base = top.position === 1 ? null : baseHead;
  return {
    chosenIndex: top.position - 1,
    chosenBallot: base === null ? NO_BALLOT : baseBallot(base),
    leader: base === null ? leaderOf(key, GENESIS, replicas) : base.leader,
    accepted: head.accepted,
    proposer: head.hasEntry ? head.proposer : 0,
    votes: votesAbove(top.position - 1, head, base, context),
  };
}

/** What a newest record says by itself, without the one below it, for the comparison of replicas (P28); null: it says nothing. */
export interface HeldState {
  readonly chosenIndex: number;
  readonly chosenHash: number;
  readonly acceptedHash: number;
  readonly learner: boolean;
  /** It votes at the position above the chosen one: false of a learner, and of one that was restored for later positions only. */
  readonly votes: boolean;
  /** Of a learner: the lowest loss under which it may be restored (P31). */
  readonly loss: number;
}

export function heldState(position: number, header: Uint8Array, context: LoadContext): HeldState | null {
  const head = headOf(header, context.replicas);
  if (head === null || position < 1) return null;
  const { chosen, entryHash, baseHash, hasEntry } = head;
  const learner = head.learner || head.loss < context.lossAll;
  const loss = Math.max(head.loss, context.lossAll);
  const chosenIndex = chosen ? position : position - 1;
  const chosenHash = chosen ? entryHash : baseHash;
  const acceptedHash = !chosen && hasEntry ? entryHash : 0;
  return { chosenIndex, chosenHash, acceptedHash, learner, votes: votesAbove(chosenIndex, head, null, context), loss };
}

/** What takeStanding and loadPLog make of the same heads, for the position above `index`. */
function votesAbove(index: number, head: Head, base: Head | null, { lossAll }: LoadContext): boolean {
  if (head.learner || head.loss < lossAll || index + 1 < head.votesFrom) return false;
  return base === null || (!base.learner && base.loss >= lossAll);
}

function untouched(key: Key, { replicas, lossOpen }: LoadContext): KeyState {
  return {
    chosenIndex: 0,
    chosenBallot: NO_BALLOT,
    leader: leaderOf(key, GENESIS, replicas),
    accepted: NO_BALLOT,
    proposer: 0,
    votes: !lossOpen,
  };
}

function damaged(reason: string): LoadOutcome {
  const plog = emptyPLog();
  plog.learner = true;
  return { kind: "damaged", plog, reason };
}

/** The entry of a record, or null when the bytes are not what the header says they are. */
function entryOf(value: Uint8Array, slot: RecordSlot, head: Head): Entry | null {
  const entry = decodeEntry(value);
  if (entry === null || entry.hash !== head.entryHash) return null;
  return entry.index === slot.position && entry.leader === head.leader ? entry : null;
}

/** A record's header, read. */
export interface Head {
  readonly chosen: boolean;
  readonly learner: boolean;
  readonly hasEntry: boolean;
  readonly proposer: ReplicaId;
  readonly leader: ReplicaId;
  readonly promised: Ballot;
  readonly accepted: Ballot;
  readonly entryHash: number;
  readonly baseHash: number;
  readonly votesFrom: number;
  readonly loss: number;
}

/** A header as it reads, or null when it cannot be one of ours. */
export function headOf(header: Uint8Array, replicas: number): Head | null {
  if (header.length !== RECORD_HEADER_BYTES || header[AT_FORMAT] !== FORMAT) return null;
  const kind = header[AT_CLASS] ?? 0;
  const flags = header[AT_FLAGS] ?? 0;
  const proposer = header[AT_PROPOSER] ?? 0;
  const leader = header[AT_LEADER] ?? 0;
  if (kind < CLASS_LIVE || kind > CLASS_NOTHING || flags > ALL_FLAGS) return null;
  if (proposer >= replicas || leader >= replicas) return null;
  const promised = ballotAt(header, AT_PROMISED, replicas);
  const accepted = ballotAt(header, AT_ACCEPTED, replicas);
  const entryHash = u53At(header, AT_ENTRY_HASH);
  const baseHash = u53At(header, AT_BASE_HASH);
  const votesFrom = u53At(header, AT_VOTES_FROM);
  const loss = (header[AT_LOSS] ?? 0) | ((header[AT_LOSS + 1] ?? 0) << 8) | ((header[AT_LOSS + 2] ?? 0) << 16);
  if (promised === null || accepted === null || entryHash < 0 || baseHash < 0 || votesFrom < 0) return null;
  const chosen = (flags & FLAG_CHOSEN) !== 0;
  const hasEntry = (flags & FLAG_ENTRY) !== 0;
  if (chosen && !hasEntry) return null;
  // P1: an accept raises the promise to its own ballot.
  if (!chosen && (isBallot(accepted) !== hasEntry || compareBallots(accepted, promised) > 0)) return null;
  const learner = (flags & FLAG_LEARNER) !== 0;
  return { chosen, learner, hasEntry, proposer, leader, promised, accepted, entryHash, baseHash, votesFrom, loss };
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function u32At(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
  return low + (bytes[at + 3] ?? 0) * 0x100_0000;
}

function putU53(bytes: Uint8Array, at: number, value: number): void {
  if (value >>> 0 === value) {
    putU32(bytes, at, value); // the ordinary case, without division; the header was zeroed
    return;
  }
  assert(Number.isSafeInteger(value) && value >= 0, "section 8: not an integer below 2^53");
  putU32(bytes, at, value % TWO_32);
  putU32(bytes, at + 4, Math.floor(value / TWO_32));
}

/** Negative when the eight bytes hold no integer below 2^53. */
function u53At(bytes: Uint8Array, at: number): number {
  const high = u32At(bytes, at + 4);
  return high > 0x1f_ffff ? -1 : high * TWO_32 + u32At(bytes, at);
}

function putBallot(header: Uint8Array, at: number, ballot: Ballot): void {
  putU53(header, at, ballot.counter + 1);
  putU53(header, at + 8, ballot.incarnation);
  header[at + 7] = ballot.replica;
}

/** Null when the sixteen bytes are no ballot of the group. */
function ballotAt(header: Uint8Array, at: number, replicas: number): Ballot | null {
  const high = u32At(header, at + 4) % 0x100_0000;
  const replica = header[at + 7] ?? 0;
  const incarnation = u53At(header, at + 8);
  if (high > 0x1f_ffff || replica >= replicas || incarnation < 0) return null;
  const counter = high * TWO_32 + u32At(header, at) - 1;
  return counter < 0 ? NO_BALLOT : { counter, replica, incarnation };
}
