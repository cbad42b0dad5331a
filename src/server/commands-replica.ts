/**
 * REPLICA: what an operator asks of this node as one of its group's replicas: where it stands, to be silent or to vote
 * again (P30), to give up what two have lost (P31), to compare everything it holds with its peers now (P28); and the map of the cluster,
 * with the nodes that it spares.
 */
import { needsDecision } from "../node/index.js";
import type { NodeStats } from "../node/service.js";
import type { Client, Handler } from "./client.js";
import { renderText } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Slot } from "./slot.js";
import type { Arguments } from "./stored-arguments.js";

/** What of the cluster's map is told with a node's state. */
interface MapFacts {
  readonly mapVersion: number;
  readonly drained: boolean;
}

/** Where the node stands, as one JSON object: the same facts for people, tools and `plogdb cluster status`. */
export function replicaStatus(stats: NodeStats, keys: number, map: MapFacts): Record<string, unknown> {
  const { nodeId, replica, state, mode, waitingFor, loss, lossOpen, lossReason, unfenced } = stats;
  const { sweepFound, sweepPasses, sweepBucketsDone, sweepSinceTicks, undecidedLevel1, undecidedLevel2 } = stats;
  return {
    node: nodeId,
    replica,
    state,
    mode,
    ...map,
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
  const { map } = client.context;
  client.askNode((service, answer) => {
    const stats = service.stats();
    const facts = { mapVersion: map?.map.version ?? 0, drained: map?.isDrained(stats.nodeId) === true };
    const text = JSON.stringify(replicaStatus(stats, service.countKeys(), facts));
    queueMicrotask(() => {
      answer(text);
    });
  }, renderText);
};

/** What an answer begins with that is an error. */
const REFUSED = "ERR ";
const NOBODY_THERE = "NOQUORUM";

/** Null: it is neither, and the error was written. */
function onOrOff(client: Client, args: Arguments, at: number): boolean | null {
  if (args.is(at, "on")) return true;
  if (args.is(at, "off")) return false;
  client.out.error("ERR syntax error, say ON or OFF");
  return null;
}

export const learner: Handler = (client, args) => {
  const on = onOrOff(client, args, 2);
  if (on === null) return;
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

/** A pass with nobody to compare with would wait until somebody is there. */
export const verify: Handler = (client) => {
  client.askNode((service, answer) => {
    const { peers } = service.stats();
    if (peers.length > 1 && !peers.some(({ state }) => state === "connected")) {
      queueMicrotask(() => {
        answer(`${NOBODY_THERE} no other node can be reached to compare with`);
      });
      return;
    }
    service.verifyNow((found) => {
      answer(JSON.stringify(found));
    });
  }, renderOrRefuse);
};

export const map: Handler = (client) => {
  client.askNode((_service, answer) => {
    const text = JSON.stringify(client.context.map?.map ?? null);
    queueMicrotask(() => {
      answer(text);
    });
  }, renderText);
};

/** The whole cluster spares a node, until it is told otherwise. Only members of the bootstrap group can change that. */
export const drain: Handler = (client, args) => {
  const on = onOrOff(client, args, 3);
  if (on === null) return;
  const nodeId = args.latin1(2);
  const { map: keeper } = client.context;
  client.askNode((_service, answer) => {
    void keeper?.drain(nodeId, on).then(
      () => {
        answer("OK");
      },
      (error: unknown) => {
        answer(`${REFUSED}${error instanceof Error ? error.message : String(error)}`);
      },
    );
  }, renderOrRefuse);
};

function renderOrRefuse(out: ReplyWriter, slot: Slot): void {
  if (slot.text.startsWith(REFUSED) || slot.text.startsWith(NOBODY_THERE)) out.error(slot.text);
  else renderText(out, slot);
}
