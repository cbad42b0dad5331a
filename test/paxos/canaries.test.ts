/**
 * Goal: walks, searches and stories can fail. Method: every broken variant must be caught by the means that canary-suite.ts
 * names for it; the seeds and states it took are printed. A story or a scope made for a variant must be quiet without it.
 */
import { afterAll, describe, expect, it } from "vitest";
import { suite } from "../../src/sim/canary-suite.js";
import { storyFails, STORIES } from "../../src/sim/soup/canary-stories.js";

const report: string[] = [];

describe("every broken variant is caught", () => {
  for (const { name, rule } of suite.canaries) {
    it(`${name} (${rule})`, () => {
      const kill = suite.kill(name, 1);
      if (kill === null) return expect.fail("alive");
      report.push(`${name}: ${kill.where}, ${kill.count} ${kill.unit}: ${kill.violation.slice(0, 110)}`);
    }, 60_000);
  }

  it("and their stories are quiet without them", () => {
    for (const tell of Object.values(STORIES)) expect(storyFails(tell, {})).toBeNull();
  });

  afterAll(() => {
    console.log(`to kill\n  ${report.join("\n  ")}`);
  });
});
