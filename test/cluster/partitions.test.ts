// Goal: whatever the network between the nodes does, a side with a majority goes on, a minority answers nothing, and every
// answer is linearizable: a bridge, isolation, one-way loss, random loss. Method: three real nodes in network namespaces,
// packets dropped by nftables, 18 clients that each stay with their node and record a history. Left out without root, ip or nft.
import { describe, expect, it } from "vitest";
import { checkHistory, describeFailures } from "../../src/sim/linearizability.js";
import { LONG, pause, until, withCluster } from "./harness.js";
import { Network, whyNoNetwork } from "./namespaces.js";
import { Workload } from "./workload.js";

const SEED = Number(process.env["PLOGDB_SEED"] ?? Math.floor(Math.random() * 1e6));
const SECONDS = LONG ? 10 : 3;
const WITHIN_MS = 1000;
const UNDER_LOSS_MS = 10_000;
/** What was under way when the network was cut may still be answered. */
const LAST_WORDS_MS = 50;
const CLIENTS = 18;

interface Scenario {
  readonly name: string;
  /** Nodes that have a majority: each of these groups may be without a write for so long. */
  readonly lively: readonly (readonly number[])[];
  readonly gapMs: number;
  /** Nodes that have none. */
  readonly mute: readonly number[];
  begin(network: Network): void;
}

const all = [0, 1, 2];
const each = all.map((node) => [node]);

const SCENARIOS: Scenario[] = [
  {
    name: "a bridge: n1 and n3 do not reach each other",
    lively: each,
    gapMs: WITHIN_MS,
    mute: [],
    begin: (network) => {
      network.cut(0, 2);
    },
  },
  ...all.map((alone) => ({
    name: `n${String(alone + 1)} is isolated`,
    lively: each.filter(([node]) => node !== alone),
    gapMs: WITHIN_MS,
    mute: [alone],
    begin: (network: Network): void => {
      for (const other of all) if (other !== alone) network.cut(alone, other);
    },
  })),
  {
    name: "n2 does not hear n1",
    lively: each,
    gapMs: WITHIN_MS,
    mute: [],
    begin: (network) => {
      network.drop(0, 1);
    },
  },
  {
    name: "nobody hears n3",
    lively: [[0], [1]],
    gapMs: WITHIN_MS,
    mute: [2],
    begin: (network) => {
      network.drop(2, 0);
      network.drop(2, 1);
    },
  },
  {
    name: "n1 hears nobody",
    lively: [[1], [2]],
    gapMs: WITHIN_MS,
    mute: [0],
    begin: (network) => {
      network.drop(1, 0);
      network.drop(2, 0);
    },
  },
  {
    name: "30 % of all packets between nodes are lost",
    lively: [all],
    gapMs: UNDER_LOSS_MS,
    mute: [],
    begin: (network) => {
      for (const [a, b] of [
        [0, 1],
        [0, 2],
        [1, 2],
      ] as const) {
        network.cut(a, b, 30);
      }
    },
  },
];

/** The longest time in ms, between `fromMs` and `toMs`, without one of these moments. */
function longestGap(moments: readonly number[], fromMs: number, toMs: number): number {
  let longest = 0;
  let last = fromMs;
  for (const moment of [...moments.filter((at) => at > fromMs && at < toMs), toMs]) {
    longest = Math.max(longest, moment - last);
    last = moment;
  }
  return longest;
}

const why = whyNoNetwork();

describe.skipIf(why !== "")(`three real nodes on hosts of their own${why === "" ? "" : ` (${why})`}`, () => {
  it("are linearizable, lively with a majority and mute without one, whatever packets are lost", {
    timeout: (SCENARIOS.length * (SECONDS + 40) + 60) * 1000,
  }, async () => {
    console.log(`seed ${String(SEED)}`);
    const network = Network.create(3);
    try {
      await withCluster({ hosts: network.hosts, extra: "protectedMode: false" }, async (cluster) => {
        const workload = new Workload(cluster, {
          clients: CLIENTS,
          counters: 10,
          registers: 40,
          seed: SEED,
          pinned: true,
        });
        const writesOf = (nodes: readonly number[]): number[] =>
          workload.successes.filter(({ node, isWrite }) => isWrite && nodes.includes(node)).map(({ atMs }) => atMs);
        workload.start();
        await pause(1000);
        const troubles: string[] = [];
        for (const { name, lively, gapMs, mute, begin } of SCENARIOS) {
          begin(network);
          const fromMs = performance.now();
          await pause(Math.max(SECONDS * 1000, gapMs * 1.5));
          const toMs = performance.now();
          const gaps = lively.map((nodes) => ({
            who: nodes.map((node) => `n${String(node + 1)}`).join("+"),
            ms: longestGap(writesOf(nodes), fromMs, toMs),
          }));
          const answers = workload.successes.filter(
            ({ node, atMs }) => mute.includes(node) && atMs > fromMs + LAST_WORDS_MS && atMs < toMs,
          ).length;
          const counts = all.map((node) => writesOf([node]).filter((at) => at > fromMs && at < toMs).length);
          network.heal();
          const healedMs = performance.now();
          await until(
            `after "${name}" every node writes`,
            () => all.every((node) => writesOf([node]).some((at) => at > healedMs)),
            30_000,
          );
          const longest = gaps.map(({ who, ms }) => `${who} ${ms.toFixed(0)} ms`).join(", ");
          console.log(
            `${name}: longest gap without a write: ${longest}; writes ${counts.join("/")}; ` +
              `${String(answers)} answers of a minority; all write ${(performance.now() - healedMs).toFixed(0)} ms after`,
          );
          for (const { who, ms } of gaps) {
            if (ms > gapMs) troubles.push(`${name}: ${who} wrote nothing for ${ms.toFixed(0)} ms`);
          }
          if (answers > 0) troubles.push(`${name}: ${String(answers)} answers of a node without a majority`);
          await pause(1000);
        }
        await workload.stop();
        await workload.readAll();
        const verdicts = checkHistory(workload.history);
        console.log(workload.summary());
        expect(describeFailures(verdicts)).toBe("");
        expect(troubles).toEqual([]);
      });
    } finally {
      network.destroy();
    }
  });
});
