/**
 * Looking a command up by its name, and what is counted about it. The list itself is in commands.ts; a table is made
 * once per server, so that two servers in one process count apart.
 */
import { assert } from "../base/assert.js";
import type { Handler } from "./client.js";
import { hashName } from "./resp-parser.js";
import type { Arguments } from "./stored-arguments.js";

export type CommandFlag =
  | "write"
  | "readonly"
  | "denyoom"
  | "admin"
  | "noscript"
  | "loading"
  | "stale"
  | "skip_slowlog"
  | "fast"
  | "no_auth"
  | "no_multi"
  | "allow_busy"
  | "pubsub"
  | "blocking";

export interface KeyPlaces {
  readonly first: number;
  /** -1 = to the end. */
  readonly last: number;
  readonly step: number;
  /** What is done with the keys, as COMMAND INFO says it: "RW", "access" and so on. */
  readonly access: readonly string[];
}

export interface CommandSpec {
  /** Lower case; a subcommand's is "client|setname". */
  readonly name: string;
  /** As Redis counts: with the name itself; negative = at least that many. */
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  readonly keys: KeyPlaces | null;
  readonly group: "connection" | "generic" | "string" | "server" | "cluster" | "transactions" | "pubsub";
  /** ACL categories beyond those that follow from flags and group. */
  readonly categories: readonly string[];
  /** Hints for proxies and cluster clients, as COMMAND INFO gives them. */
  readonly tips: readonly string[];
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
  /** Between MULTI and EXEC it is refused. */
  readonly outsideMulti: boolean;
  readonly subcommands: CommandIndex | null;
  calls = 0;
  /** Refused before it ran; answered with an error. */
  rejected = 0;
  failed = 0;
  totalUs = 0;

  constructor(spec: CommandSpec) {
    this.spec = spec;
    this.whileLoading = spec.flags.includes("loading");
    this.outsideMulti = spec.flags.includes("no_multi");
    this.subcommands = spec.subcommands.length > 0 ? new CommandIndex(spec.subcommands) : null;
  }

  resetCounts(): void {
    this.calls = 0;
    this.rejected = 0;
    this.failed = 0;
    this.totalUs = 0;
  }

  /** True when `argc` arguments, the name included, are what it takes. */
  takes(argc: number): boolean {
    const { arity } = this.spec;
    return arity >= 0 ? argc === arity : argc >= -arity;
  }

  /** Where the keys stand among `argc` arguments. */
  keyIndexes(argc: number): number[] {
    const { keys } = this.spec;
    const indexes: number[] = [];
    if (keys === null) return indexes;
    const last = keys.last < 0 ? argc + keys.last : keys.last;
    for (let index = keys.first; index <= last; index += keys.step) indexes.push(index);
    return indexes;
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

  find(args: Arguments, index: number): Command | null {
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
  find(args: Arguments, index: number): Command | null {
    return this.#index.find(args, index);
  }

  /** By a name such as "get" or "client|id", in lower case. */
  byName(name: string): Command | null {
    const bar = name.indexOf("|");
    if (bar < 0) return this.#index.byName(name);
    return this.#index.byName(name.slice(0, bar))?.subcommands?.byName(name.slice(bar + 1)) ?? null;
  }
}
