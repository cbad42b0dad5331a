// What the crossing between TypeScript and C++ costs, per operation: load, put, submit, and the way back of completions,
// at several batch sizes. Nothing but the crossing: values are cached, durability is `none`, waiting is not counted.
// Run: npm run build && node bench/boundary.mjs [--json] [--ms 300] [--dir DIR]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
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

function report(point, batch, ops, ns) {
  const row = { point, batch, nsPerOp: Math.round(ns / ops), nsPerCall: Math.round((ns / ops) * batch) };
  if (flags.json) console.log(JSON.stringify(row));
  else
    console.log(
      `${point.padEnd(18)} ${String(batch).padStart(5)} ${String(row.nsPerOp).padStart(9)} ${String(row.nsPerCall).padStart(10)}`,
    );
  return row;
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

async function main(store) {
  for (const batch of chunk(keys, 256)) {
    for (const key of batch) store.put(key, 1, 1, HEADER, VALUE);
    await ended(store.submit());
  }
  if (!flags.json) console.log("point              batch   ns / op  ns / call");
  const rows = [];
  for (const size of BATCHES) rows.push(benchLoad(store, size));
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
    store.close(() => rmSync(directory, { recursive: true }));
  });
});
