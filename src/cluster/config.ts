/**
 * From YAML file, PLOGDB_* variables and flags, in rising order, to one checked ServerConfig, or to a list of problems
 * that name file, line, key and the fix. Values are merged first and go through one schema, so that a rule holds
 * whatever said the value. Paths in the file are relative to the file.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import type { z } from "zod";
import { ConfigError, type ConfigProblem } from "./config-error.js";
import { DEFAULT_REPAIR } from "../node/repair.js";
import { DEFAULT_MERGE } from "../storage/store.js";
import {
  type ConfigFile,
  configSchema,
  DEFAULT_SCRUB_BYTES_PER_SECOND,
  DEFAULT_SIZE_BYTES,
  knownKeys,
  largestValueBytes,
} from "./schema.js";
import { placementOf } from "./placement.js";
import type { NodeEntry, PeerTlsFiles, ServerConfig, TlsFiles } from "./server-config.js";
import { type Environment, type FlagValues, type KeyPath, type Override, overridesFrom } from "./settings.js";
import { formatSize, nearest } from "./units.js";
import { MAX_FILE_BYTES, YamlSource } from "./yaml-source.js";

const BLOCK_BYTES = 4096;

/** Reads and checks the file at `path`. Throws ConfigError. */
export function loadConfig(path: string, environment: Environment, flags: FlagValues): ServerConfig {
  return parseConfig(readText(path), path, environment, flags);
}

/** Checks a configuration given as text; `path` is what messages name and what relative paths start from. */
export function parseConfig(text: string, path: string, environment: Environment, flags: FlagValues): ServerConfig {
  const source = new YamlSource(text, shortName(path));
  const overrides = overridesFrom(environment, flags);
  const merged = merge(source.value, overrides);
  const result = configSchema.safeParse(merged);
  if (!result.success) throw new ConfigError(problemsOf(result.error.issues, source, overrides));
  return assemble(result.data, dirname(resolve(path)));
}

function readText(path: string): string {
  const where = shortName(path);
  let problem: string;
  try {
    const { size } = statSync(path);
    if (size <= MAX_FILE_BYTES) return readFileSync(path, "utf8");
    problem = `is ${formatSize(size)} long, which is no configuration; the bound is ${formatSize(MAX_FILE_BYTES)}`;
  } catch (error) {
    problem = `cannot be read (${errorCode(error)}); name an existing file after --config`;
  }
  throw new ConfigError([{ where, key: "", message: problem }]);
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** As the reader would type it: relative when that is shorter. */
function shortName(path: string): string {
  const fromHere = relative(process.cwd(), resolve(path));
  return fromHere !== "" && fromHere.length < path.length ? fromHere : path;
}

/** The file's values with every override put in. What is no map stays as it is: the schema will say so. */
function merge(value: unknown, overrides: readonly Override[]): unknown {
  if (!isPlainMap(value)) return value ?? {};
  let merged: unknown = value;
  for (const { path, value: said } of overrides) merged = withValue(merged, path, said);
  return merged;
}

function withValue(map: unknown, path: readonly string[], said: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return said;
  if (!isPlainMap(map)) return map;
  return { ...map, [first]: withValue(map[first] ?? (rest.length > 0 ? {} : undefined), rest, said) };
}

function isPlainMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  source: YamlSource,
  overrides: readonly Override[],
): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const issue of issues) {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) problems.push(unknownKey([...path, key], source));
      continue;
    }
    const override = overrides.findLast((one) => one.path.every((part, index) => part === path[index]));
    const where = override?.where ?? source.locate(path);
    problems.push({ where, key: path.join("."), message: issue.message });
  }
  return problems;
}

function unknownKey(path: KeyPath, source: YamlSource): ConfigProblem {
  const known = knownKeys(path.slice(0, -1)) ?? [];
  const meant = nearest(String(path.at(-1)), known);
  const fix = meant === undefined ? `remove it (known here: ${known.join(", ")})` : `did you mean ${meant}?`;
  return { where: source.locate(path), key: path.join("."), message: `is not a known key; ${fix}` };
}

/** Byte order, the same on every machine: replica numbers must not depend on a locale. */
export function replicaOrder(ids: readonly string[]): readonly string[] {
  return [...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function tlsFiles(tls: ConfigFile["tls"], baseDir: string): TlsFiles | null {
  if (tls === undefined) return null;
  const clientCa = tls.clientCa === undefined ? null : resolve(baseDir, tls.clientCa);
  return { cert: resolve(baseDir, tls.cert), key: resolve(baseDir, tls.key), clientCa };
}

function peerTlsFiles({ peerTls }: ConfigFile, baseDir: string): PeerTlsFiles | null {
  if (peerTls === undefined) return null;
  const { cert, key, ca } = peerTls;
  return { cert: resolve(baseDir, cert), key: resolve(baseDir, key), ca: resolve(baseDir, ca) };
}

function assemble(file: ConfigFile, baseDir: string): ServerConfig {
  const ids = replicaOrder(Object.keys(file.nodes));
  const nodes = ids.flatMap((id, replica): readonly NodeEntry[] => {
    const node = file.nodes[id];
    return node === undefined ? [] : [{ id, replica, peer: node.peer, client: node.client, zone: node.zone ?? id }];
  });
  const placement = placementOf(nodes);
  if (typeof placement === "string") throw new Error(`the schema let pass: nodes ${placement}`);
  const sizeBytes = Math.floor((file.storage?.size ?? DEFAULT_SIZE_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
  return {
    clusterId: file.cluster,
    nodeId: file.node,
    replica: ids.indexOf(file.node),
    data: file.data.map((path) => resolve(baseDir, path)),
    listen: file.listen,
    peer: file.peer,
    http: file.http ?? null,
    nodes,
    placement,
    users: Object.entries(file.users ?? {}).map(([name, { role, password }]) => ({ name, role, password })),
    tls: tlsFiles(file.tls, baseDir),
    httpTls: tlsFiles(file.httpTls, baseDir),
    peerTls: peerTlsFiles(file, baseDir),
    storage: {
      sizeBytes,
      durability: file.storage?.durability ?? "flush",
      cacheBytes: file.storage?.cache ?? 256 * 2 ** 20,
      maxValueBytes: file.storage?.maxValue ?? largestValueBytes(sizeBytes, file.data.length),
      merge: {
        bytesPerSecond: file.storage?.merge?.rate ?? DEFAULT_MERGE.bytesPerSecond,
        operationsPerSecond: file.storage?.merge?.operations ?? DEFAULT_MERGE.operationsPerSecond,
        paused: file.storage?.merge?.paused ?? DEFAULT_MERGE.paused,
        hours: file.storage?.merge?.hours ?? DEFAULT_MERGE.hours,
      },
      scrub: { bytesPerSecond: file.storage?.scrub?.rate ?? DEFAULT_SCRUB_BYTES_PER_SECOND },
    },
    repair: {
      keysPerSecond: file.repair?.keys ?? DEFAULT_REPAIR.keysPerSecond,
      bytesPerSecond: file.repair?.rate ?? DEFAULT_REPAIR.bytesPerSecond,
      verifySeconds: file.repair?.verifySeconds ?? DEFAULT_REPAIR.verifySeconds,
    },
    timeouts: { requestMs: file.timeouts?.requestMs ?? 3000 },
    limits: {
      maxClients: file.limits?.maxClients ?? 10_000,
      maxPending: file.limits?.maxPending ?? 16_384,
      maxOutputBytes: file.limits?.maxOutput ?? 64 * 2 ** 20,
    },
    logLevel: file.logLevel ?? "info",
  };
}
