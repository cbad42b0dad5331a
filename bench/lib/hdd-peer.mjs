// One peer of the HDD bench in a process of its own, so that strace sees its I/O and nothing else. `prepare` fills and
// overwrites without flushes; `record` runs callers in a closed loop between two marks in the trace: opens of files
// that do not exist.
import { mkdirSync, openSync } from "node:fs";
import { Keyspace } from "./keyspace.mjs";
import { closedLoop } from "./loops.mjs";
import { loadSystem, SYSTEMS } from "./systems/index.mjs";

const FILL_BATCH = 10_000;
const CACHE_BYTES = 256 << 20;
const MAP_BYTES = 8 * 2 ** 30;

const job = JSON.parse(process.argv[2]);

function mark(name) {
  try {
    openSync(`${job.dir}/${name}`, "r");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

mkdirSync(job.dir, { recursive: true });
const keyspace = new Keyspace(job.keys, job.valueBytes, job.seed);
const { open } = await loadSystem(job.system);
const system = await open(job.dir, { cacheBytes: CACHE_BYTES, sizeBytes: MAP_BYTES, ...SYSTEMS[job.system].options });
if (job.phase === "prepare") {
  await system.fill(keyspace.everything(FILL_BATCH));
  await system.fill(keyspace.overwrites(job.keys, FILL_BATCH));
  await system.close();
} else {
  const put = (done) => system.put(keyspace.randomKey(), keyspace.value(), done);
  await closedLoop(job.callers, job.warmSeconds, put);
  mark("bench-begins");
  const { count, seconds } = await closedLoop(job.callers, job.seconds, put);
  mark("bench-ends");
  console.log(JSON.stringify({ puts: count, seconds }));
}
process.exit(0);
