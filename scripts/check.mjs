// The gate: everything that must hold before a change is kept. Prints a table of steps with times; what a failed step
// said stands above it. --json prints one line per step and the summary last; --static leaves out what runs tests, for
// those who run them next.
import { canBuildNative, NATIVE_TOOLS, printTable, run, runNative, runVitest, tool } from "./steps.mjs";

const json = process.argv.includes("--json");
const onlyStatic = process.argv.includes("--static");
const STATIC = ["format", "lint", "types", "types-pure"];
const quiet = { show: false };

const steps = [
  ["build", () => run("build", [process.execPath, "scripts/build.mjs"], quiet)],
  ["format", () => run("format", [...tool("@biomejs/biome/bin/biome"), "format", "."], quiet)],
  ["lint", () => run("lint", [...tool("eslint/bin/eslint.js"), "."], quiet)],
  ["types", () => run("types", [...tool("typescript/bin/tsc"), "-p", "tsconfig.test.json"], quiet)],
  ["types-pure", () => run("types-pure", [...tool("typescript/bin/tsc"), "-p", "tsconfig.pure.json"], quiet)],
  ["tidy", () => runVitest("tidy", ["test/tidy"], quiet)],
  ["tests", () => runVitest("tests", ["--exclude", "test/tidy/**"], quiet)],
  ["native", () => runNative("native", [], quiet)],
];

const results = [];
for (const [name, step] of steps) {
  if (onlyStatic && !STATIC.includes(name)) continue;
  if (name === "native" && !canBuildNative()) {
    results.push({
      name,
      ok: true,
      left: `not all tools there: ${NATIVE_TOOLS}`,
      seconds: 0,
      passed: 0,
      failed: 0,
      skipped: [],
    });
    continue;
  }
  const result = await step();
  results.push(result);
  if (json) print(result);
  else if (!result.ok) console.log(`--- ${name} ---\n${result.output}`);
}

function print(result) {
  const { name, ok, passed, failed, skipped, left } = result;
  console.log(
    JSON.stringify({ step: name, ok, seconds: round(result.seconds), passed, failed, skipped: skipped.length, left }),
  );
}

function round(seconds) {
  return Math.round(seconds * 10) / 10;
}

const ok = results.every((result) => result.ok);
const seconds = round(results.reduce((sum, result) => sum + result.seconds, 0));
if (json) {
  console.log(
    JSON.stringify({ summary: "check", ok, seconds, failed: results.filter((one) => !one.ok).map((one) => one.name) }),
  );
} else {
  const rows = results.map((one) => [
    one.name,
    one.left === undefined ? (one.ok ? "ok" : "FAILED") : "left out",
    `${round(one.seconds).toFixed(1)} s`,
    one.left ??
      (one.passed + one.failed > 0 ? `${one.passed} passed, ${one.failed} failed, ${one.skipped.length} skipped` : ""),
  ]);
  printTable([
    ["step", "result", "time", "tests"],
    ...rows,
    ["all", ok ? "ok" : "FAILED", `${seconds.toFixed(1)} s`, ""],
  ]);
}
process.exitCode = ok ? 0 : 1;
