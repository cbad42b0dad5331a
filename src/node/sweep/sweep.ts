/**
 * The sweep: pass after pass over all buckets, this replica compares what it holds with what its peers hold, and brings its
 * own up to theirs. One mechanism for what was missed while it was away (P26), what is undecided and has no lane (the third
 * level of P27), verification of everything (P28), and voting again after a loss (P31). It yields to callers.
 */
import { isReplicated } from "../../base/key.js";
import { heldState } from "../../codec/record.js";
import { DIGEST_BYTES, type DigestsReply, type ListReply, type SweepMessage } from "../../codec/sweep.js";
import type { ReplicaId } from "../../paxos/ballot.js";
import { DIGEST_BUCKETS } from "../../storage/store.js";
import { answerDigests, answerList, digestBytes } from "./answers.js";
import { Findings, needsDecision, noFindings, type PassFindings } from "./findings.js";
import type { SweepHost } from "./host.js";
import { RangeJob } from "./range-job.js";

/** A store of up to this many keys is compared in one piece, a larger one in many. */
const SMALL_KEYS = 20_000;
const CHUNK_BUCKETS = 4096;
/** Keys of one job, and jobs at a time. */
const RANGE_KEYS = 1000;
/** So many keys are listed for the sake of one of them. */
const FEW_KEYS = 100;
const MAX_JOBS = 4;
const ANSWER_TICKS = 2000;
/** After a pass that left something to be done, and how far that pause grows. */
const RETRY_TICKS = 500;
/** How long a pass after a loss waits for the last peers to confirm it. */
const FENCE_PATIENCE_TICKS = 3000;
/** A busy node goes on all the same after this long. */
const PATIENCE_TICKS = 250;

export interface SweepStats {
  /** P31: there may be keys that this replica has no vote for. */
  readonly restoring: boolean;
  /** Passes that have ended. */
  readonly passes: number;
  /** Of the pass under way, 65,536 when none is. */
  readonly bucketsDone: number;
  /** Keys that wait to be fetched, restored or looked at, and for how long the oldest of their ranges has, in ticks. */
  readonly backlog: number;
  readonly backlogAgeTicks: number;
  readonly keysFetched: number;
  readonly keysRestored: number;
  /** What the last pass found. */
  readonly found: Readonly<PassFindings>;
  /** Ticks since it ended; -1 = none has. */
  readonly sinceTicks: number;
}

interface Pass {
  readonly findings: Findings;
  readonly startedTick: number;
  readonly loss: number;
  /** P31: all others are there and have confirmed the loss; what they list is a poll. */
  isPoll: boolean;
  /** Learners are looked for, not only differences. */
  readonly looksForLearners: boolean;
  /** First bucket that is not done, and end of the chunk under way. */
  chunk: number;
  chunkEnd: number;
  readonly digests: Map<ReplicaId, DigestsReply>;
  readonly asked: Set<ReplicaId>;
  askedTick: number;
  /** Ranges of the chunk that have no job yet; null = the digests are not there yet. */
  ranges: (readonly [number, number])[] | null;
  unrestored: number;
  needsLoss: boolean;
  isWhole: boolean;
}

export class Sweep {
  readonly #host: SweepHost;
  readonly #verifyTicks: number;
  readonly #peers: readonly ReplicaId[];
  readonly #jobs: RangeJob[] = [];
  readonly #readyBefore = new Set<ReplicaId>();
  #pass: Pass | null = null;
  #nextPassTick = 0;
  #retryTicks = RETRY_TICKS;
  #query = 0;
  #firstReadyTick = 0;
  /** Of any replica, as told last. */
  #mostKeys = 0;
  #busySinceTick = 0;
  #mayHaveLearners: boolean;
  /** P31, by an operator's order: the loss whose keys may be restored although another replica has lost them too; -1 = none. */
  #acceptedLoss = -1;
  #passes = 0;
  #keysFetched = 0;
  #keysRestored = 0;
  #found: PassFindings = noFindings();
  #endedTick = -1;
  #waiting: ((found: Readonly<PassFindings>) => void)[] = [];

  constructor(host: SweepHost, verifyTicks: number) {
    this.#host = host;
    this.#verifyTicks = verifyTicks;
    this.#peers = host.context.peerOrder.slice().sort((a, b) => a - b);
    this.#mayHaveLearners = host.context.loss > 0 || host.store.stats().corruptKeys > 0;
  }

