/**
 * CONFIG: what clients and tools ask for, as far as it has a meaning here. Most of it comes from the configuration file
 * and cannot be changed; a few parameters can, until the next start.
 */
import { isLoopback } from "../cluster/units.js";
import { parseEvents } from "./change-feed.js";
import type { Handler } from "./client.js";
import { globMatches } from "./glob.js";
import { cString, SYNTAX_ERROR } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { ServerContext } from "./server-context.js";
import { MAX_SLOW_ENTRIES } from "./slow-log.js";
import type { Arguments } from "./stored-arguments.js";

interface Parameter {
  readonly name: string;
  readonly get: (context: ServerContext) => string;
  /** Null: cannot be changed. */
  readonly set: NumberSetter | TextSetter | null;
}

type Setter = (context: ServerContext, value: number) => void;

interface NumberSetter {
  readonly min: number;
  readonly max: number;
  readonly to: Setter;
}

/** What the text means to be done; null: it is not understood. */
interface TextSetter {
  readonly read: (text: string) => ((context: ServerContext) => void) | null;
}

function fixed(name: string, get: Parameter["get"]): Parameter {
  return { name, get, set: null };
}

function changeable(name: string, get: Parameter["get"], min: number, max: number, to: Setter): Parameter {
  return { name, get, set: { min, max, to } };
}

function readEvents(text: string): ((context: ServerContext) => void) | null {
  const events = parseEvents(text);
  if (events === null) return null;
  return ({ settings, feed }) => {
    settings.notifyEvents = text;
    feed.events = events;
  };
}

/** In seconds and milliseconds beyond this nothing is waited for. */
const MAX_TIME = 2 ** 31 - 1;

const PARAMETERS: readonly Parameter[] = [
  fixed("appendfsync", ({ config }) => (config.storage.durability === "flush" ? "always" : "no")),
  fixed("appendonly", () => "yes"),
  fixed("bind", ({ config }) => config.listen.host),
  fixed("cluster-enabled", () => "no"),
  fixed("databases", () => "1"),
  changeable(
    "latency-monitor-threshold",
    ({ settings }) => String(settings.latencyThresholdMs),
    0,
    MAX_TIME,
    ({ settings }, value) => {
      settings.latencyThresholdMs = value;
    },
  ),
  fixed("maxclients", ({ limits }) => String(limits.maxClients)),
  fixed("maxmemory", () => "0"),
  fixed("maxmemory-policy", () => "noeviction"),
  { name: "notify-keyspace-events", get: ({ settings }) => settings.notifyEvents, set: { read: readEvents } },
  fixed("port", ({ port }) => String(port)),
  fixed("proto-max-bulk-len", ({ limits }) => String(limits.maxValueBytes)),
  fixed("protected-mode", ({ config }) => (isLoopback(config.listen.host) ? "yes" : "no")),
  fixed("save", () => ""),
  changeable(
    "slowlog-log-slower-than",
    ({ settings }) => (Number.isFinite(settings.slowerThanUs) ? String(settings.slowerThanUs) : "-1"),
    -1,
    Number.MAX_SAFE_INTEGER,
    ({ settings }, value) => {
      settings.slowerThanUs = value < 0 ? Number.POSITIVE_INFINITY : value;
    },
  ),
  changeable(
    "slowlog-max-len",
    ({ settings }) => String(settings.slowLogEntries),
    0,
    MAX_SLOW_ENTRIES,
    ({ settings, slowLog }, value) => {
      settings.slowLogEntries = value;
      slowLog.trim(value);
    },
  ),
  fixed("tcp-keepalive", () => "300"),
  changeable(
    "timeout",
    ({ settings }) => String(settings.idleSeconds),
    0,
    MAX_TIME,
    ({ settings }, value) => {
      settings.idleSeconds = value;
    },
  ),
];

export const configGet: Handler = ({ context, out }, args) => {
  const patterns: string[] = [];
  for (let index = 2; index < args.argc; index++) patterns.push(args.latin1(index).toLowerCase());
  const found = PARAMETERS.filter(({ name }) => patterns.some((pattern) => globMatches(pattern, name)));
  out.map(found.length);
  for (const { name, get } of found) {
    out.text(name);
    out.text(get(context));
  }
};

type Change = (context: ServerContext) => void;

/** All of what is named, or nothing. */
export const configSet: Handler = ({ context, out }, args) => {
  const changes = changesFrom(out, args);
  if (changes === null) return;
  for (const change of changes) change(context);
  out.simple("OK");
};

/** Null: an error was written. */
function changesFrom(out: ReplyWriter, args: Arguments): readonly Change[] | null {
  if (args.argc % 2 !== 0) {
    out.error(SYNTAX_ERROR);
    return null;
  }
  const changes = new Map<string, Change>();
  for (let at = 2; at < args.argc; at += 2) {
    const name = args.latin1(at).toLowerCase();
    const parameter = PARAMETERS.find((one) => one.name === name);
    const change = parameter === undefined ? null : changeOf(parameter, args.latin1(at + 1));
    if (change === null) {
      out.error(`ERR Unknown option or number of arguments for CONFIG SET - '${cString(args.latin1(at))}'`);
      return null;
    }
    const problem = changes.has(name) ? "duplicate parameter" : typeof change === "string" ? change : null;
    if (problem !== null || typeof change === "string") {
      out.error(
        `ERR CONFIG SET failed (possibly related to argument '${cString(args.latin1(at))}') - ${problem ?? ""}`,
      );
      return null;
    }
    changes.set(name, change);
  }
  return [...changes.values()];
}

/** The change, or why it cannot be. */
function changeOf({ set }: Parameter, text: string): Change | string {
  if (set === null) return "can't set immutable config";
  if ("read" in set) return set.read(text) ?? "Invalid event class character. Use 'g$lshzxeKEtmdnA'.";
  const value = /^-?[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) return "argument couldn't be parsed into an integer";
  if (value < set.min || value > set.max) {
    return `argument must be between ${String(set.min)} and ${String(set.max)} inclusive`;
  }
  const { to } = set;
  return (context) => {
    to(context, value);
  };
}

export const configResetStat: Handler = ({ context, out }) => {
  context.counters.reset();
  for (const writer of [context.out, context.scratch]) {
    writer.errors = 0;
    writer.errorCodes.clear();
  }
  for (const command of context.commands.all) {
    for (const one of [command, ...(command.subcommands?.all ?? [])]) one.resetCounts();
  }
  out.simple("OK");
};

export const configRewrite: Handler = ({ out }) => {
  out.error("ERR the configuration file belongs to the operator and is not written by the server");
};
