/**
 * How often refusals are reported: anybody can connect to a port and be refused, so reports are bounded per peer and
 * window, repetitions of a peer's last refusal are left out, and what was left out is reported as a number. The sink it
 * reports to is the transport's.
 */
import { assert } from "../base/assert.js";
import type { ReplicaId } from "../paxos/ballot.js";

type Report = (peer: ReplicaId | -1, reason: string) => void;

export class Refusals {
  readonly #report: Report;
  readonly #bound: number;
  readonly #windowMs: number;
  /** By replica + 1, so that strangers are at 0. */
  readonly #counts: number[] = [];
  readonly #last: string[] = [];
  #leftOut = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(report: Report, bound: number, windowMs: number) {
    assert(bound >= 1, "at least one report in a window");
    this.#report = report;
    this.#bound = bound;
    this.#windowMs = windowMs;
  }

  add(peer: ReplicaId | -1, reason: string): void {
    const at = peer + 1;
    if (peer !== -1 && this.#last[at] === reason) return;
    this.#last[at] = reason;
    this.#timer ??= setTimeout(() => {
      this.#endWindow();
    }, this.#windowMs);
    const count = (this.#counts[at] ?? 0) + 1;
    this.#counts[at] = count;
    if (count > this.#bound) this.#leftOut++;
    else this.#report(peer, reason);
  }

  /** A connection with `peer` stands: its next refusal is news. */
  forget(peer: ReplicaId): void {
    this.#last[peer + 1] = "";
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #endWindow(): void {
    this.#timer = null;
    this.#counts.length = 0;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    if (leftOut > 0) this.#report(-1, `${leftOut} more refusals were not reported one by one`);
  }
}
