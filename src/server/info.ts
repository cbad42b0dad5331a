/**
 * INFO: the fields that clients and exporters read, with true values or left out, and one section of our own with
 * everything the node tells about itself.
 */
import { arch, platform, release, totalmem } from "node:os";
import type { NodeStats } from "../node/service.js";
import type { ServerContext } from "./server-context.js";
import { PLOGDB_VERSION, REDIS_VERSION } from "./version.js";

type Fields = readonly (readonly [name: string, value: string | number])[];
type Section = readonly [title: string, fields: (context: ServerContext) => Fields];

const SECTIONS: readonly Section[] = [
  ["Server", serverFields],
  ["Clients", clientFields],
  ["Memory", memoryFields],
  ["Persistence", persistenceFields],
  ["Stats", statsFields],
  ["Replication", replicationFields],
  ["CPU", cpuFields],
  ["Modules", () => []],
  ["Commandstats", commandFields],
  ["Errorstats", errorFields],
  ["Cluster", clusterFields],
  ["Keyspace", keyspaceFields],
  ["Plogdb", plogdbFields],
];

/** As in Redis, only told when asked for by name or with "all" or "everything". */
const ON_REQUEST: ReadonlySet<string> = new Set(["commandstats"]);

/** The sections named (lower case); none or "default" = the usual ones. */
export function infoText(context: ServerContext, names: readonly string[]): string {
  const usual = names.length === 0 || names.includes("default");
  const everything = names.includes("all") || names.includes("everything");
  const parts: string[] = [];
  for (const [title, fields] of SECTIONS) {
    const name = title.toLowerCase();
    if (!everything && !names.includes(name) && !(usual && !ON_REQUEST.has(name))) continue;
    const lines = fields(context).map(([key, value]) => `${key}:${String(value)}\r\n`);
    parts.push(`# ${title}\r\n${lines.join("")}`);
  }
  return parts.join("\r\n");
}

function uptimeSeconds(context: ServerContext): number {
  return Math.floor((Date.now() - context.startedAtMs) / 1000);
}

function serverFields(context: ServerContext): Fields {
  const stats = context.service?.stats();
  const uptime = uptimeSeconds(context);
  return [
    ["redis_version", REDIS_VERSION],
    ["redis_mode", "cluster"],
    ["plogdb_version", PLOGDB_VERSION],
    ["os", `${platform()} ${release()} ${arch()}`],
    ["arch_bits", 64],
    ["multiplexing_api", "libuv"],
    ["process_id", process.pid],
    ["run_id", (stats?.storageId ?? "").padStart(40, "0")],
    ["tcp_port", context.port],
    ["server_time_usec", Date.now() * 1000],
    ["uptime_in_seconds", uptime],
    ["uptime_in_days", Math.floor(uptime / 86_400)],
    ["executable", process.execPath],
  ];
}

function clientFields(context: ServerContext): Fields {
  return [
    ["connected_clients", context.clients.size],
    ["cluster_connections", 0],
    ["maxclients", context.limits.maxClients],
    ["blocked_clients", context.feed.waits?.waiting ?? 0],
    ["pubsub_clients", context.feed.subscriptions.clients],
    ["tracking_clients", 0],
    ["monitor_clients", context.monitors.size],
  ];
}

