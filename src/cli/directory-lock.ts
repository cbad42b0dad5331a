/**
 * One `cluster up` per directory: a file that holds the process id of the one that runs. The volumes have locks of
 * their own that no crash can leave behind; this one only keeps a second command from rewriting the configuration of a
 * cluster that runs, so a stale file is recognised and taken over.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, EXIT } from "./exit.js";

/** Takes the directory; answers how to give it back. Throws CommandError when another one runs there. */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, "cluster.pid");
  const owner = readOwner(file);
  if (owner !== null && owner !== process.pid && isClusterUp(owner)) {
    throw new CommandError(
      EXIT.data,
      `${directory} is in use by another "plogdb cluster up" (process ${owner}); end it, or name another directory after --dir`,
    );
  }
  writeFileSync(file, `${process.pid}\n`, { mode: 0o600 });
  return () => {
    if (readOwner(file) === process.pid) rmSync(file, { force: true });
  };
}

function readOwner(file: string): number | null {
  try {
    const pid = Number(readFileSync(file, "utf8").trim());
    return Number.isInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null; // no file: nobody holds the directory
  }
}

/** Process ids are used again: only a process that runs this command counts. */
function isClusterUp(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.includes("cluster") && words.includes("up");
  } catch {
    return false; // no such process
  }
}
