// The gathering. What becomes of a gathered record is the shard's.
#include "key_loader.h"

#include "assert.h"

namespace plogdb {

KeyLoader::KeyLoader(KeyIndex* index, LoadObserver* observer)
    : index_(index), observer_(observer), buffer_(new uint8_t[kShards * kShardBytes]) {}

void KeyLoader::Add(const Record& record, uint64_t hash) {
  PLOGDB_ASSERT(!record.value.present(), "D15");
  const size_t shard = ShardOfHash(hash);
  const size_t bound = LoadItemBound(record.key.size());
  if (bound <= kMaxItemBytes) {
    if (used_[shard] + bound > kShardBytes) FlushShard(shard);
    const size_t bytes = index_->PackItem(record, hash, buffer_.get() + shard * kShardBytes + used_[shard]);
    used_[shard] += static_cast<uint32_t>(bytes);
    waiting_ += bytes > 0 ? 1 : 0;
    if (bytes > 0) return;
  }
  DeadRecords dead;
  index_->Apply(record, hash, false, &dead, observer_->OrderOf(hash));
  observer_->OnDead(hash, dead);
}

void KeyLoader::FlushShard(size_t shard) {
  if (used_[shard] == 0) return;
  const uint8_t* from = buffer_.get() + shard * kShardBytes;
  waiting_ -= index_->LoadItems(shard, {from, used_[shard]}, observer_);
  used_[shard] = 0;
}

void KeyLoader::Flush() {
  for (size_t shard = 0; shard < kShards; ++shard) FlushShard(shard);
  PLOGDB_ASSERT(waiting_ == 0, "D17");
}

}  // namespace plogdb
