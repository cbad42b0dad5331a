/**
 * The layout of the buffers that cross to C++, and the engine's numbers, as native/binding/batch_layout.h has them: that
 * file explains each. They are repeated here because constants in code are fast and typed; the addon exports its own,
 * and `layoutDifference` compares all of them before the addon is used.
 */
import { HEADER_BYTES } from "./store.js";

export const LAYOUT = {
  version: 1,
  opPut: 0,
  opMark: 1,
  opRead: 2,
  opKind: 0,
  opKeyBytes: 4,
  opPosition: 8,
  opFloor: 16,
  opValueBytes: 24,
  opHeader: 32,
  opFixedBytes: 96,
  maxLoadKeys: 4096,
  loadedSlots: 0,
  loadedFlags: 4,
  flagCorrupt: 1,
  loadedFirst: 8,
  slotPosition: 0,
  slotFloor: 8,
  slotLsn: 16,
  slotInSlab: 24,
  slotOffset: 28,
  slotBytes: 32,
  slotHeader: 40,
  loadedSlotBytes: 104,
  loadedBytes: 216,
  maxInlineBytes: 32 << 20,
  eventsSlabEnd: 0,
  eventsFirst: 8,
  eventBatch: 0,
  eventRead: 1,
  eventFailed: 2,
  eventKind: 0,
  eventStatus: 4,
  eventTag: 8,
  eventOffset: 16,
  eventValueBytes: 20,
  eventHasValue: 24,
  eventBytes: 32,
  slabAlign: 8,
  statKeys: 0,
  statBytesUsed: 1,
  statBytesTotal: 2,
  statFlushes: 3,
  statRuns: 4,
  statRecordsWritten: 5,
  statBytesWritten: 6,
  statDiskReads: 7,
  statCacheBytes: 8,
  statFlushUs: 9,
  statState: 10,
  statClasses: 11,
  statCount: 267,
  scanKeyBytes: 0,
  scanPosition: 8,
  scanHeader: 16,
  scanFixedBytes: 80,
  wakeCompletions: 0,
  wakeOpened: 1,
  wakeClosed: 2,
  headerBytes: HEADER_BYTES,
  maxKeyBytes: 65535,
  maxVolumes: 16,
  maxNodeIdBytes: 64,
  minVolumeBytes: 8 << 20,
  statusOk: 0,
  statusDiskFull: 1,
  statusFailed: 2,
  statusCorrupt: 3,
  statusTooLarge: 4,
  statusClosed: 5,
  statusNotFound: 6,
  statusInvalidArgument: 7,
  statusLocked: 8,
  statusForeign: 9,
  statusIoError: 10,
  durabilityFlush: 0,
  durabilityDevice: 1,
  durabilityNone: 2,
  ioDirect: 0,
  ioBuffered: 1,
  ioMemory: 2,
  stateOpen: 0,
  stateFailed: 1,
  stateClosed: 2,
} as const;

/** The first constant in which the addon differs, as text; null when all agree. */
export function layoutDifference(exported: Readonly<Record<string, unknown>>): string | null {
  const own: Readonly<Record<string, number>> = LAYOUT;
  for (const name of Object.keys(exported)) {
    if (own[name] === undefined) return `${name} is known to the addon only`;
  }
  for (const [name, value] of Object.entries(own)) {
    const theirs = exported[name];
    if (theirs !== value) return `${name} is ${String(value)} here and ${String(theirs)} in the addon`;
  }
  return null;
}
