// What a mechanical disk would make of the engine and of its peers: the engine in stepped mode on a model of such a
// disk, the peers' recorded I/O through the same model. npm run bench:hdd -- [--seconds 60] [--record-seconds 60]
// [--keys N] [--peers a,b] [--runs 1] [--dir D] [--json]. Needs cmake, g++ and, for the peers, strace. bench/README.md
// says what the model leaves out and what the columns mean.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { preparePeer, recordPeer } from "./lib/hdd-trace.mjs";
import { installPeers } from "./lib/peers.mjs";
import { medianOf, printTable } from "./lib/table.mjs";
import { loadSystem, SYSTEMS } from "./lib/systems/index.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BUILD = join(ROOT, "native", "build", "bench");
const PEERS = Object.keys(SYSTEMS).filter((name) => name !== "plogdb");
const WARM_SECONDS = 2;

function stop(message, code = 1) {
  console.error(`bench:hdd: ${message}`);
  process.exit(code);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      callers: { type: "string", default: "64" },
      "value-bytes": { type: "string", default: "120" },
      keys: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "60" },
      "record-seconds": { type: "string", default: "60" },
      "volume-mib": { type: "string", default: "512" },
      "cache-mib": { type: "string", default: "0" },
      share: { type: "string", default: "0.25" },
      "write-cache": { type: "string", default: "1" },
      peers: { type: "string", default: PEERS.join(",") },
      runs: { type: "string", default: "1" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const peers = values.peers.split(",").filter((name) => name !== "");
  for (const peer of peers) if (!PEERS.includes(peer)) stop(`--peers: ${peer} is none of ${PEERS.join(", ")}`, 2);
  for (const name of ["callers", "value-bytes", "keys", "seconds", "record-seconds", "volume-mib", "share", "runs"]) {
    if (!(Number(values[name]) > 0)) stop(`--${name} must be a number above 0`, 2);
  }
  return { ...values, peers };
}

function build() {
  const steps = [
    ["-S", join(ROOT, "native"), "-B", BUILD],
    ["--build", BUILD, "--parallel", "2", "--target", "hdd"],
  ];
  for (const args of steps) {
    const { status, error } = spawnSync("cmake", args, { stdio: ["ignore", "ignore", "inherit"] });
    if (error) stop(`cmake is not there (Debian: apt-get install cmake g++ make)`);
    if (status !== 0) stop("the model could not be built");
  }
}

function runModel(mode, options, more) {
  const shared = ["--share", options.share, "--write-cache", options["write-cache"]];
  const { status, stdout } = spawnSync(join(BUILD, "hdd"), [mode, ...shared, ...more], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) stop(`hdd ${mode} ended with ${status}`);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function runEngine(options, run) {
  const { callers, seconds } = options;
  const more = ["--callers", callers, "--value-bytes", options["value-bytes"], "--seconds", seconds];
  const rows = runModel("engine", options, [
    ...more,
    "--volume-mib",
    options["volume-mib"],
    "--cache-mib",
    options["cache-mib"],
    "--seed",
    String(run),
  ]);
  return rows.map((row) => ({ system: "plogdb", run, ...row }));
}

async function runPeer(system, home, options, run) {
  const dir = join(home, system);
  mkdirSync(dir, { recursive: true });
  const job = {
    system,
    dir,
    keys: Number(options.keys),
    valueBytes: Number(options["value-bytes"]),
    callers: Number(options.callers),
    warmSeconds: WARM_SECONDS,
    seconds: Number(options["record-seconds"]),
    seed: run,
  };
  if (run === 1) await preparePeer(job);
  const trace = join(home, `${system}.trace`);
  const recorded = await recordPeer(job, trace);
  if (recorded.unknown > 0) console.error(`bench:hdd: ${system}: ${recorded.unknown} calls not understood`);
  return [false, true].flatMap((journal) =>
    runModel("replay", options, ["--trace", trace, "--journal", journal ? "1" : "0"]).map((row) => ({
      system,
      run,
      ...row,
      recordedPutsPerSec: Math.round(recorded.puts / recorded.seconds),
    })),
  );
}

/** One row per system, point and kind of replay: medians over the runs. */
function medians(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify([row.system, row.point, row.store ?? "", row.journal ?? false]);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => {
    const numbers = Object.keys(group[0]).filter((name) => typeof group[0][name] === "number");
    return {
      ...group[0],
      ...Object.fromEntries(numbers.map((name) => [name, medianOf(group.map((row) => row[name]))])),
    };
  });
}

