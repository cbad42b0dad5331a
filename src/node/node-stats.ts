/** What a node tells of itself, put together from those who know it: for INFO, metrics and people. */
import type { Context } from "../paxos/context.js";
import type { StoreStats } from "../storage/store.js";
import type { Identity } from "./identity.js";
import type { Links } from "./links.js";
import { isLastinglySlow, isReady } from "./peers.js";
import type { NodeStats, PeerView } from "./service.js";
import { type Counters, storeFigures } from "./stats.js";
import type { SweepStats } from "./sweep/sweep.js";
import type { TurnLoop } from "./turn.js";

interface Known {
  readonly state: NodeStats["state"];
  readonly identity: Identity;
  readonly context: Context;
  readonly links: Links;
  readonly counters: Counters;
  readonly turns: TurnLoop;
  readonly store: StoreStats;
  readonly sweep: SweepStats;
}

export function nodeStats(known: Known): NodeStats {
  const { state, identity, context, links, counters, turns, store, sweep } = known;
  const levels = turns.undecided();
  const rounds = counters.rounds(context.replicas - 1);
  return {
    nodeId: identity.nodeId,
    replica: context.self,
    clusterId: identity.clusterId,
    incarnation: identity.incarnation,
    storageId: identity.storageId,
    state,
    mode: modeOf(identity),
    waitingFor: links.waitingFor(),
    loss: identity.loss,
    lossAll: identity.lossAll,
    lossOpen: identity.lossOpen,
    restoring: sweep.restoring,
    lossReason: identity.forgot === "" ? identity.lossReason : identity.forgot,
    unfenced: links.unfenced(),
    peers: peerViews(known),
    lanes: turns.lanes,
    undecided: levels.level1 + levels.level2,
    writes: counters.writes,
    reads: counters.reads,
    writesOk: counters.writesOk,
    writesUnknown: counters.writesUnknown,
    writesNotApplied: counters.writesNotApplied,
    fastRounds: rounds.fast,
    submittedRounds: counters.submittedRounds,
    twoPhaseRounds: rounds.twoPhase,
    forwards: counters.forwards,
    catchUps: counters.catchUps,
    messagesSent: counters.messagesSent,
    framesSent: counters.framesSent,
    alarms: counters.alarms,
    sweepPasses: sweep.passes,
    sweepBucketsDone: sweep.bucketsDone,
    sweepSinceTicks: sweep.sinceTicks,
    sweepFound: sweep.found,
    catchUpBacklog: sweep.backlog,
    catchUpAgeTicks: sweep.backlogAgeTicks,
    keysFetched: sweep.keysFetched,
    keysRestored: counters.restored,
    undecidedLevel1: levels.level1,
    undecidedLevel2: levels.level2,
    ...storeFigures(store),
  };
}

function modeOf({ born, forgot, learnerOrder, lossOpen }: Identity): NodeStats["mode"] {
  if (learnerOrder) return "learner-by-order";
  return born && forgot === "" && !lossOpen ? "voter" : "learner";
}

function peerViews({ identity, context, links }: Known): PeerView[] {
  return identity.nodeIds.map((nodeId, replica): PeerView => {
    if (replica === context.self) {
      const { incarnation } = identity;
      return {
        replica,
        nodeId,
        state: "self",
        detail: "",
        incarnation,
        rttUs: 0,
        isSlow: isLastinglySlow(context, replica),
      };
    }
    const peer = links.peer(replica);
    let state: PeerView["state"] = "connecting";
    if (isReady(peer)) state = (context.suspected[replica] ?? false) ? "suspected" : "connected";
    else if (peer.refused !== "") state = "refused";
    const { incarnation } = peer;
    const isSlow = isLastinglySlow(context, replica);
    return { replica, nodeId, state, detail: peer.refused, incarnation, rttUs: Math.round(peer.roundTripUs), isSlow };
  });
}
