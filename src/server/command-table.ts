/**
 * Looking a command up by its name, and what is counted about it. The list itself is in commands.ts; a table is made
 * once per server, so that two servers in one process count apart.
 */
import { assert } from "../base/assert.js";
import type { Handler } from "./client.js";
import { hashName, type RespParser } from "./resp-parser.js";

export type CommandFlag =
  | "readonly"
  | "write"
  | "denyoom"
  | "admin"
  | "fast"
  | "loading"
  | "stale"
  | "noscript"
  | "movablekeys";

export interface CommandSpec {
  /** Lower case; a subcommand's is "client|setname". */
  readonly name: string;
  /** As Redis counts: with the name itself; negative = at least that many. */
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  /** First key, last key (-1 = to the end), step; zeros without keys. */
  readonly keys: readonly [number, number, number];
  readonly group: "connection" | "generic" | "string" | "server" | "cluster";
  readonly since: string;
  readonly summary: string;
  /** Null: the command is only the name of its subcommands. */
  readonly handler: Handler | null;
  readonly subcommands: readonly CommandSpec[];
}

/** A command of one server. */
export class Command {
  readonly spec: CommandSpec;
  /** May run before the data is there. */
  readonly whileLoading: boolean;
  readonly subcommands: CommandIndex | null;
  calls = 0;

  constructor(spec: CommandSpec) {
    this.spec = spec;
    this.whileLoading = spec.flags.includes("loading");
    this.subcommands = spec.subcommands.length > 0 ? new CommandIndex(spec.subcommands) : null;
  }

  /** True when `argc` arguments, the name included, are what it takes. */
  takes(argc: number): boolean {
    const { arity } = this.spec;
    return arity >= 0 ? argc === arity : argc >= -arity;
  }
}

/** Commands by hash of the last word of their name, so that no string is made to find one. */
class CommandIndex {
  readonly all: readonly Command[];
  readonly #byHash = new Map<number, Command>();

  constructor(specs: readonly CommandSpec[]) {
    this.all = specs.map((spec) => new Command(spec));
    for (const command of this.all) {
      const hash = hashName(lastWord(command.spec.name));
      assert(!this.#byHash.has(hash), "names of commands have different hashes");
      this.#byHash.set(hash, command);
    }
  }

  find(args: RespParser, index: number): Command | null {
    const command = this.#byHash.get(args.nameHash(index));
    return command !== undefined && args.is(index, lastWord(command.spec.name)) ? command : null;
  }

  byName(name: string): Command | null {
    return this.all.find((command) => lastWord(command.spec.name) === name) ?? null;
  }
}

function lastWord(name: string): string {
  return name.slice(name.indexOf("|") + 1);
}

export class CommandTable {
  readonly #index: CommandIndex;

  constructor(specs: readonly CommandSpec[]) {
    this.#index = new CommandIndex(specs);
  }

  get all(): readonly Command[] {
    return this.#index.all;
  }

  /** The command that argument `index` names, or null. */
  find(args: RespParser, index: number): Command | null {
    return this.#index.find(args, index);
  }

  /** By a name such as "get" or "client|id", in lower case. */
  byName(name: string): Command | null {
    const bar = name.indexOf("|");
    if (bar < 0) return this.#index.byName(name);
    return this.#index.byName(name.slice(0, bar))?.subcommands?.byName(name.slice(bar + 1)) ?? null;
  }
}
