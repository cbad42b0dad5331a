// Builds build/Release/plogdb.node, and plogdb_sim.node for the simulator, with node-gyp and the system's compiler. It
// downloads nothing: the Node-API headers come from the running Node's own prefix, or else from the npm package
// node-api-headers, laid out the way node-gyp expects them. Without a compiler it says what to install, and stops.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const APT_LINE = `${process.getuid?.() === 0 ? "" : "sudo "}apt-get install -y g++ make python3`;

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

function stop(message) {
  console.error(`build: ${message}`);
  process.exit(1);
}

function runs(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

/** What the build needs from the system and does not find. */
function missingTools() {
  const missing = [];
  if (!runs(process.env.CXX ?? "g++")) missing.push("a C++ compiler (g++ 11 or newer)");
  if (!runs("make")) missing.push("make");
  if (!runs(process.env.PYTHON ?? "python3")) missing.push("python3");
  return missing;
}

/** node-gyp wants gyp files beside the headers; Node's own are absent from node-api-headers, and these few lines do. */
const COMMON_GYPI = `{
  "variables": { "configuring_node": 0, "asan": 0, "visibility": "hidden" },
  "target_defaults": {
    "default_configuration": "Release",
    "configurations": {
      "Debug": { "defines": ["DEBUG", "_DEBUG"], "cflags": ["-g", "-O0"] },
      "Release": { "cflags": ["-O2", "-fno-omit-frame-pointer"] }
    },
    "cflags": ["-pthread"],
    "cflags_cc": ["-fno-rtti", "-fno-exceptions"],
    "ldflags": ["-pthread"],
    "conditions": [["_type=='loadable_module' or _type=='shared_library'", { "cflags": ["-fPIC"] }]]
  }
}
`;

/** A prefix with include/node in it, for node-gyp's --nodedir. */
function headersPrefix() {
  const own = join(dirname(process.execPath), "..");
  const header = join("include", "node", "node_api.h");
  const forced = process.env.PLOGDB_HEADERS === "package";
  if (!forced && existsSync(join(own, header)) && existsSync(join(own, "include", "node", "common.gypi"))) return own;
  let from;
  try {
    from = require("node-api-headers").include_dir;
  } catch {
    return stop("no Node-API headers: neither beside this Node nor in node_modules. Run `npm ci` and try again.");
  }
  const prefix = join(root, "build", "headers");
  const to = join(prefix, "include", "node");
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
  writeFileSync(join(to, "common.gypi"), COMMON_GYPI);
  writeFileSync(join(to, "config.gypi"), `${JSON.stringify(process.config)}\n`);
  return prefix;
}

const missing = missingTools();
if (missing.length > 0) {
  stop(
    `the native engine must be compiled, and this machine lacks ${missing.join(", ")}.\nbuild: install with\n\n    ${APT_LINE}\n\nbuild: then run \`npm run build\` again.`,
  );
}

const gyp = join(dirname(require.resolve("node-gyp/package.json")), "bin", "node-gyp.js");
const jobs = Math.max(1, availableParallelism());
const common = ["--release", `--nodedir=${headersPrefix()}`, "--loglevel=error"];
for (const step of [["configure"], ["build", `--jobs=${jobs}`]]) {
  const result = spawnSync(process.execPath, [gyp, ...step, ...common], {
    cwd: root,
    stdio: ["ignore", process.argv.includes("--verbose") ? "inherit" : "ignore", "inherit"],
  });
  if (result.status !== 0) stop(`node-gyp ${step[0]} failed; the compiler's words stand above`);
}
for (const name of ["plogdb.node", "plogdb_sim.node"]) {
  const addon = join(root, "build", "Release", name);
  if (!existsSync(addon)) stop(`node-gyp built no ${addon}`);
}
