/**
 * The one schema of a configuration: shape, units, bounds, defaults, and what must fit together. It sees plain values
 * and says every problem with its fix; where a value came from (file, variable, flag) is config.ts's business.
 */
import { z } from "zod";
import { parsePasswordHash, type PasswordHash } from "./password.js";
import { MAX_REACHED } from "../node/reach.js";
import { placementOf } from "./placement.js";
import { formatAddress, type Address } from "./server-config.js";
import { formatSize, isLoopback, type Parsed, parseAddress, parseHours, parseName, parseSize, show } from "./units.js";

const MIB = 2 ** 20;
const BLOCK_BYTES = 4096;
/** Enough extents (1 MiB at the least) for the four reserved ones and for data. */
const MIN_SIZE_BYTES = 16 * MIB;
const DEFAULT_MAX_VALUE_BYTES = 16 * MIB;
/** Room in a quarter of an extent for what is stored with a value: block headers, key, entry, request ids. */
const VALUE_OVERHEAD_BYTES = 128 * 1024;
const MAX_NODES = MAX_REACHED;
const MAX_VOLUMES = 16;

/** A value that a parser reads; `example` is shown when it is missing. */
function read<T>(parse: (input: unknown) => Parsed<T>, example: string) {
  return z.unknown().transform((input, context): T => {
    const parsed = isMissing(input) ? missing<T>(example) : parse(input);
    if (parsed.ok) return parsed.value;
    context.issues.push({ code: "custom", message: parsed.problem, input });
    return z.NEVER;
  });
}

function isMissing(input: unknown): boolean {
  return input === undefined || input === null || input === "";
}

function missing<T>(example: string): Parsed<T> {
  return { ok: false, problem: `is missing; add it, for example ${example}` };
}

/** A size of at least `minBytes`. */
function sizeFrom(minBytes: number, example: string) {
  return read((input): Parsed<number> => {
    const parsed = parseSize(input);
    if (!parsed.ok || parsed.value >= minBytes) return parsed;
    return { ok: false, problem: `${show(input)} is too small; use at least ${formatSize(minBytes)}` };
  }, example);
}

/** A whole number within bounds, also as digits in text (variables and flags are text). */
function countFrom(min: number, max: number, example: string) {
  return read((input): Parsed<number> => {
    const value = typeof input === "string" && /^\d{1,12}$/.test(input) ? Number(input) : input;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) {
      return { ok: true, value };
    }
    return { ok: false, problem: `${show(input)} is not a whole number from ${String(min)} to ${String(max)}` };
  }, example);
}

function oneOf<const T extends string>(words: readonly T[]) {
  return read((input): Parsed<T> => {
    const word = words.find((candidate) => candidate === input);
    if (word !== undefined) return { ok: true, value: word };
    return { ok: false, problem: `${show(input)} is not one of ${words.join(", ")}` };
  }, words[0] ?? "");
}

/** Also as text: variables and flags are. */
const yesOrNo = read((input): Parsed<boolean> => {
  if (input === true || input === "true") return { ok: true, value: true };
  if (input === false || input === "false") return { ok: true, value: false };
  return { ok: false, problem: `${show(input)} is neither true nor false` };
}, "false");

const name = (example: string) => read(parseName, example);
const address = (example: string) => read(parseAddress, example);

/** An address that others dial: a port must be named. */
const dialled = (example: string) =>
  read((input): Parsed<Address> => {
    const parsed = parseAddress(input);
    if (!parsed.ok || parsed.value.port > 0) return parsed;
    return { ok: false, problem: `${show(input)} names no port; others must be able to dial it, as in ${example}` };
  }, example);

const volumePath = read((input): Parsed<string> => {
  if (typeof input === "string" && !input.includes("\0")) return { ok: true, value: input };
  return { ok: false, problem: `${show(input)} is not a path; write text such as ./data/n1` };
}, "./data/n1");

const mapError = (issue: { readonly input?: unknown; readonly code?: string }) =>
  issue.code === "invalid_type" ? `${show(issue.input)} stands where a map (key: value) must be` : undefined;

const listError = (issue: { readonly input?: unknown; readonly code?: string }) => {
  if (issue.code === "invalid_type") {
    return issue.input === undefined
      ? "is missing; add it, for example data: [./data/n1]"
      : `${show(issue.input)} is not a list; write it in brackets, as in data: [./data/n1]`;
  }
  return `must name 1 to ${String(MAX_VOLUMES)} volumes, for example data: [./data/n1]`;
};

const nodeShape = z.strictObject(
  { peer: dialled("127.0.0.1:7101"), client: dialled("127.0.0.1:7001"), zone: name("a").optional() },
  { error: mapError },
);

const mergeShape = z.strictObject(
  {
    rate: sizeFrom(64 * 1024, "rate: 64MiB").optional(),
    operations: countFrom(1, 1_000_000, "operations: 1000").optional(),
    hours: read(parseHours, "hours: 1-5").optional(),
    paused: yesOrNo.optional(),
  },
  { error: mapError },
);

const scrubShape = z.strictObject({ rate: sizeFrom(0, "rate: 4MiB").optional() }, { error: mapError });

