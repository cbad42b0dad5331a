/**
 * The ledger: what clients were told, held against the chosen entries. An answer names the index of its entry, so most of
 * linearizability is a matter of order (nothing that was answered before an operation began may lie above it) and of
 * arithmetic (each entry is what its requests make of the one below). It evaluates operations by itself: it shares no code
 * with the proposer. The search in linearizability.ts, which sees no index, is the second opinion.
 */
import type { Key } from "../base/key.js";
import { type AppliedRequest, type Entry, GENESIS, requestsOf } from "../paxos/entry.js";
import type { ReplicaId } from "../paxos/ballot.js";
import { KEEP_EXPIRY, type Operation, type ReadOutcome, resultBytes, type WriteOutcome } from "../paxos/operation.js";
import type { KeyFacts, Oracle, Report } from "./oracle.js";

/** One operation of one client, from its call to its answer. */
export interface ClientOperation {
  readonly id: number;
  readonly client: number;
  readonly key: Key;
  readonly replica: ReplicaId;
  /** Null: a read. */
  readonly operation: Operation | null;
  /** Highest index that anybody was told of before it began. */
  readonly low: number;
  readonly startUs: number;
  outcome: WriteOutcome | ReadOutcome | "open" | "lost";
}

/** What the wall clocks of all replicas can have shown. */
export interface WallClocks {
  /** None ever showed more until now. */
  latestWallMs(): number;
  /** At this true time none showed less. */
  earliestWallMs(atUs: number): number;
}

interface KeyLedger {
  acknowledged: number;
  /** Every applied request and where (P14). */
  readonly applied: Map<string, number>;
  /** Writes that were told OK, by the version they made. */
  readonly byVersion: Map<number, ClientOperation>;
  /** Writes of which nobody was told what became of them. */
  unknown: number;
  /** Text of values that were certainly never written. */
  readonly notApplied: Set<string>;
}

/** What a client may see. */
interface Value {
  readonly exists: boolean;
  readonly text: string;
  readonly expiryMs: number;
}

const decoder = new TextDecoder();

export class Ledger {
  readonly #report: Report;
  readonly #oracle: Oracle;
  readonly #clocks: WallClocks;
  readonly #keys = new Map<Key, KeyLedger>();

  constructor(report: Report, oracle: Oracle, clocks: WallClocks) {
    this.#report = report;
    this.#oracle = oracle;
    this.#clocks = clocks;
  }

