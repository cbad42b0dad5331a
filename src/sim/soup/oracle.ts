/**
 * The oracle of the walk: it sees every step, every record that becomes durable and every answer, keeps ghost facts
 * (what a majority durably accepted), and throws a Violation when a rule is broken. It never looks into the core's
 * reasons: a thing is chosen when a majority of disks says so, for class zero the leader's among them (P9).
 */
import type { Key } from "../../base/key.js";
import { hashKey } from "../../base/hash.js";
import { type Ballot, compareBallots, isBallot, isClassZero, NO_BALLOT } from "../../paxos/ballot.js";
import type { Effects, Envelope } from "../../paxos/effects.js";
import { type Entry, GENESIS, requestsOf } from "../../paxos/entry.js";
import type { Lane } from "../../paxos/lane.js";
import type { Operation, ReadOutcome, RequestId, WriteOutcome } from "../../paxos/operation.js";
import { countVotes, majorityOf } from "../../paxos/quorum.js";
import type { Input } from "../../paxos/replica.js";
import type { HistoryOperation, Told } from "../history.js";
import type { Batch } from "./disk.js";
import { type ModelResult, type ModelValue, modelAt, modelEvaluate, resultText, text } from "./value-model.js";
import type { Observer, Replica } from "./world.js";

export class Violation extends Error {
  override readonly name = "Violation";
}

interface Fact {
  readonly entry: Entry;
  readonly ballot: Ballot;
  /** What may have become of each request that was decided here: one for every clock that explains the entry. */
  readonly results: ReadonlyMap<string, readonly ModelResult[]>;
}

interface Vote {
  readonly hash: number;
  voters: number;
}

interface KeyFacts {
  readonly chosen: Map<number, Fact>;
  readonly votes: Map<string, Vote>;
  /** Highest index that anybody was told of. */
  acked: number;
}

interface DurableState {
  index: number;
  promised: Ballot;
  accepted: Ballot;
}

export interface ClientOperation {
  readonly client: number;
  readonly key: Key;
  readonly replica: number;
  /** Null: a read. */
  readonly operation: Operation | null;
  readonly request: RequestId;
  readonly deadlineTick: number;
  readonly invokedTick: number;
  /** Everything acknowledged before has an index at or below this one. */
  readonly low: number;
  status: "running" | "lost" | WriteOutcome["status"] | "refused";
  /** Order of events: when it began and when it was answered; and what a read saw (null: absent). */
  begun?: number;
  ended?: number;
  seen?: string | null;
}

export function requestName(request: RequestId): string {
  return `${String(request.replica)}.${String(request.incarnation)}.${String(request.counter)}`;
}

export function ballotName(ballot: Ballot): string {
  if (!isBallot(ballot)) return "none";
  return `${String(ballot.counter)}.${String(ballot.replica)}.${String(ballot.incarnation)}`;
}

export class Oracle implements Observer {
  readonly operations = new Map<number, ClientOperation>();
  readonly counts: Record<string, number> = {};
  /** Off for variants that break exactly this, so that its consequences must be found. */
  checksLeaving = true;
  readonly #facts = new Map<Key, KeyFacts>();
  readonly #byRequest = new Map<string, ClientOperation>();
  readonly #decidedAt = new Map<string, number>();
  readonly #durable = new Map<string, DurableState>();
  readonly #replicas: number;
  #event = 0;
  #checked = new Map<string, number>();
  tickOf: () => number = () => 0;

  constructor(replicas: number) {
    this.#replicas = replicas;
  }

  factsOf(key: Key): KeyFacts {
    let facts = this.#facts.get(key);
    if (facts === undefined) {
      facts = { chosen: new Map(), votes: new Map(), acked: 0 };
      this.#facts.set(key, facts);
    }
    return facts;
  }

  begin(operation: ClientOperation): void {
    operation.begun = ++this.#event;
    this.operations.set(operation.client, operation);
    if (operation.operation !== null) this.#byRequest.set(requestName(operation.request), operation);
  }

