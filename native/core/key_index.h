// The map from keys to what is durable of them, in shards with a lock each, together with the cache of values. Memory
// only. The writer changes it when a flush completed, never before (D5). Rules about records are the key entry's, how a
// key is kept the shard's; here are the operations that others need, and the locks.
#ifndef PLOGDB_CORE_KEY_INDEX_H_
#define PLOGDB_CORE_KEY_INDEX_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "extent_map.h"
#include "key_entry.h"
#include "key_shard.h"
#include "store.h"

namespace plogdb {

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

// What merge must know of a record that it met. `slot.cached` and `upper.cached` mean nothing here.
struct Verdict {
  bool live = false;     // this very record, at this place
  bool marker = false;   // a deletion's; then `slot` is empty but for place, LSN, head bytes, and corrupt
  bool corrupt = false;  // known to be broken: there is nothing to copy
  bool lower = false;    // the lower of two: `upper` is the other one
  bool above = false;    // the upper of two
  Slot slot;             // with the header of now; decided: the caller needs nothing below it
  Slot upper;
  ValueRef upper_value;  // when it was asked for and is cached
  uint64_t erased_below = 0;

  // Not needed any more once the upper one is durable with its own position as floor.
  bool undercut() const { return lower && upper.decided && !upper.corrupt; }
  // Of the two, this one alone is needed.
  bool decided() const { return above && slot.decided && !corrupt; }
};

// What the bulk load asks and tells of a key of which more than one record is found. Under a shard's lock.
class LoadObserver {
 public:
  virtual ~LoadObserver() = default;
  virtual const PlaceOrder* OrderOf(uint64_t hash) const = 0;
  virtual void OnDead(uint64_t hash, const DeadRecords& dead) = 0;
};

// Any thread.
class KeyIndex {
 public:
  explicit KeyIndex(uint64_t cache_bytes, uint32_t digest_offset = kNoDigestOffset);
  ~KeyIndex();

  // Hints for what comes soon: room for so many keys in all; the key's place in the table; then, a few operations
  // later, its entry.
  void Reserve(uint64_t keys);
  void Prefetch(uint64_t hash) const;
  void PrefetchEntry(uint64_t hash) const;

  // Returns true when the record lives. With `push` its value is cached, whoever must go for it; else if there is room.
  // `order`: see KeyEntry::Apply.
  bool Apply(const Record& record, uint64_t hash, bool push, DeadRecords* dead, const PlaceOrder* order = nullptr);

  // The bulk (KeyLoader), like Apply of each record without a value. The record as an item: at most LoadItemBound bytes;
  // 0: it must be applied as it is. Then items of one shard, one behind the other; returns how many.
  size_t PackItem(const Record& record, uint64_t hash, uint8_t* to) const;
  uint64_t LoadItems(size_t shard, std::span<const uint8_t> items, LoadObserver* observer);

  // A mark (D5): the header in memory, and, for good, that what lies below is not needed.
  void SetHeader(std::span<const uint8_t> key, uint64_t hash, uint64_t position,
                 std::span<const uint8_t, kCallerHeaderBytes> header, bool decided);

  KeyState StateOf(std::span<const uint8_t> key, uint64_t hash) const;
  void Load(std::span<const uint8_t> key, uint64_t hash, LoadedKey* out);

  // As Store::CopyNewest.
  NewestValue CopyNewest(std::span<const uint8_t> key, uint64_t hash, std::span<uint8_t> room);

