/** The native store: the contract, and what only it has (paths, identity, errors of open). */
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { LAYOUT, layoutDifference } from "../../src/storage/layout.js";
import type { NativeStore } from "../../src/storage/native-store.js";
import { HEADER_BYTES } from "../../src/storage/store.js";
import { storeContract } from "./contract.js";
import { nativePlace, openStore } from "./native-place.js";
import { Recorder } from "./recorder.js";

storeContract({ name: "NativeStore", makePlace: nativePlace });

const SIZE = 8 << 20;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plogdb-native-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function closed(store: NativeStore): Promise<void> {
  return new Promise((resolve) => {
    store.close(resolve);
  });
}

describe("opening a native store", () => {
  it("makes the directory and the volume in it, for this user only, and says what it found", async () => {
    const path = join(directory, "deep", "data");
    const store = await openStore({ volumes: [path], sizeBytes: SIZE, nodeId: "n1" }, new Recorder());
    const file = join(path, "volume.plog");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(store.facts.durability).toBe("flush");
    expect(store.facts.volumes).toHaveLength(1);
    expect(store.facts.volumes[0]).toMatchObject({ path: file, blockBytes: 4096 });
    expect(["direct", "buffered"]).toContain(store.facts.volumes[0]?.ioMode);
    await closed(store);
  });

  it("spreads keys over several volumes, and finds them again", async () => {
    const volumes = ["a", "b", "c"].map((name) => join(directory, name));
    const options = { volumes, sizeBytes: 3 * SIZE, nodeId: "n1" };
    const sink = new Recorder();
    const store = await openStore(options, sink);
    for (let i = 0; i < 300; i++) {
      store.put(userKey(String(i)), 1, 0, new Uint8Array(HEADER_BYTES), new Uint8Array(100).fill(i));
    }
    expect(await sink.ended(store.submit())).toBe("ok");
    await closed(store);
    const again = await openStore(options, new Recorder());
    expect(again.facts).toMatchObject({ recoveredKeys: 300, fresh: false, storageId: store.facts.storageId });
    expect(again.facts.volumes).toHaveLength(3);
    await closed(again);
  });

  it.each([
    ["no volume", { volumes: [], sizeBytes: SIZE, nodeId: "n1" }, "bad-options"],
    ["one path twice", { volumes: ["/tmp/x/../x", "/tmp/x"], sizeBytes: 2 * SIZE, nodeId: "n1" }, "bad-options"],
    ["no node id", { volumes: ["/tmp/x"], sizeBytes: SIZE, nodeId: "" }, "bad-options"],
    ["a long node id", { volumes: ["/tmp/x"], sizeBytes: SIZE, nodeId: "n".repeat(65) }, "bad-options"],
    ["a size too small", { volumes: ["/tmp/x"], sizeBytes: 1 << 20, nodeId: "n1" }, "bad-size"],
    ["a size that is no number", { volumes: ["/tmp/x"], sizeBytes: Number.NaN, nodeId: "n1" }, "bad-size"],
    ["a character device", { volumes: ["/dev/null"], sizeBytes: SIZE, nodeId: "n1" }, "bad-path"],
    ["a path through a file", { volumes: ["/etc/passwd/x"], sizeBytes: SIZE, nodeId: "n1" }, "bad-path"],
  ])("refuses %s", async (_what, options, code) => {
    await expect(openStore(options, new Recorder())).rejects.toMatchObject({ name: "StoreOpenError", code });
  });

  it("refuses a file that holds something else, and leaves it as it is", async () => {
    const file = join(directory, "letters.txt");
    const text = "somebody's letters\n".repeat(1 << 19);
    writeFileSync(file, text);
    const opened = openStore({ volumes: [file], sizeBytes: SIZE, nodeId: "n1" }, new Recorder());
    await expect(opened).rejects.toMatchObject({ code: "foreign", path: file });
    expect(statSync(file).size).toBe(text.length);
  });

  it("names the path when a disk is too small for the volume", async () => {
    const opened = openStore({ volumes: [directory], sizeBytes: 2 ** 43, nodeId: "n1" }, new Recorder());
    const file = join(directory, "volume.plog");
    await expect(opened).rejects.toMatchObject({ code: expect.stringMatching(/^(no-space|io)$/), path: file });
    await expect(opened).rejects.toThrow(file);
  });

  it("refuses a volume whose superblocks are broken", async () => {
    const options = { volumes: [directory], sizeBytes: SIZE, nodeId: "n1" };
    await closed(await openStore(options, new Recorder()));
    const file = join(directory, "volume.plog");
    expect(existsSync(file)).toBe(true);
    const fd = openSync(file, "r+");
    for (let at = 0; at < statSync(file).size; at += 4096) writeSync(fd, "broken", at + 100);
    closeSync(fd);
    await expect(openStore(options, new Recorder())).rejects.toMatchObject({ code: "corrupt-superblock" });
  });
});

describe("the layout of the crossing", () => {
  it("notices a constant that differs, one that is missing and one too many", () => {
    expect(layoutDifference(LAYOUT)).toBeNull();
    expect(layoutDifference({ ...LAYOUT, opHeader: 40 })).toMatch(/opHeader is 32 here and 40/);
    expect(layoutDifference({ ...LAYOUT, more: 1 })).toMatch(/more is known to the addon only/);
    const { version: _version, ...rest } = LAYOUT;
    expect(layoutDifference(rest)).toMatch(/version is 2 here and undefined/);
  });
});
