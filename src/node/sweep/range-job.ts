/**
 * Some neighbouring buckets, compared with what some peers hold of them: asked for, looked at, acted on, and looked at once
 * more until nothing is left to be done. It knows keys and states; when it may go on is its owner's affair.
 */
import { type Key, isReplicated } from "../../base/key.js";
import { heldState } from "../../codec/record.js";
import type { KeyState, ListReply } from "../../codec/sweep.js";
import type { ReplicaId } from "../../paxos/ballot.js";
import { brokenOf } from "./answers.js";
import { NOT_POLLED } from "../../paxos/restore.js";
import { type Action, compare, type OwnState, type PeerState } from "./compare.js";
import type { SweepHost } from "./host.js";
import type { Findings } from "./findings.js";

/** What is in flight when the lists come has this long to end by itself. */
const SETTLE_TICKS = 20;
const MAX_CHECKS = 6;
/** A peer that does not answer within this time is not waited for any longer. */
const ANSWER_TICKS = 2000;
const KEYS_PER_STEP = 256;

interface Listed {
  readonly replica: ReplicaId;
  readonly states: Map<Key, KeyState>;
  open: boolean;
  done: boolean;
}

interface Step {
  readonly key: Key;
  readonly action: Action;
}

export interface RangeOptions {
  readonly first: number;
  readonly end: number;
  readonly query: number;
  readonly peers: readonly ReplicaId[];
  /** P31: all other replicas are asked, and all have confirmed the present loss. */
  readonly isPoll: boolean;
  /** P31: what a second replica has lost too is given up. */
  readonly acceptsLoss: boolean;
}

export class RangeJob {
  readonly #host: SweepHost;
  readonly #options: RangeOptions;
  readonly #findings: Findings;
  readonly #loss: number;
  readonly #lists: readonly Listed[];
  #phase: "listing" | "waiting" | "acting" | "over" = "listing";
  #dueTick: number;
  #checks = 0;
  #steps: Step[] = [];
  #keys: ReadonlySet<Key> | null = null;
  /** Learners that were left as they are. */
  #unrestored = 0;
  #isWhole = true;
  #needsLoss = false;

  constructor(host: SweepHost, options: RangeOptions, findings: Findings) {
    this.#host = host;
    this.#options = options;
    this.#findings = findings;
    this.#loss = host.context.loss;
    this.#lists = options.peers.map((replica) => ({ replica, states: new Map(), open: false, done: false }));
    this.#dueTick = host.context.tick + ANSWER_TICKS;
    for (const list of this.#lists) this.#ask(list, 0n);
  }

  get query(): number {
    return this.#options.query;
  }

  get isOver(): boolean {
    return this.#phase === "over";
  }

  /** All peers that were asked have told all, and nothing was left undone for want of time. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  get isPoll(): boolean {
    return this.#options.isPoll;
  }

  /** Learners that are left. */
  get unrestored(): number {
    return this.#unrestored;
  }

  /** P31: some of them are younger than the present loss, so that no question under it can restore them. */
  get needsLoss(): boolean {
    return this.#needsLoss;
  }

  /** Keys of which something is still to be done. */
  get backlog(): number {
    return this.#steps.length;
  }

  #ask(list: Listed, after: bigint): void {
    const { first, end, query } = this.#options;
    const sent = this.#host.send(list.replica, { type: "list-query", loss: this.#loss, query, first, end, after });
    if (!sent) this.#giveUp();
  }

