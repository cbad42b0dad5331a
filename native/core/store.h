// The engine's one door: durable records of up to two positions per key, handed over in batches, completed in order.
// It knows keys, positions, floors and opaque headers; never ballots, quorums or JavaScript. The one idea: memory
// changes only when the flush completed (D5), so that whatever Load shows survives a power loss.
#ifndef PLOGDB_CORE_STORE_H_
#define PLOGDB_CORE_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "block_device.h"
#include "status.h"
#include "value_ref.h"

namespace plogdb {

inline constexpr size_t kHeaderBytes = 64;
inline constexpr size_t kMaxKeyBytes = 65535;
inline constexpr size_t kMaxVolumes = 16;
inline constexpr size_t kMaxNodeIdBytes = 64;
// D12: batches whose values are all at most this long (tombstones, promises) may use the room that is kept for
// deletions.
inline constexpr size_t kSmallValueBytes = 1024;
inline constexpr uint64_t kMinVolumeBytes = uint64_t{8} << 20;
inline constexpr uint64_t kIterationEnd = UINT64_MAX;
inline constexpr uint32_t kDigestBuckets = 65536;  // D20
// D20: where in a header the caller keeps the 8-byte hash of a record, for digests. kNoDigestOffset: the engine's own
// checksum of key and value serves.
inline constexpr uint32_t kNoDigestOffset = UINT32_MAX;

enum class Durability : uint8_t {
  kFlush = 0,   // every run is written and flushed (default)
  kDevice = 1,  // the device's cache is protected: written is durable, no flush
  kNone = 2,    // tests only
};

struct VolumeOptions {
  std::string path;  // a file (created and preallocated when absent) or a block device
  uint64_t bytes =
      0;  // used when the volume is formatted; rounded down to whole extents. Formatted volumes keep theirs
};

// D11. May be changed while the store is open (SetMerge).
struct MergeOptions {
  // Bounds on what merge reads of each volume, and on its reads per second. It yields below them when callers
  // write, and exceeds them when space would run out otherwise.
  uint64_t bytes_per_second = uint64_t{256} << 20;
  uint64_t operations_per_second = 1000;
  bool paused = false;             // only a store that would be full merges all the same
  uint32_t hours = 0x00ffffff;     // bit h: merge may run in hour h of local time; outside as if paused
};

// D19. May be changed while the store is open (SetScrub).
struct ScrubOptions {
  uint64_t bytes_per_second = 0;  // 0 = no scrubbing; else pass after pass over everything that was written
};

struct StoreOptions {
  std::vector<VolumeOptions> volumes;  // 1 to kMaxVolumes; same number and order at every open
  Durability durability = Durability::kFlush;
  uint64_t cache_bytes = uint64_t{64} << 20;
  uint32_t max_value_bytes = uint32_t{16} << 20;  // and never above a quarter of an extent (D1)
  std::string node_id;                            // <= kMaxNodeIdBytes; stored at format, checked at open (D9)
  uint32_t reader_threads = 2;
  uint32_t recovery_threads = 0;            // that read extents when the store is opened; 0 = two per core, at most 4
  bool force_scan = false;                  // tests: opens as if no extent had a summary
  bool stepped = false;                     // D22: no threads; the caller drives Step()
  MergeOptions merge;
  ScrubOptions scrub;
  uint32_t digest_offset = kNoDigestOffset;  // a multiple of 8 below kHeaderBytes, or kNoDigestOffset
  DeviceFactory* device_factory = nullptr;  // null = files and block devices; must outlive the store
  uint64_t seed = 0;  // 0 = storage id from the system's random source; else from this seed (tests)
  // Monotonic microseconds, for idle marks (D17) and measurements. Null = the system's steady clock.
  uint64_t (*now_us)(void* context) = nullptr;
  // Hour of the day, for MergeOptions::hours. Null = local time.
  uint32_t (*local_hour)(void* now_context) = nullptr;
  void* now_context = nullptr;  // of both
  // Called when completions wait and none waited before: at most once until DrainCompletions took them. From an engine
  // thread, or from within SubmitBatch, Read or Step on the caller's. It must not call into the store.
  void (*wake)(void* context) = nullptr;
  void* wake_context = nullptr;
};

struct VolumeReport {
  std::string path;
  uint64_t bytes = 0;
  uint64_t extent_bytes = 0;
  uint32_t block_bytes = 0;
  IoMode io_mode = IoMode::kDirect;
};

// Blocks that held acknowledged data of keys that cannot be told. Of one life of an extent, and nothing is written there
// in that life any more: so it is the same loss at every opening, and damage beside it makes it longer.
struct LostPlace {
  uint32_t volume = 0;
  uint64_t life = 0;  // block id of the extent's first block in it; 0: not known
  uint32_t from = 0;  // block of the volume
  uint32_t to = 0;    // the one behind the last
};

struct OpenReport {
  bool fresh = false;  // this open formatted the store: it remembers nothing
  std::array<uint8_t, 16> storage_id{};
  std::vector<VolumeReport> volumes;
  uint64_t recovered_watermark = 0;  // highest durable LSN found (D18)
  uint64_t recovered_keys = 0;       // keys with at least one live record, corrupt ones included
  uint64_t corrupt_keys = 0;
  // Losses of acknowledged data of keys that cannot be told: places, and records so old that something newer was lost.
  uint64_t unknown_losses = 0;
  std::vector<LostPlace> lost_places;
  uint64_t recovery_us = 0;
  uint64_t dropped_runs = 0;  // unfinished writes above the mark (D17)
  uint64_t summarized_extents = 0;  // of which the summary served
};

enum class OpKind : uint8_t { kPut = 0, kMark = 1, kDrop = 2 };

// One operation of a batch. Everything is copied before SubmitBatch returns.
struct BatchOp {
  OpKind kind = OpKind::kPut;
  std::span<const uint8_t> key;     // 1 to kMaxKeyBytes bytes
  uint64_t position = 0;            // put, mark
  uint64_t floor = 0;               // put: equal to position or one below it; mark: the position when it is decided (D5)
  std::span<const uint8_t> header;  // put, mark: kHeaderBytes
  std::span<const uint8_t> value;   // put
};

// kDamaged: a read, merge or scrub found a live record broken (D19): once per record and life of the store.
enum class CompletionKind : uint8_t { kBatch = 0, kRead = 1, kFailed = 2, kDamaged = 3 };

struct Completion {
  CompletionKind kind = CompletionKind::kBatch;
  StatusCode status = StatusCode::kOk;
  uint64_t token = 0;   // batch: its token; read: its tag; kDamaged: the record's position
  ValueRef value;       // read, when status is kOk
  std::string message;  // kFailed: why, said once; kDamaged: the key
};

struct SlotView {
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t lsn = 0;
  uint32_t value_bytes = 0;
  std::array<uint8_t, kHeaderBytes> header{};
  ValueRef value;  // absent when it is on disk only
};

struct LoadedKey {
  uint32_t slots = 0;    // in rising position
  bool corrupt = false;  // a live record is broken: the state is not known; slots show what is left
  std::array<SlotView, 2> slot;
};

// What memory has of a key's newest record.
enum class NewestState : uint8_t { kAbsent = 0, kCorrupt = 1, kOnDisk = 2, kHere = 3, kNoRoom = 4 };
struct NewestValue {
  NewestState state = NewestState::kAbsent;
  uint32_t bytes = 0;  // of a value that is here, whether or not there was room for it
};

enum class StoreState : uint8_t { kOpen = 0, kFailed = 1, kClosed = 2 };

// D12. Soft: merge works harder. Hard: ordinary writes wait for merge. Full: there is nothing to merge; they are refused.
enum class SpaceLevel : uint8_t { kPlenty = 0, kSoft = 1, kHard = 2, kFull = 3 };

struct StoreStats {
  uint64_t keys = 0;
  std::array<uint64_t, 256> keys_by_class{};  // by byte 0 of the header of the newest record
  uint64_t bytes_used = 0;                    // extents that hold anything live or are open
  uint64_t bytes_total = 0;
  uint64_t live_bytes = 0;  // the room that live records take on disk, with their share of directories and summaries
  uint64_t flushes = 0;
  uint64_t runs = 0;
  uint64_t mark_runs = 0;  // runs without a record (D17)
  uint64_t records_written = 0;
  uint64_t bytes_written = 0;
  uint64_t disk_reads = 0;
  uint64_t cache_bytes = 0;
  uint64_t extents_freed = 0;
  uint64_t flush_us = 0;  // moving average of write + flush
  uint64_t corrupt_keys = 0;
  StoreState state = StoreState::kOpen;
  // Memory: the index with its table, keys and headers, without cached values (D15).
  uint64_t index_bytes = 0;
  uint64_t cache_hits = 0;    // Load and Read with the value in memory
  uint64_t cache_misses = 0;  // Read that went to the disk
  // Space (D10 to D12). Live + dead = what written extents hold.
  uint64_t bytes_usable = 0;  // for callers' records: without the reserved extents
  uint64_t dead_bytes = 0;    // merge's debt: dead bytes in sealed extents that are not free yet and may become so
  uint64_t free_extents = 0;
  uint64_t kept_extents = 0;  // hold evidence of a loss, and are neither merged nor written over
  uint64_t total_extents = 0;
  SpaceLevel space_level = SpaceLevel::kPlenty;
  uint64_t stalled_batches = 0;    // batches that wait for merge to make room, now
  uint64_t stalls = 0;             // and ever
  uint64_t seconds_to_full = 0;    // at the present rates; UINT64_MAX = never
  uint64_t merge_bytes_read = 0;
  uint64_t merge_bytes_copied = 0;
  uint64_t merge_records_copied = 0;
  uint64_t merge_extents = 0;      // sources emptied
  uint64_t merge_rate = 0;         // bytes per second, read and written, of late
  uint64_t zero_filled_bytes = 0;
  // Scrub (D19).
  uint64_t scrub_passes = 0;
  uint64_t scrub_bytes = 0;
  uint64_t scrub_records = 0;
  uint64_t damaged_records = 0;    // found by reads, merge or scrub
  uint64_t summary_bytes = 0;      // written in summaries of sealed extents (D17)
};

// Visits a key: its newest live record. Called under a shard's lock: must be quick and must not call the store.
using KeyVisitor = void (*)(void* context, std::span<const uint8_t> key, uint64_t position,
                            std::span<const uint8_t> header);

// Any thread may call any method at any time, except that Close must not race with other calls of the same caller's
// making, and that in stepped mode one thread makes all calls.
class Store {
 public:
  // Opens or formats. `*report` is filled on success. Blocks for the time of recovery.
  static Status Open(const StoreOptions& options, std::unique_ptr<Store>* out, OpenReport* report);

