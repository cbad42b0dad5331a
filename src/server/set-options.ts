/**
 * The words after SET key value and GETEX key, read as Redis reads them: which may stand together, which may be said
 * twice, and that times are looked at only when all words were understood.
 */
import { type Condition } from "../paxos/operation.js";
import { deadlineOf, digitsAt, type TimeForm } from "./arguments.js";
import type { Arguments } from "./stored-arguments.js";

export const ALWAYS: Condition = { kind: "none" };
export const IF_ABSENT: Condition = { kind: "absent" };
export const IF_PRESENT: Condition = { kind: "present" };

const DIGEST = /^[0-9a-f]{16}$/;
export const BAD_DIGEST = "ERR digest must be exactly 16 hexadecimal characters";

type TimeWord = "ex" | "px" | "exat" | "pxat";

export const TIME_FORMS: Readonly<Record<TimeWord, TimeForm>> = {
  ex: { unitMs: 1000, from: "now" },
  px: { unitMs: 1, from: "now" },
  exat: { unitMs: 1000, from: "epoch" },
  pxat: { unitMs: 1, from: "epoch" },
};
const TIME_WORDS: readonly TimeWord[] = ["ex", "px", "exat", "pxat"];
const CONDITION_WORDS = ["ifeq", "ifne", "ifdeq", "ifdne"] as const;

/** What the words said; the time is still an argument. */
export interface Options {
  condition: Condition | null;
  returnOld: boolean;
  /** "keep": KEEPTTL; "drop": PERSIST. */
  deadline: TimeWord | "keep" | "drop" | null;
  timeAt: number;
}

/** Words from argument `index` on, or the error. */
export function readOptions(args: Arguments, index: number, command: "set" | "getex"): Options | "syntax" | "digest" {
  const options: Options = { condition: null, returnOld: false, deadline: null, timeAt: 0 };
  const { argc } = args;
  let at = index;
  while (at < argc) {
    const taken = readTime(args, at, command, options) || (command === "set" ? readSetWord(args, at, options) : 0);
    if (taken === "digest") return "digest";
    if (taken === 0) return "syntax";
    at += taken;
  }
  return options;
}

/** How many arguments were taken; 0 = none of these words, or not here. */
function readTime(args: Arguments, at: number, command: "set" | "getex", options: Options): number {
  const [word, deadline] = command === "set" ? (["keepttl", "keep"] as const) : (["persist", "drop"] as const);
  if (args.is(at, word)) {
    if (options.deadline !== null && options.deadline !== deadline) return 0;
    options.deadline = deadline;
    return 1;
  }
  const time = TIME_WORDS.find((name) => args.is(at, name));
  if (time === undefined || at + 1 >= args.argc) return 0;
  if (options.deadline !== null && options.deadline !== time) return 0;
  options.deadline = time;
  options.timeAt = at + 1;
  return 2;
}

function readSetWord(args: Arguments, at: number, options: Options): number | "digest" {
  if (args.is(at, "get")) {
    options.returnOld = true;
    return 1;
  }
  const plain = args.is(at, "nx") ? IF_ABSENT : args.is(at, "xx") ? IF_PRESENT : null;
  if (plain !== null) {
    if (options.condition !== null && options.condition !== plain) return 0;
    options.condition = plain;
    return 1;
  }
  if (options.condition !== null) return 0;
  const condition = readCondition(args, at);
  if (condition === null || condition === "digest") return condition ?? 0;
  options.condition = condition;
  return 2;
}

/** IFEQ and its kin, with their operand behind them; null: another word, or nothing behind it. */
export function readCondition(args: Arguments, at: number): Condition | "digest" | null {
  const word = CONDITION_WORDS.find((name) => args.is(at, name));
  if (word === undefined || at + 1 >= args.argc) return null;
  if (word === "ifeq" || word === "ifne") {
    return { kind: word === "ifeq" ? "equal" : "different", value: args.bytes(at + 1) };
  }
  const digest = args.bytesOf(at + 1) === 16 ? args.latin1(at + 1).toLowerCase() : "";
  return DIGEST.test(digest) ? { kind: word === "ifdeq" ? "digest" : "other-digest", digest } : "digest";
}

/** The deadline at argument `index` for commands that take times above zero only. */
export function positiveDeadline(args: Arguments, index: number, form: TimeForm): number | "integer" | "time" {
  const digits = digitsAt(args, index);
  if (digits === null) return "integer";
  if (digits === "0" || digits.startsWith("-")) return "time";
  return deadlineOf(digits, form) ?? "time";
}
