/**
 * Finds, loads and types the native addon. The only place that knows where it lies and what its methods are called; it
 * refuses an addon whose packed buffers are laid out otherwise than layout.ts says.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { LAYOUT, layoutDifference } from "./layout.js";
import { StoreOpenError } from "./open-error.js";
import type { MergeOptions, ScrubOptions } from "./store.js";

export interface AddonVolume {
  readonly path: string;
  readonly bytes: number;
}

export interface AddonOptions {
  readonly volumes: readonly AddonVolume[];
  readonly durability: number;
  readonly cacheBytes: number;
  readonly maxValueBytes: number;
  readonly readerThreads: number;
  readonly nodeId: string;
  readonly merge: MergeOptions;
  readonly scrub: ScrubOptions;
  /** Below 0: none. */
  readonly digestOffset: number;
}

export interface AddonFacts {
  readonly fresh: boolean;
  readonly storageId: string;
  readonly volumes: readonly {
    readonly path: string;
    readonly bytes: number;
    readonly extentBytes: number;
    readonly ioMode: number;
    readonly blockBytes: number;
  }[];
  readonly recoveredWatermark: number;
  readonly recoveredKeys: number;
  readonly unknownLosses: number;
  readonly lostPlaces: readonly {
    readonly volume: number;
    readonly life: number;
    readonly from: number;
    readonly to: number;
  }[];
  readonly corruptKeys: number;
  readonly droppedRuns: number;
  readonly recoveryUs: number;
}

export interface AddonFailure {
  readonly status: number;
  readonly message: string;
}

/** The calls on an open store; native/binding/store_calls.h says what each does. */
export interface StoreCalls {
  load(
    request: ArrayBuffer,
    requestBytes: number,
    keys: number,
    result: ArrayBuffer,
    slab: ArrayBuffer,
    slabAt: number,
  ): number;
  get(slab: ArrayBuffer, keyBytes: number, slabAt: number): number;
  submit(request: ArrayBuffer, requestBytes: number, token: number): void;
  drain(events: ArrayBuffer, slab: ArrayBuffer, slabAt: number): number;
  watermark(): number;
  isFull(): boolean;
  isShort(): boolean;
  stats(into: ArrayBuffer): void;
  iterate(cursor: ArrayBuffer, keys: number): ArrayBuffer;
  digests(first: number, count: number, into: ArrayBuffer): void;
  setMerge(options: MergeOptions): void;
  setScrub(options: ScrubOptions): void;
}

/** What an open store is built upon; native/binding/store_object.h says what each method does. */
export interface OpenHandle extends StoreCalls {
  close(): void;
  finishClose(): void;
  ref(): void;
  unref(): void;
}

/** One native store, from before it is opened. */
export interface StoreHandle extends OpenHandle {
  open(options: AddonOptions): void;
  finishOpen(): AddonFacts | AddonFailure;
}

export interface Addon {
  readonly constants: Readonly<Record<string, unknown>>;
  readonly StoreHandle: new (onWake: (reason: number) => void) => StoreHandle;
}

/** Both src/storage and dist/storage lie two floors below the root of the package. */
const ADDON_PATH = fileURLToPath(new URL("../../build/Release/plogdb.node", import.meta.url));

let loaded: Addon | null = null;

/** The addon, loaded once. Throws StoreOpenError `no-addon`. */
export function loadAddon(): Addon {
  loaded ??= requireAddon(ADDON_PATH) as Addon; // typed here, checked by the comparison of constants
  return loaded;
}

/** Loads an addon of the engine and compares the layouts. Throws StoreOpenError `no-addon`. */
export function requireAddon(path: string): { readonly constants: Readonly<Record<string, unknown>> } {
  let addon: { readonly constants: Readonly<Record<string, unknown>> };
  try {
    addon = createRequire(import.meta.url)(path) as typeof addon; // every addon of ours exports them
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const text = `the native engine could not be loaded from ${path} (${why}): run \`npm run build\``;
    throw new StoreOpenError("no-addon", path, text);
  }
  const difference = layoutDifference(addon.constants);
  if (difference !== null) {
    const text = `the native engine at ${path} was built from another version (${difference}): run \`npm run build\``;
    throw new StoreOpenError("no-addon", path, text);
  }
  return addon;
}

/** Whoever the wake-ups of a handle are for at the moment: the opening of a store, then the store. */
export interface HandleOwner {
  onWake(reason: number): void;
}

/** A handle and how to name its owner. It does not keep the owner alive, or no store could ever be collected. */
export function makeHandle(addon: Addon): { handle: StoreHandle; attach: (owner: HandleOwner) => void } {
  let current: WeakRef<HandleOwner> | null = null;
  const handle = new addon.StoreHandle((reason) => current?.deref()?.onWake(reason));
  return {
    handle,
    attach: (owner) => {
      current = new WeakRef(owner);
    },
  };
}

export function isFailure(answer: AddonFacts | AddonFailure): answer is AddonFailure {
  return "status" in answer && answer.status !== LAYOUT.statusOk;
}
