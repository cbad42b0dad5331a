// SIEVE's queue: a doubly linked list through the values themselves.
#include "value_cache.h"

#include <cstring>
#include <utility>

#include "assert.h"

namespace plogdb {
namespace {

constexpr size_t kOverwriteBytes = 1024;  // longer values change hands by reference rather than by copy
constexpr int kMostMarksTaken = 256;      // by one eviction: then the next value goes, marked or not

}  // namespace

SieveQueue::~SieveQueue() {
  while (oldest_ != nullptr) Remove(oldest_);
}

ValueBlock* SieveQueue::Insert(ValueRef value, uint32_t tag) {
  ValueBlock* block = value.Detach();
  PLOGDB_ASSERT(block != nullptr && !block->cached, "D15");
  block->tag = tag;
  block->cached = true;
  block->visited = false;
  block->newer = nullptr;
  block->older = newest_;
  (newest_ == nullptr ? oldest_ : newest_->newer) = block;
  newest_ = block;
  bytes_ += CacheCharge(block->size);
  ++count_;
  return block;
}

ValueRef SieveQueue::Remove(ValueBlock* block) {
  PLOGDB_ASSERT(block->cached, "D15");
  (block->newer == nullptr ? newest_ : block->newer->older) = block->older;
  (block->older == nullptr ? oldest_ : block->older->newer) = block->newer;
  if (hand_ == block) hand_ = block->newer;
  block->cached = false;
  const uint64_t charge = CacheCharge(block->size);
  bytes_ -= charge;
  --count_;
  budget_->Give(charge);
  return ValueRef::Adopt(block);
}

bool SieveQueue::Overwrite(ValueBlock* block, const ValueRef& value) {
  if (value.size() > kOverwriteBytes || CacheCharge(value.size()) != CacheCharge(block->size)) return false;
  // Acquire: what the last other holder read is read before it is written over. New holders need the shard's lock.
  if (block->references.load(std::memory_order_acquire) != 1) return false;
  block->size = static_cast<uint32_t>(value.size());
  if (value.size() > 0) std::memcpy(block->data(), value.bytes().data(), value.size());
  block->visited = true;
  return true;
}

ValueBlock* SieveQueue::Victim() {
  ValueBlock* at = hand_ == nullptr ? oldest_ : hand_;
  for (int taken = 0; at != nullptr && at->visited && taken < kMostMarksTaken; ++taken) {
    at->visited = false;
    at = at->newer == nullptr ? oldest_ : at->newer;
  }
  hand_ = at;
  return at;
}

}  // namespace plogdb