const repairShape = z.strictObject(
  {
    keys: countFrom(1, 10_000_000, "keys: 20000").optional(),
    rate: sizeFrom(64 * 1024, "rate: 64MiB").optional(),
    verifySeconds: countFrom(1, 30 * 86_400, "verifySeconds: 60").optional(),
  },
  { error: mapError },
);

const storageShape = z.strictObject(
  {
    size: sizeFrom(MIN_SIZE_BYTES, "size: 4GiB").optional(),
    durability: oneOf(["flush", "device", "none"]).optional(),
    cache: sizeFrom(0, "cache: 256MiB").optional(),
    maxValue: sizeFrom(1, "maxValue: 1MiB").optional(),
    merge: mergeShape.optional(),
    scrub: scrubShape.optional(),
  },
  { error: mapError },
);

const passwordHash = read((input): Parsed<PasswordHash> => {
  const parsed = typeof input === "string" ? parsePasswordHash(input) : null;
  if (parsed !== null) return { ok: true, value: parsed };
  // It may be the password itself: it is not repeated.
  return { ok: false, problem: "is no hash of a password; write what `plogdb hash-password` makes of it" };
}, "password: scrypt$16384$8$1$...");

const userShape = z.strictObject(
  { role: oneOf(["read", "write", "admin"]), password: passwordHash },
  { error: mapError },
);

const filePath = (example: string) =>
  read((input): Parsed<string> => {
    if (typeof input === "string" && !input.includes("\0")) return { ok: true, value: input };
    return { ok: false, problem: `${show(input)} is not a path; write text such as ${example}` };
  }, example);

const tlsShape = z.strictObject(
  { cert: filePath("./tls/n1.crt"), key: filePath("./tls/n1.key"), clientCa: filePath("./tls/ca.crt").optional() },
  { error: mapError },
);

const peerTlsShape = z.strictObject(
  { cert: filePath("./tls/n1.crt"), key: filePath("./tls/n1.key"), ca: filePath("./tls/ca.crt") },
  { error: mapError },
);

const shape = z.strictObject(
  {
    cluster: name("cluster: demo"),
    node: name("node: n1"),
    data: z.array(volumePath, { error: listError }).min(1, { error: listError }).max(MAX_VOLUMES, { error: listError }),
    listen: address("listen: 127.0.0.1:7001"),
    peer: dialled("peer: 127.0.0.1:7101"),
    http: address("http: 127.0.0.1:7201").optional(),
    nodes: z.record(z.string(), nodeShape, {
      error: (issue) =>
        issue.input === undefined
          ? "is missing; list every node of the cluster, each as n1: { peer: host:port, client: host:port, zone: a }"
          : mapError(issue),
    }),
    users: z.record(z.string(), userShape, { error: mapError }).optional(),
    tls: tlsShape.optional(),
    httpTls: tlsShape.optional(),
    peerTls: peerTlsShape.optional(),
    storage: storageShape.optional(),
    repair: repairShape.optional(),
    timeouts: z
      .strictObject({ requestMs: countFrom(10, 600_000, "requestMs: 3000").optional() }, { error: mapError })
      .optional(),
    limits: z
      .strictObject(
        {
          maxClients: countFrom(1, 1_000_000, "maxClients: 10000").optional(),
          maxPending: countFrom(1, 1_000_000, "maxPending: 16384").optional(),
          maxOutput: sizeFrom(64 * 1024, "maxOutput: 64MiB").optional(),
        },
        { error: mapError },
      )
      .optional(),
    logLevel: oneOf(["info", "silent", "error", "warn", "debug"]).optional(),
    protectedMode: z.boolean({ error: (issue) => `${show(issue.input)} is neither true nor false` }).optional(),
  },
  { error: mapError },
);

export type ConfigFile = z.infer<typeof shape>;

/** Keys that may stand at a place, for "did you mean". Null: the place has no fixed keys. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] | null {
  const [first, second] = path;
  if (first === undefined) return Object.keys(shape.shape);
  if (first === "nodes") return second === undefined ? null : Object.keys(nodeShape.shape);
  if (first === "storage") {
    if (second === "merge") return Object.keys(mergeShape.shape);
    return Object.keys(second === "scrub" ? scrubShape.shape : storageShape.shape);
  }
  if (first === "users") return second === undefined ? null : Object.keys(userShape.shape);
  if (first === "peerTls") return Object.keys(peerTlsShape.shape);
  if (first === "tls" || first === "httpTls") return Object.keys(tlsShape.shape);
  if (first === "repair") return Object.keys(repairShape.shape);
  if (first === "timeouts") return ["requestMs"];
  if (first === "limits") return ["maxClients", "maxPending", "maxOutput"];
  return null;
}

/** Extents are a 64th of a volume, 1 MiB to 64 MiB; a value fits into a quarter of one (D1). The size is that of all volumes. */
export function largestValueBytes(sizeBytes: number, volumes: number): number {
  const extentBytes = Math.min(64 * MIB, Math.max(MIB, Math.floor(sizeBytes / volumes / 64)));
  return Math.min(
    DEFAULT_MAX_VALUE_BYTES,
    Math.floor(extentBytes / 4 / BLOCK_BYTES) * BLOCK_BYTES - VALUE_OVERHEAD_BYTES,
  );
}

