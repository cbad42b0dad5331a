// Builds what the package runs: the native addon, then dist/ from src. `npm ci` calls it through the package's own
// prepare script, `npm run build` repeats it. It knows the order of the two and nothing about how either is done.
import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

function run(what, argv) {
  const result = spawnSync(process.execPath, argv, { cwd: root, stdio: "inherit" });
  if (result.status !== 0) {
    console.error(`build: ${what} failed`);
    process.exit(result.status ?? 1);
  }
}

run("the native addon", ["scripts/build-addon.mjs"]);
run("the TypeScript compiler", ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"]);
chmodSync(`${root}dist/cli/main.js`, 0o755);