  #of(key: Key): KeyLedger {
    let ledger = this.#keys.get(key);
    if (ledger === undefined) {
      ledger = { acknowledged: 0, applied: new Map(), byVersion: new Map(), unknown: 0, notApplied: new Set() };
      this.#keys.set(key, ledger);
    }
    return ledger;
  }

  /** Highest index that anybody was told of. */
  low(key: Key): number {
    return this.#keys.get(key)?.acknowledged ?? 0;
  }

  // ---- the chain of entries

  onChosen(facts: KeyFacts, index: number, hash: number): void {
    const entry = facts.entries.get(hash);
    const below = index === 1 ? GENESIS : this.#oracle.chosenAt(facts.key, index - 1);
    if (entry === undefined || below === null) return;
    const what = `index ${String(index)} of ${JSON.stringify(facts.key.slice(1))}`;
    const requests = requestsOf(entry);
    this.#onceOnly(facts.key, requests, index, what);
    this.#windowIsWhole(entry, requests, below, what);
    const applied = requests.filter((request) => request.index === index && request.refusal === null);
    const buried = entry.version - below.version - applied.length;
    if (buried !== 0 && buried !== 1) this.#report("versions", `the version jumps at ${what}`);
    if (buried === 1 && (below.expiryMs === 0 || below.expiryMs > this.#clocks.latestWallMs())) {
      this.#report("expiry", `a value was buried before its time at ${what}`);
    }
    const copies = applied.length === 0 && buried === 0;
    if (copies && (entry.tombstone !== below.tombstone || textOf(entry) !== textOf(below))) {
      this.#report("versions", `without a request the value changed at ${what}`);
    }
  }

  /** P14, P16: no request is applied twice. */
  #onceOnly(key: Key, requests: readonly AppliedRequest[], index: number, what: string): void {
    const { applied } = this.#of(key);
    for (const { id, index: at, refusal } of requests) {
      if (at !== index || refusal !== null) continue;
      const request = `${String(id.replica)}.${String(id.incarnation)}.${String(id.counter)}`;
      const before = applied.get(request);
      if (before !== undefined)
        this.#report("exactly-once", `request ${request} of ${what} was applied at ${String(before)}`);
      applied.set(request, index);
    }
  }

  /** P14: the list of requests forgets nothing from `coveredFrom` on. */
  #windowIsWhole(entry: Entry, requests: readonly AppliedRequest[], below: Entry, what: string): void {
    if (below.index === 0) return;
    const carried = requests.filter((request) => request.index < entry.index && request.index >= entry.coveredFrom);
    const wanted = requestsOf(below).filter((request) => request.index >= entry.coveredFrom);
    const isWhole = below.coveredFrom <= entry.coveredFrom && carried.length === wanted.length;
    if (!isWhole) this.#report("window", `the list of requests is not complete at ${what}`);
  }

  // ---- answers

  onWriteAnswer(operation: ClientOperation, outcome: WriteOutcome): void {
    operation.outcome = outcome;
    const ledger = this.#of(operation.key);
    const what = describe(operation);
    switch (outcome.status) {
      case "unknown":
        ledger.unknown++;
        return;
      case "not-applied":
        if (operation.operation?.kind === "set") this.#neverApplied(ledger, decoder.decode(operation.operation.value));
        return;
      case "failed":
        return;
      case "ok": {
        const entry = this.#oracle.claimAnswered(operation.key, outcome.index);
        if (entry === null) {
          this.#report("majority", `${what} was told OK at ${String(outcome.index)}, where nothing is chosen durably`);
        }
        if (outcome.index <= operation.low) {
          const text = `${what} is at ${String(outcome.index)}, but ${String(operation.low)} was known before it began`;
          this.#report("order", text);
        }
        if (ledger.byVersion.has(outcome.version))
          this.#report("order", `${what} was told a version that another one made`);
        ledger.byVersion.set(outcome.version, operation);
        ledger.acknowledged = Math.max(ledger.acknowledged, outcome.index);
      }
    }
  }

  /** Small numbers are written by many; a name is written once. */
  #neverApplied(ledger: KeyLedger, text: string): void {
    if (text.startsWith("v")) ledger.notApplied.add(text);
  }

  onReadAnswer(operation: ClientOperation, outcome: ReadOutcome): void {
    operation.outcome = outcome;
    if (outcome.status !== "ok") return;
    const { index } = outcome;
    const what = describe(operation);
    if (index < operation.low) {
      this.#report(
        "order",
        `${what} shows index ${String(index)}, but ${String(operation.low)} was known before it began`,
      );
    }
    const ledger = this.#of(operation.key);
    ledger.acknowledged = Math.max(ledger.acknowledged, index);
    if (index === 0) {
      if (outcome.found) this.#report("reads", `${what} shows a value that was never written`);
      return;
    }
    const entry = this.#oracle.claimAnswered(operation.key, index);
    if (entry === null) {
      this.#report("majority", `${what} shows index ${String(index)}, where nothing is chosen durably`);
      return;
    }
    const told = outcome.found ? decoder.decode(outcome.value) : "";
    const isEntry =
      outcome.found === !entry.tombstone &&
      (!outcome.found ||
        (told === textOf(entry) && outcome.version === entry.version && outcome.expiryMs === entry.expiryMs));
    if (!isEntry) this.#report("reads", `${what} shows something else than the entry at ${String(index)}`);
    if (outcome.found && outcome.expiryMs > 0 && outcome.expiryMs <= this.#clocks.earliestWallMs(operation.startUs)) {
      this.#report("expiry", `${what} shows a value that had expired everywhere before it was asked for`);
    }
  }

  /** The client was never told: its process died, or the client gave up. */
  onLost(operation: ClientOperation): void {
    operation.outcome = "lost";
    if (operation.operation !== null) this.#of(operation.key).unknown++;
  }

  // ---- at the end

  /** Every entry is what its requests make of the one below it. */
  checkEffects(): void {
    for (const facts of this.#oracle.keys()) {
      const ledger = this.#of(facts.key);
      let unmatched = 0;
      for (let index = 1; index <= facts.highest; index++) {
        const entry = this.#oracle.chosenAt(facts.key, index);
        const below = index === 1 ? GENESIS : this.#oracle.chosenAt(facts.key, index - 1);
        if (entry !== null && below !== null) unmatched += this.#checkEntry(facts.key, ledger, below, entry);
      }
      if (unmatched > ledger.unknown) {
        const text = `${String(unmatched)} writes of ${JSON.stringify(facts.key.slice(1))} took effect without being told so, but only ${String(ledger.unknown)} are UNKNOWN`;
        this.#report("not-applied", text);
      }
    }
  }

  /** How many of its requests nobody was told of. */
  #checkEntry(key: Key, ledger: KeyLedger, below: Entry, entry: Entry): number {
    const what = `index ${String(entry.index)} of ${JSON.stringify(key.slice(1))}`;
    if (!entry.tombstone && ledger.notApplied.has(textOf(entry))) {
      this.#report("not-applied", `a write that was told NOT APPLIED is at ${what}`);
    }
    const applied = requestsOf(entry).filter((request) => request.index === entry.index && request.refusal === null);
    let version = entry.version - applied.length;
    let value: Value | null = version > below.version ? ABSENT : valueOf(below);
    let unmatched = 0;
    for (const request of applied) {
      version++;
      if (request.version !== version) this.#report("versions", `versions do not rise by one at ${what}`);
      const told = ledger.byVersion.get(version);
      const operation = told?.operation ?? null;
      if (told === undefined || operation === null) {
        unmatched++;
        value = null;
        continue;
      }
      const before: Value | null = value;
      value = before === null ? afterUnknown(operation) : after(before, operation);
      // A deadline that had passed when it was set has deleted the value at once.
      if (value !== null && value.expiryMs > 0 && value.expiryMs <= this.#clocks.latestWallMs()) value = null;
      if (before !== null && value !== null && !isAnswerTo(operation, before, value, told.outcome)) {
        this.#report("effects", `${describe(told)} was told another result than it had, at ${what}`);
      }
    }
    if (value !== null && applied.length > 0 && !isSame(value, valueOf(entry))) {
      this.#report("effects", `the value is not what its requests make of the one below, at ${what}`);
    }
    return unmatched;
  }
}

