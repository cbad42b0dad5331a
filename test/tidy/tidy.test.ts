// Goal: the house stays in order: who may import whom, what is banned where, how long a file may be. Method: read the
// project's own text. Every finding names the place and the fix.
import { describe, expect, it } from "vitest";
import { importsOf, lineOf, type ProjectFile, projectFiles, withoutCommentsAndStrings } from "./project.js";

const files = projectFiles();
const sources = files.filter((file) => file.path.startsWith("src/") && file.path.endsWith(".ts"));

/** A room may import its own files, and those of the rooms listed here. */
const FLOORS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  paxos: ["base"],
  codec: ["base", "paxos"],
  storage: ["base", "paxos", "codec"],
  net: ["base", "paxos", "codec"],
  node: ["base", "paxos", "codec", "storage", "net"],
  cluster: ["base", "paxos", "codec", "storage", "net", "node"],
  server: ["base", "paxos", "codec", "storage", "net", "node", "cluster"],
  // api/simulation.ts is the public door to sim.
  api: ["base", "paxos", "codec", "storage", "net", "node", "cluster", "server", "sim"],
  cli: ["base", "paxos", "codec", "storage", "net", "node", "cluster", "server", "api"],
  sim: ["base", "paxos", "codec", "storage", "net", "node"],
  "index.ts": ["api", "server", "cluster", "node", "storage", "paxos", "base"],
};

/** Rooms without a promise, a clock or a chance in them. */
const BELOW_SERVER = ["base", "paxos", "codec", "storage", "net", "node", "sim"];
/** The rooms of tsconfig.pure.json: no Node either. */
const PURE = ["base", "paxos", "codec"];

/** Who may break a ban, by name, and why. */
const ALLOWED: readonly { readonly ban: string; readonly files: RegExp; readonly why: string }[] = [
  { ban: "Date", files: /^src\/node\/clock\.ts$/, why: "the one place that reads the wall clock" },
  { ban: "a timer", files: /^src\/node\/clock\.ts$/, why: "ticks are made here" },
  { ban: "a timer", files: /^src\/net\/[a-z-]+\.ts$/, why: "sockets need time-outs for dialling and handshakes" },
  { ban: "a random source", files: /^src\/node\/clock\.ts$/, why: "seeds the node's own random" },
];

const BANS: readonly { readonly name: string; readonly pattern: RegExp; readonly fix: string }[] = [
  { name: "Date", pattern: /\bDate\b/, fix: "take time from the Clock that came in through the constructor" },
  {
    name: "a random source",
    pattern: /\bMath\.random\b|\brandomBytes\b/,
    fix: "take base/random's Random as an argument",
  },
  {
    name: "a promise",
    pattern: /\bPromise\b|\basync\b|\bawait\b/,
    fix: "call back through a sink; promises begin in server",
  },
  {
    name: "a timer",
    pattern: /\bsetTimeout\b|\bsetInterval\b/,
    fix: "count ticks; timers belong to node/clock.ts and to the sockets of net",
  },
];

function roomOf(path: string): string {
  return path.split("/")[1] ?? "";
}

describe("imports", () => {
  it("run one way, along the floor table", () => {
    const findings: string[] = [];
    for (const file of sources) {
      const room = roomOf(file.path);
      const below = FLOORS[room];
      if (below === undefined) {
        findings.push(
          `${file.path}: src/${room} is not in the floor table; give the room a row in test/tidy/tidy.test.ts`,
        );
        continue;
      }
      for (const target of importsOf(file, files)) {
        const other = roomOf(target.path);
        if (!target.path.startsWith("src/") || other === room || below.includes(other)) continue;
        const allowed = below.length === 0 ? "no other room" : below.join(", ");
        findings.push(
          `${file.path}:${target.line}: ${room} imports ${other} (${target.path}); ${room} may import ${allowed}. ` +
            "Pass it in through the constructor, or move what both need to a lower room",
        );
      }
    }
    expect(findings).toEqual([]);
  });

  it("lead to a file that exists, and end in .js", () => {
    const findings = files.flatMap((file) =>
      importsOf(file, files)
        .filter((target) => target.path === "")
        .map(
          (target) =>
            `${file.path}:${target.line}: ${target.text} names no file; write the path of the .ts file with .js`,
        ),
    );
    expect(findings).toEqual([]);
  });

  it("of Node stay out of the pure rooms", () => {
    const findings = sources
      .filter((file) => PURE.includes(roomOf(file.path)))
      .flatMap((file) =>
        [...file.text.matchAll(/from "([^."][^"]*)"/g)].map(
          (match) =>
            `${file.path}:${lineOf(file, match.index)}: imports ${match[1] ?? ""}; this room is pure: pass bytes and numbers in`,
        ),
      );
    expect(findings).toEqual([]);
  });

  it("reach every file of src from an entry point", () => {
    const entries = new Set([
      "src/index.ts",
      "src/storage/index.ts",
      "src/sim/index.ts",
      "src/sim/cluster-canaries.ts",
      "src/api/simulation.ts",
      "src/cli/main.ts",
    ]);
    const imported = new Set(files.flatMap((file) => importsOf(file, files).map((target) => target.path)));
    const lonely = sources.filter((file) => !entries.has(file.path) && !imported.has(file.path));
    expect(lonely.map((file) => `${file.path}: nobody imports it; use it or remove it`)).toEqual([]);
  });
});

