/** Stores of the native engine on simulated disks, for tests: driven by the event loop, or by the test, step by step. */
import { VirtualTime } from "../../src/sim/virtual-time.js";
import { EngineDisk, type EngineDiskOptions } from "../../src/sim/engine-disk.js";
import { type EngineStore, type EngineStoreOptions, openEngineStore } from "../../src/sim/engine-store.js";
import { StoreOpenError } from "../../src/storage/open-error.js";
import type { Place } from "./contract-tools.js";
import { Recorder } from "./recorder.js";

const STEP_US = 100;

/** A disk in memory whose stores run by themselves, as fast as the event loop goes. */
export function enginePlace(bytes: number): Place {
  const disk = new EngineDisk({ seed: 1, volumeBytes: bytes, extentBytes: 1 << 20 });
  let nowUs = 1;
  const schedule = (run: () => void): void => {
    setImmediate(() => {
      nowUs += STEP_US;
      run();
    });
  };
  return {
    open: (options, sink) =>
      new Promise((resolve, reject) => {
        const opened = openEngineStore({ disk, nodeId: "n1", nowUs: () => nowUs, schedule, ...options }, sink);
        if (opened instanceof StoreOpenError) reject(opened);
        else resolve(opened);
      }),
    corrupt: (_key, _position, value) => {
      // A value of many blocks has headers between its parts: a piece of it is enough to find it.
      if (disk.rot(value.subarray(0, 64)) === 0) throw new Error("the value is nowhere on the disk");
    },
    remove: () => undefined,
  };
}

/** One machine: a disk, the process on it, and a clock that stands still unless it is told to run. */
export class Machine {
  readonly time = new VirtualTime();
  readonly disk: EngineDisk;
  sink = new Recorder();
  powerLost = 0;

  constructor(disk: Partial<EngineDiskOptions> | EngineDisk = {}) {
    this.disk = disk instanceof EngineDisk ? disk : new EngineDisk({ seed: 1, ...disk });
  }

  tryOpen(options: Partial<EngineStoreOptions> = {}): EngineStore | StoreOpenError {
    this.sink = new Recorder();
    const { time, disk } = this;
    return openEngineStore(
      {
        disk,
        nodeId: "n1",
        nowUs: () => time.nowUs,
        schedule: (run) => time.after(STEP_US, run),
        after: (delayUs, run) => time.after(delayUs, run),
        onPowerLost: () => {
          this.powerLost++;
        },
        ...options,
      },
      this.sink,
    );
  }

  open(options: Partial<EngineStoreOptions> = {}): EngineStore {
    const opened = this.tryOpen(options);
    if (opened instanceof StoreOpenError) throw opened;
    return opened;
  }

  run(us: number): void {
    this.time.runUntil(this.time.nowUs + us);
  }
}
