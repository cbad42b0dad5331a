// The door of the store, on a healthy disk: what is put is loaded and read, order of completions, marks, deletions,
// space and its reuse, identity and locks.
#include <cstring>
#include <string>
#include <vector>

#include "canary.h"
#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "record.h"

namespace plogdb::test {
namespace {

std::string Text(const ValueRef& value) { return {reinterpret_cast<const char*>(value.bytes().data()), value.size()}; }

CASE("a fresh store says so, and an opened one keeps its storage id") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.report.fresh);
  const auto id = fixture.report.storage_id;
  CHECK(fixture.report.volumes[0].io_mode == IoMode::kMemory);
  REQUIRE(fixture.Open().ok());
  CHECK(!fixture.report.fresh && fixture.report.storage_id == id && fixture.report.recovered_watermark == 0);
}

CASE("two positions of a key live, a third takes the first away (D5)") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 0, "one") == StatusCode::kOk);
  CHECK(fixture.Put("a", 2, 1, "two") == StatusCode::kOk);
  LoadedKey loaded = fixture.Load("a");
  REQUIRE(loaded.slots == 2);
  CHECK(loaded.slot[0].position == 1 && Text(loaded.slot[0].value) == "one" && loaded.slot[1].floor == 1);
  CHECK(fixture.Put("a", 3, 2, "three") == StatusCode::kOk);
  loaded = fixture.Load("a");
  REQUIRE(loaded.slots == 2);
  CHECK(loaded.slot[0].position == 2 && loaded.slot[1].position == 3);
  CHECK(fixture.Put("a", 1, 1, "late") == StatusCode::kOk);  // below the floor: skipped
  CHECK(fixture.Load("a").slot[0].position == 2);
  CHECK(fixture.Stats().keys == 1 && fixture.Stats().live_bytes > 0);
}

CASE("memory changes when the flush is done, not before, and one wake-up says so (D5, D6)") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  fixture.wakes = 0;
  fixture.Submit({{OpKind::kPut, "a", 1, 0, 1, "x"}});
  fixture.Submit({{OpKind::kPut, "b", 1, 0, 1, "y"}});
  CHECK(fixture.store->Step(nullptr));  // written
  CHECK(fixture.Load("a").slots == 0 && fixture.wakes == 0);
  CHECK(fixture.store->Step(nullptr));  // flushed
  CHECK(fixture.Load("a").slots == 1 && fixture.Load("b").slots == 1 && fixture.wakes == 1);
  fixture.Drain();
  CHECK(fixture.completions.size() == 2 && fixture.completions[0].token == 1 && fixture.completions[1].token == 2);
  CHECK(fixture.Stats().runs == 2);  // the opening run and one for both batches
}

CASE("marks change headers in order, write nothing and need no flush (D5)") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 0, "x") == StatusCode::kOk);
  const uint64_t flushes = fixture.Stats().flushes;
  CHECK(fixture.Run({{OpKind::kMark, "a", 1, 0, 99, ""}}) == StatusCode::kOk);
  CHECK(fixture.Stats().flushes == flushes);
  const auto marked = MakeHeader(99);
  CHECK(std::memcmp(fixture.Load("a").slot[0].header.data(), marked.data(), kHeaderBytes) == 0);
  CHECK(fixture.Run({{OpKind::kMark, "a", 7, 0, 98, ""}}) == StatusCode::kOk);  // no such record: ignored
  CHECK(fixture.Run({{OpKind::kPut, "a", 2, 1, 5, "y"}, {OpKind::kMark, "a", 2, 0, 97, ""}}) == StatusCode::kOk);
  const auto later = MakeHeader(97);
  CHECK(std::memcmp(fixture.Load("a").slot[1].header.data(), later.data(), kHeaderBytes) == 0);
}

CASE("values beyond the cache are read from disk, large ones over many blocks") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  const std::string big = MakeValue(1, 200'000);
  CHECK(fixture.Put("big", 1, 0, big) == StatusCode::kOk);
  CHECK(fixture.Put("small", 1, 0, "s") == StatusCode::kOk);
  CHECK(!fixture.Load("big").slot[0].value.present());
  std::string value;
  CHECK(fixture.ReadValue("big", 1, &value) == StatusCode::kOk && value == big);
  CHECK(fixture.ReadValue("small", 1, &value) == StatusCode::kOk && value == "s");
  CHECK(fixture.ReadValue("small", 2, &value) == StatusCode::kNotFound);
  CHECK(fixture.ReadValue("none", 1, &value) == StatusCode::kNotFound);
  CHECK(fixture.Stats().disk_reads == 2);
}

CASE("contract: bad arguments are refused, large values end as too large, nothing is written") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  const uint64_t runs = fixture.Stats().runs;
  CHECK(fixture.Put("", 1, 0, "x") == StatusCode::kInvalidArgument);
  CHECK(fixture.Put("a", 3, 1, "x") == StatusCode::kInvalidArgument);
  CHECK(fixture.Put("a", 1, 2, "x") == StatusCode::kInvalidArgument);
  CHECK(fixture.Put("a", 1, 0, MakeValue(1, (256 << 10) + 1)) == StatusCode::kTooLarge);
  CHECK(fixture.Put("a", 1, 0, MakeValue(1, 256 << 10)) == StatusCode::kOk);
  CHECK(fixture.Stats().runs > runs);
  CHECK(fixture.store->SubmitBatch({}, 1).code() == StatusCode::kInvalidArgument);  // tokens rise
}

