// A KeyService in memory for tests of the server: one map, operations evaluated at once in the order they come, as a
// lane does; reads are evaluated at a random moment before they are answered, and answers come in random order, so that
// whatever order a client sees was made by the server. Outcomes can be forced.
import { noFindings, type PassFindings } from "../../src/node/sweep/findings.js";
import { Random } from "../../src/base/random.js";
import type { Key } from "../../src/base/key.js";
import type { ChangeListener, GroupStats, KeyService, NodeStats, PLogView, ReplySink } from "../../src/node/service.js";
import { NO_BALLOT, ordinaryBallot } from "../../src/paxos/ballot.js";
import { evaluate, type LiveValue } from "../../src/paxos/evaluate.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../../src/paxos/operation.js";

const EMPTY = new Uint8Array(0);

interface Stored extends LiveValue {
  readonly index: number;
}

export class NaiveService implements KeyService {
  readonly #values = new Map<Key, Stored>();
  readonly #random: Random;
  readonly #jobs: (() => void)[] = [];
  #scheduled = false;
  /** Answers are kept back until this is false again. */
  held = false;
  writes = 0;
  reads = 0;
  /** Operations taken and not answered. */
  pending = 0;
  maxPending = 0;
  /** Says what becomes of a write instead; undefined = evaluate it. */
  forceWrite: (key: Key, operation: Operation) => WriteOutcome | undefined = () => undefined;
  forceRead: (key: Key) => ReadOutcome | undefined = () => undefined;
  state: NodeStats["state"] = "serving";

  constructor(seed = 1) {
    this.#random = new Random(seed);
  }

