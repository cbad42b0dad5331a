// What clients feel when a node is killed: npm run bench:outage -- [--seconds 10] [--runs 5] [--clients 32] [--json]. plogdb beside
// etcd, three nodes each, one system after the other in every run. Clients are closed loops, each with its node; whoever loses it,
// or is told no, asks the next node at once, as client libraries do. What the columns mean and the last numbers: bench/README.md.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { etcdVersion, startEtcd } from "./lib/etcd-system.mjs";
import { GrpcConnection } from "./lib/grpc-connection.mjs";
import { startPlogdb } from "./lib/plogdb-system.mjs";
import { endAll } from "./lib/processes.mjs";
import { RespConnection } from "./lib/resp-connection.mjs";

const KEYS = 10_000;
const VALUE = "v".repeat(120);
const WARMUP_MS = 2000;
const BEFORE_MS = 5000;
const AFTER_MS = 5000;
/** Nobody asks a node again sooner than this after it was lost. */
const RECONNECT_MS = 100;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    runs: { type: "string", default: "5" },
    clients: { type: "string", default: "32" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "boolean", default: false },
  },
});
const [seconds, runs, clients] = [values.seconds, values.runs, values.clients].map(Number);
if (!(seconds > 0 && runs > 0 && clients > 0)) {
  console.error("bench:outage: --seconds, --runs and --clients are numbers above 0");
  process.exit(2);
}

/** Closed loops, half writes, half reads; every first attempt and every success is noted. */
class Load {
  attempts = [];
  successfulWrites = [];
  #system;
  #running = true;
  #loops = [];
  #lostAtMs = new Map();
  #serial = 0;

  constructor(system) {
    this.#system = system;
    this.#loops = Array.from({ length: clients }, (_, client) => this.#loop(client));
  }

  async stop() {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  async #connect(preferred) {
    const { ports, protocol } = this.#system;
    for (let turn = 0; this.#running; turn++) {
      const node = (preferred + turn) % ports.length;
      if (performance.now() < (this.#lostAtMs.get(node) ?? -RECONNECT_MS) + RECONNECT_MS) {
        if (turn % ports.length === ports.length - 1) await sleep(1);
        continue;
      }
      const connection = protocol === "resp" ? new RespConnection(VALUE) : new GrpcConnection(VALUE);
      try {
        await connection.open(ports[node]);
        return { connection, node };
      } catch {
        this.#lostAtMs.set(node, performance.now());
      }
    }
    return null;
  }

  async #loop(client) {
    let held = await this.#connect(client);
    for (let i = client; this.#running && held !== null; i++) {
      const isWrite = i % 2 === 0;
      const key = `key:${String((i * 7919 + client * 104_729) % KEYS).padStart(8, "0")}`;
      const startMs = performance.now();
      let first = null;
      while (held !== null) {
        const { node } = held;
        const ok = await this.#call(held.connection, isWrite, key);
        const nowMs = performance.now();
        if (first === null) {
          first = { startMs, endMs: nowMs, ok, node };
          this.attempts.push(first);
        }
        if (ok) {
          if (isWrite) this.successfulWrites.push(nowMs);
          first.servedMs = nowMs;
          break;
        }
        held.connection.close();
        this.#lostAtMs.set(node, nowMs);
        held = await this.#connect(node + 1);
      }
    }
    held?.connection.close();
  }

