/**
 * From a parsed command to its handler: finds it, and refuses with the words of Redis what is unknown, has the wrong
 * number of arguments, is too large or comes before the data is there.
 */
import type { Client } from "./client.js";
import type { Command } from "./command-table.js";
import { queue, runsAtOnce } from "./commands-transaction.js";
import { LOADING } from "./pipeline.js";
import { cString, unknownSubcommand } from "./replies.js";
import type { Arguments } from "./stored-arguments.js";
import { endTransaction } from "./transaction.js";
import { denial, NO_AUTH } from "./users.js";

const SHOWN_NAME = 128;
const SHOWN_ARGUMENTS = 128;

/** Runs the command in `args`, or queues it; returns which it was, null when it was refused before that. */
export function dispatch(client: Client, args: Arguments): Command | null {
  // Who it is decides what may be run, so what came behind a password waits for its check, and is taken up again.
  if (client.authenticating && !client.settled()) return null;
  const found = lookUp(client, args);
  if (found === null || !mayRun(client, args, found)) {
    if (client.transaction !== null) client.transaction.broken = true;
    if (found !== null) found.rejected++;
    return null;
  }
  client.command = found;
  if (client.transaction !== null && !runsAtOnce(found)) {
    queue(client, client.transaction, found, args);
    return null;
  }
  found.spec.handler?.(client, args);
  return found;
}

function lookUp(client: Client, args: Arguments): Command | null {
  const command = client.context.commands.find(args, 0);
  if (client.user === null && command?.spec.flags.includes("no_auth") !== true) {
    // As Redis: a stranger is not told which commands there are.
    if (fromBrowser(args)) unknownCommand(client, args);
    else client.out.error(NO_AUTH);
    return null;
  }
  if (command !== null) return withSubcommand(client, args, command);
  unknownCommand(client, args);
  return null;
}

/** False: refused. */
function mayRun(client: Client, args: Arguments, found: Command): boolean {
  const why = refusal(client, args, found);
  if (why === null) return true;
  if (found.spec.name === "exec") {
    endTransaction(client);
    client.out.error(`EXECABORT Transaction discarded because of: ${why.replace(/^ERR /, "")}`);
  } else {
    client.out.error(why);
  }
  return false;
}

/** What a RESP2 connection may say while it is subscribed: its replies could not be told from messages. */
const WHILE_SUBSCRIBED: ReadonlySet<string> = new Set([
  ...["subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping", "quit", "reset"],
]);

function isMute(client: Client, { spec: { name } }: Command): boolean {
  if (client.resp3 || WHILE_SUBSCRIBED.has(name)) return false;
  return client.context.feed.subscriptions.count(client) > 0;
}

function refusal(client: Client, args: Arguments, found: Command): string | null {
  const { context, user } = client;
  const denied = denial(user, found);
  if (denied !== null) return denied;
  if (!found.takes(args.argc)) return `ERR wrong number of arguments for '${found.spec.name}' command`;
  if (args.oversized > 0) {
    const limit = String(context.limits.maxValueBytes);
    return `ERR argument or command of ${String(args.oversized)} bytes is too large (values may have ${limit})`;
  }
  if (isMute(client, found)) {
    const may = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
    return `ERR Can't execute '${found.spec.name.replace("|", " ")}': ${may}`;
  }
  if (context.service === null && !found.whileLoading) return LOADING;
  return context.routing.refusal(found, args);
}

/** The subcommand where there is one; null: refused. */
function withSubcommand(client: Client, args: Arguments, command: Command): Command | null {
  if (command.subcommands === null || args.argc < 2) return command;
  const found = command.subcommands.find(args, 1);
  if (found !== null) return found;
  unknownSubcommand(client.out, command.spec.name, args.latin1(1));
  return null;
}

/** Words that a browser would send: an attempt to talk to this port from a web page, as Redis sees it. */
function fromBrowser(args: Arguments): boolean {
  return args.is(0, "post") || args.is(0, "host:");
}

function unknownCommand(client: Client, args: Arguments): void {
  if (fromBrowser(args)) {
    client.out.error("ERR Protocol error: this is no HTTP port");
    client.quit();
    return;
  }
  let shown = "";
  for (let index = 1; index < args.argc && shown.length < SHOWN_ARGUMENTS; index++) {
    shown += `'${cString(args.latin1(index)).slice(0, SHOWN_ARGUMENTS - shown.length)}' `;
  }
  const name = cString(args.latin1(0)).slice(0, SHOWN_NAME);
  client.out.error(`ERR unknown command '${name}', with args beginning with: ${shown}`);
}