  get stats(): SweepStats {
    const { tick } = this.#host.context;
    const pass = this.#pass;
    const backlog = this.#jobs.reduce((sum, job) => sum + job.backlog, 0);
    return {
      restoring: this.#mayHaveLearners || this.#host.context.lossOpen,
      passes: this.#passes,
      bucketsDone: pass === null ? DIGEST_BUCKETS : pass.chunk,
      backlog,
      backlogAgeTicks: pass === null || backlog === 0 ? 0 : tick - pass.startedTick,
      keysFetched: this.#keysFetched,
      keysRestored: this.#keysRestored,
      found: this.#found,
      sinceTicks: this.#endedTick < 0 ? -1 : tick - this.#endedTick,
    };
  }

  noteFetched(bytes: number): void {
    this.#keysFetched++;
    this.#host.pace.takeBytes(bytes);
  }

  /** A whole pass from now on; `done` with what it found. */
  verifyNow(done: (found: Readonly<PassFindings>) => void): void {
    this.#waiting.push(done);
    this.#endPass(false);
    this.#nextPassTick = this.#host.context.tick;
  }

  /**
   * P31: an operator gives up what this replica and another one have both lost, and are asked for until then. Until every
   * key was restored, or the process ends, or something else is lost. False when nothing waits for it.
   */
  acceptLoss(): boolean {
    const { context } = this.#host;
    if (!needsDecision(this.#found)) return false;
    this.#acceptedLoss = context.loss;
    this.lookForLearners();
    this.#endPass(false);
    this.#nextPassTick = context.tick;
    return true;
  }

  /** The node stops: who waits for a pass is told what the last one found. */
  end(): void {
    for (const done of this.#waiting.splice(0)) done(this.#found);
  }

  /** P30, P31: there are learners to be restored, or soon: by damage, or because all peers have confirmed a loss. */
  lookForLearners(): void {
    this.#mayHaveLearners = true;
    this.#retryTicks = RETRY_TICKS;
    if (this.#pass !== null && !(this.#pass.looksForLearners && this.#pass.isPoll)) this.#endPass(false);
    this.#nextPassTick = this.#host.context.tick;
  }

  onGone(peer: ReplicaId): void {
    for (const job of this.#jobs) job.onGone(peer);
    this.#readyBefore.delete(peer);
  }

  onMessage(peer: ReplicaId, message: SweepMessage, boundLoss: number): void {
    const { store, context } = this.#host;
    switch (message.type) {
      case "digests-query":
        // P31: of a loss that is not bound here nothing is answered, and of an earlier one neither.
        if (message.loss === boundLoss) this.#host.send(peer, answerDigests(store, context, message));
        return;
      case "list-query":
        if (message.loss === boundLoss) {
          this.#host.send(peer, answerList(store, context, message, this.#host.hasPressure()));
        }
        return;
      case "digests":
        this.#onDigests(peer, message);
        return;
      case "list":
        this.#onList(peer, message);
        return;
    }
  }

  #onDigests(peer: ReplicaId, reply: DigestsReply): void {
    const pass = this.#pass;
    if (pass === null || pass.ranges !== null || !pass.asked.has(peer)) return;
    const buckets = reply.digests.length / DIGEST_BYTES;
    if (reply.loss !== pass.loss || reply.first !== pass.chunk || reply.first + buckets !== pass.chunkEnd) return;
    pass.digests.set(peer, reply);
    if (pass.digests.size === pass.asked.size) this.#divide(pass);
  }

  #onList(peer: ReplicaId, reply: ListReply): void {
    if (reply.busy) this.#host.pace.slowDown();
    this.#jobs.find((job) => job.query === reply.query)?.onList(peer, reply);
  }

  /** Called every few ticks while the node serves. */
  beat(): void {
    const { context, pace } = this.#host;
    pace.advance(context.tick);
    if (this.#host.hasPressure()) pace.slowDown();
    this.#greet();
    if (this.#pass === null && context.tick >= this.#nextPassTick) this.#begin();
    const pass = this.#pass;
    if (pass === null || this.#yields()) return;
    for (const job of this.#jobs) job.drive();
    this.#reap(pass);
    if (pass.loss !== context.loss) this.#endPass(false);
    else this.#advance(pass);
  }

  /** Somebody has come back: what it knows, and what it missed by us, is compared soon. */
  #greet(): void {
    for (const peer of this.#peers) {
      const isReady = this.#host.isReady(peer);
      if (isReady && !this.#readyBefore.has(peer)) {
        if (this.#firstReadyTick === 0) this.#firstReadyTick = this.#host.context.tick;
        this.#readyBefore.add(peer);
        this.#retryTicks = RETRY_TICKS;
        this.#nextPassTick = this.#host.context.tick;
        if (this.#pass !== null) this.#pass.isWhole = false;
      } else if (!isReady) this.#readyBefore.delete(peer);
    }
  }

  #yields(): boolean {
    const { context } = this.#host;
    if (!this.#host.isBusy()) {
      this.#busySinceTick = 0;
      return false;
    }
    if (this.#busySinceTick === 0) this.#busySinceTick = context.tick;
    if (context.tick < this.#busySinceTick + PATIENCE_TICKS) return true;
    this.#busySinceTick = context.tick;
    return false;
  }

  #begin(): void {
    const { context, store } = this.#host;
    const ready = this.#peers.filter((peer) => this.#host.isReady(peer));
    if (this.#peers.length === 0) this.end(); // a group of one has nobody to be compared with
    if (ready.length === 0) {
      this.#nextPassTick = context.tick + RETRY_TICKS;
      return;
    }
    if (store.stats().corruptKeys > 0) this.#mayHaveLearners = true;
    const isPoll = ready.length === this.#peers.length && this.#host.isFenced();
    // P31: a moment later all may have confirmed the loss, and every key is written once in place of twice.
    if (context.lossOpen && !isPoll && context.tick < this.#firstReadyTick + FENCE_PATIENCE_TICKS) return;
    this.#pass = {
      findings: new Findings(),
      startedTick: context.tick,
      loss: context.loss,
      isPoll,
      looksForLearners: this.#mayHaveLearners || context.lossOpen,
      chunk: 0,
      chunkEnd: 0,
      digests: new Map(),
      asked: new Set(),
      askedTick: 0,
      ranges: null,
      unrestored: 0,
      needsLoss: false,
      isWhole: true,
    };
    this.#nextChunk(this.#pass);
  }

  #nextChunk(pass: Pass): void {
    const { context, store } = this.#host;
    const isSmall = Math.max(store.stats().keys, this.#mostKeys) <= SMALL_KEYS;
    pass.chunk = pass.chunkEnd;
    pass.chunkEnd = isSmall ? DIGEST_BUCKETS : Math.min(DIGEST_BUCKETS, pass.chunk + CHUNK_BUCKETS);
    pass.ranges = null;
    pass.digests.clear();
    pass.asked.clear();
    pass.askedTick = context.tick;
    const count = pass.chunkEnd - pass.chunk;
    for (const peer of this.#peers) {
      if (!this.#host.isReady(peer)) continue;
      const sent = this.#host.send(peer, { type: "digests-query", loss: pass.loss, first: pass.chunk, count });
      if (sent) pass.asked.add(peer);
    }
    if (pass.asked.size === 0) this.#endPass(false);
  }

  /** The buckets of the chunk that are looked at key by key, as ranges of a bounded number of keys. */
  #divide(pass: Pass): void {
    const { context, store } = this.#host;
    const count = pass.chunkEnd - pass.chunk;
    const own = digestBytes(store, pass.chunk, count);
    const picked = new Uint8Array(count);
    // Of an empty disk that is being filled everything differs: it asks us for it, and we need not ask it as well.
    for (const { digests, open } of pass.digests.values()) if (!open) pickDifferences(own, digests, picked);
    for (let at = picked.indexOf(1); at >= 0; at = picked.indexOf(1, at + 1)) pass.findings.values.differing++;
    if (context.lossOpen) picked.fill(1);
    else if (pass.looksForLearners) this.#pickLearners(pass, picked);
    let keys = store.stats().keys;
    for (const reply of pass.digests.values()) keys = Math.max(keys, reply.keys);
    this.#mostKeys = keys;
    const most = Math.max(1, Math.floor((RANGE_KEYS * DIGEST_BUCKETS) / Math.max(1, keys)));
    pass.ranges = [];
    for (let at = picked.indexOf(1); at >= 0; at = picked.indexOf(1, at)) {
      let end = at + 1;
      // A bucket without a difference costs less to be listed than a question of its own.
      for (let next = end; next < count && next < at + most; next++) if (picked[next] === 1) end = next + 1;
      pass.ranges.push([pass.chunk + at, pass.chunk + end]);
      at = end;
    }
  }

  /** Buckets with a learner's key, or some around them: halves of halves, so that where none is costs one walk. */
  #pickLearners(pass: Pass, picked: Uint8Array): void {
    const { store } = this.#host;
    if (store.stats().corruptKeys > 0) {
      picked.fill(1);
      return;
    }
    const pick = (from: number, to: number): void => {
      const { learners, keys } = this.#countLearners(pass.chunk + from, pass.chunk + to);
      if (learners === 0) return;
      if (to - from === 1 || keys <= FEW_KEYS) {
        picked.fill(1, from, to);
        return;
      }
      const middle = (from + to) >> 1;
      pick(from, middle);
      pick(middle, to);
    };
    pick(0, picked.length);
  }

  #countLearners(first: number, end: number): { readonly learners: number; readonly keys: number } {
    const { context, store } = this.#host;
    let learners = 0;
    let keys = 0;
    const cursor = store.beginIteration(store.placeOfBucket(first), store.placeOfBucket(end));
    while (!cursor.done) {
      store.iterate(cursor, RANGE_KEYS, (key, top, header) => {
        if (!isReplicated(key)) return;
        keys++;
        if (heldState(top, header, context)?.learner !== false) learners++;
      });
    }
    return { learners, keys };
  }

  #advance(pass: Pass): void {
    const { context } = this.#host;
    if (pass.ranges === null) {
      if (context.tick < pass.askedTick + ANSWER_TICKS) return;
      // Who is slow is left out of this chunk.
      pass.isWhole = false;
      if (pass.digests.size === 0) this.#endPass(false);
      else this.#divide(pass);
      return;
    }
    while (this.#jobs.length < MAX_JOBS && pass.ranges.length > 0) {
      const range = pass.ranges.shift();
      if (range !== undefined) this.#startJob(pass, range);
    }
    this.#reap(pass);
    if (this.#jobs.length > 0 || pass.ranges.length > 0) return;
    if (pass.chunkEnd < DIGEST_BUCKETS) this.#nextChunk(pass);
    else this.#endPass(true);
  }

  #startJob(pass: Pass, [first, end]: readonly [number, number]): void {
    this.#query++;
    const peers = this.#peers.filter((peer) => this.#host.isReady(peer));
    // P31: what is asked of fewer than all others, or before all have confirmed the loss, restores nothing.
    const isPoll = pass.isPoll && peers.length === this.#peers.length && this.#host.isFenced();
    const acceptsLoss = this.#acceptedLoss === pass.loss;
    const options = { first, end, query: this.#query, peers, isPoll, acceptsLoss };
    this.#jobs.push(new RangeJob(this.#host, options, pass.findings));
  }

  #reap(pass: Pass): void {
    for (let i = this.#jobs.length; i-- > 0; ) {
      const job = this.#jobs[i];
      if (job?.isOver !== true) continue;
      this.#jobs.splice(i, 1);
      pass.unrestored += job.unrestored;
      pass.needsLoss ||= job.needsLoss;
      pass.isWhole &&= job.isWhole;
      pass.isPoll &&= job.isPoll;
    }
  }

  #endPass(isComplete: boolean): void {
    const pass = this.#pass;
    if (pass === null) return;
    const { context } = this.#host;
    this.#pass = null;
    this.#jobs.length = 0;
    if (!isComplete) {
      this.#nextPassTick = context.tick + this.#retryTicks;
      return;
    }
    this.#passes++;
    this.#endedTick = context.tick;
    const { values } = pass.findings;
    values.buckets = DIGEST_BUCKETS;
    values.learners = pass.unrestored;
    this.#found = values;
    if (pass.looksForLearners) this.#afterLearners(pass);
    const isDone = !this.#mayHaveLearners && !context.lossOpen;
    const jittered = this.#verifyTicks + context.random.below(1 + (this.#verifyTicks >> 3));
    const pause = isDone ? jittered : Math.min(this.#retryTicks, jittered);
    this.#retryTicks = isDone ? RETRY_TICKS : this.#retryTicks * 2;
    this.#nextPassTick = context.tick + pause;
    for (const done of this.#waiting.splice(0)) done(values);
  }

  #afterLearners(pass: Pass): void {
    const { context } = this.#host;
    const isRestored = pass.isWhole && pass.unrestored === 0;
    if (isRestored && pass.isPoll) this.#acceptedLoss = -1;
    if (pass.needsLoss) this.#host.taint();
    if (context.lossOpen) {
      // What came while the pass went on is looked for once more, under the same loss.
      if (isRestored && pass.isPoll && pass.loss === context.loss) this.#host.closeLoss();
    } else if (isRestored) this.#mayHaveLearners = false;
  }
}

/** Marks the buckets whose digests differ: most often none, which one comparison of bytes tells. */
function pickDifferences(own: Uint8Array, other: Uint8Array, picked: Uint8Array): void {
  const [a, b] = [
    Buffer.from(own.buffer, own.byteOffset, own.length),
    Buffer.from(other.buffer, other.byteOffset, other.length),
  ];
  const pick = (from: number, to: number): void => {
    if (a.compare(b, from * DIGEST_BYTES, to * DIGEST_BYTES, from * DIGEST_BYTES, to * DIGEST_BYTES) === 0) return;
    if (to - from === 1) {
      picked[from] = 1;
      return;
    }
    const middle = (from + to) >> 1;
    pick(from, middle);
    pick(middle, to);
  };
  pick(0, picked.length);
}
