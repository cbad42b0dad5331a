/**
 * What is true of a whole world whatever its replicas believe: the votes that disks hold say what is chosen, and with
 * that every answer and every belief is compared. Knows the rules of agreement and of answers, and nothing of searching.
 */
import { hashKey } from "../../base/hash.js";
import { isClassZero, sameBallot } from "../../paxos/ballot.js";
import { type Entry, GENESIS, requestsOf } from "../../paxos/entry.js";
import type { WriteOutcome } from "../../paxos/operation.js";
import { countVotes, majorityOf } from "../../paxos/quorum.js";
import { ballotName } from "../soup/oracle.js";
import { modelEvaluate, text } from "../soup/value-model.js";
import { coreOperation, type Cores, type Reply, REPLICAS, type Thing, type Transition } from "./cores.js";

/** What became of an operation. */
export const FATES = ["new", "running", "lost", "ok", "failed", "not-applied", "unknown", "refused"] as const;
export type Fate = (typeof FATES)[number];

/** By index; index 0 was never written. */
export type Chosen = readonly (Entry | undefined)[];

type Vote = Extract<Thing, { kind: "vote" }>;

export class Facts {
  readonly #cores: Cores;
  readonly #own = new Map<number, readonly number[]>();
  readonly #listed = new Map<number, ReadonlySet<number>>();

  constructor(cores: Cores) {
    this.#cores = cores;
  }

  /** What the votes among these things have chosen, or what is wrong with them. */
  chosen(things: Int32Array, from: number, to: number): Chosen | string {
    const votes: Vote[] = [];
    for (let at = from; at < to; at++) {
      const number = things[at] ?? 0;
      if (this.#cores.receivers[number] !== -1) continue;
      const thing = this.#cores.thing(number);
      if (thing.kind === "vote") votes.push(thing);
    }
    const chosen: (Entry | undefined)[] = [GENESIS];
    for (let index = 1; ; index++) {
      const here = votes.filter((vote) => vote.entry.index === index);
      if (here.length === 0) return this.#twice(chosen) ?? chosen;
      const base = chosen[index - 1];
      const problem =
        base === undefined
          ? `P4: votes at index ${String(index)}, nothing is chosen below`
          : this.#at(here, base, chosen);
      if (problem !== null) return problem;
    }
  }

  /** Fills in what is chosen at the index of these votes. */
  #at(votes: readonly Vote[], base: Entry, chosen: (Entry | undefined)[]): string | null {
    const leader = base.index === 0 ? hashKey(this.#cores.key) % REPLICAS : base.leader;
    for (const vote of votes) {
      let voters = 0;
      for (const other of votes) {
        if (!sameBallot(other.ballot, vote.ballot)) continue;
        if (other.entry.hash !== vote.entry.hash) {
          return `ONE BALLOT, TWO ENTRIES: ${ballotName(vote.ballot)} at index ${String(vote.entry.index)}`;
        }
        voters |= 1 << other.replica;
      }
      if (countVotes(voters) < majorityOf(REPLICAS)) continue;
      if (isClassZero(vote.ballot) && ((voters >> leader) & 1) === 0) continue; // P9
      const { index } = vote.entry;
      if (chosen[index] !== undefined && chosen[index].hash !== vote.entry.hash) {
        return `AGREEMENT: two entries chosen at index ${String(index)}`;
      }
      chosen[index] = vote.entry;
    }
    return null;
  }

  #twice(chosen: Chosen): string | null {
    const at = new Map<number, number>();
    for (const entry of chosen) {
      if (entry === undefined || entry.index === 0) continue;
      for (const operation of this.operationsIn(entry)) {
        const other = at.get(operation);
        if (other !== undefined) {
          return `APPLIED TWICE: operation ${String(operation)} at index ${String(other)} and ${String(entry.index)}`;
        }
        at.set(operation, entry.index);
      }
      const lacking = this.#lacks(entry, chosen);
      if (lacking >= 0) return `P14: the list at index ${String(entry.index)} lacks operation ${String(lacking)}`;
    }
    return null;
  }

