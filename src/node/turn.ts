/**
 * The turn loop: everything that one poll of the event loop brought in is gathered, stepped lane by lane, and ended by
 * one batch to the store and one frame to each peer. What may only be said when durable waits under the batch's token
 * (P2). Knows lanes, store and outboxes; nothing of handshakes or of what clients speak.
 */
import { isUserKey, type Key } from "../base/key.js";
import { TimingWheel } from "../base/timing-wheel.js";
import { encodeHeader, RECORD_HEADER_BYTES, recordValue } from "../codec/record.js";
import { NO_BALLOT, type ReplicaId } from "../paxos/ballot.js";
import type { Context } from "../paxos/context.js";
import { Effects, type RecordWrite, SAME_WAKE } from "../paxos/effects.js";
import { forgetVotes } from "../paxos/fence.js";
import { countsAsLive, type Lane, standingOf } from "../paxos/lane.js";
import type { Message, StateReplyMessage } from "../paxos/message.js";
import { type Input, step } from "../paxos/replica.js";
import type { LoadedKey, Store } from "../storage/store.js";
import type { ClientTable } from "./clients.js";
import type { Clock, TimerHandle } from "./clock.js";
import { HeldMessages } from "./held.js";
import type { Lateness } from "./lateness.js";
import { type LaneSlot, LaneTable } from "./lane-table.js";
import { dropOfPeer, Loader } from "./loader.js";
import { MARK_PATIENCE_TICKS, type Outbox } from "./outbox.js";
import { noteRoom } from "./room.js";
import type { ChangeListener } from "./service.js";
import type { Counters } from "./stats.js";

/** Rounds of messages to the own replica within one turn; what is left runs in the next. */
const MAX_ROUNDS = 16;
/** A turn that has put this much into the store hands it over at once: D12 is asked again before more is proposed. */
const MAX_BATCH_BYTES = 1 << 20;
/**
 * And this share of an extent: what one key has in a batch must lie in one run (D6), which has room for two of the largest
 * values and an eighth of an extent. A step puts two records at most, but a turn may hold many steps of one key.
 */
const MAX_BATCH_SHARE = 1 / 16;
/** Beyond these bounds the disk or this process cannot follow: what peers say is dropped, as messages may be (P5). */
const MAX_PENDING_BATCHES = 1024;
const MAX_QUEUED_INPUTS = 1 << 18;

export interface TurnHost {
  readonly clock: Clock;
  readonly context: Context;
  readonly store: Store;
  readonly clients: ClientTable;
  readonly counters: Counters;
  readonly lateness: Lateness;
  /** Outbox of a peer to which messages may go now, else null: what is for it is lost. */
  outboxFor(replica: ReplicaId): Outbox | null;
  eachOutbox(visit: (outbox: Outbox) => void): void;
  onSent(replica: ReplicaId): void;
  /** An answer of this replica to itself; true when it was for somebody outside of the lanes. */
  onOwnReply(message: StateReplyMessage): boolean;
  onAlarm(key: Key, text: string): void;
  /** P30: what the disk holds of a key is broken. */
  onTainted(): void;
  /** A batch was not made durable. The own records of its lanes can no longer be believed. */
  onBatchFailed(status: string): void;
}

interface QueuedInput {
  readonly key: Key;
  readonly input: Input;
}

const TICK: Input = { type: "tick" };

export class TurnLoop {
  readonly #host: TurnHost;
  readonly #lanes = new LaneTable();
  readonly #loader: Loader;
  readonly #held = new HeldMessages();
  readonly #effects = new Effects();
  readonly #header = new Uint8Array(RECORD_HEADER_BYTES);
  readonly #wheel: TimingWheel<LaneSlot>;
  #inputs: QueuedInput[] = [];
  #batchBytes = 0;
  readonly #mostBatchBytes: number;
  /** D18: what rides on frames; asked for once a turn and after each flush, not per message. */
  #watermark = 0;
  #touched: LaneSlot[] = [];
  #scheduled = false;
  #stopped = false;
  #timer: TimerHandle | null = null;
  #timerTick = 0;
  /** Hears of keys that were changed. */
  listener: ChangeListener | null = null;
  /** What wants to run at the end of the next turn: answers that must not come during the call that asked. */
  #afterwards: (() => void)[] = [];

