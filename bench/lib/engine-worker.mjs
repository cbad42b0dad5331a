// One system at one point of bench:engine, in a process of its own so that none disturbs another. Told by one argument of
// JSON; answers with one line of JSON on stdout. What a point measures: the functions below, one each.
import { agedPoints } from "./engine-aged.mjs";
import { deviceBytes, job, openSystem } from "./engine-job.mjs";
import { Keyspace } from "./keyspace.mjs";
import { closedLoop } from "./loops.mjs";
import { loadSystem } from "./systems/index.mjs";

const FILL_BATCH = 10_000;
const CALLERS = 64;
const BATCH = 100;
const READS_UNDER_WAY = 64;
/** Values of a stream: 4 MiB of them, the most that one run takes, are under way. */
const STREAM_VALUE_BYTES = 64 << 10;
const STREAM_CALLERS = 128;
const STREAM_KEYS = 512;
const ROUND = 1000;

async function putsBy(system, callers) {
  const keyspace = new Keyspace(job.keys, job.valueBytes, job.seed);
  const bytesBefore = deviceBytes();
  const filledBefore = system.stats?.().zeroFilledBytes ?? 0;
  const put = (done) => system.put(keyspace.randomKey(), keyspace.value(), done);
  const { count, seconds, latencies } = await closedLoop(callers, job.seconds, put);
  const bytes = deviceBytes() - bytesBefore - ((system.stats?.().zeroFilledBytes ?? 0) - filledBefore);
  const userBytes = count * (16 + job.valueBytes);
  return { value: count / seconds, ...latencies.summary(), bytesPerUserByte: bytes / userBytes };
}

async function batches(system) {
  const keyspace = new Keyspace(job.keys, job.valueBytes, job.seed);
  const { count, seconds } = await closedLoop(1, job.seconds, (done) =>
    system.batch(
      Array.from({ length: BATCH }, () => [keyspace.randomKey(), keyspace.value()]),
      done,
    ),
  );
  return { value: (count * BATCH) / seconds };
}

function check(value) {
  if (value?.length !== job.valueBytes) throw new Error(`${job.system}: a key that was written is not there`);
}

/** Keys are made beforehand, and read once before the clock starts, so that only the reads are timed. */
async function reads(system) {
  const keyspace = new Keyspace(job.keys, job.valueBytes, job.seed);
  const keys = Array.from({ length: 100_000 }, () => keyspace.randomKey());
  if (system.get === undefined) {
    let at = 0;
    const read = (done) => {
      system.read(keys[at++ % keys.length], (value) => {
        check(value);
        done();
      });
    };
    const { count, seconds } = await closedLoop(READS_UNDER_WAY, job.seconds, read);
    return { value: count / seconds };
  }
  for (const key of keys) await warm(system, key);
  return timed((round) => {
    const first = (round * ROUND) % keys.length;
    for (let i = first; i < first + ROUND; i++) check(system.get(keys[i]));
    return ROUND;
  });
}

/** The engine's values come back into its cache by a read. */
function warm(system, key) {
  if (system.get(key) !== undefined) return undefined;
  return new Promise((resolve) => {
    system.read(key, (value) => {
      check(value);
      resolve();
    });
  });
}

async function readsOfMany(system) {
  const keyspace = new Keyspace(job.keys, job.valueBytes, job.seed);
  const lists = Array.from({ length: 1000 }, () => Array.from({ length: READS_UNDER_WAY }, () => keyspace.randomKey()));
  for (const list of lists) for (const key of list) await warm(system, key);
  return timed((round) => {
    const first = (round * 10) % lists.length;
    for (let i = first; i < first + 10; i++) check(system.getMany(lists[i]));
    return 10 * READS_UNDER_WAY;
  });
}

function timed(rounds) {
  const begun = performance.now();
  const end = begun + job.seconds * 1000;
  let count = 0;
  let round = 0;
  let now = begun;
  for (; now < end; now = performance.now()) count += rounds(round++);
  return { value: (count * 1000) / (now - begun) };
}

/** On a volume that was written through once, as fio's file was: what is never touched again need not be zero-filled ahead (D1). */
async function stream(system) {
  const value = Buffer.alloc(STREAM_VALUE_BYTES, 5);
  let next = 0;
  const put = (done) => system.put(`s${String(next++ % STREAM_KEYS).padStart(15, "0")}`, value, done);
  for (let filled = -1; system.stats().zeroFilledBytes > filled; ) {
    filled = system.stats().zeroFilledBytes;
    const until = system.stats().bytesWritten + job.sizeBytes / 4;
    while (system.stats().bytesWritten < until) await closedLoop(STREAM_CALLERS, 0.1, put);
  }
  const before = system.stats();
  const { seconds } = await closedLoop(STREAM_CALLERS, job.seconds, put);
  const after = system.stats();
  const bytes = after.bytesWritten - before.bytesWritten;
  return { value: bytes / seconds, runBytes: bytes / (after.runs - before.runs) };
}

async function open() {
  await loadSystem(job.system); // its code is not what is timed
  const begun = performance.now();
  const system = await openSystem();
  const keyspace = new Keyspace(job.keys, job.valueBytes, job.seed);
  const key = keyspace.randomKey();
  check(system.get?.(key) ?? (await new Promise((resolve) => system.read(key, resolve))));
  const value = performance.now() - begun;
  const facts = system.facts?.();
  await system.close();
  return { value, recoveryMs: facts?.recoveryMs, keys: facts?.recoveredKeys };
}

async function fill() {
  const rssBefore = process.memoryUsage().rss;
  const system = await openSystem(job.fillCacheBytes === undefined ? {} : { cacheBytes: job.fillCacheBytes });
  const begun = performance.now();
  await system.fill(new Keyspace(job.keys, job.valueBytes, job.seed).everything(FILL_BATCH));
  const seconds = (performance.now() - begun) / 1000;
  const stats = system.stats?.();
  const rss = process.memoryUsage().rss - rssBefore;
  await system.close();
  return { value: seconds, rssPerKey: rss / job.keys, indexBytesPerKey: (stats?.indexBytes ?? Number.NaN) / job.keys };
}

const ON_OPEN_SYSTEM = {
  put1: (system) => putsBy(system, 1),
  put64: (system) => putsBy(system, CALLERS),
  batch100: batches,
  get: reads,
  get64: readsOfMany,
  stream,
};
const BY_ITSELF = { fill, open, ...agedPoints };

async function measure() {
  const own = BY_ITSELF[job.point];
  if (own !== undefined) return own();
  const system = await openSystem();
  const result = await ON_OPEN_SYSTEM[job.point](system);
  await system.close();
  return result;
}

process.on("uncaughtException", (error) => {
  console.log(JSON.stringify({ failed: error.message }));
  process.exit(1);
});
console.log(JSON.stringify(await measure()));
process.exit(0);
