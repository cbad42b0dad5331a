/**
 * What the engine answers to an open, in the words of this room: facts, or one StoreOpenError that says what to do. It
 * must not know how a store was opened: the product's way and the simulator's share it.
 */
import type { AddonFacts, AddonFailure, AddonOptions } from "./addon.js";
import { LAYOUT } from "./layout.js";
import { type StoreOpenCode, StoreOpenError } from "./open-error.js";
import type { StoreFacts } from "./store.js";

export const DURABILITY: Readonly<Record<StoreFacts["durability"], number>> = {
  flush: LAYOUT.durabilityFlush,
  device: LAYOUT.durabilityDevice,
  none: LAYOUT.durabilityNone,
};
const IO_MODES: readonly StoreFacts["volumes"][number]["ioMode"][] = ["direct", "buffered", "memory"];

export function toError(failure: AddonFailure, options: AddonOptions): StoreOpenError {
  const paths = options.volumes.map((volume) => volume.path).join(", ");
  const [code, fix] = codeAndFix(failure.status);
  const text = `cannot open the store at ${paths}: ${failure.message}`;
  return new StoreOpenError(code, paths, fix === "" ? text : `${text} (${fix})`);
}

/** The code for a status of the engine's open, and what to do where the engine's words do not say it. */
function codeAndFix(status: number): readonly [StoreOpenCode, string] {
  switch (status) {
    case LAYOUT.statusLocked:
      return ["locked", ""];
    case LAYOUT.statusForeign:
      return ["foreign", "point this node at its own data, or at an empty directory"];
    case LAYOUT.statusCorrupt:
      return ["corrupt-superblock", "restore the volume, or give this node an empty directory so that it starts anew"];
    case LAYOUT.statusDiskFull:
      return ["no-space", "free some space or configure a smaller store"];
    case LAYOUT.statusInvalidArgument:
      return ["bad-options", ""];
    default:
      return ["io", ""];
  }
}

export function toFacts(answer: AddonFacts, options: AddonOptions): StoreFacts {
  return {
    storageId: answer.storageId,
    fresh: answer.fresh,
    volumes: answer.volumes.map((volume) => ({
      path: volume.path,
      bytes: volume.bytes,
      extentBytes: volume.extentBytes,
      ioMode: IO_MODES[volume.ioMode] ?? "buffered",
      blockBytes: volume.blockBytes,
    })),
    durability:
      options.durability === LAYOUT.durabilityFlush
        ? "flush"
        : options.durability === LAYOUT.durabilityDevice
          ? "device"
          : "none",
    recoveredWatermark: answer.recoveredWatermark,
    recoveredKeys: answer.recoveredKeys,
    recoveryMs: answer.recoveryUs / 1000,
    unknownLosses: answer.unknownLosses,
    lostPlaces: answer.lostPlaces,
    corruptKeys: answer.corruptKeys,
    droppedRuns: answer.droppedRuns,
  };
}
