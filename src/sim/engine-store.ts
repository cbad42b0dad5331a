/**
 * A Store of the native engine on a simulated disk: the same crossing as the product's (NativeStore), but driven. Nothing
 * happens by itself: each step of the engine is one call of the injected scheduler, so whoever drives it decides when a
 * write, a flush or a read ends, on a clock of its own. Same calls, same disk: same answers, same bytes. It must not know
 * what is in a header or a value.
 */
import { assert } from "../base/assert.js";
import { DURABILITY, toError, toFacts } from "../storage/addon-answer.js";
import { type AddonOptions, isFailure, type OpenHandle } from "../storage/addon.js";
import { LAYOUT } from "../storage/layout.js";
import { NativeStore, type StoreHost } from "../storage/native-store.js";
import { StoreOpenError } from "../storage/open-error.js";
import {
  DEFAULT_MERGE,
  type MergeOptions,
  NO_SCRUB,
  type ScrubOptions,
  type StoreFacts,
  type StoreSink,
} from "../storage/store.js";
import type { SimulatedStore } from "./disk.js";
import { loadSimAddon, type SteppedHandle } from "./engine-addon.js";
import type { EngineDisk } from "./engine-disk.js";

export interface EngineStoreOptions {
  readonly disk: EngineDisk;
  readonly nodeId: string;
  /** Virtual microseconds since a midnight. */
  readonly nowUs: () => number;
  /** Calls `run` once, later, never during the call itself: a step of the engine takes as long as this. */
  readonly schedule: (run: () => void) => void;
  /** The same at a certain distance: for what the engine does when it was idle for a while. Default: never. */
  readonly after?: (delayUs: number, run: () => void) => void;
  /** The power went while the engine used the disk: the store is dead, and says nothing more. Never during openEngineStore. */
  readonly onPowerLost?: () => void;
  readonly cacheBytes?: number;
  readonly maxValueBytes?: number;
  readonly durability?: StoreFacts["durability"];
  readonly merge?: MergeOptions;
  readonly scrub?: ScrubOptions;
  /** As in NativeStoreOptions. */
  readonly digestOffset?: number;
}

const DEFAULT_CACHE_BYTES = 64 << 20;
const DEFAULT_MAX_VALUE_BYTES = 16 << 20;
/** One pass of scrub over a small disk ends long before. */
const MAX_SCRUB_STEPS = 1 << 20;

/**
 * Opens a store on what `options.disk` remembers, in one go. When the power goes meanwhile, the process is dead: an error
 * that nobody hears, and `disk.powerIsOff`.
 */
export function openEngineStore(options: EngineStoreOptions, sink: StoreSink): EngineStore | StoreOpenError {
  const { disk } = options;
  assert(!disk.powerIsOff, "a machine without power starts no process");
  const handle = new (loadSimAddon().StoreHandle)();
  const addonOptions: AddonOptions = {
    volumes: Array.from({ length: disk.volumes }, (_, i) => ({ path: String(i), bytes: disk.volumeBytes })),
    durability: DURABILITY[options.durability ?? "flush"],
    cacheBytes: options.cacheBytes ?? DEFAULT_CACHE_BYTES,
    maxValueBytes: options.maxValueBytes ?? DEFAULT_MAX_VALUE_BYTES,
    readerThreads: 0,
    nodeId: options.nodeId,
    merge: options.merge ?? DEFAULT_MERGE,
    scrub: options.scrub ?? NO_SCRUB,
    digestOffset: options.digestOffset ?? -1,
  };
  const answer = handle.open(addonOptions, disk.handle, disk.seed, options.nowUs());
  if (isFailure(answer)) return toError(answer, addonOptions);
  if (disk.powerIsOff) {
    handle.crash(); // the last call of the opening went well, but nobody lives to hear it
    return new StoreOpenError("io", "", "the power went while the store was opened");
  }
  const driven = new DrivenHandle(handle, options);
  const store = new EngineStore(driven, toFacts(answer, addonOptions), sink);
  driven.owner = store;
  return store;
}

/** The handle of a store that runs on nobody's thread: everything that would happen there is a scheduled step. */
class DrivenHandle implements OpenHandle {
  owner: NativeStore | null = null;
  readonly load: OpenHandle["load"];
  readonly get: OpenHandle["get"];
  readonly drain: OpenHandle["drain"];
  readonly watermark: OpenHandle["watermark"];
  readonly isFull: OpenHandle["isFull"];
  readonly isShort: OpenHandle["isShort"];
  readonly stats: OpenHandle["stats"];
  readonly iterate: OpenHandle["iterate"];
  readonly digests: OpenHandle["digests"];
  readonly #below: SteppedHandle;
  readonly #options: EngineStoreOptions;
  #scheduled = false;
  /** Virtual time of the next idle step that was asked for. */
  #wakesAt = Number.POSITIVE_INFINITY;
  #state: "open" | "closing" | "over" = "open";

