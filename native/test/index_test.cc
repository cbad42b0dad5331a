// The key index against a plain model: the rule of D5 and D13 in all orders, packing and moving, the cache's budget and
// its choice, digests (D20), iteration, memory per key (D15), and what merge asks. The model keeps an unpacked KeyEntry per
// key in a std::map; everything the index sums up is summed up anew from it.
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "digest.h"
#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "key_entry.h"
#include "key_index.h"
#include "key_table.h"

namespace plogdb::test {
namespace {

Record MakeRecord(uint64_t lsn, uint64_t position, uint64_t floor, uint64_t erased_below = 0) {
  Record record;
  record.key = "k";
  record.lsn = lsn;
  record.position = position;
  record.floor = floor;
  record.erased_below = erased_below;
  record.place = {static_cast<uint32_t>(lsn), 7};
  return record;
}

Record MakeDrop(uint64_t lsn) {
  Record record = MakeRecord(lsn, 0, 0);
  record.kind = RecordKind::kDrop;
  return record;
}

uint64_t HashOf(std::string_view key) { return KeyHash(AsBytes(key)); }

bool SamePlace(RecordPlace one, RecordPlace other) { return one.block == other.block && one.offset == other.offset; }

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

// The index and the model beside it.
class Twin {
 public:
  Twin(uint64_t seed, uint32_t digest_offset, uint64_t cache_bytes)
      : random(seed), digest_offset_(digest_offset), index(cache_bytes, digest_offset) {}

  std::string SomeKey() {
    const uint64_t number = random.Below(400);
    const size_t bytes = number % 40 == 0 ? 200 + number : number % 7;
    return "key" + std::to_string(number) + std::string(bytes, 'x');
  }

  void Put() {
    const std::string key = SomeKey();
    KeyEntry& entry = Of(key);
    const uint64_t floor = entry.floor();
    const bool old = random.Chance(10) && lsn > 20;  // as recovery finds it
    Record record = MakeRecord(old ? lsn - 1 - random.Below(19) : NextLsn(), 0, 0);
    if (old && used_.contains(record.lsn)) return;
    used_.insert(record.lsn);
    record.key = key;
    record.position = random.Chance(5) ? random.Next() >> random.Below(64) : floor + random.Below(3);
    record.floor = record.position == 0 || random.Chance(30) ? record.position : record.position - 1;
    record.erased_below = old ? 0 : entry.erased_below;
    record.corrupt = random.Chance(2);
    record.head_bytes = static_cast<uint32_t>(random.Below(105));
    record.payload_crc = static_cast<uint32_t>(random.Next());
    FillHeader(record.header);
    const std::string value = MakeValue(record.lsn, random.Chance(3) ? 3000 : random.Below(200));
    record.value_bytes = random.Chance(2) ? 1u << 25 : static_cast<uint32_t>(value.size());
    if (!record.corrupt && record.value_bytes == value.size()) record.value = ValueRef::Copy(AsBytes(value));
    Apply(record, &entry);
  }

  void Drop() {
    const std::string key = SomeKey();
    Record record = MakeDrop(NextLsn());
    used_.insert(record.lsn);
    record.key = key;
    record.head_bytes = 32;
    Apply(record, &Of(key));
  }

  void Mark() {
    const std::string key = SomeKey();
    KeyEntry& entry = Of(key);
    if (entry.slots == 0) return;
    Slot& slot = entry.slot[random.Below(entry.slots)];
    const bool decided = random.Chance(50);
    std::array<uint8_t, kHeaderBytes> header{};
    FillHeader(header);
    if (!slot.corrupt) {
      slot.header = header;
      slot.decided |= decided;
    }
    index.SetHeader(AsBytes(key), HashOf(key), slot.position, header, decided);
  }

  void Break() {
    const std::string key = SomeKey();
    KeyEntry& entry = Of(key);
    bool news = false;
    uint64_t position = 0;
    uint64_t broken = 1;
    if (entry.marker) {
      news = !std::exchange(entry.marker_corrupt, true);
      broken = entry.erased_below;
    } else if (entry.slots > 0) {
      Slot& slot = entry.slot[random.Below(entry.slots)];
      news = !std::exchange(slot.corrupt, true);
      position = slot.position;
      broken = slot.lsn;
    }
    CHECK(index.MarkCorrupt(AsBytes(key), HashOf(key), position, broken) == news);
  }