  constructor(host: TurnHost) {
    this.#host = host;
    this.#wheel = new TimingWheel<LaneSlot>(host.clock.tick());
    this.#watermark = host.store.watermark();
    const extents = host.store.facts.volumes.map(({ extentBytes }) => extentBytes * MAX_BATCH_SHARE);
    this.#mostBatchBytes = Math.min(MAX_BATCH_BYTES, ...extents);
    this.#loader = new Loader({
      context: host.context,
      store: host.store,
      onLane: (lane, inputs) => {
        const slot = this.#lanes.add(lane);
        for (const input of inputs) this.#step(slot, input);
      },
      onDamaged: (key, reason) => {
        host.onAlarm(key, `P30: ${reason}; this replica is learner-only for the key`);
        host.onTainted();
      },
    });
  }

  get lanes(): number {
    return this.#lanes.size;
  }

  /** True while the key's state is in memory, whatever became of its records on disk. */
  hasLane(key: Key): boolean {
    return this.#lanes.get(key) !== undefined;
  }

  /** Token that what is put into the store now will have. */
  get nextToken(): number {
    return this.#held.nextToken;
  }

  /** Lanes with an accepted entry of which it is not known whether it was chosen, by the levels of P27. */
  undecided(): { readonly level1: number; readonly level2: number } {
    const { tick, settleTicks } = this.#host.context;
    const levels = { level1: 0, level2: 0 };
    for (const { lane } of this.#lanes.values()) {
      if (lane.plog.acceptedEntry === null) continue;
      if (lane.busySinceTick > 0 && tick >= lane.busySinceTick + settleTicks) levels.level2++;
      else levels.level1++;
    }
    return levels;
  }

  /** Hands an input over; it is stepped at the end of this turn. */
  enqueue(key: Key, input: Input): void {
    if (this.#stopped) return;
    this.#inputs.push({ key, input });
    this.schedule();
  }

  /** A message of a peer: dropped when too much is waiting already. */
  enqueueMessage(from: ReplicaId, message: Message): void {
    if (this.#inputs.length >= MAX_QUEUED_INPUTS || this.#held.pending >= MAX_PENDING_BATCHES) return;
    this.enqueue(message.key, { type: "message", from, message });
  }

  /** Runs `run` at the end of the next turn, or soon when there will be none. */
  afterTurn(run: () => void): void {
    if (this.#stopped) {
      this.#host.clock.defer(run);
      return;
    }
    this.#afterwards.push(run);
    this.schedule();
  }

  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#host.clock.defer(this.#run);
  }

  /** Steps every lane with a tick: suspicion or the right to vote has changed. */
  wakeAll(): void {
    for (const slot of this.#lanes.values()) this.enqueue(slot.lane.key, TICK);
  }

  /** Batches on their way to the disk. */
  get batches(): number {
    return this.#held.pending;
  }

  /** Says something to a peer at the end of this turn. */
  send(to: ReplicaId, message: Message): void {
    if (this.#stopped) return;
    this.#dispatch(to, message);
    this.schedule();
  }

  /** P31: a peer has lost its disk. What it said before is taken back wherever it is counted, and not heard any more. */
  forgetPeer(replica: ReplicaId): void {
    for (const { lane } of this.#lanes.values()) forgetVotes(lane, replica);
    dropOfPeer(this.#inputs, replica, ({ input }) => input);
    this.#loader.forgetPeer(replica);
  }

  /** Forgets everything that is in memory only, as a crash would: what is said from now on comes from the disk. */
  clear(): void {
    for (const slot of this.#lanes.values()) this.#wheel.remove(slot);
    this.#lanes.clear();
    this.#loader.clear();
    this.#held.clear();
    this.#inputs = [];
    this.#touched = [];
  }

  /** The store's answer to a read of ours. */
  onRead(...answer: Parameters<Loader["onRead"]>): void {
    if (this.#stopped) return; // who waited for it was answered, and a closing store may not be asked again
    this.#loader.onRead(...answer);
    this.schedule();
  }

  /** The store made everything up to `token` durable, or says that the batch with this token failed. */
  onDurable(token: number, status: string): void {
    if (this.#stopped) return;
    this.#watermark = this.#host.store.watermark();
    for (let batch = this.#held.takeUpTo(token); batch !== null; batch = this.#held.takeUpTo(token)) {
      if (status !== "ok") {
        this.#host.onBatchFailed(status);
        return; // P2: what was held for it never leaves, nor what stands on it
      }
      for (let i = 0; i < batch.slots.length; i++) {
        const slot = batch.slots[i];
        const sequence = batch.sequences[i];
        if (slot === undefined || sequence === undefined) continue;
        this.#inputs.push({ key: slot.lane.key, input: { type: "persisted", sequence } });
      }
      for (const envelope of batch.envelopes) this.#dispatch(envelope.to, envelope.message);
    }
    this.schedule();
  }

  /** Ends the loop: nothing is stepped or said any more. What was put into the store is handed over. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    this.#inputs = [];
    this.#handOver();
    for (const run of this.#afterwards.splice(0)) this.#host.clock.defer(run);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    if (this.#stopped) return;
    const { context, clock, lateness } = this.#host;
    context.tick = clock.tick();
    context.lateTicks = lateness.at(context.tick);
    context.wallMs = clock.wallMs();
    context.turn++;
    noteRoom(context, this.#host.store); // merge may have taken what was there after the last batch
    this.#watermark = this.#host.store.watermark();
    this.#wheel.advance(context.tick, (slot) => this.#inputs.push({ key: slot.lane.key, input: TICK }));
    for (let round = 0; round < MAX_ROUNDS && this.#inputs.length > 0; round++) this.#stepAll();
    this.#endTurn();
    if (this.#inputs.length > 0) this.schedule();
  };

  #stepAll(): void {
    const inputs = this.#inputs;
    this.#inputs = [];
    const strangers = new Map<Key, Input[]>();
    for (const { key, input } of inputs) {
      const slot = this.#lanes.get(key);
      if (slot !== undefined) {
        this.#step(slot, input);
        continue;
      }
      if (isForLivingLane(input) || this.#loader.enqueue(key, input)) continue;
      const waiting = strangers.get(key);
      if (waiting === undefined) strangers.set(key, [input]);
      else waiting.push(input);
    }
    if (strangers.size === 0) return;
    this.#loader.load([...strangers.keys()], (key, records) => {
      this.#meet(key, records, strangers.get(key) ?? []);
    });
  }

  /** A key without a lane: questions are answered from the headers, everything else opens one. */
  #meet(key: Key, records: LoadedKey, inputs: readonly Input[]): void {
    const rest: Input[] = [];
    for (const input of inputs) {
      if (rest.length === 0 && input.type === "message" && input.message.type === "state-query") {
        const answer = this.#loader.answerFromHeaders(records, input.message);
        if (answer !== null) {
          this.#dispatch(input.from, answer);
          continue;
        }
      }
      rest.push(input);
    }
    if (rest.length > 0) this.#loader.open(key, records, rest);
  }

  #step(slot: LaneSlot, input: Input): void {
    if (this.#stopped) return; // by somebody who was answered in this turn
    const { context } = this.#host;
    const effects = this.#effects;
    effects.clear();
    const { version } = slot.lane.plog.chosen;
    step(context, slot.lane, input, effects);
    this.#tellChange(slot.lane, version);
    if (effects.restored) this.#host.counters.restored++;
    if (slot.touchedTurn !== context.turn) {
      slot.touchedTurn = context.turn;
      this.#touched.push(slot);
    }
    this.#persist(slot);
    const token = slot.lane.durable === slot.lane.writes || this.#held.hasEnded(slot.lastToken) ? 0 : slot.lastToken;
    for (const envelope of effects.send) this.#dispatch(envelope.to, envelope.message);
    for (const envelope of effects.sendWhenDurable) {
      if (token === 0) this.#dispatch(envelope.to, envelope.message);
      else this.#held.hold(envelope, token);
    }
    this.#answer();
    if (effects.wakeAtTick === 0) this.#wheel.remove(slot);
    else if (effects.wakeAtTick !== SAME_WAKE) {
      this.#wheel.add(slot, effects.wakeAtTick);
    }
    if (effects.alarm !== null) this.#host.onAlarm(slot.lane.key, effects.alarm);
    if (this.#batchBytes >= this.#mostBatchBytes) this.#handOver();
  }

  #tellChange({ key, plog: { chosen } }: Lane, before: number): void {
    if (this.listener !== null && chosen.version !== before && isUserKey(key))
      this.listener(key, chosen.version, !chosen.tombstone);
  }

  #persist(slot: LaneSlot): void {
    const { store, counters } = this.#host;
    const { persist, mark } = this.#effects;
    if (persist.length === 0 && mark === 0) return;
    const { key } = slot.lane;
    if (mark > 0) {
      // If the step went on from there, this is a mark for a record that is put below: the store ignores it.
      const marked = markedRecord(slot.lane);
      encodeHeader(marked, this.#header);
      store.mark(key, marked.index, marked.index, this.#header); // decided: nobody needs what is below
    }
    if (this.#effects.erase) store.drop(key); // one run with what follows (D6)
    for (const write of persist) {
      encodeHeader(write, this.#header);
      const value = recordValue(write);
      store.put(key, write.index, write.floor, this.#header, value);
      this.#batchBytes += key.length + RECORD_HEADER_BYTES + value.length;
    }
    counters.records += persist.length;
    this.#held.addLane(slot, slot.lane.writes);
  }

  /** One batch for everything that was put since the last one. */
  #handOver(): void {
    const { store, context } = this.#host;
    const token = store.submit();
    this.#batchBytes = 0;
    if (token === 0) return;
    this.#held.submitted(token);
    noteRoom(context, store);
  }

  #answer(): void {
    const { clients, counters } = this.#host;
    for (const { client, outcome } of this.#effects.writeReplies) {
      if (this.#stopped) return; // whom we told has stopped the node, and so everybody was told
      if (outcome.status === "unknown") counters.writesUnknown++;
      else if (outcome.status === "not-applied") counters.writesNotApplied++;
      else counters.writesOk++;
      const tag = clients.tagOf(client);
      clients.take(client).onWrite(tag, outcome);
    }
    for (const { client, outcome } of this.#effects.readReplies) {
      if (this.#stopped) return;
      const tag = clients.tagOf(client);
      clients.take(client).onRead(tag, outcome);
    }
  }

  /** Sends a message that nothing holds back any more; those to ourselves are inputs of this turn. */
  #dispatch(to: ReplicaId, message: Message): void {
    const { context, counters } = this.#host;
    if (to === context.self) {
      if (message.type === "state-reply" && this.#host.onOwnReply(message)) return;
      this.#inputs.push({ key: message.key, input: { type: "message", from: to, message } });
      return;
    }
    counters.count(message);
    const outbox = this.#host.outboxFor(to);
    if (outbox === null) return;
    outbox.add(message, this.#watermark, context.tick);
    this.#host.onSent(to);
  }

  #endTurn(): void {
    const { context, clock } = this.#host;
    this.#handOver();
    let marksWait = false;
    this.#host.eachOutbox((outbox) => {
      outbox.flush(this.#watermark, context.tick);
      marksWait ||= outbox.hasWaitingMarks;
    });
    for (const slot of this.#touched) this.#lanes.dropIfIdle(slot);
    this.#touched = [];
    const afterwards = this.#afterwards;
    this.#afterwards = [];
    for (const run of afterwards) run();
    const next = this.#wheel.nextTick();
    this.#arm(
      marksWait ? Math.min(next === 0 ? Number.MAX_SAFE_INTEGER : next, context.tick + MARK_PATIENCE_TICKS) : next,
      clock,
    );
  }

  /** One timer for everything that waits for time. */
  #arm(tick: number, clock: Clock): void {
    if (tick === 0 || (this.#timer !== null && this.#timerTick <= tick)) return;
    this.#timer?.cancel();
    this.#timerTick = tick;
    this.#timer = clock.after(Math.max(1, tick - this.#host.context.tick), () => {
      this.#timer = null;
      this.schedule();
    });
  }
}

/**
 * Answers to what a lane had asked. When the lane is at rest they come too late (the third vote of three usually does):
 * opening a lane for them would change nothing.
 */
function isForLivingLane(input: Input): boolean {
  if (input.type === "tick" || input.type === "persisted") return true;
  if (input.type !== "message") return false;
  switch (input.message.type) {
    case "promise":
    case "accepted":
    case "submit-refused":
    case "forward-reply":
    case "state-reply":
      return true;
    default:
      return false;
  }
}

/** P13: the record on disk that holds the chosen entry, as its header reads from now on in memory. */
function markedRecord(lane: Lane): RecordWrite {
  const { chosen, chosenBallot } = lane.plog;
  return {
    index: chosen.index,
    floor: chosen.index,
    promised: NO_BALLOT,
    accepted: chosenBallot,
    entry: chosen,
    proposer: 0,
    chosen: true,
    baseHash: 0,
    ...standingOf(lane),
    live: countsAsLive(lane, chosen),
  };
}
