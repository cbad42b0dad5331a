/**
 * Broken variants of a whole cluster, injected at its construction: each breaks one promise of node, disk, network or client
 * service, and the swarm must catch it. A swarm that lets one live proves nothing. They run on the store in memory, with
 * the faults that give them their chance, and are counted in seeds until the first violation.
 */
import { type Key, USER_SPACE } from "../base/key.js";
import { FrameWriter, readFrame } from "../codec/frame.js";
import { CLASS_DELETED, headOf, loadPLog } from "../codec/record.js";
import type { ReplicaNode } from "../node/replica-node.js";
import type { KeyState } from "../codec/sweep.js";
import { IDENTITY_KEYS } from "../node/identity-record.js";
import type { ReplySink } from "../node/service.js";
import { NO_BALLOT, type ReplicaId } from "../paxos/ballot.js";
import type { Message } from "../paxos/message.js";
import type { Operation } from "../paxos/operation.js";
import type { PLog } from "../paxos/plog.js";
import { emptyLoadedKey } from "../storage/loaded-key.js";
import type { ClusterTamper, SimulatedCluster } from "./cluster.js";
import type { FaultKind } from "./fault-kinds.js";
import { MemoryMedium } from "./memory-medium.js";
import type { SimulatedNetwork } from "./network.js";
import { drawPlan, type Plan, type ProfileName } from "./plan.js";
import { type RunResult, runPlan } from "./run.js";
import { wallMsAt } from "./virtual-time.js";

export interface ClusterCanary {
  readonly name: string;
  /** The rule that it breaks. */
  readonly rule: string;
  /** Faults without which it does no harm. */
  readonly needs: readonly FaultKind[];
  /** Where it is hunted; left out: in the swarm. */
  readonly profile?: ProfileName;
  /** Of one that lives long: a seed that catches it, for those who cannot hunt. */
  readonly caughtBy?: number;
  /** A fresh one for every run: variants may remember things. */
  readonly make: () => ClusterTamper;
}

const MOST_REPLICAS = 256;
const FLAGS_AT = 1;
const FLAG_CHOSEN = 1;
const FLAG_ENTRY = 4;
const MOST_RETRIES = 3;

// ---- frames

/** The frame with its messages rewritten; null takes one out. */
function rewritten(payload: Uint8Array, rewrite: (message: Message) => Message | null): Uint8Array {
  const writer = new FrameWriter();
  let isAboutKeys = true;
  readFrame(payload, MOST_REPLICAS, {
    onWatermark: (watermark) => {
      writer.begin(watermark);
    },
    onMessage: (message) => {
      const kept = rewrite(message);
      if (kept !== null) writer.add(kept);
    },
    onControl: () => {
      isAboutKeys = false;
    },
    onSweep: () => {
      isAboutKeys = false;
    },
    onBad: () => undefined,
  });
  return isAboutKeys ? writer.finish().slice() : payload.slice();
}

function onMessage(rewrite: (message: Message) => Message | null): ClusterTamper {
  return { frames: { onFrame: (_network, _from, _to, payload) => [rewritten(payload, rewrite)] } };
}

function forge(network: SimulatedNetwork, from: ReplicaId, to: ReplicaId, message: Message): void {
  const writer = new FrameWriter();
  writer.begin(0);
  writer.add(message);
  network.forge(from, to, writer.finish().slice());
}

/** Whoever proposes is told at once that all others have accepted; they never hear of it. */
function majorityOfOne(): ClusterTamper {
  return {
    frames: {
      onFrame: (network, from, to, payload) => [
        rewritten(payload, (message) => {
          if (message.type !== "accept" || message.proposer !== from) return message;
          const { key, index, ballot, entry } = message;
          const vote = { granted: true, promised: ballot, accepted: ballot, chosenIndex: index - 1 };
          forge(network, to, from, { type: "accepted", key, index, ballot, entryHash: entry.hash, ...vote });
          return null;
        }),
      ],
    },
  };
}

/** Every vote comes a second time, as another replica's. */
function dupVotes(): ClusterTamper {
  return {
    frames: {
      onFrame: (network, from, to, payload) => [
        rewritten(payload, (message) => {
          const others = network.ends().map((_, replica) => replica);
          const other = others.find((replica) => replica !== from && replica !== to);
          if (message.type === "accepted" && message.granted && other !== undefined) forge(network, other, to, message);
          return message;
        }),
      ],
    },
  };
}

// ---- services

