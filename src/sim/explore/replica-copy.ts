/**
 * Copies and names of one replica of the soup world. A copy shares nothing that a step changes, so that a state can be
 * stepped many times. A name is a string that two replicas share exactly when every future of theirs is the same: before
 * naming, ticks are told from one fixed moment and sequences from what is durable, because the core only compares them.
 */
import type { Key } from "../../base/key.js";
import { Random } from "../../base/random.js";
import type { Context } from "../../paxos/context.js";
import { HandoffLog } from "../../paxos/handoffs.js";
import type { Lane, PendingOperation, PendingRead, ReadRound, Round } from "../../paxos/lane.js";
import type { Replica } from "../soup/world.js";

/** The moment from which every state is told. */
export const NOW = 1000;
/** A moment that no search reaches: it stays where it is. */
export const FAR = 1_000_000;
/** What happened longer ago than this is all the same to the core: longer than any time it asks for an age. */
const LONG_AGO = 300;

/** No chance at all: what chance decides in the core (back-off) is when a tick comes, and ticks come when the search says. */
class NoChance extends Random {
  override below(): number {
    return 0;
  }

  override chance(): boolean {
    return false;
  }
}

export const NO_CHANCE: Random = new NoChance(1);

/** A log that can be copied: what it took is written down. */
export class CopiedHandoffs extends HandoffLog {
  readonly taken: number[] = [];

  override take(sequence: number): boolean {
    const taken = super.take(sequence);
    if (taken) this.taken.push(sequence);
    return taken;
  }

  copy(): CopiedHandoffs {
    const copy = new CopiedHandoffs();
    for (const sequence of this.taken) copy.take(sequence);
    return copy;
  }
}

function copyHandoffs(log: HandoffLog): HandoffLog {
  return log instanceof CopiedHandoffs ? log.copy() : new CopiedHandoffs();
}

function copyContext(context: Context): Context {
  return {
    ...context,
    suspected: [...context.suspected],
    peerOrder: [...context.peerOrder],
    peerIncarnations: [...context.peerIncarnations],
    handoffsSent: [...context.handoffsSent],
    handoffsTaken: context.handoffsTaken.map(copyHandoffs),
  };
}

type Same<T> = (from: T) => T;

function copyRound(round: Round | null, same: Same<PendingOperation>): Round | null {
  if (round === null) return null;
  return {
    ...round,
    folded: round.folded.map((one) => ({ ...one, pending: same(one.pending) })),
    before: round.before.map((one) => ({ ...one, pending: same(one.pending) })),
  };
}

function copyRead(read: ReadRound | null, same: Same<PendingOperation>): ReadRound | null {
  if (read === null) return null;
  return {
    ...read,
    readers: read.readers.map(copyReader),
    confirming: read.confirming.map(same),
    states: [...read.states],
  };
}

function copyReader(read: PendingRead): PendingRead {
  return { ...read };
}

function copyLane(lane: Lane): Lane {
  const copies = new Map<PendingOperation, PendingOperation>();
  const same = (pending: PendingOperation): PendingOperation => {
    let copy = copies.get(pending);
    if (copy === undefined) {
      copy = { ...pending };
      copies.set(pending, copy);
    }
    return copy;
  };
  return {
    ...lane,
    plog: { ...lane.plog },
    durableAccept: { ...lane.durableAccept },
    pendingAccepts: lane.pendingAccepts.map((one) => ({ ...one })),
    operations: lane.operations.map(same),
    forwarded: lane.forwarded.map(same),
    round: copyRound(lane.round, same),
    read: copyRead(lane.read, same),
    nextReads: lane.nextReads.map(copyReader),
    nextConfirms: lane.nextConfirms.map(same),
    expiredReads: lane.expiredReads.map(copyReader),
  };
}

export function copyReplica(replica: Replica): Replica {
  const lanes = new Map<Key, Lane>();
  const copies = new Map<Lane, Lane>();
  for (const [key, lane] of replica.lanes) {
    const copy = copyLane(lane);
    lanes.set(key, copy);
    copies.set(lane, copy);
  }
  const laneOf = (lane: Lane): Lane => copies.get(lane) ?? lane;
  return {
    ...replica,
    context: copyContext(replica.context),
    disk: replica.disk.copy(),
    lanes,
    wakes: new Map(replica.wakes),
    queue: replica.queue.map((batch) => ({ ...batch, lane: laneOf(batch.lane) })),
    held: replica.held.map((held) => ({ ...held, lane: laneOf(held.lane) })),
    own: [...replica.own],
  };
}

type Numbers = Record<string, unknown>;

/** Moves every field named ...Tick by `ticks`; 0 stands for "none" and stays, what is far stays too. */
function shiftTicks(holder: object, ticks: number): void {
  const fields = holder as Numbers; // the fields' names are the only thing that tells ticks from other numbers
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (!name.endsWith("Tick") || typeof value !== "number" || value <= 0 || value >= FAR) continue;
    fields[name] = Math.max(value + ticks, NOW - LONG_AGO);
  }
}

