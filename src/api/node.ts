/**
 * A replica in the caller's own process, as promises: one thin call per operation over the node's callbacks. Reads are
 * strong, writes are acknowledged when a majority has them on disk. A condition that does not hold is an answer, not an
 * error; errors are PlogErrors.
 */
import { pino } from "pino";
import { type Key, userKey } from "../base/key.js";
import type { KeyService, NodeStats, PLogView, ReplySink } from "../node/index.js";
import {
  type Condition,
  KEEP_EXPIRY,
  NO_EXPIRY,
  type Operation,
  type ReadOutcome,
  type WriteOutcome,
} from "../paxos/operation.js";
import { type OpenError } from "../server/index.js";
import { KeyWaits } from "../server/key-waits.js";
import { openRunningReplica } from "../server/replica.js";
import { asPlogError, failureError, PlogError, readError, writeError } from "./errors.js";
import { type NodeOptions, settingsOf } from "./options.js";

/** Text is taken as UTF-8. */
export type Bytes = string | Uint8Array;

export interface Versioned {
  readonly value: Uint8Array;
  /** Grows with every change of the key, deletions included; at least 1. */
  readonly version: number;
  /** When it expires, ms since 1970; undefined = never. */
  readonly expiresAtMs: number | undefined;
}

export interface SetOptions {
  /** Set only when the key is absent, or only when it is present. */
  readonly when?: "absent" | "present";
  /** Expire at this time, ms since 1970; "keep" = leave the key's present deadline. Default: never. */
  readonly expiresAtMs?: number | "keep";
}

export const MAX_KEY_BYTES = 16 * 1024;
/** Operations of one node's callers under way at once; one more is refused with BUSY. */
const MAX_PENDING = 16_384;

type Settle<T> = (outcome: T) => void;

/** Hands outcomes to whoever waits for them; the number of the place is the tag. */
class Waiting implements ReplySink {
  readonly #writes = new Map<number, Settle<WriteOutcome>>();
  readonly #reads = new Map<number, Settle<ReadOutcome>>();
  #last = 0;

  get size(): number {
    return this.#writes.size + this.#reads.size;
  }

  addWrite(settle: Settle<WriteOutcome>): number {
    this.#writes.set(++this.#last, settle);
    return this.#last;
  }

  addRead(settle: Settle<ReadOutcome>): number {
    this.#reads.set(++this.#last, settle);
    return this.#last;
  }

  onWrite(tag: number, outcome: WriteOutcome): void {
    const settle = this.#writes.get(tag);
    this.#writes.delete(tag);
    settle?.(outcome);
  }

  onRead(tag: number, outcome: ReadOutcome): void {
    const settle = this.#reads.get(tag);
    this.#reads.delete(tag);
    settle?.(outcome);
  }
}

type Settled = Extract<WriteOutcome, { status: "ok" | "failed" }>;

/** A replica that listens for its peers: a real one, or a simulated one. */
interface ServingReplica {
  readonly service: KeyService;
  /** Resolves, perhaps never, with why it had to stop by itself. */
  readonly failed: Promise<OpenError>;
  close(): Promise<void>;
}

export class PlogNode {
  readonly #service: KeyService;
  readonly #replica: ServingReplica;
  readonly #maxValueBytes: number;
  readonly #waiting = new Waiting();
  #waits: KeyWaits | null = null;
  #closing: Promise<void> | null = null;

  /** Use openNode. */
  constructor(replica: ServingReplica, maxValueBytes: number) {
    this.#replica = replica;
    this.#service = replica.service;
    this.#maxValueBytes = maxValueBytes;
  }

  /** Resolves, perhaps never, with why the node had to stop by itself: its disk failed, or turned out to have forgotten. */
  get failed(): Promise<PlogError> {
    return this.#replica.failed.then((error) => new PlogError(error.code, error.message, undefined, error));
  }

  /** The latest value; null when there is none. */
  async get(key: Bytes): Promise<Uint8Array | null> {
    return (await this.getWithVersion(key))?.value ?? null;
  }

  /** The latest value with its version, for compareAndSet; null when there is none. */
  async getWithVersion(key: Bytes): Promise<Versioned | null> {
    const outcome = await this.#read(keyOf(key));
    if (outcome.status === "refused") throw readError(outcome);
    if (!outcome.found) return null;
    const { value, version, expiryMs } = outcome;
    return { value, version, expiresAtMs: expiryMs === NO_EXPIRY ? undefined : expiryMs };
  }

  async has(key: Bytes): Promise<boolean> {
    return (await this.getWithVersion(key)) !== null;
  }

  /** The new version; null when the condition did not hold. */
  async set(key: Bytes, value: Bytes, options: SetOptions = {}): Promise<number | null> {
    const condition: Condition = { kind: options.when ?? "none" };
    return this.#set(key, value, condition, expiryOf(options.expiresAtMs));
  }

  /** Sets the value if the key's version is still `version` (0 = the key does not exist): the new version, or null. */
  async compareAndSet(key: Bytes, value: Bytes, version: number): Promise<number | null> {
    if (!Number.isSafeInteger(version) || version < 0) throw invalid("a version is a whole number from 0");
    return this.#set(key, value, { kind: "version", version }, NO_EXPIRY);
  }

