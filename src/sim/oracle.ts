/**
 * The oracle of agreement: it sees every record that a replica hands to its disk and every batch that became durable, and
 * holds the rules against them. It believes nobody's word: what is said to be chosen must stand durably on a majority (P9,
 * P11), one entry an index and for ever (P6), and no replica may ever take back what its disk held (P1, P4). It knows
 * records, and nothing of messages or clients.
 */
import type { Key } from "../base/key.js";
import { NODE_SPACE } from "../base/key.js";
import { type Head, headOf } from "../codec/record.js";
import { type Ballot, compareBallots, isClassZero, NO_BALLOT, sameBallot, type ReplicaId } from "../paxos/ballot.js";
import { decodeEntry, type Entry } from "../paxos/entry.js";
import { emptyLoadedKey } from "../storage/loaded-key.js";
import type { LoadedKey, Store, StoreStatus } from "../storage/store.js";
import { renderBallot } from "./render.js";
import type { StoreWatch } from "./tapped-store.js";

/** Says what is wrong. */
export type Report = (checker: string, text: string) => void;

interface Put {
  readonly key: Key;
  readonly position: number;
  readonly head: Head;
}

interface Vote {
  readonly ballot: Ballot;
  readonly hash: number;
  /** Replicas that hold it durably, or did. */
  mask: number;
}

/** What one replica says of one key. */
export interface Standing {
  readonly chosenIndex: number;
  /** Of chosenIndex + 1. */
  readonly promised: Ballot;
  readonly accepted: Ballot;
  /** P31: number of the loss after which the key was restored there. */
  readonly loss: number;
}

export interface KeyFacts {
  readonly key: Key;
  /** Hash of the chosen entry, by index. */
  readonly chosen: Map<number, number>;
  /** Every entry that anybody ever put on a disk, by its hash. */
  readonly entries: Map<number, Entry>;
  readonly votes: Map<number, Vote[]>;
  highest: number;
}

const NOTHING: Standing = { chosenIndex: 0, promised: NO_BALLOT, accepted: NO_BALLOT, loss: 0 };

export class Oracle implements StoreWatch {
  readonly #replicas: number;
  readonly #report: Report;
  readonly #onChosen: (facts: KeyFacts, index: number, hash: number) => void;
  readonly #facts = new Map<Key, KeyFacts>();
  /** Per replica: what was put since the last batch, and the batches under way. */
  readonly #gathering: Put[][];
  readonly #batches: Map<number, Put[]>[];
  /** Per replica and key: what was put last in this life, and what is durable over all lives. */
  readonly #present: Map<Key, Standing>[];
  readonly #durable: Map<Key, Standing>[];
  /** Keys that a replica may lose: a fault was played on its disk. */
  readonly #mayLose: boolean[];
  readonly #distrusted: Set<Key>[];
  #decisions = 0;

  /** `onChosen`: told once per key and index. */
  constructor(
    replicas: number,
    report: Report,
    onChosen: (facts: KeyFacts, index: number, hash: number) => void = () => undefined,
  ) {
    this.#replicas = replicas;
    this.#report = report;
    this.#onChosen = onChosen;
    const each = <T>(make: () => T): T[] => Array.from({ length: replicas }, make);
    this.#gathering = each(() => []);
    this.#batches = each(() => new Map<number, Put[]>());
    this.#present = each(() => new Map<Key, Standing>());
    this.#durable = each(() => new Map<Key, Standing>());
    this.#mayLose = each(() => false);
    this.#distrusted = each(() => new Set<Key>());
  }

  get decisions(): number {
    return this.#decisions;
  }

  keys(): IterableIterator<KeyFacts> {
    return this.#facts.values();
  }

  factsOf(key: Key): KeyFacts {
    let facts = this.#facts.get(key);
    if (facts === undefined) {
      facts = { key, chosen: new Map(), entries: new Map(), votes: new Map(), highest: 0 };
      this.#facts.set(key, facts);
    }
    return facts;
  }

  /** The chosen entry at an index, once both were seen. */
  chosenAt(key: Key, index: number): Entry | null {
    const facts = this.#facts.get(key);
    const hash = facts?.chosen.get(index);
    return hash === undefined ? null : (facts?.entries.get(hash) ?? null);
  }

  /** A fault was played on this replica's disk: from now on keys may come up broken there, and records older. */
  allowLoss(replica: ReplicaId): void {
    this.#mayLose[replica] = true;
  }

  /**
   * P29: it runs on an old copy of its disk, with an incarnation that was used, and nobody has told it yet: what it accepts of
   * keys of which votes are lost is no vote, and its ballots may be those of other entries (seed 62358). Of other keys the copy is
   * as good as the disk (seeds 79232, 66083, 68714).
   */
  distrust(replica: ReplicaId, keys: ReadonlySet<Key>): void {
    this.#distrusted[replica] = new Set(keys);
  }

