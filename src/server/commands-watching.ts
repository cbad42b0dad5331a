/** For operators who look: SLOWLOG, LATENCY and MONITOR. All of them are bounded, none slows the others down for long. */
import { clientBytes } from "../base/key.js";
import { digitsAt } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import type { Command } from "./command-table.js";
import { LATENCY_KINDS } from "./latency-events.js";
import { NOT_INTEGER, subcommandSyntax, SYNTAX_ERROR } from "./replies.js";
import type { Arguments } from "./stored-arguments.js";

const USUAL_ENTRIES = 10;
const USUAL_HOT_KEYS = 16;
/** More monitors at once are refused. */
const MAX_MONITORS = 8;
/** Of each command a monitor sees so many arguments, and so many bytes of each. */
const SHOWN_ARGUMENTS = 16;
const SHOWN_BYTES = 64;

export const slowlogGet: Handler = (client, args) => {
  const { entries } = client.context.slowLog;
  if (args.argc > 3) {
    subcommandSyntax(client.out, "slowlog", args.latin1(1));
    return;
  }
  const wanted = args.argc > 2 ? Number(digitsAt(args, 2) ?? -2) : USUAL_ENTRIES;
  if (wanted < -1) {
    client.out.error("ERR count should be greater than or equal to -1");
    return;
  }
  const shown = wanted === -1 ? entries : entries.slice(0, wanted);
  const { out } = client;
  out.array(shown.length);
  for (const { id, atSeconds, durationUs, words, address, clientName } of shown) {
    out.array(6);
    out.integer(id);
    out.integer(atSeconds);
    out.integer(durationUs);
    out.array(words.length);
    for (const word of words) out.bulk(Buffer.from(word, "latin1"));
    out.text(address);
    out.text(clientName);
  }
};

export const slowlogLength: Handler = (client) => {
  client.out.integer(client.context.slowLog.entries.length);
};

export const slowlogReset: Handler = (client) => {
  client.context.slowLog.trim(0);
  client.out.simple("OK");
};

export const latencyLatest: Handler = ({ context, out }) => {
  const { all } = context.latencyEvents;
  out.array(all.length);
  for (const [kind, { moments, maxMs }] of all) {
    const last = moments.at(-1);
    out.array(4);
    out.text(kind);
    out.integer(last?.atSeconds ?? 0);
    out.integer(last?.durationMs ?? 0);
    out.integer(maxMs);
  }
};

export const latencyHistory: Handler = ({ context, out }, args) => {
  const history = context.latencyEvents.all.find(([kind]) => args.is(2, kind))?.[1];
  out.array(history?.moments.length ?? 0);
  for (const { atSeconds, durationMs } of history?.moments ?? []) {
    out.array(2);
    out.integer(atSeconds);
    out.integer(durationMs);
  }
};

export const latencyReset: Handler = ({ context, out }, args) => {
  const named = (kind: string): boolean =>
    args.argc === 2 || Array.from({ length: args.argc }, (_, at) => at > 1 && args.is(at, kind)).some(Boolean);
  out.integer(LATENCY_KINDS.filter((kind) => named(kind) && context.latencyEvents.forget(kind)).length);
};

/** HOTKEYS [COUNT n]: of each its name, about how many operations of late, and by how much that may be too high. */
export const hotkeys: Handler = ({ context, out }, args) => {
  let most = USUAL_HOT_KEYS;
  if (args.argc > 1) {
    const count = args.argc === 3 && args.is(1, "count") ? Number(digitsAt(args, 2) ?? Number.NaN) : Number.NaN;
    if (!(count >= 1)) {
      out.error(args.argc === 3 && args.is(1, "count") ? NOT_INTEGER : SYNTAX_ERROR);
      return;
    }
    most = count;
  }
  const top = context.hotKeys.top(most);
  out.array(top.length);
  for (const { key, count, excess } of top) {
    out.array(3);
    out.bulk(Buffer.from(clientBytes(key), "latin1"));
    out.integer(count);
    out.integer(excess);
  }
};

export const monitor: Handler = (client) => {
  const { monitors } = client.context;
  if (!monitors.has(client) && monitors.size >= MAX_MONITORS) {
    client.out.error(`ERR there are ${String(MAX_MONITORS)} monitors already`);
    return;
  }
  monitors.add(client);
  client.out.simple("OK");
};

/** A line for every monitor that keeps up; the others miss it, and how many were missed is counted. */
export function showMonitors(client: Client, args: Arguments, command: Command): void {
  const { flags, name } = command.spec;
  if (flags.includes("admin") || flags.includes("skip_slowlog") || name === "auth" || name === "hello") return;
  const { monitors, counters } = client.context;
  const line = Buffer.from(`+${monitorLine(client, args)}\r\n`, "latin1");
  for (const one of monitors) if (!one.push(line)) counters.monitorLinesDropped++;
}

function monitorLine(client: Client, args: Arguments): string {
  const words: string[] = [];
  for (let index = 0; index < Math.min(args.argc, SHOWN_ARGUMENTS); index++) words.push(shown(args, index));
  if (args.argc > SHOWN_ARGUMENTS) words.push(`... (${String(args.argc - SHOWN_ARGUMENTS)} more arguments)`);
  return `${(Date.now() / 1000).toFixed(6)} [0 ${client.remoteAddress}] ${words.join(" ")}`;
}

function shown(args: Arguments, index: number): string {
  const bytes = args.bytes(index);
  let text = "";
  for (const byte of bytes.subarray(0, SHOWN_BYTES)) text += escaped(byte);
  const more = bytes.length - SHOWN_BYTES;
  return more > 0 ? `"${text}..." (${String(more)} more bytes)` : `"${text}"`;
}

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

function escaped(byte: number): string {
  if (byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c) return String.fromCharCode(byte);
  return ESCAPES.get(byte) ?? `\\x${byte.toString(16).padStart(2, "0")}`;
}
