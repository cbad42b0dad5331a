// What the crossing between TypeScript and C++ costs, per operation: load, newest, put, submit, and the way back of
// completions, at several batch sizes; then the storage API on top: peek, get, and callers that each await their put.
// Nothing but the crossing: values are cached, durability is `none`, waiting is not counted (but by the callers). The CPU
// column is processor time of the whole process per operation, and so holds on a machine that is busy with other things.
// Run: npm run build && node bench/boundary.mjs [--json] [--ms 300] [--dir DIR]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openStore } from "../dist/api/storage.js";
import { emptyLoadedKey, HEADER_BYTES, openNativeStore } from "../dist/storage/index.js";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    ms: { type: "string", default: "300" },
    dir: { type: "string", default: tmpdir() },
  },
});
const KEYS = 4096;
const VALUE = new Uint8Array(120).fill(7);
const HEADER = new Uint8Array(HEADER_BYTES).fill(1);
const BATCHES = [1, 16, 64, 256];
const budgetNs = Number(flags.ms) * 1e6;

const keys = Array.from({ length: KEYS }, (_, i) => `ukey:${String(i).padStart(11, "0")}`);
const lists = new Map(BATCHES.map((size) => [size, chunk(keys, size)]));
const waiting = new Map();
let told = 0;
const sink = {
  onDurable(token, status) {
    if (status !== "ok") throw new Error(`token ${token} ended with ${status}`);
    const wake = waiting.get(token);
    waiting.delete(token);
    wake?.();
  },
  onRead() {
    told++;
    if (told === reading) readsDone();
  },
  onFailed(message) {
    throw new Error(message);
  },
  onDamaged(key) {
    throw new Error(`${key} is broken`);
  },
};
let reading = 0;
let readsDone = () => {};

function chunk(list, size) {
  const chunks = [];
  for (let at = 0; at + size <= list.length; at += size) chunks.push(list.slice(at, at + size));
  return chunks;
}

function now() {
  return Number(process.hrtime.bigint());
}

function ended(token) {
  return new Promise((resolve) => waiting.set(token, resolve));
}

function cpuNs() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function report(point, batch, ops, ns, cpu = null) {
  const row = {
    point,
    batch,
    nsPerOp: Math.round(ns / ops),
    nsPerCall: Math.round((ns / ops) * batch),
    cpuNsPerOp: cpu === null ? null : Math.round(cpu / ops),
  };
  if (flags.json) console.log(JSON.stringify(row));
  else
    console.log([point.padEnd(18), ...[batch, row.nsPerOp, row.nsPerCall, row.cpuNsPerOp ?? ""].map(column)].join(" "));
  return row;
}

function column(value) {
  return String(value).padStart(10);
}

function benchLoad(store, size) {
  const results = Array.from({ length: size }, emptyLoadedKey);
  const batches = lists.get(size);
  let ops = 0;
  const start = now();
  while (now() - start < budgetNs) {
    for (const batch of batches) store.load(batch, results);
    ops += batches.length * size;
  }
  return report("load", size, ops, now() - start);
}

function benchNewest(store) {
  let ops = 0;
  const start = now();
  const cpu = cpuNs();
  while (now() - start < budgetNs) {
    for (const key of keys) if (store.newest(key).length !== VALUE.length) throw new Error("a value of another length");
    ops += KEYS;
  }
  return report("newest", 1, ops, now() - start, cpuNs() - cpu);
}

/** Positions rise, so that every put replaces what is two below it. */
let position = 1;

async function benchWrite(store, size) {
  const batches = lists.get(size);
  let puts = 0;
  let putNs = 0;
  let submitNs = 0;
  const begin = now();
  while (now() - begin < budgetNs) {
    position++;
    for (const batch of batches.slice(0, 64)) {
      const t0 = now();
      for (const key of batch) store.put(key, position, position - 1, HEADER, VALUE);
      const t1 = now();
      const token = store.submit();
      submitNs += now() - t1;
      putNs += t1 - t0;
      puts += size;
      await ended(token);
    }
    if (store.isFull()) break;
  }
  return [report("put", size, puts, putNs), report("submit", size, puts, submitNs)];
}

/** Whole way of a read that is answered from memory: hand over, wake-up, drain. */
async function benchRead(store, size) {
  const batches = lists.get(size);
  let ops = 0;
  const start = now();
  while (now() - start < budgetNs) {
    for (const batch of batches.slice(0, 16)) {
      told = 0;
      reading = size;
      const done = new Promise((resolve) => {
        readsDone = resolve;
      });
      for (let i = 0; i < size; i++) store.read(i, batch[i], 1);
      store.submit();
      await done;
      ops += size;
    }
  }
  return report("read, whole way", size, ops, now() - start);
}

async function benchApi(store) {
  const rows = [];
  for (const key of keys) void store.put(key, VALUE);
  await store.flush();
  let ops = 0;
  let start = now();
  let cpu = cpuNs();
  while (now() - start < budgetNs) {
    for (const key of keys) store.peek(key);
    ops += KEYS;
  }
  rows.push(report("api peek", 1, ops, now() - start, cpuNs() - cpu));
  ops = 0;
  start = now();
  cpu = cpuNs();
  while (now() - start < budgetNs) {
    for (const key of keys) await store.get(key);
    ops += KEYS;
  }
  rows.push(report("api await get", 1, ops, now() - start, cpuNs() - cpu));
  for (const callers of [1, 64, 256]) {
    ops = 0;
    start = now();
    cpu = cpuNs();
    const caller = async (_, first) => {
      for (let i = first; now() - start < budgetNs; i += callers) {
        await store.put(keys[i % KEYS], VALUE);
        ops++;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    rows.push(report("api await put", callers, ops, now() - start, cpuNs() - cpu));
  }
  return rows;
}

async function main(store) {
  for (const batch of chunk(keys, 256)) {
    for (const key of batch) store.put(key, 1, 1, HEADER, VALUE);
    await ended(store.submit());
  }
  if (!flags.json)
    console.log(["point".padEnd(18), ...["batch", "ns / op", "ns / call", "cpu ns / op"].map(column)].join(" "));
  const rows = [];
  for (const size of BATCHES) rows.push(benchLoad(store, size));
  rows.push(benchNewest(store));
  for (const size of BATCHES) rows.push(await benchRead(store, size));
  for (const size of BATCHES) rows.push(...(await benchWrite(store, size)));
  if (flags.json)
    console.log(
      JSON.stringify({ summary: true, rows: rows.length, stats: { ...store.stats(), keysByClass: undefined } }),
    );
}

const directory = mkdtempSync(join(flags.dir, "plogdb-boundary-"));
const options = {
  volumes: [directory],
  sizeBytes: 1 << 30,
  nodeId: "bench",
  durability: "none",
  cacheBytes: 256 << 20,
};
openNativeStore(options, sink, (error, store) => {
  if (error !== null) throw error;
  main(store).finally(() => {
    store.close(async () => {
      const { volumes, sizeBytes, durability, cacheBytes } = options;
      const api = await openStore({ path: volumes, size: sizeBytes, name: "bench", durability, cache: cacheBytes });
      await benchApi(api).finally(() => api.close());
      rmSync(directory, { recursive: true });
    });
  });
});