  onList(replica: ReplicaId, { loss, keys, open, next }: ListReply): void {
    const list = this.#lists.find((one) => one.replica === replica);
    if (list === undefined || list.done || this.#phase !== "listing" || loss !== this.#loss) return;
    this.#dueTick = this.#host.context.tick + ANSWER_TICKS;
    for (const state of keys) list.states.set(state.key, state);
    list.open ||= open;
    if (next !== 0n) {
      this.#ask(list, next);
      return;
    }
    list.done = true;
    if (this.#lists.some(({ done }) => !done)) return;
    this.#phase = "waiting";
    this.#dueTick = this.#host.context.tick + SETTLE_TICKS;
  }

  /** A peer that is asked is gone. */
  onGone(replica: ReplicaId): void {
    if (this.#phase === "listing" && this.#options.peers.includes(replica)) this.#giveUp();
  }

  #giveUp(): void {
    this.#isWhole = false;
    this.#phase = "over";
  }

  /** Goes on as far as time and pace allow. */
  drive(): void {
    const { context } = this.#host;
    if (this.#phase === "listing") {
      if (context.tick >= this.#dueTick) this.#giveUp();
      return;
    }
    if (context.loss !== this.#loss) {
      this.#giveUp(); // what was asked under another loss says nothing under this one
      return;
    }
    if (this.#phase === "waiting" && context.tick >= this.#dueTick) this.#look();
    if (this.#phase === "acting") this.#act();
  }

  #look(): void {
    const steps = this.#compareAll();
    const first = this.#checks === 0;
    this.#checks++;
    if (first) this.#findings.count(steps.map(({ action }) => action));
    this.#unrestored = steps.filter(({ action: { kind } }) => isOfLearner(kind)).length;
    // A key that only this disk and another lost one held is in nobody's list: as long as both are open it may be there.
    const lostDisks = this.#host.context.lossOpen ? this.#lists.filter(({ open }) => open).length : 0;
    this.#findings.countLostDisks(lostDisks);
    if (lostDisks > 0 && !this.#options.acceptsLoss) this.#unrestored++;
    // What has a lane is in flight; only a learner's key is restored all the same.
    this.#steps = steps.filter(({ key, action: { kind } }) => {
      if (isLeft(kind) || (kind === "diverged" && !first)) return false;
      return isOfLearner(kind) || !this.#host.hasLane(key);
    });
    if (this.#steps.length === 0 || this.#checks > MAX_CHECKS) {
      if (this.#steps.some(({ action }) => isOfLearner(action.kind))) this.#isWhole = false;
      this.#steps = [];
      this.#phase = "over";
      return;
    }
    this.#phase = "acting";
  }

  #compareAll(): Step[] {
    const { context } = this.#host;
    const { isPoll, acceptsLoss } = this.#options;
    const standing = { loss: this.#loss, lossOpen: context.lossOpen, isPoll, acceptsLoss };
    const own = this.#ownStates();
    this.#needsLoss = [...own.values()].some(({ learner, loss }) => learner && loss > this.#loss);
    this.#keys ??= this.#keysToSee(own);
    const steps: Step[] = [];
    for (const key of this.#keys) {
      const peers = this.#lists.map(
        ({ replica, states, open }): PeerState => ({ replica, state: states.get(key) ?? null, open }),
      );
      const action = compare(own.get(key) ?? null, peers, standing);
      if (action.kind !== "none") steps.push({ key, action });
    }
    return steps;
  }

  /**
   * What was listed, and what was here when all lists had come. Keys that come later were nowhere when the others were asked:
   * they are the next pass's, or there would always be some.
   */
  #keysToSee(own: ReadonlyMap<Key, OwnState>): ReadonlySet<Key> {
    const keys = new Set<Key>(own.keys());
    for (const { states } of this.#lists) for (const key of states.keys()) keys.add(key);
    return keys;
  }

  #ownStates(): Map<Key, OwnState> {
    const { store, context } = this.#host;
    const own = new Map<Key, OwnState>();
    const { first, end } = this.#options;
    const cursor = store.beginIteration(store.placeOfBucket(first), store.placeOfBucket(end));
    while (!cursor.done) {
      store.iterate(cursor, KEYS_PER_STEP, (key, top, header) => {
        if (!isReplicated(key)) return;
        const held = heldState(top, header, context);
        own.set(key, held === null ? this.#broken(key, top) : { key, top, ...held, broken: false });
      });
    }
    for (const key of brokenOf(store, [...own.keys()])) own.set(key, this.#broken(key, own.get(key)?.top ?? 1));
    return own;
  }

  /** Nothing of it may be believed, and it is a loss of its own. */
  #broken(key: Key, top: number): OwnState {
    const loss = this.#host.context.loss + 1;
    return {
      key,
      top,
      chosenIndex: 0,
      chosenHash: 0,
      acceptedHash: 0,
      learner: true,
      votes: false,
      loss,
      broken: true,
    };
  }

  #act(): void {
    const { pace, context } = this.#host;
    let at = 0;
    for (; at < this.#steps.length; at++) {
      const step = this.#steps[at];
      if (step === undefined || !pace.mayTake) break;
      pace.takeKey();
      this.#do(step.key, step.action);
    }
    this.#steps.splice(0, at);
    if (this.#steps.length > 0) return;
    this.#phase = "waiting";
    this.#dueTick = context.tick + (SETTLE_TICKS << Math.min(this.#checks, MAX_CHECKS));
  }

  #do(key: Key, action: Action): void {
    switch (action.kind) {
      case "fetch":
      case "diverged":
      case "settle":
        this.#host.fetch(action.from, key, action.index, action.kind === "settle");
        return;
      case "look":
        this.#host.look(key);
        return;
      case "note":
        this.#host.restore(key, { type: "restore", loss: NOT_POLLED, votesFrom: 0, from: -1, index: 0 });
        return;
      case "restore": {
        const { votesFrom, from, index } = action;
        this.#host.restore(key, { type: "restore", loss: this.#loss, votesFrom, from, index });
        return;
      }
      default:
    }
  }
}

function isOfLearner(kind: Action["kind"]): boolean {
  return kind === "restore" || kind === "note" || isLeft(kind);
}

function isLeft(kind: Action["kind"]): boolean {
  return kind === "refused" || kind === "learner";
}