  #fail(rule: string): never {
    throw new Violation(rule);
  }

  #entryAt(facts: KeyFacts, index: number): Entry | null {
    return index === 0 ? GENESIS : (facts.chosen.get(index)?.entry ?? null);
  }

  // ---- what happens inside

  onStep(replica: Replica, lane: Lane, input: Input, effects: Effects): void {
    const where = `replica ${String(replica.id)} (input ${input.type})`;
    if (effects.alarm !== null) this.#fail(`ALARM at ${where}: ${effects.alarm}`);
    const { chosen } = lane.plog;
    const name = `${String(replica.id)}/${String(replica.context.incarnation)}/${lane.key}`;
    if (chosen.index > 0 && this.#checked.get(name) !== chosen.index) {
      const fact = this.factsOf(lane.key).chosen.get(chosen.index);
      if (fact === undefined) {
        this.#fail(
          `AGREEMENT: ${where} takes index ${String(chosen.index)} as chosen, but no majority of disks holds it`,
        );
      }
      if (fact.entry.hash !== chosen.hash) {
        this.#fail(`AGREEMENT: ${where} holds another entry as chosen at index ${String(chosen.index)}`);
      }
      this.#checked.set(name, chosen.index);
    }
    for (const write of effects.persist) {
      if (replica.context.diskFull && write.entry !== null && !write.entry.tombstone) {
        this.#fail(`D12: ${where} writes a value at index ${String(write.index)} while the disk is full`);
      }
    }
    if (!replica.context.mayVote) {
      for (const write of effects.persist)
        if (!write.chosen) this.#fail(`P30: ${where} promises or accepts as a learner`);
    }
  }

  onLeave(replica: Replica, lane: Lane | undefined, envelope: Envelope): void {
    const { message } = envelope;
    if (!this.checksLeaving) return;
    const durable = this.#durable.get(`${String(replica.id)}/${message.key}`);
    const holds = (index: number, ballot: Ballot, what: "promised" | "accepted"): boolean => {
      if (durable === undefined || durable.index < index) return false;
      if (durable.index > index) return true;
      return compareBallots(durable[what], ballot) >= 0;
    };
    let good = true;
    if (message.type === "promise" && message.granted) good = holds(message.index, message.ballot, "promised");
    else if (message.type === "accepted" && message.granted) good = holds(message.index, message.ballot, "accepted");
    else if (message.type === "state-reply" && isBallot(message.accepted)) {
      good = holds(message.chosenIndex + 1, message.accepted, "accepted");
    }
    if (!good) {
      this.#fail(
        `P2: ${message.type} of replica ${String(replica.id)} leaves before its record is durable (${String(lane?.writes)})`,
      );
    }
  }

  onCrash(replica: Replica): void {
    for (const operation of this.operations.values()) {
      if (operation.status === "running" && operation.replica === replica.id) operation.status = "lost";
    }
  }

  onDurable(replica: Replica, batch: Batch): void {
    const facts = this.factsOf(batch.key);
    for (const write of batch.writes) {
      const { index } = write;
      const name = `${String(replica.id)}/${batch.key}`;
      const at = `index ${String(index)} of replica ${String(replica.id)}`;
      const before = this.#durable.get(name) ?? { index: 0, promised: NO_BALLOT, accepted: NO_BALLOT };
      if (index < before.index) this.#fail(`P24: the disk goes back from index ${String(before.index)} to ${at}`);
      if (write.chosen) {
        if (facts.chosen.get(index)?.entry.hash !== write.entry?.hash)
          this.#fail(`AGREEMENT: a wrong chosen record at ${at}`);
        this.#durable.set(name, { index: index + 1, promised: NO_BALLOT, accepted: NO_BALLOT });
        continue;
      }
      if (index === before.index) {
        if (compareBallots(write.promised, before.promised) < 0) this.#fail(`P1: the promise at ${at} is lowered`);
        if (compareBallots(write.accepted, before.accepted) < 0) this.#fail(`P1: the accept at ${at} is lowered`);
      }
      if (compareBallots(write.accepted, write.promised) > 0) this.#fail(`P1: accepted above the promise at ${at}`);
      const base = this.#entryAt(facts, index - 1);
      if (base === null) this.#fail(`P4: ${at} is written, but index ${String(index - 1)} is not chosen`);
      if (write.baseHash !== base.hash) this.#fail(`P13: ${at} names another base than the chosen entry`);
      this.#durable.set(name, { index, promised: write.promised, accepted: write.accepted });
      if (isBallot(write.accepted) && write.entry !== null) {
        this.#vote(facts, batch.key, replica.id, index, write.accepted, write.entry, base);
      }
    }
  }

  #vote(facts: KeyFacts, key: Key, voter: number, index: number, ballot: Ballot, entry: Entry, base: Entry): void {
    const name = `${String(index)}/${ballotName(ballot)}`;
    let vote = facts.votes.get(name);
    if (vote === undefined) {
      vote = { hash: entry.hash, voters: 0 };
      facts.votes.set(name, vote);
    }
    if (vote.hash !== entry.hash)
      this.#fail(`ONE BALLOT, TWO ENTRIES: ${ballotName(ballot)} at index ${String(index)}`);
    vote.voters |= 1 << voter;
    if (countVotes(vote.voters) < majorityOf(this.#replicas)) return;
    const leader = base.index === 0 ? hashKey(key) % this.#replicas : base.leader;
    if (isClassZero(ballot) && ((vote.voters >> leader) & 1) === 0) return;
    const known = facts.chosen.get(index);
    if (known !== undefined) {
      if (known.entry.hash !== entry.hash) this.#fail(`AGREEMENT: two entries chosen at index ${String(index)}`);
      return;
    }
    this.#newFact(facts, index, ballot, entry, base);
  }

  #newFact(facts: KeyFacts, index: number, ballot: Ballot, entry: Entry, base: Entry): void {
    if (entry.index !== index) this.#fail(`an entry of index ${String(entry.index)} was chosen at ${String(index)}`);
    const list = requestsOf(entry);
    const own = list.filter((request) => request.index === index);
    for (const request of own) {
      const name = requestName(request.id);
      const other = this.#decidedAt.get(name);
      if (other !== undefined)
        this.#fail(`APPLIED TWICE: request ${name} at index ${String(other)} and ${String(index)}`);
      this.#decidedAt.set(name, index);
      const status = this.#byRequest.get(name)?.status;
      if (request.refusal === null && (status === "not-applied" || status === "failed")) {
        this.#fail(`NOT APPLIED (${status}) became visible: request ${name} at index ${String(index)}`);
      }
    }
    const listed = new Set(list.map((request) => requestName(request.id)));
    for (let at = Math.max(entry.coveredFrom, 1); at < index; at++) {
      for (const name of facts.chosen.get(at)?.results.keys() ?? []) {
        if (!listed.has(name))
          this.#fail(`P14: the list at index ${String(index)} lacks request ${name} of ${String(at)}`);
      }
    }
    facts.chosen.set(index, { entry, ballot, results: this.#replay(entry, base) });
    this.#count("chosen");
    if (isClassZero(ballot)) this.#count("chosen in class zero");
  }

  /** The entry must be what the model makes of its base and its requests by some clock. */
  #replay(entry: Entry, base: Entry): ReadonlyMap<string, readonly ModelResult[]> {
    const own = requestsOf(entry).filter((request) => request.index === entry.index);
    const clocks = new Set<number>([0]);
    if (base.expiryMs > 0) clocks.add(base.expiryMs);
    for (const { id } of own) {
      const operation = this.#byRequest.get(requestName(id))?.operation ?? null;
      for (const part of operation?.kind === "steps" ? operation.steps : [operation]) {
        if (part !== null && "expiryMs" in part && part.expiryMs > 0) clocks.add(part.expiryMs);
      }
    }
    const explained = new Map<string, ModelResult[]>();
    let found = false;
    for (const clock of clocks) {
      const results = new Map<string, ModelResult>();
      let value = modelAt(modelOf(base), clock);
      let fits = true;
      for (const request of own) {
        const operation = this.#byRequest.get(requestName(request.id))?.operation ?? { kind: "expire-due" };
        const result = modelEvaluate(operation, value, clock);
        value = result.next;
        fits &&= result.refusal === request.refusal;
        if (request.result !== "large") fits &&= resultText(operation, request.result) === result.result;
        const version = result.refusal === null || value.text !== null ? value.version : 0;
        fits &&= version === request.version;
        results.set(requestName(request.id), result);
      }
      const told = modelOf(entry);
      if (fits && told.text === value.text && told.version === value.version && told.expiryMs === value.expiryMs) {
        found = true;
        for (const [name, result] of results) explained.set(name, [...(explained.get(name) ?? []), result]);
      }
    }
    if (found) return explained;
    return this.#fail(
      `VALUE: the entry chosen at index ${String(entry.index)} is not what its requests make of its base`,
    );
  }

  // ---- what clients are told

  #answered(client: number): ClientOperation {
    const operation = this.operations.get(client);
    if (operation === undefined) return this.#fail(`an answer for nobody: client ${String(client)}`);
    if (operation.status !== "running") this.#fail(`client ${String(client)} is answered twice`);
    operation.ended = ++this.#event;
    const late = this.tickOf() - operation.deadlineTick;
    if (late > 1) this.#fail(`client ${String(client)} is answered ${String(late)} ticks after its deadline`);
    return operation;
  }

  onWriteReply(_replica: Replica, key: Key, client: number, outcome: WriteOutcome): void {
    const told = this.#answered(client);
    told.status = outcome.status;
    this.#count(`write ${outcome.status}`);
    const facts = this.factsOf(key);
    const name = requestName(told.request);
    const decided = this.#decidedAt.get(name);
    const results = decided === undefined ? undefined : facts.chosen.get(decided)?.results.get(name);
    const result = results?.[0];
    switch (outcome.status) {
      case "ok": {
        if (result === undefined || result.refusal !== null || decided !== outcome.index) {
          return this.#fail(`OK, but request ${name} was not applied at index ${String(outcome.index)}`);
        }
        if (outcome.index <= told.low)
          this.#fail(
            `WRITE BEHIND AN ACKNOWLEDGED ONE: index ${String(outcome.index)}, ${String(told.low)} was acknowledged before it began`,
          );
        const { operation } = told;
        const said = operation === null ? null : resultText(operation, outcome.result);
        const same = results?.some((one) => one.result === said) ?? false;
        if (!same) this.#fail(`request ${name} is answered with a wrong result`);
        if (outcome.version !== result.next.version) this.#fail(`request ${name} is answered with a wrong version`);
        facts.acked = Math.max(facts.acked, outcome.index);
        return;
      }
      case "failed":
        if (result !== undefined) {
          if (result.refusal !== outcome.reason) this.#fail(`FAILED, but request ${name} was applied`);
        } else this.#checkFailed(facts, told, outcome);
        return;
      case "not-applied":
        if (result !== undefined && result.refusal === null) this.#fail(`NOT APPLIED, but request ${name} was`);
        return;
      case "unknown":
        return;
    }
  }

  #checkFailed(facts: KeyFacts, told: ClientOperation, outcome: Extract<WriteOutcome, { status: "failed" }>): void {
    const { operation } = told;
    if (operation === null) return;
    for (let index = told.low; ; index++) {
      const entry = this.#entryAt(facts, index);
      if (entry === null) break;
      const value = modelOf(entry);
      const result = modelEvaluate(operation, value, 0);
      const version = value.text === null ? 0 : value.version;
      if (result.refusal === outcome.reason && version === outcome.version) return;
    }
    this.#fail(`FAILED (${outcome.reason}) at no index from ${String(told.low)}: request ${requestName(told.request)}`);
  }

  onReadReply(replica: Replica, key: Key, client: number, outcome: ReadOutcome): void {
    const told = this.#answered(client);
    told.status = outcome.status;
    this.#count(`read ${outcome.status}`);
    if (outcome.status !== "ok") return;
    told.seen = outcome.found ? text(outcome.value) : null;
    const facts = this.factsOf(key);
    const { index } = outcome;
    if (index < told.low) {
      this.#fail(
        `STALE READ: answered index ${String(index)}, index ${String(told.low)} was acknowledged before it began`,
      );
    }
    const entry = this.#entryAt(facts, index);
    if (entry === null) return this.#fail(`READ of index ${String(index)}, which is not chosen`);
    const value = modelOf(entry);
    const same = outcome.found
      ? value.text === text(outcome.value) && value.version === outcome.version && value.expiryMs === outcome.expiryMs
      : value.text === null;
    if (!same) this.#fail(`READ of index ${String(index)} answers something else than the entry there`);
    if (outcome.found && outcome.expiryMs > 0 && outcome.expiryMs <= replica.context.wallMs) {
      this.#fail(`P25: a read answers a value that has expired by its own clock`);
    }
    facts.acked = Math.max(facts.acked, index);
  }

  /** Reads and plain sets as a history for the linearizability checker, which knows nothing of indexes. */
  history(): HistoryOperation[] {
    const history: HistoryOperation[] = [];
    for (const { client, key, operation, status, begun = 0, ended = 0, seen = null } of this.operations.values()) {
      const start = begun;
      if (operation === null) {
        const told = { status: "replied", reply: seen } as const;
        if (status === "ok") history.push({ client, key, call: { kind: "read" }, start, end: ended, told });
      } else if (operation.kind === "set") {
        const call = { kind: "set", value: text(operation.value) } as const;
        const told: Told =
          status === "ok"
            ? { status: "replied", reply: 1 }
            : { status: status === "not-applied" ? "not-applied" : "unknown" };
        history.push({ client, key, call, start, end: ended, told });
      }
    }
    return history;
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

function modelOf(entry: Entry): ModelValue {
  return { text: entry.tombstone ? null : text(entry.value), version: entry.version, expiryMs: entry.expiryMs };
}
