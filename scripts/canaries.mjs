// `npm run canaries`: every broken variant of the protocol must be caught, by a walk, a search or a story. --only NAME runs
// one, --effort N gives each N times the seeds and states. Last line JSON, name -> seeds (states, 1 for a story) until it
// was caught, or null; exit code 1 when one lives. The lists are modules that export a `suite` (src/sim/canary-suite.ts).
import { parseArgs } from "node:util";
import { fromDist, hasDist } from "./steps.mjs";

const LISTS = ["sim/canary-suite.js", "sim/cluster-canaries.js"];

const { values } = parseArgs({
  options: { only: { type: "string" }, effort: { type: "string", default: "1" } },
});
const effort = Number(values.effort);
if (!(effort > 0)) {
  console.error(`canaries: --effort wants a number above 0, not ${values.effort}`);
  process.exit(2);
}

const result = {};
for (const list of LISTS) {
  if (list !== LISTS[0] && !hasDist(list)) continue;
  const { suite } = await fromDist(list);
  for (const { name, rule } of suite.canaries) {
    if (values.only !== undefined && values.only !== name) continue;
    const started = performance.now();
    const kill = suite.kill(name, effort);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const found =
      kill === null ? "ALIVE" : `${kill.count} ${kill.unit} (${kill.where}): ${kill.violation.slice(0, 100)}`;
    console.log(`${suite.name} ${name} (${rule}), ${seconds} s: ${found}`);
    result[name] = kill === null ? null : kill.count;
  }
}
console.log(JSON.stringify(result));
const names = Object.keys(result);
process.exitCode = names.length > 0 && names.every((name) => result[name] !== null) ? 0 : 1;
