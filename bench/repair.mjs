// What clients feel of a node that is not well: npm run bench:repair -- [--runs 5] [--keys 200000] [--json]. Two stories, each
// beside the same load on the same cluster when all is well: `replaced`: a node is started on an empty disk and takes everything
// from the others; `slow disk`: every flush of a node takes 50 ms (strace delays them), and then that node is dead.
// Clients stay with the two other nodes. What the columns mean and the last numbers: bench/README.md.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { runJob } from "./lib/load-job.mjs";
import { startPlogdb } from "./lib/plogdb-system.mjs";
import { endAll } from "./lib/processes.mjs";

const VALUE_BYTES = 120;
const FILL_CLIENTS = 64;
const CLIENTS = 16;
const MEASURE_MS = 5000;
const WARMUP_MS = 1500;
const DURING_MS = 40_000;
const SLICE_MS = 1000;
const POLL_MS = 50;
const REPAIR_MS = 120_000;
const DELAY_US = 50_000;
const VICTIM = 2;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    keys: { type: "string", default: "200000" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "boolean", default: false },
  },
});
const [runs, keys] = [values.runs, values.keys].map(Number);
if (!(runs > 0 && keys > 0)) {
  console.error("bench:repair: --runs and --keys are numbers above 0");
  process.exit(2);
}
const canTrace = spawnSync("strace", ["-qq", "-e", "trace=none", "true"]).status === 0;
if (!canTrace) console.error("bench:repair: strace may not trace here, so the slow disk is left out");

/** A closed loop against the two nodes that are well. */
function load(system, measureMs = MEASURE_MS, sliceMs = 0) {
  const ports = system.ports.filter((_, index) => index !== VICTIM);
  const job = { protocol: "resp", ports, clients: CLIENTS, keys, valueBytes: VALUE_BYTES, readShare: 0.5 };
  return runJob("load.mjs", { ...job, warmupMs: WARMUP_MS, measureMs, sliceMs });
}

const rateOf = ({ reads, writes, seconds }) => Math.round((reads + writes) / seconds);
const p99Of = ({ p99Us }) => Number((p99Us / 1000).toFixed(1));

async function filled(home) {
  const system = await startPlogdb(home, { size: "2GiB", nodeFlags: [] });
  const job = {
    protocol: "resp",
    ports: system.ports,
    clients: FILL_CLIENTS,
    keys,
    valueBytes: VALUE_BYTES,
    fill: true,
  };
  await runJob("load.mjs", job);
  return system;
}

async function untilWhole(system) {
  const untilMs = performance.now() + REPAIR_MS;
  for (; performance.now() < untilMs; await sleep(POLL_MS)) {
    const status = await system.statusOf(VICTIM);
    if (status?.mode === "voter" && !status.loss.restoring && status.loss.number > 0) return status;
  }
  throw new Error("the replaced node did not become a voter");
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** One load from before the replacement until after it, cut into seconds: those until the node was whole are `during`. */
async function replaced(home) {
  const system = await filled(home);
  const before = await load(system);
  const loading = load(system, DURING_MS, SLICE_MS);
  await sleep(WARMUP_MS);
  const started = performance.now();
  await system.replace(VICTIM);
  await untilWhole(system);
  const seconds = (performance.now() - started) / 1000;
  const { slices, errors } = await loading;
  const during = slices.slice(0, Math.ceil(seconds));
  const after = await load(system);
  const rate = during.reduce((sum, { operations }) => sum + operations, 0) / during.length / (SLICE_MS / 1000);
  const p99s = during.map(p99Of);
  return {
    before: rateOf(before),
    during: Math.round(rate),
    after: rateOf(after),
    share: Number((rate / rateOf(before)).toFixed(2)),
    p99Before: p99Of(before),
    p99Median: median(p99s),
    p99Worst: Math.max(...p99s),
    p99After: p99Of(after),
    errors,
    seconds: Number(seconds.toFixed(1)),
    keysPerSec: Math.round(keys / seconds),
  };
}

/** strace on every thread of a process that runs; resolves with how to take it away. */
async function slowFlushes(pid) {
  const inject = `inject=fdatasync,fsync:delay_enter=${DELAY_US}`;
  const words = ["-f", "-qq", "-p", String(pid), "-e", "trace=fdatasync,fsync", "-e", inject, "-o", "/dev/null"];
  const tracer = spawn("strace", words, { stdio: "ignore" });
  const gone = new Promise((resolve) => tracer.once("exit", resolve));
  await sleep(1000);
  return async () => {
    tracer.kill("SIGINT");
    await gone;
  };
}

async function slowDisk(home) {
  const system = await filled(home);
  const well = await load(system);
  const end = await slowFlushes(system.processes[VICTIM].pid);
  // Peers hear of it with heartbeats, and keys change their leader with their next write.
  await load(system, 3000);
  const slow = await load(system);
  await end();
  await system.end(VICTIM);
  const dead = await load(system);
  return {
    well: rateOf(well),
    slow: rateOf(slow),
    dead: rateOf(dead),
    p99Well: p99Of(well),
    p99Slow: p99Of(slow),
    p99Dead: p99Of(dead),
    ratio: Number((slow.p99Us / dead.p99Us).toFixed(2)),
    errors: well.errors + slow.errors + dead.errors,
  };
}

const stories = { replaced, ...(canTrace ? { "slow disk": slowDisk } : {}) };
for (const [name, story] of Object.entries(stories)) {
  if (!values.json) console.log(name);
  for (let run = 0; run < runs; run++) {
    const home = mkdtempSync(join(values.dir, "plogdb-bench-"));
    try {
      const result = await story(home);
      const cells = (texts) => texts.map((text) => String(text).padStart(11)).join("");
      if (values.json) console.log(JSON.stringify({ story: name, ...result }));
      else {
        if (run === 0) console.log(cells(Object.keys(result)));
        console.log(cells(Object.values(result)));
      }
    } finally {
      await endAll();
      rmSync(home, { recursive: true, force: true });
    }
  }
}
process.exit(0);
