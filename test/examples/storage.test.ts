// Goal: the storage example does what its README says, over several runs of the program. Method: the program itself, as a
// reader would start it, on a directory of its own.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

const PROGRAM = fileURLToPath(new URL("../../examples/storage/todo.mjs", import.meta.url));

it("the to-do list keeps its items from run to run, and says what is wrong", { timeout: 30_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "plogdb-todo-"));
  onTestFinished(() => {
    rmSync(directory, { recursive: true });
  });
  const todo = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, directory, ...words], {
      encoding: "utf8",
    });
    return { status, text: stdout + stderr };
  };
  expect(todo("add", "buy", "milk")).toEqual({ status: 0, text: "1. buy milk\n" });
  expect(todo("add", "water the plants")).toEqual({ status: 0, text: "2. water the plants\n" });
  expect(todo("done", "1")).toEqual({ status: 0, text: "" });
  expect(todo("add", "rest")).toEqual({ status: 0, text: "3. rest\n" });
  expect(todo("list")).toEqual({ status: 0, text: "2. water the plants\n3. rest\n" });
  expect(todo("done", "9")).toEqual({ status: 1, text: "there is no item 9\n" });
  expect(todo("dance").status).toBe(1);
});
