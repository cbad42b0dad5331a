/**
 * /metrics: the counters of server and node in Prometheus' text form. Written by hand, because the numbers are kept
 * elsewhere and a registry would only copy them. Nothing per key.
 */
import type { Histogram } from "./histogram.js";
import { snakeCase } from "./info.js";
import type { ServerContext } from "./server-context.js";
import { PLOGDB_VERSION } from "./version.js";

type Kind = "counter" | "gauge";

class Page {
  readonly lines: string[] = [];

  head(name: string, kind: Kind | "histogram", help: string): void {
    this.lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`);
  }

  one(name: string, kind: Kind, help: string, value: number): void {
    this.head(name, kind, help);
    this.lines.push(`${name} ${value === Number.POSITIVE_INFINITY ? "+Inf" : String(value)}`);
  }

  labelled(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    const text = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    this.lines.push(`${name}{${text.join(",")}} ${String(value)}`);
  }

  histogram(name: string, help: string, histogram: Histogram): void {
    this.head(name, "histogram", help);
    histogram.cumulative((boundUs, count) => {
      this.labelled(`${name}_bucket`, { le: String(boundUs / 1e6) }, count);
    });
    this.labelled(`${name}_bucket`, { le: "+Inf" }, histogram.count);
    this.lines.push(`${name}_sum ${String(histogram.sumUs / 1e6)}`, `${name}_count ${String(histogram.count)}`);
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll(/["\\\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}

export function metricsText(context: ServerContext): string {
  const page = new Page();
  serverMetrics(page, context);
  nodeMetrics(page, context);
  processMetrics(page);
  return `${page.lines.join("\n")}\n`;
}

function serverMetrics(page: Page, context: ServerContext): void {
  const { counters, commands } = context;
  page.head("plogdb_build_info", "gauge", "Version of the program.");
  page.labelled("plogdb_build_info", { version: PLOGDB_VERSION, node: process.version }, 1);
  page.one("plogdb_clients", "gauge", "Open client connections.", context.clients.size);
  const counts: readonly (readonly [string, unknown])[] = Object.entries(counters);
  for (const [name, value] of counts) {
    if (typeof value !== "number") continue;
    page.one(`plogdb_server_${snakeCase(name)}_total`, "counter", `Server counter ${name}.`, value);
  }
  page.one("plogdb_requests_in_flight", "gauge", "Operations at the node.", context.admission.inFlight);
  const { bound } = context.admission;
  page.one("plogdb_requests_in_flight_bound", "gauge", "Operations beyond this number are refused as BUSY.", bound);
  page.one("plogdb_request_bytes_in_flight", "gauge", "Bytes of values at the node.", context.inFlightBytes);
  page.head("plogdb_commands_total", "counter", "Commands by name.");
  for (const command of commands.all) {
    for (const one of [command, ...(command.subcommands?.all ?? [])]) {
      if (one.calls > 0) page.labelled("plogdb_commands_total", { command: one.spec.name }, one.calls);
    }
  }
  page.histogram("plogdb_read_seconds", "From a read's arrival to its reply.", context.readLatency);
  page.histogram("plogdb_write_seconds", "From a write's arrival to its reply.", context.writeLatency);
}

/** Fields of the node's facts that can fall; all other numbers are counters. */
const GAUGES: ReadonlySet<string> = new Set([
  ...["replica", "incarnation", "lanes", "undecided", "mergeDebtBytes", "liveBytes"],
  ...[
    "freeExtents",
    "keptExtents",
    "totalExtents",
    "secondsToFull",
    "stalledBatches",
    "mergeBytesPerSecond",
    "corruptKeys",
  ],
  ...["indexBytes", "cacheBytes"],
  ...["loss", "sweepBucketsDone", "sweepSinceTicks", "catchUpBacklog", "catchUpAgeTicks"],
  ...["undecidedLevel1", "undecidedLevel2"],
]);

/** Of fields whose own names say a unit that Prometheus has another word for. */
const NAMES: Readonly<Record<string, { readonly name: string; readonly help: string; readonly factor: number }>> = {
  flushUs: { name: "plogdb_node_flush_seconds", help: "What a write with its flush takes of late.", factor: 1e-6 },
  bytesTotal: { name: "plogdb_node_capacity_bytes", help: "Size of the volumes.", factor: 1 },
  bytesUsed: { name: "plogdb_node_used_bytes", help: "Of the volumes, what is written.", factor: 1 },
};

function nodeMetrics(page: Page, context: ServerContext): void {
  const { service } = context;
  page.one("plogdb_loading", "gauge", "1 until the data is recovered.", service === null ? 1 : 0);
  if (service === null) return;
  const stats = service.stats();
  page.head("plogdb_state", "gauge", "1 for the present state of the node.");
  page.labelled("plogdb_state", { state: stats.state }, 1);
  page.head("plogdb_mode", "gauge", "1 for the present mode of the node: voter, learner or learner-by-order.");
  page.labelled("plogdb_mode", { mode: stats.mode }, 1);
  page.one(
    "plogdb_loss_open",
    "gauge",
    "1 while not every key is restored after a loss of the disk.",
    stats.lossOpen ? 1 : 0,
  );
  page.one("plogdb_restoring", "gauge", "1 while there may be keys without a vote here.", stats.restoring ? 1 : 0);
  page.head("plogdb_sweep_found", "gauge", "What the last pass of verification found.");
  for (const [what, count] of Object.entries(stats.sweepFound)) {
    page.labelled("plogdb_sweep_found", { what: snakeCase(what) }, count);
  }
  page.head("plogdb_space_level", "gauge", "1 for the present state of space: plenty, soft, hard or full.");
  page.labelled("plogdb_space_level", { level: stats.spaceLevel }, 1);
  const { map } = context;
  page.one("plogdb_cluster_map_version", "gauge", "Version of the cluster's map.", map?.map.version ?? 0);
  const isDrained = map?.isDrained(stats.nodeId) === true;
  page.one("plogdb_drained", "gauge", "1 while the cluster spares this node.", isDrained ? 1 : 0);
  page.one("plogdb_keys", "gauge", "Live keys at this replica.", service.countKeys());
  for (const [name, value] of Object.entries(stats)) {
    if (typeof value !== "number") continue;
    const own = NAMES[name];
    if (own !== undefined) {
      page.one(own.name, "gauge", own.help, value * own.factor);
      continue;
    }
    const gauge = GAUGES.has(name);
    const metric = `plogdb_node_${snakeCase(name)}${gauge ? "" : "_total"}`;
    page.one(metric, gauge ? "gauge" : "counter", `Node figure ${name}.`, value);
  }
  page.head("plogdb_peer_connected", "gauge", "1 while the peer is connected and not suspected.");
  for (const peer of stats.peers) {
    if (peer.state === "self") continue;
    page.labelled("plogdb_peer_connected", { peer: peer.nodeId }, peer.state === "connected" ? 1 : 0);
  }
  page.head("plogdb_peer_rtt_seconds", "gauge", "Measured round trip to the peer.");
  for (const peer of stats.peers) {
    if (peer.state !== "self") page.labelled("plogdb_peer_rtt_seconds", { peer: peer.nodeId }, peer.rttUs / 1e6);
  }
}

function processMetrics(page: Page): void {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  page.one("process_resident_memory_bytes", "gauge", "Resident memory.", rss);
  page.one("nodejs_heap_size_used_bytes", "gauge", "Used JavaScript heap.", heapUsed);
  page.one("process_cpu_seconds_total", "counter", "Processor time.", (user + system) / 1e6);
}
