/**
 * Goal: a raw block device serves as a volume as a file does: the same contract, nobody else on it meanwhile, nothing written
 * over that is not ours. Method: loop devices; where none can be attached the tests are skipped, and their name says so.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import type { NativeStore } from "../../src/storage/native-store.js";
import type { NativeStoreOptions } from "../../src/storage/open-native.js";
import { HEADER_BYTES } from "../../src/storage/store.js";
import { storeContract } from "./contract.js";
import type { Place } from "./contract-tools.js";
import { LoopDevice, loopDevicesWork } from "./loop-device.js";
import { breakBytes, openStore } from "./native-place.js";
import { Recorder } from "./recorder.js";

const works = loopDevicesWork();
const note = works ? "" : " (skipped: needs root and loop devices)";
const BYTES = 64 << 20;

function blockDevicePlace(bytes: number): Place {
  const device = new LoopDevice(bytes);
  const base: NativeStoreOptions = { volumes: [device.path], sizeBytes: bytes, nodeId: "n1" };
  return {
    open: (options, sink) => openStore({ ...base, ...options }, sink),
    corrupt: (_key, _position, value) => {
      if (breakBytes(device.path, value) === 0) throw new Error("the value is nowhere on the device");
    },
    remove: () => {
      device.remove();
    },
  };
}

if (works) storeContract({ name: "NativeStore on a block device", makePlace: blockDevicePlace });

describe.skipIf(!works)(`a block device as a volume${note}`, () => {
  let device: LoopDevice;
  let options: NativeStoreOptions;
  const open: NativeStore[] = [];

  beforeEach(() => {
    device = new LoopDevice(BYTES);
    options = { volumes: [device.path], sizeBytes: BYTES, nodeId: "n1" };
  });

  afterEach(async () => {
    for (const store of open.splice(0)) await closed(store);
    device.remove();
  });

  function closed(store: NativeStore): Promise<void> {
    return new Promise((resolve) => {
      store.close(resolve);
    });
  }

  it("is read and written past the page cache, and holds what was put through a close", async () => {
    const sink = new Recorder();
    const store = await openStore(options, sink);
    expect(store.facts).toMatchObject({ fresh: true, durability: "flush" });
    expect(store.facts.volumes).toMatchObject([{ path: device.path, ioMode: "direct", blockBytes: 4096 }]);
    for (let i = 0; i < 500; i++) {
      store.put(userKey(String(i)), 1, 0, new Uint8Array(HEADER_BYTES), new Uint8Array(300).fill(i));
    }
    expect(await sink.ended(store.submit())).toBe("ok");
    await closed(store);
    const again = await openStore(options, new Recorder());
    open.push(again);
    expect(again.facts).toMatchObject({ fresh: false, recoveredKeys: 500, storageId: store.facts.storageId });
  });

  it("D9 is refused while another store has it", async () => {
    open.push(await openStore(options, new Recorder()));
    await expect(openStore(options, new Recorder())).rejects.toMatchObject({
      name: "StoreOpenError",
      code: "locked",
      path: device.path,
    });
  });

  it("D9 is refused when it holds something else, which stays as it is", async () => {
    const text = "somebody's file system";
    const fd = openSync(device.path, "r+");
    writeSync(fd, text, 1024);
    closeSync(fd);
    await expect(openStore(options, new Recorder())).rejects.toMatchObject({ code: "foreign", path: device.path });
    expect(
      readFileSync(device.file)
        .subarray(1024, 1024 + text.length)
        .toString(),
    ).toBe(text);
  });

  it("is refused when it is smaller than what was asked for", async () => {
    const opened = openStore({ ...options, sizeBytes: 2 * BYTES }, new Recorder());
    await expect(opened).rejects.toMatchObject({ name: "StoreOpenError", path: device.path });
  });
});
