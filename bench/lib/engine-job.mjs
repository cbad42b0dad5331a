// What a worker of bench:engine was told, and how it opens its system and counts what goes to disk.
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { loadSystem, SYSTEMS } from "./systems/index.mjs";

const CACHE_BYTES = 512 << 20;

export const job = JSON.parse(process.argv[2]);

const SECTOR_BYTES = 512;

/**
 * Bytes written to the device below the directory, by its own count: the file system's journal is in it, and so is what
 * others write meanwhile. What waits in the page cache is written first.
 */
export function deviceBytes() {
  spawnSync("sync", ["-f", job.dir]);
  const { dev } = statSync(job.dir);
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const line = new RegExp(`^ *${major} +${minor} .*$`, "m").exec(readFileSync("/proc/diskstats", "latin1"))?.[0];
  return line === undefined ? Number.NaN : Number(line.trim().split(/ +/)[9]) * SECTOR_BYTES;
}

export async function openSystem(more = {}) {
  const { open } = await loadSystem(job.system);
  const options = { cacheBytes: CACHE_BYTES, sizeBytes: job.sizeBytes, ...SYSTEMS[job.system].options, ...more };
  return open(more.dir ?? job.dir, options);
}
