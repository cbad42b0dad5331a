/** Native stores for tests: opened with a promise, on a volume in a directory of their own. */
import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NativeStore } from "../../src/storage/native-store.js";
import { type NativeStoreOptions, openNativeStore } from "../../src/storage/open-native.js";
import type { StoreSink } from "../../src/storage/store.js";
import type { Place } from "./contract-tools.js";

export function openStore(options: NativeStoreOptions, sink: StoreSink): Promise<NativeStore> {
  return new Promise((resolve, reject) => {
    openNativeStore(options, sink, (error, store) => {
      if (store !== null) resolve(store);
      else reject(error ?? new Error("neither a store nor an error"));
    });
  });
}

/** Flips one byte in the middle of every place in `file` that holds `wanted`. Returns how many there were. */
export function breakBytes(file: string, wanted: Uint8Array): number {
  const content = readFileSync(file);
  // A value of many blocks has headers between its parts: a piece of it is enough to find it.
  const piece = Buffer.from(wanted.subarray(0, 64));
  const fd = openSync(file, "r+");
  let found = 0;
  for (let at = content.indexOf(piece); at >= 0; at = content.indexOf(piece, at + 1)) {
    const byte = content[at + 32] ?? 0;
    writeSync(fd, new Uint8Array([byte ^ 1]), 0, 1, at + 32);
    found++;
  }
  fsyncSync(fd);
  closeSync(fd);
  return found;
}

export function nativePlace(bytes: number): Place {
  const directory = mkdtempSync(join(tmpdir(), "plogdb-store-"));
  const base: NativeStoreOptions = { volumes: [directory], sizeBytes: bytes, nodeId: "n1" };
  return {
    open: (options, sink) => openStore({ ...base, ...options }, sink),
    corrupt: (_key, _position, value) => {
      if (breakBytes(join(directory, "volume.plog"), value) === 0) throw new Error("the value is nowhere on the disk");
    },
    remove: () => {
      rmSync(directory, { recursive: true });
    },
  };
}
