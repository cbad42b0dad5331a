/**
 * Breadth-first search over the states of a small world of real cores. A state is a row of numbers: the replicas' states,
 * what clients were told, what has gone wrong so far, and the soup. The soup only grows: a message in it may be received
 * never, once, often, in any order, after any crash; so loss, duplication and reordering need no acts of their own.
 */
import type { Tamper } from "../soup/world.js";
import { keyLedBy } from "../soup/keys.js";
import { ACTS, Cores, REPLICAS, type Transition } from "./cores.js";
import { type Fate, FATES, Facts, toldIndex } from "./facts.js";
import { Healer } from "./healer.js";
import { pairsOf, type Scope } from "./scope.js";
import { grown, Seen } from "./seen.js";

export interface SearchOptions {
  readonly scope: Scope;
  /** The search ends, unfinished, at this many states. */
  readonly maxStates: number;
  readonly tamper?: Tamper;
  readonly checksLeaving?: boolean;
  /** Every how many states the healing of the world is tried; 0 = never. */
  readonly healEvery?: number;
}

export interface SearchResult {
  readonly states: number;
  readonly exhausted: boolean;
  readonly depth: number;
  /** Steps of the real core, and distinct states of one replica. */
  readonly steps: number;
  readonly coreStates: number;
  readonly heals: number;
  readonly violation: string | null;
  /** The acts that lead to it, to be told by story.ts. */
  readonly path: readonly number[];
}

/** Words of a row before the soup. */
const ACKED = REPLICAS;
const FAULTS = REPLICAS + 1;
const WAKES = REPLICAS + 2;
const OPERATIONS = REPLICAS + 3;

const DELIVER = ACTS.indexOf("deliver");
const FLUSH = ACTS.indexOf("flush");
const CRASH = ACTS.indexOf("crash");
const TEAR = ACTS.indexOf("tear");
const LOSE = ACTS.indexOf("lose-disk");
const WAKE = ACTS.indexOf("wake");
const BEGIN = ACTS.indexOf("begin");
const DOUBT = ACTS.indexOf("doubt");

const CRASH_BITS = 0xff;
const LOSS_SHIFT = 8;
const DOUBT_SHIFT = 16;
const FATE_BITS = 7;

const NEW = FATES.indexOf("new");
const RUNNING = FATES.indexOf("running");
const LOST = FATES.indexOf("lost");

export function actCode(replica: number, act: number, about: number): number {
  return (about * ACTS.length + act) * 4 + replica;
}

export function readActCode(code: number): { replica: number; act: number; about: number } {
  const rest = code >> 2;
  return { replica: code & 3, act: rest % ACTS.length, about: Math.floor(rest / ACTS.length) };
}

export class Search {
  readonly cores: Cores;
  readonly #scope: Scope;
  readonly #options: SearchOptions;
  readonly #facts: Facts;
  readonly #healer: Healer;
  readonly #seen = new Seen();
  /** Rows of this depth and of the next: number, length, words. */
  #level = new Int32Array(1 << 12);
  #levelEnd = 0;
  #next = new Int32Array(1 << 12);
  #nextEnd = 0;
  /** The row that is made. */
  #row = new Int32Array(1 << 10);
  readonly #soupAt: number;
  readonly #crashOf: ReadonlySet<number>;
  readonly #doubts: readonly (readonly [number, number])[];
  #violation: string | null = null;
  #path: number[] = [];
  #heals = 0;

  constructor(options: SearchOptions) {
    const { scope } = options;
    this.#scope = scope;
    this.#options = options;
    const key = keyLedBy(0, REPLICAS);
    this.cores = new Cores({ ...options, key });
    this.#facts = new Facts(this.cores);
    this.#healer = new Healer(this.cores, options.tamper);
    this.#soupAt = OPERATIONS + this.cores.operations.length;
    this.#crashOf = new Set(scope.crashOf ?? [0, 1, 2]);
    this.#doubts = pairsOf(scope.doubts);
  }