  void Move() {
    const std::string key = SomeKey();
    KeyEntry& entry = Of(key);
    const RecordPlace to{static_cast<uint32_t>(random.Next()), static_cast<uint16_t>(random.Below(4032))};
    if (entry.marker) {
      const bool moved = index.Relocate(AsBytes(key), HashOf(key), entry.erased_below, entry.marker_place, to);
      CHECK(moved == !entry.marker_corrupt);
      if (moved) entry.marker_place = to;
    }
    for (uint32_t i = 0; i < entry.slots; ++i) {
      Slot& slot = entry.slot[i];
      CHECK(!index.Relocate(AsBytes(key), HashOf(key), slot.lsn, {slot.place.block ^ 1, slot.place.offset}, to));
      const Verdict verdict = index.Judge(AsBytes(key), HashOf(key), slot.lsn, slot.place, false);
      CHECK(verdict.live && verdict.corrupt == slot.corrupt && verdict.lower == (i + 1 < entry.slots));
      CHECK(verdict.slot.header == slot.header && verdict.slot.decided == slot.decided);
      if (index.Relocate(AsBytes(key), HashOf(key), slot.lsn, slot.place, to) != !slot.corrupt) CHECK(false);
      if (!slot.corrupt) slot.place = to;
    }
  }

  void Forget() {
    const std::string key = SomeKey();
    KeyEntry& entry = Of(key);
    DeadRecords dead;
    const bool erased = index.EraseMarker(AsBytes(key), HashOf(key), entry.erased_below, &dead);
    CHECK(erased == entry.marker && dead.count == (erased ? 1u : 0u));
    if (erased) model_.erase(key);
  }

  void Read() {
    const std::string key = SomeKey();
    KeyEntry& entry = Of(key);
    LoadedKey loaded;
    index.Load(AsBytes(key), HashOf(key), &loaded);
    CHECK(loaded.corrupt == entry.corrupt());
    for (uint32_t i = 0; i < loaded.slots; ++i) {
      const SlotView& view = loaded.slot[i];
      if (view.value.present()) CHECK(AsText(view.value.bytes()) == MakeValue(view.lsn, view.value_bytes));
      if (view.value.present() || view.value_bytes > 4000) continue;
      const std::string value = MakeValue(view.lsn, view.value_bytes);
      index.AfterRead(AsBytes(key), HashOf(key), view.position, view.lsn, ValueRef::Copy(AsBytes(value)));
    }
  }

  void Step() {
    const uint64_t choice = random.Below(100);
    if (choice < 60) return Put();
    if (choice < 66) return Drop();
    if (choice < 76) return Mark();
    if (choice < 77) return Break();
    if (choice < 86) return Move();
    if (choice < 90) return Forget();
    Read();
  }

  void Compare() {
    size_t seen = 0;
    uint64_t last_hash = 0;
    index.ForEach([&](const KeyEntry& entry) {
      ++seen;
      const auto found = model_.find(std::string(entry.key));
      REQUIRE(found != model_.end());
      CHECK(Same(entry, found->second));
      CHECK(entry.hash == HashOf(entry.key));
      CHECK(entry.hash >> kUnusedBits >= last_hash >> kUnusedBits);
      last_hash = entry.hash;
    });
    CHECK(seen == static_cast<size_t>(std::count_if(model_.begin(), model_.end(),
                                                    [](const auto& pair) { return !pair.second.empty(); })));
    CompareSums();
  }

  SimRandom random;
  uint64_t lsn = 0;

 private:
  uint64_t NextLsn() {
    lsn += random.Chance(1) ? uint64_t{1} << random.Below(46) : 1 + random.Below(3);
    return lsn;
  }

  void FillHeader(std::array<uint8_t, kHeaderBytes>& header) {
    const uint64_t bytes = random.Chance(30) ? 0 : random.Below(kHeaderBytes + 1);
    for (uint64_t i = 0; i < bytes; ++i) header[i] = static_cast<uint8_t>(random.Below(4));
  }

  KeyEntry& Of(const std::string& key) {
    const auto [found, added] = model_.try_emplace(key);
    found->second.key = found->first;
    found->second.hash = HashOf(key);
    return found->second;
  }

  void Apply(const Record& record, KeyEntry* entry) {
    DeadRecords expected;
    DeadRecords dead;
    const bool lives = entry->Apply(record, &expected);
    CHECK(index.Apply(record, entry->hash, random.Chance(80), &dead) == lives);
    CHECK(dead.count == expected.count);
    for (uint32_t i = 0; i < dead.count; ++i) CHECK(dead.record[i].bytes == expected.record[i].bytes);
    if (entry->empty()) model_.erase(std::string(entry->key));
  }

  bool Same(const KeyEntry& one, const KeyEntry& other) const {
    bool same = one.slots == other.slots && one.marker == other.marker && one.erased_below == other.erased_below;
    if (one.marker) {
      same = same && one.marker_corrupt == other.marker_corrupt && SamePlace(one.marker_place, other.marker_place) &&
             one.marker_head_bytes == other.marker_head_bytes;
    }
    for (uint32_t i = 0; same && i < one.slots; ++i) {
      const Slot& a = one.slot[i];
      const Slot& b = other.slot[i];
      same = a.position == b.position && a.floor == b.floor && a.lsn == b.lsn && SamePlace(a.place, b.place) &&
             a.corrupt == b.corrupt && a.decided == b.decided && a.value_bytes == b.value_bytes &&
             a.head_bytes == b.head_bytes && a.header == b.header &&
             (digest_offset_ != kNoDigestOffset || a.payload_crc == b.payload_crc);
    }
    return same;
  }