  // Closes, if that was not done yet.
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Takes a batch over. Tokens must rise. OK: exactly one completion for the token will follow, in token order; its
  // status is kOk (all durable), kDiskFull, kFailed, kTooLarge or kClosed (nothing of the batch may be relied on).
  // kInvalidArgument or kClosed as the return value: nothing was taken, no completion follows.
  // All operations of one key in a batch become durable together (D6). A put below the key's floor is skipped.
  // A mark changes a header in memory, after everything put before it, writes nothing and needs no flush; it becomes
  // durable only if merge happens to write the record anew. One whose
  // floor is its position says that the record is decided: merge may then write it anew with that header and floor, and
  // drop what lies below (D5).
  virtual Status SubmitBatch(std::span<const BatchOp> ops, uint64_t token) = 0;

  // Asks for the value of one record; answered by a completion of kind kRead with `tag`, status kOk, kNotFound,
  // kCorrupt or kClosed. From memory when it is there.
  virtual Status Read(std::span<const uint8_t> key, uint64_t position, uint64_t tag) = 0;

  // Appends everything that waits to `*out`; returns how many.
  virtual size_t DrainCompletions(std::vector<Completion>* out) = 0;

  // What is durable of one key. Memory only; slots == 0 and not corrupt = absent.
  virtual void Load(std::span<const uint8_t> key, LoadedKey* out) = 0;
  // Of that only the value of the newest record, copied to the front of `room`.
  virtual NewestValue CopyNewest(std::span<const uint8_t> key, std::span<uint8_t> room) = 0;

