// The table of one shard: from 32 bits of a key's hash to where its entry lies, 8 bytes each, open addressing. Slots
// are kept in order of these bits (linear probing, sorted), whatever the number of buckets: so it grows by a quarter
// rather than to twice the size, without looking at a single key, and a walk goes in order of the hash. Knows neither
// keys nor entries.
#ifndef PLOGDB_CORE_KEY_TABLE_H_
#define PLOGDB_CORE_KEY_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace plogdb {

struct TableSlot {
  uint32_t tag = 0;
  uint32_t ref = 0;  // 0: empty
};
static_assert(sizeof(TableSlot) == 8);

// Under the shard's lock, but for Prefetch. Positions are good until the next Insert, Erase or Reserve.
class KeyTable {
 public:
  KeyTable();
  ~KeyTable();
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;

  // The first slot whose tag is not below `tag`, or the empty one where it would stand. The slots with the tag follow.
  size_t Find(uint32_t tag) const {
    size_t at = Home(tag);
    while (slots_[at].ref != 0 && slots_[at].tag < tag) ++at;
    return at;
  }
  bool Has(size_t at, uint32_t tag) const { return slots_[at].ref != 0 && slots_[at].tag == tag; }
  uint32_t Ref(size_t at) const { return slots_[at].ref; }
  uint32_t Tag(size_t at) const { return slots_[at].tag; }
  void SetRef(size_t at, uint32_t ref) { slots_[at].ref = ref; }
  // The next slot that is not empty, from `at` on; end() when there is none.
  size_t NextFrom(size_t at) const {
    while (at < end() && slots_[at].ref == 0) ++at;
    return at;
  }
  size_t end() const { return buckets_ + overflow_; }

  void Insert(uint32_t tag, uint32_t ref);
  // Where Find(tag) found nothing, after MakeRoom.
  void InsertAt(size_t at, uint32_t tag, uint32_t ref);
  // For so many more: then positions stay good until the next InsertAt.
  void MakeRoom(size_t more);
  void Erase(size_t at);
  void Reserve(size_t count);

  size_t count() const { return count_; }
  uint64_t memory_bytes() const;

  // Any thread, without the lock: where it looks may be gone or wrong, which costs time only.
  void Prefetch(uint32_t tag) const {
    const TableSlot* slots = published_slots_.load(std::memory_order_relaxed);
    const uint32_t buckets = published_buckets_.load(std::memory_order_relaxed);
    __builtin_prefetch(slots + (uint64_t{tag} * buckets >> 32));
  }

 private:
  size_t Home(uint32_t tag) const { return uint64_t{tag} * buckets_ >> 32; }
  size_t Capacity() const { return end() + 1; }  // the last one stays empty
  void Rebuild(uint32_t buckets, uint32_t overflow);
  bool Shift(size_t at);

  TableSlot* slots_ = nullptr;
  uint32_t buckets_ = 0;
  uint32_t overflow_ = 0;  // slots behind the last bucket, for what does not find room in it
  size_t count_ = 0;
  // Relaxed: hints.
  std::atomic<const TableSlot*> published_slots_{nullptr};
  std::atomic<uint32_t> published_buckets_{0};
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEY_TABLE_H_