const ABSENT: Value = { exists: false, text: "", expiryMs: 0 };

function textOf(entry: Entry): string {
  return decoder.decode(entry.value);
}

function valueOf(entry: Entry): Value {
  return entry.tombstone ? ABSENT : { exists: true, text: textOf(entry), expiryMs: entry.expiryMs };
}

function isSame(a: Value, b: Value): boolean {
  return a.exists === b.exists && a.text === b.text && a.expiryMs === b.expiryMs;
}

/** What an operation that was applied made of a value; null: it depends on a clock. */
function after(value: Value, operation: Operation): Value | null {
  const { exists, text, expiryMs } = value;
  switch (operation.kind) {
    case "set":
      return {
        exists: true,
        text: decoder.decode(operation.value),
        expiryMs: operation.expiryMs === KEEP_EXPIRY ? expiryMs : operation.expiryMs,
      };
    case "delete":
      return ABSENT;
    case "add":
      return { exists: true, text: String(Number(exists ? text : "0") + Number(operation.delta)), expiryMs };
    case "append":
      return { exists: true, text: text + decoder.decode(operation.value), expiryMs };
    case "expire":
      return { exists: true, text, expiryMs: operation.expiryMs };
    case "persist":
      return { exists: true, text, expiryMs: 0 };
    case "expire-due":
      return null;
    default:
      return null; // the workload does not ask for it
  }
}

/** The result that a client was told is that of its operation between these two values. */
function isAnswerTo(operation: Operation, before: Value, after: Value, outcome: ClientOperation["outcome"]): boolean {
  if (typeof outcome === "string" || outcome.status !== "ok" || !("result" in outcome)) return true;
  const { result } = outcome;
  switch (operation.kind) {
    case "set":
      if (!operation.returnOld || !before.exists) return result === null;
      return decoder.decode(resultBytes(result) ?? undefined) === before.text;
    case "add":
      return result === after.text;
    case "append":
      return result === after.text.length;
    default:
      return result === (operation.kind === "expire-due" ? null : 1);
  }
}

/** The same, when the value before it is not known. */
function afterUnknown(operation: Operation): Value | null {
  if (operation.kind === "delete") return ABSENT;
  if (operation.kind !== "set" || operation.expiryMs === KEEP_EXPIRY) return null;
  return after(ABSENT, operation);
}

export function describe({ client, id, key, operation, replica }: ClientOperation): string {
  const what = operation === null ? "read" : operation.kind;
  return `client ${String(client)}'s ${what} (#${String(id)}) of ${JSON.stringify(key.slice(1))} through n${String(replica + 1)}`;
}
