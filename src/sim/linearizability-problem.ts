/**
 * A history made ready for the search: which operations must have a place, which may, and what replies tell about the
 * order before any search. It knows the meaning of calls and replies; it must not know how the search goes. The one idea:
 * what can be concluded once, for the whole key, need not be tried in every configuration.
 */
import { assert } from "../base/assert.js";
import { safeInteger, type Call, type HistoryOperation, type KeyState, type Reply } from "./history.js";

/** An operation that has to have its place in the order. */
export interface Required {
  readonly source: HistoryOperation;
  readonly call: Call;
  readonly start: number;
  readonly end: number;
  /** What it was told; undefined for an UNKNOWN write whose value was read: then it must have changed the key. */
  readonly reply: Reply | undefined;
  /** When its effect is needed: candidates are tried in this order. */
  readonly due: number;
  /** The value that the key must have had just before, as the reply tells; undefined when it tells nothing. */
  readonly sees: string | undefined;
}

/** UNKNOWN writes that nobody can tell apart, by start. */
export interface Interchangeable {
  readonly call: Call;
  readonly sources: readonly HistoryOperation[];
}

export interface Problem {
  readonly required: readonly Required[];
  readonly optional: readonly Interchangeable[];
  /** Somebody looked at versions: then every write counts, buried or not. */
  readonly versioned: boolean;
  /** Values that the key can have during one stretch of time only. */
  readonly passing: ReadonlySet<string>;
  /** Rule 6 holds for this key, for values that no `add` can start from. */
  readonly buries: boolean;
  readonly adds: boolean;
  /** A required operation ended before it started: nothing can be made of that. */
  readonly contradiction: HistoryOperation | null;
}

/** Stands for every value that nobody ever saw. No reply equals it. */
const UNSEEN = "\u0000unseen";

export function prepare(operations: readonly HistoryOperation[], initial: KeyState): Problem {
  const seen = firstSeen(operations);
  const makers = countMakers(operations, initial);
  const adds = operations.some((operation) => operation.call.kind === "add");
  const required: Required[] = [];
  const classes = new Map<string, { call: Call; sources: HistoryOperation[] }>();
  let contradiction: HistoryOperation | null = null;
  for (const source of operations) {
    const { call, start, told } = source;
    if (told.status === "not-applied") continue;
    const value = "value" in call ? call.value : null;
    const computed = value !== null && adds && safeInteger(value) !== null;
    const seenAt = value === null ? undefined : seen.get(value);
    if (told.status === "replied") {
      assert(source.end >= start, "an operation ends after its start");
      required.push({
        source,
        call,
        start,
        end: source.end,
        reply: told.reply,
        due: seenAt ?? source.end,
        sees: seenBy(source),
      });
      continue;
    }
    if (call.kind === "read" || call.kind === "read-version") continue;
    if (value !== null && seenAt !== undefined && makers.get(value) === 1 && !computed) {
      if (seenAt < start) contradiction = source;
      required.push({ source, call, start, end: seenAt, reply: undefined, due: seenAt, sees: undefined });
      continue;
    }
    const shown = value === null || seenAt !== undefined || computed ? call : { ...call, value: UNSEEN };
    const name = JSON.stringify(shown);
    const known = classes.get(name);
    if (known === undefined) classes.set(name, { call: shown, sources: [source] });
    else known.sources.push(source);
  }
  required.sort((a, b) => a.start - b.start);
  for (const { sources } of classes.values()) sources.sort((a, b) => a.start - b.start);
  const versioned = operations.some(({ call }) => call.kind === "read-version" || call.kind === "set-version");
  return {
    required,
    optional: [...classes.values()],
    versioned,
    passing: passingValues(operations, makers, seen, initial),
    buries: !versioned && !operations.some(({ call }) => call.kind === "delete"),
    adds,
    contradiction,
  };
}

/** The value that the key had just before an operation, when its reply tells; an absent key and 0 look alike to `add`. */
function seenBy({ call, told }: HistoryOperation): string | undefined {
  if (told.status !== "replied") return undefined;
  const { reply } = told;
  if (call.kind === "read" && typeof reply === "string") return reply;
  if (call.kind === "read-version" && typeof reply === "object" && reply !== null) return reply[1];
  if (call.kind === "add" && typeof reply === "number" && reply !== call.delta) return String(reply - call.delta);
  return undefined;
}

/** For each value that somebody saw: when the first of them was told. */
function firstSeen(operations: readonly HistoryOperation[]): Map<string, number> {
  const seen = new Map<string, number>();
  for (const operation of operations) {
    const value = seenBy(operation);
    if (value !== undefined) seen.set(value, Math.min(operation.end, seen.get(value) ?? Infinity));
  }
  return seen;
}

/**
 * Which of the values seen can never come back once they are gone: written by one operation only, or counted up from one
 * such value (or from nothing, when nothing ever deletes) by additions of one sign.
 */
function passingValues(
  operations: readonly HistoryOperation[],
  makers: ReadonlyMap<string, number>,
  seen: ReadonlyMap<string, number>,
  initial: KeyState,
): Set<string> {
  const deltas = operations.flatMap(({ call }) => (call.kind === "add" ? [call.delta] : []));
  const up = deltas.reduce((sum, delta) => sum + Math.max(0, delta), 0);
  const down = deltas.reduce((sum, delta) => sum + Math.min(0, delta), 0);
  const steady = up === 0 || down === 0;
  const fromNothing = initial.value === null || operations.some(({ call }) => call.kind === "delete");
  const nothingReturns = operations.some(({ call }) => call.kind === "delete");
  const bases = [...makers].map(([value, count]) => ({ number: safeInteger(value), count }));
  const passing = new Set<string>();
  for (const value of seen.keys()) {
    const number = safeInteger(value);
    if (number === null || deltas.length === 0) {
      if (makers.get(value) === 1) passing.add(value);
      continue;
    }
    let sources = 0;
    for (const base of bases) {
      if (base.number !== null && base.number + down <= number && number <= base.number + up) sources += base.count;
    }
    if (fromNothing && down <= number && number <= up) sources += nothingReturns ? 2 : 1;
    if (steady && sources === 1 && !deltas.includes(0)) passing.add(value);
  }
  return passing;
}

/** For each value: how many operations wrote it, or may have; the state before all of them counts as one. */
function countMakers(operations: readonly HistoryOperation[], initial: KeyState): Map<string, number> {
  const makers = new Map<string, number>();
  if (initial.value !== null) makers.set(initial.value, 1);
  for (const { call, told } of operations) {
    if (!("value" in call) || told.status === "not-applied") continue;
    makers.set(call.value, (makers.get(call.value) ?? 0) + 1);
  }
  return makers;
}

/** The version that the key must have had just before, as the reply tells; Infinity when it tells nothing. */
export function versionBefore({ call, reply }: Required): number {
  if (call.kind === "read-version" && reply !== undefined && reply !== null && typeof reply === "object")
    return reply[0];
  if (call.kind === "set-version" && typeof reply === "number") return reply - 1;
  return Infinity;
}
