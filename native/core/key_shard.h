// One shard of the key index: table, entries, cached values, and the sums over its keys (statistics, digests), which
// every change keeps up to date. A change is an Edit: the entry is unpacked, changed by whoever asked, and packed
// again. No lock of its own: the index holds it.
#ifndef PLOGDB_CORE_KEY_SHARD_H_
#define PLOGDB_CORE_KEY_SHARD_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "digest.h"
#include "entry_codec.h"
#include "key_entry.h"
#include "key_table.h"
#include "slab_arena.h"
#include "value_cache.h"

namespace plogdb {

// A hash from its top: shard, tag, and what the index does not look at.
inline constexpr unsigned kShardBits = 5;
inline constexpr unsigned kTagBits = 32;
inline constexpr unsigned kUnusedBits = 64 - kShardBits - kTagBits;
inline constexpr size_t kShards = size_t{1} << kShardBits;

inline size_t ShardOfHash(uint64_t hash) { return hash >> (64 - kShardBits); }
inline uint32_t TagOfHash(uint64_t hash) { return static_cast<uint32_t>(hash >> kUnusedBits); }

// How a record is hashed for digests (D20).
template <typename Said>  // a slot or a record
uint64_t DigestRecordHash(const Said& said, uint32_t digest_offset) {
  if (digest_offset == kNoDigestOffset) return uint64_t{said.payload_crc} + 1;
  uint64_t hash;
  std::memcpy(&hash, said.header.data() + digest_offset, sizeof(hash));
  return hash;
}
// What a key contributes to its bucket.
uint64_t DigestOfEntry(const KeyEntry& entry, uint32_t digest_offset);

// What an entry adds to the sums.
struct Contribution {
  uint64_t digest = 0;
  uint8_t live = 0;
  uint8_t corrupt = 0;
  uint8_t header_class = 0;
};
Contribution ContributionOf(const KeyEntry& entry, uint32_t digest_offset);
// Of an entry with this record alone.
Contribution ContributionOf(const Record& record, uint64_t hash, uint32_t digest_offset);

// A packed entry that waits for its shard, its own bytes behind it.
struct LoadItem {
  uint64_t hash = 0;
  Contribution adds;
  uint32_t bytes = 0;

  // What it takes where it waits.
  size_t room() const { return sizeof(LoadItem) + (size_t{bytes} + 7) / 8 * 8; }
};
static_assert(sizeof(LoadItem) == 32);
inline constexpr size_t LoadItemBound(size_t key_bytes) {
  return sizeof(LoadItem) + PackedBound(key_bytes) + kPackExcess;
}

class KeyShard {
 public:

  struct Sums {
    uint64_t live_keys = 0;
    uint64_t corrupt_keys = 0;
    std::array<uint64_t, 256> by_class{};
    uint64_t hits = 0;
    uint64_t misses = 0;
  };

  // An entry on its way from one packed form to the next.
  struct Edit {
    KeyEntry entry;
    uint32_t ref = 0;  // 0: not there yet
    size_t bytes = 0;  // of the item
    size_t at = 0;     // in the table
    Contribution before;
  };

  KeyShard(CacheBudget* budget, uint32_t digest_offset);

  // For the bulk (KeyLoader). Room for so many more keys, so that the table grows at most once for them.
  void MakeRoom(size_t more) { table_.MakeRoom(more); }
  void Prefetch(uint64_t hash) const {
    table_.Prefetch(TagOfHash(hash));
    if (digests_ != nullptr) __builtin_prefetch(&digests_[BucketInShard(hash)], 1);
  }
  // Takes the entry as it is packed. False: something with this tag is there, perhaps of this very key.
  bool InsertAlone(const LoadItem& item, const uint8_t* packed);

  // The key's packed entry, or null.
  const uint8_t* Item(std::string_view key, uint64_t hash) const;

  // Unpacks the key's entry. False: there is none; *out is an empty one with key and hash.
  bool Get(std::string_view key, uint64_t hash, Edit* out) const;

  // The same, and notes what the entry contributes to the sums. End must follow.
  bool Begin(std::string_view key, uint64_t hash, Edit* out);
  // Puts the entry back, or away when it is empty; lets the values of released slots go, but for one that may be used
  // for `fresh`. `value` becomes the cached one of `fresh` (unless that is null) if the budget has room for it.
  void End(Edit* edit, Slot* fresh, const ValueRef& value);
  void End(Edit* edit) { End(edit, nullptr, ValueRef()); }

  // Throws one value out. False: there is none.
  bool EvictOne();
  // Moves entries so that little memory lies idle. Edits do not outlive it.
  void Compact();

  // Slots of the table in order, unpacked one by one.
  const KeyTable& table() const { return table_; }
  void UnpackAt(size_t at, KeyEntry* out) const;

  void Reserve(size_t keys) { table_.Reserve(keys); }
  void PrefetchEntry(uint32_t tag) const;

  Sums& sums() { return sums_; }
  const Sums& sums() const { return sums_; }
  uint64_t cache_bytes() const { return cache_.bytes(); }
  // Of table, entries, and digests; without what cached values are charged with.
  uint64_t index_bytes() const;
  // Of a bucket of this shard, counted from its first.
  uint64_t Digest(uint32_t bucket) const { return digests_ == nullptr ? 0 : digests_[bucket]; }

 private:
  Contribution ContributionOf(const KeyEntry& entry) const { return plogdb::ContributionOf(entry, digest_offset_); }
  static constexpr uint32_t kShardBuckets = kDigestBuckets / kShards;
  static uint32_t BucketInShard(uint64_t hash) { return BucketOfHash(hash) % kShardBuckets; }

  void Count(uint64_t hash, const Contribution& before, const Contribution& after);
  void Store(Edit* edit);

  const uint32_t digest_offset_;
  CacheBudget* const budget_;
  KeyTable table_;
  SlabArena arena_;
  SieveQueue cache_;
  Sums sums_;
  std::unique_ptr<uint64_t[]> digests_;  // made with the first key
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEY_SHARD_H_
