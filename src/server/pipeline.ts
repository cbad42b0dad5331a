/**
 * The line of replies of one connection, and what of it is at the node. It keeps program order: what a client pipelines
 * on one key takes effect in the order it was sent, though the node may answer in any order. Writes of one key keep
 * their order in the key's lane; a read waits for the writes before it, a write for the reads before it; reads that
 * came together share one answer. It knows no socket: who owns it is told when the front of the line is ready.
 */
import type { Key } from "../base/key.js";
import type { KeyService, PLogView, ReplySink } from "../node/service.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../paxos/operation.js";
import type { Command } from "./command-table.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { ServerContext } from "./server-context.js";
import { type Keeping, ManyKeys, MAX_SLOTS, partOfTag, type Renderer, Slot, slotOfTag, tagOf } from "./slot.js";

export const LOADING = "LOADING the node is recovering its data";
const BUSY = "BUSY too many requests are under way, try again later";

/**
 * A client that has so many commands under way waits for its own replies in any case: at the bound it is held back, by TCP's
 * means. Who has fewer is told at once that there is no room.
 */
const DEEP = 64;

/** How much of an earlier reply's size is still expected of the next. */
const FORGETTING = 0.95;

/** What the connection does when it can go on: flush soon. */
export interface PipelineOwner {
  onReady(): void;
  /** A reply took long. */
  onSlow(slot: Slot, command: Command, durationUs: number): void;
}

export class Pipeline implements ReplySink {
  /** The command at hand went to the node. */
  issued = false;
  /** The command at hand must wait for earlier ones and be run again. */
  stalled = false;
  /** Replies not written yet, and the bytes that they hold. */
  waiting = 0;
  heldBytes = 0;
  /** Of the command at hand: where errors go, the protocol spoken, whether a reply is wanted, when it came. */
  out: ReplyWriter;
  resp3 = false;
  silent = false;
  command: Command | null = null;
  turn = 0;
  arrivedUs = 0;
  readonly #context: ServerContext;
  readonly #owner: PipelineOwner;
  readonly #slots: Slot[] = [];
  /** Size of the larger ones among recent replies: what to expect of those under way. */
  #usualBytes = 0;
  #free: Slot | null = null;
  #head: Slot | null = null;
  #tail: Slot | null = null;
  /** The latest operation under way for each key. */
  readonly #latest = new Map<Key, Slot>();
  #closed = false;

  constructor(context: ServerContext, owner: PipelineOwner) {
    this.#context = context;
    this.#owner = owner;
    this.out = context.out;
  }

  get empty(): boolean {
    return this.#head === null;
  }

  /** True when the first reply in the line can be written. */
  get ready(): boolean {
    return this.#head?.done === true;
  }

  /** True when no further command may be taken now: all slots are, or what comes back is likely to be too much. */
  get full(): boolean {
    return this.waiting >= MAX_SLOTS || this.waiting * this.#usualBytes > this.#context.limits.maxOutputBytes / 2;
  }

  /** Nobody waits for replies any more: what comes back is only counted off. */
  close(): void {
    this.#closed = true;
  }

  // ---- issuing

  read(key: Key, render: Renderer): void {
    const service = this.#admit(0);
    if (service === null) return;
    this.#context.hotKeys.note(key);
    const latest = this.empty ? undefined : this.#latest.get(key);
    if (latest !== undefined) {
      if (latest.isWrite || latest.key === null || latest.turn !== this.turn) this.stalled = true;
      else this.#follow(latest, key, render);
      return;
    }
    const slot = this.#append(render);
    slot.key = key;
    this.#latest.set(key, slot);
    this.#context.admission.begin();
    service.read(key, this, tagOf(slot, 0));
  }