  // Pins the record's extent in `extents` when it must be read from disk.
  ReadPlan PlanRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents);
  // A value that was read, for the cache.
  void AfterRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn, const ValueRef& value);
  // As PlanRead, for what must be read from the disk whatever is cached; nothing is found when the record is gone or known
  // to be broken.
  ReadPlan PlanCheck(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents) const;
  // The record (for a marker: its LSN, any position) is broken and said to be from now on (D16). True when that is
  // news.
  bool MarkCorrupt(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn);

  // Merge (D10). A copy became durable: the record that lies at `from` lies at `to` from now on. False: it is dead, or
  // broken, or lies elsewhere, and the copy is dead.
  // `*head_bytes`: of the copy, which may carry another header or deletion than the record it was made of; then of that.
  bool Relocate(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace from, RecordPlace to,
                uint32_t* head_bytes);
  Verdict Judge(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace place, bool want_value) const;
  // D13: no older copy of the key can be found any more (the caller knows). False: no such marker lives.
  bool EraseMarker(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, DeadRecords* dead);

  // Visits about `limit` entries from the cursor on (0: the first). Returns the cursor to go on with, or kIterationEnd.
  template <typename Visit>
  uint64_t VisitSome(uint64_t cursor, uint64_t limit, Visit visit) const {
    return Walk(cursor, kIterationEnd, limit, [&visit](const KeyEntry& entry) {
      visit(entry);
      return true;
    });
  }

  // Visits every entry, in order of hash, under its shard's lock; the lock is let go now and then.
  template <typename Visit>
  void ForEach(Visit visit) const {
    Walk(0, kIterationEnd, UINT64_MAX, [&visit](const KeyEntry& entry) {
      visit(entry);
      return true;
    });
  }
  // As Store::Iterate.
  uint64_t Iterate(uint64_t cursor, uint64_t until, size_t limit, KeyVisitor visit, void* context) const;
  // As Store::Digests; the range is the caller's to check.
  void Digests(uint32_t first, std::span<uint64_t> out) const;

  void AddStats(StoreStats* stats) const;

 private:
  struct LockedShard {
    LockedShard(CacheBudget* budget, uint32_t digest_offset) : shard(budget, digest_offset) {}
    mutable std::mutex mutex;  // guards shard
    KeyShard shard;
  };

  static constexpr uint64_t kWalkSlice = 128;  // entries visited under one hold of a lock

  LockedShard& ShardOf(uint64_t hash) const { return *shards_[ShardOfHash(hash)]; }
  void MakeRoom(uint64_t hash, const ValueRef& value);
  static void LoadAnother(KeyShard* shard, uint64_t hash, const uint8_t* packed, LoadObserver* observer);

  // Visits entries from the cursor on and before `until`, until `visit` has returned true `limit` times. Returns where to go on.
  template <typename Visit>
  uint64_t Walk(uint64_t cursor, uint64_t until, uint64_t limit, Visit visit) const {
    while (limit > 0 && cursor < until) cursor = WalkSlice(cursor, until, &limit, visit);
    return cursor;
  }

  template <typename Visit>
  uint64_t WalkSlice(uint64_t cursor, uint64_t until, uint64_t* limit, Visit& visit) const {
    const size_t number = ShardOfHash(cursor);
    const LockedShard& locked = *shards_[number];
    const std::lock_guard<std::mutex> lock(locked.mutex);
    const KeyTable& table = locked.shard.table();
    size_t at = table.NextFrom(table.Find(TagOfHash(cursor)));
    for (uint64_t visited = 0; at < table.end(); ++visited) {
      const uint32_t tag = table.Tag(at);
      const uint64_t place = uint64_t{number} << (64 - kShardBits) | uint64_t{tag} << kUnusedBits;
      if (*limit == 0 || visited >= kWalkSlice || place >= until) return place;
      for (; table.Has(at, tag); ++at) {  // what has one tag is visited together: no cursor leads into its middle
        KeyEntry entry;
        locked.shard.UnpackAt(at, &entry);
        if (visit(std::as_const(entry)) && *limit > 0) --*limit;
      }
      at = table.NextFrom(at);
    }
    return number + 1 == kShards ? kIterationEnd : uint64_t{number + 1} << (64 - kShardBits);
  }

  const uint32_t digest_offset_;
  CacheBudget budget_;
  std::array<std::unique_ptr<LockedShard>, kShards> shards_;
  std::atomic<uint32_t> next_to_evict_{0};  // relaxed: any order of shards will do
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEY_INDEX_H_