function humanBytes(bytes: number): string {
  const units = ["B", "K", "M", "G", "T"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${String(bytes)}B` : `${value.toFixed(2)}${units[unit] ?? ""}`;
}

function memoryFields(): Fields {
  const { rss, heapUsed, external } = process.memoryUsage();
  const used = heapUsed + external;
  const total = totalmem();
  return [
    ["used_memory", used],
    ["used_memory_human", humanBytes(used)],
    ["used_memory_rss", rss],
    ["used_memory_rss_human", humanBytes(rss)],
    ["total_system_memory", total],
    ["total_system_memory_human", humanBytes(total)],
    ["maxmemory", 0],
    ["maxmemory_human", "0B"],
    ["maxmemory_policy", "noeviction"],
    ["mem_fragmentation_ratio", (rss / Math.max(1, used)).toFixed(2)],
  ];
}

function persistenceFields(context: ServerContext): Fields {
  return [
    ["loading", context.service === null ? 1 : 0],
    ["async_loading", 0],
    ["rdb_changes_since_last_save", 0],
    ["rdb_bgsave_in_progress", 0],
    ["rdb_last_save_time", Math.floor(context.startedAtMs / 1000)],
    ["rdb_last_bgsave_status", "ok"],
    ["rdb_last_bgsave_time_sec", -1],
    ["rdb_current_bgsave_time_sec", -1],
    ["aof_enabled", 1],
    ["aof_rewrite_in_progress", 0],
    ["aof_rewrite_scheduled", 0],
    ["aof_last_rewrite_time_sec", -1],
    ["aof_current_rewrite_time_sec", -1],
    ["aof_last_bgrewrite_status", "ok"],
    ["aof_last_write_status", context.service?.stats().state === "failed" ? "err" : "ok"],
  ];
}

function statsFields(context: ServerContext): Fields {
  const { counters, rates } = context;
  return [
    ["total_connections_received", counters.connections],
    ["total_commands_processed", counters.commands],
    ["instantaneous_ops_per_sec", rates.commandsPerSecond],
    ["total_net_input_bytes", counters.inputBytes],
    ["total_net_output_bytes", counters.outputBytes],
    ["instantaneous_input_kbps", (rates.inputBytesPerSecond / 1024).toFixed(2)],
    ["instantaneous_output_kbps", (rates.outputBytesPerSecond / 1024).toFixed(2)],
    ["rejected_connections", counters.rejectedConnections],
    ["failed_tls_handshakes", counters.failedHandshakes],
    ["client_output_buffer_limit_disconnections", counters.outputOverruns],
    ["evicted_keys", 0],
    ["keyspace_hits", counters.readHits],
    ["keyspace_misses", counters.readMisses],
    ["pubsub_channels", context.feed.subscriptions.channels(null).length],
    ["pubsub_patterns", context.feed.subscriptions.patterns],
    ["total_error_replies", context.out.errors + context.scratch.errors],
  ];
}

/** Every replica takes reads and writes: for a client each is a master of its own. */
function replicationFields(context: ServerContext): Fields {
  const stats = context.service?.stats();
  return [
    ["role", "master"],
    ["connected_slaves", 0],
    ["master_failover_state", "no-failover"],
    ["master_replid", (stats?.storageId ?? "").padStart(40, "0")],
    ["master_repl_offset", 0],
    ["master_replid2", "0".repeat(40)],
    ["second_repl_offset", -1],
    ["repl_backlog_active", 0],
  ];
}

function cpuFields(): Fields {
  const { system, user } = process.cpuUsage();
  return [
    ["used_cpu_sys", (system / 1e6).toFixed(6)],
    ["used_cpu_user", (user / 1e6).toFixed(6)],
  ];
}

function commandFields(context: ServerContext): Fields {
  return context.commands.all
    .flatMap((command) => [command, ...(command.subcommands?.all ?? [])])
    .filter((command) => command.calls > 0 || command.rejected > 0)
    .map(({ spec, calls, totalUs, rejected, failed }) => [
      `cmdstat_${spec.name}`,
      `calls=${String(calls)},usec=${String(Math.round(totalUs))},usec_per_call=${(totalUs / Math.max(1, calls)).toFixed(2)},` +
        `rejected_calls=${String(rejected)},failed_calls=${String(failed)}`,
    ]);
}

/** Error replies by their first word. */
function errorFields(context: ServerContext): Fields {
  const sums = new Map<string, number>();
  for (const { errorCodes } of [context.out, context.scratch]) {
    for (const [code, count] of errorCodes) sums.set(code, (sums.get(code) ?? 0) + count);
  }
  return [...sums].map(([code, count]) => [`errorstat_${code}`, `count=${String(count)}`]);
}

function clusterFields(context: ServerContext): Fields {
  const map = context.map?.map;
  return [
    ["cluster_enabled", 1],
    ["cluster_map_version", map?.version ?? 0],
    ["cluster_drained", map?.drained.join(",") ?? ""],
  ];
}

/** Keys with a deadline are not counted apart. */
function keyspaceFields(context: ServerContext): Fields {
  const keys = context.service?.countKeys() ?? 0;
  return keys === 0 ? [] : [["db0", `keys=${String(keys)},expires=0,avg_ttl=0`]];
}

function plogdbFields(context: ServerContext): Fields {
  const stats = context.service?.stats();
  if (stats === undefined) return [["state", "loading"]];
  return [
    ...numbersAndNames(stats),
    ["waiting_for", stats.waitingFor.join(",")],
    ["loss_open", stats.lossOpen ? "yes" : "no"],
    ["restoring", stats.restoring ? "yes" : "no"],
    ["unfenced", stats.unfenced.join(",")],
    ...Object.entries(stats.sweepFound).map(([what, count]): [string, number] => [`found_${snakeCase(what)}`, count]),
    ...stats.peers.map((peer): readonly [string, string] => [
      `peer_${peer.nodeId}`,
      `state=${peer.state},replica=${String(peer.replica)},incarnation=${String(peer.incarnation)},` +
        `rtt_us=${String(peer.rttUs)}`,
    ]),
    ["requests_in_flight", context.admission.inFlight],
    ["requests_in_flight_bound", context.admission.bound],
    ["requests_refused_busy", context.counters.busy],
    ["read_p99_us", context.readLatency.quantileUs(0.99)],
    ["write_p99_us", context.writeLatency.quantileUs(0.99)],
  ];
}

/** Every plain field of the node's facts, in snake case. A time that does not come is "never". */
function numbersAndNames(stats: NodeStats): [string, string | number][] {
  const fields: [string, string | number][] = [];
  for (const [name, value] of Object.entries(stats)) {
    if (typeof value === "number") fields.push([snakeCase(name), Number.isFinite(value) ? value : "never"]);
    else if (typeof value === "string") fields.push([snakeCase(name), value]);
  }
  return fields;
}

/** clusterId to cluster_id. */
export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