function show(rows, summary) {
  const own = rows.filter((row) => row.system === "plogdb");
  const number = (value, digits) => (value === undefined ? "-" : value.toFixed(digits));
  const kind = (row) => row.store ?? (row.journal ? "with ext4's journal" : "data only");
  printTable([
    ["system", "", "puts/s", "seeks/put", "bytes/put", "read/put", "flushes/put", "copies/put"],
    ...rows
      .filter((row) => row.point !== "latency")
      .map((row) => [
        row.system,
        kind(row) + (row.diskFull ? ", DISK FULL" : ""),
        number(row.putsPerSec, 0),
        number(row.seeksPerPut, 4),
        number(row.bytesWrittenPerPut, 0),
        number(row.bytesReadPerPut, 0),
        number(row.flushesPerPut, 4),
        number(row.copiesPerPut, 2),
      ]),
  ]);
  console.log("\nopen loop, Poisson arrivals at half of saturation");
  printTable([
    ["store", "offered/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "extents merged"],
    ...own
      .filter((row) => row.point === "latency")
      .map((row) => [
        row.store + (row.diskFull ? ", DISK FULL" : ""),
        ...["offeredPerSec", "p50Ms", "p99Ms", "p999Ms", "maxMs", "mergedExtents"].map((name, i) =>
          number(row[name], i === 0 || i === 5 ? 0 : 1),
        ),
      ]),
  ]);
  console.log(`\n${JSON.stringify(summary)}`);
}

function summarise(rows, options, missing) {
  const own = (point, store) =>
    rows.find((row) => row.system === "plogdb" && row.point === point && row.store.startsWith(store));
  const best = (journal) =>
    rows
      .filter((row) => row.point === "replay" && row.journal === journal)
      .reduce((a, b) => (a === null || b.putsPerSec > a.putsPerSec ? b : a), null);
  const saturation = own("saturation", "aged").putsPerSec;
  const times = (peer) => (peer === null ? null : Number((saturation / peer.putsPerSec).toFixed(2)));
  const [merging, idle] = [own("latency", "aged"), own("latency", "fresh")];
  return {
    summary: "bench:hdd",
    runs: Number(options.runs),
    putsPerSec: Math.round(saturation),
    diskFull: own("saturation", "aged").diskFull,
    bestPeer: best(false)?.system ?? null,
    timesBestPeer: times(best(false)),
    bestPeerWithJournal: best(true)?.system ?? null,
    timesBestPeerWithJournal: times(best(true)),
    p99MergeOverIdle: merging === undefined ? null : Number((merging.p99Ms / idle.p99Ms).toFixed(2)),
    missing,
  };
}

async function main() {
  const options = readOptions();
  build();
  if (options.peers.length > 0) installPeers();
  const missing = [];
  const canRecord = spawnSync("strace", ["--version"], { stdio: "ignore" }).status === 0;
  if (!canRecord && options.peers.length > 0) missing.push("all peers: no strace (Debian: apt-get install strace)");
  const home = mkdtempSync(join(options.dir, "plogdb-hdd-"));
  const rows = [];
  try {
    for (let run = 1; run <= Number(options.runs); run++) {
      rows.push(...runEngine(options, run));
      for (const peer of canRecord ? options.peers : []) {
        try {
          (await loadSystem(peer)).version(); // throws when it is not installed
          rows.push(...(await runPeer(peer, home, options, run)));
        } catch (error) {
          missing.push(`${peer}: ${error.message.split("\n")[0]}`);
        }
      }
    }
    const told = medians(rows);
    const summary = summarise(told, options, missing);
    if (options.json) for (const row of [...rows, summary]) console.log(JSON.stringify(row));
    else show(told, summary);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

await main();
