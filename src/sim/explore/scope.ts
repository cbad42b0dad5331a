/**
 * A scope of the explorer: which clients ask for what, and what may go wrong how often. A search is finite only because
 * its scope is narrow, and it proves something only where the scope hits a rule: every scope says what it aims at.
 */
import type { Message } from "../../paxos/message.js";

/** What a client asks for: a set, a set if absent, a read, an increment, a delete. */
export type Ask = "set" | "create" | "read" | "add" | "delete";

export interface Operation {
  readonly ask: Ask;
  readonly replica: number;
}

export interface ScopeOptions {
  /** "w0 r1 c2": set at replica 0, read at 1, create at 2; a is add, d is delete. Those of one replica begin in order. */
  readonly operations: string;
  /** "1>0": replica 1 suspects 0 from the beginning, so that it goes for two phases at once (P10). */
  readonly suspects?: string;
  /** Suspicions that may come at any moment, written alike. */
  readonly doubts?: string;
  /** How many crashes there may be in all, and of whom (default: of everybody). */
  readonly crashes?: number;
  readonly crashOf?: readonly number[];
  /** Crashes that tear a batch: of its records only the last is found. */
  readonly torn?: boolean;
  /** Whose disk may be lost, once. */
  readonly lossOf?: readonly number[];
  /** Per replica, how often time may jump to what its lane waits for. */
  readonly wakes?: readonly number[];
  /** Messages that nobody ever receives. */
  readonly lost?: readonly Message["type"][];
  /** "0>1 2>1": messages that never arrive on these ways. */
  readonly cut?: string;
  /** Whose disk takes its time: for the others a record is durable in the step that asked for it. Default: who may crash. */
  readonly slow?: readonly number[];
  /** How long clients wait, in ticks. Default: longer than any search. */
  readonly deadline?: number;
}

export interface Scope extends ScopeOptions {
  readonly name: string;
  /** The rules at which it aims, and what it would find. */
  readonly aims: string;
}

const ASKS: Readonly<Record<string, Ask>> = { w: "set", c: "create", r: "read", a: "add", d: "delete" };

export function operationsOf(scope: ScopeOptions): Operation[] {
  return scope.operations.split(" ").map((word) => {
    const ask = ASKS[word.charAt(0)];
    if (ask === undefined) throw new Error(`a scope asks for ${word}`);
    return { ask, replica: Number(word.slice(1)) };
  });
}

/** "1>0 2>0" as pairs. */
export function pairsOf(text: string | undefined): [number, number][] {
  if (text === undefined || text === "") return [];
  return text.split(" ").map((pair) => [Number(pair.charAt(0)), Number(pair.charAt(2))]);
}
