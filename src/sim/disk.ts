/**
 * What a simulated replica's disk can do, whichever engine runs on it: it outlives processes, is copied, loses its power
 * and fails when armed. Implemented by EngineDisk (the native engine on its simulated device: every fault) and by
 * MemoryMedium below MemoryStore (which has no device, so no device faults). The one idea: whoever plays faults asks the
 * disk what it can suffer, and never which engine it belongs to.
 */
import type { Store } from "../storage/store.js";

export const DISK_FAULTS = [
  "read-error",
  "write-error",
  "flush-error",
  /** A part of the write reaches the medium, then the call fails. */
  "short-write",
  /** Says OK and writes nothing, ever. */
  "lost-write",
  /** A flush says OK; what it should have made durable goes with the next loss of power. */
  "lying-flush",
  /** Says OK and writes elsewhere in the volume. */
  "misdirected-write",
  /** A read shows what some of its blocks held before they were last written. */
  "stale-read",
  /** A read finds flipped bits, and so does every later one: they rotted on the medium. */
  "bit-flip",
  /** Some adjacent blocks of what is read cannot be read any more, until they are written: that read fails, and every later one. */
  "bad-blocks",
  /** The end of the volume is gone for good: calls that reach it fail. */
  "truncated-volume",
] as const;

export type DiskFaultKind = (typeof DISK_FAULTS)[number];

/** One fault, lying in wait. The seed says where exactly it strikes. */
export interface DiskFault {
  readonly kind: DiskFaultKind;
  /** It strikes at the n-th call that it can strike at, from now; 1 = the next one. */
  readonly in: number;
  readonly seed: number;
  /** Default 0. */
  readonly volume?: number;
}

/** The power goes at the n-th call of the disk (read, write or flush) from now: before it, in the midst of it, or after. */
export interface PowerCut {
  readonly in: number;
  readonly when: "before" | "within" | "after";
  readonly seed: number;
}

/** What strikes and is counted: the faults, what the losses of power took, and the cuts that struck. */
export const DISK_HITS = [
  ...DISK_FAULTS,
  /** Writes of which something is gone. */
  "lost-unflushed",
  /** Of which something is gone and something there. */
  "torn-write",
  /** Of which something is there, though something of an earlier one is gone. */
  "reordered-writes",
  "power-cut",
] as const;

/** How often each really happened, since the disk was made. Copies start at 0. */
export type DiskHits = Record<(typeof DISK_HITS)[number], number>;

export function diskHits(counts: readonly number[]): DiskHits {
  return Object.fromEntries(DISK_HITS.map((kind, i) => [kind, counts[i] ?? 0])) as DiskHits; // every kind is there
}

export interface SimulatedDisk {
  readonly engine: "native" | "memory";
  /** A store is open on it. */
  readonly locked: boolean;
  /** A cut struck: whatever process used it is dead. Until losePower. */
  readonly powerIsOff: boolean;
  /** What a backup taken at this moment holds: to be put in the disk's place later. Never armed, never locked. */
  copy(): SimulatedDisk;
  /**
   * The power goes and comes back, while no process runs on the disk: of each write since the last flush any sectors
   * survive, as the seed says. Disarms the cut.
   */
  losePower(seed: number): void;
  /** False: this disk cannot suffer it. */
  arm(fault: DiskFault): boolean;
  armPowerCut(cut: PowerCut): boolean;
  /** Takes away what lies in wait. Bits that rotted stay so, and what was cut off stays gone. */
  disarm(): void;
  hits(): DiskHits;
  /** Of all that is on it: equal for equal runs. */
  fingerprint(): string;
  /** Gives its memory back now, and that of its copies. Good for nothing afterwards, but its hits were counted before. */
  discard(): void;
}

/** A store of a simulated replica. */
export interface SimulatedStore extends Store {
  /**
   * The process dies: nothing is called any more, and the disk can be opened again. A store without a disk of its own to
   * ask keeps the first `unheard` batches under way, as if they had reached it.
   */
  crash(unheard: number): void;
  /** Merge does now all that it may do. */
  mergeAll(): void;
  /** One pass of scrub over everything (D19). */
  scrubAll(): void;
}
