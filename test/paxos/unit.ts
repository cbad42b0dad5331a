/**
 * One replica alone, for claims about single rules: it hears messages that the test makes up, and shows what it sends,
 * before and after its disk has flushed. No oracle: the other replicas are fiction.
 */
import { type Ballot, NO_BALLOT, ordinaryBallot, type ReplicaId } from "../../src/paxos/ballot.js";
import type { Envelope } from "../../src/paxos/effects.js";
import { type AppliedRequest, type Entry, makeEntry } from "../../src/paxos/entry.js";
import type { Lane } from "../../src/paxos/lane.js";
import type { AcceptMessage, Message, PrepareMessage, StateReplyMessage } from "../../src/paxos/message.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../../src/paxos/operation.js";
import { keyLedBy } from "../../src/sim/soup/keys.js";
import { PATIENCE, SETTLE } from "../../src/sim/soup/story.js";
import { bytes } from "../../src/sim/soup/value-model.js";
import { type Replica, World } from "../../src/sim/soup/world.js";

export function entryAt(index: number, value: string, leader = 0, requests: readonly AppliedRequest[] = []): Entry {
  return makeEntry(
    { index, tombstone: false, version: index, expiryMs: 0, leader, coveredFrom: 1, value: bytes(value) },
    requests,
  );
}

export const low = ordinaryBallot(1, 1, 1);
export const high = ordinaryBallot(2, 1, 1);

export class Unit {
  readonly world: World;
  readonly self: Replica;
  readonly key = keyLedBy(0);
  readonly writes: WriteOutcome[] = [];
  readonly reads: ReadOutcome[] = [];
  alarm: string | null = null;
  /** Everything that left, to itself included. */
  #left: Envelope[] = [];

  constructor(self: ReplicaId = 0) {
    const nothing = (): void => undefined;
    this.world = new World({
      replicas: 3,
      seed: 3,
      patienceTicks: PATIENCE,
      settleTicks: SETTLE,
      observer: {
        onStep: (_replica, _lane, _input, effects) => {
          this.alarm ??= effects.alarm;
        },
        onLeave: (_replica, _lane, envelope) => {
          this.#left.push(envelope);
        },
        onDurable: nothing,
        onCrash: nothing,
        onWriteReply: (_replica, _key, _client, outcome) => {
          this.writes.push(outcome);
        },
        onReadReply: (_replica, _key, _client, outcome) => {
          this.reads.push(outcome);
        },
      },
    });
    this.self = this.world.replica(self);
  }

  get lane(): Lane {
    return this.world.laneOf(this.self, this.key);
  }

  /** What left for others since the last call. */
  sent(): Message[] {
    this.world.wire = [];
    return this.#left
      .splice(0)
      .filter(({ to }) => to !== this.self.id)
      .map(({ message }) => message);
  }

  /** Hears a message; what leaves before anything is durable. */
  hear(from: ReplicaId, message: Message): Message[] {
    this.world.input(this.self, this.key, { type: "message", from, message });
    return this.sent();
  }

  /** Hears a message, flushes; all that leaves. */
  hearAndFlush(from: ReplicaId, message: Message): Message[] {
    const first = this.hear(from, message);
    return [...first, ...this.flush()];
  }

  flush(): Message[] {
    this.world.flush(this.self);
    return this.sent();
  }

  ask(operation: Operation | null, ticks = 1000): Message[] {
    const { context } = this.self;
    const deadlineTick = this.world.tick + ticks;
    if (operation === null) {
      this.world.input(this.self, this.key, { type: "read", client: 1, deadlineTick });
      return this.sent();
    }
    context.lastRequest++;
    const request = { replica: context.self, incarnation: context.incarnation, counter: context.lastRequest };
    this.world.input(this.self, this.key, { type: "write", client: 1, request, operation, deadlineTick });
    return this.sent();
  }

  pass(ticks: number): Message[] {
    for (let i = 0; i < ticks; i++) this.world.passTick();
    return this.sent();
  }

  prepare(index: number, ballot: Ballot, extra: Partial<PrepareMessage> = {}): PrepareMessage {
    return { type: "prepare", key: this.key, index, ballot, mark: NO_BALLOT, base: null, ...extra };
  }

  accept(ballot: Ballot, entry: Entry, extra: Partial<AcceptMessage> = {}): AcceptMessage {
    const { index } = entry;
    return { type: "accept", key: this.key, index, ballot, entry, proposer: 1, mark: NO_BALLOT, base: null, ...extra };
  }

  /** A voter's state, as an answer to the last question of this replica. */
  state(extra: Partial<StateReplyMessage> = {}): StateReplyMessage {
    return {
      type: "state-reply",
      key: this.key,
      query: this.lane.read?.query ?? 0,
      votes: true,
      chosenIndex: 0,
      chosenBallot: NO_BALLOT,
      leader: 0,
      accepted: NO_BALLOT,
      proposer: 0,
      entry: null,
      ...extra,
    };
  }

  /** Takes `entry` as chosen, as told by another replica. */
  learn(entry: Entry): void {
    this.hearAndFlush(1, { type: "learn", key: this.key, entry });
  }
}
