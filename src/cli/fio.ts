/**
 * fio, the yardstick of every storage bench here: one job at a time on one file or device, and of its report the few
 * numbers that we set ours beside. It knows no store.
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { z } from "zod";
import { CommandError, EXIT } from "./exit.js";

export const FIO_MISSING = "fio is not installed; get it with: apt-get install fio";

export interface FioJob {
  readonly file: string;
  readonly bytes: number;
  readonly pattern: "write" | "randread" | "read";
  readonly blockBytes: number;
  readonly seconds: number;
  /** "each": fdatasync after every write. */
  readonly flush: "each" | "none";
}

export interface FioResult {
  readonly perSec: number;
  readonly bytesPerSec: number;
  /** Of one operation and its flush together, in microseconds. */
  readonly meanUs: number;
}

const side = z.object({ iops: z.number(), bw_bytes: z.number(), total_ios: z.number() });
const reportShape = z.object({ jobs: z.array(z.object({ read: side, write: side, error: z.number() })).min(1) });

/** Its version, or null when it is not there. */
export function fioVersion(): string | null {
  const { status, stdout } = spawnSync("fio", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : null;
}

const FILL_BYTES = 1 << 20;

/** A file whose every block was written, since the first write into a preallocated one is dearer. */
export function prepareFile(file: string, bytes: number): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) >= bytes) return;
  fill(file, bytes, 1);
}

/** Nothing is left of what lay on the first `bytes` of a device: what fio wrote, or a volume of before. */
export function wipeDevice(device: string, bytes: number): void {
  fill(device, bytes, 0);
}

/** False when the device ends before. */
export function hasBytes(device: string, bytes: number): boolean {
  const fd = openSync(device, "r");
  try {
    return readSync(fd, Buffer.alloc(1), 0, 1, bytes - 1) === 1;
  } finally {
    closeSync(fd);
  }
}

function fill(path: string, bytes: number, byte: number): void {
  const fd = openSync(path, "w", 0o600);
  try {
    const block = Buffer.alloc(FILL_BYTES, byte);
    for (let at = 0; at < bytes; at += FILL_BYTES) writeSync(fd, block, 0, Math.min(FILL_BYTES, bytes - at), at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Direct I/O, one operation at a time, from one thread. Throws CommandError. */
export async function runFio(job: FioJob): Promise<FioResult> {
  const args = [
    "--name=plogdb",
    `--filename=${job.file}`,
    `--size=${job.bytes}`,
    `--rw=${job.pattern}`,
    `--bs=${job.blockBytes}`,
    "--direct=1",
    "--ioengine=psync",
    "--thread",
    "--randrepeat=0",
    "--time_based",
    `--runtime=${job.seconds}`,
    "--output-format=json",
  ];
  if (job.flush === "each") args.push("--fdatasync=1");
  const text = await outputOf("fio", args);
  // fio may say something before its report, such as a note about the file.
  const report = reportShape.parse(JSON.parse(text.slice(text.indexOf("{"))));
  const result = report.jobs[0];
  if (result === undefined || result.error !== 0) {
    throw new CommandError(EXIT.io, `fio failed on ${job.file} with error ${result?.error ?? "unknown"}`);
  }
  const { iops, bw_bytes: bytesPerSec } = job.pattern === "write" ? result.write : result.read;
  return { perSec: iops, bytesPerSec, meanUs: iops === 0 ? 0 : 1e6 / iops };
}

function outputOf(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString("utf8");
    });
    child.on("error", () => {
      reject(new CommandError(EXIT.failed, FIO_MISSING));
    });
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new CommandError(EXIT.io, `fio ended with ${code ?? "a signal"}: ${(errors || output).trim()}`));
    });
  });
}
