/**
 * Storage: durable records of up to two positions a key, in batches. `store.ts` is the contract; the native engine and
 * the store in memory keep it, held to one contract suite. Promises begin above, in src/api.
 */
export {
  type MemoryFaults,
  MemoryStore,
  type MemoryStoreOptions,
  openMemoryStore,
  type Schedule,
} from "./memory-store.js";
export { MemoryDisk, type MemoryRecord } from "./memory-disk.js";
export { emptyLoadedKey } from "./loaded-key.js";
export { NativeStore } from "./native-store.js";
export { type NativeStoreOptions, type OnOpened, openNativeStore } from "./open-native.js";
export { type StoreOpenCode, StoreOpenError } from "./open-error.js";
export {
  ALL_HOURS,
  type CacheStats,
  type Cursor,
  DEFAULT_MERGE,
  DIGEST_BUCKETS,
  HEADER_BYTES,
  type KeyVisitor,
  type LoadedKey,
  type MergeOptions,
  type MergeStats,
  NO_SCRUB,
  type ScrubOptions,
  type ScrubStats,
  type SlotView,
  type SpaceLevel,
  type SpaceStats,
  type Store,
  type StoreFacts,
  type StoreSink,
  type StoreStats,
  type StoreStatus,
} from "./store.js";
