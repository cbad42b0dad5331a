/**
 * Opens a native store: finds out what the volume paths are, starts recovery on a thread of its own, and turns what the
 * engine answers into facts or into one StoreOpenError that says what to do. Nothing blocks the calling thread but a few
 * look-ups of paths.
 */
import { mkdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { type AddonOptions, type HandleOwner, isFailure, loadAddon, makeHandle, type StoreHandle } from "./addon.js";
import { DURABILITY, toError, toFacts } from "./addon-answer.js";
import { LAYOUT } from "./layout.js";
import { NativeStore } from "./native-store.js";
import { type StoreOpenCode, StoreOpenError } from "./open-error.js";
import {
  DEFAULT_MERGE,
  type MergeOptions,
  NO_SCRUB,
  type ScrubOptions,
  type StoreFacts,
  type StoreSink,
} from "./store.js";

export interface NativeStoreOptions {
  /** Directories (made when absent; the volume is the file volume.plog inside), files or block devices. */
  readonly volumes: readonly string[];
  /** Size of the whole store, spread evenly over the volumes. Used when they are formatted; later they keep theirs. */
  readonly sizeBytes: number;
  /** Written into the volumes when they are formatted, compared at every open (D9). */
  readonly nodeId: string;
  /** Default "flush" (D7). */
  readonly durability?: StoreFacts["durability"];
  /** Memory for values; default 64 MiB. The index is beside it, always whole. */
  readonly cacheBytes?: number;
  /** Default 16 MiB, and never above a quarter of an extent (D1). */
  readonly maxValueBytes?: number;
  /** Threads that read values from disk; default 2. */
  readonly readerThreads?: number;
  /** Default DEFAULT_MERGE. */
  readonly merge?: MergeOptions;
  /** Default: none. */
  readonly scrub?: ScrubOptions;
  /**
   * D20: where in a header the caller keeps the 8-byte hash of a record, a multiple of 8. Without it digests are made from
   * the engine's own checksums.
   */
  readonly digestOffset?: number;
}

/** Called once, later: with an error, or with the store. */
export type OnOpened = (error: StoreOpenError | null, store: NativeStore | null) => void;

const VOLUME_FILE = "volume.plog";
/** Openings under way: they must not be collected before they answered. */
const opening = new Set<Opening>();

/**
 * Opens or formats a store. `onOpened` is called once, never during this call; every way to fail comes through it. Once
 * it was called with a store, `sink` hears of completions until close.
 */
export function openNativeStore(options: NativeStoreOptions, sink: StoreSink, onOpened: OnOpened): void {
  try {
    const addon = loadAddon();
    const addonOptions = toAddonOptions(options);
    const { handle, attach } = makeHandle(addon);
    const started = new Opening(handle, attach, addonOptions, sink, onOpened);
    attach(started);
    opening.add(started);
    handle.open(addonOptions);
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    setImmediate(() => {
      onOpened(error, null);
    });
  }
}

class Opening implements HandleOwner {
  readonly #handle: StoreHandle;
  readonly #attach: (owner: HandleOwner) => void;
  readonly #options: AddonOptions;
  readonly #sink: StoreSink;
  readonly #onOpened: OnOpened;

  constructor(
    handle: StoreHandle,
    attach: (owner: HandleOwner) => void,
    options: AddonOptions,
    sink: StoreSink,
    onOpened: OnOpened,
  ) {
    this.#handle = handle;
    this.#attach = attach;
    this.#options = options;
    this.#sink = sink;
    this.#onOpened = onOpened;
  }

  onWake(reason: number): void {
    if (reason !== LAYOUT.wakeOpened) return;
    opening.delete(this);
    const answer = this.#handle.finishOpen();
    if (isFailure(answer)) {
      this.#onOpened(toError(answer, this.#options), null);
      return;
    }
    const store = new NativeStore(this.#handle, toFacts(answer, this.#options), this.#sink);
    this.#attach(store);
    this.#onOpened(null, store);
  }
}

function toAddonOptions(options: NativeStoreOptions): AddonOptions {
  const paths = options.volumes;
  const refuse = (code: StoreOpenCode, text: string): never => {
    throw new StoreOpenError(code, paths[0] ?? "", text);
  };
  if (paths.length === 0) refuse("bad-options", "a store needs at least one volume");
  if (paths.length > LAYOUT.maxVolumes) {
    refuse("bad-options", `a store has at most ${String(LAYOUT.maxVolumes)} volumes, not ${String(paths.length)}`);
  }
  const idBytes = Buffer.byteLength(options.nodeId);
  if (idBytes === 0 || idBytes > LAYOUT.maxNodeIdBytes) {
    refuse("bad-options", `a node id has 1 to ${String(LAYOUT.maxNodeIdBytes)} bytes`);
  }
  const bytes = Math.floor(options.sizeBytes / paths.length);
  if (!(bytes >= LAYOUT.minVolumeBytes)) {
    const least = String((LAYOUT.minVolumeBytes * paths.length) >> 20);
    refuse("bad-size", `${paths.join(", ")}: the size of the store must be at least ${least} MiB for its volumes`);
  }
  const volumes = paths.map((path) => ({ path: volumePath(path), bytes }));
  if (new Set(volumes.map((volume) => volume.path)).size < volumes.length) {
    refuse("bad-options", `${paths.join(", ")}: one path is named twice`);
  }
  return {
    volumes,
    durability: DURABILITY[options.durability ?? "flush"],
    cacheBytes: options.cacheBytes ?? 64 << 20,
    maxValueBytes: options.maxValueBytes ?? 16 << 20,
    readerThreads: options.readerThreads ?? 2,
    nodeId: options.nodeId,
    merge: options.merge ?? DEFAULT_MERGE,
    scrub: options.scrub ?? NO_SCRUB,
    digestOffset: options.digestOffset ?? -1,
  };
}

/** The file or block device behind a path of the options. */
function volumePath(given: string): string {
  const path = resolve(given);
  try {
    let facts = statSync(path, { throwIfNoEntry: false });
    if (facts === undefined) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      facts = statSync(path);
    }
    if (facts.isDirectory()) return join(path, VOLUME_FILE);
    if (facts.isFile() || facts.isBlockDevice()) return path;
  } catch (error) {
    throw pathError(path, error);
  }
  throw new StoreOpenError("bad-path", path, `${path} is neither a directory, nor a file, nor a block device`);
}

function pathError(path: string, error: unknown): StoreOpenError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const why = error instanceof Error ? error.message : String(error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new StoreOpenError("no-access", path, `${path}: this user may not use it (${why})`);
  }
  if (code === "ENOTDIR" || code === "EEXIST") {
    return new StoreOpenError("bad-path", path, `${path}: a part of it is not a directory (${why})`);
  }
  if (code === "ENOSPC") return new StoreOpenError("no-space", path, `${path}: no room to make it (${why})`);
  return new StoreOpenError("io", path, `${path}: ${why}`);
}
