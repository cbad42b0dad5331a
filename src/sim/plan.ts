/**
 * A plan: everything that one seed decides before its run begins. Each seed gets another mixture (swarm): some kinds of
 * faults and not others, few clients or many, quick disks or slow ones, so that rare combinations come up among many
 * seeds. What a person asks for on the command line replaces what was drawn, and disturbs no other draw.
 */
import { Random } from "../base/random.js";
import type { ReplicaId } from "../paxos/ballot.js";
import { ENGINE_KINDS, FAULT_KINDS, type FaultKind } from "./fault-kinds.js";

export type EngineName = "native" | "memory";

/** What may be asked for. Left out: drawn. */
export interface PlanOptions {
  readonly replicas?: number;
  readonly profile?: ProfileName;
  readonly engine?: EngineName;
  readonly operations?: number;
  readonly clients?: number;
  readonly keys?: number;
  /** Bound on the phase with faults, in virtual ms. */
  readonly faultyMs?: number;
  readonly without?: readonly FaultKind[];
  /** Nodes hold their records in a space of a shared store, as in a cluster of many groups. */
  readonly inSpace?: boolean;
}

/** How many keys of each sort: what is done with them differs, see workload.ts. */
export interface KeyCounts {
  readonly counters: number;
  readonly registers: number;
  readonly mixed: number;
  readonly rich: number;
}

export interface Plan {
  readonly seed: number;
  readonly profile: ProfileName;
  readonly engine: EngineName;
  readonly replicas: number;
  readonly kinds: ReadonlySet<FaultKind>;
  /** Replicas whose disks may lose what they had said to hold: a minority, for the whole run. */
  readonly expendable: readonly ReplicaId[];
  /**
   * Instead: any replica may lose all of its disk, one after the other: while `all` others say that they are whole, or while
   * `one` does. A key that two have lost needs nobody to serve it (P31), but no answer may be wrong.
   */
  readonly roams: "all" | "one" | null;
  readonly clients: number;
  readonly keys: KeyCounts;
  readonly operations: number;
  /** A client waits up to this long between two operations. */
  readonly thinkUs: number;
  readonly mostValueBytes: number;
  readonly requestMs: number;
  readonly network: { leastDelayUs: number; mostDelayUs: number; slowChance: number; slowUs: number };
  readonly leastFlushUs: number;
  readonly mostFlushUs: number;
  readonly cacheBytes: number;
  readonly capacityBytes: number;
  readonly extentBytes: number;
  readonly wallSkewMs: number;
  readonly rateSkew: number;
  readonly inSpace: boolean;
  readonly strikeEveryMs: number;
  readonly faultyMs: number;
}

export const PROFILES = [
  "swarm",
  "calm",
  "network",
  "processes",
  "time",
  "disks",
  "load",
  "full",
  "repair",
  "losses",
] as const;
export type ProfileName = (typeof PROFILES)[number];

const OF_PROFILE: Readonly<Record<ProfileName, (kind: FaultKind) => boolean>> = {
  swarm: () => true,
  full: (kind) => kind === "disk-full",
  calm: () => false,
  network: between("drop", "corrupt-frame"),
  processes: between("kill", "crash-in-recovery"),
  time: between("wall-jump", "skewed-rate"),
  disks: (kind) => kind === "kill" || kind === "kill-all" || between("read-error", "old-copy")(kind),
  load: between("hot-key", "swapped-disks"),
  repair: (kind) => OF_REPAIR.has(kind),
  losses: (kind) => OF_LOSSES.has(kind),
};

/** What takes votes from a disk, and what happens beside it (P29 to P33). */
const OF_REPAIR: ReadonlySet<FaultKind> = new Set([
  "drop",
  "reorder",
  "delay",
  "partition",
  "isolation",
  "kill",
  "kill-all",
  "read-error",
  "lost-flushed",
  "lost-write",
  "bit-flip",
  "bad-blocks",
  "misdirected-write",
  "stale-read",
  "truncated",
  "disk-lost",
  "old-copy",
  "machine-replaced",
  "learner-toggled",
]);
/** One loss of everything after the other, at different replicas. */
const OF_LOSSES: ReadonlySet<FaultKind> = new Set([
  "drop",
  "reorder",
  "delay",
  "partition",
  "isolation",
  "kill",
  "pause",
  "slow-disk",
  "disk-lost",
  "machine-replaced",
]);
/** Profiles whose seeds have each of their kinds by chance only. */
const DRAWN_PROFILES: readonly ProfileName[] = ["swarm", "repair", "losses"];

/** Chance that a seed of the swarm has a kind. */
const KIND_CHANCE = 0.4;
/** What the engine keeps free ahead of callers leaves few large values room on so many extents. */
const SMALL_EXTENT_BYTES = 256 << 10;
const SMALL_DISK_BYTES = 12 * SMALL_EXTENT_BYTES;
const KEYS_THAT_FILL_IT = 60;
/** With so many large values under way nothing would be answered in a few ms. */
const ROOM_FOR_LARGE_MS = 60;
const PLENTY_BYTES = 16 << 20;
/** A quarter of an extent bounds a value (D1), and an entry is a little longer than its value. */
const MOST_VALUE_BYTES = 30_000;
const EXTENT_BYTES = 128 << 10;
const LARGER = SMALL_EXTENT_BYTES / EXTENT_BYTES;
const PLAN_STREAM = 0x706c616e;

function between(first: FaultKind, last: FaultKind): (kind: FaultKind) => boolean {
  return (kind) => {
    const at = FAULT_KINDS.indexOf(kind);
    return at >= FAULT_KINDS.indexOf(first) && at <= FAULT_KINDS.indexOf(last);
  };
}

