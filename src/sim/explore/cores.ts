/**
 * The real cores, one at a time: every state that a replica was ever in and every message that was ever sent has a
 * number, and a step is taken once for each pair of state and input; its outcome is remembered. What makes the search
 * fast is that a state of the whole world is then a few numbers, and that most of its steps were taken before in other
 * company. The step itself is that of the soup world, by the real core.
 */
import { assert } from "../../base/assert.js";
import type { Key } from "../../base/key.js";
import { compareBallots, isBallot, NO_BALLOT, type Ballot } from "../../paxos/ballot.js";
import { type RecordWrite, SAME_WAKE } from "../../paxos/effects.js";
import type { Entry } from "../../paxos/entry.js";
import type { Lane } from "../../paxos/lane.js";
import type { Message } from "../../paxos/message.js";
import type { Operation as CoreOperation, ReadOutcome, WriteOutcome } from "../../paxos/operation.js";
import type { Input } from "../../paxos/replica.js";
import type { Batch } from "../soup/disk.js";
import { bytes } from "../soup/value-model.js";
import { type Loss, type Observer, type Replica, type Tamper, World } from "../soup/world.js";
import { isDead } from "./dead-letters.js";
import { CopiedHandoffs, copyReplica, nameOf, nameOfMessage, FAR, NO_CHANCE, normalise, NOW } from "./replica-copy.js";
import { type Operation, operationsOf, pairsOf, type Scope } from "./scope.js";

export const REPLICAS = 3;
export const PATIENCE = 6;
export const SETTLE = 40;
/** Requests of the scope are numbered by their operations, others begin here. */
const NO_REQUEST = 50;

/** What is in the soup, for good: a message for somebody (null: word of a new incarnation), or the fact that a disk holds a vote. */
export type Thing =
  | {
      readonly kind: "message";
      readonly from: number;
      readonly incarnation: number;
      readonly to: number;
      readonly message: Message | null;
    }
  | { readonly kind: "vote"; readonly replica: number; readonly ballot: Ballot; readonly entry: Entry };

/** What a replica does or has done to it. `about` is a thing, an operation or a replica. */
export const ACTS = ["deliver", "flush", "crash", "tear", "lose-disk", "wake", "begin", "doubt"] as const;
export type Act = (typeof ACTS)[number];

export interface Reply {
  readonly operation: number;
  readonly outcome: WriteOutcome | ReadOutcome;
}

/** The outcome of one act on one state of a replica. */
export interface Transition {
  readonly next: number;
  /** What it put into the soup, rising. */
  readonly things: Int32Array;
  readonly replies: readonly Reply[];
  readonly durable: readonly RecordWrite[];
  /** What the replica itself shows to be wrong. */
  readonly problem: string | null;
}

/** What the search must know of a replica's state without looking into it. */
export interface CoreState {
  readonly replica: Replica;
  readonly chosen: Entry;
  /** 0: time alone changes nothing here. */
  readonly wakeTick: number;
  readonly waits: boolean;
  /** A crash would change something. */
  readonly touched: boolean;
  readonly queued: number;
  /** Records of the batch that is flushed next. */
  readonly nextRecords: number;
  readonly votes: boolean;
  readonly transitions: Map<number, Transition>;
  /** By thing, when it was asked for. */
  readonly dead: (boolean | undefined)[];
}

/** Notes what a step does; the rules that one replica alone can break are looked at here. */
class Notes implements Observer {
  replies: Reply[] = [];
  durable: RecordWrite[] = [];
  problem: string | null = null;
  /** Of the disk before the step, brought up to date by every record. */
  held = { index: 0, promised: NO_BALLOT, accepted: NO_BALLOT };
  checksLeaving = true;

  begin(replica: Replica, key: Key): void {
    this.replies = [];
    this.durable = [];
    this.problem = null;
    this.held = { index: 0, promised: NO_BALLOT, accepted: NO_BALLOT };
    for (const slot of replica.disk.slotsOf(key)) this.#hold(slot.write);
  }

  fail(problem: string): void {
    this.problem ??= problem;
  }

