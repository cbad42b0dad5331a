// Records on their way into the index by the million, as an opening finds them (D17): gathered by shard, so that a lock
// is taken once for some hundred of them, what is looked at next is on its way from memory meanwhile, and a shard's table
// and sums stay in the processor's cache. Most of them are the only one of their key: each waits as the packed entry that
// it would be alone, and is copied as it stands when its key proves to be new. In what order records come matters to
// nobody (D5). Knows nothing of extents.
#ifndef PLOGDB_CORE_KEY_LOADER_H_
#define PLOGDB_CORE_KEY_LOADER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "key_index.h"

namespace plogdb {

// One thread. Many may load into one index.
class KeyLoader {
 public:
  KeyLoader(KeyIndex* index, LoadObserver* observer);

  // The record is in the index after the next Flush at the latest. It must have no value.
  void Add(const Record& record, uint64_t hash);
  void Flush();
  bool empty() const { return waiting_ == 0; }

 private:
  static constexpr size_t kShardBytes = 8 << 10;  // that wait per shard
  static constexpr size_t kMaxItemBytes = 1 << 10;  // a longer one does not wait

  void FlushShard(size_t shard);

  KeyIndex* const index_;
  LoadObserver* const observer_;
  std::unique_ptr<uint8_t[]> buffer_;
  std::array<uint32_t, kShards> used_{};
  uint64_t waiting_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEY_LOADER_H_
