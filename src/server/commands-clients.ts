/** CLIENT INFO, LIST and KILL: what is told about connections, and ending them. */
import { digitsAt } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import { cString, SYNTAX_ERROR } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Arguments } from "./stored-arguments.js";

function flagsOf(client: Client): string {
  const flags = (client.context.monitors.has(client) ? "O" : "") + (client.transaction === null ? "" : "x");
  return flags === "" ? "N" : flags;
}

function secondsSince(nowMs: number, thenMs: number): string {
  return String(Math.max(0, Math.floor((nowMs - thenMs) / 1000)));
}

function describe(client: Client): string {
  const nowMs = Date.now();
  const queued = client.transaction?.queued.length ?? -1;
  return (
    `id=${String(client.id)} addr=${client.remoteAddress} laddr=${client.localAddress} fd=-1 name=${client.name} ` +
    `age=${secondsSince(nowMs, client.connectedAtMs)} idle=${secondsSince(nowMs, client.lastInputMs)} ` +
    `flags=${flagsOf(client)} db=0 sub=0 psub=0 ssub=0 multi=${String(queued)} ` +
    `qbuf=${String(client.pendingInputBytes)} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 ` +
    `oll=${String(client.pendingReplies)} omem=${String(client.pendingOutputBytes)} tot-mem=0 events=r ` +
    `cmd=${client.lastCommand} user=${client.user?.name ?? "default"} redir=-1 resp=${client.resp3 ? "3" : "2"} ` +
    `lib-name=${client.libName} lib-ver=${client.libVersion}\n`
  );
}

export const clientInfo: Handler = (client) => {
  client.out.verbatim(describe(client));
};

/** Kinds of clients as Redis names them; all of ours are "normal". */
const TYPES: ReadonlySet<string> = new Set(["normal", "master", "replica", "slave", "pubsub"]);

/** CLIENT LIST [TYPE type | ID id ...]. */
export const clientList: Handler = (client, args) => {
  let listed = [...client.context.clients];
  if (args.argc === 4 && args.is(2, "type")) {
    const type = args.latin1(3).toLowerCase();
    if (!TYPES.has(type)) {
      client.out.error(`ERR Unknown client type '${cString(args.latin1(3))}'`);
      return;
    }
    if (type !== "normal") listed = [];
  } else if (args.argc > 3 && args.is(2, "id")) {
    const ids = idsFrom(client.out, args, 3);
    if (ids === null) return;
    listed = listed.filter((one) => ids.has(one.id));
  } else if (args.argc > 2) {
    client.out.error(SYNTAX_ERROR);
    return;
  }
  client.out.verbatim(listed.map(describe).join(""));
};

/** Null: one is none, and the error is written. */
function idsFrom(out: ReplyWriter, args: Arguments, index: number): ReadonlySet<number> | null {
  const ids = new Set<number>();
  for (let at = index; at < args.argc; at++) {
    const digits = digitsAt(args, at);
    if (digits === null) {
      out.error("ERR Invalid client ID");
      return null;
    }
    ids.add(Number(digits));
  }
  return ids;
}

type Filter = (one: Client) => boolean;

/** CLIENT KILL address, or CLIENT KILL with filters, which answers how many there were. */
export const clientKill: Handler = (client, args) => {
  if (args.argc === 3) {
    const address = args.latin1(2);
    const found = [...client.context.clients].filter((one) => one.remoteAddress === address);
    if (found.length === 0) client.out.error("ERR No such client");
    else client.out.simple("OK");
    for (const one of found) kill(client, one);
    return;
  }
  const filters = filtersFrom(client, args);
  if (filters === null) return;
  const found = [...client.context.clients].filter((one) => filters.every((matches) => matches(one)));
  client.out.integer(found.length);
  for (const one of found) kill(client, one);
};

function kill(client: Client, one: Client): void {
  if (one.id === client.id) client.quit();
  else one.destroy();
}

/** Null: an error was written. */
function filtersFrom(client: Client, args: Arguments): Filter[] | null {
  const filters: Filter[] = [];
  let skipSelf = true;
  for (let at = 2; at < args.argc; at += 2) {
    if (at + 1 >= args.argc) {
      client.out.error(SYNTAX_ERROR);
      return null;
    }
    if (args.is(at, "skipme") && (args.is(at + 1, "yes") || args.is(at + 1, "no"))) {
      skipSelf = args.is(at + 1, "yes");
      continue;
    }
    const filter = filterAt(args, at);
    if (typeof filter === "string") {
      client.out.error(filter);
      return null;
    }
    filters.push(filter);
  }
  if (skipSelf) filters.push((one) => one.id !== client.id);
  return filters;
}

/** The filter, or the error. */
function filterAt(args: Arguments, at: number): Filter | string {
  const value = args.latin1(at + 1);
  if (args.is(at, "id")) {
    const id = Number(digitsAt(args, at + 1) ?? 0);
    return id >= 1 ? (one) => one.id === id : "ERR client-id should be greater than 0";
  }
  if (args.is(at, "addr")) return (one) => one.remoteAddress === value;
  if (args.is(at, "laddr")) return (one) => one.localAddress === value;
  if (args.is(at, "type")) {
    const type = value.toLowerCase();
    return TYPES.has(type) ? () => type === "normal" : `ERR Unknown client type '${cString(value)}'`;
  }
  if (args.is(at, "user")) return value === "default" ? () => true : `ERR No such user '${cString(value)}'`;
  return SYNTAX_ERROR;
}
