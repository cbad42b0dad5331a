// npm run sim: runs simulated clusters, one per seed, on several processes, and says what was found. It owns the command
// line, the sharing out of seeds and the report; what happens in a run is src/sim's affair. The last line of standard
// output is one JSON object. Exit code 1: something was violated, or a kind of fault never struck.
import { fork, spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const USAGE = `npm run sim -- [options]

  --seeds N           how many seeds (default 100)
  --seed S            the first one (default 1)
  --replicas 3|5      default: drawn from the seed
  --profile NAME      swarm, calm, network, processes, time, disks, load, full, repair, losses (default swarm)
  --engine NAME       native (default) or memory
  --ops N --clients N --keys N --faulty-ms N     instead of what the seed draws
  --without A,B       kinds of faults to leave out
  --in-space          nodes hold their records in a space of a shared store, as in a cluster of many groups
  --jobs J            processes (default: one per core)
  --story             print what happened, line by line (always when a single seed fails)
  --shrink            make the first seed that fails as small as it gets
  --keep-going        do not stop after many seeds that fail`;

/** A swarm of so many seeds must have met every kind of fault. */
const SEEDS_FOR_ALL_KINDS = 200;
/** Seeds that a worker gets at a time. */
const CHUNK = 10;
const STORY_LINES = 400;
/** A long run says after so many that it lives, on standard error. */
const SEEDS_PER_SIGN_OF_LIFE = 5000;
/** After so many seeds that fail there is no use in going on. */
const MOST_FAILURES = 20;

function fail(message) {
  console.error(`sim: ${message}\n\n${USAGE}`);
  process.exit(2);
}

async function loadSim() {
  try {
    return await import(new URL("../dist/sim/index.js", import.meta.url).href);
  } catch (error) {
    console.error(`sim: cannot load dist/sim (${error.message}): run \`npm run build\``);
    process.exit(2);
  }
}

function readOptions(sim) {
  let values;
  try {
    values = parseArgs({
      options: {
        seeds: { type: "string", default: "100" },
        seed: { type: "string", default: "1" },
        replicas: { type: "string" },
        profile: { type: "string" },
        engine: { type: "string", default: "native" },
        ops: { type: "string" },
        clients: { type: "string" },
        keys: { type: "string" },
        "faulty-ms": { type: "string" },
        without: { type: "string" },
        "in-space": { type: "boolean" },
        jobs: { type: "string" },
        story: { type: "boolean", default: false },
        shrink: { type: "boolean", default: false },
        "keep-going": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    fail(error.message);
  }
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const integer = (name, least) => {
    const text = values[name];
    if (text === undefined) return undefined;
    const number = Number(text);
    if (!Number.isSafeInteger(number) || number < least) fail(`--${name} takes an integer from ${least}, not ${text}`);
    return number;
  };
  if (values.replicas !== undefined && !["3", "5"].includes(values.replicas)) fail("--replicas takes 3 or 5");
  if (values.profile !== undefined && !sim.PROFILES.includes(values.profile)) fail(`no profile ${values.profile}`);
  if (!["native", "memory"].includes(values.engine)) fail(`no engine ${values.engine}`);
  const without = (values.without ?? "").split(",").filter((name) => name !== "");
  for (const name of without)
    if (!sim.isFaultKind(name)) fail(`no fault ${name}; there are ${sim.FAULT_KINDS.join(", ")}`);
  const plan = {
    engine: values.engine,
    replicas: integer("replicas", 3),
    profile: values.profile,
    operations: integer("ops", 1),
    clients: integer("clients", 1),
    keys: integer("keys", 1),
    faultyMs: integer("faulty-ms", 1),
    without: without.length > 0 ? without : undefined,
    inSpace: values["in-space"],
  };
  for (const name of Object.keys(plan)) if (plan[name] === undefined) delete plan[name];
  return {
    plan,
    seeds: integer("seeds", 1),
    first: integer("seed", 0),
    jobs: integer("jobs", 1) ?? availableParallelism(),
    story: values.story,
    shrink: values.shrink,
    keepGoing: values["keep-going"],
  };
}

/** One seed, as plain data. */
function runOne(sim, seed, planOptions, withStory = false) {
  const before = process.cpuUsage();
  const result = sim.runPlan(sim.drawPlan(seed, planOptions), { withStory });
  const used = process.cpuUsage(before);
  return {
    seed,
    operations: result.operations,
    violations: result.violations,
    faults: result.hits.report(),
    traceHash: result.traceHash,
    undecided: result.undecided,
    virtualMs: result.virtualMs,
    cpuUs: used.user + used.system,
    ...(withStory ? { story: result.story } : {}),
  };
}

async function work() {
  const sim = await loadSim();
  process.on("message", ({ seeds, plan }) => {
    for (const seed of seeds) process.send(runOne(sim, seed, plan));
    process.send("more");
  });
  process.send("more");
}

/** Shares the seeds out; `onResult` says whether to go on. */
function runInWorkers({ first, seeds, jobs, plan }, onResult) {
  let next = first;
  let going = true;
  const one = () =>
    new Promise((resolve, reject) => {
      const worker = fork(fileURLToPath(import.meta.url), ["--worker"], { cwd: root });
      worker.on("message", (message) => {
        if (message !== "more") {
          if (!onResult(message)) going = false;
          return;
        }
        const left = going ? Math.min(CHUNK, first + seeds - next) : 0;
        if (left <= 0) {
          worker.disconnect();
          return;
        }
        worker.send({ seeds: Array.from({ length: left }, (_, i) => next + i), plan });
        next += left;
      });
      worker.on("exit", (code, signal) =>
        code === 0
          ? resolve()
          : reject(new Error(`a worker ended with ${signal ?? code}; seeds around ${next - CHUNK}`)),
      );
    });
  return Promise.all(Array.from({ length: Math.min(jobs, Math.ceil(seeds / CHUNK)) }, one));
}

function newReport() {
  return { seeds: 0, operations: 0, failed: [], faults: {}, cpuUs: 0, undecided: 0, virtualMs: 0, traceHash: "" };
}

function add(report, result) {
  report.seeds++;
  report.operations += result.operations;
  report.cpuUs += result.cpuUs;
  report.undecided += result.undecided;
  report.virtualMs += result.virtualMs;
  report.traceHash = result.traceHash;
  for (const [kind, hits] of Object.entries(result.faults)) report.faults[kind] = (report.faults[kind] ?? 0) + hits;
  if (result.violations.length > 0) report.failed.push(result);
}

function commandOf(sim, seed, plan) {
  return ["npm run sim -- --seeds 1 --seed", String(seed), ...sim.planWords({ ...plan, engine: undefined })]
    .concat(plan.engine === "native" ? [] : [`--engine ${plan.engine}`])
    .join(" ");
}

function printFailure(sim, { seed, violations }, plan) {
  console.log(`seed ${seed}:`);
  for (const violation of violations) console.log(`  ${violation.replaceAll("\n", "\n    ")}`);
  console.log(`  again: ${commandOf(sim, seed, plan)}`);
}

function commit() {
  const git = spawnSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: root, encoding: "utf8" });
  return git.status === 0 ? git.stdout.trim() : null;
}

async function main() {
  const sim = await loadSim();
  const options = readOptions(sim);
  const report = newReport();
  if (options.seeds === 1) {
    let result = runOne(sim, options.first, options.plan, options.story);
    add(report, result);
    if (result.violations.length > 0 && !options.story) result = runOne(sim, options.first, options.plan, true);
    for (const line of (result.story ?? []).slice(options.story ? 0 : -STORY_LINES)) console.log(line);
    if (result.violations.length > 0) printFailure(sim, result, options.plan);
  } else {
    await runInWorkers(options, (result) => {
      add(report, result);
      if (result.violations.length > 0) printFailure(sim, result, options.plan);
      if (report.seeds % SEEDS_PER_SIGN_OF_LIFE === 0)
        console.error(`${new Date().toISOString()} ${report.seeds} seeds, ${report.operations} operations`);
      return options.keepGoing || report.failed.length < MOST_FAILURES;
    });
  }
  report.failed.sort((a, b) => a.seed - b.seed);
  if (options.shrink && report.failed.length > 0) {
    const [{ seed }] = report.failed;
    const smallest = sim.shrink(seed, options.plan, (text) => console.log(`  shrinking: ${text}`));
    console.log(`  smallest: ${commandOf(sim, seed, smallest)}`);
  }
  const isSwarm = (options.plan.profile ?? "swarm") === "swarm" && report.seeds >= SEEDS_FOR_ALL_KINDS;
  const missed = isSwarm ? sim.kindsOf(options.plan).filter((kind) => report.faults[kind] === 0) : [];
  for (const kind of missed) console.log(`fault ${kind}: never struck in ${report.seeds} seeds`);
  const found = commit();
  console.log(
    JSON.stringify({
      seeds: report.seeds,
      operations: report.operations,
      violations: report.failed.length,
      faults: report.faults,
      opsPerSecPerCore: Math.round(report.operations / (report.cpuUs / 1e6)),
      undecided: report.undecided,
      virtualSeconds: Math.round(report.virtualMs / 1000),
      ...(options.seeds === 1 ? { traceHash: report.traceHash } : {}),
      ...(found === null ? {} : { commit: found }),
      ...(report.failed.length > 0 ? { failedSeeds: report.failed.map(({ seed }) => seed) } : {}),
    }),
  );
  process.exitCode = report.failed.length > 0 || missed.length > 0 ? 1 : 0;
}

if (process.argv[2] === "--worker") await work();
else await main();