  async #set(key: Bytes, value: Bytes, condition: Condition, expiryMs: number): Promise<number | null> {
    const bytes = this.#valueOf(value);
    const outcome = await this.#write(key, { kind: "set", value: bytes, expiryMs, condition, returnOld: false });
    return outcome.status === "ok" ? outcome.version : null;
  }

  /** True when there was something to delete. */
  async delete(key: Bytes): Promise<boolean> {
    return (await this.#write(key, { kind: "delete" })).status === "ok";
  }

  /** Adds to a decimal 64-bit integer (an absent key counts as 0): the new value. */
  async increment(key: Bytes, by: bigint | number = 1n): Promise<bigint> {
    if (typeof by === "number" && !Number.isSafeInteger(by)) throw invalid("an increment is a whole number");
    const { result } = await this.#write(key, { kind: "add", delta: BigInt(by).toString() });
    return BigInt(typeof result === "string" ? result : 0);
  }

  /** Appends to the value: the new length. */
  async append(key: Bytes, value: Bytes): Promise<number> {
    const maxBytes = this.#maxValueBytes;
    const { result } = await this.#write(key, { kind: "append", value: this.#valueOf(value), maxBytes });
    return Number(result);
  }

  /** Sets when the key expires (ms since 1970), or with null that it does not. False: nothing was changed. */
  async expire(key: Bytes, atMs: number | null): Promise<boolean> {
    const operation: Operation = atMs === null ? { kind: "persist" } : { kind: "expire", expiryMs: expiryOf(atMs) };
    return (await this.#write(key, operation)).status === "ok";
  }

  /**
   * Resolves when the key is at another version than `version` (0 = it does not exist): with the latest value, or null when there is none.
   * Call it again with that version to watch on; what lay between two answers is not told. Rejects with a PlogError, also
   * when `signal` is aborted (code INVALID).
   */
  async waitForChange(key: Bytes, version: number, signal?: AbortSignal): Promise<Versioned | null> {
    if (!Number.isSafeInteger(version) || version < 0) throw invalid("a version is a whole number from 0");
    const inner = keyOf(key);
    this.#admit(undefined);
    if (this.#waits === null) {
      const waits = new KeyWaits(this.#service);
      this.#waits = waits;
      this.#service.listen((changed, to, live) => {
        waits.onChange(changed, to, live);
      });
    }
    const waits = this.#waits;
    for (;;) {
      if (signal?.aborted === true) throw invalid("the wait was aborted");
      if (waits.isFull) throw new PlogError("BUSY", "too many wait for keys");
      const outcome = await waits.changed(inner, version, signal);
      if (this.#closing !== null) throw new PlogError("FAILED", "the node was closed");
      if (outcome === null) continue;
      if (outcome.status === "refused") throw readError(outcome);
      if (!outcome.found) return null;
      const { value, version: now, expiryMs } = outcome;
      return { value, version: now, expiresAtMs: expiryMs === NO_EXPIRY ? undefined : expiryMs };
    }
  }

  /** Every replica's state of the key, for people to look at. */
  inspect(key: Bytes): Promise<readonly PLogView[]> {
    const inner = keyOf(key);
    return new Promise((resolve) => {
      this.#service.inspect(inner, resolve);
    });
  }

  /** Facts and counters of this node. */
  stats(): NodeStats {
    return this.#service.stats();
  }

  /** Ends everything; requests under way are answered, with UNKNOWN where nobody can say. May be called twice. */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#closing = this.#replica.close();
      this.#waits?.close();
    }
    return this.#closing;
  }

  #read(key: Key): Promise<ReadOutcome> {
    this.#admit(undefined);
    return new Promise((resolve) => {
      this.#service.read(key, this.#waiting, this.#waiting.addRead(resolve));
    });
  }

  async #write(key: Bytes, operation: Operation): Promise<Settled> {
    const inner = keyOf(key);
    this.#admit("not-applied");
    const outcome = await new Promise<WriteOutcome>((resolve) => {
      this.#service.write(inner, operation, this.#waiting, this.#waiting.addWrite(resolve));
    });
    if (outcome.status === "not-applied" || outcome.status === "unknown") throw writeError(outcome);
    const error = outcome.status === "failed" ? failureError(outcome.reason) : null;
    if (error !== null) throw error;
    return outcome;
  }

  #admit(outcome: "not-applied" | undefined): void {
    if (this.#closing !== null) throw new PlogError("FAILED", "the node was closed", outcome);
    if (this.#waiting.size >= MAX_PENDING) throw new PlogError("BUSY", "too many requests are under way", outcome);
  }

  /** An own copy: the caller may go on writing to what it gave. */
  #valueOf(value: Bytes): Uint8Array {
    const bytes = Buffer.from(value);
    if (bytes.length <= this.#maxValueBytes) return bytes;
    const limit = String(this.#maxValueBytes);
    throw new PlogError("TOO_LARGE", `a value has at most ${limit} bytes, not ${String(bytes.length)}`, "not-applied");
  }
}

function keyOf(key: Bytes): Key {
  const bytes = Buffer.from(key);
  if (bytes.length > MAX_KEY_BYTES) {
    const text = `a key has at most ${String(MAX_KEY_BYTES)} bytes, not ${String(bytes.length)}`;
    throw new PlogError("TOO_LARGE", text, "not-applied");
  }
  return userKey(bytes.toString("latin1"));
}

function expiryOf(atMs: number | "keep" | undefined): number {
  if (atMs === undefined) return NO_EXPIRY;
  if (atMs === "keep") return KEEP_EXPIRY;
  if (!Number.isSafeInteger(atMs)) throw invalid("a time is a whole number of milliseconds since 1970");
  return Math.max(1, atMs);
}

function invalid(message: string): PlogError {
  return new PlogError("INVALID", message, "not-applied");
}

/** Opens one replica of a cluster in this process. Rejects with a PlogError; nothing is left open then. */
export async function openNode(options: NodeOptions): Promise<PlogNode> {
  const settings = settingsOf(options);
  try {
    const replica = await openRunningReplica(settings, options.log ?? pino({ level: "silent" }));
    return new PlogNode(replica, settings.storage.maxValueBytes);
  } catch (error) {
    throw asPlogError(error);
  }
}
