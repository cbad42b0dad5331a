/**
 * Waiting for a key to be something else than it was: whoever knows a version of it is told of a later one, the latest, by a strong
 * read. So a watch can be resumed anywhere, at any node of the key's group, with the version that was seen last; what lay
 * between two answers is not told.
 *
 * A change that this node learns of is looked at at once, and a deadline when it has passed. What it does not learn of (it was cut
 * off, a mark was lost) it finds when it looks by itself.
 */
import type { Key } from "../base/key.js";
import type { KeyService, ReplySink } from "../node/service.js";
import { NO_EXPIRY, type ReadOutcome } from "../paxos/operation.js";

/** Waiting at one node; one more is refused. */
export const MAX_WAITS = 10_000;
/** Between looks that nothing gave a reason for. */
const LOOK_MS = 10_000;
/** A deadline is over a moment later at the clock that buries it. */
const EXPIRY_SLACK_MS = 20;

type Answer = Extract<ReadOutcome, { status: "ok" }>;

/** Null: nothing has changed in time. */
export type WaitOutcome = ReadOutcome | null;

interface Wait {
  readonly key: Key;
  /** 0 = there was no such key. */
  readonly version: number;
  readonly untilMs: number;
  readonly isWanted: () => boolean;
  readonly done: (outcome: WaitOutcome) => void;
  timer: NodeJS.Timeout | null;
  /** A read is under way. */
  isLooking: boolean;
  /** There was a reason to look while it was. */
  looksAgain: boolean;
}

export class KeyWaits implements ReplySink {
  readonly #service: KeyService;
  readonly #byKey = new Map<Key, Set<Wait>>();
  readonly #looks = new Map<number, Wait>();
  #waiting = 0;
  #lastLook = 0;

  constructor(service: KeyService) {
    this.#service = service;
  }

  get isFull(): boolean {
    return this.#waiting >= MAX_WAITS;
  }

  /**
   * `done` is called once, later: with what a strong read found when the version is not `version` any more, with why that cannot
   * be told, or with null when `timeoutMs` have passed. `isWanted`: false when nobody waits any more; then it need not be.
   */
  add(
    key: Key,
    version: number,
    timeoutMs: number,
    isWanted: () => boolean,
    done: (outcome: WaitOutcome) => void,
  ): Wait {
    const untilMs = performance.now() + timeoutMs;
    const wait: Wait = { key, version, untilMs, isWanted, done, timer: null, isLooking: false, looksAgain: false };
    this.#waiting++;
    const waits = this.#byKey.get(key) ?? new Set<Wait>();
    this.#byKey.set(key, waits.add(wait));
    this.#look(wait);
    return wait;
  }

  /** The same as a promise, over and over for as long as it takes. Null: it was ended, by `signal` or by close. */
  changed(key: Key, version: number, signal?: AbortSignal): Promise<WaitOutcome> {
    return new Promise((resolve) => {
      const abort = (): void => {
        this.#finish(wait, null);
      };
      const isWanted = (): boolean => signal?.aborted !== true;
      const wait = this.add(key, version, Number.POSITIVE_INFINITY, isWanted, (outcome) => {
        signal?.removeEventListener("abort", abort);
        resolve(outcome);
      });
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** In the middle of a turn: what is begun here comes after it. */
  onChange(key: Key, version: number, live: boolean): void {
    for (const wait of this.#byKey.get(key) ?? []) if ((live ? version : 0) !== wait.version) this.#look(wait);
  }

  onRead(tag: number, outcome: ReadOutcome): void {
    const wait = this.#looks.get(tag);
    this.#looks.delete(tag);
    if (wait === undefined) return;
    wait.isLooking = false;
    if (!wait.isWanted()) this.#end(wait);
    else if (outcome.status === "refused") this.#finish(wait, outcome);
    else if ((outcome.found ? outcome.version : 0) !== wait.version) this.#finish(wait, outcome);
    else if (performance.now() >= wait.untilMs) this.#finish(wait, null);
    else if (wait.looksAgain) this.#look(wait);
    else this.#rest(wait, outcome);
  }

  onWrite(): void {
    // Nothing is written.
  }

  /** Everybody is told null. */
  close(): void {
    for (const waits of [...this.#byKey.values()]) for (const wait of [...waits]) this.#finish(wait, null);
  }

  #look(wait: Wait): void {
    if (wait.isLooking) {
      wait.looksAgain = true;
      return;
    }
    if (wait.timer !== null) clearTimeout(wait.timer);
    wait.timer = null;
    wait.isLooking = true;
    wait.looksAgain = false;
    const tag = ++this.#lastLook;
    this.#looks.set(tag, wait);
    this.#service.read(wait.key, this, tag);
  }

  #rest(wait: Wait, { found, expiryMs }: Answer): void {
    let restMs = Math.min(LOOK_MS, wait.untilMs - performance.now());
    if (found && expiryMs !== NO_EXPIRY) restMs = Math.min(restMs, expiryMs - Date.now() + EXPIRY_SLACK_MS);
    wait.timer = setTimeout(
      () => {
        wait.timer = null;
        if (wait.isWanted()) this.#look(wait);
        else this.#end(wait);
      },
      Math.max(1, restMs),
    );
  }

  #finish(wait: Wait, outcome: WaitOutcome): void {
    if (this.#end(wait)) wait.done(outcome);
  }

  /** False: it had ended before. */
  #end(wait: Wait): boolean {
    if (wait.timer !== null) clearTimeout(wait.timer);
    const waits = this.#byKey.get(wait.key);
    if (waits?.delete(wait) !== true) return false;
    this.#waiting--;
    if (waits.size === 0) this.#byKey.delete(wait.key);
    return true;
  }
}
