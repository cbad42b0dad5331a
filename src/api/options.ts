/**
 * What `openNode` takes, and how it becomes the settings of a replica: names and addresses checked, paths absolute,
 * defaults filled in. Problems are PlogErrors with code CONFIG that name the option.
 */
import { resolve } from "node:path";
import type { Logger } from "pino";
import { replicaOrder } from "../cluster/config.js";
import type { Address, Durability, NodeEntry } from "../cluster/index.js";
import { placementOf } from "../cluster/placement.js";
import { DEFAULT_SCRUB_BYTES_PER_SECOND, DEFAULT_SIZE_BYTES, largestValueBytes } from "../cluster/schema.js";
import { parseAddress, parseName, parseSize } from "../cluster/units.js";
import { DEFAULT_REPAIR } from "../node/repair.js";
import type { ReplicaSettings } from "../server/replica.js";
import { PlogError } from "./errors.js";
import { StoreError } from "./storage-errors.js";
import { type MergeSettings, mergeOptions, type ScrubSettings, scrubOptions } from "./storage-options.js";

export interface NodeOptions {
  /** Name of the cluster; a node of another one is refused. */
  readonly cluster: string;
  /** Which of `nodes` this one is. */
  readonly node: string;
  /** Where the data lies: a directory or block device per volume. */
  readonly data: string | readonly string[];
  /**
   * All nodes of the cluster, with the address where each listens for the others: { n1: "10.0.0.1:7101" }. 1, 3, 5 or 7: they
   * all hold all keys. A multiple of three from 6 on: groups of three, each with its share of the keys.
   */
  readonly nodes: Readonly<Record<string, string>>;
  /** Where this node listens for the others when it is not its address in `nodes`, such as "0.0.0.0:7101". */
  readonly listen?: string;
  readonly storage?: {
    /** Bytes, or text such as "4GiB". Used when the store is made; default 4 GiB. */
    readonly size?: number | string;
    /** Default "flush": what is acknowledged was flushed to the disk by a majority. */
    readonly durability?: Durability;
    /** Memory for values; default 256 MiB. */
    readonly cache?: number | string;
    /** Longest value; default 16 MiB, or less on a small store. */
    readonly maxValue?: number | string;
    readonly merge?: MergeSettings;
    /** Default here: 4 MiB a second. */
    readonly scrub?: ScrubSettings;
  };
  /** PEM files for TLS between the nodes: own certificate (O = cluster, CN = node) and key, and the authority of all. Left out: plain TCP. */
  readonly peerTls?: { readonly cert: string; readonly key: string; readonly ca: string };
  /** A request is decided or answered with an error within this time; default 3000. */
  readonly requestMs?: number;
  /**
   * How this node keeps its data equal to that of the others: at most so many keys and bytes a second are fetched (default
   * 20,000 and "64MiB"), and a pass of verification that found nothing is followed by the next after so many seconds (60).
   */
  readonly repair?: {
    readonly keysPerSecond?: number;
    readonly bytesPerSecond?: number | string;
    readonly verifySeconds?: number;
  };
  /** A pino logger; without one nothing is logged. */
  readonly log?: Logger;
}

type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

const DEFAULT_CACHE_BYTES = 256 * 2 ** 20;
const DEFAULT_REQUEST_MS = 3000;
const BLOCK_BYTES = 4096;

function refuse(option: string, problem: string): never {
  throw new PlogError("CONFIG", `${option}: ${problem}`);
}

function take<T>(option: string, checked: Checked<T>): T {
  return checked.ok ? checked.value : refuse(option, checked.problem);
}

function sizeOf(option: string, given: number | string | undefined, otherwise: number): number {
  return given === undefined ? otherwise : take(option, parseSize(given));
}

