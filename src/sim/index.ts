/**
 * The simulator's door: whole clusters on virtual time, plans drawn from seeds, runs and their verdicts. scripts/sim.mjs is
 * the command over it. Left out: connection floods (there are no sockets), and what later rules bring: the return of a node
 * whose disk forgot, whole-node learners, comparison of digests by the product itself.
 */
export { SimulatedCluster, type ClusterOptions, QUIET } from "./cluster.js";
export { ENGINE_KINDS, FAULT_KINDS, FaultHits, type FaultKind, isFaultKind } from "./fault-kinds.js";
export {
  drawPlan,
  type EngineName,
  type Plan,
  type PlanOptions,
  planWords,
  type ProfileName,
  PROFILES,
} from "./plan.js";
export { type RunOptions, type RunResult, runPlan } from "./run.js";
export { kindsOf, shrink } from "./shrink.js";
export { CLUSTER_CANARIES, type ClusterCanary, huntCanary, runCanary } from "./canaries.js";