  /** Keys of which the replica has given a vote that this store of it does not hold. */
  lackingVotes(replica: ReplicaId, store: Store | null): ReadonlySet<Key> {
    const lacking = new Set<Key>();
    if (store === null) return lacking;
    for (const facts of this.#facts.values()) if (lacksVotes(store, facts, replica)) lacking.add(facts.key);
    return lacking;
  }

  // ---- StoreWatch

  onPut(replica: ReplicaId, key: Key, position: number, header: Uint8Array, value: Uint8Array): void {
    if (key.startsWith(NODE_SPACE)) return;
    const head = headOf(header, this.#replicas);
    if (head === null) {
      this.#report("records", `${name(replica)} puts a record that it could not read itself`);
      return;
    }
    const facts = this.factsOf(key);
    if (head.hasEntry && !facts.entries.has(head.entryHash)) {
      const entry = decodeEntry(value);
      if (entry === null || entry.hash !== head.entryHash) {
        this.#report("records", `${name(replica)} puts an entry that does not fit its header`);
      } else facts.entries.set(entry.hash, entry);
    }
    this.#claims(replica, facts, position, head);
    const standing = standingOf(position, head);
    const before = this.#present[replica]?.get(key) ?? NOTHING;
    if (!head.learner && standing.loss > before.loss) this.#isRestored(replica, facts, head.votesFrom);
    else if (!head.learner) this.#mustNotFall(replica, key, before, standing, "while it runs");
    this.#present[replica]?.set(key, standing);
    this.#gathering[replica]?.push({ key, position, head });
  }

  onMark(replica: ReplicaId, key: Key, position: number, header: Uint8Array): void {
    const head = headOf(header, this.#replicas);
    if (head === null) return;
    this.#claims(replica, this.factsOf(key), position, head);
    const before = this.#present[replica]?.get(key) ?? NOTHING;
    if (position > before.chosenIndex) this.#present[replica]?.set(key, standingOf(position, head));
  }

  onSubmit(replica: ReplicaId, token: number): void {
    this.#batches[replica]?.set(token, this.#gathering[replica] ?? []);
    this.#gathering[replica] = [];
  }

  onDurable(replica: ReplicaId, token: number, status: StoreStatus): void {
    const batch = this.#batches[replica]?.get(token);
    this.#batches[replica]?.delete(token);
    if (batch === undefined || status !== "ok") return;
    for (const put of batch) this.#becomesDurable(replica, put);
  }

  onDamaged(replica: ReplicaId, key: Key): void {
    if (!(this.#mayLose[replica] ?? false)) {
      this.#report("damage", `${name(replica)} found ${quote(key)} broken, and nobody had broken it`);
    }
  }

  #becomesDurable(replica: ReplicaId, { key, position, head }: Put): void {
    this.#votes(replica, this.factsOf(key), position, head);
    const standing = standingOf(position, head);
    const before = this.#durable[replica]?.get(key) ?? NOTHING;
    if (standing.loss > before.loss || isAtLeast(standing, before)) this.#durable[replica]?.set(key, standing);
  }

  /**
   * P31: what it voted from there on before its loss is forgotten: whoever counts it now takes what no majority holds for chosen.
   * Its ballots of an incarnation that no peer had heard of come again, for other entries: what only it had accepted at one of its
   * own is as if it had never been (seed 1006277).
   */
  #isRestored(replica: ReplicaId, facts: KeyFacts, votesFrom: number): void {
    this.#distrusted[replica]?.delete(facts.key);
    for (const [index, votes] of facts.votes) {
      if (index < votesFrom) continue;
      for (const vote of votes) vote.mask &= ~(1 << replica);
      const left = votes.filter(({ mask, ballot }) => mask !== 0 || ballot.replica !== replica);
      facts.votes.set(index, left);
    }
  }

  #votes(replica: ReplicaId, facts: KeyFacts, position: number, head: Head): void {
    if (head.chosen || !head.hasEntry || head.learner || this.#distrusted[replica]?.has(facts.key) === true) return;
    let votes = facts.votes.get(position);
    if (votes === undefined) {
      votes = [];
      facts.votes.set(position, votes);
    }
    let vote = votes.find((one) => sameBallot(one.ballot, head.accepted));
    if (vote === undefined) {
      vote = { ballot: head.accepted, hash: head.entryHash, mask: 0 };
      votes.push(vote);
    }
    if (vote.hash !== head.entryHash) {
      this.#report(
        "agreement",
        `two entries of ${quote(facts.key)} were accepted at ${String(position)} at one ballot`,
      );
    }
    vote.mask |= 1 << replica;
  }

  /** A replica acts on it that an entry was chosen. */
  #claims(replica: ReplicaId, facts: KeyFacts, position: number, head: Head): void {
    if (head.chosen) this.claim(name(replica), facts, position, head.entryHash);
    else if (position > 1) this.claim(name(replica), facts, position - 1, head.baseHash);
  }

