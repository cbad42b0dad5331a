/**
 * The cluster as one node sees it: which nodes there are, which one we are, where our disks and ports are. Read once
 * at start, checked to the last key, then passed on as one plain value. The room knows nothing of consensus or
 * storage; the rooms below it never see a configuration.
 *
 * Left out for now: placement of slots on groups of three among many nodes, and epochs that change while running. The
 * one group is the whole cluster.
 */
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
export { hashPassword, verifyPassword } from "./password.js";
export { type Environment, type FlagValues, type Setting, SETTINGS } from "./settings.js";
export { formatSize, parseSize } from "./units.js";
