/** COMMAND and its subcommands: what clients ask to learn which commands there are and where their keys stand. */
import type { Client, Handler } from "./client.js";
import type { Command, CommandSpec, KeyPlaces } from "./command-table.js";
import { globMatches } from "./glob.js";
import { SYNTAX_ERROR } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Arguments } from "./stored-arguments.js";

export const commandAll: Handler = (client) => {
  const { all } = client.context.commands;
  client.out.array(all.length);
  for (const command of all) describe(client.out, command);
};

export const commandCount: Handler = (client) => {
  client.out.integer(client.context.commands.all.length);
};

/** COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]. */
export const commandList: Handler = (client, args) => {
  const filter = listFilter(args);
  if (filter === null) {
    client.out.error(SYNTAX_ERROR);
    return;
  }
  const everything = client.context.commands.all.flatMap((command) => [command, ...(command.subcommands?.all ?? [])]);
  const listed = args.argc === 2 ? client.context.commands.all : everything.filter(({ spec }) => filter(spec));
  client.out.set(listed.length);
  for (const { spec } of listed) client.out.text(spec.name);
};

function listFilter(args: Arguments): ((spec: CommandSpec) => boolean) | null {
  if (args.argc === 2) return () => true;
  if (args.argc !== 5 || !args.is(2, "filterby")) return null;
  const value = args.latin1(4).toLowerCase();
  if (args.is(3, "module")) return () => false;
  if (args.is(3, "aclcat")) return (spec) => categoriesOf(spec).includes(`@${value}`);
  return args.is(3, "pattern") ? (spec) => globMatches(value, spec.name) : null;
}

export const commandInfo: Handler = (client, args) => {
  if (args.argc === 2) {
    commandAll(client, args);
    return;
  }
  client.out.array(args.argc - 2);
  for (let index = 2; index < args.argc; index++) {
    const command = client.context.commands.byName(args.latin1(index).toLowerCase());
    if (command === null) client.out.null();
    else describe(client.out, command);
  }
};

export const commandDocs: Handler = (client, args) => {
  const { commands } = client.context;
  let named: readonly Command[] = commands.all;
  if (args.argc > 2) {
    const wanted: Command[] = [];
    for (let index = 2; index < args.argc; index++) {
      const command = commands.byName(args.latin1(index).toLowerCase());
      if (command !== null) wanted.push(command);
    }
    named = wanted;
  }
  documentation(client.out, named);
};

/** COMMAND GETKEYS: the command whose keys are asked for; null: an error was written. */
function commandWithKeys(client: Client, args: Arguments): readonly [Command, readonly number[]] | null {
  const { out } = client;
  const found = client.context.commands.find(args, 2);
  const within = found?.subcommands ?? null;
  const command = within === null || args.argc < 4 ? found : within.find(args, 3);
  if (command === null) out.error("ERR Invalid command specified");
  else if (command.spec.keys === null) out.error("ERR The command has no key arguments");
  else if (!command.takes(args.argc - 2)) out.error("ERR Invalid number of arguments specified for command");
  else return [command, command.keyIndexes(args.argc - 2).map((index) => index + 2)];
  return null;
}

export const commandGetKeys: Handler = (client, args) => {
  const found = commandWithKeys(client, args);
  if (found === null) return;
  client.out.array(found[1].length);
  for (const index of found[1]) client.out.bulk(args.bytes(index));
};

export const commandGetKeysAndFlags: Handler = (client, args) => {
  const found = commandWithKeys(client, args);
  if (found === null) return;
  const [{ spec }, indexes] = found;
  const { out } = client;
  out.array(indexes.length);
  for (const index of indexes) {
    out.array(2);
    out.bulk(args.bytes(index));
    words(out, spec.keys?.access ?? []);
  }
};

/** A set of status replies. */
function words(out: ReplyWriter, all: readonly string[]): void {
  out.set(all.length);
  for (const word of all) out.simple(word);
}

/** The ten fields of Redis 7. */
function describe(out: ReplyWriter, command: Command): void {
  const { spec } = command;
  const { keys } = spec;
  out.array(10);
  out.text(spec.name);
  out.integer(spec.arity);
  words(out, spec.flags);
  out.integer(keys?.first ?? 0);
  out.integer(keys?.last ?? 0);
  out.integer(keys?.step ?? 0);
  words(out, categoriesOf(spec));
  out.set(spec.tips.length);
  for (const tip of spec.tips) out.text(tip);
  if (keys === null) out.set(0);
  else keySpecification(out, keys);
  const subcommands = command.subcommands?.all ?? [];
  out.set(subcommands.length);
  for (const subcommand of subcommands) describe(out, subcommand);
}

/** In the order in which Redis names them. */
const CATEGORIES = [
  ...["@keyspace", "@read", "@write", "@string", "@admin", "@fast", "@slow", "@dangerous"],
  ...["@pubsub", "@blocking", "@connection", "@transaction"],
];

function categoriesOf(spec: CommandSpec): readonly string[] {
  const { flags, group, categories, handler } = spec;
  const held = new Set(categories);
  if (flags.includes("readonly")) held.add("@read");
  if (flags.includes("write")) held.add("@write");
  if (flags.includes("admin")) held.add("@admin").add("@dangerous");
  if (group === "string") held.add("@string");
  if (group === "generic") held.add("@keyspace");
  if (flags.includes("pubsub")) held.add("@pubsub");
  if (flags.includes("blocking")) held.add("@blocking");
  if (group === "transactions") held.add("@transaction");
  if (group === "connection" && handler !== null) held.add("@connection");
  held.add(flags.includes("fast") ? "@fast" : "@slow");
  return CATEGORIES.filter((category) => held.has(category));
}

/** One specification: keys from `first` to `last` by `step`. */
function keySpecification(out: ReplyWriter, { first, last, step, access }: KeyPlaces): void {
  out.set(1);
  out.map(3);
  out.text("flags");
  words(out, access);
  out.text("begin_search");
  out.map(2);
  out.text("type");
  out.text("index");
  out.text("spec");
  out.map(1);
  out.text("index");
  out.integer(first);
  out.text("find_keys");
  out.map(2);
  out.text("type");
  out.text("range");
  out.text("spec");
  out.map(3);
  out.text("lastkey");
  out.integer(last < 0 ? last : last - first);
  out.text("keystep");
  out.integer(step);
  out.text("limit");
  out.integer(0);
}

/** The HELP of a container. */
export function help(container: string): Handler {
  return ({ context, out }) => {
    const all = context.commands.byName(container)?.subcommands?.all ?? [];
    out.array(all.length + 1);
    out.simple(`${container.toUpperCase()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`);
    for (const { spec } of all) out.simple(`${spec.name.slice(container.length + 1).toUpperCase()}: ${spec.summary}`);
  };
}

function documentation(out: ReplyWriter, commands: readonly Command[]): void {
  out.map(commands.length);
  for (const command of commands) {
    const { spec } = command;
    const subcommands = command.subcommands?.all ?? [];
    out.text(spec.name);
    out.map(subcommands.length > 0 ? 4 : 3);
    out.text("summary");
    out.text(spec.summary);
    out.text("since");
    out.text(spec.since);
    out.text("group");
    out.text(spec.group);
    if (subcommands.length > 0) {
      out.text("subcommands");
      documentation(out, subcommands);
    }
  }
}
