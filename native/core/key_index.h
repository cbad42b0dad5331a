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

// Any thread.
class KeyIndex {
 public:
  explicit KeyIndex(uint64_t cache_bytes);

  // Returns true when the record lives. With `cache` its value is kept within the budget.
  bool Apply(const Record& record, uint64_t hash, bool cache, DeadRecords* dead);

  void SetHeader(std::span<const uint8_t> key, uint64_t hash, uint64_t position, std::span<const uint8_t> header);

  KeyState StateOf(std::span<const uint8_t> key, uint64_t hash) const;
  void Load(std::span<const uint8_t> key, uint64_t hash, LoadedKey* out);

  // Pins the record's extent in `extents` when it must be read from disk.
  ReadPlan PlanRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents);
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
