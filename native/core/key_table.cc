// Growth and the two shifts that keep slots in order and next to their homes.
#include "key_table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "assert.h"
#include "heap_bytes.h"

namespace plogdb {
namespace {

constexpr uint32_t kFirstBuckets = 16;
constexpr uint32_t kOverflow = 64;
// At most 4 of 5 buckets are taken; growth is by a quarter.
constexpr uint64_t BucketsFor(uint64_t count) { return count + count / 4 + 1; }

}  // namespace

KeyTable::KeyTable() { Rebuild(kFirstBuckets, kFirstBuckets); }

KeyTable::~KeyTable() { std::free(slots_); }

uint64_t KeyTable::memory_bytes() const { return HeapBytes(Capacity() * sizeof(TableSlot)); }

// One pass in order: each slot goes to its home or behind the one before it.
void KeyTable::Rebuild(uint32_t buckets, uint32_t overflow) {
  const TableSlot* old = slots_;
  const size_t old_end = old == nullptr ? 0 : end();
  buckets_ = buckets;
  overflow_ = overflow;
  for (bool fits = false; !fits;) {
    slots_ = static_cast<TableSlot*>(std::calloc(Capacity(), sizeof(TableSlot)));
    if (slots_ == nullptr) std::abort();
    size_t next = 0;
    fits = true;
    for (size_t from = 0; from < old_end && fits; ++from) {
      if (old[from].ref == 0) continue;
      next = std::max(next, Home(old[from].tag));
      fits = next < end();
      if (fits) slots_[next++] = old[from];
    }
    if (fits) break;
    std::free(slots_);  // many tags alike at the very end
    overflow_ *= 2;
  }
  std::free(const_cast<TableSlot*>(old));
  published_slots_.store(slots_, std::memory_order_relaxed);
  published_buckets_.store(buckets_, std::memory_order_relaxed);
}

void KeyTable::Reserve(size_t count) {
  const uint64_t wanted = BucketsFor(count);
  PLOGDB_ASSERT(wanted < UINT32_MAX, "D15");
  if (wanted > buckets_) Rebuild(static_cast<uint32_t>(wanted), std::max(overflow_, kOverflow));
}

// Makes `at` empty by moving what stands there, and what follows without a gap, one on. False: no room up to the end.
bool KeyTable::Shift(size_t at) {
  size_t gap = at;
  while (gap < end() && slots_[gap].ref != 0) ++gap;
  if (gap == end()) return false;
  TableSlot carried{};  // by hand: most often these are few
  for (; at <= gap; ++at) std::swap(carried, slots_[at]);
  return true;
}

void KeyTable::MakeRoom(size_t more) {
  if (BucketsFor(count_ + more) <= buckets_) return;
  const uint64_t wanted = std::max(BucketsFor(count_ + more), uint64_t{buckets_} + buckets_ / 4);
  PLOGDB_ASSERT(wanted < UINT32_MAX, "D15");
  Rebuild(static_cast<uint32_t>(wanted), std::max(overflow_, std::min(kOverflow, buckets_)));
}

void KeyTable::Insert(uint32_t tag, uint32_t ref) {
  MakeRoom(1);
  InsertAt(Find(tag), tag, ref);
}

void KeyTable::InsertAt(size_t at, uint32_t tag, uint32_t ref) {
  PLOGDB_ASSERT(count_ < buckets_, "D15");
  while (!Shift(at)) {
    Rebuild(buckets_, overflow_ * 2);
    at = Find(tag);
  }
  slots_[at] = {tag, ref};
  ++count_;
}

void KeyTable::Erase(size_t at) {
  PLOGDB_ASSERT(slots_[at].ref != 0, "D15");
  size_t last = at;
  while (slots_[last + 1].ref != 0 && Home(slots_[last + 1].tag) <= last) ++last;
  std::memmove(slots_ + at, slots_ + at + 1, (last - at) * sizeof(TableSlot));
  slots_[last] = TableSlot{};
  --count_;
  if (buckets_ > kFirstBuckets && count_ < buckets_ / 4) {
    Rebuild(std::max(kFirstBuckets, buckets_ / 2), std::max(kFirstBuckets, overflow_ / 2));
  }
}

}  // namespace plogdb