  /** Both reads were received before the node could begin with the first: one answer is right for both. */
  #follow(latest: Slot, key: Key, render: Renderer): void {
    const follower = this.#append(render);
    follower.key = key;
    latest.follower = follower;
    this.#latest.set(key, follower);
  }

  write(key: Key, operation: Operation, render: Renderer): void {
    const bytes = valueBytes(operation);
    const service = this.#admit(bytes);
    if (service === null) return;
    if (!this.empty && this.#holdsUpWrite(key)) {
      this.stalled = true;
      return;
    }
    const slot = this.#append(render);
    slot.key = key;
    slot.isWrite = true;
    slot.inputBytes = bytes;
    this.#latest.set(key, slot);
    this.#context.hotKeys.note(key);
    this.#context.admission.begin();
    this.#context.inFlightBytes += bytes;
    service.write(key, operation, this, tagOf(slot, 0));
  }

  /** A write may follow a single write of its key into the lane; it waits for everything else. */
  #holdsUpWrite(key: Key): boolean {
    const latest = this.#latest.get(key);
    return latest !== undefined && (!latest.isWrite || latest.many !== null);
  }

  readMany(keys: readonly Key[], render: Renderer, keeping: Keeping): void {
    this.#issueMany(new ManyKeys(keys, null, keeping), 0, render);
  }

  writeMany(keys: readonly Key[], operations: readonly Operation[], render: Renderer): void {
    let bytes = 0;
    for (const operation of operations) bytes += valueBytes(operation);
    this.#issueMany(new ManyKeys(keys, operations), bytes, render);
  }

  #issueMany(many: ManyKeys, bytes: number, render: Renderer): void {
    const { keys, operations } = many;
    if (this.#admit(bytes) === null) return;
    if (!this.empty) {
      for (const key of keys) {
        if (operations === null ? !this.#latest.has(key) : !this.#holdsUpWrite(key)) continue;
        this.stalled = true;
        return;
      }
    }
    const slot = this.#append(render);
    slot.isWrite = operations !== null;
    slot.inputBytes = bytes;
    slot.many = many;
    for (const key of keys) this.#latest.set(key, slot);
    this.#context.inFlightBytes += bytes;
    this.#issueParts(slot, many);
    // Without a key nothing will come back that could finish it.
    if (keys.length === 0) this.#finish(slot);
  }

  #issueParts(slot: Slot, many: ManyKeys): void {
    const context = this.#context;
    const { service } = context;
    // One part may always be under way: the command was admitted. Further ones take of what is left.
    while (service !== null && many.mayIssue && (many.issued === many.finished || this.#hasRoom())) {
      const part = many.issued++;
      const key = many.keys[part];
      if (key === undefined) return;
      const operation = many.operations?.[part];
      context.hotKeys.note(key);
      context.admission.begin();
      if (operation === undefined) service.read(key, this, tagOf(slot, part));
      else service.write(key, operation, this, tagOf(slot, part));
    }
  }

  inspect(key: Key, render: Renderer): void {
    const service = this.#admit(0);
    if (service === null) return;
    if (this.#latest.has(key)) {
      this.stalled = true;
      return;
    }
    const slot = this.#append(render);
    this.#latest.set(key, slot);
    this.#context.admission.begin();
    service.inspect(key, (views: readonly PLogView[]) => {
      this.#context.admission.end();
      slot.views = views;
      this.#latest.delete(key);
      this.#finish(slot);
    });
  }

  /** What the node answers later, and once, in its own words. An operator's question is no load, and is not refused for others'. */
  askNode(begin: (service: KeyService, answer: (text: string) => void) => void, render: Renderer): void {
    const { service } = this.#context;
    if (service === null) {
      this.out.error(LOADING);
      return;
    }
    this.later((answer) => {
      begin(service, answer);
    }, render);
  }

  /** The same, of the server itself. */
  later(begin: (answer: (text: string) => void) => void, render: Renderer): void {
    const slot = this.#append(render);
    begin((text) => {
      slot.text = text;
      this.#finish(slot);
    });
  }

  /** What comes when it comes. */
  wait(begin: (answer: (outcome: ReadOutcome | null) => void) => void, render: Renderer): void {
    const slot = this.#append(render);
    slot.isWait = true;
    begin((outcome) => {
      slot.read = outcome;
      if (outcome?.status === "ok") this.#hold(slot, outcome.value.length);
      this.#finish(slot);
    });
  }

  /** False: something is under way, and the command at hand will be run again after it. */
  settled(): boolean {
    this.stalled = !this.empty;
    return !this.stalled;
  }

  /** Puts a reply that is known already at the end of the line. */
  appendReady(bytes: Uint8Array): void {
    const slot = this.#append(null);
    slot.ready = bytes;
    slot.done = true;
    this.#hold(slot, bytes.length);
  }

  #hasRoom(): boolean {
    return this.#context.admission.hasRoom;
  }

  /** The node, when one more operation with `bytes` of values may go to it; null: the error is written, or it stalls. */
  #admit(bytes: number): KeyService | null {
    const context = this.#context;
    const { service, limits } = context;
    if (service === null) {
      this.out.error(LOADING);
      return null;
    }
    const fits = bytes === 0 || context.inFlightBytes + bytes <= limits.maxInFlightBytes;
    if (this.#hasRoom() && fits) return service;
    if (this.waiting >= DEEP) {
      this.stalled = true;
      return null;
    }
    context.counters.busy++;
    this.out.error(BUSY);
    return null;
  }

  #append(render: Renderer | null): Slot {
    const slot = this.#free ?? this.#newSlot();
    this.#free = slot.next;
    slot.clear();
    if (render !== null) {
      slot.render = render;
      this.issued = true;
    }
    slot.command = render === null ? null : this.command;
    slot.resp3 = this.resp3;
    slot.silent = this.silent;
    slot.turn = this.turn;
    slot.sinceUs = this.arrivedUs;
    if (this.#tail === null) this.#head = slot;
    else this.#tail.next = slot;
    this.#tail = slot;
    this.waiting++;
    return slot;
  }

  #newSlot(): Slot {
    const slot = new Slot(this.#slots.length);
    this.#slots.push(slot);
    return slot;
  }

  // ---- outcomes

  onWrite(tag: number, outcome: WriteOutcome): void {
    this.#context.admission.end();
    const slot = this.#slots[slotOfTag(tag)];
    if (slot === undefined) return;
    if (slot.many !== null) {
      slot.many.takeWrite(outcome);
      this.#continueMany(slot, slot.many);
      return;
    }
    slot.write = outcome;
    if (slot.key !== null && this.#latest.get(slot.key) === slot) this.#latest.delete(slot.key);
    if ((outcome.status === "ok" || outcome.status === "failed") && outcome.result instanceof Uint8Array) {
      this.#hold(slot, outcome.result.length);
    }
    this.#finish(slot);
  }

  onRead(tag: number, outcome: ReadOutcome): void {
    const context = this.#context;
    context.admission.end();
    const first = this.#slots[slotOfTag(tag)];
    if (first === undefined) return;
    if (outcome.status === "ok") {
      if (outcome.found) context.counters.readHits++;
      else context.counters.readMisses++;
      if (first.many === null) this.#hold(first, outcome.value.length);
    }
    if (first.many !== null) {
      this.#hold(first, first.many.heldBytes(outcome));
      first.many.takeRead(partOfTag(tag), outcome);
      this.#continueMany(first, first.many);
      return;
    }
    let last = first;
    for (let slot: Slot | null = first; slot !== null; slot = slot.follower) {
      slot.read = outcome;
      if (slot !== first) this.#hold(slot, first.heldBytes);
      last = slot;
    }
    for (let slot: Slot | null = first; slot !== null; slot = slot.follower) this.#finish(slot);
    if (first.key !== null && this.#latest.get(first.key) === last) this.#latest.delete(first.key);
  }

  #continueMany(slot: Slot, many: ManyKeys): void {
    if (!this.#closed) this.#issueParts(slot, many);
    if (this.#closed ? many.issued > many.finished : !many.complete) return;
    for (const key of many.keys) if (this.#latest.get(key) === slot) this.#latest.delete(key);
    this.#finish(slot);
  }

  #hold(slot: Slot, bytes: number): void {
    slot.heldBytes += bytes;
    this.heldBytes += bytes;
  }

  #finish(slot: Slot): void {
    slot.done = true;
    this.#context.inFlightBytes -= slot.inputBytes;
    slot.inputBytes = 0;
    this.#usualBytes = Math.max(slot.heldBytes, Math.floor(this.#usualBytes * FORGETTING));
    if (this.#closed) return;
    const tooMuch = this.heldBytes > this.#context.limits.maxOutputBytes;
    if (slot === this.#head || this.stalled || tooMuch) this.#owner.onReady();
  }

  // ---- output

  #renderOne(out: ReplyWriter, slot: Slot, durationUs: number): void {
    const context = this.#context;
    if (!slot.isWait) (slot.isWrite ? context.writeLatency : context.readLatency).record(durationUs);
    // A reply that is not wanted is written all the same, and forgotten: writing it may have a meaning (WATCH).
    const target = slot.silent ? context.scratch : out;
    target.resp3 = slot.resp3;
    const { errors } = target;
    slot.render(target, slot);
    if (slot.silent) target.discard();
    const { command } = slot;
    if (command === null) return;
    if (!slot.isWait) command.totalUs += durationUs;
    if (target.errors > errors) command.failed++;
    if (!slot.isWait && durationUs >= context.settings.slowerThanUs) this.#owner.onSlow(slot, command, durationUs);
  }

  /** Writes what is finished at the front of the line, up to `bound` bytes in `out`. */
  render(out: ReplyWriter, bound: number): void {
    const context = this.#context;
    const nowUs = context.nowUs();
    for (let slot = this.#head; slot?.done === true && out.length < bound; slot = this.#head) {
      this.#head = slot.next;
      if (this.#head === null) this.#tail = null;
      this.waiting--;
      this.heldBytes -= slot.heldBytes;
      if (slot.ready !== null) {
        out.raw(slot.ready);
      } else {
        this.#renderOne(out, slot, nowUs - slot.sinceUs);
      }
      slot.clear();
      slot.next = this.#free;
      this.#free = slot;
    }
  }
}

/** Bytes of the values that an operation carries, those to compare with included. */
function valueBytes(operation: Operation): number {
  let bytes = "value" in operation ? operation.value.length : 0;
  if ("condition" in operation && "value" in operation.condition) bytes += operation.condition.value.length;
  if (operation.kind !== "steps") return bytes;
  for (const step of operation.steps) if (step.kind !== "read") bytes += valueBytes(step);
  return bytes;
}
