/** Loads and types the simulator's addon (native/sim): the engine on simulated disks. Nothing of the product loads it. */
import { fileURLToPath } from "node:url";
import {
  type AddonFacts,
  type AddonFailure,
  type AddonOptions,
  requireAddon,
  type StoreCalls,
} from "../storage/addon.js";

/** native/sim/disk_object.h says what each method does. */
export interface DiskHandle {
  copyFrom(disk: DiskHandle): void;
  losePower(seed: number): void;
  arm(fault: number, inCalls: number, seed: number, volume: number): void;
  armPowerCut(inCalls: number, when: number, seed: number): void;
  disarm(): void;
  hits(): number[];
  powerIsOff(): boolean;
  locked(): boolean;
  fingerprint(): string;
  discard(): void;
  flip(bytes: ArrayBuffer, at: number): number;
}

/** native/sim/store_object.h says what each method does. */
export interface SteppedHandle extends StoreCalls {
  open(options: AddonOptions, disk: DiskHandle, seed: number, nowUs: number): AddonFacts | AddonFailure;
  step(nowUs: number): number;
  close(nowUs: number): void;
  crash(): void;
}

interface SimAddon {
  readonly constants: Readonly<Record<string, unknown>>;
  readonly DiskHandle: new (volumes: number, volumeBytes: number, extentBytes: number) => DiskHandle;
  readonly StoreHandle: new () => SteppedHandle;
}

/** Both src/sim and dist/sim lie two floors below the root of the package. */
const ADDON_PATH = fileURLToPath(new URL("../../build/Release/plogdb_sim.node", import.meta.url));

let loaded: SimAddon | null = null;

/** The addon, loaded once. Throws StoreOpenError `no-addon`. */
export function loadSimAddon(): SimAddon {
  loaded ??= requireAddon(ADDON_PATH) as SimAddon; // typed here, checked by the comparison of constants
  return loaded;
}
