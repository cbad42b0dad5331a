// The points of bench:engine that need a store in its stride: filled to 80 % (--steady-full) of its usable room, then
// overwritten several times so that merge has its steady load. Our engine only; the peers have no such size.
import { mkdirSync } from "node:fs";
import { deviceBytes, job, openSystem } from "./engine-job.mjs";
import { Keyspace, keyName } from "./keyspace.mjs";
import { Latencies, closedLoop, openLoop } from "./loops.mjs";

const AGE_VOLUMES = 3;
const FILL_BATCH = 1000;
const CALLERS = 64;
const SLICES = 4;
/** Where the engine does not say what is usable: all but head and reserved extents. */
const USABLE_SHARE = 60 / 64;

function usableOf(stats) {
  return stats.usableBytes ?? stats.bytesTotal * USABLE_SHARE;
}

function liveOf(stats, keys) {
  return stats.liveBytes ?? keys * (48 + 16 + job.valueBytes);
}

/** Puts new keys until the wanted bytes are live. */
async function fillTo(system, wanted) {
  const keyspace = new Keyspace(1, job.valueBytes, job.seed);
  let keys = 0;
  while (liveOf(system.stats(), keys) < wanted) {
    const pairs = Array.from({ length: FILL_BATCH }, () => [keyName(keys++), keyspace.value()]);
    await new Promise((resolve) => system.batch(pairs, resolve));
  }
  return keys;
}

async function openAged() {
  const system = await openSystem({ cacheBytes: 16 << 20 });
  const start = system.stats();
  const keys = await fillTo(system, job.full * usableOf(start));
  const keyspace = new Keyspace(keys, job.valueBytes, job.seed);
  const until = system.stats().bytesWritten + AGE_VOLUMES * start.bytesTotal;
  while (system.stats().bytesWritten < until) await system.fill(keyspace.overwrites(20 * FILL_BATCH, FILL_BATCH));
  return { system, keyspace };
}

/** Uniform overwrite: puts per second, and what each user byte costs on the device, copies of merge apart. */
async function steady() {
  const { system, keyspace } = await openAged();
  const before = { device: deviceBytes(), stats: system.stats() };
  const put = (done) => system.put(keyspace.randomKey(), keyspace.value(), done);
  const { count, seconds, latencies } = await closedLoop(CALLERS, job.seconds * SLICES, put);
  const device = deviceBytes() - before.device;
  const after = system.stats();
  const userBytes = count * (16 + job.valueBytes);
  const copied = (after.mergedBytes ?? Number.NaN) - (before.stats.mergedBytes ?? Number.NaN);
  await system.close();
  return {
    value: device / userBytes,
    copiesPerUserByte: copied / userBytes,
    putsPerSec: count / seconds,
    keys: keyspace.keys,
    ...latencies.summary(),
  };
}

/**
 * p99 of puts at half of saturation, merge running over p99 without: the second store holds the same keys in four times
 * the room with merge paused. In slices by turns, because the disk's speed drifts.
 */
async function merge() {
  const aged = await openAged();
  const dir = `${job.dir}-idle`;
  mkdirSync(dir, { recursive: true });
  const roomy = await openSystem({ cacheBytes: 16 << 20, sizeBytes: 4 * job.sizeBytes, dir });
  await fillTo(roomy, liveOf(aged.system.stats(), aged.keyspace.keys));
  if (!roomy.pauseMerge(true)) throw new Error("this engine has no merge yet");
  const putTo = (system) => (done) => system.put(aged.keyspace.randomKey(), aged.keyspace.value(), done);
  const { count, seconds } = await closedLoop(CALLERS, job.seconds, putTo(aged.system));
  const rate = count / seconds / 2;
  const merging = new Latencies();
  const idle = new Latencies();
  const extents = aged.system.stats().mergedExtents;
  for (let slice = 0; slice < SLICES; slice++) {
    aged.system.pauseMerge(false);
    await openLoop(rate, job.seconds, job.seed + slice, putTo(aged.system), merging);
    aged.system.pauseMerge(true);
    await openLoop(rate, job.seconds, job.seed + slice, putTo(roomy), idle);
  }
  const merged = aged.system.stats().mergedExtents - extents;
  const [with_, without] = [merging.summary(), idle.summary()];
  await Promise.all([aged.system.close(), roomy.close()]);
  return {
    value: with_.p99Us / without.p99Us,
    rate,
    merged,
    ...with_,
    idleP50Us: without.p50Us,
    idleP99Us: without.p99Us,
    idleP999Us: without.p999Us,
  };
}

export const agedPoints = { steady, merge };
