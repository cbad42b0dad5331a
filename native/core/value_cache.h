// The value cache (D15): which values stay in memory. SIEVE: one queue per shard in order of arrival; a hit only marks
// the value; a hand goes from the oldest to the newest, takes marks away, and throws out what has none. So what was
// asked for again survives a scan, and neither a hit nor an eviction looks at more than it must. The budget is one for
// all shards and counts what a value costs, not only its bytes.
#ifndef PLOGDB_CORE_VALUE_CACHE_H_
#define PLOGDB_CORE_VALUE_CACHE_H_

#include <atomic>
#include <cstdint>

#include "heap_bytes.h"
#include "value_ref.h"

namespace plogdb {

inline constexpr size_t kValueRefBytes = sizeof(ValueBlock*);  // what a cached value adds to its key's entry
inline constexpr uint64_t kLargestCachedShare = 8;             // a value above budget / 8 is not cached

// What a cached value of `size` bytes costs.
inline uint64_t CacheCharge(size_t size) { return HeapBytes(sizeof(ValueBlock) + size) + kValueRefBytes; }

// Any thread.
class CacheBudget {
 public:
  CacheBudget(uint64_t limit, size_t shards) : limit_(limit), share_(limit / shards) {}

  // Relaxed throughout: the count guards no other memory; the shard's lock orders what it stands for.
  bool HasRoom(uint64_t bytes) const { return used_.load(std::memory_order_relaxed) + bytes <= limit_; }
  // Takes room if there is any: the limit holds at every moment, whoever asks at once.
  bool Take(uint64_t bytes) {
    const bool fits = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limit_;
    if (!fits) Give(bytes);
    return fits;
  }
  void Give(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  bool Admits(uint64_t bytes) const { return bytes <= limit_ / kLargestCachedShare; }
  // What a shard may have before it gives rather than others.
  uint64_t share() const { return share_; }

 private:
  const uint64_t limit_;
  const uint64_t share_;
  std::atomic<uint64_t> used_{0};
};

// The queue of one shard; holds one reference to each value in it. Under the shard's lock.
class SieveQueue {
 public:
  explicit SieveQueue(CacheBudget* budget) : budget_(budget) {}
  ~SieveQueue();
  SieveQueue(const SieveQueue&) = delete;
  SieveQueue& operator=(const SieveQueue&) = delete;

  // Takes the value in as the newest, its charge having been taken from the budget. It must be in no cache.
  ValueBlock* Insert(ValueRef value, uint32_t tag);
  // Takes it out; the queue's reference becomes the caller's.
  ValueRef Remove(ValueBlock* block);
  // Writes `value` over the cached one when nobody else sees that and it costs the same: no links, no allocation.
  static bool Overwrite(ValueBlock* block, const ValueRef& value);
  // What goes next; null when the queue is empty. The caller removes it.
  ValueBlock* Victim();

  uint64_t bytes() const { return bytes_; }
  uint64_t count() const { return count_; }

 private:
  CacheBudget* const budget_;
  ValueBlock* newest_ = nullptr;
  ValueBlock* oldest_ = nullptr;
  ValueBlock* hand_ = nullptr;  // null: at the oldest
  uint64_t bytes_ = 0;
  uint64_t count_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_VALUE_CACHE_H_