CASE("a store is the same after it was closed and opened, deleted keys stay deleted (D13)") {
  Fixture fixture(2);
  REQUIRE(fixture.Open().ok());
  std::vector<std::string> keys;
  for (int i = 0; i < 40; ++i) {
    keys.push_back("key" + std::to_string(i));
    CHECK(fixture.Put(keys.back(), 1, 0, MakeValue(static_cast<uint64_t>(i), 500)) == StatusCode::kOk);
    if (i % 3 == 0) CHECK(fixture.Run({{OpKind::kDrop, keys.back(), 0, 0, 0, ""}}) == StatusCode::kOk);
    if (i % 6 == 0) CHECK(fixture.Put(keys.back(), 1, 0, "again") == StatusCode::kOk);
  }
  const std::string before = Dump(&fixture, keys);
  const uint64_t watermark = fixture.store->Watermark();
  REQUIRE(fixture.Open().ok());
  CHECK(Dump(&fixture, keys) == before);
  CHECK(fixture.report.recovered_watermark == watermark && watermark >= 60);
  CHECK(fixture.report.recovered_keys == 33);
  CHECK(fixture.Load("key3").slots == 0 && fixture.Load("key6").slots == 1);
}

bool WatermarkMoves() {
  Fixture fixture;
  if (!fixture.Open().ok()) return false;
  const uint64_t before = fixture.store->Watermark();
  return fixture.Put("a", 1, 0, "x") == StatusCode::kOk && fixture.store->Watermark() == before + 1;
}

CASE("the watermark follows what is durable (D18); stuck, it is caught") {
  CHECK(WatermarkMoves());
  g_canary = Canary::kWatermarkStuck;
  CHECK(!WatermarkMoves());
}