type Write = (node: ReplicaNode, key: Key, operation: Operation, sink: ReplySink, tag: number) => void;
type Read = (cluster: SimulatedCluster, replica: ReplicaId, key: Key, sink: ReplySink, tag: number) => boolean;

function service(write: Write, read: Read): ClusterTamper {
  return {
    serviceOf: (cluster, replica, node) => ({
      write: (key, operation, sink, tag) => {
        write(node, key, operation, sink, tag);
      },
      read: (key, sink, tag) => {
        if (!read(cluster, replica, key, sink, tag)) node.read(key, sink, tag);
      },
    }),
  };
}

const asIs: Write = (node, key, operation, sink, tag) => {
  node.write(key, operation, sink, tag);
};
const strongly: Read = () => false;

/** A second try under a new request id, when nobody knows what became of the first. */
function retryWithoutId(
  node: ReplicaNode,
  key: Key,
  operation: Operation,
  sink: ReplySink,
  tag: number,
  left: number,
): void {
  const retrying: ReplySink = {
    onRead: () => undefined,
    onWrite: (_tag, outcome) => {
      if (outcome.status === "unknown" && left > 0) retryWithoutId(node, key, operation, sink, tag, left - 1);
      else sink.onWrite(tag, outcome);
    },
  };
  node.write(key, operation, retrying, tag);
}

const unknownAsNotApplied: Write = (node, key, operation, sink, tag) => {
  const lying: ReplySink = {
    onRead: () => undefined,
    onWrite: (_tag, outcome) => {
      const isUnknown = outcome.status === "unknown";
      sink.onWrite(tag, isUnknown ? { status: "not-applied", code: "NOQUORUM", message: "" } : outcome);
    },
  };
  node.write(key, operation, lying, tag);
};

function localPLog(cluster: SimulatedCluster, replica: ReplicaId, key: Key): PLog | null {
  const results = [emptyLoadedKey()];
  cluster.held(replica)?.load([key], results);
  const [records] = results;
  const outcome =
    records === undefined
      ? null
      : loadPLog(records, { replicas: cluster.options.replicas, loss: 0, lossAll: 0, lossOpen: false });
  return outcome?.kind === "ready" ? outcome.plog : null;
}

const fromOwnStore: Read = (cluster, replica, key, sink, tag) => {
  const chosen = localPLog(cluster, replica, key)?.chosen;
  if (chosen === undefined) return false;
  const { value, version, expiryMs, index, tombstone } = chosen;
  const shown = tombstone
    ? { found: false, value, version: 0, expiryMs: 0 }
    : { found: true, value, version, expiryMs };
  sink.onRead(tag, { status: "ok", index, ...shown });
  return true;
};

const absentByOwnClock: Read = (cluster, replica, key, sink, tag) => {
  const chosen = localPLog(cluster, replica, key)?.chosen;
  const due = chosen !== undefined && chosen.expiryMs > 0 && chosen.expiryMs <= wallMsAt(cluster.time.nowUs);
  if (!due) return false;
  sink.onRead(tag, {
    status: "ok",
    found: false,
    value: new Uint8Array(0),
    version: 0,
    expiryMs: 0,
    index: chosen.index,
  });
  return true;
};

// ---- disks

function memoryDisk(cluster: SimulatedCluster, replica: ReplicaId): MemoryMedium | null {
  const disk = cluster.disks[replica];
  return disk?.engine === "memory" ? disk : null;
}

/** An empty disk in the place of a lost one passes for the old one. */
function wipedVotes(): ClusterTamper {
  const before = new Map<ReplicaId, MemoryMedium>();
  return {
    beforeStart: (cluster, replica) => {
      const disk = memoryDisk(cluster, replica);
      const old = before.get(replica);
      if (disk === null) return;
      if (disk.fresh && old !== undefined) {
        const forged = new MemoryMedium(old.storageId, old.capacityBytes);
        forged.nodeId = old.nodeId;
        forged.lastLsn = old.lastLsn;
        for (const key of IDENTITY_KEYS) {
          const identity = old.keys.get(key);
          if (identity !== undefined) forged.keys.set(key, identity);
        }
        cluster.disks[replica] = forged;
        return;
      }
      before.set(replica, disk);
    },
  };
}

/** Each start finds the incarnation of the start before the last one. */
function incarnationReused(): ClusterTamper {
  return {
    beforeStart: (cluster, replica) => {
      for (const key of IDENTITY_KEYS) {
        const records = memoryDisk(cluster, replica)?.keys.get(key);
        const record = records?.[0];
        if (records === undefined || record === undefined) continue;
        const identity = JSON.parse(new TextDecoder().decode(record.value)) as { incarnation: number };
        identity.incarnation--;
        records[0] = { ...record, value: new TextEncoder().encode(JSON.stringify(identity)) };
      }
    },
  };
}

