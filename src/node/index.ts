/**
 * A replica alive. Begin at replica-node.ts (what a node is), turn.ts (how a turn goes), links.ts (how nodes come to
 * trust each other), sweep/ (how a replica is kept whole).
 */
export { type Clock, SystemClock, type TimerHandle } from "./clock.js";
export { MapBoard, type MapOnBoard } from "./map-board.js";
export { NodeError, type NodeErrorCode } from "./node-error.js";
export { type GroupsOptions, type OpenedGroups, openGroups } from "./open-groups.js";
export { type OnReplica, type OpenedReplica, openReplica, type ReplicaOptions } from "./open-replica.js";
export type { NodeEvents } from "./node-parts.js";
export { needsDecision } from "./sweep/findings.js";
export { ReplicaNode } from "./replica-node.js";
export type { ChangeListener, GroupStats, KeyService, NodeStats, PeerView, PLogView, ReplySink } from "./service.js";