  /** An operation that was applied below this entry, where its list should be complete, and is not in it; -1: none. */
  #lacks(entry: Entry, chosen: Chosen): number {
    let listed = this.#listed.get(entry.hash);
    if (listed === undefined) {
      listed = new Set(requestsOf(entry).map((request) => request.id.counter - 1));
      this.#listed.set(entry.hash, listed);
    }
    for (let index = Math.max(entry.coveredFrom, 1); index < entry.index; index++) {
      const below = chosen[index];
      if (below === undefined) continue;
      for (const operation of this.operationsIn(below)) if (!listed.has(operation)) return operation;
    }
    return -1;
  }

  /** The operations of the scope that this entry applies. */
  operationsIn(entry: Entry): readonly number[] {
    let own = this.#own.get(entry.hash);
    if (own === undefined) {
      own = requestsOf(entry)
        .filter((request) => request.index === entry.index && request.refusal === null)
        .map((request) => request.id.counter - 1)
        .filter((operation) => operation < this.#cores.operations.length);
      this.#own.set(entry.hash, own);
    }
    return own;
  }

  /** What a step did to a replica, held against what is chosen after it. Null: nothing is wrong. */
  judge(
    transition: Transition,
    chosen: Chosen,
    fateOf: (operation: number) => Fate,
    lowOf: (operation: number) => number,
  ): string | null {
    const believed = this.#cores.state(transition.next).chosen;
    const fact = chosen[believed.index];
    if (fact === undefined)
      return `AGREEMENT: index ${String(believed.index)} is taken as chosen, but no majority of disks holds it`;
    if (fact.hash !== believed.hash)
      return `AGREEMENT: another entry is held as chosen at index ${String(believed.index)}`;
    for (const write of transition.durable) {
      if (write.chosen) {
        if (chosen[write.index]?.hash !== write.entry?.hash)
          return `AGREEMENT: a wrong chosen record at index ${String(write.index)}`;
      } else if (chosen[write.index - 1]?.hash !== write.baseHash && write.index > 1) {
        return `P13: the record at index ${String(write.index)} names another base than the chosen entry`;
      }
    }
    for (const entry of chosen) {
      if (entry === undefined || entry.index === 0) continue;
      for (const operation of this.operationsIn(entry)) {
        const fate = fateOf(operation);
        if (fate === "not-applied" || fate === "failed") {
          return `NOT APPLIED (${fate}) became visible: operation ${String(operation)} at index ${String(entry.index)}`;
        }
      }
    }
    for (const reply of transition.replies) {
      const problem = this.#judgeReply(reply, chosen, lowOf(reply.operation));
      if (problem !== null) return problem;
    }
    return null;
  }

  #judgeReply({ operation, outcome }: Reply, chosen: Chosen, low: number): string | null {
    if (outcome.status === "refused" || outcome.status === "unknown") return null;
    const applied = chosen.find(
      (entry) => entry !== undefined && entry.index > 0 && this.operationsIn(entry).includes(operation),
    );
    if (outcome.status === "not-applied")
      return applied === undefined ? null : `NOT APPLIED, but operation ${String(operation)} was`;
    if (outcome.status === "failed") return this.#judgeFailure(operation, outcome, chosen, low);
    const { index } = outcome;
    if ("found" in outcome) {
      if (index < low)
        return `STALE READ: answered index ${String(index)}, index ${String(low)} was acknowledged before it began`;
      const entry = chosen[index];
      if (entry === undefined) return `READ of index ${String(index)}, which is not chosen`;
      const same = outcome.found ? !entry.tombstone && text(entry.value) === text(outcome.value) : entry.tombstone;
      return same ? null : `READ of index ${String(index)} answers something else than the entry there`;
    }
    if (applied?.index !== index)
      return `OK, but operation ${String(operation)} was not applied at index ${String(index)}`;
    return index > low
      ? null
      : `WRITE BEHIND AN ACKNOWLEDGED ONE: index ${String(index)}, ${String(low)} was acknowledged before it began`;
  }

  /** A condition that failed must have failed on some entry that was the newest since the operation began. */
  #judgeFailure(
    operation: number,
    outcome: Extract<WriteOutcome, { status: "failed" }>,
    chosen: Chosen,
    low: number,
  ): string | null {
    const asked = this.#cores.operations[operation];
    const core = asked === undefined ? null : coreOperation(asked, operation);
    for (const entry of chosen.slice(low)) {
      if (entry === undefined || core === null) continue;
      const value = {
        text: entry.tombstone ? null : text(entry.value),
        version: entry.version,
        expiryMs: entry.expiryMs,
      };
      const version = entry.tombstone ? 0 : entry.version;
      if (modelEvaluate(core, value, 0).refusal === outcome.reason && version === outcome.version) return null;
    }
    return `FAILED (${outcome.reason}) on no entry from index ${String(low)}: operation ${String(operation)}`;
  }
}

/** Index up to which a reply tells its client that everything is decided; 0 when it tells nothing. */
export function toldIndex({ outcome }: Reply): number {
  return outcome.status === "ok" ? outcome.index : 0;
}