function forgetTombstones(): ClusterTamper {
  return {
    beforeStart: (cluster, replica) => {
      const keys = memoryDisk(cluster, replica)?.keys;
      for (const [key, records] of keys ?? []) if (records.at(-1)?.header[0] === CLASS_DELETED) keys?.delete(key);
    },
  };
}

function flagsOf(header: Uint8Array): number {
  return header[FLAGS_AT] ?? 0;
}

function isBarePromise(key: Key, header: Uint8Array): boolean {
  return key.startsWith(USER_SPACE) && (flagsOf(header) & (FLAG_ENTRY | FLAG_CHOSEN)) === 0;
}

function isAccept(key: Key, header: Uint8Array): boolean {
  return key.startsWith(USER_SPACE) && (flagsOf(header) & (FLAG_ENTRY | FLAG_CHOSEN)) === FLAG_ENTRY;
}

export const CLUSTER_CANARIES: readonly ClusterCanary[] = [
  { name: "cluster_majority_of_one", rule: "P11", needs: [], make: majorityOfOne },
  { name: "cluster_dup_votes", rule: "P5", needs: ["partition", "isolation"], make: dupVotes },
  {
    name: "cluster_ignore_accepted",
    rule: "P11",
    needs: ["kill", "kill-all", "isolation"],
    make: () =>
      onMessage((message) => (message.type === "promise" ? { ...message, accepted: NO_BALLOT, entry: null } : message)),
  },
  {
    name: "cluster_read_ignores_accepted",
    rule: "P19",
    needs: ["delay", "isolation"],
    make: () =>
      onMessage((message) => (message.type === "state-reply" ? { ...message, accepted: NO_BALLOT } : message)),
  },
  {
    name: "cluster_never_catches_up",
    rule: "P26",
    needs: ["isolation", "kill"],
    make: () => onMessage((message) => (message.type === "learn" ? null : dropBase(message))),
  },
  {
    name: "cluster_trusts_bytes",
    rule: "framing",
    needs: ["corrupt-frame"],
    make: () => ({ frames: { trustsBytes: true } }),
  },
  {
    name: "cluster_tells_before_flush",
    rule: "P2",
    needs: ["kill-all"],
    make: () => ({ store: { tellsEarly: () => true } }),
  },
  {
    name: "cluster_promise_not_kept",
    rule: "P2",
    needs: ["kill", "partition"],
    make: () => ({ store: { keeps: (_replica, key, _position, header) => !isBarePromise(key, header) } }),
  },
  {
    name: "cluster_accept_not_kept",
    rule: "P2",
    needs: ["kill-all"],
    make: () => ({ store: { keeps: (_replica, key, _position, header) => !isAccept(key, header) } }),
  },
  { name: "cluster_wiped_votes", rule: "P29", needs: ["disk-lost", "isolation", "overload"], make: wipedVotes },
  {
    name: "cluster_old_copy_votes",
    rule: "P29",
    needs: ["old-copy"],
    make: () => ({ frames: { onFrame: (_network, _from, _to, payload) => [forgetfulBinding(payload)] } }),
  },
  {
    name: "cluster_poll_chosen_only",
    rule: "P31",
    needs: ["isolation", "drop"],
    profile: "losses",
    make: () => ({ frames: rewritingLists((state) => ({ ...state, top: state.chosenIndex, acceptedHash: 0 })) }),
  },
  {
    name: "cluster_poll_majority",
    rule: "P31",
    needs: ["disk-lost", "isolation", "drop"],
    caughtBy: 247,
    make: () => ({ frames: rewritingLists((state, from) => (from === 0 ? null : state)) }),
  },
  {
    name: "cluster_learners_are_asked",
    rule: "P31",
    needs: ["isolation"],
    profile: "losses",
    make: () => ({ frames: rewritingLists((state) => ({ ...state, votes: true }), true) }),
  },
  {
    name: "cluster_second_loss",
    rule: "P31",
    needs: ["drop", "isolation"],
    profile: "losses",
    caughtBy: 509,
    make: secondLoss,
  },
  { name: "cluster_incarnation_reused", rule: "P29", needs: ["kill"], make: incarnationReused },
  { name: "cluster_forget_tombstone", rule: "P24", needs: ["kill"], make: forgetTombstones },
  { name: "cluster_read_one_replica", rule: "P18", needs: ["isolation"], make: () => service(asIs, fromOwnStore) },
  { name: "cluster_expired_by_local_clock", rule: "P25", needs: [], make: () => service(asIs, absentByOwnClock) },
  {
    name: "cluster_retry_without_id",
    rule: "P14",
    needs: ["overload", "isolation"],
    make: () =>
      service((node, key, operation, sink, tag) => {
        retryWithoutId(node, key, operation, sink, tag, MOST_RETRIES);
      }, strongly),
  },
  {
    name: "cluster_unknown_as_not_applied",
    rule: "P16",
    needs: ["overload", "isolation"],
    make: () => service(unknownAsNotApplied, strongly),
  },
];

