// Records a peer's I/O with strace, its flushes slowed to those of a disk so that group commit gathers as it would there,
// and rewrites the calls into the short lines that native/bench/hdd_replay.cc reads.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SYSTEMS } from "./systems/index.mjs";

const PEER = fileURLToPath(new URL("./hdd-peer.mjs", import.meta.url));
const CALLS =
  "openat,lseek,pwrite64,write,writev,pwritev,pwritev2,fsync,fdatasync,msync,sync_file_range,ftruncate,fallocate";
const FLUSH_US = 8000;

function run(command, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ended with ${code}`));
    });
  });
}

export function preparePeer(job) {
  const { env } = SYSTEMS[job.system];
  return run(process.execPath, [PEER, JSON.stringify({ ...job, phase: "prepare" })], env);
}

/** Writes the lines to `file`; answers what the peer said of itself and what the trace could not tell. */
export async function recordPeer(job, file) {
  const sizes = new Map(readdirSync(job.dir).map((name) => [join(job.dir, name), statSync(join(job.dir, name)).size]));
  const logs = mkdtempSync(join(job.dir, "..", "strace-"));
  const { env } = SYSTEMS[job.system];
  const flags = ["-ff", "-ttt", "-y", "-s", "0", "--seccomp-bpf", "-o", join(logs, "log"), "-e", `trace=${CALLS}`];
  const slow = ["-e", `inject=fsync,fdatasync:delay_exit=${FLUSH_US}`];
  const driver = [process.execPath, PEER, JSON.stringify({ ...job, phase: "record" })];
  const said = JSON.parse(await run("strace", ["-f", ...flags, ...slow, ...driver], env));
  const texts = readdirSync(logs).map((name) => readFileSync(join(logs, name), "latin1"));
  rmSync(logs, { recursive: true });
  const { lines, unknown } = translate(callsOf(texts), job.dir, sizes, said.puts);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return { ...said, unknown };
}

/** All threads' calls, a text each, in the order in which they began. */
export function callsOf(texts) {
  const calls = [];
  for (const line of texts.flatMap((text) => text.split("\n"))) {
    const match = /^(\d+\.\d+) (\w+)\((.*)\)\s+= (-?\d+)(?:<([^>]*)>)?/.exec(line);
    if (match === null) continue;
    const [, at, call, args, result, path] = match;
    calls.push({ at: Number(at), call, args, result: Number(result), path });
  }
  return calls.sort((a, b) => a.at - b.at);
}

/** The replay's lines, and how many calls they leave out that may have written. `sizes`: files that were there before. */
export function translate(calls, dir, sizes, puts) {
  const state = { dir, sizes, ids: new Map(), open: new Map(), lines: [], unknown: 0 };
  for (const call of calls) {
    if (call.call === "openat") opened(state, call, puts);
    else if (call.result >= 0) transferred(state, call);
  }
  return state;
}

function opened(state, { args, result, path }, puts) {
  if (args.includes("bench-begins")) state.lines.push("b 0");
  if (args.includes("bench-ends")) state.lines.push(`e ${puts}`);
  if (result < 0) return;
  state.open.delete(result);
  if (path === undefined || !path.startsWith(state.dir)) return;
  const id = idOf(state, path);
  if (args.includes("O_TRUNC")) {
    state.sizes.set(path, 0);
    state.lines.push(`t ${id} 0`);
  }
  state.open.set(result, {
    path,
    position: args.includes("O_APPEND") ? (state.sizes.get(path) ?? 0) : 0,
    durable: /O_D?SYNC/.test(args),
  });
}

function idOf(state, path) {
  let id = state.ids.get(path);
  if (id === undefined) {
    id = state.ids.size + 1;
    state.ids.set(path, id);
    const size = state.sizes.get(path);
    if (size !== undefined) state.lines.push(`i ${id} ${size}`);
  }
  return id;
}

function transferred(state, { call, args, result }) {
  const fd = Number(/^(\d+)</.exec(args)?.[1] ?? -1);
  const file = state.open.get(fd);
  if (call === "msync") state.unknown++;
  if (file === undefined) return;
  const id = idOf(state, file.path);
  const numbers = args.split(", ");
  switch (call) {
    case "lseek":
      file.position = result;
      return;
    case "fsync":
    case "fdatasync":
      state.lines.push(`s ${id}`);
      return;
    case "ftruncate":
      state.sizes.set(file.path, Number(numbers[1]));
      state.lines.push(`t ${id} ${numbers[1]}`);
      return;
    case "sync_file_range":
      state.lines.push(`r ${id} ${numbers[1]} ${numbers[2]}`);
      return;
    case "fallocate":
      return; // reserves room; writes no data
    case "write":
    case "writev":
      written(state, file, id, file.position, result);
      file.position += result;
      return;
    case "pwrite64":
    case "pwritev":
      written(state, file, id, Number(numbers.at(-1)), result);
      return;
    case "pwritev2":
      written(state, file, id, Number(numbers.at(-2)), result);
      return;
    default:
      state.unknown++;
  }
}

function written(state, file, id, offset, bytes) {
  if (bytes === 0) return;
  state.sizes.set(file.path, Math.max(state.sizes.get(file.path) ?? 0, offset + bytes));
  state.lines.push(`${file.durable ? "d" : "w"} ${id} ${offset} ${bytes}`);
}
