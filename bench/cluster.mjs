// Throughput and latency of a cluster of three real nodes on this machine, alone or with a peer in the same run, point by
// point in turn. npm run bench:cluster -- [--clients 64] [--seconds 5] [--points mixed,write,read] [--peer etcd,tls] [--json]
// What the columns mean and the last numbers: bench/README.md.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { canMakeCertificates } from "./lib/certificates.mjs";
import { etcdVersion, startEtcd } from "./lib/etcd-system.mjs";
import { runJob } from "./lib/load-job.mjs";
import { startPlogdb } from "./lib/plogdb-system.mjs";
import { endAll } from "./lib/processes.mjs";

const LOAD = "load.mjs";
/** The mix of the load that the design was measured against: 3.3 reads per write. */
const READ_SHARES = { mixed: 3.3 / 4.3, write: 0, read: 1 };
const FILL_CLIENTS = 64;

function readOptions() {
  const { values } = parseArgs({
    options: {
      clients: { type: "string", default: "64" },
      seconds: { type: "string", default: "5" },
      points: { type: "string", default: "mixed,write,read" },
      peer: { type: "string", default: "" },
      keys: { type: "string", default: "10000" },
      "value-bytes": { type: "string", default: "120" },
      size: { type: "string", default: "1GiB" },
      dir: { type: "string", default: tmpdir() },
      "node-flags": { type: "string", default: "" },
      json: { type: "boolean", default: false },
    },
  });
  const options = {
    clients: Number(values.clients),
    seconds: Number(values.seconds),
    points: values.points.split(",").filter((point) => point !== ""),
    peers: values.peer.split(",").filter((peer) => peer !== ""),
    keys: Number(values.keys),
    valueBytes: Number(values["value-bytes"]),
    size: values.size,
    dir: values.dir,
    nodeFlags: values["node-flags"].split(" ").filter((flag) => flag !== ""),
    json: values.json,
  };
  const bad = (what) => {
    console.error(`bench:cluster: ${what}`);
    process.exit(2);
  };
  for (const point of options.points) {
    if (!(point in READ_SHARES)) bad(`--points: ${point} is none of ${Object.keys(READ_SHARES).join(", ")}`);
  }
  for (const peer of options.peers) if (!["etcd", "tls"].includes(peer)) bad(`--peer: ${peer} is neither etcd nor tls`);
  for (const name of ["clients", "seconds", "keys", "valueBytes"]) {
    if (!(options[name] > 0)) bad(`${name} must be a number above 0`);
  }
  if (options.valueBytes < 8) bad("--value-bytes must be at least 8");
  return options;
}

function snapshot(system) {
  return {
    cpu: system.processes.reduce((sum, server) => sum + server.cpuSeconds(), 0),
    counters: system.counters(),
  };
}

async function measure(system, point, options) {
  const { clients, keys, valueBytes, seconds } = options;
  const job = {
    protocol: system.protocol,
    ports: system.ports,
    ca: system.ca,
    clients,
    keys,
    valueBytes,
    readShare: READ_SHARES[point],
    warmupMs: Math.min(2_000, seconds * 400),
    measureMs: seconds * 1000,
  };
  let before;
  let after;
  const load = await runJob(LOAD, job, (event) => {
    if (event === "measuring") before = snapshot(system);
    else after = snapshot(system);
  });
  const [countersBefore, countersAfter] = await Promise.all([before.counters, after.counters]);
  const perWrite = (name) => {
    const value = (countersAfter[name] - countersBefore[name]) / load.writes;
    return Number.isFinite(value) ? Number(value.toFixed(3)) : null;
  };
  return {
    point,
    peer: system.name,
    clients,
    opsPerSec: Math.round((load.reads + load.writes) / load.seconds),
    p50Us: load.p50Us,
    p99Us: load.p99Us,
    p999Us: load.p999Us,
    errors: load.errors,
    flushesPerWrite: perWrite("flushes"),
    messagesPerWrite: perWrite("messages"),
    serverCpu: Number(((after.cpu - before.cpu) / load.seconds).toFixed(2)),
  };
}

const COLUMNS = [
  ["point", 6],
  ["peer", 7],
  ["clients", 7],
  ["opsPerSec", 9],
  ["p50Us", 7],
  ["p99Us", 7],
  ["p999Us", 7],
  ["errors", 6],
  ["flushesPerWrite", 15],
  ["messagesPerWrite", 16],
  ["serverCpu", 9],
];

function printRow(values) {
  console.log(COLUMNS.map(([name, width]) => String(values[name] ?? "-").padStart(width)).join("  "));
}

function summarise(results, options) {
  const ratios = {};
  for (const point of options.points) {
    const own = results.find((result) => result.point === point && result.peer === "plogdb");
    for (const other of results.filter((result) => result.point === point && result.peer !== "plogdb")) {
      ratios[`${point}OpsVs${other.peer}`] = Number((own.opsPerSec / other.opsPerSec).toFixed(2));
    }
  }
  const errors = results.reduce((sum, result) => sum + result.errors, 0);
  return { summary: "bench:cluster", results: results.length, errors, ...ratios };
}

async function main() {
  const options = readOptions();
  const home = mkdtempSync(join(options.dir, "plogdb-bench-"));
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      void endAll().then(() => {
        rmSync(home, { recursive: true, force: true });
        process.exit(1);
      });
    });
  }
  const systems = [];
  try {
    systems.push(await startPlogdb(home, options));
    if (options.peers.includes("etcd")) {
      const version = etcdVersion();
      if (version === null) throw new Error("etcd is not installed (Debian: apt-get install etcd-server)");
      systems.push(await startEtcd(home));
    }
    if (options.peers.includes("tls")) {
      if (!canMakeCertificates()) throw new Error("openssl is not installed (Debian: apt-get install openssl)");
      systems.push(await startPlogdb(home, { ...options, tls: true }));
    }
    for (const { protocol, ports, ca } of systems) {
      const { keys, valueBytes } = options;
      await runJob(LOAD, { protocol, ports, ca, clients: FILL_CLIENTS, keys, valueBytes, fill: true });
    }
    if (!options.json) printRow(Object.fromEntries(COLUMNS.map(([name]) => [name, name])));
    const results = [];
    for (const point of options.points) {
      for (const system of systems) {
        const result = await measure(system, point, options);
        results.push(result);
        if (options.json) console.log(JSON.stringify(result));
        else printRow(result);
      }
    }
    const summary = summarise(results, options);
    if (options.json) console.log(JSON.stringify(summary));
    else {
      const ratios = Object.entries(summary).filter(([name]) => name.includes("Vs"));
      for (const [name, ratio] of ratios) console.log(`${name}: ${ratio}`);
    }
    return summary.errors === 0 ? 0 : 1;
  } finally {
    await endAll();
    rmSync(home, { recursive: true, force: true });
  }
}

main().then(
  (code) => process.exit(code),
  (error) => {
    console.error(`bench:cluster: ${error.message}`);
    process.exit(1);
  },
);
