/**
 * Block devices for tests: a loop device over a file in a directory of its own. Only root may attach one, and not in every
 * container: `loopDevicesWork` says whether this machine lets us.
 */
import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class LoopDevice {
  /** The device itself, such as /dev/loop3. */
  readonly path: string;
  /** The file below it; what is written there is seen through the device. */
  readonly file: string;
  readonly #directory: string;

  constructor(bytes: number) {
    this.#directory = mkdtempSync(join(tmpdir(), "plogdb-loop-"));
    this.file = join(this.#directory, "device.img");
    const fd = openSync(this.file, "w");
    ftruncateSync(fd, bytes);
    closeSync(fd);
    const { status, stdout, stderr } = spawnSync("losetup", ["--find", "--show", this.file], { encoding: "utf8" });
    if (status !== 0) {
      rmSync(this.#directory, { recursive: true });
      throw new Error(`losetup: ${stderr}`);
    }
    this.path = stdout.trim();
  }

  remove(): void {
    spawnSync("losetup", ["--detach", this.path]);
    rmSync(this.#directory, { recursive: true });
  }
}

export function loopDevicesWork(): boolean {
  if (process.getuid?.() !== 0 || spawnSync("losetup", ["--version"]).status !== 0) return false;
  try {
    new LoopDevice(1 << 20).remove();
    return true;
  } catch {
    return false;
  }
}