// A few hot keys for many times the size of the volume. Empty: all went well.
std::string OverwriteManyTimes() {
  Fixture fixture;
  if (!fixture.Open().ok()) return "open";
  for (uint64_t i = 1; i <= 400; ++i) {
    const StatusCode status = fixture.Put("hot" + std::to_string(i % 3), i, i, MakeValue(i, 100'000));
    if (status != StatusCode::kOk) return StatusCodeName(status);
  }
  return fixture.Stats().extents_freed > 20 ? "" : "nothing was freed";
}

CASE("hot keys never fill the disk: dead extents are written over") { CHECK(OverwriteManyTimes().empty()); }

// Fifty small hot keys, 100,000 times, while a few cold keys hold on to extents; accounts are compared with an
// opening's.
CASE("small hot keys never fill the disk beside cold ones, and the accounts stay true for ever (D10)") {
  Fixture fixture;
  fixture.options.cache_bytes = 4'000;
  REQUIRE(fixture.Open().ok());
  for (uint64_t i = 1; i <= 10'000; ++i) {
    std::vector<PutSpec> batch;
    for (uint64_t j = 0; j < 10; ++j) {
      batch.push_back(
          {OpKind::kPut, "hot" + std::to_string((i * 10 + j) % 50), i, i - 1, i, MakeValue(i, 50 + i % 90)});
    }
    if (i == 100 || i == 1'000) batch.push_back({OpKind::kPut, "cold" + std::to_string(i), 1, 1, i, "cold"});
    REQUIRE(fixture.Run(batch) == StatusCode::kOk);
  }
  const StoreStats before = fixture.Stats();
  CHECK(before.keys == 52 && before.extents_freed > 20 && before.cache_bytes <= 4'000);
  CHECK(before.live_bytes <= 102 * RecordBound(8, 140));
  REQUIRE(fixture.Open().ok());
  const StoreStats after = fixture.Stats();
  CHECK(after.live_bytes == before.live_bytes && after.keys == before.keys && after.bytes_used <= before.bytes_used);
}

// Fills the disk until it is refused; what was taken must be durable, and room must come back.
std::string FillDisk(uint64_t seed) {
  Fixture fixture;
  if (!fixture.Open().ok()) return "open";
  SimRandom random(seed);
  for (int i = 0; i < 5; ++i) {  // some churn first: extents are freed and used again
    for (uint64_t j = 0; j < 12; ++j) {
      const StatusCode status = fixture.Put("churn", 1 + j + static_cast<uint64_t>(i) * 20,
                                            1 + j + static_cast<uint64_t>(i) * 20, MakeValue(j, 200'000));
      if (status != StatusCode::kOk) return "churn: " + std::string(StatusCodeName(status));
    }
  }
  uint64_t taken = 0;
  StatusCode last = StatusCode::kOk;
  for (; taken < 3000 && last == StatusCode::kOk; ++taken) {
    const uint64_t token = fixture.Submit(
        {{OpKind::kPut, "k" + std::to_string(taken), 1, 0, taken, MakeValue(taken, random.Below(40'000))}});
    if (random.Chance(40)) fixture.StepAll();
    fixture.Drain();
    if (fixture.ended.count(token) > 0) last = fixture.ended[token];
  }
  fixture.StepAll();
  for (const auto& [token, status] : fixture.ended) {
    if (status == StatusCode::kFailed) return "failed";
  }
  if (last != StatusCode::kDiskFull && fixture.ended.rbegin()->second != StatusCode::kDiskFull) return "never full";
  for (uint64_t i = 0; i + 1 < taken; ++i) {  // deletions still have room (D12)
    const StatusCode status = fixture.Run({{OpKind::kDrop, "k" + std::to_string(i), 0, 0, 0, ""}});
    if (status == StatusCode::kFailed) return "failed while deleting";
    if (status == StatusCode::kDiskFull) break;
  }
  const uint64_t keys = fixture.Stats().keys;
  if (!fixture.Open().ok()) return "open again";
  return fixture.Stats().keys == keys ? "" : "keys are missing";
}

CASE("a full disk is refused before anything is written, deletions have room left (D12)") {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const std::string why = FillDisk(seed);
    if (!why.empty()) Failed(__FILE__, __LINE__, "seed " + std::to_string(seed) + ": " + why);
  }
}

CASE("canary: free space counted twice is caught") {
  g_canary = Canary::kFreeCountedTwice;
  bool caught = false;
  for (uint64_t seed = 1; seed <= 8 && !caught; ++seed) caught = !FillDisk(seed).empty();
  CHECK(caught);
}

CASE("identity: foreign, swapped, copied, missing volumes and other nodes are refused (D9)") {
  Fixture fixture(2);
  REQUIRE(fixture.Open().ok());
  // Both volumes must hold something, else a missing one is an interrupted format.
  CHECK(fixture.Put("a", 1, 0, "x") == StatusCode::kOk && fixture.Put("b", 1, 0, "x") == StatusCode::kOk);
  fixture.Close();
  const StoreOptions good = fixture.options;
  const auto refused = [&fixture, &good](StatusCode code) {
    const Status status = fixture.Open();
    fixture.options = good;
    return status.code() == code && !status.message().empty();
  };
  fixture.options.node_id = "n2";
  CHECK(refused(StatusCode::kForeign));
  std::swap(fixture.options.volumes[0], fixture.options.volumes[1]);
  CHECK(refused(StatusCode::kForeign));
  fixture.options.volumes.pop_back();
  CHECK(refused(StatusCode::kForeign));
  fixture.options.volumes[1].path = "new";
  CHECK(refused(StatusCode::kForeign));
  fixture.factory->Put("copy", std::make_shared<SimDisk>(*fixture.disk(0)));
  fixture.options.volumes[1].path = "copy";
  CHECK(refused(StatusCode::kForeign));
  fixture.options.volumes[1].path = fixture.options.volumes[0].path;
  CHECK(refused(StatusCode::kLocked));
  Fixture other;
  other.options.seed = 43;
  REQUIRE(other.Open().ok());
  CHECK(other.Put("a", 1, 0, "x") == StatusCode::kOk);
  other.Close();
  fixture.factory->Put("foreign", other.disk(0));
  fixture.options.volumes[1].path = "foreign";
  CHECK(refused(StatusCode::kForeign));
  auto garbage = std::make_shared<SimDisk>(uint64_t{8} << 20);
  garbage->WriteSectors(0, std::vector<uint8_t>(kBlockBytes, 3));
  fixture.factory->Put("garbage", garbage);
  fixture.options.volumes[1].path = "garbage";
  CHECK(refused(StatusCode::kForeign));
  CHECK(fixture.Open().ok());
}

CASE("superblock: two copies of four are enough and are repaired, one is not") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 0, "x") == StatusCode::kOk);
  fixture.Close();
  const Geometry geometry = MakeGeometry(uint64_t{8} << 20);
  fixture.disk()->FlipBits(geometry.super_offset(0) + 20, 1);
  fixture.disk()->FlipBits(geometry.super_offset(2) + 3000, 1);
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Load("a").slots == 1);
  fixture.Close();
  for (size_t copy = 1; copy < 4; ++copy) fixture.disk()->FlipBits(geometry.super_offset(copy) + 20, 1);
  CHECK(fixture.Open().code() == StatusCode::kCorrupt);
  fixture.disk()->FlipBits(geometry.super_offset(3) + 20, 1);
  CHECK(fixture.Open().ok());  // copies 0 (repaired above) and 3
}

CASE("idle: a mark follows the last acknowledged write within 100 ms, once (D17)") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 0, "x") == StatusCode::kOk);
  uint64_t due = 0;
  CHECK(!fixture.store->Step(&due));
  CHECK(due != UINT64_MAX && due <= fixture.clock_us + 100'000);
  const uint64_t runs = fixture.Stats().runs;
  fixture.Idle();
  CHECK(fixture.Stats().runs == runs + 1 && fixture.Stats().mark_runs == 2);
  fixture.Idle();
  CHECK(fixture.Stats().runs == runs + 1);
}

}  // namespace
}  // namespace plogdb::test
