// Level 8 of the tests: the native cases under ASan and UBSan, then those with threads under TSan. Words are passed on to
// the first. Fewer crash images than in the plain run: the sanitizers see every path in a tenth of them.
import { run } from "./steps.mjs";

const NATIVE = ["sh", "native/test/run.sh"];
const steps = [
  ["address,undefined", [...NATIVE, "--images", "2000", "--workloads", "20", ...process.argv.slice(2)]],
  ["thread", [...NATIVE, "threads"]],
];

let passed = 0;
let failed = 0;
for (const [sanitizers, argv] of steps) {
  console.log(`=== ${sanitizers}`);
  const result = await run(sanitizers, ["env", `SANITIZE=${sanitizers}`, ...argv], { show: true });
  const counts = [...result.output.matchAll(/(\d+) passed, (\d+) failed/g)].at(-1);
  passed += Number(counts?.[1] ?? 0);
  failed += Math.max(Number(counts?.[2] ?? 0), result.ok ? 0 : 1);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