  run(): SearchResult {
    const first = this.cores.first;
    const row = this.#row;
    row.fill(0);
    row.set(first);
    this.#seen.add(row, 0, this.#soupAt, 0, 0);
    this.#put(0, this.#soupAt);
    let depth = 0;
    let exhausted = true;
    while (this.#nextEnd > 0 && this.#violation === null && exhausted) {
      [this.#level, this.#next] = [this.#next, this.#level];
      this.#levelEnd = this.#nextEnd;
      this.#nextEnd = 0;
      depth++;
      exhausted = this.#searchLevel();
    }
    return {
      states: this.#seen.count,
      exhausted: exhausted && this.#violation === null,
      depth,
      steps: this.cores.steps,
      coreStates: this.cores.states.length,
      heals: this.#heals,
      violation: this.#violation,
      path: this.#path,
    };
  }

  /** False: the bound is reached. */
  #searchLevel(): boolean {
    const { maxStates } = this.#options;
    for (let at = 0; at < this.#levelEnd; ) {
      const number = this.#level[at] ?? 0;
      const length = this.#level[at + 1] ?? 0;
      this.#expand(number, at + 2, length);
      if (this.#violation !== null) return true;
      if (this.#seen.count >= maxStates) return false;
      at += length + 2;
    }
    return true;
  }

  #expand(number: number, at: number, length: number): void {
    const level = this.#level;
    for (let i = this.#soupAt; i < length && this.#violation === null; i++) {
      const thing = level[at + i] ?? 0;
      const to = this.cores.receivers[thing] ?? -1;
      if (to >= 0) this.#try(number, at, length, to, DELIVER, thing);
    }
    for (let replica = 0; replica < REPLICAS && this.#violation === null; replica++) {
      this.#expandReplica(number, at, length, replica);
    }
    for (const [operation, { replica }] of this.cores.operations.entries()) {
      if (this.#violation !== null) return;
      if (this.#mayBegin(at, operation, replica)) this.#try(number, at, length, replica, BEGIN, operation);
    }
  }

  #expandReplica(number: number, at: number, length: number, replica: number): void {
    const level = this.#level;
    const scope = this.#scope;
    const state = this.cores.state(level[at + replica] ?? 0);
    if (state.queued > 0) this.#try(number, at, length, replica, FLUSH, 1);
    if (state.queued > 1) this.#try(number, at, length, replica, FLUSH, state.queued);
    const faults = level[at + FAULTS] ?? 0;
    if (state.touched && this.#crashOf.has(replica) && (faults & CRASH_BITS) < (scope.crashes ?? 0)) {
      this.#try(number, at, length, replica, CRASH, 0);
      if (scope.torn === true && state.nextRecords > 1) this.#try(number, at, length, replica, TEAR, 0);
    }
    if (scope.lossOf?.includes(replica) === true && (faults >> LOSS_SHIFT) % (1 << LOSS_SHIFT) === 0) {
      this.#try(number, at, length, replica, LOSE, 0);
    }
    const wakes = (level[at + WAKES] ?? 0) >> (replica * 8);
    if (state.wakeTick > 0 && (wakes & 0xff) < (scope.wakes?.[replica] ?? 0))
      this.#try(number, at, length, replica, WAKE, 0);
    for (const [doubt, [who, whom]] of this.#doubts.entries()) {
      if (who === replica && ((faults >> (DOUBT_SHIFT + doubt)) & 1) === 0)
        this.#try(number, at, length, replica, DOUBT, whom);
    }
  }

  #mayBegin(at: number, operation: number, replica: number): boolean {
    if (this.#fate(this.#level, at, operation) !== NEW) return false;
    for (let earlier = 0; earlier < operation; earlier++) {
      if (this.cores.operations[earlier]?.replica === replica && this.#fate(this.#level, at, earlier) === NEW)
        return false;
    }
    return true;
  }

  #fate(words: Int32Array, at: number, operation: number): number {
    return (words[at + OPERATIONS + operation] ?? 0) & FATE_BITS;
  }

  /** One act on one state: what follows is made, judged, and kept when it is new. */
  #try(number: number, at: number, length: number, replica: number, act: number, about: number): void {
    const transition = this.cores.transition(this.#level[at + replica] ?? 0, act, about);
    const end = this.#make(at, length, replica, transition);
    if (act === DELIVER && end < 0 && transition.problem === null) return; // nothing has changed
    const row = this.#row;
    this.#count(replica, act, about);
    const code = actCode(replica, act, about);
    const problem = transition.problem ?? this.#judge(transition, end < 0 ? length : end);
    this.#tell(transition);
    if (problem !== null) {
      this.#fail(problem, number, code);
      return;
    }
    const rowEnd = end < 0 ? length : end;
    if (!this.#seen.add(row, 0, rowEnd, number, code)) return;
    const made = this.#seen.count - 1;
    this.#put(made, rowEnd);
    const { healEvery = 0 } = this.#options;
    if (healEvery > 0 && made % healEvery === 0) this.#heal(made, rowEnd);
  }

  /**
   * Fills the row: the state with this replica changed and its things in the soup, without what nobody will look at again.
   * Negative: just like before.
   */
  #make(at: number, length: number, replica: number, transition: Transition): number {
    const level = this.#level;
    const { things, next } = transition;
    if (this.#row.length < length + things.length) this.#row = grown(this.#row, length + things.length);
    const row = this.#row;
    for (let i = 0; i < this.#soupAt; i++) row[i] = level[at + i] ?? 0;
    const moved = level[at + replica] !== next;
    row[replica] = next;
    let same = !moved && transition.replies.length === 0;
    let end = this.#soupAt;
    let taken = 0;
    for (let i = this.#soupAt; i <= length; i++) {
      const thing = i < length ? (level[at + i] ?? 0) : Number.MAX_SAFE_INTEGER;
      for (; taken < things.length && (things[taken] ?? 0) < thing; taken++) {
        const made = things[taken] ?? 0;
        if (this.#isDead(made, row)) continue;
        row[end++] = made;
        same = false;
      }
      if (i === length) break;
      if (things[taken] === thing) taken++;
      if (moved && this.cores.receivers[thing] === replica && this.cores.isDead(thing, next)) continue;
      row[end++] = thing;
    }
    return same ? -1 : end;
  }

  #isDead(thing: number, row: Int32Array): boolean {
    const receiver = this.cores.receivers[thing] ?? -1;
    return receiver >= 0 && this.cores.isDead(thing, row[receiver] ?? 0);
  }

  /** What the act uses up, and what it means for operations. */
  #count(replica: number, act: number, about: number): void {
    const row = this.#row;
    if (act === CRASH || act === TEAR) row[FAULTS] = (row[FAULTS] ?? 0) + 1;
    else if (act === LOSE) row[FAULTS] = (row[FAULTS] ?? 0) | (1 << (LOSS_SHIFT + replica));
    else if (act === WAKE) row[WAKES] = (row[WAKES] ?? 0) + (1 << (replica * 8));
    else if (act === BEGIN) row[OPERATIONS + about] = RUNNING | ((row[ACKED] ?? 0) << 3);
    else if (act === DOUBT) {
      const doubt = this.#doubts.findIndex(([who, whom]) => who === replica && whom === about);
      row[FAULTS] = (row[FAULTS] ?? 0) | (1 << (DOUBT_SHIFT + doubt));
    }
    if (act !== CRASH && act !== TEAR && act !== LOSE) return;
    for (const [operation, { replica: origin }] of this.cores.operations.entries()) {
      const word = row[OPERATIONS + operation] ?? 0;
      if (origin === replica && (word & FATE_BITS) === RUNNING)
        row[OPERATIONS + operation] = (word & ~FATE_BITS) | LOST;
    }
  }

  #judge(transition: Transition, end: number): string | null {
    const chosen = this.#facts.chosen(this.#row, this.#soupAt, end);
    if (typeof chosen === "string") return chosen;
    return this.#facts.judge(
      transition,
      chosen,
      (operation) => FATES[this.#fate(this.#row, 0, operation)] ?? "new",
      (operation) => (this.#row[OPERATIONS + operation] ?? 0) >> 3,
    );
  }

  /** Clients are told. */
  #tell(transition: Transition): void {
    const row = this.#row;
    for (const reply of transition.replies) {
      const word = row[OPERATIONS + reply.operation] ?? 0;
      const fate: Fate = reply.outcome.status;
      row[OPERATIONS + reply.operation] = (word & ~FATE_BITS) | FATES.indexOf(fate);
      row[ACKED] = Math.max(row[ACKED] ?? 0, toldIndex(reply));
    }
  }

  #put(number: number, length: number): void {
    if (this.#next.length < this.#nextEnd + length + 2) this.#next = grown(this.#next, this.#nextEnd + length + 2);
    const next = this.#next;
    next[this.#nextEnd] = number;
    next[this.#nextEnd + 1] = length;
    const at = this.#nextEnd + 2;
    for (let i = 0; i < length; i++) next[at + i] = this.#row[i] ?? 0;
    this.#nextEnd = at + length;
  }

  #heal(number: number, end: number): void {
    const row = this.#row;
    this.#heals++;
    const chosen = this.#facts.chosen(row, this.#soupAt, end);
    if (typeof chosen === "string") return; // told already
    const problem = this.#healer.heal([row[0] ?? 0, row[1] ?? 0, row[2] ?? 0], chosen, row[ACKED] ?? 0);
    if (problem !== null) {
      this.#violation = problem;
      this.#path = this.#seen.pathTo(number);
    }
  }

  #fail(problem: string, parent: number, code: number): void {
    this.#violation = problem;
    this.#path = [...this.#seen.pathTo(parent), code];
  }
}
