// `npm test`: all tests that need neither root nor anything from apt, in at most eight minutes on two cores; at the end
// it names what it left out and how to have it run. --json prints the results as JSON lines instead of a table.
import { canBuildNative, hasCommand, NATIVE_TOOLS, printTable, run, runNative, runVitest } from "./steps.mjs";

const json = process.argv.includes("--json");
const show = { show: !json };

const results = [await run("build", [process.execPath, "scripts/build.mjs"], show)];
if (results[0].ok) {
  results.push(
    await runVitest(
      "tests",
      process.argv.slice(2).filter((word) => word !== "--json"),
      show,
    ),
  );
  if (canBuildNative()) results.push(await runNative("native", [], show));
}

/** What a machine with more on it would also have run. */
function leftOut() {
  const left = [];
  if (!canBuildNative()) left.push(`native tests: not all tools there (${NATIVE_TOOLS})`);
  if (!hasCommand("redis-cli"))
    left.push("redis-cli and redis-benchmark: not installed (sudo apt-get install -y redis-tools)");
  for (const name of results.flatMap((result) => result.skipped)) left.push(`skipped: ${name}`);
  left.push("native tests under sanitizers: .ci/run runs them");
  return left;
}

const passed = results.reduce((sum, one) => sum + one.passed, 0);
const failed = results.reduce((sum, one) => sum + Math.max(one.failed, one.ok ? 0 : 1), 0);
const left = leftOut();
if (json) {
  for (const { name, ok, seconds, passed: good, failed: bad } of results) {
    console.log(JSON.stringify({ step: name, ok, seconds: Math.round(seconds * 10) / 10, passed: good, failed: bad }));
  }
  console.log(JSON.stringify({ summary: "test", passed, failed, leftOut: left }));
} else {
  console.log("");
  printTable([
    ["step", "result", "time", "tests"],
    ...results.map((one) => [
      one.name,
      one.ok ? "ok" : "FAILED",
      `${one.seconds.toFixed(1)} s`,
      `${one.passed} passed, ${one.failed} failed`,
    ]),
  ]);
  console.log(`\nleft out:\n${left.map((line) => `  ${line}`).join("\n")}\n`);
  console.log(`${passed} passed, ${failed} failed`);
}
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
