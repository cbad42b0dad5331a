/**
 * `plogdb bench disk`: what the disk can do (as fio tells), what the engine makes of it on the same file system or
 * device, side by side. Every row is the same kind of work on both sides; the ratio is the engine's share of the disk.
 */
import { mkdirSync, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Key, userKey } from "../base/key.js";
import { Random } from "../base/random.js";
import { formatSize, parseSize } from "../cluster/index.js";
import { BenchStore } from "./bench-store.js";
import { verifyCheck, verifyWrite } from "./bench-verify.js";
import { CommandError, EXIT, type ExitCode } from "./exit.js";
import {
  FIO_MISSING,
  type FioJob,
  type FioResult,
  fioVersion,
  hasBytes,
  prepareFile,
  runFio,
  wipeDevice,
} from "./fio.js";
import { type Output, table } from "./output.js";

export interface BenchDiskFlags {
  readonly dir: string;
  readonly size: string;
  readonly seconds?: number;
  readonly destroy?: boolean;
  readonly verify?: string;
  readonly seed: number;
  readonly keys: number;
  readonly state?: string;
}

interface Row {
  readonly work: string;
  readonly unit: "per second" | "bytes per second";
  readonly fio: number | null;
  readonly engine: number;
}

const BLOCK_BYTES = 4096;
const RUN_BYTES = 1 << 20;
const SMALL_VALUE_BYTES = 120;
const READ_VALUE_BYTES = 2000;
const SPREAD = 8;
const CALLERS = 64;
const COMPARE_SECONDS = 5;
const ROOM_SHARE = 0.4;
/** fio's file and the data that is read at random take so much of the size. */
const FILE_SHARE = 0.25;

