/**
 * The cluster as one node sees it: which nodes there are, which one we are, where our disks and ports are. Read once
 * at start, checked to the last key, then passed on as one plain value. The room knows nothing of consensus or
 * storage; the rooms below it never see a configuration.
 *
 * Left out for now: epochs that change while running. Nodes and zones of a cluster stay what they were at its start.
 */
export {
  BOOTSTRAP_GROUP,
  type ClusterMap,
  decodeMap,
  encodeMap,
  firstMap,
  holdsMap,
  isPlacedAs,
  mapHolders,
  withDrained,
} from "./cluster-map.js";
export { loadConfig, parseConfig } from "./config.js";
export { ConfigError, type ConfigProblem } from "./config-error.js";
export {
  type Address,
  type Durability,
  formatAddress,
  type LogLevel,
  type NodeEntry,
  type PeerTlsFiles,
  type Role,
  type ServerConfig,
  type TlsFiles,
  type UserEntry,
} from "./server-config.js";
export { SLOTS, slotOfKey, slotOfName } from "./hash-slot.js";
export { type Group, groupBySlot, groupsWith, type Placement, placementOf } from "./placement.js";
export { hashPassword, verifyPassword } from "./password.js";
export { type Environment, type FlagValues, type Setting, SETTINGS } from "./settings.js";
export { formatSize, parseSize } from "./units.js";
