/**
 * `plogdb bench disk --verify`: write until the power goes, then see whether everything that was acknowledged is there.
 * What put number n wrote (key, length, bytes) follows from the seed and n alone, so that the check needs nothing but
 * the progress log: which puts were acknowledged. The log is JSON lines, one per acknowledged batch, to a file, or to
 * stdout ("-") so that another machine can keep it when this one loses its power.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Key, userKey } from "../base/key.js";
import { Random } from "../base/random.js";
import { BenchStore } from "./bench-store.js";
import { CommandError, EXIT, type ExitCode } from "./exit.js";
import type { Output } from "./output.js";
import { exitNow, watchStopSignals } from "./stop-signal.js";

export interface VerifyOptions {
  readonly dir: string;
  readonly sizeBytes: number;
  readonly seed: number;
  /** Progress log; "-" is stdout or stdin; undefined: beside the data. */
  readonly state: string | undefined;
  readonly keys: number;
  /** 0: until stopped or killed. */
  readonly seconds: number;
}

const BATCH = 32;
const UNDER_WAY = 4;
const CACHE_BYTES = 16 << 20;
const STATE_FILE = "verify.jsonl";
const SMALL_BYTES = 600;
const LARGE_BYTES = 40_000;
const LARGE_IN = 64;
const WRONG_TOLD = 20;

const planShape = z.object({ event: z.literal("plan"), seed: z.number(), keys: z.number(), first: z.number() });
const progressShape = z.object({ event: z.literal("acknowledged"), through: z.number() });
type Plan = z.infer<typeof planShape>;

/** A stretch of puts that one process wrote: numbers first to through were acknowledged. */
interface Session {
  readonly plan: Plan;
  through: number;
}

function randomOf(seed: number, serial: number): Random {
  return new Random(Math.imul(seed + 1, 0x9e3779b1) ^ (serial >>> 0) ^ Math.imul(Math.floor(serial / 2 ** 32), 40_503));
}

export function keyOf(plan: Plan, serial: number): Key {
  return userKey(`v${String(randomOf(plan.seed, serial).below(plan.keys)).padStart(14, "0")}`);
}

export function valueOf(plan: Plan, serial: number): Uint8Array {
  const random = randomOf(plan.seed, serial);
  random.next32(); // the key's
  const bytes = random.below(LARGE_IN) === 0 ? random.below(LARGE_BYTES) : random.below(SMALL_BYTES);
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.next32();
  return new Uint8Array(words.buffer, 0, bytes);
}

function stateOf(options: VerifyOptions): string {
  if (options.state !== undefined) return options.state;
  if (statSync(options.dir, { throwIfNoEntry: false })?.isDirectory() === true) return join(options.dir, STATE_FILE);
  throw new CommandError(EXIT.usage, "--state: say where the progress log is, since --dir is no directory");
}

export async function verifyWrite(options: VerifyOptions, output: Output): Promise<ExitCode> {
  const stop = watchStopSignals(exitNow);
  const store = await BenchStore.open({ path: options.dir, sizeBytes: options.sizeBytes, cacheBytes: CACHE_BYTES });
  const state = stateOf(options);
  const toStdout = state === "-";
  const log = toStdout ? process.stdout.fd : openSync(state, "a", 0o600);
  const say = (line: object): void => {
    writeSync(log, `${JSON.stringify(line)}\n`);
  };
  const plan: Plan = { event: "plan", seed: options.seed, keys: options.keys, first: store.highestSerial() + 1 };
  say(plan);
  if (!toStdout) output.line(`writing behind put ${plan.first}; progress in ${state}; kill me, then --verify check`);
  const ended = await writeOn(store, plan, say, deadlineOf(options, stop.isWanted));
  await store.close();
  if (!toStdout) closeSync(log);
  if (ended !== "ok") throw new CommandError(EXIT.failed, `a batch ended with ${ended}: nothing more can be written`);
  return EXIT.ok;
}

function deadlineOf(options: VerifyOptions, isWanted: () => boolean): () => boolean {
  const end = options.seconds === 0 ? Number.POSITIVE_INFINITY : performance.now() + options.seconds * 1000;
  return () => isWanted() || performance.now() >= end;
}

