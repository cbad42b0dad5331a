/** How an entry of the list of commands is written: what many have in common is named once. */
import type { Handler } from "./client.js";
import type { CommandFlag, CommandSpec, KeyPlaces } from "./command-table.js";

export type Flags = readonly CommandFlag[];

/** Name, arity, version of Redis (or of ours) that brought it, summary, handler, and what few entries have. */
export type Entry = readonly [
  name: string,
  arity: number,
  since: string,
  summary: string,
  handler: Handler | null,
  more?: Partial<Pick<CommandSpec, "keys" | "tips" | "categories" | "subcommands">>,
];

export function entries(group: CommandSpec["group"], flags: Flags, all: readonly Entry[]): CommandSpec[] {
  return all.map(([name, arity, since, summary, handler, more]) => ({
    name,
    arity,
    flags,
    keys: null,
    group,
    categories: [],
    tips: [],
    since,
    summary,
    handler,
    subcommands: [],
    ...more,
  }));
}

export function keysAt(first: number, last: number, step: number, access: string): { readonly keys: KeyPlaces } {
  return { keys: { first, last, step, access: access.split(" ") } };
}

/** One key, the first argument. */
export function oneKey(access: string): { readonly keys: KeyPlaces } {
  return keysAt(1, 1, 1, access);
}

export const tips = (...all: readonly string[]): { readonly tips: readonly string[] } => ({ tips: all });
