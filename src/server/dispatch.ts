/**
 * From a parsed command to its handler: finds it, and refuses with the words of Redis what is unknown, has the wrong
 * number of arguments, is too large or comes before the data is there.
 */
import type { Client } from "./client.js";
import type { Command } from "./command-table.js";
import type { RespParser } from "./resp-parser.js";

const SHOWN_NAME = 128;
const SHOWN_ARGUMENTS = 128;

/** Runs the command in `args`; returns which it was, null when it was refused before it could run. */
export function dispatch(client: Client, args: RespParser): Command | null {
  const { commands, service } = client.context;
  const command = commands.find(args, 0);
  if (command === null) {
    unknownCommand(client, args);
    return null;
  }
  const found = withSubcommand(client, args, command);
  if (found === null) return null;
  const { spec } = found;
  if (!found.takes(args.argc)) {
    client.out.error(`ERR wrong number of arguments for '${spec.name}' command`);
  } else if (args.oversized > 0) {
    const limit = String(client.context.limits.maxValueBytes);
    client.out.error(
      `ERR argument or command of ${String(args.oversized)} bytes is too large (values may have ${limit})`,
    );
  } else if (service === null && !found.whileLoading) {
    client.out.error("LOADING the node is recovering its data");
  } else {
    spec.handler?.(client, args);
    return found;
  }
  return null;
}

/** The subcommand where there is one; null: refused. */
function withSubcommand(client: Client, args: RespParser, command: Command): Command | null {
  if (command.subcommands === null || args.argc < 2) return command;
  const found = command.subcommands.find(args, 1);
  if (found !== null) return found;
  const name = args.latin1(1).slice(0, SHOWN_NAME);
  client.out.error(`ERR unknown subcommand '${name}'. Try ${command.spec.name.toUpperCase()} HELP.`);
  return null;
}

/** Words that a browser would send: an attempt to talk to this port from a web page, as Redis sees it. */
function fromBrowser(args: RespParser): boolean {
  return args.is(0, "post") || args.is(0, "host:");
}

function unknownCommand(client: Client, args: RespParser): void {
  if (fromBrowser(args)) {
    client.out.error("ERR Protocol error: this is no HTTP port");
    client.quit();
    return;
  }
  let shown = "";
  for (let index = 1; index < args.argc && shown.length < SHOWN_ARGUMENTS; index++) {
    shown += `'${upToNul(args.latin1(index)).slice(0, SHOWN_ARGUMENTS - shown.length)}' `;
  }
  const name = upToNul(args.latin1(0)).slice(0, SHOWN_NAME);
  client.out.error(`ERR unknown command '${name}', with args beginning with: ${shown}`);
}

/** Redis prints arguments as C strings. */
function upToNul(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}
