/**
 * What can be said outside the file: one row per setting with its key in the file, its variable and its flag. A
 * variable stands above the file and a flag above the variable. The cluster's list of nodes comes from the file alone.
 * Relative paths in a variable or flag are relative to the working directory.
 */
import { resolve } from "node:path";
import { ConfigError } from "./config-error.js";
import { nearest } from "./units.js";

export type KeyPath = readonly (string | number)[];

export interface Setting {
  readonly path: readonly string[];
  readonly variable: string;
  /** As commander takes it; the value is in options under `option`. */
  readonly flag: string;
  readonly option: string;
  readonly description: string;
  /** A list of paths: separated by commas in a variable, given again and again as a flag. */
  readonly isPathList: boolean;
}

function setting(dotted: string, variable: string, flag: string, description: string): Setting {
  const name = /^--([a-z-]+)/.exec(flag)?.[1] ?? "";
  const option = name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return {
    path: dotted.split("."),
    variable: `PLOGDB_${variable}`,
    flag,
    option,
    description,
    isPathList: dotted === "data",
  };
}

export const SETTINGS: readonly Setting[] = [
  setting("cluster", "CLUSTER", "--cluster <name>", "cluster id"),
  setting("node", "NODE", "--node <id>", "which of the nodes this one is"),
  setting("data", "DATA", "--data <path...>", "volumes: directories or block devices"),
  setting("listen", "LISTEN", "--listen <host:port>", "clients"),
  setting("peer", "PEER", "--peer <host:port>", "replication"),
  setting("http", "HTTP", "--http <host:port>", "metrics, health"),
  setting("storage.size", "STORAGE_SIZE", "--size <size>", "size of each volume, such as 4GiB"),
  setting("storage.durability", "STORAGE_DURABILITY", "--durability <mode>", "flush, device or none"),
  setting("storage.cache", "STORAGE_CACHE", "--cache <size>", "memory for cached values"),
  setting("storage.maxValue", "STORAGE_MAX_VALUE", "--max-value <size>", "largest value"),
  setting("storage.merge.rate", "STORAGE_MERGE_RATE", "--merge-rate <size>", "bytes a second that merge may move"),
  setting("storage.merge.operations", "STORAGE_MERGE_OPERATIONS", "--merge-operations <count>", "its reads a second"),
  setting("storage.merge.hours", "STORAGE_MERGE_HOURS", "--merge-hours <hours>", "when it may run, such as 1-5"),
  setting("storage.merge.paused", "STORAGE_MERGE_PAUSED", "--merge-paused <true|false>", "only when space runs out"),
  setting("storage.scrub.rate", "STORAGE_SCRUB_RATE", "--scrub-rate <size>", "bytes a second to re-read; 0 = none"),
  setting("timeouts.requestMs", "TIMEOUTS_REQUEST_MS", "--request-ms <ms>", "time to decide a request"),
  setting("limits.maxClients", "LIMITS_MAX_CLIENTS", "--max-clients <count>", "client connections"),
  setting("limits.maxPending", "LIMITS_MAX_PENDING", "--max-pending <count>", "commands under way at once"),
  setting("limits.maxOutput", "LIMITS_MAX_OUTPUT", "--max-output <size>", "unread replies of one client"),
  setting("logLevel", "LOG_LEVEL", "--log-level <level>", "silent, error, warn, info or debug"),
];

export type Environment = Readonly<Record<string, string | undefined>>;
export type FlagValues = Readonly<Record<string, unknown>>;

export interface Override {
  readonly path: readonly string[];
  /** The variable's or flag's name. */
  readonly where: string;
  readonly value: unknown;
}

/**
 * Everything said by variables and flags, in rising order. A variable that is nearly one of ours is refused as a
 * slip; others are left alone, because container platforms invent PLOGDB_* variables for services of that name.
 */
export function overridesFrom(environment: Environment, flags: FlagValues): readonly Override[] {
  const names = SETTINGS.map((one) => one.variable);
  for (const name of Object.keys(environment)) {
    const meant = name.startsWith("PLOGDB_") && !names.includes(name) ? nearest(name, names) : undefined;
    if (meant !== undefined) {
      throw new ConfigError([{ where: name, key: "", message: `is not a known variable; did you mean ${meant}?` }]);
    }
  }
  const overrides: Override[] = [];
  for (const one of SETTINGS) {
    const said = environment[one.variable];
    if (said === undefined || said === "") continue;
    const value = one.isPathList ? said.split(",").map((path) => resolve(path.trim())) : said;
    overrides.push({ path: one.path, where: one.variable, value });
  }
  for (const one of SETTINGS) {
    const said = flags[one.option];
    if (said === undefined) continue;
    const value = one.isPathList && Array.isArray(said) ? said.map((path) => resolve(String(path))) : said;
    overrides.push({ path: one.path, where: one.flag.split(" ")[0] ?? one.flag, value });
  }
  return overrides;
}
