// Space and its reuse by merge (D5, D10 to D13), scrub (D19): what is dead comes back whatever lies beside it, what lives
// is never lost, and a full store is one that is full of what lives.
#include <cstdio>
#include <string>
#include <vector>

#include "canary.h"
#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "store_probe.h"

namespace plogdb::test {
namespace {

std::string KeyOf(uint64_t i) { return "key" + std::to_string(1000 + i); }

// Steps until nothing is left to do, letting time pass for what waits for its rate.
void Settle(Fixture* fixture) {
  for (int i = 0; i < 400; ++i) {
    fixture->clock_us += 20'000;
    fixture->StepAll();
  }
}

// Keys with values until the store has `percent` of what it offers alive.
uint64_t FillTo(Fixture* fixture, uint64_t percent, size_t value_bytes) {
  uint64_t keys = 0;
  for (;;) {
    const StoreStats stats = fixture->Stats();
    if (stats.live_bytes * 100 >= stats.bytes_usable * percent) return keys;
    if (fixture->Put(KeyOf(keys), 0, 0, MakeValue(keys, value_bytes)) != StatusCode::kOk) return keys;
    ++keys;
  }
}

CASE("cold keys in every extent fill nothing: merge moves them on, and what is dead comes back (D10)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  uint64_t cold = 0;
  for (uint64_t position = 1; position < 400; ++position) {
    REQUIRE(fixture.Put("hot", position, position, MakeValue(position, 200'000)) == StatusCode::kOk);
    if (position % 4 != 0) continue;
    REQUIRE(fixture.Put("cold" + std::to_string(cold), 1, 1, "cold" + std::to_string(cold)) == StatusCode::kOk);
    ++cold;
  }
  CHECK(fixture.Stats().merge_extents > 10 && fixture.Stats().state == StoreState::kOpen);
  for (const bool reopened : {false, true}) {
    if (reopened) REQUIRE(fixture.Open().ok());
    for (uint64_t i = 0; i < cold; ++i) {
      std::string value;
      CHECK(fixture.ReadValue("cold" + std::to_string(i), 1, &value) == StatusCode::kOk);
      CHECK(value == "cold" + std::to_string(i));
    }
  }
}

// Of the smallest extents: the figure at 80 % is the bench's, on extents of a usual size.
CASE("uniform overwrite at 70 % of the usable room never ends, at less than 4 records a write (D10, D11)") {
  Fixture fixture(1, uint64_t{64} << 20);
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  const uint64_t keys = FillTo(&fixture, 70, 400);
  SimRandom random(settings().seed);
  std::vector<uint64_t> version(keys, 0);
  std::vector<PutSpec> batch;
  const auto write = [&](uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t k = random.Below(keys);
      ++version[k];
      batch.push_back({OpKind::kPut, KeyOf(k), 0, 0, 0, MakeValue(k + version[k] * 1'000'003, 400)});
      if (batch.size() < 64 && i + 1 < count) continue;
      fixture.clock_us += 2'000;
      CHECK(fixture.Run(batch) == StatusCode::kOk);
      batch.clear();
    }
  };
  write(2 * keys);
  const StoreStats before = fixture.Stats();
  write(2 * keys);
  const StoreStats after = fixture.Stats();
  const auto copied = static_cast<double>(after.merge_records_copied - before.merge_records_copied);
  const auto written = static_cast<double>(after.records_written - before.records_written);
  std::printf("     write amplification %.2f (records), %llu stalls\n", written / (written - copied),
              static_cast<unsigned long long>(after.stalls));
  CHECK(written / (written - copied) < 4);
  REQUIRE(fixture.Open().ok());
  for (uint64_t k = 0; k < keys; k += 7) {
    std::string value;
    CHECK(fixture.ReadValue(KeyOf(k), 0, &value) == StatusCode::kOk);
    CHECK(value == MakeValue(version[k] == 0 ? k : k + version[k] * 1'000'003, 400));
  }
}

CASE("ten times filled to the brim and deleted: nothing leaks, and deletions work on a full disk (D12)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  uint64_t first = 0;
  for (int cycle = 0; cycle < 10; ++cycle) {
    uint64_t keys = 0;
    while (fixture.Put(KeyOf(keys), 0, 0, MakeValue(keys, 3'000)) == StatusCode::kOk) ++keys;
    CHECK(fixture.Stats().space_level == SpaceLevel::kFull || fixture.Stats().space_level == SpaceLevel::kHard);
    if (cycle == 0) first = keys;
    CHECK(keys * 100 >= first * 95);
    for (uint64_t i = 0; i < keys; ++i) {
      REQUIRE(fixture.Run({{OpKind::kDrop, KeyOf(i), 0, 0, 0, ""}}) == StatusCode::kOk);
    }
    CHECK(fixture.Stats().keys == 0);
    if (cycle % 3 == 2) REQUIRE(fixture.Open().ok());
  }
  const StoreStats stats = fixture.Stats();
  // 3,000 bytes a key would fill the disk; markers do not.
  CHECK(stats.live_bytes < stats.bytes_usable / 20);
}

CASE("a deletion's marker goes when no older copy of its key can be on the disk, not before (D13)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  for (uint64_t i = 0; i < 200; ++i) REQUIRE(fixture.Put(KeyOf(i), 0, 0, MakeValue(i, 5'000)) == StatusCode::kOk);
  for (uint64_t i = 0; i < 200; ++i) fixture.Run({{OpKind::kDrop, KeyOf(i), 0, 0, 0, ""}});
  const uint64_t with_markers = fixture.Stats().live_bytes;
  CHECK(with_markers >= 200 * (sizeof(RecordHead) + 7));
  // Three keys are written over and over, so that every extent gets a new life several times.
  for (uint64_t i = 0; i < 4'000; ++i) {
    REQUIRE(fixture.Put("hot" + std::to_string(i % 110), 0, 0, MakeValue(i, 20'000)) == StatusCode::kOk);
    fixture.clock_us += 1'000;
  }
  Settle(&fixture);
  CHECK(fixture.Stats().live_bytes < 110 * 20'200);
  for (int opening = 0; opening < 2; ++opening) {
    REQUIRE(fixture.Open().ok());
    for (uint64_t i = 0; i < 200; ++i) CHECK(fixture.Load(KeyOf(i)).slots == 0);
    CHECK(fixture.Stats().keys == 110);
  }
}

CASE("a decided record is written anew with its mark, and what lies below it is dropped (D5)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  for (uint64_t i = 0; i < 300; ++i) {
    REQUIRE(fixture.Put(KeyOf(i), 1, 0, MakeValue(i, 4'000)) == StatusCode::kOk);
    REQUIRE(fixture.Put(KeyOf(i), 2, 1, MakeValue(i + 1000, 4'000)) == StatusCode::kOk);
    // Half of them are marked; only some of those say that they are decided.
    if (i % 2 == 0) fixture.Run({{OpKind::kMark, KeyOf(i), 2, i % 4 == 0 ? 2u : 0u, i, ""}});
  }
  for (uint64_t i = 0; i < 1'500; ++i) {
    REQUIRE(fixture.Put("hot" + std::to_string(i % 10), 0, 0, MakeValue(i, 20'000)) == StatusCode::kOk);
    fixture.clock_us += 1'000;
  }
  CHECK(fixture.Stats().merge_extents > 10);
  REQUIRE(fixture.Open().ok());
  uint64_t dropped = 0;
  for (uint64_t i = 0; i < 300; ++i) {
    const LoadedKey loaded = fixture.Load(KeyOf(i));
    REQUIRE(!loaded.corrupt && loaded.slots >= 1);
    const SlotView& newest = loaded.slot[loaded.slots - 1];
    std::string value;
    CHECK(newest.position == 2 && fixture.ReadValue(KeyOf(i), 2, &value) == StatusCode::kOk);
    CHECK(value == MakeValue(i + 1000, 4'000));
    if (i % 4 != 0) CHECK(loaded.slots == 2);
    if (loaded.slots == 2) continue;
    ++dropped;
    const auto header = MakeHeader(i);
    CHECK(newest.floor == 2 && std::equal(header.begin(), header.end(), newest.header.begin()));
  }
  CHECK(dropped > 0);
}

CASE("paused merge waits until callers would be refused, and then goes on all the same (D11)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  fixture.options.merge.paused = true;
  REQUIRE(fixture.Open().ok());
  uint64_t stalled_from = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    REQUIRE(fixture.Put("hot" + std::to_string(i % 4), 0, 0, MakeValue(i, 60'000)) == StatusCode::kOk);
    REQUIRE(fixture.Put("cold" + std::to_string(i), 0, 0, "cold") == StatusCode::kOk);
    if (stalled_from == 0 && fixture.Stats().merge_bytes_read > 0) stalled_from = i;
    if (stalled_from == 0) CHECK(fixture.Stats().space_level != SpaceLevel::kFull);
  }
  CHECK(stalled_from > 20);
  CHECK(fixture.Stats().state == StoreState::kOpen);
}

CASE("a store full of live data is refused, says so, and heals by deletions alone (D12)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  const uint64_t keys = FillTo(&fixture, 200, 2'000);
  CHECK(fixture.store->IsFull() && fixture.Stats().space_level == SpaceLevel::kFull);
  CHECK(fixture.Put("more", 0, 0, MakeValue(1, 2'000)) == StatusCode::kDiskFull);
  for (uint64_t i = 0; i < keys / 4; ++i) {
    REQUIRE(fixture.Run({{OpKind::kDrop, KeyOf(4 * i), 0, 0, 0, ""}}) == StatusCode::kOk);
  }
  CHECK(!fixture.store->IsFull());
  for (uint64_t i = 0; i < keys / 5; ++i) {
    CHECK(fixture.Put("more" + std::to_string(i), 0, 0, MakeValue(1, 2'000)) == StatusCode::kOk);
  }
}

// Forty keys with a run of two blocks each; `damage` to that of number 5, told by its first block; then churn until merge has
// been everywhere.
void MergeAround(Fixture* fixture, void (*damage)(SimDisk* disk, uint64_t block)) {
  fixture->options.cache_bytes = 0;
  REQUIRE(fixture->Open().ok());
  for (uint64_t i = 0; i < 40; ++i) REQUIRE(fixture->Put(KeyOf(i), 0, 0, MakeValue(i, 5'000)) == StatusCode::kOk);
  damage(fixture->disk().get(), 1 + 1 + 5 * 2);
  for (uint64_t i = 0; i < 3'000; ++i) {
    REQUIRE(fixture->Put("hot" + std::to_string(i % 80), 0, 0, MakeValue(i, 20'000)) == StatusCode::kOk);
    fixture->clock_us += 1'000;
  }
  Settle(fixture);
}

// That one is known to be broken, once; all others are whole, and a new value heals it.
void CheckOnlyFifthBroken(Fixture* fixture) {
  CHECK(fixture->Stats().damaged_records == 1 && fixture->Stats().corrupt_keys == 1);
  CHECK(StoreProbe::LiveRecords(*fixture->store, 0, 0) == 1);
  for (uint64_t i = 0; i < 40; ++i) {
    std::string value;
    const StatusCode status = fixture->ReadValue(KeyOf(i), 0, &value);
    CHECK(i == 5 ? status == StatusCode::kCorrupt : status == StatusCode::kOk && value == MakeValue(i, 5'000));
  }
  CHECK(fixture->Put(KeyOf(5), 0, 0, "healed") == StatusCode::kOk);
  CHECK(!fixture->Load(KeyOf(5)).corrupt && fixture->Stats().corrupt_keys == 0);
}

CASE("a broken record in a victim stays where it is, is told once, and everything else moves (D10, D16)") {
  Fixture fixture;
  // A bit in the middle of the value.
  MergeAround(&fixture, [](SimDisk* disk, uint64_t block) { disk->FlipBits(block * kBlockBytes + 900, 1); });
  uint64_t told = 0;
  for (const Completion& completion : fixture.completions) {
    if (completion.kind != CompletionKind::kDamaged) continue;
    ++told;
    CHECK(completion.message == KeyOf(5) && completion.token == 0);
  }
  CHECK(told == 1);
  CheckOnlyFifthBroken(&fixture);
}

CASE("a block that cannot be read in a victim keeps only its own records there; everything else moves (D10, D16)") {
  Fixture fixture;
  MergeAround(&fixture, [](SimDisk* disk, uint64_t block) { disk->MakeUnreadable(block); });
  CheckOnlyFifthBroken(&fixture);
}

CASE("scrub reads everything at its rate and tells every broken record once (D19)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  fixture.options.scrub.bytes_per_second = 4 << 20;
  REQUIRE(fixture.Open().ok());
  for (uint64_t i = 0; i < 60; ++i) REQUIRE(fixture.Put(KeyOf(i), 0, 0, MakeValue(i, 2'000)) == StatusCode::kOk);
  const uint64_t started = fixture.clock_us;
  const uint64_t read_before = fixture.Stats().scrub_bytes;
  for (const uint64_t i : {3, 17, 44}) fixture.disk()->FlipBits((1 + 1 + i) * kBlockBytes + 700, 8);
  while (fixture.Stats().scrub_passes < 3) {
    fixture.clock_us += 50'000;
    fixture.StepAll();
  }
  const double seconds = static_cast<double>(fixture.clock_us - started) / 1e6;
  const auto read = static_cast<double>(fixture.Stats().scrub_bytes - read_before);
  CHECK(read > 1e6 && read / seconds <= 4.5 * 1048576);
  CHECK(fixture.Stats().damaged_records == 3 && fixture.Stats().scrub_records >= 57);
  for (uint64_t i = 0; i < 60; ++i) CHECK(fixture.Load(KeyOf(i)).corrupt == (i == 3 || i == 17 || i == 44));
  fixture.store->SetScrub({0});
  const uint64_t stopped = fixture.Stats().scrub_bytes;
  Settle(&fixture);
  CHECK(fixture.Stats().scrub_bytes == stopped);
}

}  // namespace
}  // namespace plogdb::test
