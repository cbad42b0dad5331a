/**
 * The public API: a replica in your process (`openNode`), a node behind a Redis port (`openServer`), and the errors of
 * both. Everything else is the inside of the house. Not in this version: watching a key for changes.
 */
export { PlogError, type PlogErrorCode, type WriteDoubt } from "./api/errors.js";
export { type Bytes, MAX_KEY_BYTES, openNode, PlogNode, type SetOptions, type Versioned } from "./api/node.js";
export type { NodeOptions } from "./api/options.js";
export { ConfigError, type ConfigProblem, loadConfig, type ServerConfig } from "./cluster/index.js";
export type { NodeStats, PeerView, PLogView } from "./node/index.js";
export { OpenError, type OpenErrorCode, openServer, type RunningServer } from "./server/index.js";
