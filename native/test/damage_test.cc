// Disks that lie and fail (D8, D16, D17): every damage to acknowledged data is told, per key where the key can be told;
// never absent, never an older value.
#include <algorithm>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

#include "canary.h"
#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "oracle.h"
#include "read_around.h"

namespace plogdb::test {
namespace {

struct Written {
  std::vector<std::string> keys;
  std::vector<std::string> values;
};

// Ten keys, each put twice, one run per put, closed so that a mark covers all.
Written WriteTen(Fixture* fixture, size_t value_bytes) {
  Written written;
  for (uint64_t i = 0; i < 10; ++i) {
    written.keys.push_back("key" + std::to_string(i));
    written.values.push_back(MakeValue(i + 100, value_bytes));
    CHECK(fixture->Put(written.keys[i], 1, 1, MakeValue(i, value_bytes)) == StatusCode::kOk);
    CHECK(fixture->Put(written.keys[i], 2, 2, written.values[i]) == StatusCode::kOk);
  }
  fixture->Close();
  return written;
}

// Empty when every key is right or known to be broken (or the store knows of a loss that it cannot place).
std::string Judge(Fixture* fixture, const Written& written, uint64_t* corrupt) {
  if (!fixture->Open().ok()) return "cannot open";
  for (size_t i = 0; i < written.keys.size(); ++i) {
    const LoadedKey loaded = fixture->Load(written.keys[i]);
    if (loaded.corrupt) {
      ++*corrupt;
      continue;
    }
    if (fixture->report.unknown_losses > 0 && loaded.slots == 0) continue;
    std::string value;
    const bool right = loaded.slots == 1 && loaded.slot[0].position == 2 &&
                       fixture->ReadValue(written.keys[i], 2, &value) == StatusCode::kOk && value == written.values[i];
    if (!right && fixture->report.unknown_losses == 0) return written.keys[i] + " is wrong and nothing is said";
  }
  return "";
}

// Flips one byte in every `step` bytes of the first extent, each in a store of its own.
std::string FlipEverywhere(size_t value_bytes, uint64_t bytes, uint64_t step, uint64_t* flips, uint64_t* named) {
  Fixture base;
  base.options.cache_bytes = 0;
  if (!base.Open().ok()) return "open";
  const Written written = WriteTen(&base, value_bytes);
  for (uint64_t at = kBlockBytes; at < bytes; at += step) {
    Fixture fixture;
    fixture.options.cache_bytes = 0;
    auto disk = std::make_shared<SimDisk>(*base.disk());
    disk->FlipBits(at + at / step % 97, static_cast<uint8_t>(1u << (at / step % 8)));
    fixture.factory->Put("disk0", disk);
    uint64_t corrupt = 0;
    const std::string why = Judge(&fixture, written, &corrupt);
    if (!why.empty()) return "flip at " + std::to_string(at) + ": " + why;
    if (fixture.report.unknown_losses > 0) return "flip at " + std::to_string(at) + ": the key was not told";
    ++*flips;
    *named += corrupt;
  }
  return "";
}

CASE("bit rot: every flip in small runs is told per key, from the next run's directory") {
  uint64_t flips = 0;
  uint64_t named = 0;
  // The opening run, twenty runs of one block each, and the mark.
  const std::string why = FlipEverywhere(120, 22 * kBlockBytes, 611, &flips, &named);
  if (!why.empty()) Failed(__FILE__, __LINE__, why);
  CHECK(named > flips / 4);
  std::printf("     %llu flips, %llu keys told\n", static_cast<unsigned long long>(flips),
              static_cast<unsigned long long>(named));
}

CASE("bit rot: every flip in runs of many blocks is told per key") {
  uint64_t flips = 0;
  uint64_t named = 0;
  const std::string why = FlipEverywhere(9'000, 60 * kBlockBytes, 1811, &flips, &named);
  if (!why.empty()) Failed(__FILE__, __LINE__, why);
  CHECK(named > flips / 4);
}

CASE("canary: ignored marks are caught by bit rot") {
  g_canary = Canary::kMarkIgnored;
  uint64_t flips = 0;
  uint64_t named = 0;
  CHECK(!FlipEverywhere(120, 22 * kBlockBytes, 2011, &flips, &named).empty());
}

CASE("a corrupt key stays corrupt over openings until a newer record is durable") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  const Written written = WriteTen(&fixture, 100);
  fixture.disk()->FlipBits((1 + 1 + 19) * kBlockBytes + 200, 4);  // the last run of key9
  for (int i = 0; i < 3; ++i) {
    REQUIRE(fixture.Open().ok());
    CHECK(fixture.report.corrupt_keys == 1 && fixture.report.unknown_losses == 0);
    CHECK(fixture.Load("key9").corrupt && fixture.Stats().corrupt_keys == 1);
    std::string value;
    CHECK(fixture.ReadValue("key9", 2, &value) == StatusCode::kCorrupt);
  }
  CHECK(fixture.Put("key9", 3, 3, "healed") == StatusCode::kOk);
  CHECK(!fixture.Load("key9").corrupt);
  REQUIRE(fixture.Open().ok());
  CHECK(!fixture.Load("key9").corrupt && fixture.Load("key9").slots == 1 && fixture.report.corrupt_keys == 0);
}

CASE("a damaged run stays told though the store lives on and writes over other extents") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  WriteTen(&fixture, 100);
  fixture.disk()->FlipBits((1 + 1 + 19) * kBlockBytes + 200, 4);
  REQUIRE(fixture.Open().ok());
  for (uint64_t i = 1; i < 120; ++i) {
    const StatusCode status = fixture.Put("hot", i, i, MakeValue(i, 150'000));
    if (status == StatusCode::kDiskFull) break;
    CHECK(status == StatusCode::kOk);
    if (i % 20 == 0) REQUIRE(fixture.Open().ok());
  }
  CHECK(fixture.Stats().extents_freed > 0);
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Load("key9").corrupt);
}

void Zero(Fixture* fixture, std::initializer_list<uint32_t> blocks) {
  for (const uint32_t block : blocks) {
    fixture->disk()->WriteSectors(uint64_t{block} * kBlockBytes, std::vector<uint8_t>(kBlockBytes, 0));
  }
}

bool Covers(const std::vector<LostPlace>& places, const LostPlace& wanted) {
  return std::any_of(places.begin(), places.end(), [&](const LostPlace& it) {
    return it.volume == wanted.volume && it.life == wanted.life && it.from <= wanted.from && it.to >= wanted.to;
  });
}

// What two breaks in a row lose of keys that cannot be told is one place; how many there are does not say whether one is
// new, since damage between two of them makes one of both.
CASE("losses without a key are told by their places: the same at every opening, others when more is damaged (P30)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Stats().kept_extents == 0);
  WriteTen(&fixture, 120);
  // A run's keys are told by the next one: of these the first of each pair are lost.
  Zero(&fixture, {4, 5, 8, 9});
  std::vector<LostPlace> first;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(fixture.Open().ok());
    const std::vector<LostPlace> found = fixture.report.lost_places;
    CHECK(found.size() == 2 && fixture.report.unknown_losses == 2);
    CHECK(fixture.Stats().kept_extents == 1);
    if (i == 0) first = found;
    for (const LostPlace& place : found) CHECK(Covers(first, place));
    CHECK(fixture.Put("other", 1 + i, 1 + i, "life goes on") == StatusCode::kOk);
  }
  Zero(&fixture, {6, 7});
  REQUIRE(fixture.Open().ok());
  const std::vector<LostPlace> second = fixture.report.lost_places;
  REQUIRE(second.size() == 1);
  CHECK(!Covers(first, second[0]));
  CHECK(second[0].volume == 0 && second[0].from == 4 && second[0].to == 9);
}

CASE("reading around blocks that cannot be read gets all others, up to a bound of them (D16)") {
  SimDeviceFactory factory;
  std::unique_ptr<BlockDevice> device;
  bool created = false;
  REQUIRE(factory.Open("disk", 16 * kBlockBytes, &device, &created).ok());
  std::vector<uint8_t> written(8 * kBlockBytes, 7);
  REQUIRE(device->Write(4 * kBlockBytes, written).ok());
  for (const uint64_t block : {5, 7, 10}) factory.Find("disk")->MakeUnreadable(block);
  for (const uint32_t most : {1u, 3u, UINT32_MAX}) {
    std::vector<uint8_t> out(8 * kBlockBytes, 0);
    const Unreadable found = ReadAround(device.get(), 4 * kBlockBytes, out, most);
    for (uint32_t i = 0; i < 8; ++i) {
      const bool bad = i == 1 || i == 3 || i == 6 || (most == 1 && i > 1) || (most == 3 && i > 6);
      CHECK(out[i * kBlockBytes] == (bad ? 0xff : 7));
    }
    CHECK(found.blocks == (most == 1 ? 7u : most == 3 ? 4u : 3u) && found.end == (most == UINT32_MAX ? 7u : 8u));
  }
}

CASE("where the end of the newest extent cannot be read nothing is written, and the loss is told again (D17, P30)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  WriteTen(&fixture, 120);
  for (const uint64_t block : {23, 24}) fixture.disk()->MakeUnreadable(block);
  std::vector<LostPlace> first;
  for (uint64_t i = 1; i <= 3; ++i) {
    REQUIRE(fixture.Open().ok());
    const std::vector<LostPlace> found = fixture.report.lost_places;
    REQUIRE(found.size() == 1);
    CHECK(found[0].from == 23 && found[0].to == 25);
    if (i == 1) first = found;
    CHECK(Covers(first, found[0]));
    CHECK(fixture.Put("other", i, i, "elsewhere") == StatusCode::kOk);
    CHECK(fixture.Load("other").slot[0].position == i);
    fixture.Crash(i);
  }
}

// A write that never reached the medium though it was flushed, or landed elsewhere, `which` writes after the start.
std::string LieOnce(uint64_t which, bool misdirect, uint64_t* told) {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  if (!fixture.Open().ok()) return "open";
  SimFaults faults;
  (misdirect ? faults.misdirect_write_in : faults.lose_write_in) = which;
  faults.misdirect_to = 40 * kBlockBytes;
  fixture.disk()->SetFaults(faults);
  const Written written = WriteTen(&fixture, 120);
  fixture.disk()->SetFaults({});
  const SimFaultHits hits = fixture.disk()->hits();
  if (hits.writes_lost + hits.writes_misdirected != 1) return "the fault did not hit";
  uint64_t corrupt = 0;
  std::string why = Judge(&fixture, written, &corrupt);
  *told += corrupt;
  return why;
}

CASE("lost and misdirected flushed writes are told (D2, D17)") {
  uint64_t told = 0;
  for (uint64_t which = 1; which <= 20; ++which) {
    for (const bool misdirect : {false, true}) {
      const std::string why = LieOnce(which, misdirect, &told);
      if (!why.empty()) Failed(__FILE__, __LINE__, "write " + std::to_string(which) + ": " + why);
    }
  }
  CHECK(told >= 20);
}

// A stale or foreign block lies where the record was; the read must not believe it.
StatusCode ReadOverwritten() {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  if (!fixture.Open().ok()) return StatusCode::kIoError;
  // Two records of one size: the second's block is copied over the first's.
  fixture.Put("a", 1, 0, "first value");
  fixture.Put("a", 2, 2, "other value");
  std::vector<uint8_t> block(kBlockBytes);
  if (!fixture.disk()->Read(2 * kBlockBytes, block).ok()) return StatusCode::kIoError;
  fixture.disk()->WriteSectors(3 * kBlockBytes, block);
  std::string value;
  return fixture.ReadValue("a", 2, &value);
}

// Random churn over all extents, some deletions; then damage at one random place, a byte, a sector or a block.
std::string DamageAnywhere(uint64_t seed, uint64_t* told, uint64_t* unknown) {
  SimRandom random(seed);
  Fixture base(1 + seed % 2);
  base.options.cache_bytes = 0;
  if (!base.Open().ok()) return "open";
  Oracle oracle;
  std::vector<std::string> keys;
  for (int i = 0; i < 12; ++i) keys.push_back("key" + std::to_string(i));
  std::vector<uint64_t> next(keys.size(), 0);
  for (int i = 0; i < 150; ++i) {
    const size_t k = random.Below(i < 100 ? 3 : keys.size());
    const bool drop = random.Chance(8);
    next[k] = drop ? 0 : next[k] + 1;
    const std::string value = MakeValue(random.Next(), random.Below(random.Chance(30) ? 150'000 : 3'000));
    const uint64_t floor = next[k] > 0 && random.Chance(50) ? next[k] - 1 : next[k];
    const PutSpec op{drop ? OpKind::kDrop : OpKind::kPut, keys[k], next[k], floor, random.Next(), drop ? "" : value};
    if (base.Run({op}) == StatusCode::kOk) oracle.Apply({op});
  }
  base.Close();
  for (int hit = 0; hit < 12; ++hit) {
    Fixture fixture(base.options.volumes.size());
    fixture.options.cache_bytes = 0;
    for (size_t v = 0; v < base.options.volumes.size(); ++v) {
      fixture.factory->Put("disk" + std::to_string(v), std::make_shared<SimDisk>(*base.disk(v)));
    }
    const uint64_t block = random.Below((uint64_t{8} << 20) / kBlockBytes) * kBlockBytes;
    const auto disk = fixture.disk(random.Below(base.options.volumes.size()));
    if (hit % 3 == 0) disk->FlipBits(block + random.Below(kBlockBytes), 16);
    if (hit % 3 == 1) disk->WriteSectors(block + random.Below(8) * kSectorBytes, std::vector<uint8_t>(kSectorBytes, 0));
    if (hit % 3 == 2) disk->WriteSectors(block, std::vector<uint8_t>(kBlockBytes, 0));
    for (int opening = 0; opening < 2; ++opening) {
      if (!fixture.Open().ok()) return "cannot open";
      *unknown += fixture.report.unknown_losses;
      for (const std::string& key : keys) {
        if (fixture.Load(key).corrupt) {
          ++*told;
          continue;
        }
        std::string why;
        if (oracle.Match(&fixture, oracle.batches(), oracle.batches(), {key}, true, &why)) continue;
        const bool met = fixture.Load(key).corrupt;  // by the read, in a summarized extent
        *told += met ? 1 : 0;
        if (!met && fixture.report.unknown_losses == 0) {
          return "block " + std::to_string(block / kBlockBytes) + ": " + why;
        }
      }
    }
  }
  return "";
}

// The same churn; one flushed write of its second half never reaches the medium, and nobody writes on afterwards for
// long.
std::string LoseWriteInChurn(uint64_t seed, uint64_t* told, uint64_t* unknown) {
  SimRandom random(seed);
  Fixture fixture(1 + seed % 2);
  fixture.options.cache_bytes = 0;
  if (!fixture.Open().ok()) return "open";
  Oracle oracle;
  std::vector<std::string> keys;
  for (int i = 0; i < 9; ++i) keys.push_back("key" + std::to_string(i));
  std::vector<uint64_t> next(keys.size(), 0);
  const auto disk = fixture.disk(random.Below(fixture.options.volumes.size()));
  const int lie = 90 + static_cast<int>(random.Below(60));
  for (int i = 0; i < 150; ++i) {
    SimFaults faults;
    faults.lose_write_in = i == lie ? 1 : 0;
    if (i == lie) disk->SetFaults(faults);
    const size_t k = random.Below(random.Chance(80) ? 3 : keys.size());
    const std::string value = MakeValue(random.Next(), random.Below(random.Chance(50) ? 150'000 : 3'000));
    ++next[k];
    const PutSpec op{OpKind::kPut, keys[k], next[k], next[k] - random.Below(2), random.Next(), value};
    if (fixture.Run({op}) == StatusCode::kOk) oracle.Apply({op});
  }
  fixture.Close();
  for (int opening = 0; opening < 2; ++opening) {
    if (!fixture.Open().ok()) return "cannot open";
    *unknown += fixture.report.unknown_losses;
    for (const std::string& key : keys) {
      std::string why;
      if (fixture.Load(key).corrupt) {
        ++*told;
      } else if (!oracle.Match(&fixture, oracle.batches(), oracle.batches(), {key}, true, &why)) {
        const bool met = fixture.Load(key).corrupt;  // by the read, in a summarized extent
        *told += met ? 1 : 0;
        if (!met && fixture.report.unknown_losses == 0) return why;
      }
    }
    if (fixture.Put("after", 1, 1, "writable") != StatusCode::kOk) return "cannot be written";
  }
  return "";
}

CASE("a flushed write that was lost in a churned store is told, at every opening") {
  uint64_t told = 0;
  uint64_t unknown = 0;
  for (uint64_t seed = settings().seed; seed < settings().seed + settings().workloads * 2; ++seed) {
    const std::string why = LoseWriteInChurn(seed, &told, &unknown);
    if (!why.empty()) Failed(__FILE__, __LINE__, "seed " + std::to_string(seed) + ": " + why);
  }
  std::printf("     %llu keys told, %llu losses without a key\n", static_cast<unsigned long long>(told),
              static_cast<unsigned long long>(unknown));
  CHECK(told > 0);
}

CASE("damage anywhere in a store that was written over many times is told, at every opening") {
  uint64_t told = 0;
  uint64_t unknown = 0;
  for (uint64_t seed = settings().seed; seed < settings().seed + settings().workloads / 2; ++seed) {
    const std::string why = DamageAnywhere(seed, &told, &unknown);
    if (!why.empty()) Failed(__FILE__, __LINE__, "seed " + std::to_string(seed) + ": " + why);
  }
  std::printf("     %llu keys told, %llu losses without a key\n", static_cast<unsigned long long>(told),
              static_cast<unsigned long long>(unknown));
  CHECK(told > 0);
}

CASE("a read of a block from elsewhere is corrupt, and the key with it (D16)") {
  CHECK(ReadOverwritten() == StatusCode::kCorrupt);
  g_canary = Canary::kCorruptReadAsAbsent;
  CHECK(ReadOverwritten() == StatusCode::kNotFound);  // the canary lives; the line above would have failed
}

CASE("canary: unchecked addresses are caught by a misplaced block") {
  const auto place_twice = [](Fixture* fixture) {
    // A whole run, copied over the free blocks behind the last one: with its address unchecked it would be a run.
    std::vector<uint8_t> block(kBlockBytes);
    CHECK(fixture->disk()->Read(2 * kBlockBytes, block).ok());
    return ReadBlockHeader(block, fixture->report.storage_id, 0, 9).has_value();
  };
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 0, "x") == StatusCode::kOk);
  CHECK(!place_twice(&fixture));
  g_canary = Canary::kAddressNotChecked;
  CHECK(place_twice(&fixture));
}

