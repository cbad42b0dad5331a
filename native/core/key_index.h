// The map from keys to what is durable of them, in shards with a lock each, together with the budget for cached values
// (CLOCK, per shard). Memory only. The writer changes it when a flush completed, never before (D5).
#ifndef PLOGDB_CORE_KEY_INDEX_H_
#define PLOGDB_CORE_KEY_INDEX_H_

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "extent_map.h"
#include "key_entry.h"

namespace plogdb {

struct LoadedKey;
struct StoreStats;

// What the writer must know of a key before it writes.
struct KeyState {
  bool present = false;
  uint64_t floor = 0;
  uint64_t erased_below = 0;
  bool marker_only = false;
  uint32_t erased_in_run = 0;  // the writer's own note: 1 + ordinal of a deletion in the run being composed
};

struct ReadPlan {
  bool found = false;
  bool corrupt = false;
  ValueRef value;  // when cached; else the extent is pinned and must be unpinned after the read
  uint64_t lsn = 0;
  uint32_t value_bytes = 0;
  uint32_t head_bytes = 0;
  RecordPlace place;
};

// What merge must know of a record that it found on the disk.
struct RecordVerdict {
  bool live = false;
  bool marker = false;    // of a deletion
  bool decided = false;   // live, marked as decided, and something below it lives
  uint32_t head_bytes = 0;
  std::array<uint8_t, 64> header{};  // as it is in memory
};

// Any thread.
class KeyIndex {
 public:
  explicit KeyIndex(uint64_t cache_bytes);

  // Returns true when the record lives. With `cache` its value is kept within the budget.
  bool Apply(const Record& record, uint64_t hash, bool cache, DeadRecords* dead, const PlaceOrder* order = nullptr);

  // `decided`: what lies below is no longer needed; remembered until the next opening.
  void SetHeader(std::span<const uint8_t> key, uint64_t hash, uint64_t position, std::span<const uint8_t> header,
                 bool decided);

  // Is the record with this LSN, at this place, live?
  RecordVerdict Judge(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace place) const;
  // A copy of the record is durable at `to`. False: the record no longer lives at `from`.
  bool Relocate(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace from, RecordPlace to);
  // Forgets a deletion; false when the key was written since, or the marker is another one.
  bool EraseMarker(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, DeadRecords* dead);
  // D16. True when that was news.
  bool MarkCorrupt(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn);

  KeyState StateOf(std::span<const uint8_t> key, uint64_t hash) const;
  void Load(std::span<const uint8_t> key, uint64_t hash, LoadedKey* out);

  // Pins the record's extent in `extents` when it must be read from disk.
  ReadPlan PlanRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents);
  // As PlanRead for what must be read from disk whatever is cached; found is false when the record is gone or corrupt.
  ReadPlan PlanCheck(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents);
  void AfterRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn, const ValueRef* value);

  // Visits every entry, shard by shard under its lock.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const auto& shard : shards_) {
      const std::lock_guard<std::mutex> lock(shard.mutex);
      for (const auto& entry : shard.table) {
        if (entry != nullptr) visit(*entry);
      }
    }
  }

  void AddStats(StoreStats* stats) const;

 private:
  static constexpr size_t kShards = 16;

  // Open addressing, linear probing, backward-shift deletion; power of two.
  struct Shard {
    mutable std::mutex mutex;  // guards all below
    std::vector<std::unique_ptr<KeyEntry>> table;
    size_t count = 0;
    size_t clock_hand = 0;
    uint64_t cached_bytes = 0;
    uint64_t corrupt_keys = 0;
    uint64_t live_keys = 0;
    std::array<uint64_t, 256> by_class{};
  };

  Shard& ShardOf(uint64_t hash) { return shards_[hash >> 60]; }
  const Shard& ShardOf(uint64_t hash) const { return shards_[hash >> 60]; }
  static KeyEntry* Find(const Shard& shard, std::span<const uint8_t> key, uint64_t hash);
  static KeyEntry* FindOrAdd(Shard* shard, std::span<const uint8_t> key, uint64_t hash);
  static void Grow(Shard* shard);
  static void Erase(Shard* shard, const KeyEntry* entry);
  static void Count(Shard* shard, const KeyEntry& entry, uint64_t by);
  void Evict(Shard* shard) const;

  const uint64_t shard_budget_;
  std::array<Shard, kShards> shards_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEY_INDEX_H_