export function drawPlan(seed: number, options: PlanOptions = {}): Plan {
  const random = new Random(seed ^ PLAN_STREAM);
  const { profile = "swarm", engine = "memory" } = options;
  const drawnReplicas = random.chance(0.3) ? 5 : 3;
  const replicas = options.replicas ?? drawnReplicas;
  const kinds = drawKinds(random, profile, engine, options.without ?? []);
  const drawnExpendable = drawExpendable(random, replicas);
  const roams = profile !== "losses" ? null : seed % 2 === 0 ? "all" : "one";
  if (roams !== null) kinds.add("disk-lost");
  const expendable = profile === "repair" && drawnExpendable.length === 0 ? [seed % replicas] : drawnExpendable;
  const rough = random.chance(0.5);
  const drawnClients = 1 + random.below(random.chance(0.3) ? 24 : 8);
  const drawnOperations = 300 + random.below(60);
  const clients = options.clients ?? drawnClients;
  const operations = options.operations ?? drawnOperations;
  const small = kinds.has("disk-full");
  const keys = drawKeys(random, options.keys, kinds.has("hot-key"), small);
  const large = kinds.has("large-values");
  const faultyMs = 800 + random.below(random.chance(0.2) ? 8000 : 2500);
  const thinkUs = random.chance(0.5)
    ? 1 + random.below(2000)
    : Math.floor((faultyMs * 1000 * drawnClients * 1.6) / drawnOperations);
  return {
    seed,
    profile,
    engine,
    replicas,
    kinds,
    expendable,
    roams,
    clients,
    keys,
    operations,
    thinkUs,
    mostValueBytes:
      large || small
        ? (2000 + random.below(MOST_VALUE_BYTES - 2000)) * (small ? LARGER : 1)
        : 4 + random.below(random.chance(0.3) ? 1500 : 60),
    requestMs: kinds.has("overload")
      ? 10 + random.below(60) + (small ? ROOM_FOR_LARGE_MS : 0)
      : 300 + random.below(1200),
    network: {
      leastDelayUs: 20 + random.below(60),
      mostDelayUs: rough ? 3000 : 300,
      slowChance: rough ? 0.02 : 0.002,
      slowUs: 40_000,
    },
    leastFlushUs: 30 + random.below(100),
    mostFlushUs: random.chance(0.3) ? 8000 : 400,
    cacheBytes: random.chance(0.4) ? 64 + random.below(400) : 1 << 20,
    capacityBytes: small ? SMALL_DISK_BYTES : PLENTY_BYTES,
    extentBytes: small ? SMALL_EXTENT_BYTES : EXTENT_BYTES,
    wallSkewMs: random.chance(0.5) ? 1 + random.below(100) : 0,
    inSpace: options.inSpace ?? false,
    rateSkew: kinds.has("skewed-rate") ? 0.02 + random.below(200) / 1000 : 0,
    strikeEveryMs: 20 + random.below(400),
    faultyMs: options.faultyMs ?? faultyMs,
  };
}

function drawKinds(
  random: Random,
  profile: ProfileName,
  engine: EngineName,
  without: readonly FaultKind[],
): Set<FaultKind> {
  const kinds = new Set<FaultKind>();
  for (const kind of FAULT_KINDS) {
    const drawn = random.chance(KIND_CHANCE) || !DRAWN_PROFILES.includes(profile);
    if (!drawn || !OF_PROFILE[profile](kind) || without.includes(kind)) continue;
    if (engine === "memory" && ENGINE_KINDS.has(kind)) continue;
    kinds.add(kind);
  }
  return kinds;
}

/** A minority, most often not empty. */
function drawExpendable(random: Random, replicas: number): ReplicaId[] {
  const chosen: ReplicaId[] = [];
  const tolerated = (replicas - 1) / 2;
  const wanted = Math.min(tolerated, random.below(tolerated + 2));
  while (chosen.length < wanted) {
    const replica = random.below(replicas);
    if (!chosen.includes(replica)) chosen.push(replica);
  }
  return chosen;
}

function drawKeys(random: Random, wanted: number | undefined, hot: boolean, many: boolean): KeyCounts {
  const most = hot ? 1 : 2 + random.below(6);
  const counts = {
    counters: random.below(most + 1),
    registers: 1 + random.below(most) + (many ? KEYS_THAT_FILL_IT : 0),
    mixed: random.chance(0.3) ? 1 : 0,
    rich: random.below(most + 1),
  };
  if (wanted === undefined) return counts;
  const sorts = ["registers", "rich", "counters", "mixed"] as const;
  const kept = { counters: 0, registers: 0, mixed: 0, rich: 0 };
  let left = Math.max(1, wanted);
  for (let round = 0; left > 0 && round < 32; round++) {
    for (const sort of sorts) {
      if (left === 0 || kept[sort] >= counts[sort]) continue;
      kept[sort]++;
      left--;
    }
  }
  return kept;
}

/** Those parts of the command that were asked for, as they stand on a command line. */
export function planWords(options: PlanOptions): string[] {
  const words: string[] = [];
  if (options.replicas !== undefined) words.push(`--replicas ${String(options.replicas)}`);
  if (options.profile !== undefined && options.profile !== "swarm") words.push(`--profile ${options.profile}`);
  if (options.engine !== undefined) words.push(`--engine ${options.engine}`);
  if (options.operations !== undefined) words.push(`--ops ${String(options.operations)}`);
  if (options.clients !== undefined) words.push(`--clients ${String(options.clients)}`);
  if (options.keys !== undefined) words.push(`--keys ${String(options.keys)}`);
  if (options.faultyMs !== undefined) words.push(`--faulty-ms ${String(options.faultyMs)}`);
  if (options.inSpace === true) words.push("--in-space");
  if (options.without !== undefined && options.without.length > 0) words.push(`--without ${options.without.join(",")}`);
  return words;
}
