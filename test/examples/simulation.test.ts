/** The example in examples/simulation runs as its README says, and its test can fail. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const EXAMPLE = fileURLToPath(new URL("../../examples/simulation/counter.mjs", import.meta.url));

describe("the example of a simulation", () => {
  it("counts every visit once, whatever happens", { timeout: 60_000 }, () => {
    const ended = spawnSync(process.execPath, [EXAMPLE, "5"], { encoding: "utf8" });
    expect(ended.status, ended.stderr).toBe(0);
    expect(ended.stdout.match(/: 60 visits/g)).toHaveLength(5);
  });

  it("finds the bug when the application repeats what may have been applied", { timeout: 60_000 }, () => {
    const broken = EXAMPLE.replace("counter.mjs", "counter-broken.test.mjs");
    const text = readFileSync(EXAMPLE, "utf8");
    const line = /^ {2}if \(tokens\.includes.*\n/m;
    expect(text).toMatch(line);
    writeFileSync(broken, text.replace(line, ""));
    try {
      const ended = spawnSync(process.execPath, [broken, "40"], { encoding: "utf8" });
      expect(ended.status).not.toBe(0);
      expect(ended.stderr).toMatch(/60 visits were made, 6[1-9] were counted/);
    } finally {
      rmSync(broken);
    }
  });
});
