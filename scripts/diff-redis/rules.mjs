// Where our replies may differ from those of Redis, each with its reason. docs/commands.md lists them from here. A rule
// without `allows` is never met by the generator: what it names is left out of the streams, because it would put the two
// servers into different states.
import { parse } from "./wire.mjs";

const CLOCK_MS = 10_000;

const ours = (reply) => parse(reply.ours);
const theirs = (reply) => parse(reply.theirs);
const isError = (bytes) => bytes[0] === 0x2d;
const bothFine = (reply) => !isError(reply.ours) && !isError(reply.theirs);

function close(reply, unitMs) {
  const [a, b] = [ours(reply), theirs(reply)];
  return typeof a === "number" && typeof b === "number" && a > 0 && b > 0 && Math.abs(a - b) * unitMs <= CLOCK_MS;
}

const names =
  (...all) =>
  (reply) =>
    all.includes(reply.name);
const oursSays = (text) => (reply) => isError(reply.ours) && reply.ours.toString("latin1").startsWith(`-${text}`);

export const RULES = [
  {
    name: "clock",
    commands: "TTL PTTL EXPIRETIME PEXPIRETIME TIME",
    reason: "The two servers take a relative time at different moments; a few seconds are allowed for.",
    applies: names("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "TIME"),
    allows: (reply) => (reply.name === "TIME" ? bothFine(reply) : close(reply, reply.name.startsWith("P") ? 1 : 1000)),
  },
  {
    name: "identity",
    commands: "HELLO, CLIENT ID/INFO/LIST",
    reason: "Number of the connection, addresses, and the version (7.2.0 is what clients are told here).",
    applies: names("HELLO", "CLIENT ID", "CLIENT INFO", "CLIENT LIST"),
    allows: (reply) => bothFine(reply) && reply.ours[0] === reply.theirs[0],
  },
  {
    name: "figures",
    commands: "INFO, CONFIG GET, SLOWLOG GET/LEN, DBSIZE",
    reason:
      "They tell of another program: other fields, other parameters, other counts. DBSIZE counts what this node holds.",
    applies: names("INFO", "CONFIG GET", "SLOWLOG GET", "SLOWLOG LEN", "DBSIZE"),
    allows: (reply) => bothFine(reply) && reply.ours[0] === reply.theirs[0],
  },
  {
    name: "cluster",
    commands: "CLUSTER INFO, READONLY, READWRITE, ASKING",
    reason: "A cluster is asked here, and a single redis-server there.",
    applies: names("CLUSTER", "CLUSTER INFO", "READONLY", "READWRITE", "ASKING"),
    allows: (reply) => isError(reply.theirs) && !isError(reply.ours),
  },
  {
    name: "help",
    commands: "HELP of CLIENT, COMMAND, CONFIG, LATENCY, SLOWLOG",
    reason: "The list is made from our own table.",
    applies: (reply) => reply.name.endsWith(" HELP"),
    allows: bothFine,
  },
  {
    name: "fewer-commands",
    commands: "COMMAND, COMMAND COUNT/DOCS/LIST",
    reason:
      "Strings only; the table above lists what there is. DOCS says what a command is for, not its arguments; key " +
      "specifications (COMMAND INFO, GETKEYSANDFLAGS) have no notes, and SET's flags there do not depend on its options.",
    applies: (reply) =>
      names("COMMAND", "COMMAND COUNT", "COMMAND DOCS", "COMMAND LIST")(reply) ||
      (reply.name === "COMMAND INFO" && reply.argc === 2),
    allows: bothFine,
  },
  {
    name: "crosskey",
    commands: "MULTI, WATCH, MSETNX",
    reason: "What is atomic is one key's log: a transaction, what it watches and MSETNX are about one key.",
    applies: () => true,
    allows: (reply) => oursSays("CROSSKEY")(reply) || (reply.name === "EXEC" && oursSays("EXECABORT")(reply)),
  },
  {
    name: "not-queued",
    commands: "SCAN, KEYS, PLOG, MONITOR between MULTI and EXEC",
    reason: "They look at many keys, at many nodes or at other clients, and cannot be a step of one key's change.",
    applies: names("SCAN", "KEYS"),
    allows: oursSays("ERR Command not allowed inside a transaction"),
  },
  {
    name: "far-deadline",
    commands: "SET, GETEX, EXPIRE and their kin",
    reason: "A deadline is at most 2^53 ms after 1970 (the year 287396); Redis goes on to 2^63 ms.",
    applies: () => true,
    allows: (reply) => oursSays("ERR invalid expire time in")(reply) && reply.farTime,
  },
  {
    name: "debug",
    commands: "DEBUG",
    reason: "It is off and there is no way to switch it on; the error of Redis says how.",
    applies: names("DEBUG"),
    allows: (reply) => oursSays("ERR DEBUG command not allowed.")(reply) && isError(reply.theirs),
  },
  {
    name: "order-of-keys",
    commands: "KEYS, SCAN",
    reason: "Keys come in the order of another hash, cursors are other numbers; whole results are compared as sets.",
    applies: () => true,
    allows: null,
  },
  {
    name: "learned-later",
    commands: "SCAN, KEYS, DBSIZE",
    reason:
      "They see what this node holds. A key written a moment ago may be held by a majority without it, until it learns.",
    applies: () => true,
    allows: null,
  },
  {
    name: "undecided",
    commands: "all",
    reason:
      "-UNKNOWN, -NOQUORUM and -BUSY of a loaded cluster; the episode is run again, and four times in a row count as a difference.",
    applies: () => true,
    allows: null,
  },
  {
    name: "watch-state",
    commands: "WATCH",
    reason:
      "A key that was absent, was made and was deleted again is absent: EXEC takes place. Redis counts the touch.",
    applies: () => true,
    allows: null,
  },
  {
    name: "limits",
    commands: "all",
    reason:
      "Keys have at most 16 KiB, values storage.maxValue (16 MiB), what a transaction queues as much, a command 131,072 " +
      "arguments; Redis takes 512 MiB and 2^31.",
    applies: () => true,
    allows: (reply) =>
      oursSays("ERR key is too long")(reply) || oursSays("ERR Protocol error: invalid multibulk length")(reply),
  },
  {
    name: "strict-requests",
    commands: "all",
    reason:
      "A bulk string must end with CRLF; Redis takes any two bytes for its end, and goes on in the middle of something.",
    applies: () => true,
    allows: oursSays("ERR Protocol error: expected CRLF after a bulk string"),
  },
  {
    name: "mset",
    commands: "MSET, DEL, UNLINK",
    reason: "Not atomic across keys: others may see some of the keys changed and some not yet.",
    applies: () => true,
    allows: null,
  },
  {
    name: "guarded-keys",
    commands: "KEYS",
    reason: "Refused at a node that holds more than 10,000 keys, or 20,000 with those that were deleted.",
    applies: () => true,
    allows: null,
  },
];

/** The rule that explains why the replies differ, or null. */
export function explain(reply) {
  return RULES.find((rule) => rule.allows !== null && rule.applies(reply) && rule.allows(reply)) ?? null;
}
