// How the TypeScript tests run. Two workers, because two cores are what a test run may count on; a test that
// needs longer than ten seconds says so itself, with a reason.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 10_000,
    hookTimeout: 20_000,
  },
});
