/**
 * What `openStore` takes, and how it becomes the options of the engine: sizes with units, hours as text, defaults filled
 * in. Problems are StoreErrors with code "bad-options" that name the option.
 */
import { parseHours, type Parsed, parseSize } from "../cluster/units.js";
import type { NativeStoreOptions } from "../storage/open-native.js";
import { DEFAULT_MERGE, type MergeOptions, NO_SCRUB, type ScrubOptions } from "../storage/store.js";
import { StoreError } from "./storage-errors.js";

/** Bytes, or text such as "64MiB". */
export type Size = number | string;

/**
 * Merge copies what still lives out of extents that are mostly dead, so that their space can be used again. It yields to
 * callers, and exceeds its rate only when space would run out otherwise.
 */
export interface MergeSettings {
  /** Bytes a second, read and written together; default 256 MiB. */
  readonly rate?: Size;
  /** Reads a second; default 1000. */
  readonly operations?: number;
  /** Hours of local time in which it may run, first to last inclusive: "1-5" is 01:00 to 05:59. Default "0-23". */
  readonly hours?: string;
  /** Default false. A store that would be full merges all the same. */
  readonly paused?: boolean;
}

/** Scrub reads everything that was written again and again, and finds what the disk has lost. */
export interface ScrubSettings {
  /** Bytes a second; 0 (the default) = no scrubbing. */
  readonly rate?: Size;
}

/** A record that a read, merge or scrub found broken: told once per record while the store is open. */
export interface DamagedRecord {
  readonly key: Uint8Array;
  readonly position: number;
}

export interface StoreOptions {
  /** A directory (made when absent), a file or a block device; several = several volumes, always in the same order. */
  readonly path: string | readonly string[];
  /** Of the whole store, at least 8 MiB a volume. Preallocated when it is made, never grown; ignored later. */
  readonly size: Size;
  /**
   * "flush" (the default): what is acknowledged was written and flushed. "device": written to a device whose cache is
   * protected against power loss, no flush. "none": neither; for tests.
   */
  readonly durability?: "flush" | "device" | "none";
  /** Memory for values; default 64 MiB. Keys, with at most 64 bytes and their headers beside each, are always in memory. */
  readonly cache?: Size;
  /** Longest value; default 16 MiB, and never above a quarter of an extent (a 64th of the volume, 1 to 64 MiB). */
  readonly maxValue?: Size;
  /** Written into the store when it is made; a store of another name is refused ("foreign"). Default "kv"; at most 64 bytes. */
  readonly name?: string;
  readonly merge?: MergeSettings;
  readonly scrub?: ScrubSettings;
  /** Bytes of writes under way at which further ones are refused with "busy"; default 64 MiB. */
  readonly maxPending?: Size;
  /** Threads that read values from disk; default 2. */
  readonly readerThreads?: number;
  /** Where in a record's header you keep an 8-byte hash of it, for `digests`: a multiple of 8. Default: the engine's checksum. */
  readonly digestOffset?: number;
  readonly onDamaged?: (record: DamagedRecord) => void;
  /** The disk failed; said once. */
  readonly onFailed?: (error: StoreError) => void;
}

const DEFAULT_MAX_PENDING_BYTES = 64 << 20;

function take<T>(option: string, parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value;
  throw new StoreError("bad-options", `${option}: ${parsed.problem}`);
}

function refuse(option: string, problem: string): never {
  throw new StoreError("bad-options", `${option}: ${problem}`);
}

function integer(option: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  return refuse(option, `${String(value)} is not a whole number from ${String(min)} to ${String(max)}`);
}

/** `settings` over what is in force. */
export function mergeOptions(settings: MergeSettings, present: MergeOptions = DEFAULT_MERGE): MergeOptions {
  const { rate, operations, hours, paused } = settings;
  if (paused !== undefined && typeof paused !== "boolean") refuse("merge.paused", "is neither true nor false");
  return {
    bytesPerSecond:
      rate === undefined ? present.bytesPerSecond : integer("merge.rate", take("merge.rate", parseSize(rate)), 1),
    operationsPerSecond:
      operations === undefined ? present.operationsPerSecond : integer("merge.operations", operations, 1),
    paused: paused ?? present.paused,
    hours: hours === undefined ? present.hours : take("merge.hours", parseHours(hours)),
  };
}

export function scrubOptions(settings: ScrubSettings, present: ScrubOptions = NO_SCRUB): ScrubOptions {
  const { rate } = settings;
  return { bytesPerSecond: rate === undefined ? present.bytesPerSecond : take("scrub.rate", parseSize(rate)) };
}

export function maxPendingBytes(options: StoreOptions): number {
  const { maxPending } = options;
  return maxPending === undefined ? DEFAULT_MAX_PENDING_BYTES : take("maxPending", parseSize(maxPending));
}

export function nativeOptions(options: StoreOptions): NativeStoreOptions {
  const { path, durability, cache, maxValue, readerThreads, digestOffset } = options;
  if (durability !== undefined && !["flush", "device", "none"].includes(durability)) {
    refuse("durability", "is none of flush, device, none");
  }
  if (digestOffset !== undefined && digestOffset % 8 !== 0) refuse("digestOffset", "is no multiple of 8");
  return {
    volumes: typeof path === "string" ? [path] : path,
    sizeBytes: take("size", parseSize(options.size)),
    nodeId: options.name ?? "kv",
    merge: mergeOptions(options.merge ?? {}),
    scrub: scrubOptions(options.scrub ?? {}),
    ...(durability === undefined ? {} : { durability }),
    ...(cache === undefined ? {} : { cacheBytes: take("cache", parseSize(cache)) }),
    ...(maxValue === undefined ? {} : { maxValueBytes: take("maxValue", parseSize(maxValue)) }),
    ...(readerThreads === undefined ? {} : { readerThreads: integer("readerThreads", readerThreads, 1, 64) }),
    ...(digestOffset === undefined ? {} : { digestOffset: integer("digestOffset", digestOffset, 0, 56) }),
  };
}
