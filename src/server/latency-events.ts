/** LATENCY: moments in which something took longer than the threshold, by kind, a bounded number of each. */

/** As Redis. */
const MAX_MOMENTS = 160;

export type LatencyKind = "command";
export const LATENCY_KINDS: readonly LatencyKind[] = ["command"];

export interface Moment {
  readonly atSeconds: number;
  readonly durationMs: number;
}

export interface LatencyHistory {
  /** Oldest first. */
  readonly moments: Moment[];
  maxMs: number;
}

export class LatencyEvents {
  readonly #histories = new Map<LatencyKind, LatencyHistory>();

  /** Within one second the longest counts. */
  add(kind: LatencyKind, atSeconds: number, durationMs: number): void {
    const history = this.#histories.get(kind) ?? { moments: [], maxMs: 0 };
    this.#histories.set(kind, history);
    history.maxMs = Math.max(history.maxMs, durationMs);
    const last = history.moments.at(-1);
    if (last?.atSeconds === atSeconds) {
      if (last.durationMs >= durationMs) return;
      history.moments.pop();
    }
    history.moments.push({ atSeconds, durationMs });
    if (history.moments.length > MAX_MOMENTS) history.moments.shift();
  }

  get all(): readonly (readonly [LatencyKind, LatencyHistory])[] {
    return [...this.#histories];
  }

  /** Returns whether there was any. */
  forget(kind: LatencyKind): boolean {
    return this.#histories.delete(kind);
  }
}
