// The key index case by case: the rule of D5 and D13 in all orders, its table, digests (D20), iteration, what merge
// asks, and many threads at once.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "digest.h"
#include "fixture.h"
#include "harness.h"
#include "index_fixture.h"
#include "key_entry.h"
#include "key_index.h"
#include "key_table.h"

namespace plogdb::test {
namespace {

// Merge's copy with the head that the record had.
bool MoveCopy(KeyIndex* index, std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace from, RecordPlace to) {
  uint32_t head_bytes = 32;
  return index->Relocate(key, hash, lsn, from, to, &head_bytes);
}

CASE("key entry: the same records live whatever the order in which they are found (D5, D13)") {
  std::vector<Record> records = {MakeRecord(1, 1, 0),    MakeRecord(2, 2, 1),    MakeRecord(3, 3, 2),   MakeDrop(4),
                                 MakeRecord(5, 1, 0, 4), MakeRecord(6, 1, 0, 4), MakeRecord(7, 2, 1, 4)};
  std::vector<size_t> order = {0, 1, 2, 3, 4, 5, 6};
  do {
    KeyEntry entry;
    entry.key = "k";
    uint32_t released = 0;
    for (const size_t i : order) {
      DeadRecords dead;
      entry.Apply(records[i], &dead);
      released += dead.count;
    }
    const bool right = entry.slots == 2 && !entry.marker && entry.slot[0].lsn == 6 && entry.slot[1].lsn == 7;
    CHECK(right);
    CHECK(released == 5);
    if (!right) return;
  } while (std::next_permutation(order.begin(), order.end()));
}

CASE("key entry: of copies of a record the whole one lives, else the lower one, whatever the order (D4, D16)") {
  for (const bool drop : {false, true}) {
    std::vector<Record> records;
    for (uint32_t copy = 0; copy < 4; ++copy) {
      Record record = drop ? MakeDrop(9) : MakeRecord(9, 3, 2, 5);
      record.place = {copy < 2 ? copy : 40 - copy, 1};
      record.corrupt = copy < 2;
      records.push_back(record);
    }
    records.push_back(drop ? MakeRecord(8, 1, 1) : MakeRecord(8, 2, 1, 5));
    std::vector<size_t> order = {0, 1, 2, 3, 4};
    do {
      KeyEntry entry;
      entry.key = "k";
      uint32_t twins = 0;
      for (const size_t i : order) {
        DeadRecords dead;
        entry.Apply(records[i], &dead);
        for (uint32_t d = 0; d < dead.count; ++d) twins += dead.record[d].twin ? 1 : 0;
      }
      CHECK(twins == 3);
      CHECK(!entry.corrupt());
      CHECK(SamePlace(drop ? entry.marker_place : entry.slot[1].place, {37, 1}));
      CHECK(drop ? entry.marker && entry.slots == 0 : entry.slots == 2 && entry.slot[0].lsn == 8);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

CASE("key table: in order at any size, also when many tags are alike") {
  SimRandom random(settings().seed);
  KeyTable table;
  std::multiset<uint32_t> model;
  const auto tag_of = [&]() -> uint32_t {
    if (random.Chance(20)) return UINT32_MAX;
    return static_cast<uint32_t>(random.Chance(20) ? random.Below(3) << 20 : random.Next());
  };
  for (uint32_t i = 0; i < 30'000; ++i) {
    const bool shrinking = i > 20'000;
    if (random.Chance(shrinking ? 20 : 70)) {
      const uint32_t tag = tag_of();
      table.Insert(tag, i + 1);
      model.insert(tag);
    } else if (!model.empty()) {
      auto victim = model.lower_bound(tag_of());
      if (victim == model.end()) --victim;
      const size_t at = table.Find(*victim);
      REQUIRE(table.Has(at, *victim));
      table.Erase(at);
      model.erase(victim);
    }
    if (i % 1000 != 0) continue;
    size_t at = table.NextFrom(0);
    for (const uint32_t tag : model) {
      REQUIRE(at < table.end() && table.Tag(at) == tag);
      REQUIRE(table.Has(table.Find(tag), tag));
      at = table.NextFrom(at + 1);
    }
    CHECK(at == table.end() && table.count() == model.size());
  }
}

std::vector<uint64_t> DigestsOf(const KeyIndex& index) {
  std::vector<uint64_t> digests(kDigestBuckets);
  index.Digests(0, digests);
  return digests;
}

CASE("digests: the same keys, positions and record hashes have the same ones whatever happened before (D20)") {
  for (const uint32_t offset : {kNoDigestOffset, 16u}) {
    KeyIndex straight(0, offset);
    KeyIndex winding(0, offset);
    uint64_t lsn = 1;
    for (int i = 0; i < 3000; ++i) {
      const std::string key = "key" + std::to_string(i);
      Put(&straight, key, lsn++, 5, static_cast<uint8_t>(i % 255 + 1));
    }
    CHECK(DigestsOf(straight) != DigestsOf(winding));
    for (int i = 3000; i-- > 0;) {
      const std::string key = "key" + std::to_string(i);
      Put(&winding, key, lsn++, 1, 9);
      Record drop = MakeDrop(lsn++);
      drop.key = key;
      DeadRecords dead;
      if (i % 3 == 0) winding.Apply(drop, HashOf(key), true, &dead);
      Put(&winding, key, lsn++, 4, 10);
      Put(&winding, key, lsn++, 5, static_cast<uint8_t>(offset == 16 && i % 2 == 0 ? 77 : i % 255 + 1));
      std::array<uint8_t, kHeaderBytes> header{};
      header[16] = static_cast<uint8_t>(i % 255 + 1);
      if (i % 2 == 0) winding.SetHeader(AsBytes(key), HashOf(key), 5, header, true);
    }
    CHECK(DigestsOf(straight) == DigestsOf(winding));
    Put(&winding, "key7", lsn++, 6, 200);
    const std::vector<uint64_t> one = DigestsOf(straight);
    const std::vector<uint64_t> other = DigestsOf(winding);
    for (uint32_t bucket = 0; bucket < kDigestBuckets; ++bucket) {
      CHECK((one[bucket] == other[bucket]) == (bucket != BucketOfKey(AsBytes("key7"))));
    }
  }
}

CASE("iteration: what stays is visited once, what comes and goes at most once, in order of hash") {
  KeyIndex index(0);
  SimRandom random(settings().seed);
  for (int i = 0; i < 5000; ++i) Put(&index, "stays" + std::to_string(i), static_cast<uint64_t>(i) + 1, 0, 1);
  uint64_t lsn = 10'000;
  for (const size_t limit : {size_t{1}, size_t{3}, size_t{100}, size_t{1000}, size_t{100'000}}) {
    std::vector<std::string> seen;
    uint64_t cursor = 0;
    const auto note = [](void* context, std::span<const uint8_t> key, uint64_t, std::span<const uint8_t>) {
      static_cast<std::vector<std::string>*>(context)->emplace_back(AsText(key));
    };
    while (cursor != kIterationEnd) {
      const size_t before = seen.size();
      cursor = index.Iterate(cursor, kIterationEnd, limit, note, &seen);
      CHECK(cursor == kIterationEnd || seen.size() - before >= limit);
      CHECK(seen.size() - before < limit + 3);
      for (int i = 0; i < 3; ++i) {
        const std::string key = "comes" + std::to_string(random.Below(2000));
        Record drop = MakeDrop(lsn++);
        drop.key = key;
        DeadRecords dead;
        if (random.Chance(50)) {
          index.Apply(drop, HashOf(key), false, &dead);
        } else {
          Put(&index, key, lsn++, 0, 1);
        }
      }
    }
    CHECK(std::is_sorted(seen.begin(), seen.end(), [](const auto& a, const auto& b) {
      return HashOf(a) >> kUnusedBits < HashOf(b) >> kUnusedBits;
    }));
    const std::set<std::string> once(seen.begin(), seen.end());
    CHECK(once.size() == seen.size());
    CHECK(std::count_if(once.begin(), once.end(), [](const auto& key) { return key.starts_with("stays"); }) == 5000);
  }
  CHECK(index.Iterate(kIterationEnd, kIterationEnd, 1, nullptr, nullptr) == kIterationEnd);
}

CASE("merge asks: what is live, what a decided record above makes needless, and the marker's end (D5, D10, D13)") {
  KeyIndex index(100'000);
  const auto key = AsBytes("k");
  const uint64_t hash = HashOf("k");
  Put(&index, "k", 1, 4, 1, 30);
  Put(&index, "k", 2, 5, 2, 40);
  CHECK(!index.Judge(key, hash, 1, {9, 9}, false).live);
  Verdict verdict = index.Judge(key, hash, 1, {1, 7}, true);
  CHECK(verdict.live && verdict.lower && !verdict.undercut() && verdict.upper.lsn == 2);
  CHECK(verdict.upper_value.size() == 40);
  std::array<uint8_t, kHeaderBytes> header{};
  header[63] = 3;
  index.SetHeader(key, hash, 5, header, true);
  verdict = index.Judge(key, hash, 1, {1, 7}, false);
  CHECK(verdict.undercut() && verdict.upper.header[63] == 3 && !verdict.upper_value.present());
  verdict = index.Judge(key, hash, 2, {2, 7}, false);
  CHECK(verdict.live && !verdict.lower && verdict.slot.decided && verdict.slot.floor == 4);
  CHECK(MoveCopy(&index, key, hash, 2, {2, 7}, {50, 8}));
  CHECK(!MoveCopy(&index, key, hash, 2, {2, 7}, {60, 8}));
  CHECK(index.Judge(key, hash, 2, {50, 8}, false).live);
  Put(&index, "k", 3, 5, 2, 40);
  CHECK(!index.Judge(key, hash, 3, {3, 7}, false).slot.decided);
  Record drop = MakeDrop(9);
  DeadRecords dead;
  CHECK(index.Apply(drop, hash, true, &dead) && dead.count == 2);
  CHECK(index.Judge(key, hash, 9, {9, 7}, false).marker);
  CHECK(MoveCopy(&index, key, hash, 9, {9, 7}, {70, 1}));
  dead = DeadRecords{};
  CHECK(!index.EraseMarker(key, hash, 8, &dead) && dead.count == 0);
  CHECK(index.EraseMarker(key, hash, 9, &dead) && dead.count == 1 && dead.record[0].place.block == 70);
  CHECK(!index.StateOf(key, hash).present);
}

CASE("threads: the index under writers, readers, walkers and a small cache keeps its sums") {
  KeyIndex index(50'000);
  std::vector<std::thread> threads;
  for (uint64_t worker = 0; worker < 3; ++worker) {
    threads.emplace_back([&index, worker] {
      for (uint64_t i = 0; i < 4000; ++i) {
        const std::string key = "key" + std::to_string(i * 31 % 700) + "of" + std::to_string(worker);
        Put(&index, key, worker * 100'000 + i + 1, i % 3, 1, 100 + i % 50);
        index.Prefetch(HashOf(key));
        Cached(&index, "key" + std::to_string(i % 700) + "of" + std::to_string((worker + 1) % 3));
      }
    });
  }
  threads.emplace_back([&index] {
    for (int i = 0; i < 20; ++i) {
      size_t visited = 0;
      index.ForEach([&visited](const KeyEntry&) { ++visited; });
      CHECK(visited <= 2100);
      DigestsOf(index);
    }
  });
  for (std::thread& thread : threads) thread.join();
  StoreStats stats;
  index.AddStats(&stats);
  CHECK(stats.keys == 2100 && stats.cache_bytes <= 50'000);
}

}  // namespace
}  // namespace plogdb::test
