/** Counters of a node since its process started, in one plain object that the turn loop adds to; and its store's figures. */
import type { Message } from "../paxos/message.js";
import type { StoreStats } from "../storage/store.js";

export class Counters {
  writes = 0;
  reads = 0;
  writesOk = 0;
  writesUnknown = 0;
  writesNotApplied = 0;
  records = 0;
  messagesSent = 0;
  framesSent = 0;
  framesDropped = 0;
  forwards = 0;
  submittedRounds = 0;
  catchUps = 0;
  alarms = 0;
  /** P31: keys for which this replica votes again. */
  restored = 0;

  /** A message to another replica. Accepts and prepares go to all others, so a round counts once by its replicas. */
  count(message: Message): void {
    switch (message.type) {
      case "forward":
        this.forwards++;
        return;
      case "submit":
        this.submittedRounds++;
        return;
      case "learn":
        this.catchUps++;
        return;
      case "prepare":
        this.#prepares++;
        return;
      case "accept":
        if (message.ballot.counter === 0) this.#zeroAccepts++;
        return;
      default:
    }
  }

  #prepares = 0;
  #zeroAccepts = 0;

  /** Rounds from messages: each went to `others` replicas. */
  rounds(others: number): { readonly fast: number; readonly twoPhase: number } {
    const each = Math.max(1, others);
    return { fast: Math.round(this.#zeroAccepts / each), twoPhase: Math.round(this.#prepares / each) };
  }
}

/** What a node tells of its store, one plain field each: INFO and metrics know no groups. */
export function storeFigures({ space, merge, scrub, cache, ...store }: StoreStats) {
  return {
    flushes: store.flushes,
    runs: store.runs,
    recordsWritten: store.recordsWritten,
    bytesWritten: store.bytesWritten,
    diskReads: store.diskReads,
    flushUs: Math.round(store.flushUs),
    bytesUsed: store.bytesUsed,
    bytesTotal: store.bytesTotal,
    spaceLevel: space.level,
    mergeDebtBytes: space.deadBytes,
    liveBytes: space.liveBytes,
    freeExtents: space.freeExtents,
    keptExtents: space.keptExtents,
    totalExtents: space.totalExtents,
    secondsToFull: space.secondsToFull,
    stalledBatches: space.stalledBatches,
    stalls: space.stalls,
    mergeBytesPerSecond: merge.bytesPerSecond,
    mergeBytesCopied: merge.bytesCopied,
    mergeExtents: merge.extents,
    scrubPasses: scrub.passes,
    scrubBytes: scrub.bytes,
    damagedRecords: scrub.damagedRecords,
    corruptKeys: store.corruptKeys,
    indexBytes: store.indexBytes,
    cacheBytes: cache.bytes,
    cacheHits: cache.hits,
    cacheMisses: cache.misses,
  };
}