describe("below server", () => {
  it("there is no clock, no chance, no promise and no timer outside the places named here", () => {
    const findings: string[] = [];
    for (const file of sources.filter((one) => BELOW_SERVER.includes(roomOf(one.path)))) {
      const code = withoutCommentsAndStrings(file.text);
      for (const ban of BANS) {
        if (ALLOWED.some((rule) => rule.ban === ban.name && rule.files.test(file.path))) continue;
        const at = code.search(ban.pattern);
        if (at >= 0) findings.push(`${file.path}:${lineOf(file, at)}: uses ${ban.name}; ${ban.fix}`);
      }
    }
    expect(findings).toEqual([]);
  });
});

describe("every file", () => {
  const MAX_LINES = 500;

  it(`has at most ${MAX_LINES} lines`, () => {
    const long = files
      .filter((file) => /^(src|native|test|scripts|bench|examples)\//.test(file.path) && isCode(file))
      .filter((file) => file.lines > MAX_LINES);
    expect(long.map((file) => `${file.path}: ${file.lines} lines; past ${MAX_LINES} it is two rooms`)).toEqual([]);
  });

  it("opens with a paragraph that says what it owns", () => {
    const bare = files.filter(isCode).filter((file) => !/^(#!.*\n)?(\/\*|\/\/|# )/.test(file.text));
    expect(
      bare.map((file) => `${file.path}: begin with a comment: what it owns, what it must not know, the one idea`),
    ).toEqual([]);
  });

  it("has no default export, enum or namespace", () => {
    const findings = sources.flatMap((file) => {
      const code = withoutCommentsAndStrings(file.text);
      const at = code.search(
        /^\s*export default\b|^\s*(export )?(declare )?(const )?enum \w|^\s*(export )?(declare )?namespace \w/m,
      );
      return at < 0 ? [] : [`${file.path}:${lineOf(file, at)}: use a named export, a union of literals, a module`];
    });
    expect(findings).toEqual([]);
  });

  it("leaves nothing for later: an open end is an issue, not a comment", () => {
    const marks = new RegExp(["FIX" + "ME", "TO" + "DO", "XX" + "X"].map((word) => `\\b${word}\\b`).join("|"));
    expect(find(marks, "finish it, or write it into the list of what is left out")).toEqual([]);
  });

  it("names no directory of a developer's machine and no host of a registry", () => {
    const places = new RegExp(
      ["/" + "work/(main|shared)", "/" + "root/", "/" + "home/[a-z]", "registry" + "\\.npmjs"].join("|"),
    );
    expect(find(places, "use a path relative to the project, a temporary directory, or none")).toEqual([]);
  });
});

function isCode(file: ProjectFile): boolean {
  return /\.(ts|mjs|cc|h|sh|gyp)$/.test(file.path) || file.path === ".ci/run";
}

function find(pattern: RegExp, fix: string): readonly string[] {
  return files
    .filter((file) => file.path !== "package-lock.json")
    .flatMap((file) => {
      const at = file.text.search(pattern);
      return at < 0
        ? []
        : [`${file.path}:${lineOf(file, at)}: ${file.text.slice(at, at + 30).split("\n")[0] ?? ""}: ${fix}`];
    });
}
