/**
 * REPLICA: what an operator asks of this node as one of its group's replicas: where it stands, to be silent or to vote
 * again (P30), to give up what two have lost (P31), and to compare everything it holds with its peers now (P28).
 */
import type { NodeStats } from "../node/service.js";
import type { Handler } from "./client.js";
import { needsDecision } from "../node/index.js";
import { renderText } from "./replies.js";

/** Where the node stands, as one JSON object: the same facts for people, tools and `plogdb cluster status`. */
export function replicaStatus(stats: NodeStats, keys: number): Record<string, unknown> {
  const { nodeId, replica, state, mode, waitingFor, loss, lossOpen, lossReason, unfenced } = stats;
  const { sweepFound, sweepPasses, sweepBucketsDone, sweepSinceTicks, undecidedLevel1, undecidedLevel2 } = stats;
  return {
    node: nodeId,
    replica,
    state,
    mode,
    waitingFor,
    loss: {
      number: loss,
      open: lossOpen,
      restoring: stats.restoring,
      reason: lossReason,
      unfenced,
      keysRestored: stats.keysRestored,
      needsDecision: needsDecision(sweepFound),
    },
    keys,
    learners: sweepFound.learners,
    undecided: { level1: undecidedLevel1, level2: undecidedLevel2, level3: sweepFound.undecided },
    catchUp: { backlog: stats.catchUpBacklog, ageMs: stats.catchUpAgeTicks, keysFetched: stats.keysFetched },
    verification: { passes: sweepPasses, bucketsDone: sweepBucketsDone, sinceMs: sweepSinceTicks, found: sweepFound },
    scrub: { passes: stats.scrubPasses, bytes: stats.scrubBytes, damagedRecords: stats.damagedRecords },
    corruptKeys: stats.corruptKeys,
    peers: stats.peers.map(({ nodeId: node, state: peerState, detail }) => ({ node, state: peerState, detail })),
  };
}

export const status: Handler = (client) => {
  client.askNode((service, answer) => {
    const text = JSON.stringify(replicaStatus(service.stats(), service.countKeys()));
    queueMicrotask(() => {
      answer(text);
    });
  }, renderText);
};

export const learner: Handler = (client, args) => {
  const on = args.is(2, "on");
  if (!on && !args.is(2, "off")) {
    client.out.error("ERR syntax error, say ON or OFF");
    return;
  }
  client.askNode((service, answer) => {
    service.setLearner(on, () => {
      answer("OK");
    });
  }, renderText);
};

export const acceptLoss: Handler = (client) => {
  client.askNode((service, answer) => {
    const accepted = service.acceptLoss();
    queueMicrotask(() => {
      answer(accepted ? "OK" : "NOTHING");
    });
  }, renderText);
};

export const verify: Handler = (client) => {
  client.askNode((service, answer) => {
    service.verifyNow((found) => {
      answer(JSON.stringify(found));
    });
  }, renderText);
};
