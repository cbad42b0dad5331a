// `npm run nightly`: everything that takes hours, one after the other, each with a log of its own under build/nightly; at the
// end one line for each, and JSON. --scale N multiplies what each does (0.001 tries the list itself); --only NAME runs one. A
// step whose command is not there yet, or whose tools are not installed (exit code 3), is named as left out.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { printTable, root } from "./steps.mjs";

const { values } = parseArgs({ options: { scale: { type: "string", default: "1" }, only: { type: "string" } } });
const scale = Number(values.scale);
if (!(scale > 0)) {
  console.error(`nightly: --scale wants a number above 0, not ${values.scale}`);
  process.exit(2);
}
const times = (count) => String(Math.max(1, Math.round(count * scale)));

/** Name, script of package.json, its arguments, environment. */
const STEPS = [
  ["explore", "explore", ["--states", times(50_000_000)], {}],
  ["sim", "sim", ["--seeds", times(100_000)], {}],
  ["traces", "sim:versions", [], {}],
  ["canaries", "canaries", ["--effort", "10"], {}],
  ["model", "model", ["--large"], {}],
  ["model canaries", "model", ["--canaries"], {}],
  ["crash images", "nightly:crash", [], {}],
  ["damage", "nightly:damage", [], {}],
  ["fuzz, engine", "fuzz", ["--seconds", times(3600)], {}],
  [
    "fuzz, bytes",
    "fuzz:bytes",
    [],
    { PLOGDB_FUZZ_SECONDS: times(720), PLOGDB_FUZZ_SEED: String(Math.floor(Date.now() / 86_400_000)) },
  ],
  ["walks", "walks", [], { PLOGDB_WALKS: times(500_000) }],
];

const logs = join(root, "build", "nightly");
mkdirSync(logs, { recursive: true });
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

function run(name, script, args, env) {
  const log = createWriteStream(join(logs, `${name.replaceAll(/[^a-z]+/g, "-")}.log`));
  const started = performance.now();
  let last = "";
  return new Promise((resolve) => {
    const child = spawn("npm", ["run", "--silent", script, "--", ...args], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        log.write(chunk);
        last = `${last}${chunk}`.slice(-4000);
      });
    }
    child.on("close", (code) => {
      log.end();
      const line = last.trimEnd().split("\n").at(-1) ?? "";
      resolve({ name, code, seconds: Math.round((performance.now() - started) / 1000), line });
    });
  });
}

const results = [];
for (const [name, script, args, env] of STEPS) {
  if (values.only !== undefined && values.only !== name) continue;
  if (scripts[script] === undefined) {
    results.push({ name, code: 3, seconds: 0, line: `there is no npm run ${script}` });
    continue;
  }
  console.log(`${new Date().toISOString()} ${name}: npm run ${script} -- ${args.join(" ")}`);
  results.push(await run(name, script, args, env));
}

const wordOf = (code) => (code === 0 ? "ok" : code === 3 ? "left out" : "FAILED");
printTable([
  ["step", "result", "time", "last line"],
  ...results.map(({ name, code, seconds, line }) => [name, wordOf(code), `${seconds} s`, line.slice(0, 160)]),
]);
console.log(JSON.stringify(Object.fromEntries(results.map(({ name, code }) => [name, wordOf(code)]))));
process.exitCode = results.length > 0 && results.every(({ code }) => code === 0 || code === 3) ? 0 : 1;
