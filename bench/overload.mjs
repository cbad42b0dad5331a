// What becomes of a cluster when clients ask for more than it can do: npm run bench:overload -- [--times 4] [--seconds 8]
// [--runs 5] [--read-share 0] [--json]. In each run the peak is measured first, by closed loops, then arrivals come at so many times that rate,
// then the closed loop again. What the columns mean and the last numbers: bench/README.md.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runJob } from "./lib/load-job.mjs";
import { startPlogdb } from "./lib/plogdb-system.mjs";
import { endAll } from "./lib/processes.mjs";

const KEYS = 10_000;
const VALUE_BYTES = 120;
const FILL_CLIENTS = 64;
/** Closed loops of which the best is the peak. */
const PEAK_CLIENTS = [256, 600];
const CONNECTIONS = 600;
/** Commands that a client sends at once. */
const BURST = 8;
/** An answer that comes later is of no use to anybody. */
const PATIENCE_MS = 1000;
const SAMPLE_MS = 200;

const { values } = parseArgs({
  options: {
    times: { type: "string", default: "4" },
    seconds: { type: "string", default: "8" },
    runs: { type: "string", default: "5" },
    "read-share": { type: "string", default: "0" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "boolean", default: false },
  },
});
const [times, seconds, runs] = [values.times, values.seconds, values.runs].map(Number);
const readShare = Number(values["read-share"]);
if (!(times > 0 && seconds > 0 && runs > 0 && readShare >= 0 && readShare <= 1)) {
  console.error("bench:overload: --times, --seconds and --runs are numbers above 0, --read-share is one from 0 to 1");
  process.exit(2);
}

async function closedLoop(system, clients) {
  const { ports } = system;
  const job = { protocol: "resp", ports, clients, keys: KEYS, valueBytes: VALUE_BYTES, readShare };
  const { reads, writes, seconds: measured } = await runJob("load.mjs", { ...job, warmupMs: 1500, measureMs: 4000 });
  return Math.round((reads + writes) / measured);
}

function residentMib(system) {
  const sizes = system.processes.map(
    ({ pid }) => /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1],
  );
  return Math.round(Math.max(...sizes.map(Number)) / 1024);
}

async function once(home) {
  const system = await startPlogdb(home, { size: "1GiB", nodeFlags: [] });
  const { ports } = system;
  const common = { ports, keys: KEYS, valueBytes: VALUE_BYTES };
  await runJob("load.mjs", { ...common, protocol: "resp", clients: FILL_CLIENTS, fill: true });
  let peak = 0;
  for (const clients of PEAK_CLIENTS) peak = Math.max(peak, await closedLoop(system, clients));
  const mibBefore = residentMib(system);
  let mib = mibBefore;
  const sampler = setInterval(() => {
    mib = Math.max(mib, residentMib(system));
  }, SAMPLE_MS);
  const load = { connections: CONNECTIONS, burst: BURST, patienceMs: PATIENCE_MS, readShare, seconds };
  const flood = await runJob("open-load.mjs", { ...common, ...load, perSecond: peak * times });
  clearInterval(sampler);
  const after = await closedLoop(system, PEAK_CLIENTS[0]);
  const { goodPerSec, refusedPerSec, late, errors, unanswered } = flood;
  return {
    peak,
    offered: Math.round(flood.offered / flood.seconds),
    good: goodPerSec,
    share: Number((goodPerSec / peak).toFixed(2)),
    goodP99Ms: Math.round(flood.goodP99Us / 1000),
    busy: refusedPerSec,
    busyP50Ms: Math.round(flood.refusedP50Us / 1000),
    busyP99Ms: Math.round(flood.refusedP99Us / 1000),
    late,
    otherErrors: Object.values(errors).reduce((sum, count) => sum + count, 0) + unanswered,
    mibBefore,
    mib,
    after,
  };
}

const results = [];
for (let i = 0; i < runs; i++) {
  const home = mkdtempSync(join(values.dir, "plogdb-bench-"));
  try {
    const result = await once(home);
    results.push(result);
    if (values.json) console.log(JSON.stringify(result));
    else {
      if (i === 0)
        console.log(
          Object.keys(result)
            .map((name) => name.padStart(11))
            .join(""),
        );
      console.log(
        Object.values(result)
          .map((value) => String(value).padStart(11))
          .join(""),
      );
    }
  } finally {
    await endAll();
    rmSync(home, { recursive: true, force: true });
  }
}
const shares = results.map(({ share }) => share).sort((a, b) => a - b);
const summary = {
  summary: "bench:overload",
  times,
  runs,
  medianShare: shares[Math.floor(shares.length / 2)],
  leastShare: shares[0],
};
console.log(
  values.json
    ? JSON.stringify(summary)
    : `goodput in shares of the peak: median ${summary.medianShare}, least ${summary.leastShare}`,
);
process.exit(0);
