/** What tests of the node room share: a quiet simulated cluster, and clients that wait for one answer in virtual time. */
import { expect } from "vitest";
import type { Key } from "../../src/base/key.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../../src/paxos/operation.js";
import { type ClusterOptions, QUIET, SimulatedCluster } from "../../src/sim/cluster.js";
import type { MemoryMedium } from "../../src/sim/memory-medium.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const PATIENCE_US = 5_000_000;

export function set(value: string | Uint8Array): Operation {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  return { kind: "set", value: bytes, expiryMs: 0, condition: { kind: "none" }, returnOld: false };
}

/** A cluster whose replicas all serve. */
export function started(seed: number, options: Partial<ClusterOptions> = {}): SimulatedCluster {
  const cluster = new SimulatedCluster({ ...QUIET, ...options, seed });
  cluster.startAll();
  expect(cluster.runUntilServing(2000), "all serve").toBe(true);
  return cluster;
}

/** The disk of a replica whose store is in memory. */
export function memoryDisk(cluster: SimulatedCluster, replica: number): MemoryMedium {
  const disk = cluster.disks[replica];
  if (disk?.engine !== "memory") throw new Error("no disk in memory");
  return disk;
}

/** Runs until `ask` was answered. */
export function answered<T>(cluster: SimulatedCluster, ask: (done: (answer: T) => void) => void): T {
  const answers: T[] = [];
  ask((answer) => {
    answers.push(answer);
  });
  cluster.time.runUntil(cluster.time.nowUs + PATIENCE_US, () => answers.length > 0);
  const [answer] = answers;
  if (answer === undefined) throw new Error("no answer");
  return answer;
}

export function write(cluster: SimulatedCluster, replica: number, key: Key, operation: Operation): WriteOutcome {
  return answered(cluster, (done) => {
    cluster.opened(replica)?.write(key, operation, { onWrite: (_tag, outcome) => done(outcome), onRead: never }, 0);
  });
}

export function read(cluster: SimulatedCluster, replica: number, key: Key): ReadOutcome {
  return answered(cluster, (done) => {
    cluster.opened(replica)?.read(key, { onWrite: never, onRead: (_tag, outcome) => done(outcome) }, 0);
  });
}

/** The value that was read, null when there is none. */
export function textOf(outcome: ReadOutcome): string | null {
  if (outcome.status !== "ok") return `refused: ${outcome.code}`;
  return outcome.found ? decoder.decode(outcome.value) : null;
}

function never(): void {
  throw new Error("an answer of the wrong kind");
}
