/**
 * What a cluster that has come up says about itself: nodes and ports, what was found out about the disk, lines to
 * paste. Facts come from the nodes' own ready lines; nothing here is measured or guessed.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { ClusterPlan, LocalNode } from "./layout.js";
import type { ReadyLine } from "./node-process.js";
import { type Output, table } from "./output.js";
import { PLOGDB_VERSION } from "../server/version.js";

export interface ClusterReport {
  readonly plan: ClusterPlan;
  /** In the order of the plan's nodes. */
  readonly ready: readonly ReadyLine[];
  readonly seconds: number;
  readonly notes: readonly string[];
}

export function printCluster(report: ClusterReport, output: Output): void {
  const { plan, ready, seconds, notes } = report;
  plan.nodes.forEach((node, index) => {
    const { event: _, ...facts } = ready[index] ?? {};
    output.event("node", { ...facts, ...nodeFields(node) });
  });
  output.event("up", {
    nodes: plan.nodes.length,
    seconds: Math.round(seconds * 1000) / 1000,
    dir: plan.directory,
    notes,
  });

  output.line(output.bold(`plogdb ${PLOGDB_VERSION}: ${plan.nodes.length} nodes are up after ${seconds.toFixed(1)} s`));
  output.line("");
  for (const line of diskFacts(ready)) output.line(line);
  output.line("");
  const rows = plan.nodes.map((node, index) => [
    node.id,
    `127.0.0.1:${node.clientPort}`,
    `127.0.0.1:${node.peerPort}`,
    httpOf(ready[index]),
    word(ready[index]?.pid, ""),
    node.configFile,
    node.logFile,
  ]);
  const heads = ["node", "clients", "peers", "http", "pid", "configuration", "log"];
  table([heads, ...rows]).forEach((line, index) => {
    output.line(index === 0 ? output.dim(line) : line);
  });
  output.line("");
  for (const line of linesToPaste(plan)) output.line(line);
  output.line("");
  output.line("Ctrl-C stops all nodes; the next start finds the data.");
}

function nodeFields(node: LocalNode): Readonly<Record<string, unknown>> {
  return {
    node: node.id,
    clientPort: node.clientPort,
    peerPort: node.peerPort,
    httpPort: node.httpPort,
    config: node.configFile,
    log: node.logFile,
  };
}

function word(value: unknown, otherwise: string): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : otherwise;
}

function httpOf(ready: ReadyLine | undefined): string {
  return typeof ready?.http === "string" ? `http://${ready.http}/` : "none";
}

function diskFacts(ready: readonly ReadyLine[]): readonly string[] {
  const first = ready[0];
  if (first === undefined) return [];
  const modes = [...new Set(ready.map((line) => word(line.ioMode, "unknown")))].join(", ");
  const direct =
    modes === "direct" ? "O_DIRECT works" : "O_DIRECT does not work here: the kernel's cache is in between";
  const flushes = ready.map((line) => Number(line.flushUs)).filter((us) => Number.isFinite(us) && us > 0);
  const flush = flushes.length === 0 ? "" : `, a 4 KiB write + flush takes ${Math.round(Math.min(...flushes))} us`;
  return [
    "addon    native engine, loaded (Node-API 8)",
    `disk     I/O mode ${modes}: ${direct}${flush}`,
    durabilityLine(word(first.durability, "unknown")),
  ];
}

function durabilityLine(durability: string): string {
  if (durability === "flush") return "promise  flush: what is acknowledged was flushed to the disk by a majority";
  if (durability === "device")
    return "promise  device: no flush; the disk's own cache is trusted with what is acknowledged";
  return "promise  none: what is acknowledged is lost with the power; for tests only";
}

function linesToPaste(plan: ClusterPlan): readonly string[] {
  const ports = plan.nodes.map((node) => node.clientPort);
  const [first = 0, second = first, third = second] = ports;
  const missing = hasCommand("redis-cli") ? "" : "   (redis-cli comes with: sudo apt-get install -y redis-tools)";
  // With many groups a node sends a client on for keys that it does not hold.
  const follow = plan.nodes.length >= 6 && plan.nodes.length % 3 === 0 ? "-c " : "";
  return [
    `Try${missing}`,
    `  redis-cli ${follow}-p ${first} set greeting hello`,
    `  redis-cli ${follow}-p ${second} get greeting`,
    `  redis-cli ${follow}-p ${third} vget greeting`,
    `  redis-cli ${follow}-p ${first} plog greeting`,
  ];
}

function hasCommand(name: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false; // not in this directory
    }
  });
}
