// The project's own text, for the tidy test: every file that is not ignored, and what each one imports.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

export interface ProjectFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
}

export interface Import {
  /** The file it leads to, relative to the root; empty when there is none. */
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SKIPPED = new Set(["node_modules", "dist", "build", ".git", "data", "coverage", ".cache"]);
const TEXT =
  /\.(ts|mjs|js|cc|h|cpp|hpp|json|yaml|yml|md|sh|gyp|txt|tla|cfg)$|(^|\/)(run|CMakeLists\.txt|Dockerfile|\.clang-format)$/;
const MAX_BYTES = 2 * 2 ** 20;

/** What git would take: tracked files and new ones, without the ignored. In an unpacked archive: everything there is. */
export function projectFiles(): readonly ProjectFile[] {
  return (listWithGit() ?? listByWalking(""))
    .filter((path) => TEXT.test(path) && existsSync(join(ROOT, path)) && statSync(join(ROOT, path)).size < MAX_BYTES)
    .map((path) => {
      const text = readFileSync(join(ROOT, path), "utf8");
      return { path, text, lines: text.split("\n").length - (text.endsWith("\n") ? 1 : 0) };
    });
}

function listWithGit(): readonly string[] | null {
  try {
    const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    const out = execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return out.split("\0").filter((path) => path !== "");
  } catch {
    return null; // no git, or no repository
  }
}

function listByWalking(directory: string): readonly string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(directory, entry.name);
    if (SKIPPED.has(entry.name)) return [];
    return entry.isDirectory() ? listByWalking(path) : [path];
  });
}

/** Relative imports of a TypeScript file, resolved. */
export function importsOf(file: ProjectFile, files: readonly ProjectFile[]): readonly Import[] {
  if (!file.path.endsWith(".ts")) return [];
  const known = new Set(files.map((one) => one.path));
  const found: Import[] = [];
  for (const match of file.text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;"]*?(?:from\s*)?"(\.[^"]+)";|\bimport\("(\.[^"]+)"\)/g,
  )) {
    const text = match[1] ?? match[2] ?? "";
    const target = posix.join(posix.dirname(file.path), text);
    const source = target.replace(/\.js$/, ".ts");
    const path = known.has(source) ? source : existsSync(join(ROOT, dirname(file.path), text)) ? target : "";
    found.push({ path, line: lineOf(file, match.index + match[0].indexOf(text)), text });
  }
  return found;
}

export function lineOf(file: ProjectFile, offset: number): number {
  return file.text.slice(0, offset).split("\n").length;
}

/** The code with comments and string contents blanked, every character still in its place. */
export function withoutCommentsAndStrings(text: string): string {
  const blank = (part: string): string => part.replaceAll(/[^\n]/g, " ");
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, blank);
}
