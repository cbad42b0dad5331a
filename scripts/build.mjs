// Builds what the package runs: the native addon, then dist/ from src. `npm ci` calls it through the package's own
// prepare script, `npm run build` repeats it. It knows the order of the two and nothing about how either is done.
// With --json one line per part, the summary last.
import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const json = process.argv.includes("--json");
const started = performance.now();

function say(line) {
  if (json) console.log(JSON.stringify(line));
}

function secondsSince(moment) {
  return Math.round((performance.now() - moment) / 100) / 10;
}

function run(step, what, argv) {
  const begun = performance.now();
  // Lines of JSON have standard output for themselves.
  const result = spawnSync(process.execPath, argv, { cwd: root, stdio: ["inherit", json ? 2 : "inherit", "inherit"] });
  const ok = result.status === 0;
  say({ step, ok, seconds: secondsSince(begun) });
  if (ok) return;
  console.error(`build: ${what} failed`);
  say({ summary: "build", ok, seconds: secondsSince(started) });
  process.exit(result.status ?? 1);
}

run("addon", "the native addon", ["scripts/build-addon.mjs"]);
run("dist", "the TypeScript compiler", ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"]);
chmodSync(`${root}dist/cli/main.js`, 0o755);
say({ summary: "build", ok: true, seconds: secondsSince(started) });
