// Goal: the tidy test can fail. Method: small texts with each kind of disorder, through the functions that it uses.
import { describe, expect, it } from "vitest";
import { importsOf, lineOf, type ProjectFile, projectFiles, withoutCommentsAndStrings } from "./project.js";

function fileOf(path: string, text: string): ProjectFile {
  return { path, text, lines: text.split("\n").length };
}

describe("imports of a file", () => {
  const known = [fileOf("src/paxos/lane.ts", ""), fileOf("src/base/key.ts", "")];

  it.each([
    'import { Lane } from "../paxos/lane.js";',
    'import type { Lane } from "../paxos/lane.js";',
    'import "../paxos/lane.js";',
    'export { Lane } from "../paxos/lane.js";',
    'export * from "../paxos/lane.js";',
    'import {\n  type A,\n  B,\n} from "../paxos/lane.js";',
    ["const lane = await import", '("../paxos/lane.js");'].join(""), // in two parts, or it were an import of this file
  ])("are found in: %s", (text) => {
    expect(importsOf(fileOf("src/base/bad.ts", text), known).map((one) => one.path)).toEqual(["src/paxos/lane.ts"]);
  });

  it("are told apart when there are several", () => {
    const text = 'import { a } from "./key.js";\nimport { b } from "node:fs";\nimport { c } from "../paxos/lane.js";\n';
    const found = importsOf(fileOf("src/base/bad.ts", text), known);
    expect(found.map((one) => [one.path, one.line])).toEqual([
      ["src/base/key.ts", 1],
      ["src/paxos/lane.ts", 3],
    ]);
  });

  it("that lead nowhere have no path", () => {
    expect(importsOf(fileOf("src/base/bad.ts", 'import { x } from "./gone.js";'), known)).toMatchObject([{ path: "" }]);
  });
});

describe("code without comments and strings", () => {
  it("keeps code and places, and drops the words of comments and strings", () => {
    const text = '// await nothing\nconst a = "async"; /* Date\n Promise */ await b();\n';
    const code = withoutCommentsAndStrings(text);
    expect(code).toHaveLength(text.length);
    expect(code).not.toMatch(/async|Date|Promise|nothing/);
    expect(lineOf(fileOf("x", text), code.search(/\bawait\b/))).toBe(3);
  });

  it("is not led astray by slashes in strings or quotes in comments", () => {
    expect(withoutCommentsAndStrings('const u = "http://x"; Date;')).toContain("Date");
    expect(withoutCommentsAndStrings("// don't\nDate;")).toContain("Date");
  });
});

describe("the project's files", () => {
  it("are the project's own text, this file among them", () => {
    const paths = projectFiles().map((file) => file.path);
    expect(paths).toContain("test/tidy/project.test.ts");
    expect(paths.filter((path) => /^(node_modules|dist|build)\//.test(path))).toEqual([]);
  });
});
