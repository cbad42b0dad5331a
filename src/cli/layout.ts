/**
 * Where everything of a local cluster is: node names, ports, directories, and the configuration file of each node. A
 * file that is there is kept as it is as far as possible: it may have been edited, and its size is the size of a
 * volume that exists.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseDocument } from "yaml";
import { ConfigError, formatSize, loadConfig, parseConfig, parseSize, placementOf } from "../cluster/index.js";
import { CommandError, EXIT } from "./exit.js";

const HOST = "127.0.0.1";
const MAX_NODES = 48;
/** Of a cluster that is one group. */
const LARGEST_GROUP = 7;
const LAST_PORT_OFFSET = 200;
const DEFAULT_SIZE_BYTES = 4 * 2 ** 30;
const SMALLEST_DEFAULT_BYTES = 64 * 2 ** 20;
/** Share of the free room that volumes of a chosen size may take. */
const ROOM_SHARE = 0.8;

export interface LocalNode {
  readonly id: string;
  readonly directory: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly httpPort: number;
}

export interface ClusterPlan {
  readonly directory: string;
  readonly basePort: number;
  readonly nodes: readonly LocalNode[];
}

/** Every node is a zone of its own, up to three; more share these, as machines do. */
function zonesOf(count: number): { readonly id: string; readonly zone: string }[] {
  const zones = count % 2 === 1 && count <= LARGEST_GROUP ? count : 3;
  return Array.from({ length: count }, (_, index) => ({
    id: `n${index + 1}`,
    zone: String.fromCharCode(97 + (index % zones)),
  }));
}

/** Clients at P+1.., peers at P+101.., http at P+201... */
export function planCluster(directory: string, count: number, basePort: number): ClusterPlan {
  const isCount = Number.isInteger(count) && count >= 1 && count <= MAX_NODES;
  const placement = isCount ? placementOf(zonesOf(count)) : `is no number from 1 to ${MAX_NODES}`;
  if (typeof placement === "string") throw new CommandError(EXIT.usage, `--nodes ${count}: ${placement}`);
  const highest = 65_535 - LAST_PORT_OFFSET - count;
  if (!Number.isInteger(basePort) || basePort < 0 || basePort > highest) {
    throw new CommandError(EXIT.usage, `--base-port ${basePort}: use a number from 0 to ${highest}`);
  }
  const nodes = Array.from({ length: count }, (_, index): LocalNode => {
    const id = `n${index + 1}`;
    const home = join(directory, id);
    return {
      id,
      directory: home,
      configFile: join(home, "plogdb.yaml"),
      logFile: join(home, "plogdb.log"),
      clientPort: basePort + 1 + index,
      peerPort: basePort + 101 + index,
      httpPort: basePort + 201 + index,
    };
  });
  return { directory, basePort, nodes };
}

/** Writes or corrects every node's file. Answers what was decided about the size, for people to read. */
export function writeConfigs(plan: ClusterPlan, sizeText: string | undefined): { readonly notes: readonly string[] } {
  refuseOtherCluster(plan);
  const wanted = sizeText === undefined ? undefined : parseSize(sizeText);
  if (wanted?.ok === false) throw new CommandError(EXIT.usage, `--size: ${wanted.problem}`);
  mkdirSync(plan.directory, { recursive: true, mode: 0o700 });
  const fresh = plan.nodes.filter((node) => !existsSync(node.configFile));
  const known = plan.nodes.filter((node) => !fresh.includes(node));
  for (const node of known) {
    keepConfig(plan, node);
    const { storage } = loadConfig(node.configFile, {}, {});
    if (wanted === undefined || wanted.value === storage.sizeBytes) continue;
    const sizes = `${node.configFile} has volumes of ${formatSize(storage.sizeBytes)}`;
    throw new CommandError(EXIT.usage, `--size ${String(sizeText)}: ${sizes}, which cannot change; leave --size out`);
  }
  if (fresh.length === 0) return { notes: [] };
  const choice = chooseSize(plan, fresh.length, wanted?.value);
  const texts = fresh.map((node) => configText(plan, node, choice.sizeBytes));
  fresh.forEach((node, index) => parseConfig(texts[index] ?? "", node.configFile, {}, {})); // refused before it is written
  fresh.forEach((node, index) => {
    mkdirSync(node.directory, { recursive: true, mode: 0o700 });
    writeFileSync(node.configFile, texts[index] ?? "", { mode: 0o600 });
  });
  return { notes: choice.notes };
}