CASE("read errors: one is retried, a lasting one is corrupt, not absent (D16)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 0, "x") == StatusCode::kOk);
  SimFaults faults;
  faults.fail_read_in = 1;
  fixture.disk()->SetFaults(faults);
  std::string value;
  CHECK(fixture.ReadValue("a", 1, &value) == StatusCode::kOk && value == "x");
  CHECK(fixture.disk()->hits().reads_failed == 1);
}

// A flush fails; then the power does. Everything that was acknowledged must be there.
std::string FailFlush(uint64_t which, uint64_t seed) {
  Fixture fixture;
  if (!fixture.Open().ok()) return "open";
  SimFaults faults;
  faults.fail_flush_in = which;
  fixture.disk()->SetFaults(faults);
  std::vector<std::string> acknowledged;
  for (uint64_t i = 0; i < 8; ++i) {
    const std::string key = "key" + std::to_string(i);
    const StatusCode status = fixture.Put(key, 1, 0, MakeValue(i, 100));
    if (status == StatusCode::kOk) acknowledged.push_back(key);
    if (status != StatusCode::kOk && status != StatusCode::kFailed) return StatusCodeName(status);
    if (status == StatusCode::kFailed && fixture.Load(key).slots != 0) return "memory shows what is not durable";
  }
  if (fixture.Stats().state != StoreState::kFailed) return "not failed";
  uint64_t said = 0;
  for (const Completion& completion : fixture.completions) said += completion.kind == CompletionKind::kFailed ? 1 : 0;
  if (said != 1) return "failure not said once";
  std::string value;
  if (!acknowledged.empty() && fixture.ReadValue(acknowledged[0], 1, &value) != StatusCode::kOk) return "reads ended";
  fixture.Crash(seed);
  if (!fixture.Open().ok()) return "open again";
  for (const std::string& key : acknowledged) {
    if (fixture.Load(key).slots != 1) return "an acknowledged record is gone";
  }
  return "";
}

CASE("a failed flush ends writing for good, reads go on, nothing acknowledged is lost (D8)") {
  for (uint64_t which = 1; which <= 8; ++which) {
    const std::string why = FailFlush(which, which);
    if (!why.empty()) Failed(__FILE__, __LINE__, "flush " + std::to_string(which) + ": " + why);
  }
  g_canary = Canary::kFlushRetried;
  CHECK(!FailFlush(2, 1).empty());
}

CASE("a failed write ends writing for good (D8)") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 0, "x") == StatusCode::kOk);
  SimFaults faults;
  faults.fail_write_in = 1;
  fixture.disk()->SetFaults(faults);
  CHECK(fixture.Put("b", 1, 0, "x") == StatusCode::kFailed);
  CHECK(fixture.Put("c", 1, 0, "x") == StatusCode::kFailed);
  CHECK(fixture.Load("a").slots == 1 && fixture.Load("b").slots == 0);
}

}  // namespace
}  // namespace plogdb::test
