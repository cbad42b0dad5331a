/**
 * The disk of one simulated replica under the native engine: one or two volumes in memory, every fault of a real one, one
 * power switch. It outlives processes. It must not know what a store keeps on it.
 */
import { assert } from "../base/assert.js";
import { DISK_FAULTS, type DiskFault, type DiskHits, diskHits, type PowerCut, type SimulatedDisk } from "./disk.js";
import { type DiskHandle, loadSimAddon } from "./engine-addon.js";

export interface EngineDiskOptions {
  /** Makes the id of the store that is formatted on it: another disk needs another seed. An integer above 0. */
  readonly seed: number;
  /** Default 1. */
  readonly volumes?: 1 | 2;
  /** Of each volume; at least eight extents. Default 2 MiB. */
  readonly volumeBytes?: number;
  /**
   * The least size of an extent, which bounds values (a quarter) and the atomic batch of a key. Default 128 KiB: small ones
   * are soon used again, so that merge and summaries have work in a short life.
   */
  readonly extentBytes?: number;
}

const DEFAULT_VOLUME_BYTES = 2 << 20;
const DEFAULT_EXTENT_BYTES = 128 << 10;
const LEAST_EXTENTS = 8;
const WHEN: Readonly<Record<PowerCut["when"], number>> = { before: 0, within: 1, after: 2 };

export class EngineDisk implements SimulatedDisk {
  readonly engine = "native";
  readonly seed: number;
  readonly volumes: 1 | 2;
  readonly volumeBytes: number;
  readonly extentBytes: number;
  readonly handle: DiskHandle;
  readonly #copies: EngineDisk[] = [];

  constructor(options: EngineDiskOptions) {
    assert(Number.isSafeInteger(options.seed) && options.seed > 0, "a seed is an integer above 0");
    this.seed = options.seed;
    this.volumes = options.volumes ?? 1;
    this.volumeBytes = options.volumeBytes ?? DEFAULT_VOLUME_BYTES;
    this.extentBytes = options.extentBytes ?? DEFAULT_EXTENT_BYTES;
    assert(this.volumeBytes >= LEAST_EXTENTS * this.extentBytes, "D1: a volume has at least eight extents");
    this.handle = new (loadSimAddon().DiskHandle)(this.volumes, this.volumeBytes, this.extentBytes);
  }

  get locked(): boolean {
    return this.handle.locked();
  }

  get powerIsOff(): boolean {
    return this.handle.powerIsOff();
  }

  copy(): EngineDisk {
    const copy = new EngineDisk(this);
    copy.handle.copyFrom(this.handle);
    this.#copies.push(copy);
    return copy;
  }

  losePower(seed: number): void {
    assert(!this.locked, "the process on it dies first");
    this.handle.losePower(seed);
  }

  arm(fault: DiskFault): boolean {
    const volume = fault.volume ?? 0;
    assert(volume < this.volumes, "there is no such volume");
    this.handle.arm(DISK_FAULTS.indexOf(fault.kind), fault.in, fault.seed, volume);
    return true;
  }

  armPowerCut(cut: PowerCut): boolean {
    this.handle.armPowerCut(cut.in, WHEN[cut.when], cut.seed);
    return true;
  }

  disarm(): void {
    this.handle.disarm();
  }

  hits(): DiskHits {
    return diskHits(this.handle.hits());
  }

  fingerprint(): string {
    return this.handle.fingerprint();
  }

  discard(): void {
    assert(!this.locked, "the process on it dies first");
    this.handle.discard();
    for (const copy of this.#copies.splice(0)) copy.discard();
  }

  /** Flips a bit in the middle of every place that holds these bytes, as far as they lie in one block. Returns how many there were. */
  rot(bytes: Uint8Array): number {
    return this.handle.flip(new Uint8Array(bytes).buffer, bytes.length >> 1);
  }
}