  write(key: Key, operation: Operation, sink: ReplySink, tag: number): void {
    this.writes++;
    const outcome = this.forceWrite(key, operation) ?? this.#apply(key, operation);
    this.#later(() => {
      sink.onWrite(tag, outcome);
    });
  }

  read(key: Key, sink: ReplySink, tag: number): void {
    this.reads++;
    const early = this.#random.chance(0.5) ? this.#look(key) : null;
    this.#later(() => {
      sink.onRead(tag, early ?? this.#look(key));
    });
  }

  inspect(key: Key, done: (views: readonly PLogView[]) => void): void {
    const chosenIndex = this.#values.get(key)?.index ?? 0;
    this.#later(() => {
      const view = { nodeId: "n1", answered: true, votes: true, chosenIndex, leader: 0 };
      done([
        { ...view, replica: 0, accepted: NO_BALLOT },
        { ...view, replica: 1, nodeId: "n2", accepted: ordinaryBallot(3, 1, 7) },
        { ...view, replica: 2, nodeId: "n3", answered: false, accepted: NO_BALLOT },
      ]);
    });
  }

  /** As ordered last. */
  isLearner = false;

  setLearner(on: boolean, done: () => void): void {
    this.isLearner = on;
    queueMicrotask(done);
  }

  acceptLoss(): boolean {
    return false;
  }

  verifyNow(done: (found: Readonly<PassFindings>) => void): void {
    queueMicrotask(() => {
      done({ ...noFindings(), buckets: 65_536 });
    });
  }

  #listener: ChangeListener | null = null;

  listen(listener: ChangeListener | null): void {
    this.#listener = listener;
  }

  hears(nodeId: string): boolean {
    return nodeId === "n1";
  }

  groupStats(): readonly GroupStats[] {
    return [{ group: 0, stats: this.stats() }];
  }

  stats(): NodeStats {
    const { state } = this;
    const storageId = "0123456789abcdef0123456789abcdef";
    return {
      nodeId: "n1",
      replica: 0,
      clusterId: "test",
      incarnation: 1,
      storageId,
      state,
      mode: this.isLearner ? "learner-by-order" : "voter",
      waitingFor: state === "waiting" ? ["n2"] : [],
      loss: 0,
      lossAll: 0,
      lossOpen: false,
      restoring: false,
      lossReason: "",
      unfenced: [],
      sweepPasses: 0,
      sweepBucketsDone: 65_536,
      sweepSinceTicks: -1,
      sweepFound: noFindings(),
      catchUpBacklog: 0,
      catchUpAgeTicks: 0,
      keysFetched: 0,
      keysRestored: 0,
      undecidedLevel1: 0,
      undecidedLevel2: 0,
      peers: [{ replica: 0, nodeId: "n1", state: "self", detail: "", incarnation: 1, rttUs: 0, isSlow: false }],
      lanes: 0,
      undecided: 0,
      writes: this.writes,
      reads: this.reads,
      writesOk: 0,
      writesUnknown: 0,
      writesNotApplied: 0,
      fastRounds: 0,
      submittedRounds: 0,
      twoPhaseRounds: 0,
      forwards: 0,
      catchUps: 0,
      messagesSent: 0,
      framesSent: 0,
      alarms: 0,
      flushes: 0,
      runs: 0,
      recordsWritten: 0,
      bytesWritten: 0,
      diskReads: 0,
      flushUs: 0,
      bytesUsed: 0,
      bytesTotal: 0,
      spaceLevel: "plenty",
      mergeDebtBytes: 0,
      liveBytes: 0,
      freeExtents: 0,
      keptExtents: 0,
      totalExtents: 0,
      secondsToFull: Number.POSITIVE_INFINITY,
      stalledBatches: 0,
      stalls: 0,
      mergeBytesPerSecond: 0,
      mergeBytesCopied: 0,
      mergeExtents: 0,
      scrubPasses: 0,
      scrubBytes: 0,
      damagedRecords: 0,
      corruptKeys: 0,
      indexBytes: 0,
      cacheBytes: 0,
      cacheHits: 0,
      cacheMisses: 0,
    };
  }

  countKeys(): number {
    let count = 0;
    for (const stored of this.#values.values()) if (stored.exists) count++;
    return count;
  }

  scanKeys(cursor: bigint, limit: number, visit: (key: Key) => void): bigint {
    // Deleted keys stay, as they do in the index of a store, and are gone over.
    const all = [...this.#values];
    const from = Number(cursor);
    for (const [key, { exists }] of all.slice(from, from + limit)) if (exists) visit(key);
    return from + limit < all.length ? BigInt(from + limit) : 0n;
  }

  /** Lets everything that was held back go. */
  release(): void {
    this.held = false;
    this.#schedule();
  }

  #live(key: Key): Stored {
    const stored = this.#values.get(key) ?? { exists: false, value: EMPTY, version: 0, expiryMs: 0, index: 0 };
    const expired = stored.exists && stored.expiryMs > 0 && stored.expiryMs <= Date.now();
    return expired ? { ...stored, exists: false, value: EMPTY, expiryMs: 0 } : stored;
  }

  #apply(key: Key, operation: Operation): WriteOutcome {
    const live = this.#live(key);
    const evaluation = evaluate(operation, live, Date.now());
    const { result } = evaluation;
    if (!evaluation.applied) return { status: "failed", reason: evaluation.reason, version: live.version, result };
    const { next } = evaluation;
    // The value came as a view of received bytes: keep an own copy, as an entry does.
    this.#values.set(key, { ...next, value: next.value.slice(), index: live.index + 1 });
    if (next.version !== live.version) this.#listener?.(key, next.version, next.exists);
    return { status: "ok", index: live.index + 1, version: next.version, result };
  }

  #look(key: Key): ReadOutcome {
    const forced = this.forceRead(key);
    if (forced !== undefined) return forced;
    const { exists, value, version, expiryMs, index } = this.#live(key);
    if (!exists) return { status: "ok", found: false, value: EMPTY, version: 0, expiryMs: 0, index };
    return { status: "ok", found: true, value, version, expiryMs, index };
  }

  #later(job: () => void): void {
    this.pending++;
    this.maxPending = Math.max(this.maxPending, this.pending);
    this.#jobs.push(job);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.held) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#answerSome();
    });
  }

  /** Some of the waiting answers, in random order; the others later. */
  #answerSome(): void {
    if (this.held) return;
    let count = 1 + this.#random.below(this.#jobs.length + 1);
    while (count-- > 0 && this.#jobs.length > 0) {
      const index = this.#random.below(this.#jobs.length);
      const [job] = this.#jobs.splice(index, 1);
      this.pending--;
      job?.();
    }
    if (this.#jobs.length > 0) this.#schedule();
  }
}