  #call(connection, isWrite, key) {
    return new Promise((resolve) => {
      if (isWrite) connection.set(key, String(this.#serial++ % 1e8).padStart(8, "0"), resolve);
      else connection.get(key, resolve);
    });
  }
}

function p99(attempts) {
  const sorted = attempts.filter(({ ok }) => ok).map(({ startMs, endMs }) => endMs - startMs);
  sorted.sort((a, b) => a - b);
  return Number((sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN).toFixed(1));
}

function longestGap(times, fromMs, toMs) {
  let last = fromMs;
  let longest = 0;
  for (const time of [...times.filter((one) => one > fromMs && one < toMs).sort((a, b) => a - b), toMs]) {
    longest = Math.max(longest, time - last);
    last = time;
  }
  return Math.round(longest);
}

async function fill(system) {
  const connections = await Promise.all(
    Array.from({ length: 64 }, async (_, i) => {
      const connection = system.protocol === "resp" ? new RespConnection(VALUE) : new GrpcConnection(VALUE);
      await connection.open(system.ports[i % system.ports.length]);
      return connection;
    }),
  );
  await Promise.all(
    connections.map(async (connection, i) => {
      for (let key = i; key < KEYS; key += connections.length) {
        await new Promise((resolve) => connection.set(`key:${String(key).padStart(8, "0")}`, "00000000", resolve));
      }
      connection.close();
    }),
  );
}

async function once(name, system, victim) {
  await fill(system);
  const load = new Load(system);
  await sleep(WARMUP_MS);
  const beginMs = performance.now();
  await sleep(BEFORE_MS);
  const killMs = performance.now();
  await system.kill(victim);
  await sleep(seconds * 1000);
  const restartMs = performance.now();
  system.restart(victim);
  await sleep(AFTER_MS);
  const endMs = performance.now();
  await load.stop();
  const during = load.attempts.filter(({ endMs: one }) => one >= killMs && one < restartMs);
  const failed = during.filter(({ ok }) => !ok);
  const rate = (attempts, ms) => Math.round(attempts.filter(({ ok }) => ok).length / (ms / 1000));
  const before = load.attempts.filter((one) => one.startMs >= beginMs && one.endMs < killMs);
  const after = load.attempts.filter((one) => one.startMs >= restartMs && one.endMs < endMs);
  return {
    system: name,
    gapMs: longestGap(load.successfulWrites, killMs - 100, restartMs),
    failedPpm: Math.round((failed.length / during.length) * 1e6),
    failed: failed.length,
    elsewhere: failed.filter(({ node }) => node !== victim).length,
    worstMs: Math.round(during.reduce((worst, one) => Math.max(worst, (one.servedMs ?? one.endMs) - one.startMs), 0)),
    before: rate(before, killMs - beginMs),
    during: rate(during, restartMs - killMs),
    after: rate(after, endMs - restartMs),
    p99Before: p99(before),
    p99During: p99(during),
    p99After: p99(after),
  };
}

const etcd = etcdVersion();
if (etcd === null) console.error("bench:outage: etcd is not installed (Debian: apt-get install etcd-server)");
const rows = [];
for (let run = 0; run < runs; run++) {
  const stories = [["plogdb", (home) => startPlogdb(home, { size: "1GiB", nodeFlags: [] }), () => run % 3]];
  if (etcd !== null) {
    stories.push(["etcd, its leader", startEtcd, (system) => system.leader()]);
    stories.push(["etcd, another", startEtcd, async (system) => ((await system.leader()) + 1) % 3]);
  }
  if (run % 2 === 1) stories.reverse();
  for (const [name, start, choose] of stories) {
    const home = mkdtempSync(join(values.dir, "plogdb-outage-"));
    try {
      const system = await start(home);
      rows.push({ run, ...(await once(name, system, await choose(system))) });
      if (!values.json) console.error(JSON.stringify(rows.at(-1)));
    } finally {
      await endAll();
      rmSync(home, { recursive: true, force: true });
    }
  }
}
const names = [...new Set(rows.map(({ system }) => system))].toSorted().toReversed();
const middle = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const medians = names.map((system) => {
  const own = rows.filter((row) => row.system === system);
  const figures = Object.keys(own[0]).filter((name) => typeof own[0][name] === "number" && name !== "run");
  return { system, ...Object.fromEntries(figures.map((name) => [name, middle(own.map((row) => row[name]))])) };
});
if (values.json) for (const row of rows) console.log(JSON.stringify(row));
else console.table(medians);
console.log(JSON.stringify({ medians, runs, etcd }));