function shiftSequence(holder: object, by: number): void {
  const fields = holder as Numbers;
  if (typeof fields["sequence"] === "number") fields["sequence"] = Math.max(fields["sequence"] - by, 0);
}

function shiftLane(lane: Lane, ticks: number): void {
  shiftTicks(lane, ticks);
  const pendings = new Set<object>([...lane.operations, ...lane.forwarded, ...lane.nextConfirms]);
  for (const one of lane.round?.folded ?? []) pendings.add(one.pending);
  for (const one of lane.round?.before ?? []) pendings.add(one.pending);
  for (const one of lane.read?.confirming ?? []) pendings.add(one);
  for (const one of pendings) shiftTicks(one, ticks);
  if (lane.round !== null) shiftTicks(lane.round, ticks);
  if (lane.read !== null) shiftTicks(lane.read, ticks);
  for (const one of [...lane.nextReads, ...lane.expiredReads, ...(lane.read?.readers ?? [])]) shiftTicks(one, ticks);
}

/** Of equal messages that wait for the disk the first is enough: in a soup nothing is received less often for it. */
function dropDoubles(replica: Replica): void {
  if (replica.held.length < 2) return;
  const first = new Map<string, Replica["held"][number]>();
  for (const held of replica.held) {
    const name = `${String(held.envelope.to)} ${nameOfMessage(held.envelope.message)}`;
    const known = first.get(name);
    if (known === undefined || held.sequence < known.sequence) first.set(name, held);
  }
  replica.held = [...first].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, held]) => held);
}

/** Tells the replica, whose clock shows `tick`, from NOW, and its sequences from what is durable. Its own copy only. */
export function normalise(replica: Replica, tick: number): void {
  const ticks = NOW - tick;
  for (const [key, wake] of replica.wakes) if (wake < FAR) replica.wakes.set(key, Math.max(wake + ticks, NOW));
  for (const lane of replica.lanes.values()) {
    if (ticks !== 0) shiftLane(lane, ticks);
    const { durable } = lane;
    for (const one of lane.pendingAccepts) shiftSequence(one, durable);
    shiftSequence(lane.durableAccept, durable);
    for (const one of replica.queue) if (one.lane === lane) shiftSequence(one, durable);
    for (const one of replica.held) if (one.lane === lane) shiftSequence(one, durable);
    lane.writes -= durable;
    lane.durable = 0;
    if (lane.read !== null) lane.read.turn = 0; // no later step is part of the turn that asked
  }
  dropDoubles(replica);
  replica.context.tick = NOW;
  replica.context.turn = 0;
  replica.context.wallMs = 0;
  replica.disk.records = 0;
}

/** Writes values one after the other; the order of fields is that in which their objects are made. */
class NameWriter {
  out = "";
  readonly #numbers = new Map<object, number>();

  value(value: unknown): void {
    if (typeof value === "number" || typeof value === "boolean") this.out += `${String(value)},`;
    else if (typeof value === "string") this.out += `'${value}',`;
    else if (value === null || value === undefined) this.out += "-,";
    else if (typeof value === "object") this.#object(value);
  }

  #object(value: object): void {
    if (value instanceof Uint8Array) {
      this.out += `<${String.fromCharCode(...value)}>`;
      return;
    }
    const fields = value as Numbers; // walked without knowing what it is
    if (typeof fields["hash"] === "number") {
      this.out += `#${String(fields["hash"])},`; // an entry: its hash is the hash of all it says
      return;
    }
    if (typeof fields["request"] === "object") {
      // An operation that waits is one object in several lists.
      const number = this.#numbers.get(value);
      if (number !== undefined) {
        this.out += `@${String(number)},`;
        return;
      }
      this.#numbers.set(value, this.#numbers.size);
    }
    this.out += "(";
    if (Array.isArray(value)) for (const one of value) this.value(one);
    else for (const name in fields) this.value(fields[name]);
    this.out += ")";
  }
}

/** The name of a normalised replica. */
export function nameOf(replica: Replica): string {
  const writer = new NameWriter();
  const { context } = replica;
  for (const [name, value] of Object.entries(context)) {
    if (name === "handoffsTaken") {
      for (const log of context.handoffsTaken) {
        if (log instanceof CopiedHandoffs) writer.value([...log.taken].sort((a, b) => a - b));
      }
    } else if (name !== "random") writer.value(value);
  }
  for (const [key, lane] of replica.lanes) {
    writer.value(lane);
    writer.value(replica.wakes.get(key) ?? 0);
  }
  for (const { sequence, writes, mark } of replica.queue) writer.value([sequence, writes, mark]);
  writer.out += "/";
  for (const { sequence, envelope } of replica.held) writer.value([sequence, envelope]);
  writer.out += "/";
  for (const key of replica.disk.keys()) {
    for (const slot of replica.disk.slotsOf(key))
      writer.value([slot.position, slot.floor, slot.header, slot.durableHeader, slot.value]);
  }
  return writer.out;
}

/** The name of a message: what it says, without who sends it to whom. */
export function nameOfMessage(message: object): string {
  const writer = new NameWriter();
  writer.value(message);
  return writer.out;
}
