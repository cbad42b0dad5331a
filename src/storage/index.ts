/**
 * Storage: durable records of up to two positions a key, in batches. `store.ts` is the contract; the native engine and
 * the store in memory keep it, held to one contract suite. Left out so far: iteration with a cursor (forEachKey copies
 * all keys at once), control of merge and scrub.
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
  HEADER_BYTES,
  type LoadedKey,
  type SlotView,
  type Store,
  type StoreFacts,
  type StoreSink,
  type StoreStats,
  type StoreStatus,
} from "./store.js";
