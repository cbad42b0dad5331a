/**
 * The closed list of faults that a simulated cluster can meet, and the counter of their real hits. A kind counts only
 * when it has struck: a frame that was lost, a process that was there to be killed. A kind that is asked for and never
 * strikes is a hole in the test, so whoever runs many seeds fails on a count of zero.
 */

export const FAULT_KINDS = [
  // network
  "drop",
  "duplicate",
  "reorder",
  "delay",
  "clog",
  "partition",
  "one-way-partition",
  "bridge",
  "isolation",
  "half-open",
  "slow-reader",
  "corrupt-frame",
  // processes
  "kill",
  "kill-all",
  "pause",
  "stall",
  "restart-storm",
  "crash-in-recovery",
  // time
  "wall-jump",
  "skewed-rate",
  // disks
  "read-error",
  "write-error",
  "flush-error",
  "disk-full",
  "short-write",
  "slow-disk",
  "torn-write",
  "lost-unflushed",
  "reordered-writes",
  "lost-flushed",
  "lost-write",
  "bit-flip",
  "bad-blocks",
  "misdirected-write",
  "stale-read",
  "truncated",
  "disk-lost",
  "old-copy",
  // load and people
  "hot-key",
  "large-values",
  "overload",
  "wrong-cluster",
  "swapped-disks",
  "machine-replaced",
  "learner-toggled",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** Kinds that only the real engine on its simulated disk can meet: the store in memory has no blocks and no reserve. */
export const ENGINE_KINDS: ReadonlySet<FaultKind> = new Set([
  "bad-blocks",
  "disk-full",
  "flush-error",
  "short-write",
  "torn-write",
  "reordered-writes",
  "lost-flushed",
  "lost-write",
  "misdirected-write",
  "stale-read",
  "truncated",
]);

export function isFaultKind(name: string): name is FaultKind {
  return (FAULT_KINDS as readonly string[]).includes(name);
}

export class FaultHits {
  readonly #counts = new Map<FaultKind, number>();

  hit(kind: FaultKind, times = 1): void {
    if (times > 0) this.#counts.set(kind, this.of(kind) + times);
  }

  of(kind: FaultKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** Every kind of `kinds` with its count, in the order of the list. */
  report(kinds: readonly FaultKind[] = FAULT_KINDS): Record<string, number> {
    return Object.fromEntries(kinds.map((kind) => [kind, this.of(kind)]));
  }
}