  /** Somebody says that the entry with this hash was chosen. */
  claim(who: string, facts: KeyFacts, index: number, hash: number): void {
    const known = facts.chosen.get(index);
    if (known === hash) return;
    const what = `index ${String(index)} of ${quote(facts.key)}`;
    if (known !== undefined) {
      this.#report("agreement", `${who} holds another entry as chosen than others do at ${what}`);
      return;
    }
    const isChosen = facts.votes.get(index)?.some((vote) => vote.hash === hash && this.#isMajority(vote)) ?? false;
    if (!isChosen)
      this.#report("majority", `${who} takes an entry for chosen that no majority holds durably, at ${what}`);
    facts.chosen.set(index, hash);
    facts.highest = Math.max(facts.highest, index);
    this.#decisions++;
    this.#onChosen(facts, index, hash);
  }

  /** A client was told that its write is at this index: then something must be chosen there. Null: it is not. */
  claimAnswered(key: Key, index: number): Entry | null {
    const facts = this.factsOf(key);
    if (!facts.chosen.has(index)) {
      const vote = facts.votes.get(index)?.find((one) => this.#isMajority(one));
      if (vote === undefined) return null;
      this.claim("a client's answer", facts, index, vote.hash);
    }
    return this.chosenAt(key, index);
  }

  /** P9, P11. */
  #isMajority({ ballot, mask }: Vote): boolean {
    if (isClassZero(ballot) && (mask & (1 << ballot.replica)) === 0) return false;
    return countBits(mask) > this.#replicas / 2;
  }

  // ---- over restarts

  onKilled(replica: ReplicaId): void {
    this.#gathering[replica] = [];
    this.#batches[replica]?.clear();
  }

  /** A process starts: its disk must hold at least what was durable. What else it holds counts from now on. */
  onStarted(replica: ReplicaId, store: Store): void {
    const present = this.#present[replica];
    const durable = this.#durable[replica];
    if (present === undefined || durable === undefined) return;
    present.clear();
    const keys: Key[] = [];
    store.forEachKey((key) => {
      if (!key.startsWith(NODE_SPACE)) keys.push(key);
    });
    for (const key of durable.keys()) if (!keys.includes(key)) keys.push(key);
    const results: LoadedKey[] = keys.map(() => emptyLoadedKey());
    store.load(keys, results);
    for (const [at, key] of keys.entries()) {
      const found = results[at];
      if (found !== undefined) this.#found(replica, key, found);
    }
  }

  #found(replica: ReplicaId, key: Key, records: LoadedKey): void {
    if (records.corrupt) {
      this.onDamaged(replica, key);
      return;
    }
    let standing = NOTHING;
    for (let at = 0; at < records.slots; at++) {
      const slot = records.slot[at as 0 | 1];
      const head = headOf(slot.header, this.#replicas);
      if (head === null) {
        this.#report("records", `${name(replica)} finds a record of ${quote(key)} that it cannot read`);
        continue;
      }
      this.#votes(replica, this.factsOf(key), slot.position, head);
      this.#claims(replica, this.factsOf(key), slot.position, head);
      standing = standingOf(slot.position, head);
    }
    this.#present[replica]?.set(key, standing);
    const before = this.#durable[replica]?.get(key) ?? NOTHING;
    if (!(this.#mayLose[replica] ?? false)) this.#mustNotFall(replica, key, before, standing, "after a restart");
    this.#durable[replica]?.set(key, standing);
  }

  #mustNotFall(replica: ReplicaId, key: Key, before: Standing, after: Standing, when: string): void {
    if (isAtLeast(after, before)) return;
    const text = `${name(replica)} falls back ${when} at ${quote(key)}: ${describe(before)}, then ${describe(after)}`;
    this.#report("regression", text);
  }
}

function standingOf(position: number, head: Head): Standing {
  const { promised, accepted, loss } = head;
  if (head.chosen) return { chosenIndex: position, promised: NO_BALLOT, accepted: NO_BALLOT, loss };
  return { chosenIndex: position - 1, promised, accepted, loss };
}

function isAtLeast(after: Standing, before: Standing): boolean {
  if (after.chosenIndex !== before.chosenIndex) return after.chosenIndex > before.chosenIndex;
  return compareBallots(after.promised, before.promised) >= 0 && compareBallots(after.accepted, before.accepted) >= 0;
}

function describe({ chosenIndex, promised, accepted }: Standing): string {
  return `chosen ${String(chosenIndex)}, promised ${renderBallot(promised)}, accepted ${renderBallot(accepted)}`;
}

function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function name(replica: ReplicaId): string {
  return `n${String(replica + 1)}`;
}

function quote(key: Key): string {
  return JSON.stringify(key.slice(1));
}

/** The replica has voted at a position of the key that its store does not reach, or holds otherwise. */
function lacksVotes(store: Store, { key, votes }: KeyFacts, replica: ReplicaId): boolean {
  let last = 0;
  for (const [index, all] of votes)
    if (all.some(({ mask }) => (mask & (1 << replica)) !== 0)) last = Math.max(last, index);
  if (last === 0) return false;
  const results = [emptyLoadedKey()];
  store.load([key], results);
  const [found = emptyLoadedKey()] = results;
  const newest = found.slots === 0 ? null : found.slot[found.slots === 2 ? 1 : 0];
  if (newest?.position !== last) return (newest?.position ?? 0) < last;
  return newest.valueBytes === 0; // what was promised there is left, and not what was accepted
}