/** Throws a PlogError with code CONFIG. */
export function settingsOf(options: NodeOptions): ReplicaSettings {
  const nodes = nodeEntries(options.nodes);
  const placement = placementOf(nodes);
  if (typeof placement === "string") refuse("nodes", placement);
  const own = nodes.find((entry) => entry.id === options.node);
  if (own === undefined) {
    refuse("node", `${JSON.stringify(options.node)} is not among the nodes (${Object.keys(options.nodes).join(", ")})`);
  }
  const data = typeof options.data === "string" ? [options.data] : options.data;
  if (data.length === 0) refuse("data", "name at least one directory or block device");
  const requestMs = options.requestMs ?? DEFAULT_REQUEST_MS;
  if (!Number.isSafeInteger(requestMs) || requestMs < 1)
    refuse("requestMs", "is a whole number of milliseconds from 1");
  return {
    clusterId: take("cluster", parseName(options.cluster)),
    nodeId: own.id,
    data: data.map((path) => resolve(path)),
    peer: options.listen === undefined ? own.peer : take("listen", parseAddress(options.listen)),
    nodes,
    placement,
    storage: storageOf(options.storage ?? {}, data.length),
    repair: repairOf(options.repair ?? {}),
    timeouts: { requestMs },
    peerTls:
      options.peerTls === undefined
        ? null
        : {
            cert: resolve(options.peerTls.cert),
            key: resolve(options.peerTls.key),
            ca: resolve(options.peerTls.ca),
          },
  };
}

function repairOf(given: NonNullable<NodeOptions["repair"]>): ReplicaSettings["repair"] {
  const { keysPerSecond, verifySeconds } = { ...DEFAULT_REPAIR, ...given };
  for (const [option, value] of Object.entries({ keysPerSecond, verifySeconds })) {
    if (!Number.isSafeInteger(value) || value < 1) refuse(`repair.${option}`, "is a whole number from 1");
  }
  const bytesPerSecond = sizeOf("repair.bytesPerSecond", given.bytesPerSecond, DEFAULT_REPAIR.bytesPerSecond);
  if (bytesPerSecond < 1) refuse("repair.bytesPerSecond", "is at least one byte");
  return { keysPerSecond, bytesPerSecond, verifySeconds };
}

function storageOf(given: NonNullable<NodeOptions["storage"]>, volumes: number): ReplicaSettings["storage"] {
  const size = sizeOf("storage.size", given.size, DEFAULT_SIZE_BYTES);
  const sizeBytes = Math.floor(size / BLOCK_BYTES) * BLOCK_BYTES;
  const bound = largestValueBytes(sizeBytes, volumes);
  const maxValueBytes = sizeOf("storage.maxValue", given.maxValue, bound);
  if (maxValueBytes > bound) refuse("storage.maxValue", `is too large; use at most ${String(bound)}`);
  return {
    sizeBytes,
    durability: given.durability ?? "flush",
    cacheBytes: sizeOf("storage.cache", given.cache, DEFAULT_CACHE_BYTES),
    maxValueBytes,
    merge: checked("storage", () => mergeOptions(given.merge ?? {})),
    scrub: checked("storage", () =>
      scrubOptions(given.scrub ?? {}, { bytesPerSecond: DEFAULT_SCRUB_BYTES_PER_SECOND }),
    ),
  };
}

/** Problems of the storage API's settings, told as this API tells its own. */
function checked<T>(option: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof StoreError) throw new PlogError("CONFIG", `${option}.${error.message}`, undefined, error);
    throw error;
  }
}

function nodeEntries(nodes: NodeOptions["nodes"]): readonly NodeEntry[] {
  const ids = replicaOrder(Object.keys(nodes));
  return ids.map((id, replica): NodeEntry => {
    take(`nodes.${id}`, parseName(id));
    const peer: Address = take(`nodes.${id}`, parseAddress(nodes[id]));
    if (peer.port === 0) refuse(`nodes.${id}`, "names no port; the others must be able to dial it");
    return { id, replica, peer, client: peer, zone: id };
  });
}
