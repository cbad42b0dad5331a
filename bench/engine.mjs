// The engine beside its peers and beside fio, on the same file system in the same run: the rows of "figures to beat"
// that are about one node's storage. npm run bench:engine -- [--seconds 2] [--runs 5] [--keys 1000000] [--points a,b]
// [--systems a,b] [--dir D] [--size-mib 4096] [--steady-mib 256] [--steady-full 0.8] [--json]. Run `npm run build`
// first. What the columns mean and the last numbers: bench/README.md.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FIO_MISSING, fioVersion, prepareFile, runFio } from "../dist/cli/fio.js";
import { installPeers } from "./lib/peers.mjs";
import { loadSystem, SYSTEMS } from "./lib/systems/index.mjs";
import { medianOf, printTable } from "./lib/table.mjs";

const WORKER = fileURLToPath(new URL("./lib/engine-worker.mjs", import.meta.url));
const FIO_BYTES = 256 << 20;
const BASE = ["plogdb", "lmdb", "leveldb", "rocksdb", "sqlite"];
const TEN_MILLION = 10_000_000;
const TEN_MILLION_BYTES = 6 * 2 ** 30;

/** Every point: who takes part, what the figure is, which end of it is better. */
const POINTS = {
  put1: { systems: ["fio", ...BASE], unit: "puts/s", better: "more" },
  put64: { systems: ["fio", ...Object.keys(SYSTEMS)], unit: "puts/s", better: "more" },
  batch100: { systems: BASE, unit: "puts/s", better: "more" },
  get: { systems: BASE, unit: "reads/s", better: "more" },
  get64: { systems: ["plogdb"], unit: "reads/s", better: "more" },
  stream: { systems: ["plogdb", "fio"], unit: "bytes/s", better: "more" },
  open: { systems: BASE, unit: "ms", better: "less" },
  steady: { systems: ["plogdb"], unit: "device bytes / user byte", better: "less", fresh: true },
  merge: { systems: ["plogdb"], unit: "p99 merging / idle", better: "less", fresh: true },
  open10m: { systems: ["plogdb"], unit: "ms", better: "less", fresh: true },
};
const USUAL = Object.keys(POINTS).filter((point) => point !== "open10m");

function stop(message, code = 1) {
  console.error(`bench:engine: ${message}`);
  process.exit(code);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "2" },
      runs: { type: "string", default: "5" },
      keys: { type: "string", default: "1000000" },
      "value-bytes": { type: "string", default: "120" },
      "size-mib": { type: "string", default: "4096" },
      "steady-mib": { type: "string", default: "256" },
      "steady-full": { type: "string", default: "0.8" },
      points: { type: "string", default: USUAL.join(",") },
      systems: { type: "string", default: ["fio", ...Object.keys(SYSTEMS)].join(",") },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const list = (text) => text.split(",").filter((name) => name !== "");
  const options = { ...values, points: list(values.points), systems: list(values.systems) };
  for (const name of ["seconds", "runs", "keys", "value-bytes", "size-mib", "steady-mib", "steady-full"]) {
    options[name] = Number(values[name]);
    if (!(options[name] > 0)) stop(`--${name} must be a number above 0`, 2);
  }
  for (const point of options.points) {
    if (!(point in POINTS)) stop(`--points: ${point} is none of ${Object.keys(POINTS).join(", ")}`, 2);
  }
  for (const system of options.systems) {
    if (system !== "fio" && !(system in SYSTEMS)) stop(`--systems: ${system} is not known`, 2);
  }
  return options;
}

/** One worker from start to end. Throws with what it said. */
function work(job) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...SYSTEMS[job.system].env };
    const child = spawn(process.execPath, [WORKER, JSON.stringify(job)], { stdio: ["ignore", "pipe", "pipe"], env });
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const last = output.trim().split("\n").at(-1);
      if (code === 0) resolve(JSON.parse(last));
      else if (last?.startsWith("{")) reject(new Error(JSON.parse(last).failed));
      else reject(new Error(errors.trim().split("\n").slice(-3).join(" ") || `ended with ${code}`));
    });
  });
}