  void CompareSums() {
    StoreStats stats;
    index.AddStats(&stats);
    StoreStats expected;
    std::vector<uint64_t> digests(kDigestBuckets, 0);
    for (const auto& [key, entry] : model_) {
      if (entry.corrupt()) ++expected.corrupt_keys;
      const Slot* newest = entry.Newest();
      if (newest == nullptr) continue;
      ++expected.keys;
      ++expected.keys_by_class[newest->header[0]];
      digests[BucketOfKey(AsBytes(key))] += DigestOfEntry(entry, digest_offset_);
    }
    CHECK(stats.keys == expected.keys && stats.corrupt_keys == expected.corrupt_keys);
    CHECK(stats.keys_by_class == expected.keys_by_class);
    std::vector<uint64_t> found(kDigestBuckets, 1);
    index.Digests(0, std::span(found).first(5000));
    index.Digests(5000, std::span(found).subspan(5000));
    CHECK(found == digests);
  }

  const uint32_t digest_offset_;
  std::map<std::string, KeyEntry> model_;
  std::set<uint64_t> used_;

 public:
  KeyIndex index;
};

CASE("key index: after any history it holds what the rule says, and its sums and digests fit (D5, D15, D20)") {
  for (uint64_t run = 0; run < 6; ++run) {
    const uint64_t seed = settings().seed * 100 + run;
    Twin twin(seed, run % 2 == 0 ? kNoDigestOffset : 56, run < 4 ? 20'000 : 0);
    for (uint64_t i = 0; i < 20'000; ++i) {
      twin.Step();
      if (i % 4000 == 3999) twin.Compare();
    }
    twin.Compare();
  }
}

std::vector<uint64_t> DigestsOf(const KeyIndex& index) {
  std::vector<uint64_t> digests(kDigestBuckets);
  index.Digests(0, digests);
  return digests;
}

void Put(KeyIndex* index, const std::string& key, uint64_t lsn, uint64_t position, uint8_t header, size_t value_bytes = 0) {
  Record record = MakeRecord(lsn, position, position == 0 ? 0 : position - 1);
  record.key = key;
  record.header[16] = header;
  record.payload_crc = header;
  record.value_bytes = static_cast<uint32_t>(value_bytes);
  if (value_bytes > 0) record.value = ValueRef::Allocate(value_bytes);
  if (value_bytes > 0) std::fill(record.value.mutable_bytes().begin(), record.value.mutable_bytes().end(), header);
  DeadRecords dead;
  index->Apply(record, HashOf(key), true, &dead);
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
      cursor = index.Iterate(cursor, limit, note, &seen);
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
  CHECK(index.Iterate(kIterationEnd, 1, nullptr, nullptr) == kIterationEnd);
}

bool Cached(KeyIndex* index, const std::string& key) {
  LoadedKey loaded;
  index->Load(AsBytes(key), HashOf(key), &loaded);
  return loaded.slots > 0 && loaded.slot[0].value.present();
}

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
  CHECK(index.Relocate(key, hash, 2, {2, 7}, {50, 8}));
  CHECK(!index.Relocate(key, hash, 2, {2, 7}, {60, 8}));
  CHECK(index.Judge(key, hash, 2, {50, 8}, false).live);
  Put(&index, "k", 3, 5, 2, 40);
  CHECK(!index.Judge(key, hash, 3, {3, 7}, false).slot.decided);
  Record drop = MakeDrop(9);
  DeadRecords dead;
  CHECK(index.Apply(drop, hash, true, &dead) && dead.count == 2);
  CHECK(index.Judge(key, hash, 9, {9, 7}, false).marker);
  CHECK(index.Relocate(key, hash, 9, {9, 7}, {70, 1}));
  dead = DeadRecords{};
  CHECK(!index.EraseMarker(key, hash, 8, &dead) && dead.count == 0);
  CHECK(index.EraseMarker(key, hash, 9, &dead) && dead.count == 1 && dead.record[0].place.block == 70);
  CHECK(!index.StateOf(key, hash).present);
}

struct Memory {
  double per_key = 0;   // beyond key and header
  double counted = 0;   // index_bytes + cache_bytes
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
  memory.per_key = static_cast<double>(stats.index_bytes) / kKeys - 16 - static_cast<double>(live_records * header_bytes);
  // The index itself lies on the stack here.
  memory.counted = static_cast<double>(stats.index_bytes + stats.cache_bytes - sizeof(KeyIndex));
  memory.allocated = static_cast<double>(after.uordblks + after.hblkhd) - static_cast<double>(before.uordblks + before.hblkhd);
  return memory;
}

CASE("memory: at most 64 bytes per key beyond key and headers, with one record or two, and the statistic is true (D15)") {
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