  constructor(below: SteppedHandle, options: EngineStoreOptions) {
    this.#below = below;
    this.#options = options;
    this.load = below.load.bind(below);
    this.get = below.get.bind(below);
    this.drain = below.drain.bind(below);
    this.watermark = below.watermark.bind(below);
    this.isFull = below.isFull.bind(below);
    this.isShort = below.isShort.bind(below);
    this.stats = below.stats.bind(below);
    this.iterate = below.iterate.bind(below);
    this.digests = below.digests.bind(below);
    this.pump();
  }

  get options(): EngineStoreOptions {
    return this.#options;
  }

  submit(request: ArrayBuffer, requestBytes: number, token: number): void {
    if (this.#state === "over") return; // the process is dead
    this.#below.submit(request, requestBytes, token);
    this.pump();
  }

  setMerge(options: MergeOptions): void {
    this.#below.setMerge(options);
    this.pump();
  }

  setScrub(options: ScrubOptions): void {
    this.#below.setScrub(options);
    this.pump();
  }

  /** Asks for a step. */
  pump(): void {
    if (this.#scheduled || this.#state !== "open") return;
    this.#scheduled = true;
    this.#options.schedule(this.#scheduledStep);
  }

  readonly #scheduledStep = (): void => {
    this.#scheduled = false;
    this.step();
  };

  /** One step now. True when there may be more to do. */
  step(): boolean {
    if (this.#state !== "open") return false;
    const nowUs = this.#options.nowUs();
    const due = this.#below.step(nowUs);
    if (this.#lostPower()) return false;
    this.owner?.onWake(LAYOUT.wakeCompletions);
    if (due < 0) this.pump();
    else this.#wakeAt(due, nowUs);
    return due < 0;
  }

  #wakeAt(dueUs: number, nowUs: number): void {
    if (dueUs === Number.POSITIVE_INFINITY || dueUs >= this.#wakesAt || this.#options.after === undefined) return;
    this.#wakesAt = dueUs;
    this.#options.after(Math.max(1, dueUs - nowUs), () => {
      if (this.#wakesAt !== dueUs) return; // an earlier one took its place
      this.#wakesAt = Number.POSITIVE_INFINITY;
      this.step();
    });
  }

  #lostPower(): boolean {
    if (!this.#options.disk.powerIsOff) return false;
    this.crash();
    this.#options.onPowerLost?.();
    return true;
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#options.schedule(() => {
      if (this.#state !== "closing") return;
      this.#below.close(this.#options.nowUs());
      if (this.#lostPower()) return;
      this.#state = "over";
      this.owner?.onWake(LAYOUT.wakeClosed);
    });
  }

  crash(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#below.crash();
  }

  finishClose(): void {
    // closed within the call
  }

  ref(): void {
    // no event loop waits for it
  }

  unref(): void {
    // see ref
  }
}

/** Whoever drives the store keeps it, and its time. */
function hostOf(handle: DrivenHandle): StoreHost {
  return {
    owes: () => undefined,
    rests: () => undefined,
    later: (run) => {
      handle.options.schedule(run);
    },
  };
}

export class EngineStore extends NativeStore implements SimulatedStore {
  readonly #driven: DrivenHandle;

  /** Use openEngineStore. */
  constructor(driven: DrivenHandle, facts: StoreFacts, sink: StoreSink) {
    super(driven, facts, sink, hostOf(driven));
    this.#driven = driven;
  }

  /** What was written and not flushed stays readable: only a loss of power takes it. */
  crash(): void {
    this.#driven.crash();
  }

  /** The engine merges by itself, in its steps; this is one more. */
  mergeAll(): void {
    this.#driven.pump();
  }

  scrubAll(): void {
    const { passes } = this.stats().scrub;
    this.setScrub({ bytesPerSecond: Number.MAX_SAFE_INTEGER });
    for (let steps = 0; this.stats().scrub.passes === passes; steps++) {
      assert(steps < MAX_SCRUB_STEPS, "D19: a pass of scrub ends");
      this.#driven.step();
    }
    this.setScrub(this.#driven.options.scrub ?? NO_SCRUB);
  }
}
