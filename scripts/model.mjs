// `npm run model`: has Spin search the models of the protocol (docs/model) in their small scopes, each to its end. With
// --canaries the weakened variants instead, each of which must break an assertion. Without spin or gcc it says so and exits
// with 3. --large adds scopes of some million states. Last line JSON: states, errors, exhausted; exit code 1 when an assertion broke, a search was cut or a variant lives.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hasCommand, root } from "./steps.mjs";

const { values } = parseArgs({
  options: { canaries: { type: "boolean", default: false }, large: { type: "boolean", default: false } },
});

const missing = ["spin", "gcc"].filter((command) => !hasCommand(command));
if (missing.length > 0) {
  console.error(`model: ${missing.join(" and ")} not installed (sudo apt-get install -y spin gcc)`);
  process.exit(3);
}

/** name -> [model, what is defined]. */
const SCOPES = {
  "class zero and two phases": ["plogdb", "POSITIONS=1 CRASHES=0 WRITES=3 READER=3"],
  "two positions": ["plogdb", "POSITIONS=2 CRASHES=0 WRITES=3 READER=3 PREPAREOF=2"],
  "a read beside two writes": ["plogdb", "POSITIONS=1 CRASHES=0 WRITES=3 READER=2 PREPAREOF=2"],
  "a crash of anybody": ["plogdb", "POSITIONS=1 CRASHES=1 WRITES=3 READER=3 PREPAREOF=2"],
  "a disk is lost": ["repair", "KIND=1"],
  "a disk is lost, and a process dies": ["repair", "KIND=1 CRASHES=1"],
  "an old copy of a disk comes back": ["repair", "KIND=2"],
  "a record is broken": ["repair", "KIND=3"],
  "an empty disk that may be the first": ["repair", "KIND=4"],
  "a disk is lost twice": ["repair", "KIND=1 LOSSES=2"],
  "two disks are lost": ["repair", "KIND=1 LOSSES=2 SECOND"],
};

const LARGE = {
  "two positions and a crash of the leader": [
    "plogdb",
    "POSITIONS=2 CRASHES=1 CRASHOF=1 WRITES=3 READER=3 PREPAREOF=2",
  ],
  "two proposers of two phases and a crash": ["plogdb", "POSITIONS=1 CRASHES=1 WRITES=3 READER=3"],
  "a record is broken twice": ["repair", "KIND=3 LOSSES=2"],
};

/** What is weakened -> [model, the smallest scope known to show it]. */
const VARIANTS = {
  ZERO_TWICE: ["plogdb", "POSITIONS=1 CRASHES=0 WRITES=3 READER=3"],
  ZERO_WITHOUT_LEADER: ["plogdb", "POSITIONS=1 CRASHES=0 WRITES=3 READER=3"],
  ACCEPTED_NOT_TOLD: ["plogdb", "POSITIONS=1 CRASHES=0 WRITES=3 READER=3"],
  ACCEPT_NOT_DURABLE: ["plogdb", "POSITIONS=1 CRASHES=1 WRITES=3 READER=3 PREPAREOF=2"],
  INCARNATION_KEPT: ["plogdb", "POSITIONS=1 CRASHES=1 WRITES=3 READER=3 PREPAREOF=2"],
  READ_ZERO_WITHOUT_LEADER: ["plogdb", "POSITIONS=1 CRASHES=0 WRITES=3 READER=2 PREPAREOF=2"],
  READ_IGNORES_ACCEPTED: ["plogdb", "POSITIONS=1 CRASHES=0 WRITES=1 READER=2 PREPAREOF=0"],
  NO_FENCE: ["repair", "KIND=1"],
  ONE_ROUND: ["repair", "KIND=1"],
  FENCE_KEEPS_VOTES: ["repair", "KIND=1"],
  FENCE_VOLATILE: ["repair", "KIND=1 CRASHES=1"],
  POLL_MAJORITY: ["repair", "KIND=1"],
  POLL_CHOSEN_ONLY: ["repair", "KIND=1"],
  POLL_STALE: ["repair", "KIND=1 LOSSES=2"],
  RESTORE_VOLATILE: ["repair", "KIND=1"],
  SECOND_LOSS: ["repair", "KIND=1 LOSSES=2 SECOND"],
  WATERMARK_IGNORED: ["repair", "KIND=2"],
  BIRTH_BY_MAJORITY: ["repair", "KIND=4"],
  COUNTER_KEPT: ["repair", "KIND=3"],
};

const directory = join(root, "build", "model");

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: directory, encoding: "utf8", maxBuffer: 2 ** 26 });
  return { status, output: `${stdout ?? ""}${stderr ?? ""}` };
}

function must(command, args) {
  const { status, output } = run(command, args);
  if (status === 0) return;
  console.error(`${output}\nmodel: ${command} failed`);
  process.exit(1);
}

/** One search, to its end or to the first broken assertion. */
function search(model, flags) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  must("spin", ["-a", ...flags.map((flag) => `-D${flag}`), join(root, "docs", "model", `${model}.pml`)]);
  must("gcc", ["-O1", "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", "-DVECTORSZ=2048", "-o", "pan", "pan.c"]);
  const { output } = run(join(directory, "pan"), ["-m1000000", "-w22", "-E"]);
  writeFileSync(join(directory, "pan.out"), output);
  const states = Number(/(\d+) states, stored/.exec(output)?.[1] ?? Number.NaN);
  const errors = Number(/errors: (\d+)/.exec(output)?.[1] ?? Number.NaN);
  const cut = /max search depth too small|out of memory|Search not completed|resize|hash-table full/i.test(output);
  return {
    states,
    errors,
    exhausted: !cut && errors === 0 && Number.isFinite(states),
    broken: /assertion violated (.*)/.exec(output)?.[1] ?? "",
  };
}

function chosenScopes() {
  if (values.canaries) return VARIANTS;
  return values.large ? { ...SCOPES, ...LARGE } : SCOPES;
}

const started = performance.now();
const results = [];
for (const [name, [model, sizes]] of Object.entries(chosenScopes())) {
  const result = search(model, [...sizes.split(" "), ...(values.canaries ? [name] : [])]);
  results.push({ name, ...result });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const end = result.errors === 0 ? (result.exhausted ? "exhausted" : "CUT") : `broken: ${result.broken.slice(0, 90)}`;
  console.log(`${seconds.padStart(6)} s  ${name}: ${result.states} states, ${end}`);
}

if (values.canaries) {
  console.log(
    JSON.stringify(Object.fromEntries(results.map(({ name, errors, states }) => [name, errors > 0 ? states : null]))),
  );
  process.exitCode = results.every(({ errors }) => errors > 0) ? 0 : 1;
} else {
  const states = results.reduce((sum, one) => sum + one.states, 0);
  const errors = results.reduce((sum, one) => sum + one.errors, 0);
  const exhausted = results.every((one) => one.exhausted);
  console.log(JSON.stringify({ states, errors, exhausted }));
  process.exitCode = errors === 0 && exhausted ? 0 : 1;
}