/** Which systems can run, with versions; the others by name and reason. */
async function findSystems(options) {
  const there = new Map();
  const missing = [];
  if (options.systems.some((name) => name !== "plogdb" && name !== "fio")) installPeers();
  for (const name of options.systems) {
    if (name === "fio") {
      const version = fioVersion();
      if (version === null) missing.push(FIO_MISSING);
      else there.set(name, { version, settings: "direct=1, psync, one thread, fdatasync after every write" });
      continue;
    }
    try {
      const module = await loadSystem(name);
      there.set(name, {
        version: module.version(),
        settings: [module.settings, SYSTEMS[name].note].filter(Boolean).join("; "),
      });
    } catch (error) {
      missing.push(`${name}: ${error.message.split("\n")[0]}`);
    }
  }
  return { there, missing };
}

class Bench {
  #options;
  #home;
  #filled = new Set();
  #runBytes = 4 << 20;

  constructor(options, home) {
    this.#options = options;
    this.#home = home;
  }

  /** Figures of one system at one point. */
  async measure(point, system, run) {
    if (system === "fio") return this.#fio(point);
    if (point === "open10m") return this.#openTenMillion(run);
    const job = this.#job(point, system, run);
    if (POINTS[point].fresh !== true) await this.#fill(job);
    if (point === "open") dropCaches(job.dir);
    try {
      const result = await work(job);
      if (result.runBytes !== undefined) this.#runBytes = Math.max(4096, Math.round(result.runBytes / 4096) * 4096);
      return result;
    } finally {
      if (POINTS[point].fresh === true) this.#remove(job.dir);
    }
  }

  #job(point, system, run) {
    const { keys, seconds } = this.#options;
    const fresh = POINTS[point].fresh === true;
    const dir = join(this.#home, fresh ? `${point}-${run}` : SYSTEMS[system].module);
    mkdirSync(dir, { recursive: true });
    const sizeMib = this.#options[fresh ? "steady-mib" : "size-mib"];
    return {
      point,
      system,
      dir,
      keys,
      seconds,
      valueBytes: this.#options["value-bytes"],
      seed: run,
      sizeBytes: sizeMib * 2 ** 20,
      full: this.#options["steady-full"],
    };
  }

  /** Once per system; variants share what is there. */
  async #fill(job) {
    if (this.#filled.has(job.dir)) return;
    this.#filled.add(job.dir);
    await work({ ...job, point: "fill" });
  }

  async #fio(point) {
    const file = join(this.#home, "fio.dat");
    prepareFile(file, FIO_BYTES);
    const blockBytes = point === "stream" ? this.#runBytes : 4096;
    const { seconds } = this.#options;
    const job = { file, bytes: FIO_BYTES, pattern: "write", blockBytes, seconds, flush: "each" };
    const { perSec, bytesPerSec } = await runFio(job);
    return { value: point === "stream" ? bytesPerSec : perSec };
  }

  async #openTenMillion(run) {
    const dir = join(this.#home, `open10m-${run}`);
    mkdirSync(dir, { recursive: true });
    const job = { ...this.#job("open", "plogdb", run), dir, keys: TEN_MILLION, sizeBytes: TEN_MILLION_BYTES };
    const filled = await work({ ...job, point: "fill", fillCacheBytes: 0 });
    const opened = await work({ ...job, point: "open" });
    this.#remove(dir);
    return {
      ...opened,
      fillSeconds: filled.value,
      rssPerKey: filled.rssPerKey,
      indexBytesPerKey: filled.indexBytesPerKey,
    };
  }

  #remove(dir) {
    for (const path of [dir, `${dir}-idle`]) if (existsSync(path)) rmSync(path, { recursive: true });
  }
}

/** Makes what lies in the page cache durable, and drops it: file by file, so that nobody else is disturbed. */
function dropCaches(dir) {
  for (const name of readdirSync(dir)) {
    const file = join(dir, name);
    if (!statSync(file).isFile()) continue;
    const args = [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"];
    spawnSync("dd", args, { stdio: "ignore" });
  }
}

function rotated(list, by) {
  return list.map((_, i) => list[(i + by) % list.length]);
}

async function runAll(bench, options, there, failures) {
  const rows = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const point of options.points) {
      const systems = POINTS[point].systems.filter((system) => there.has(system));
      // fio comes after the stream whose run size it takes over; else turns change from run to run.
      for (const system of point === "stream" ? systems : rotated(systems, run - 1)) {
        try {
          const row = { run, point, system, unit: POINTS[point].unit, ...(await bench.measure(point, system, run)) };
          rows.push(row);
          if (options.json) console.log(JSON.stringify(row));
          else process.stderr.write(`run ${run} ${point} ${system}: ${format(row.value)} ${row.unit}\n`);
        } catch (error) {
          failures.push(`${point} ${system} run ${run}: ${error.message}`);
          process.stderr.write(`bench:engine: ${failures.at(-1)}\n`);
        }
      }
    }
  }
  return rows;
}