  #hold(write: RecordWrite): void {
    const { index, promised, accepted } = write;
    this.held = write.chosen
      ? { index: index + 1, promised: NO_BALLOT, accepted: NO_BALLOT }
      : { index, promised, accepted };
  }

  onStep(
    replica: Replica,
    _lane: Lane,
    _input: Input,
    effects: { readonly alarm: string | null; readonly persist: readonly RecordWrite[] },
  ): void {
    if (effects.alarm !== null) this.fail(`ALARM: ${effects.alarm}`);
    if (!replica.context.mayVote && effects.persist.some((write) => !write.chosen))
      this.fail("P30: a learner promises or accepts");
  }

  onLeave(replica: Replica, _lane: Lane | undefined, { message }: { readonly message: Message }): void {
    if (!this.checksLeaving || replica.disk.torn) return;
    const holds = (index: number, ballot: Ballot, what: "promised" | "accepted"): boolean =>
      this.held.index > index || (this.held.index === index && compareBallots(this.held[what], ballot) >= 0);
    let good = true;
    if (message.type === "promise" && message.granted) good = holds(message.index, message.ballot, "promised");
    else if (message.type === "accepted" && message.granted) good = holds(message.index, message.ballot, "accepted");
    else if (message.type === "state-reply" && isBallot(message.accepted))
      good = holds(message.chosenIndex + 1, message.accepted, "accepted");
    if (!good) this.fail(`P2: ${message.type} leaves before its record is durable`);
  }

  onDurable(_replica: Replica, batch: Batch): void {
    for (const write of batch.writes) {
      const { held } = this;
      if (write.index < held.index - 1 || (write.index < held.index && !write.chosen))
        this.fail("P24: the disk goes back");
      if (!write.chosen && write.index === held.index) {
        if (compareBallots(write.promised, held.promised) < 0) this.fail("P1: the promise on the disk is lowered");
        if (compareBallots(write.accepted, held.accepted) < 0) this.fail("P1: the accept on the disk is lowered");
      }
      if (compareBallots(write.accepted, write.promised) > 0) this.fail("P1: accepted above the promise");
      this.durable.push(write);
      this.#hold(write);
    }
  }

  onCrash(): void {
    // What clients lose by it is the search's affair.
  }

  onWriteReply(_replica: Replica, _key: Key, client: number, outcome: WriteOutcome): void {
    this.replies.push({ operation: client, outcome });
  }

  onReadReply(_replica: Replica, _key: Key, client: number, outcome: ReadOutcome): void {
    this.replies.push({ operation: client, outcome });
  }
}

export interface CoresOptions {
  readonly scope: Scope;
  readonly key: Key;
  readonly tamper?: Tamper;
  /** Off for variants that let messages leave early: their consequences must be found. */
  readonly checksLeaving?: boolean;
}

export class Cores {
  readonly states: CoreState[] = [];
  readonly things: Thing[] = [];
  /** By number of the thing: who receives it, -1 for a vote. */
  readonly receivers: number[] = [];
  readonly operations: readonly Operation[];
  readonly key: Key;
  /** The replicas as they are before anything has happened. */
  readonly first: readonly number[];
  /** Steps of the real core. */
  steps = 0;
  readonly #stateNumbers = new Map<string, number>();
  readonly #thingNumbers = new Map<string, number>();
  readonly #world: World;
  readonly #notes = new Notes();
  readonly #slow: ReadonlySet<number>;
  /** Who may crash or lose its disk. */
  readonly #forgets: ReadonlySet<number>;
  readonly #lost: ReadonlySet<string>;
  readonly #cut: ReadonlySet<string>;
  readonly #deadline: number;

