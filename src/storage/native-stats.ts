/** The engine's figures, from the doubles that cross (layout.ts) to the groups of StoreStats. */
import { LAYOUT } from "./layout.js";
import type { SpaceLevel, SpaceStats, StoreStats } from "./store.js";

const STATES: readonly StoreStats["state"][] = ["open", "failed", "closed"];
const LEVELS: readonly SpaceLevel[] = ["plenty", "soft", "hard", "full"];

export function readStats(from: Float64Array, closed: boolean): StoreStats {
  const at = (index: number): number => from[index] ?? 0;
  return {
    keys: at(LAYOUT.statKeys),
    keysByClass: Array.from(from.subarray(LAYOUT.statClasses)),
    corruptKeys: at(LAYOUT.statCorruptKeys),
    indexBytes: at(LAYOUT.statIndexBytes),
    bytesUsed: at(LAYOUT.statBytesUsed),
    bytesTotal: at(LAYOUT.statBytesTotal),
    flushes: at(LAYOUT.statFlushes),
    runs: at(LAYOUT.statRuns),
    markRuns: at(LAYOUT.statMarkRuns),
    recordsWritten: at(LAYOUT.statRecordsWritten),
    bytesWritten: at(LAYOUT.statBytesWritten),
    summaryBytes: at(LAYOUT.statSummaryBytes),
    diskReads: at(LAYOUT.statDiskReads),
    flushUs: at(LAYOUT.statFlushUs),
    state: closed ? "closed" : (STATES[at(LAYOUT.statState)] ?? "failed"),
    space: readSpace(at),
    merge: {
      bytesRead: at(LAYOUT.statMergeBytesRead),
      bytesCopied: at(LAYOUT.statMergeBytesCopied),
      recordsCopied: at(LAYOUT.statMergeRecordsCopied),
      extents: at(LAYOUT.statMergeExtents),
      bytesPerSecond: at(LAYOUT.statMergeRate),
    },
    scrub: {
      passes: at(LAYOUT.statScrubPasses),
      bytes: at(LAYOUT.statScrubBytes),
      records: at(LAYOUT.statScrubRecords),
      damagedRecords: at(LAYOUT.statDamagedRecords),
    },
    cache: {
      bytes: at(LAYOUT.statCacheBytes),
      hits: at(LAYOUT.statCacheHits),
      misses: at(LAYOUT.statCacheMisses),
    },
  };
}

function readSpace(at: (index: number) => number): SpaceStats {
  return {
    liveBytes: at(LAYOUT.statLiveBytes),
    deadBytes: at(LAYOUT.statDeadBytes),
    usableBytes: at(LAYOUT.statBytesUsable),
    freeExtents: at(LAYOUT.statFreeExtents),
    keptExtents: at(LAYOUT.statKeptExtents),
    totalExtents: at(LAYOUT.statTotalExtents),
    extentsFreed: at(LAYOUT.statExtentsFreed),
    level: LEVELS[at(LAYOUT.statSpaceLevel)] ?? "full",
    stalledBatches: at(LAYOUT.statStalledBatches),
    stalls: at(LAYOUT.statStalls),
    secondsToFull: at(LAYOUT.statSecondsToFull),
    zeroFilledBytes: at(LAYOUT.statZeroFilledBytes),
  };
}