/** Replica numbers and quorums are fixed at birth: the same directory cannot hold a cluster of another size. */
function refuseOtherCluster(plan: ClusterPlan): void {
  if (!existsSync(plan.directory)) return;
  const found = readdirSync(plan.directory).filter((name) => existsSync(join(plan.directory, name, "plogdb.yaml")));
  if (found.length === 0) return;
  const planned = new Set(plan.nodes.map((node) => node.id));
  if (found.length === planned.size && found.every((name) => planned.has(name))) return;
  throw new CommandError(
    EXIT.data,
    `${plan.directory} holds a cluster of the nodes ${found.sort().join(", ")}; it cannot become one of ` +
      `${planned.size}. Start it with --nodes ${found.length}, or name another directory after --dir`,
  );
}

function chooseSize(plan: ClusterPlan, count: number, wanted: number | undefined) {
  const { bavail, bsize } = statfsSync(plan.directory);
  const room = bavail * bsize;
  if (wanted !== undefined) {
    if (wanted * count <= room) return { sizeBytes: wanted, notes: [] };
    const need = `${count} volumes of ${formatSize(wanted)} need ${formatSize(wanted * count)}`;
    throw new CommandError(EXIT.io, `${plan.directory} has ${formatSize(room)} free; ${need}: use a smaller --size`);
  }
  let sizeBytes = DEFAULT_SIZE_BYTES;
  while (sizeBytes * count > room * ROOM_SHARE) sizeBytes /= 2;
  if (sizeBytes < SMALLEST_DEFAULT_BYTES) {
    throw new CommandError(
      EXIT.io,
      `${plan.directory} has only ${formatSize(room)} free; name another place after --dir`,
    );
  }
  if (sizeBytes === DEFAULT_SIZE_BYTES) return { sizeBytes, notes: [] };
  const note = `${formatSize(room)} are free in ${plan.directory}: volumes of ${formatSize(sizeBytes)} instead of 4GiB`;
  return { sizeBytes, notes: [note] };
}

function addresses(plan: ClusterPlan): Record<string, Record<string, string>> {
  return Object.fromEntries(
    plan.nodes.map((node, index) => [
      node.id,
      {
        peer: `${HOST}:${node.peerPort}`,
        client: `${HOST}:${node.clientPort}`,
        zone: zonesOf(plan.nodes.length)[index]?.zone ?? "",
      },
    ]),
  );
}

function configText(plan: ClusterPlan, node: LocalNode, sizeBytes: number): string {
  const nodes = Object.entries(addresses(plan)).map(
    ([id, { peer = "", client = "", zone = "" }]) => `  ${id}: { peer: ${peer}, client: ${client}, zone: ${zone} }\n`,
  );
  return (
    `# Node ${node.id} of a cluster on this machine, written by "plogdb cluster up". Edit it if you like: a next start\n` +
    "# changes addresses only. Paths are relative to this file.\n" +
    `cluster: local\nnode: ${node.id}\ndata: [./store]\n` +
    `listen: ${HOST}:${node.clientPort}\npeer: ${HOST}:${node.peerPort}\nhttp: ${HOST}:${node.httpPort}\n` +
    `nodes:\n${nodes.join("")}` +
    `storage: { size: ${formatBytes(sizeBytes)}, durability: flush }\n`
  );
}

/** Exact: in the largest unit that divides it. */
function formatBytes(bytes: number): string {
  if (bytes % 2 ** 30 === 0) return `${bytes / 2 ** 30}GiB`;
  if (bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20}MiB`;
  return `${bytes}B`;
}

/** Puts the planned addresses into a file that is there, and leaves the rest of it alone. */
function keepConfig(plan: ClusterPlan, node: LocalNode): void {
  const before = loadConfig(node.configFile, {}, {});
  if (before.nodeId !== node.id) {
    const where = relative(process.cwd(), node.configFile);
    throw new ConfigError([
      { where, key: "node", message: `is ${before.nodeId}; in this directory it must be ${node.id}` },
    ]);
  }
  const text = readFileSync(node.configFile, "utf8");
  const document = parseDocument(text);
  document.set("listen", `${HOST}:${node.clientPort}`);
  document.set("peer", `${HOST}:${node.peerPort}`);
  document.set("http", `${HOST}:${node.httpPort}`);
  for (const [id, sides] of Object.entries(addresses(plan))) {
    document.setIn(["nodes", id, "peer"], sides.peer);
    document.setIn(["nodes", id, "client"], sides.client);
  }
  const after = document.toString({ lineWidth: 0 });
  if (after !== text) writeFileSync(node.configFile, after, { mode: 0o600 });
}
