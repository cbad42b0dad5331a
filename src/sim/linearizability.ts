/**
 * Decides whether a history is linearizable, one key at a time (linearizability is local, so keys never mix). It knows
 * the sequential specification of a key and nothing of Paxos, nodes or clocks.
 *
 * The one idea is the search of Wing and Gong: take any operation that nothing unfinished precedes, apply it, compare
 * the reply, go on; step back when stuck; remember every configuration (what is done, value, version) that led nowhere.
 * Seven things make it fast without making it weaker. (1) A matching operation that changes nothing is taken at once:
 * any order that takes it later can take it now. (2) An UNKNOWN write is open for ever, so it can always be
 * put off; where versions are not looked at, it is tried only when an operation does not fit the value, and never where
 * the next one would bury it. (3) UNKNOWN writes that nobody can tell apart are used in the order of their starts: the
 * search counts them instead of choosing among them. (4) An UNKNOWN write whose value was read has happened, before the
 * reader was told: it becomes an operation with an end. (5) A value that cannot come back is not left while somebody has
 * yet to see it. (6) A write whose value nobody saw is taken at once where it buries a value that nobody has yet to see,
 * if the key is never deleted and versions are not looked at: then nobody can tell the two values apart.
 * (7) Versions only grow: none is passed that somebody has yet to see.
 */
import { assert } from "../base/assert.js";
import {
  applyCall,
  describeOperation,
  NEVER_WRITTEN,
  safeInteger,
  sameReply,
  type Call,
  type HistoryOperation,
  type KeyState,
} from "./history.js";
import { prepare, versionBefore, type Problem, type Required } from "./linearizability-problem.js";

/** Configurations of one key after which the search gives up and says so. */
export const MAX_CONFIGURATIONS = 2_000_000;

export type KeyVerdict =
  | { readonly key: string; readonly verdict: "linearizable"; readonly explored: number }
  | {
      readonly key: string;
      /** "undecided": MAX_CONFIGURATIONS were not enough. Never to be taken for a pass. */
      readonly verdict: "not-linearizable" | "undecided";
      readonly explored: number;
      /** The longest order found, the state after it, and the operations of which none fits there. */
      readonly prefix: readonly HistoryOperation[];
      readonly state: KeyState;
      readonly stuck: readonly HistoryOperation[];
    };

/** Verdicts of all keys of a history, in the order in which the keys first appear. */
export function checkHistory(
  history: Iterable<HistoryOperation>,
  maxConfigurations: number = MAX_CONFIGURATIONS,
): KeyVerdict[] {
  const keys = new Map<string, HistoryOperation[]>();
  for (const operation of history) {
    const list = keys.get(operation.key);
    if (list === undefined) keys.set(operation.key, [operation]);
    else list.push(operation);
  }
  return [...keys.values()].map((operations) => checkKey(operations, NEVER_WRITTEN, maxConfigurations));
}

/** Verdict of the operations of one key, which started from `initial`. */
export function checkKey(
  operations: readonly HistoryOperation[],
  initial: KeyState = NEVER_WRITTEN,
  maxConfigurations: number = MAX_CONFIGURATIONS,
): KeyVerdict {
  const key = operations[0]?.key ?? "";
  assert(
    operations.every((operation) => operation.key === key),
    "a key is checked by itself",
  );
  return new Search(prepare(operations, initial), initial, maxConfigurations).run(key);
}

/** What is wrong, for people; empty when every verdict is linearizable. */
export function describeFailures(verdicts: readonly KeyVerdict[]): string {
  const lines: string[] = [];
  for (const verdict of verdicts) {
    if (verdict.verdict === "linearizable") continue;
    lines.push(`key ${verdict.key}: ${verdict.verdict} (${String(verdict.explored)} configurations)`);
    lines.push(`  ${String(verdict.prefix.length)} operations fit; the last of them:`);
    for (const operation of verdict.prefix.slice(-6)) lines.push(`    ${describeOperation(operation)}`);
    lines.push(
      `  then value ${JSON.stringify(verdict.state.value)}, version ${String(verdict.state.version)}; none of these fits:`,
    );
    for (const operation of verdict.stuck.slice(0, 24)) lines.push(`    ${describeOperation(operation)}`);
  }
  return lines.join("\n");
}

/** One configuration on the way of the search. */
interface Frame {
  readonly state: KeyState;
  /** Candidates: the place of a required operation, or -1 - the place of an optional class. Tried from the end. */
  readonly candidates: number[];
  /** The candidate that led here, and what `low` was before; for stepping back. */
  readonly via: number;
  readonly lowBefore: number;
}

const ROOT = Number.MIN_SAFE_INTEGER;

