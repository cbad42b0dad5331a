/**
 * The disk below the store in memory, with what every simulated disk has. It has no blocks, no cache and no calls that
 * could fail: faults of devices cannot strike it, and a power loss takes no more than the death of the process does.
 */
import { MemoryDisk } from "../storage/memory-disk.js";
import { type DiskHits, diskHits, type SimulatedDisk } from "./disk.js";

export class MemoryMedium extends MemoryDisk implements SimulatedDisk {
  readonly engine = "memory";
  readonly powerIsOff = false;

  copy(): MemoryMedium {
    const copy = new MemoryMedium(this.storageId, this.capacityBytes);
    copy.nodeId = this.nodeId;
    copy.usedBytes = this.usedBytes;
    copy.lastLsn = this.lastLsn;
    for (const [key, records] of this.keys) {
      copy.keys.set(
        key,
        records.map((record) => ({ ...record })),
      );
    }
    return copy;
  }

  losePower(): void {
    // what was acknowledged is in `keys`, and the rest went with the process
  }

  arm(): boolean {
    return false;
  }

  armPowerCut(): boolean {
    return false;
  }

  disarm(): void {
    // see arm
  }

  hits(): DiskHits {
    return diskHits([]);
  }

  discard(): void {
    this.keys.clear();
  }

  fingerprint(): string {
    let hash = 0x811c9dc5;
    const add = (byte: number): void => {
      hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    };
    for (const key of [...this.keys.keys()].sort()) {
      for (let i = 0; i < key.length; i++) add(key.charCodeAt(i));
      for (const record of this.keys.get(key) ?? []) {
        add(record.position);
        add(record.floor);
        for (const byte of record.header) add(byte);
        for (const byte of record.value) add(byte);
      }
    }
    return hash.toString(16).padStart(8, "0");
  }
}