  // Every LSN up to this one is durable or was never acknowledged (D18).
  virtual uint64_t Watermark() const = 0;

  virtual void Stats(StoreStats* out) const = 0;

  // True when a batch with an ordinary put would be refused for want of space (D12).
  virtual bool IsFull() const = 0;

  // True when a batch with values may have to wait for merge, or in the end be refused: always when full, and while
  // merge is behind. Who must not hand over what may be refused asks this first. Any thread.
  virtual bool IsShort() const = 0;

  virtual void ForEachKey(KeyVisitor visit, void* context) const = 0;

  // Visits some keys from `cursor` on (0 = the beginning) and before `until`, at least `limit` of them unless the end or
  // `until` comes first, and returns the cursor to go on with (at or behind `until`: there is nothing more before it), or
  // kIterationEnd. A cursor is a place in the order of hashes: bucket b begins at b << 48. Every key that is there from the first call to the last is visited
  // exactly once; keys that come or go meanwhile, at most once. Order: by hash. Cursors are good for this open store only.
  virtual uint64_t Iterate(uint64_t cursor, uint64_t until, size_t limit, KeyVisitor visit, void* context) const = 0;

  // D20: copies the digests of buckets first, first + 1, ... into `out`. Two stores that hold the same keys, positions and
  // record hashes have the same digests, whatever their history. A bucket is BucketOfKey(key).
  // kInvalidArgument when the range leaves the kDigestBuckets buckets.
  virtual Status Digests(uint32_t first, std::span<uint64_t> out) const = 0;

  // D11, D19: in force at once.
  virtual void SetMerge(const MergeOptions& options) = 0;
  virtual void SetScrub(const ScrubOptions& options) = 0;

  // Stepped mode: drives each writer by one step (compose and write, or flush and complete) and serves the waiting
  // reads. Returns false when nothing was to be done now. `*due_us`, when not null, becomes the time at which an idle
  // mark is due, or UINT64_MAX.
  virtual bool Step(uint64_t* due_us) = 0;

  // Finishes what was submitted, ends all threads, closes and unlocks the volumes. Batches submitted before still
  // complete and can be drained afterwards. Safe at any stage and twice.
  virtual void Close() = 0;

 protected:
  Store() = default;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_STORE_H_