/** Several batches under way; ends when `isOver`, or with the first status that is not ok. */
async function writeOn(
  store: BenchStore,
  plan: Plan,
  say: (line: object) => void,
  isOver: () => boolean,
): Promise<string> {
  let next = plan.first;
  let bad = "ok";
  const lane = async (): Promise<void> => {
    while (bad === "ok" && !isOver()) {
      const first = next;
      next += BATCH;
      const serials = Array.from({ length: BATCH }, (_, i) => first + i);
      const puts = serials.map((serial) => ({ key: keyOf(plan, serial), serial, value: valueOf(plan, serial) }));
      const status = await store.put(puts);
      // Batches end in order, so that everything up to here is acknowledged.
      if (status === "ok" && bad === "ok") say({ event: "acknowledged", through: first + BATCH - 1 });
      else if (bad === "ok") bad = status;
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, lane));
  return bad;
}

/** All sessions of a log. A last line that was cut short says nothing. */
export function readSessions(text: string): readonly Session[] {
  const sessions: Session[] = [];
  for (const line of text.split("\n").slice(0, -1)) {
    const parsed: unknown = JSON.parse(line);
    const plan = planShape.safeParse(parsed);
    if (plan.success) {
      sessions.push({ plan: plan.data, through: plan.data.first - 1 });
      continue;
    }
    const last = sessions.at(-1);
    if (last !== undefined) last.through = Math.max(last.through, progressShape.parse(parsed).through);
  }
  return sessions;
}

/** The newest acknowledged put of every key. */
function expectedOf(sessions: readonly Session[]): Map<Key, number> {
  const expected = new Map<Key, number>();
  for (const { plan, through } of sessions) {
    for (let serial = plan.first; serial <= through; serial++) expected.set(keyOf(plan, serial), serial);
  }
  return expected;
}

export async function verifyCheck(options: VerifyOptions, output: Output): Promise<ExitCode> {
  const state = stateOf(options);
  if (state !== "-" && !existsSync(state)) throw new CommandError(EXIT.usage, `--state: there is no ${state}`);
  const sessions = readSessions(readFileSync(state === "-" ? process.stdin.fd : state, "utf8"));
  if (sessions.length === 0) throw new CommandError(EXIT.usage, `${state} holds no plan: run --verify write first`);
  const expected = expectedOf(sessions);
  const store = await BenchStore.open({ path: options.dir, sizeBytes: options.sizeBytes, cacheBytes: CACHE_BYTES });
  const wrong: string[] = [];
  if (store.facts.fresh) wrong.push("the store was empty and has been made anew");
  if (store.facts.unknownLosses > 0) wrong.push(`${store.facts.unknownLosses} places lost acknowledged data`);
  let newer = 0;
  for (const [key, serial] of expected) {
    const found = await problemOf(store, sessions, key, serial);
    if (found === "newer") newer++;
    else if (found !== "same") wrong.push(found);
  }
  await store.close();
  if (store.damaged > 0) wrong.push(`${store.damaged} live records are damaged`);
  const acknowledged = sessions.reduce((sum, { plan, through }) => sum + through + 1 - plan.first, 0);
  output.event("verified", {
    sessions: sessions.length,
    acknowledged,
    keys: expected.size,
    newer,
    wrong: wrong.length,
  });
  for (const what of wrong.slice(0, WRONG_TOLD)) {
    output.event("wrong", { what });
    output.line(what);
  }
  output.line(
    `${acknowledged} acknowledged puts in ${sessions.length} sessions, ${expected.size} keys: ${wrong.length} wrong, ` +
      `${newer} newer than the last acknowledgement`,
  );
  return wrong.length === 0 ? EXIT.ok : EXIT.data;
}

/** "same", "newer" (a put that reached the disk unheard), or what is wrong. */
async function problemOf(store: BenchStore, sessions: readonly Session[], key: Key, expected: number): Promise<string> {
  const serial = store.serialOf(key);
  const name = `${key.slice(1)}: put ${expected} was acknowledged`;
  if (serial === null) return `${name}, the key is absent`;
  if (serial === "corrupt") return `${name}, the key is corrupt`;
  if (serial < expected) return `${name}, the older put ${serial} is there`;
  const plan = sessions.findLast((session) => session.plan.first <= serial)?.plan;
  if (plan === undefined || keyOf(plan, serial) !== key)
    return `${name}, put ${serial} is there, which is another key's`;
  const { status, value } = await store.read(key);
  if (status !== "ok" || value === null) return `${name}, reading put ${serial} ends with ${status}`;
  if (Buffer.compare(value, valueOf(plan, serial)) !== 0) return `${name}, the bytes of put ${serial} are wrong`;
  return serial === expected ? "same" : "newer";
}
