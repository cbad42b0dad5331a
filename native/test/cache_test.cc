// The value cache and the memory of the index (D15): the budget and what it counts, which values stay, bytes per key,
// and whether the statistic says what the heap gave.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "fixture.h"
#include "harness.h"
#include "index_fixture.h"
#include "key_index.h"

namespace plogdb::test {
namespace {

uint64_t CacheBytes(const KeyIndex& index) {
  StoreStats stats;
  index.AddStats(&stats);
  return stats.cache_bytes;
}

CASE("value cache: the budget holds after every put, its cost counted, and what was just written is there (D15)") {
  constexpr uint64_t kBudget = 200'000;
  KeyIndex index(kBudget);
  SimRandom random(settings().seed);
  for (uint64_t i = 0; i < 20'000; ++i) {
    const std::string key = "key" + std::to_string(random.Below(3000));
    const size_t bytes = random.Chance(1) ? kBudget / 10 : 1 + random.Below(300);
    Put(&index, key, i + 1, 0, static_cast<uint8_t>(i), bytes);
    CHECK(CacheBytes(index) <= kBudget);
    LoadedKey loaded;
    index.Load(AsBytes(key), HashOf(key), &loaded);
    REQUIRE(loaded.slot[0].value.size() == bytes);
    CHECK(loaded.slot[0].value.bytes()[0] == static_cast<uint8_t>(i));
  }
  CHECK(CacheBytes(index) > kBudget - 30'000);
  uint64_t charged = 0;
  index.ForEach([&](const KeyEntry& entry) {
    if (entry.slot[0].cached != nullptr) charged += CacheCharge(entry.slot[0].value_bytes);
  });
  CHECK(charged == CacheBytes(index));
}

CASE("value cache: what is used survives a scan and a large value; what is too large is not taken (D15)") {
  constexpr uint64_t kBudget = 2'000'000;
  constexpr int kHot = 2000;  // about a fifth of it
  KeyIndex index(kBudget);
  uint64_t lsn = 1;
  for (int i = 0; i < kHot; ++i) Put(&index, "hot" + std::to_string(i), lsn++, 0, 1, 150);
  for (int i = 0; i < 100'000; ++i) {
    Put(&index, "scan" + std::to_string(i), lsn++, 0, 1, 150);
    if (i % 4 == 0) Cached(&index, "hot" + std::to_string(i / 4 % kHot));
  }
  Put(&index, "large", lsn++, 0, 1, kBudget / 9);
  CHECK(Cached(&index, "large"));
  Put(&index, "too large", lsn++, 0, 1, kBudget / 7);
  CHECK(!Cached(&index, "too large"));
  int left = 0;
  for (int i = 0; i < kHot; ++i) left += Cached(&index, "hot" + std::to_string(i)) ? 1 : 0;
  CHECK(left > kHot * 9 / 10);
  CHECK(CacheBytes(index) <= kBudget);
}

CASE("value cache: a reader's value stays what it was when the key is written over, and hits are counted (D15)") {
  KeyIndex index(100'000);
  Put(&index, "k", 1, 0, 7, 100);
  LoadedKey loaded;
  index.Load(AsBytes("k"), HashOf("k"), &loaded);
  Put(&index, "k", 2, 0, 8, 100);
  CHECK(loaded.slot[0].value.bytes()[99] == 7);
  index.Load(AsBytes("k"), HashOf("k"), &loaded);
  CHECK(loaded.slot[0].value.bytes()[99] == 8);
  ExtentMap extents(MakeGeometry(uint64_t{8} << 20));
  CHECK(index.PlanRead(AsBytes("k"), HashOf("k"), 0, &extents).value.present());
  CHECK(index.MarkCorrupt(AsBytes("k"), HashOf("k"), 0, 2));
  CHECK(!index.MarkCorrupt(AsBytes("k"), HashOf("k"), 0, 2));
  CHECK(CacheBytes(index) == 0);
  Put(&index, "big", 3, 0, 1, 50'000);
  CHECK(!index.PlanRead(AsBytes("big"), HashOf("big"), 0, &extents).value.present());
  StoreStats stats;
  index.AddStats(&stats);
  CHECK(stats.cache_hits == 3 && stats.cache_misses == 1 && stats.corrupt_keys == 1);
}

struct Memory {
  double per_key = 0;    // beyond key and header
  double counted = 0;    // index_bytes + cache_bytes
  double allocated = 0;  // what the heap gave for it
};

Memory MemoryOf(size_t header_bytes, uint32_t records, uint64_t cache_bytes) {
  constexpr uint64_t kKeys = 300'000;
  const struct mallinfo2 before = mallinfo2();
  KeyIndex index(cache_bytes, header_bytes == 0 ? kNoDigestOffset : 0);
  uint64_t lsn = 1;
  for (uint32_t position = 1; position <= records; ++position) {
    for (uint64_t i = 0; i < kKeys; ++i) {
      std::string key = std::to_string(i * 7919);
      key.resize(16, '-');
      Record record = MakeRecord(lsn++, 1000 + position, 999 + position);
      record.key = key;
      record.value_bytes = 120;
      record.head_bytes = 40;
      if (cache_bytes > 0) record.value = ValueRef::Allocate(120);
      std::fill_n(record.header.begin(), header_bytes, uint8_t{9});
      DeadRecords dead;
      index.Apply(record, HashOf(key), true, &dead);
    }
  }
  const struct mallinfo2 after = mallinfo2();
  StoreStats stats;
  index.AddStats(&stats);
  const uint64_t live_records = std::min<uint32_t>(records, 2);
  Memory memory;
  memory.per_key =
      static_cast<double>(stats.index_bytes) / kKeys - 16 - static_cast<double>(live_records * header_bytes);
  // The index itself lies on the stack here.
  memory.counted = static_cast<double>(stats.index_bytes + stats.cache_bytes - sizeof(KeyIndex));
  memory.allocated =
      static_cast<double>(after.uordblks + after.hblkhd) - static_cast<double>(before.uordblks + before.hblkhd);
  return memory;
}

CASE(
    "memory: at most 64 bytes per key beyond key and headers, with one record or two, and the statistic is true "
    "(D15)") {
  for (const size_t header_bytes : {size_t{0}, size_t{20}, size_t{64}}) {
    for (const uint32_t records : {1u, 2u, 5u}) {
      for (const uint64_t cache_bytes : {uint64_t{0}, uint64_t{20} << 20}) {
        const Memory memory = MemoryOf(header_bytes, records, cache_bytes);
        std::printf("     header %2zu, %u written, cache %2llu MiB: %.1f bytes per key\n", header_bytes, records,
                    static_cast<unsigned long long>(cache_bytes >> 20), memory.per_key);
        CHECK(memory.per_key <= 64);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        CHECK(memory.counted > memory.allocated * 0.99 && memory.counted < memory.allocated * 1.01);
#endif
      }
    }
  }
}

CASE("memory: what many keys took goes back to the heap when they are gone (D15)") {
  KeyIndex index(0);
  StoreStats empty;
  index.AddStats(&empty);
  for (uint64_t i = 0; i < 100'000; ++i) Put(&index, "key" + std::to_string(i), i + 1, 0, 1);
  for (uint64_t i = 0; i < 100'000; ++i) {
    const std::string key = "key" + std::to_string(i);
    Record drop = MakeDrop(200'000 + i);
    drop.key = key;
    DeadRecords dead;
    index.Apply(drop, HashOf(key), false, &dead);
    CHECK(index.EraseMarker(AsBytes(key), HashOf(key), drop.lsn, &dead));
  }
  StoreStats stats;
  index.AddStats(&stats);
  CHECK(stats.keys == 0 && stats.index_bytes < empty.index_bytes + 900'000);  // digests, and a bit per shard
}

}  // namespace
}  // namespace plogdb::test