export async function benchDisk(flags: BenchDiskFlags, output: Output): Promise<ExitCode> {
  const size = parseSize(flags.size);
  if (!size.ok) throw new CommandError(EXIT.usage, `--size: ${size.problem}`);
  const isDevice = checkPlace(flags);
  if (isDevice && !hasBytes(flags.dir, size.value)) {
    throw new CommandError(EXIT.usage, `${flags.dir} is smaller than --size ${flags.size}`);
  }
  if (flags.verify !== undefined) {
    const { dir, seed, keys, state, seconds = 0 } = flags;
    const options = { dir, sizeBytes: size.value, seed, keys, state, seconds };
    if (flags.verify === "write") return verifyWrite(options, output);
    if (flags.verify === "check") return verifyCheck(options, output);
    throw new CommandError(EXIT.usage, `--verify ${flags.verify}: say write or check`);
  }
  const fio = fioVersion();
  if (fio === null) throw new CommandError(EXIT.failed, FIO_MISSING);
  const seconds = flags.seconds ?? COMPARE_SECONDS;
  if (isDevice) return compare(flags.dir, flags.dir, size.value, { seconds, fio }, output);
  const home = mkdtempSync(join(flags.dir, "plogdb-bench-disk-"));
  try {
    const bytes = Math.min(size.value, roomIn(home));
    const file = join(home, "fio.dat");
    prepareFile(file, Math.floor(bytes * FILE_SHARE));
    return await compare(file, join(home, "engine"), bytes, { seconds, fio }, output);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** True for a block device, which is overwritten and therefore asked about. A directory is made when absent. */
function checkPlace({ dir, destroy, verify }: BenchDiskFlags): boolean {
  const facts = statSync(dir, { throwIfNoEntry: false });
  if (facts === undefined) mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (facts === undefined || facts.isDirectory()) return false;
  if (!facts.isBlockDevice()) throw new CommandError(EXIT.usage, `--dir ${dir}: name a directory or a block device`);
  if (destroy !== true && verify !== "check") {
    throw new CommandError(EXIT.usage, `${dir} is a block device; everything on it would be lost: add --destroy`);
  }
  return true;
}

function roomIn(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize * ROOM_SHARE;
}

async function compare(
  fioFile: string,
  path: string,
  bytes: number,
  { seconds, fio }: { readonly seconds: number; readonly fio: string },
  output: Output,
): Promise<ExitCode> {
  const job = (pattern: FioJob["pattern"], blockBytes: number, flush: FioJob["flush"]): Promise<FioResult> =>
    runFio({ file: fioFile, bytes: Math.floor(bytes * FILE_SHARE), pattern, blockBytes, seconds, flush });
  const small = await job("write", BLOCK_BYTES, "each");
  const large = await job("write", RUN_BYTES, "each");
  const random = await job("randread", BLOCK_BYTES, "none");
  // A store is made only where nothing else lies.
  if (fioFile === path) wipeDevice(path, bytes);
  // Nothing is cached, so that reads come from the disk.
  const store = await BenchStore.open({ path, sizeBytes: bytes, cacheBytes: 0 });
  const rows: Row[] = [];
  const tell = (row: Row): void => {
    rows.push(row);
    output.event("row", { ...row, ratio: ratioOf(row) });
  };
  try {
    tell({
      work: "4 KiB write + flush; durable put, 1 caller",
      unit: "per second",
      fio: small.perSec,
      engine: await putRate(store, 1, seconds),
    });
    tell({
      work: `durable puts, ${CALLERS} callers`,
      unit: "per second",
      fio: null,
      engine: await putRate(store, CALLERS, seconds),
    });
    tell({
      work: "sequential 1 MiB + flush; values of 1 MiB",
      unit: "bytes per second",
      fio: large.bytesPerSec,
      engine: await streamRate(store, bytes, seconds),
    });
    tell({
      work: "random 4 KiB reads; reads of records from disk",
      unit: "per second",
      fio: random.perSec,
      engine: await readRate(store, Math.floor(bytes * FILE_SHARE), seconds),
    });
  } finally {
    await store.close();
  }
  const [volume] = store.facts.volumes;
  show(rows, output);
  output.line(`${fio}; ${formatSize(bytes)} at ${path}, I/O ${volume?.ioMode ?? "unknown"}, ${seconds} s a row`);
  output.event("summary", { fio, bytes, ioMode: volume?.ioMode, rows: rows.length });
  return EXIT.ok;
}

function ratioOf({ fio, engine }: Row): number | null {
  return fio === null ? null : Number((engine / fio).toFixed(3));
}

function show(rows: readonly Row[], output: Output): void {
  const figure = (row: Row, value: number | null): string =>
    value === null ? "-" : row.unit === "per second" ? Math.round(value).toString() : `${formatSize(value)}/s`;
  const lines = rows.map((row) => [
    row.work,
    figure(row, row.fio),
    figure(row, row.engine),
    ratioOf(row)?.toString() ?? "-",
  ]);
  for (const line of table([["work", "fio", "engine", "engine / fio"], ...lines])) output.line(line);
}

async function checked(status: Promise<string>): Promise<void> {
  const ended = await status;
  if (ended !== "ok") throw new CommandError(EXIT.failed, `a batch ended with ${ended}`);
}

/** Callers in a closed loop over a few keys, so that what they overwrite is free again. */
async function closedLoop(callers: number, seconds: number, one: (turn: number) => Promise<void>): Promise<number> {
  const begun = performance.now();
  const end = begun + seconds * 1000;
  let count = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) await one(count++);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return (count * 1000) / (performance.now() - begun);
}

function benchKey(kind: string, number: number): Key {
  return userKey(`${kind}${String(number).padStart(14, "0")}`);
}

function putRate(store: BenchStore, callers: number, seconds: number): Promise<number> {
  const value = new Uint8Array(SMALL_VALUE_BYTES).fill(7);
  return closedLoop(callers, seconds, (turn) =>
    checked(store.put([{ key: benchKey("p", turn % CALLERS), serial: turn, value }])),
  );
}

async function streamRate(store: BenchStore, bytes: number, seconds: number): Promise<number> {
  // A value is at most a quarter of an extent, an extent a 64th of the store.
  const valueBytes = Math.min(RUN_BYTES, Math.floor(bytes / 64 / 8));
  const value = new Uint8Array(valueBytes).fill(9);
  const before = store.stats().bytesWritten;
  const begun = performance.now();
  const several = Math.ceil(RUN_BYTES / valueBytes) * 2;
  await closedLoop(several, seconds, (turn) =>
    checked(store.put([{ key: benchKey("s", turn % SPREAD), serial: turn, value }])),
  );
  return ((store.stats().bytesWritten - before) * 1000) / (performance.now() - begun);
}

async function readRate(store: BenchStore, bytes: number, seconds: number): Promise<number> {
  const records = Math.max(1, Math.floor(bytes / (READ_VALUE_BYTES + BLOCK_BYTES / 8)));
  const value = new Uint8Array(READ_VALUE_BYTES).fill(3);
  for (let first = 0; first < records; first += CALLERS) {
    const count = Math.min(CALLERS, records - first);
    const puts = Array.from({ length: count }, (_, i) => ({ key: benchKey("r", first + i), serial: first + i, value }));
    await checked(store.put(puts));
  }
  const random = new Random(records);
  return closedLoop(1, seconds, async () => {
    const { status, value: read } = await store.read(benchKey("r", random.below(records)));
    if (status !== "ok" || read?.length !== READ_VALUE_BYTES) {
      throw new CommandError(EXIT.data, `a read ended with ${status}`);
    }
  });
}
