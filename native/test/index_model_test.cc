// The key index against a plain model, by random histories: an unpacked KeyEntry per key in a std::map. Everything that
// the index packs, moves and sums up is compared with it, the sums and digests being computed anew.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "digest.h"
#include "fixture.h"
#include "harness.h"
#include "index_fixture.h"
#include "key_index.h"
#include "key_loader.h"

namespace plogdb::test {
namespace {

// Merge's copy with the head that the record had.
bool MoveCopy(KeyIndex* index, std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace from,
              RecordPlace to, uint32_t head_bytes) {
  return index->Relocate(key, hash, lsn, from, to, &head_bytes);
}

// The index and the model beside it.
class Twin : public LoadObserver {
 public:
  Twin(uint64_t seed, uint32_t digest_offset, uint64_t cache_bytes)
      : random(seed), digest_offset_(digest_offset), index(cache_bytes, digest_offset) {}

  const PlaceOrder* OrderOf(uint64_t) const override { return nullptr; }
  void OnDead(uint64_t, const DeadRecords& dead) override { Add(dead, &died_); }

  std::string SomeKey() {
    const uint64_t number = random.Below(400);
    const size_t bytes = number == 80 ? 1500 : number % 40 == 0 ? 200 + number : number % 7;
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

  // What follows goes through a loader, in which it waits.
  void Bulk() {
    KeyLoader loader(&index, this);
    loader_ = &loader;
    died_ = expected_ = {};
    for (uint64_t left = random.Below(600); left > 0; --left) random.Chance(85) ? Put() : Drop();
    loader_ = nullptr;
    loader.Flush();
    CHECK(loader.empty() && died_ == expected_);
    std::erase_if(model_, [](const auto& pair) { return pair.second.empty(); });
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
      const bool moved = MoveCopy(&index, AsBytes(key), HashOf(key), entry.erased_below, entry.marker_place, to,
                                  entry.marker_head_bytes);
      CHECK(moved == !entry.marker_corrupt);
      if (moved) entry.marker_place = to;
    }
    for (uint32_t i = 0; i < entry.slots; ++i) {
      Slot& slot = entry.slot[i];
      CHECK(!MoveCopy(&index, AsBytes(key), HashOf(key), slot.lsn, {slot.place.block ^ 1, slot.place.offset}, to,
                      slot.head_bytes));
      const Verdict verdict = index.Judge(AsBytes(key), HashOf(key), slot.lsn, slot.place, false);
      CHECK(verdict.live && verdict.corrupt == slot.corrupt && verdict.lower == (i + 1 < entry.slots));
      CHECK(verdict.slot.header == slot.header && verdict.slot.decided == slot.decided);
      const bool moved =
          MoveCopy(&index, AsBytes(key), HashOf(key), slot.lsn, slot.place, to, slot.head_bytes);
      CHECK(moved == !slot.corrupt);
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
    ReadNewest(key, loaded);
    for (uint32_t i = 0; i < loaded.slots; ++i) {
      const SlotView& view = loaded.slot[i];
      if (view.value.present()) CHECK(AsText(view.value.bytes()) == MakeValue(view.lsn, view.value_bytes));
      if (view.value.present() || view.value_bytes > 4000) continue;
      const std::string value = MakeValue(view.lsn, view.value_bytes);
      index.AfterRead(AsBytes(key), HashOf(key), view.position, view.lsn, ValueRef::Copy(AsBytes(value)));
    }
  }

  // Says what Load says.
  void ReadNewest(const std::string& key, const LoadedKey& loaded) {
    std::vector<uint8_t> room(random.Chance(10) ? random.Below(300) : 4000);
    const NewestValue newest = index.CopyNewest(AsBytes(key), HashOf(key), room);
    if (loaded.corrupt || loaded.slots == 0) {
      CHECK(newest.state == (loaded.corrupt ? NewestState::kCorrupt : NewestState::kAbsent));
      return;
    }
    const ValueRef& value = loaded.slot[loaded.slots - 1].value;
    CHECK((newest.state == NewestState::kOnDisk) == !value.present());
    if (!value.present()) return;
    CHECK(newest.bytes == value.size());
    CHECK((newest.state == NewestState::kHere) == (value.size() <= room.size()));
    if (newest.state == NewestState::kHere) {
      CHECK(AsText(std::span(room).first(newest.bytes)) == AsText(value.bytes()));
    }
  }

  void Step() {
    if (random.Chance(1) && random.Chance(10)) Bulk();
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

  struct Died {
    uint64_t records = 0;
    uint64_t bytes = 0;
    bool operator==(const Died&) const = default;
  };

  static void Add(const DeadRecords& dead, Died* to) {
    to->records += dead.count;
    for (uint32_t i = 0; i < dead.count; ++i) to->bytes += dead.record[i].bytes;
  }

  void Apply(const Record& record, KeyEntry* entry) {
    DeadRecords expected;
    DeadRecords dead;
    const bool lives = entry->Apply(record, &expected);
    if (loader_ != nullptr) {
      Record bare = record;
      bare.value = ValueRef();
      loader_->Add(bare, entry->hash);
      Add(expected, &expected_);
      return;
    }
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
  KeyLoader* loader_ = nullptr;
  Died died_;
  Died expected_;

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

}  // namespace
}  // namespace plogdb::test
