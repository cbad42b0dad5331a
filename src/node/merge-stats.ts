/**
 * What a node in several groups tells of itself as a whole: counts added up, states as bad as the worst, and of a peer what
 * the worst of its connections says.
 */
import { assert } from "../base/assert.js";
import type { NodeStats, PeerView } from "./service.js";
import type { PassFindings } from "./sweep/findings.js";

const STATES: readonly NodeStats["state"][] = ["serving", "waiting", "loading", "closed", "failed"];
const MODES: readonly NodeStats["mode"][] = ["voter", "learner", "learner-by-order"];
const PEER_STATES: readonly PeerView["state"][] = ["self", "connected", "suspected", "connecting", "refused"];

function worst<T>(order: readonly T[], present: readonly T[]): T {
  const found = order.findLast((one) => present.includes(one));
  assert(found !== undefined, "a node has a group");
  return found;
}

function union(lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())].toSorted();
}

/** `nodeIds`: of the whole cluster, in the order of its nodes. The store is one, so any group tells of it. */
export function mergeStats(all: readonly NodeStats[], nodeIds: readonly string[]): NodeStats {
  const [first] = all;
  assert(first !== undefined, "a node has a group");
  const sum = (figure: (stats: NodeStats) => number): number => all.reduce((total, one) => total + figure(one), 0);
  const most = (figure: (stats: NodeStats) => number): number => Math.max(...all.map(figure));
  const since = all.map(({ sweepSinceTicks }) => sweepSinceTicks);
  const lossy = all.find(({ lossReason }) => lossReason !== "");
  return {
    ...first,
    replica: nodeIds.indexOf(first.nodeId),
    incarnation: most((one) => one.incarnation),
    state: worst(
      STATES,
      all.map(({ state }) => state),
    ),
    mode: worst(
      MODES,
      all.map(({ mode }) => mode),
    ),
    waitingFor: union(all.map(({ waitingFor }) => waitingFor)),
    loss: most((one) => one.loss),
    lossAll: most((one) => one.lossAll),
    lossOpen: all.some(({ lossOpen }) => lossOpen),
    restoring: all.some(({ restoring }) => restoring),
    lossReason: lossy?.lossReason ?? "",
    unfenced: union(all.map(({ unfenced }) => unfenced)),
    peers: mergePeers(all, nodeIds),
    lanes: sum((one) => one.lanes),
    undecided: sum((one) => one.undecided),
    writes: sum((one) => one.writes),
    reads: sum((one) => one.reads),
    writesOk: sum((one) => one.writesOk),
    writesUnknown: sum((one) => one.writesUnknown),
    writesNotApplied: sum((one) => one.writesNotApplied),
    fastRounds: sum((one) => one.fastRounds),
    submittedRounds: sum((one) => one.submittedRounds),
    twoPhaseRounds: sum((one) => one.twoPhaseRounds),
    forwards: sum((one) => one.forwards),
    catchUps: sum((one) => one.catchUps),
    messagesSent: sum((one) => one.messagesSent),
    framesSent: sum((one) => one.framesSent),
    alarms: sum((one) => one.alarms),
    sweepPasses: Math.min(...all.map(({ sweepPasses }) => sweepPasses)),
    sweepBucketsDone: sum((one) => one.sweepBucketsDone),
    sweepSinceTicks: since.some((ticks) => ticks < 0) ? -1 : Math.max(...since),
    sweepFound: mergeFindings(all.map(({ sweepFound }) => sweepFound)),
    catchUpBacklog: sum((one) => one.catchUpBacklog),
    catchUpAgeTicks: most((one) => one.catchUpAgeTicks),
    keysFetched: sum((one) => one.keysFetched),
    keysRestored: sum((one) => one.keysRestored),
    undecidedLevel1: sum((one) => one.undecidedLevel1),
    undecidedLevel2: sum((one) => one.undecidedLevel2),
  };
}

export function mergeFindings(all: readonly Readonly<PassFindings>[]): PassFindings {
  const sum = (figure: (found: Readonly<PassFindings>) => number): number =>
    all.reduce((total, one) => total + figure(one), 0);
  return {
    buckets: sum(({ buckets }) => buckets),
    differing: sum(({ differing }) => differing),
    behind: sum(({ behind }) => behind),
    diverged: sum(({ diverged }) => diverged),
    undecided: sum(({ undecided }) => undecided),
    learners: sum(({ learners }) => learners),
    lostTwice: sum(({ lostTwice }) => lostTwice),
    lostDisks: Math.max(0, ...all.map(({ lostDisks }) => lostDisks)),
  };
}

/** Nodes that share a group with this one, by their number in the cluster. */
function mergePeers(all: readonly NodeStats[], nodeIds: readonly string[]): readonly PeerView[] {
  return nodeIds.flatMap((nodeId, replica): PeerView[] => {
    const views = all.flatMap(({ peers }) => peers.filter((peer) => peer.nodeId === nodeId));
    if (views.length === 0) return [];
    const state = worst(
      PEER_STATES,
      views.map((view) => view.state),
    );
    const times = views.map(({ rttUs }) => rttUs).filter((us) => us > 0);
    return [
      {
        replica,
        nodeId,
        state,
        detail: views.find((view) => view.state === state)?.detail ?? "",
        incarnation: Math.max(...views.map(({ incarnation }) => incarnation)),
        rttUs: times.length === 0 ? 0 : Math.min(...times),
        isSlow: views.some(({ isSlow }) => isSlow),
      },
    ];
  });
}