function format(value) {
  if (!Number.isFinite(value)) return "-";
  if (value >= 100) return Math.round(value).toString();
  return value.toPrecision(3);
}

/** The median of what one system made of another, run by run: the disk's speed drifts between runs. */
function ratioOf(rows, others) {
  const pairs = rows.flatMap((row) => {
    const other = others.find((one) => one.run === row.run);
    return other === undefined ? [] : [row.value / other.value];
  });
  return pairs.length === 0 ? undefined : medianOf(pairs);
}

function lineOf(point, system, rows) {
  const values = rows.map((row) => row.value);
  const spread = { median: medianOf(values), min: Math.min(...values), max: Math.max(...values), runs: values.length };
  const more = {};
  for (const name of Object.keys(rows[0])) {
    if (typeof rows[0][name] !== "number" || name === "value" || name === "run") continue;
    more[name] = medianOf(rows.map((row) => row[name]));
  }
  return { point, system, unit: POINTS[point].unit, ...spread, ...more };
}

/** Medians and spread of each system at a point, with the ratios that count. */
function summarise(rows, options) {
  return options.points.flatMap((point) => {
    const here = new Map();
    for (const row of rows.filter((one) => one.point === point)) {
      here.set(row.system, [...(here.get(row.system) ?? []), row]);
    }
    const lines = [...here].map(([system, own]) => lineOf(point, system, own));
    const sign = POINTS[point].better === "more" ? 1 : -1;
    const peers = lines.filter(({ system }) => system !== "plogdb" && system !== "fio");
    const best = peers.sort((a, b) => sign * (b.median - a.median))[0]?.system;
    for (const line of lines) {
      const own = here.get(line.system);
      if (line.system === "plogdb" && best !== undefined) {
        Object.assign(line, { bestPeer: best, timesBestPeer: ratioOf(own, here.get(best)) });
      }
      if (line.system !== "fio" && here.has("fio")) line.timesFio = ratioOf(own, here.get("fio"));
    }
    return lines;
  });
}

const EXTRA = ["p99Us", "bytesPerUserByte", "copiesPerUserByte", "putsPerSec", "idleP99Us", "recoveryMs", "rssPerKey"];

function show(table) {
  printTable([
    ["point", "system", "median", "min", "max", "unit", "x best peer", "x fio", ...EXTRA],
    ...table.map((row) => [
      row.point,
      row.system,
      format(row.median),
      format(row.min),
      format(row.max),
      row.unit,
      row.timesBestPeer === undefined ? "" : `${format(row.timesBestPeer)} (${row.bestPeer})`,
      row.timesFio === undefined ? "" : format(row.timesFio),
      ...EXTRA.map((name) => (row[name] === undefined ? "" : format(row[name]))),
    ]),
  ]);
}

async function main() {
  const options = readOptions();
  const { there, missing } = await findSystems(options);
  const home = mkdtempSync(join(options.dir, "plogdb-engine-"));
  const failures = [];
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      rmSync(home, { recursive: true, force: true });
      process.exit(1);
    });
  }
  try {
    const rows = await runAll(new Bench(options, home), options, there, failures);
    const table = summarise(rows, options);
    const settings = Object.fromEntries(
      [...there].map(([name, { version, settings: how }]) => [name, `${version}; ${how}`]),
    );
    if (options.json) console.log(JSON.stringify({ summary: "bench:engine", table, settings, missing, failures }));
    else {
      show(table);
      for (const [name, how] of Object.entries(settings)) console.log(`${name}: ${how}`);
      for (const what of [...missing, ...failures]) console.log(`left out: ${what}`);
    }
    return failures.length === 0 ? 0 : 1;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

process.exitCode = await main();