  constructor(options: CoresOptions) {
    const { scope, key, tamper } = options;
    this.key = key;
    this.operations = operationsOf(scope);
    const crashes = (scope.crashes ?? 0) > 0 ? (scope.crashOf ?? [0, 1, 2]) : [];
    this.#forgets = new Set([...crashes, ...(scope.lossOf ?? [])]);
    this.#slow = new Set(scope.slow ?? crashes);
    this.#lost = new Set(scope.lost ?? []);
    this.#cut = new Set(pairsOf(scope.cut).map(([from, to]) => `${String(from)}>${String(to)}`));
    this.#deadline = scope.deadline === undefined ? FAR : NOW + scope.deadline;
    this.#notes.checksLeaving = options.checksLeaving ?? true;
    this.#world = newWorld(this.#notes, tamper);
    for (const [replica, suspected] of pairsOf(scope.suspects)) {
      this.#world.replica(replica).context.suspected[suspected] = true;
    }
    this.first = this.#world.replicas.map((replica) => {
      replica.context.lastRequest = NO_REQUEST;
      const copy = copyReplica(replica);
      normalise(copy, NOW);
      return this.#number(copy);
    });
  }

  /** True when the thing means nothing any more to its receiver in this state, nor in any that follows. */
  isDead(thing: number, stateNumber: number): boolean {
    const { dead, replica } = this.state(stateNumber);
    let known = dead[thing];
    if (known === undefined) {
      const letter = this.thing(thing);
      if (letter.kind === "vote") known = false;
      else if (letter.message === null) {
        known = (replica.context.peerIncarnations[letter.from] ?? 0) >= letter.incarnation;
      } else
        known = isDead(letter.message, replica, this.#world.laneOf(replica, this.key), this.#forgets.has(replica.id));
      dead[thing] = known;
    }
    return known;
  }

  state(number: number): CoreState {
    const state = this.states[number];
    assert(state !== undefined, "a state has a number");
    return state;
  }

  thing(number: number): Thing {
    const thing = this.things[number];
    assert(thing !== undefined, "a thing has a number");
    return thing;
  }

  transition(number: number, act: number, about: number): Transition {
    const { transitions } = this.state(number);
    const name = about * ACTS.length + act;
    let transition = transitions.get(name);
    if (transition === undefined) {
      transition = this.#take(number, ACTS[act] ?? "flush", about);
      transitions.set(name, transition);
    }
    return transition;
  }

  #take(number: number, act: Act, about: number): Transition {
    const world = this.#world;
    const replica = copyReplica(this.state(number).replica);
    world.replicas[replica.id] = replica;
    world.wire = [];
    world.tick = NOW;
    this.#notes.begin(replica, this.key);
    const { incarnation } = replica.context;
    try {
      this.#act(replica, act, about);
      this.#finish(replica);
    } catch (error) {
      this.#notes.fail(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
    const now = world.replica(replica.id);
    const found = new Set<number>();
    if (now.context.incarnation !== incarnation) this.#announce(now, found);
    for (const { from, fromIncarnation, to, message } of world.wire) {
      if (this.#lost.has(message.type) || this.#cut.has(`${String(from)}>${String(to)}`)) continue;
      found.add(this.#letter(from, fromIncarnation, to, message));
    }
    for (const { chosen, accepted, entry } of this.#notes.durable) {
      if (!chosen && entry !== null && isBallot(accepted)) found.add(this.#vote(replica.id, accepted, entry));
    }
    normalise(now, world.tick);
    const { replies, durable, problem } = this.#notes;
    return { next: this.#number(now), things: Int32Array.from(found).sort(), replies, durable, problem };
  }

  #act(replica: Replica, act: Act, about: number): void {
    const world = this.#world;
    this.steps++;
    switch (act) {
      case "deliver": {
        const thing = this.thing(about);
        assert(thing.kind === "message", "only a message is delivered");
        if (thing.message === null) world.bind(replica, thing.from, thing.incarnation);
        else
          world.deliver({
            from: thing.from,
            fromIncarnation: thing.incarnation,
            to: replica.id,
            message: thing.message,
            readyTick: 0,
          });
        return;
      }
      case "flush":
        world.flush(replica, about);
        return;
      case "crash":
      case "tear":
      case "lose-disk": {
        const loss: Loss = act === "crash" ? "unflushed" : act === "tear" ? "torn" : "disk";
        const torn = act === "tear" ? replica.queue.slice(0, 1) : [];
        world.crash(replica, 0, false, loss);
        replica.context.lastRequest = NO_REQUEST;
        for (const batch of torn) this.#afterTear(replica, batch);
        return;
      }
      case "wake": {
        world.tick = Math.max(NOW, replica.wakes.get(this.key) ?? 0);
        world.input(replica, this.key, { type: "tick" });
        return;
      }
      case "begin":
        world.input(replica, this.key, this.#input(replica, about));
        return;
      case "doubt":
        world.setSuspected(replica, about, true);
        return;
    }
  }

  /** For a disk that takes no time, what was asked for is durable at once. */
  #finish(replica: Replica): void {
    if (this.#slow.has(replica.id)) return;
    for (let runs = 0; replica.queue.length > 0; runs++) {
      assert(runs < 100, "a replica goes on for ever by itself");
      this.#world.flush(replica);
    }
  }

  /** Where the record that was found fits what lies below it, it is as good as flushed; else the key is tainted (P13). */
  #afterTear(replica: Replica, batch: Batch): void {
    const { plog } = this.#world.laneOf(replica, this.key);
    if (!plog.learner) this.#notes.onDurable(replica, { ...batch, writes: batch.writes.slice(-1) });
  }

  #input(replica: Replica, number: number): Input {
    const { context } = replica;
    const operation = this.operations[number];
    assert(operation !== undefined, "an operation of the scope");
    const deadlineTick = this.#deadline;
    const write = coreOperation(operation, number);
    if (write === null) return { type: "read", client: number, deadlineTick };
    const request = { replica: replica.id, incarnation: context.incarnation, counter: number + 1 };
    return { type: "write", client: number, request, operation: write, deadlineTick };
  }

  #announce(replica: Replica, found: Set<number>): void {
    for (let to = 0; to < REPLICAS; to++) {
      if (to !== replica.id) found.add(this.#letter(replica.id, replica.context.incarnation, to, null));
    }
  }

  #letter(from: number, incarnation: number, to: number, message: Message | null): number {
    const name = `${String(from)}.${String(incarnation)}>${String(to)} ${message === null ? "" : nameOfMessage(message)}`;
    return this.#thing(name, { kind: "message", from, incarnation, to, message });
  }

  #vote(replica: number, ballot: Ballot, entry: Entry): number {
    const name = `${String(replica)} ${nameOfMessage(ballot)}${String(entry.index)} ${String(entry.hash)}`;
    return this.#thing(name, { kind: "vote", replica, ballot, entry });
  }

  #thing(name: string, thing: Thing): number {
    let number = this.#thingNumbers.get(name);
    if (number === undefined) {
      number = this.things.length;
      this.#thingNumbers.set(name, number);
      this.things.push(thing);
      this.receivers.push(thing.kind === "message" ? thing.to : -1);
    }
    return number;
  }

  #number(replica: Replica): number {
    this.#world.laneOf(replica, this.key); // a lane comes to life by itself: whether it did yet makes no difference
    const name = nameOf(replica);
    let number = this.#stateNumbers.get(name);
    if (number === undefined) {
      number = this.states.length;
      this.#stateNumbers.set(name, number);
      this.states.push(this.#describe(replica));
    }
    return number;
  }

  #describe(replica: Replica): CoreState {
    const lane = this.#world.laneOf(replica, this.key);
    const wake = replica.wakes.get(this.key) ?? 0;
    const { plog, operations, forwarded, read, round } = lane;
    const waits = operations.length + forwarded.length > 0 || read !== null || round !== null;
    return {
      replica,
      chosen: plog.chosen,
      wakeTick: wake >= FAR || wake === SAME_WAKE ? 0 : wake,
      waits,
      touched: waits || replica.queue.length > 0 || isBallot(plog.promised) || lane.zeroUsedAt > 0,
      queued: replica.queue.length,
      nextRecords: replica.queue[0]?.writes.length ?? 0,
      votes: replica.context.mayVote && !plog.learner && !lane.quarantined,
      transitions: new Map(),
      dead: [],
    };
  }
}

export function newWorld(observer: Observer, tamper?: Tamper): World {
  return new World({
    replicas: REPLICAS,
    seed: 1,
    patienceTicks: PATIENCE,
    settleTicks: SETTLE,
    observer,
    newRandom: () => NO_CHANCE,
    newHandoffs: () => new CopiedHandoffs(),
    ...(tamper === undefined ? {} : { tamper }),
  });
}

/** What an operation of a scope is for the core; a set's value tells which it was. */
export function coreOperation({ ask }: Operation, number: number): CoreOperation | null {
  const value = bytes(String.fromCharCode("a".charCodeAt(0) + number));
  switch (ask) {
    case "read":
      return null;
    case "delete":
      return { kind: "delete" };
    case "add":
      return { kind: "add", delta: "1" };
    case "set":
      return { kind: "set", value, expiryMs: 0, condition: { kind: "none" }, returnOld: false };
    case "create":
      return { kind: "set", value, expiryMs: 0, condition: { kind: "absent" }, returnOld: false };
  }
}
