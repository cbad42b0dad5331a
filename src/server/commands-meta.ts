/** COMMAND and its subcommands: what clients ask to learn which commands there are and where their keys stand. */
import type { Client, Handler } from "./client.js";
import type { Command } from "./command-table.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { RespParser } from "./resp-parser.js";

export const commandAll: Handler = (client) => {
  const { all } = client.context.commands;
  client.out.array(all.length);
  for (const command of all) describe(client.out, command);
};

export const commandCount: Handler = (client) => {
  client.out.integer(client.context.commands.all.length);
};

export const commandList: Handler = (client) => {
  const { all } = client.context.commands;
  client.out.set(all.length);
  for (const command of all) client.out.text(command.spec.name);
};

export const commandInfo: Handler = (client, args) => {
  if (args.argc === 2) {
    commandAll(client, args);
    return;
  }
  client.out.array(args.argc - 2);
  for (let index = 2; index < args.argc; index++) {
    const command = client.context.commands.byName(args.latin1(index).toLowerCase());
    if (command === null) client.out.nullArray();
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

export const commandGetKeys: Handler = (client, args) => {
  const { out } = client;
  const command = client.context.commands.find(args, 2);
  if (command === null) {
    out.error("ERR Invalid command specified");
    return;
  }
  if (!command.takes(args.argc - 2)) {
    out.error("ERR Invalid number of arguments specified for command");
    return;
  }
  if (command.spec.keys[0] === 0) {
    out.error("ERR The command has no key arguments");
    return;
  }
  writeKeys(client, args, command);
};

function writeKeys(client: Client, args: RespParser, command: Command): void {
  const [first, last, step] = command.spec.keys;
  const offset = 2;
  const end = last < 0 ? args.argc + last : offset + last;
  const places: number[] = [];
  for (let index = offset + first; index <= end; index += step) places.push(index);
  client.out.array(places.length);
  for (const place of places) client.out.bulk(args.bytes(place));
}

/** The ten fields of Redis 7; categories and key specifications only as far as clients use them. */
function describe(out: ReplyWriter, command: Command): void {
  const { spec } = command;
  out.array(10);
  out.text(spec.name);
  out.integer(spec.arity);
  out.set(spec.flags.length);
  for (const flag of spec.flags) out.simple(flag);
  for (const place of spec.keys) out.integer(place);
  const categories = categoriesOf(command);
  out.set(categories.length);
  for (const category of categories) out.simple(category);
  out.array(0);
  if (spec.keys[0] === 0) out.array(0);
  else keySpecification(out, command);
  const subcommands = command.subcommands?.all ?? [];
  out.array(subcommands.length);
  for (const subcommand of subcommands) describe(out, subcommand);
}

function categoriesOf(command: Command): readonly string[] {
  const { flags, group } = command.spec;
  const categories = [];
  if (flags.includes("readonly")) categories.push("@read");
  if (flags.includes("write")) categories.push("@write");
  if (flags.includes("admin")) categories.push("@admin", "@dangerous");
  if (group === "string") categories.push("@string");
  if (group === "generic") categories.push("@keyspace");
  if (group === "connection") categories.push("@connection");
  categories.push(flags.includes("fast") ? "@fast" : "@slow");
  return categories;
}

/** One specification: keys from `first` to `last` by `step`. */
function keySpecification(out: ReplyWriter, command: Command): void {
  const [first, last, step] = command.spec.keys;
  const access = command.spec.flags.includes("readonly") ? "RO" : "RW";
  out.array(1);
  out.map(3);
  out.text("flags");
  out.set(1);
  out.simple(access);
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