function dropBase(message: Message): Message {
  if (message.type === "state-reply") return { ...message, entry: null };
  return "base" in message ? { ...message, base: null } : message;
}

/** P29: peers do not say how much of a disk they remember. */
function forgetfulBinding(payload: Uint8Array): Uint8Array {
  let said = payload.slice();
  readFrame(payload, MOST_REPLICAS, {
    onWatermark: () => undefined,
    onMessage: () => undefined,
    onControl: (message) => {
      if (message.type === "binding")
        said = new FrameWriter().control(0, { ...message, remembersWatermark: 0 }).slice();
    },
    onSweep: () => undefined,
    onBad: () => undefined,
  });
  return said;
}

/** P31: what replicas list of their keys is changed on its way; `closed`: nobody says that its own loss is open. */
function rewritingLists(
  rewrite: (state: KeyState, from: ReplicaId) => KeyState | null,
  closed = false,
): NonNullable<ClusterTamper["frames"]> {
  return {
    onFrame: (_network, from, _to, payload) => {
      let said = payload;
      readFrame(payload, MOST_REPLICAS, {
        onWatermark: () => undefined,
        onMessage: () => undefined,
        onControl: () => undefined,
        onSweep: (message) => {
          if (message.type !== "list") return;
          const keys = message.keys.map((state) => rewrite(state, from)).filter((state) => state !== null);
          const open = message.open && !closed;
          said = new FrameWriter().sweep(0, { ...message, keys, open }).slice();
        },
        onBad: () => undefined,
      });
      return [said];
    },
  };
}

/** P31: who was restored above an open position tells a second loser its chosen position, as any voter does. */
function secondLoss(): ClusterTamper {
  let cluster: SimulatedCluster | null = null;
  const isLearner = (replica: ReplicaId, key: Key): boolean => {
    const node = cluster?.node(replica);
    const results = [emptyLoadedKey()];
    cluster?.held(replica)?.load([key], results);
    const [records] = results;
    if (cluster === null || node === null || node === undefined || records === undefined || records.slots === 0)
      return true;
    const head = headOf(records.slot[records.slots === 2 ? 1 : 0].header, cluster.options.replicas);
    return head === null || head.learner || head.loss < node.stats().lossAll;
  };
  return {
    beforeStart: (started) => {
      cluster = started;
    },
    frames: rewritingLists((state, from) => ({ ...state, votes: state.votes || !isLearner(from, state.key) })),
  };
}

/** The plan on which a canary is hunted with this seed. */
export function planFor(canary: ClusterCanary, seed: number): Plan {
  const plan = drawPlan(seed, {
    engine: "memory",
    replicas: seed % 2 === 0 ? 5 : 3,
    profile: canary.profile ?? "swarm",
  });
  const { replicas, expendable } = plan;
  return {
    ...plan,
    kinds: new Set([...plan.kinds, ...canary.needs]),
    requestMs: canary.needs.includes("overload") ? 10 + (seed % 40) : plan.requestMs,
    expendable: expendable.length > 0 ? expendable : [seed % replicas],
    keys: { ...plan.keys, rich: Math.max(2, plan.keys.rich) },
  };
}

export function runCanary(canary: ClusterCanary, seed: number): RunResult {
  return runPlan(planFor(canary, seed), { tamper: canary.make() });
}

/** How many seeds it lived, and what caught it; null when it is still alive after `most`. */
export function huntCanary(
  canary: ClusterCanary,
  most: number,
): { readonly seeds: number; readonly by: string } | null {
  for (let seed = 1; seed <= most; seed++) {
    const { violations } = runCanary(canary, seed);
    if (violations.length > 0) return { seeds: seed, by: violations[0] ?? "" };
  }
  return null;
}
