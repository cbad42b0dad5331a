// What the gate, the tests and CI share: run one step as a child process, time it, count what it tested. Knows how
// vitest and the native tests tell their counts, and nothing of why a step is run.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
const reports = join(root, "build", "reports");

/** Runs argv in the root. With `show` its output goes through as it comes, otherwise it is kept. */
export function run(name, argv, { show }) {
  const started = performance.now();
  return new Promise((resolve) => {
    const [command, ...args] = argv;
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...(show ? {} : { NO_COLOR: "1", FORCE_COLOR: undefined }) },
    });
    let output = "";
    for (const [stream, target] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      stream.on("data", (chunk) => {
        output += chunk;
        if (show) target.write(chunk);
      });
    }
    const finish = (code) => {
      resolve({
        name,
        ok: code === 0,
        seconds: (performance.now() - started) / 1000,
        output,
        passed: 0,
        failed: 0,
        skipped: [],
      });
    };
    child.on("error", (error) => {
      output += `${error.message}\n`;
      finish(1);
    });
    child.on("close", finish);
  });
}

export function hasDist(path) {
  return existsSync(join(root, "dist", path));
}

/** A module of the built package; without one the command ends and says what is missing. */
export async function fromDist(path) {
  if (hasDist(path)) return import(pathToFileURL(join(root, "dist", path)).href);
  console.error(`dist/${path} is not there: npm run build`);
  process.exit(3);
}

export function tool(path) {
  return [process.execPath, join(root, "node_modules", path)];
}

/** Vitest with its counts and the names of what it skipped. */
export async function runVitest(name, args, options) {
  mkdirSync(reports, { recursive: true });
  const file = join(reports, `${name}.json`);
  rmSync(file, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const result = await run(name, [...tool("vitest/vitest.mjs"), "run", ...reporters, ...args], options);
  if (!existsSync(file)) return { ...result, ok: false, failed: 1 };
  const report = JSON.parse(readFileSync(file, "utf8"));
  const skipped = report.testResults.flatMap((one) =>
    one.assertionResults
      .filter((test) => test.status === "pending" || test.status === "skipped")
      .map((test) => test.fullName),
  );
  const suites = report.numFailedTests === 0 && !result.ok ? 1 : 0; // a file that could not even be loaded
  return { ...result, passed: report.numPassedTests, failed: report.numFailedTests + suites, skipped };
}

/** The tests of native/core, which need a compiler and no Node. The last "N passed, N failed" they print is the count. */
export async function runNative(name, args, options) {
  const result = await run(name, ["sh", "native/test/run.sh", ...args], options);
  const counts = [...result.output.matchAll(/(\d+) passed, (\d+) failed/g)].at(-1);
  const failed = Number(counts?.[2] ?? 0);
  return { ...result, passed: Number(counts?.[1] ?? 0), failed: result.ok ? failed : Math.max(1, failed) };
}

export function hasCommand(name) {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => existsSync(join(directory, name)));
}

/** What the native tests are built with; the addon alone needs no cmake. */
export const NATIVE_TOOLS = "sudo apt-get install -y g++ make cmake";

export function canBuildNative() {
  return hasCommand(process.env.CXX ?? "g++") && hasCommand("make") && hasCommand("cmake");
}

export function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    );
}