/** D19: slow enough that nobody feels it; a terabyte takes three days. */
export const DEFAULT_SCRUB_BYTES_PER_SECOND = 4 * MIB;

export const DEFAULT_SIZE_BYTES = 4096 * MIB;

type Report = (path: readonly (string | number)[], message: string) => void;

function checkNodes(file: ConfigFile, report: Report): void {
  const ids = Object.keys(file.nodes);
  // By rising id, as everywhere: what is made of them must not depend on the order in the file.
  const placed = ids.toSorted((a, b) => (a < b ? -1 : 1)).map((id) => ({ id, zone: file.nodes[id]?.zone ?? id }));
  const placement =
    ids.length > MAX_NODES ? `has ${String(ids.length)} nodes; at most ${String(MAX_NODES)}` : placementOf(placed);
  if (typeof placement === "string") report(["nodes"], placement);
  if (!ids.includes(file.node)) {
    report(
      ["node"],
      `${show(file.node)} is not among the nodes (${ids.join(", ")}); use one of them or add it to nodes`,
    );
  }
  for (const side of ["peer", "client"] as const) {
    const owners = new Map<string, string>();
    for (const [id, node] of Object.entries(file.nodes)) {
      if (!parseName(id).ok) continue;
      const where = formatAddress(node[side]);
      const owner = owners.get(where);
      if (owner !== undefined)
        report(["nodes", id, side], `${where} is also the ${side} address of ${owner}; give each node its own`);
      owners.set(where, id);
    }
  }
}

function checkOwnPorts(file: ConfigFile, report: Report): void {
  const owners = new Map<string, string>();
  for (const side of ["listen", "peer", "http"] as const) {
    const own = file[side];
    if (own === undefined || own.port === 0) continue;
    const where = formatAddress(own);
    const owner = owners.get(where);
    if (owner !== undefined) report([side], `${where} is already used for ${owner}; take another port`);
    owners.set(where, side);
  }
}

/** What makes a port fit for a network that others reach. */
const GUARDS: Readonly<Record<"listen" | "peer" | "http", { holds: (file: ConfigFile) => boolean; fix: string }>> = {
  listen: {
    holds: ({ users, tls }) => Object.keys(users ?? {}).length > 0 || tls?.clientCa !== undefined,
    fix: "name users, or ",
  },
  peer: { holds: ({ peerTls }) => peerTls !== undefined, fix: "name certificates under peerTls, or " },
  http: {
    holds: ({ httpTls }) => httpTls?.clientCa !== undefined,
    fix: "name certificates and a clientCa under httpTls, or ",
  },
};

function checkExposure(file: ConfigFile, report: Report): void {
  if (file.httpTls !== undefined && file.http === undefined) report(["httpTls"], "is for the HTTP port; add http");
  if (file.protectedMode === false) return;
  for (const side of ["listen", "peer", "http"] as const) {
    const own = file[side];
    if (own === undefined || isLoopback(own.host) || GUARDS[side].holds(file)) continue;
    const ways = `${GUARDS[side].fix}use a loopback address`;
    report(
      [side],
      `${formatAddress(own)} can be reached from other machines and nothing asks for a password; ` +
        `${ways} (127.0.0.1), or set protectedMode: false where the whole network is trusted`,
    );
  }
}

function checkStorage(file: ConfigFile, report: Report): void {
  const sizeBytes = file.storage?.size ?? DEFAULT_SIZE_BYTES;
  const maxValue = file.storage?.maxValue;
  const bound = largestValueBytes(sizeBytes, file.data.length);
  if (maxValue !== undefined && maxValue > bound) {
    const fix = bound === largestValueBytes(DEFAULT_SIZE_BYTES, 1) ? "" : " or make storage.size larger";
    report(["storage", "maxValue"], `${formatSize(maxValue)} is too large; use at most ${formatSize(bound)}${fix}`);
  }
}

function checkUsers(file: ConfigFile, report: Report): void {
  for (const name of Object.keys(file.users ?? {})) {
    if (!/^[!-~]{1,64}$/.test(name))
      report(["users", name], `${show(name)} is no name; use 1 to 64 printable characters`);
  }
}

function checkNames(file: ConfigFile, report: Report): void {
  for (const id of Object.keys(file.nodes)) {
    const parsed = parseName(id);
    if (!parsed.ok) report(["nodes", id], parsed.problem);
  }
  const seen = new Set<string>();
  for (const [index, path] of file.data.entries()) {
    if (seen.has(path)) report(["data", index], `${show(path)} is named twice; a volume can be used once`);
    seen.add(path);
  }
}

export const configSchema = shape.superRefine((file, context) => {
  const report: Report = (path, message) => {
    context.addIssue({ code: "custom", path: [...path], message });
  };
  for (const check of [checkNames, checkNodes, checkOwnPorts, checkExposure, checkStorage, checkUsers])
    check(file, report);
});
