/**
 * A place in a connection's line of replies: what was asked, what has come back, and how to write it. Slots are made
 * once and reused, their number is the tag that the node hands back; so an operation costs no closure and no promise.
 */
import type { Key } from "../base/key.js";
import type { PLogView } from "../node/service.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../paxos/operation.js";
import type { Command } from "./command-table.js";
import type { ReplyWriter } from "./reply-writer.js";

/** Slots of one connection: the bound of what it may have under way. A power of two, because tags are cut with a mask. */
export const MAX_SLOTS = 1024;
const SLOT_MASK = MAX_SLOTS - 1;

/** Writes the reply of a finished slot. */
export type Renderer = (out: ReplyWriter, slot: Slot) => void;

export class Slot {
  readonly id: number;
  render: Renderer = renderNothing;
  /** The protocol that was spoken when the command came. */
  resp3 = false;
  /** CLIENT REPLY OFF or SKIP: nothing is written. */
  silent = false;
  /** Its time says nothing about the server. */
  isWait = false;
  done = false;
  /** Whose reply this is, for counting; null for what no command asked for. */
  command: Command | null = null;
  /** The key of a single operation. */
  key: Key | null = null;
  isWrite = false;
  /** The turn in which it was issued: reads of one turn may share an answer. */
  turn = 0;
  /** A later slot that takes this read's answer too. */
  follower: Slot | null = null;
  /** The next in the line of replies, or in the list of free slots. */
  next: Slot | null = null;
  write: WriteOutcome | null = null;
  read: ReadOutcome | null = null;
  many: ManyKeys | null = null;
  views: readonly PLogView[] | null = null;
  /** What the node answered in its own words. */
  text = "";
  /** A reply that was ready at once but had to wait for its turn. */
  ready: Uint8Array | null = null;
  /** When the command came, in microseconds. */
  sinceUs = 0;
  /** Bytes of the values that are on their way to the node. */
  inputBytes = 0;
  /** Bytes of the answer that wait here. */
  heldBytes = 0;

  constructor(id: number) {
    this.id = id;
  }

  clear(): void {
    this.render = renderNothing;
    this.silent = false;
    this.isWait = false;
    this.done = false;
    this.command = null;
    this.key = null;
    this.isWrite = false;
    this.follower = null;
    this.next = null;
    this.write = null;
    this.read = null;
    this.many = null;
    this.views = null;
    this.text = "";
    this.ready = null;
    this.inputBytes = 0;
    this.heldBytes = 0;
  }
}

export function renderNothing(): void {
  // For replies that are not wanted.
}

/** Part `part` of the command in `slot`, as the tag that comes back with its outcome. */
export function tagOf(slot: Slot, part: number): number {
  return part * MAX_SLOTS + slot.id;
}

export function slotOfTag(tag: number): number {
  return tag & SLOT_MASK;
}

export function partOfTag(tag: number): number {
  return Math.floor(tag / MAX_SLOTS);
}

/** How many keys of one command are under way at once; the others follow as these come back. */
const WINDOW = 256;
/** The same where only it matters whether a key exists, and its value need not be kept. */
const SCAN_WINDOW = 16;

/** What of the answers to reads is kept: all of it, or that the key was found. */
export type Keeping = "values" | "existence";

const FOUND_NO_VALUE = new Uint8Array(0);

/** A command on several keys: independent operations, one reply. Not atomic across keys. */
export class ManyKeys {
  readonly keys: readonly Key[];
  /** One per key; null for reads. */
  readonly operations: readonly Operation[] | null;
  /** Answers to reads, in the order of the keys. */
  readonly reads: (ReadOutcome | null)[];
  /** The next part to issue. */
  issued = 0;
  finished = 0;
  /** Writes that took place, and the sum of what they answered. */
  applied = 0;
  sum = 0;
  /** The first answer that says "not applied", and the first "unknown". */
  refused: WriteOutcome | null = null;
  unknown: WriteOutcome | null = null;
  refusedRead: ReadOutcome | null = null;
  readonly #keeping: Keeping;
  readonly #window: number;

  constructor(keys: readonly Key[], operations: readonly Operation[] | null, keeping: Keeping = "values") {
    this.keys = keys;
    this.#keeping = keeping;
    this.#window = keeping === "values" ? WINDOW : SCAN_WINDOW;
    this.operations = operations;
    this.reads = operations === null ? keys.map(() => null) : [];
  }

  /** After a refusal or an unknown outcome no further part is begun. */
  get mayIssue(): boolean {
    const stopped = this.refused !== null || this.unknown !== null || this.refusedRead !== null;
    return !stopped && this.issued < this.keys.length && this.issued - this.finished < this.#window;
  }

  get complete(): boolean {
    return this.issued === this.finished && !this.mayIssue;
  }

  /** What keeping the answer takes. */
  heldBytes(outcome: ReadOutcome): number {
    return outcome.status === "ok" && this.#keeping === "values" ? outcome.value.length : 0;
  }

  takeWrite(outcome: WriteOutcome): void {
    this.finished++;
    switch (outcome.status) {
      case "ok":
        this.applied++;
        if (typeof outcome.result === "number") this.sum += outcome.result;
        break;
      case "not-applied":
        this.refused ??= outcome;
        break;
      case "unknown":
        this.unknown ??= outcome;
        break;
      case "failed":
        break;
    }
  }

  takeRead(part: number, outcome: ReadOutcome): void {
    this.finished++;
    const bare = this.#keeping === "existence" && outcome.status === "ok";
    this.reads[part] = bare ? { ...outcome, value: FOUND_NO_VALUE } : outcome;
    if (outcome.status === "refused") this.refusedRead ??= outcome;
  }
}
