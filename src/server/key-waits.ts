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

/** What `add` returns: to be ended with it. */
export interface Wait {
  readonly key: Key;
  /** 0 = there was no such key. */
  readonly version: number;
  readonly untilMs: number;
  readonly isWanted: () => boolean;
  readonly done: (outcome: WaitOutcome) => void;
}

/** A key that somebody waits for: one read at a time for all of them. */
interface Watched {
  readonly key: Key;
  readonly waits: Set<Wait>;
  /** Whom the read under way may answer: who came later may have seen something newer than it finds. Null: there is none. */
  looking: ReadonlySet<Wait> | null;
  /** There was a reason to look again while it was under way. */
  looksAgain: boolean;
  timer: NodeJS.Timeout | null;
}

export class KeyWaits implements ReplySink {
  readonly #service: KeyService;
  readonly #byKey = new Map<Key, Watched>();
  readonly #looks = new Map<number, Watched>();
  #waiting = 0;
  #lastLook = 0;

  constructor(service: KeyService) {
    this.#service = service;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting;
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
    const wait: Wait = { key, version, untilMs: performance.now() + timeoutMs, isWanted, done };
    let watched = this.#byKey.get(key);
    if (watched === undefined) {
      watched = { key, waits: new Set(), looking: null, looksAgain: false, timer: null };
      this.#byKey.set(key, watched);
    }
    watched.waits.add(wait);
    this.#waiting++;
    this.#look(watched);
    return wait;
  }

  /** The same as a promise, for as long as it takes. Null: it was ended, by `signal` or by close. */
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
    const watched = this.#byKey.get(key);
    if (watched === undefined) return;
    const present = live ? version : 0;
    if ([...watched.waits].some((wait) => wait.version !== present)) this.#look(watched);
  }

  onRead(tag: number, outcome: ReadOutcome): void {
    const watched = this.#looks.get(tag);
    this.#looks.delete(tag);
    if (watched === undefined) return;
    const asked = watched.looking ?? new Set();
    watched.looking = null;
    const nowMs = performance.now();
    for (const wait of asked) {
      if (!wait.isWanted()) this.#end(wait);
      else if (outcome.status === "refused" || versionOf(outcome) !== wait.version) this.#finish(wait, outcome);
      else if (nowMs >= wait.untilMs) this.#finish(wait, null);
    }
    if (this.#byKey.get(watched.key) !== watched) return;
    if (watched.looksAgain || outcome.status === "refused") this.#look(watched);
    else this.#rest(watched, outcome);
  }

  onWrite(): void {
    // Nothing is written.
  }

  /** Everybody is told null. */
  close(): void {
    for (const { waits } of [...this.#byKey.values()]) for (const wait of [...waits]) this.#finish(wait, null);
  }

  #look(watched: Watched): void {
    if (watched.looking !== null) {
      watched.looksAgain = true;
      return;
    }
    if (watched.timer !== null) clearTimeout(watched.timer);
    watched.timer = null;
    watched.looking = new Set(watched.waits);
    watched.looksAgain = false;
    const tag = ++this.#lastLook;
    this.#looks.set(tag, watched);
    this.#service.read(watched.key, this, tag);
  }

  /** Until somebody's time is over, or the deadline of what is there, or it is time to look without a reason. */
  #rest(watched: Watched, { found, expiryMs }: Answer): void {
    const nowMs = performance.now();
    let restMs = LOOK_MS;
    for (const { untilMs } of watched.waits) restMs = Math.min(restMs, untilMs - nowMs);
    if (found && expiryMs !== NO_EXPIRY) restMs = Math.min(restMs, expiryMs - Date.now() + EXPIRY_SLACK_MS);
    watched.timer = setTimeout(
      () => {
        watched.timer = null;
        for (const wait of [...watched.waits]) if (!wait.isWanted()) this.#end(wait);
        if (watched.waits.size > 0) this.#look(watched);
      },
      Math.max(1, restMs),
    );
  }

  #finish(wait: Wait, outcome: WaitOutcome): void {
    if (this.#end(wait)) wait.done(outcome);
  }

  /** False: it had ended before. */
  #end(wait: Wait): boolean {
    const watched = this.#byKey.get(wait.key);
    if (watched?.waits.delete(wait) !== true) return false;
    this.#waiting--;
    if (watched.waits.size > 0) return true;
    if (watched.timer !== null) clearTimeout(watched.timer);
    this.#byKey.delete(wait.key);
    return true;
  }
}

function versionOf({ found, version }: Answer): number {
  return found ? version : 0;
}
