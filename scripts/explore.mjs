// `npm run explore`: breadth-first search over the real step function of src/paxos, scope by scope, each in a process of
// its own. --states N shares N states out over the scopes (what a small scope leaves goes to the others); --scope NAME
// searches one; --list says what each aims at; --canary NAME searches a broken variant, which should be found. A violation
// is told as the shortest story that leads to it. Last line JSON; exit code 1 on violations.
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fromDist } from "./steps.mjs";

const { values } = parseArgs({
  options: {
    states: { type: "string", default: "2000000" },
    scope: { type: "string" },
    canary: { type: "string", default: "" },
    "heal-every": { type: "string", default: "500" },
    jobs: { type: "string", default: String(Math.min(2, availableParallelism())) },
    list: { type: "boolean", default: false },
    worker: { type: "boolean", default: false },
  },
});

const self = fileURLToPath(import.meta.url);

/** A whole number from 1. */
function count(name) {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  console.error(`explore: --${name} wants a whole number from 1, not ${values[name]}`);
  process.exit(2);
}

if (values.worker) {
  const { runScope } = await fromDist("sim/explore/run-scope.js");
  process.send(runScope(values.scope, count("states"), values.canary, count("heal-every")));
} else {
  const { SCOPES } = await fromDist("sim/explore/scopes.js");
  if (values.list) for (const { name, aims } of SCOPES) console.log(`${name.padEnd(20)} ${aims}`);
  else await explore(SCOPES);
}

async function explore(all) {
  const started = performance.now();
  const scopes = all.map((scope) => scope.name).filter((name) => values.scope === undefined || values.scope === name);
  if (scopes.length === 0) {
    console.error(`explore: there is no scope ${values.scope}; --list names them`);
    process.exit(2);
  }
  const states = count("states");
  const reports = [];
  const waiting = [...scopes];
  let promised = 0; // states that finished scopes took and running ones may take
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const share = Math.max(1, Math.ceil((states - promised) / (waiting.length + 1)));
      promised += share;
      const report = await searchScope(name, share);
      promised += report.states - share;
      reports.push(report);
      say(report);
    }
  };
  await Promise.all(Array.from({ length: count("jobs") }, worker));
  const seconds = (performance.now() - started) / 1000;
  const total = reports.reduce((sum, report) => sum + report.states, 0);
  const violations = reports.filter((report) => report.violation !== null).length;
  const table = Object.fromEntries(
    scopes.map((name) => {
      const { states: seen, exhausted, depth, heals } = reports.find((report) => report.scope === name);
      return [name, { states: seen, exhausted, depth, heals }];
    }),
  );
  console.log(JSON.stringify({ states: total, scopes: table, violations, statesPerSec: Math.round(total / seconds) }));
  process.exitCode = violations > 0 ? 1 : 0;
}

function searchScope(name, states) {
  const args = ["--worker", "--scope", name, "--states", String(states), "--heal-every", values["heal-every"]];
  if (values.canary !== "") args.push("--canary", values.canary);
  return new Promise((resolve) => {
    const failed = (violation) =>
      resolve({ scope: name, states: 0, exhausted: false, depth: 0, heals: 0, violation, story: [] });
    const child = fork(self, args, { execArgv: ["--max-old-space-size=3000"] });
    let report = null;
    child.on("message", (message) => {
      report = message;
    });
    child.on("exit", (code) => {
      if (report !== null) resolve(report);
      else failed(`the search ended without a result (exit code ${code})`);
    });
  });
}

function say({ scope, states, exhausted, depth, violation, story }) {
  console.log(
    `${scope.padEnd(20)} ${String(states).padStart(9)} states, depth ${depth}${exhausted ? ", exhausted" : ""}`,
  );
  if (violation === null) return;
  for (const line of story) console.log(line);
  console.log(`${scope}: ${violation}`);
  const variant = values.canary === "" ? "" : ` --canary ${values.canary}`;
  console.log(
    `again: npm run explore -- --scope ${scope} --states ${Math.max(states, 1)}${variant} --heal-every ${values["heal-every"]}`,
  );
}