class Search {
  readonly #problem: Problem;
  readonly #initial: KeyState;
  readonly #maxConfigurations: number;
  /** Required operations that have their place; all below #low have. */
  readonly #done: Uint8Array;
  #low = 0;
  #highestDone = -1;
  #doneCount = 0;
  /** Per optional class: how many of it were used. */
  readonly #used: number[];
  /** Per value: how many operations without a place have yet to see it. */
  readonly #yetToSee = new Map<string, number>();
  /** Places of the operations that tell a version, lowest version first; all before #versionsDone have their place. */
  readonly #byVersion: { readonly place: number; readonly version: number }[];
  readonly #versionRank = new Map<number, number>();
  #versionsDone = 0;
  readonly #entered = new Set<string>();
  readonly #path: Frame[] = [];
  #best: { prefix: HistoryOperation[]; state: KeyState; stuck: HistoryOperation[]; done: number } | null = null;

  constructor(problem: Problem, initial: KeyState, maxConfigurations: number) {
    this.#problem = problem;
    this.#initial = initial;
    this.#maxConfigurations = maxConfigurations;
    this.#done = new Uint8Array(problem.required.length);
    this.#used = problem.optional.map(() => 0);
    for (const { sees } of problem.required) this.#countSeer(sees, 1);
    this.#byVersion = problem.required
      .map((operation, place) => ({ place, version: versionBefore(operation) }))
      .filter(({ version }) => version < Infinity)
      .sort((a, b) => a.version - b.version);
    for (const [rank, { place }] of this.#byVersion.entries()) this.#versionRank.set(place, rank);
  }

  run(key: string): KeyVerdict {
    const total = this.#problem.required.length;
    const { contradiction } = this.#problem;
    if (contradiction !== null) {
      return {
        key,
        verdict: "not-linearizable",
        explored: 0,
        prefix: [],
        state: this.#initial,
        stuck: [contradiction],
      };
    }
    this.#enter(this.#initial, ROOT, 0);
    while (this.#doneCount < total) {
      const frame = this.#path.at(-1);
      if (frame === undefined) return this.#lost(key, "not-linearizable");
      const candidate = frame.candidates.pop();
      if (candidate === undefined) this.#leave();
      else this.#take(frame.state, candidate);
      if (this.#entered.size > this.#maxConfigurations) return this.#lost(key, "undecided");
    }
    return { key, verdict: "linearizable", explored: this.#entered.size };
  }

  #lost(key: string, verdict: "not-linearizable" | "undecided"): KeyVerdict {
    const best = this.#best;
    return {
      key,
      verdict,
      explored: this.#entered.size,
      prefix: best?.prefix ?? [],
      state: best?.state ?? this.#initial,
      stuck: best?.stuck ?? this.#problem.required.map((required) => required.source),
    };
  }

  #take(state: KeyState, candidate: number): void {
    const lowBefore = this.#low;
    const call = this.#callOf(candidate);
    const step = applyCall(state, call);
    assert(step !== null, "a candidate was applied once already");
    if (candidate < 0) {
      const place = -1 - candidate;
      this.#used[place] = (this.#used[place] ?? 0) + 1;
    } else {
      this.#done[candidate] = 1;
      this.#doneCount++;
      this.#countSeer(this.#problem.required[candidate]?.sees, -1);
      this.#highestDone = Math.max(this.#highestDone, candidate);
      while (this.#done[this.#low] === 1) this.#low++;
    }
    this.#enter(step.state, candidate, lowBefore);
  }

  /** Every configuration is entered once: the second time it is known to lead nowhere (or to be on the path, which it cannot be). */
  #enter(state: KeyState, via: number, lowBefore: number): void {
    const name = this.#nameOf(state);
    const frame: Frame = { state, candidates: [], via, lowBefore };
    this.#path.push(frame);
    if (this.#entered.has(name)) return;
    this.#entered.add(name);
    frame.candidates.push(...this.#candidates(state, via));
  }

  #leave(): void {
    const frame = this.#path.pop();
    if (frame === undefined || frame.via === ROOT) return;
    if (frame.via < 0) {
      const place = -1 - frame.via;
      this.#used[place] = (this.#used[place] ?? 0) - 1;
    } else {
      this.#done[frame.via] = 0;
      this.#doneCount--;
      this.#countSeer(this.#problem.required[frame.via]?.sees, 1);
      this.#versionsDone = Math.min(this.#versionsDone, this.#versionRank.get(frame.via) ?? Infinity);
      this.#low = frame.lowBefore;
    }
  }

  #countSeer(value: string | undefined, change: number): void {
    if (value !== undefined) this.#yetToSee.set(value, (this.#yetToSee.get(value) ?? 0) + change);
  }

  #versionYetToSee(): number {
    for (;;) {
      const next = this.#byVersion[this.#versionsDone];
      if (next === undefined) return Infinity;
      if (this.#done[next.place] === 0) return next.version;
      this.#versionsDone++;
    }
  }

  /** What may come next, the most promising last. */
  #candidates(state: KeyState, via: number): number[] {
    const { required, versioned, passing } = this.#problem;
    const waiting = state.value === null ? 0 : (this.#yetToSee.get(state.value) ?? 0);
    const held = state.value !== null && waiting > 0 && passing.has(state.value);
    const passed = state.version > this.#versionYetToSee();
    const fitting: number[] = [];
    const open: Required[] = [];
    let firstEnd = Infinity;
    let misfit = false;
    for (let place = this.#low; place < required.length; place++) {
      const operation = required[place];
      if (operation === undefined || operation.start > firstEnd) break;
      if (this.#done[place] === 1) continue;
      firstEnd = Math.min(firstEnd, operation.end);
      open.push(operation);
      const step = applyCall(state, operation.call);
      const changes = step !== null && step.state !== state;
      const fits = step !== null && (operation.reply === undefined ? changes : sameReply(step.reply, operation.reply));
      if (passed) continue;
      if (fits && !changes) return [place];
      if (fits && waiting === 0 && this.#buriesUnseen(state, operation)) return [place];
      if (fits && !(held && (waiting > 1 || operation.sees !== state.value))) fitting.push(place);
      if (!fits) misfit = true;
    }
    if (passed) return this.#dead(state, open);
    fitting.sort((a, b) => (required[b]?.due ?? 0) - (required[a]?.due ?? 0));
    const optional =
      !held && (versioned || misfit) ? this.#optionalCandidates(state, firstEnd, via < 0 && via !== ROOT) : [];
    if (fitting.length === 0 && optional.length === 0) return this.#dead(state, open);
    return [...optional, ...fitting];
  }

  /** Rule 6. */
  #buriesUnseen(state: KeyState, { call }: Required): boolean {
    const { buries, adds } = this.#problem;
    if (!buries || state.value === null || call.kind !== "set" || (this.#yetToSee.get(call.value) ?? 0) > 0)
      return false;
    return !adds || (safeInteger(state.value) === null && safeInteger(call.value) === null);
  }

  #optionalCandidates(state: KeyState, firstEnd: number, afterOptional: boolean): number[] {
    const { optional, versioned } = this.#problem;
    const list: number[] = [];
    for (let place = 0; place < optional.length; place++) {
      const group = optional[place];
      const next = group?.sources[this.#used[place] ?? 0];
      if (group === undefined || next === undefined || next.start > firstEnd) continue;
      const buries = group.call.kind === "set" || group.call.kind === "delete";
      if (!versioned && afterOptional && buries) continue;
      const step = applyCall(state, group.call);
      if (step === null || step.state === state) continue;
      list.push(-1 - place);
    }
    return list;
  }

  /** Notes the way here when none before went further. */
  #dead(state: KeyState, open: readonly Required[]): number[] {
    if (this.#best !== null && this.#best.done >= this.#doneCount) return [];
    const used = this.#problem.optional.map(() => 0);
    const prefix: HistoryOperation[] = [];
    for (const { via } of this.#path) {
      if (via !== ROOT) prefix.push(this.#sourceOf(via, used));
    }
    this.#best = { prefix, state, stuck: open.map((required) => required.source), done: this.#doneCount };
    return [];
  }

  #callOf(candidate: number): Call {
    const { required, optional } = this.#problem;
    const call = candidate < 0 ? optional[-1 - candidate]?.call : required[candidate]?.call;
    assert(call !== undefined, "a candidate names an operation");
    return call;
  }

  #sourceOf(candidate: number, used: number[]): HistoryOperation {
    const { required, optional } = this.#problem;
    let source = required[candidate]?.source;
    if (candidate < 0) {
      const place = -1 - candidate;
      const count = used[place] ?? 0;
      source = optional[place]?.sources[count];
      used[place] = count + 1;
    }
    assert(source !== undefined, "a candidate names an operation");
    return source;
  }

  /** The configuration as a string: what is done beyond #low (15 places a character), what was used, version, value. */
  #nameOf(state: KeyState): string {
    while (this.#highestDone >= 0 && this.#done[this.#highestDone] === 0) this.#highestDone--;
    const groups = Math.max(0, Math.ceil((this.#highestDone + 1 - this.#low) / 15));
    let name = String.fromCharCode(this.#low & 0x7fff, this.#low >>> 15, groups);
    let bits = 0;
    let width = 0;
    for (let place = this.#low; place <= this.#highestDone; place++) {
      bits = (bits << 1) | (this.#done[place] ?? 0);
      if (++width < 15) continue;
      name += String.fromCharCode(bits);
      bits = 0;
      width = 0;
    }
    if (width > 0) name += String.fromCharCode(bits << (15 - width));
    for (const count of this.#used) name += String.fromCharCode(count);
    const version = this.#problem.versioned ? state.version : 0;
    return `${name}${String(version)}${state.value === null ? "" : `=${state.value}`}`;
  }
}
