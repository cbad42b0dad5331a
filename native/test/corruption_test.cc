// Level 5: disks that keep something else than what was written to them. A small store with a past is closed; then every
// byte of it is flipped, its blocks are exchanged, misplaced, replaced by what they were before, in a store of its own
// each time. What is broken must be told at every opening, never absent, never older (D2, D16, D17, D18). The suite takes a
// sample; `--all` takes everything.
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "format.h"
#include "harness.h"
#include "life.h"
#include "oracle.h"
#include "store_probe.h"

namespace plogdb::test {
namespace {

constexpr uint64_t kExtent = 128 << 10;
constexpr uint64_t kUsed = 256 << 10;

// A store that used its first two extents, as it was half way and as it was when it was closed.
struct Subject {
  Script script;
  Oracle oracle;
  Disks half;
  Disks whole;
  uint64_t half_watermark = 0;
  uint64_t watermark = 0;
};

Disks CopyOf(const Disks& disks) {
  Disks copy;
  for (const auto& disk : disks) copy.push_back(std::make_shared<SimDisk>(*disk));
  return copy;
}

Disks DisksOf(Fixture* fixture) {
  Disks disks;
  for (size_t i = 0; i < fixture->options.volumes.size(); ++i) disks.push_back(std::make_shared<SimDisk>(*fixture->disk(i)));
  return disks;
}

// Keys of all sizes, written over and deleted, until two extents of each volume are full.
Subject MakeSubject(size_t volumes, uint64_t seed) {
  Subject subject;
  subject.script.volumes = volumes;
  subject.script.extent_bytes = kExtent;
  SimRandom random(seed);
  for (int i = 0; i < 24; ++i) subject.script.keys.push_back("key" + std::to_string(i));
  std::vector<uint64_t> position(subject.script.keys.size(), 0);
  const auto fixture = MakeFixture(subject.script, {});
  CHECK(fixture->Open().ok());
  while (fixture->Stats().bytes_written < volumes * kUsed * 9 / 10) {
    const size_t k = random.Below(subject.script.keys.size());
    const bool drop = random.Chance(8);
    position[k] = drop ? 0 : position[k] + 1;
    PutSpec op{drop ? OpKind::kDrop : OpKind::kPut, subject.script.keys[k], position[k], position[k], random.Next(), ""};
    if (!drop) op.value = MakeValue(random.Next(), random.Below(random.Chance(25) ? 9'000 : 1'500));
    if (!drop && random.Chance(50)) --op.floor;
    CHECK(fixture->Run({op}) == StatusCode::kOk);
    subject.oracle.Apply({op});
    if (!subject.half.empty() || fixture->Stats().bytes_written < volumes * kUsed / 2) continue;
    fixture->Idle();
    subject.half = DisksOf(fixture.get());
    subject.half_watermark = fixture->store->Watermark();
  }
  subject.watermark = fixture->store->Watermark();
  fixture->store->Close();
  subject.whole = DisksOf(fixture.get());
  return subject;
}

struct Verdict {
  uint64_t stores = 0;
  uint64_t corrupt_keys = 0;
  uint64_t unknown = 0;  // stores with a loss whose keys cannot be told
  uint64_t right = 0;    // stores in which nothing was missing
};

// Opens twice. Every key is right, or corrupt, or the store says that it lost something it cannot name.
std::string Judge(const Subject& subject, Disks disks, Verdict* verdict) {
  const auto fixture = MakeFixture(subject.script, disks);
  ++verdict->stores;
  for (int opening = 0; opening < 2; ++opening) {
    const Status status = fixture->Open();
    if (!status.ok()) return "cannot open: " + status.message();
    std::string why = StoreProbe::Check(*fixture->store);
    if (!why.empty()) return why;
    uint64_t corrupt = 0;
    for (const std::string& key : subject.script.keys) {
      if (fixture->Load(key).corrupt) {
        ++corrupt;
        continue;
      }
      const size_t at = subject.oracle.batches();
      if (subject.oracle.Match(fixture.get(), at, at, {key}, true, &why)) continue;
      if (fixture->report.unknown_losses == 0) return "opening " + std::to_string(opening) + ", nothing said: " + why;
    }
    if (opening == 1) continue;
    verdict->corrupt_keys += corrupt;
    verdict->unknown += fixture->report.unknown_losses > 0 ? 1 : 0;
    verdict->right += corrupt + fixture->report.unknown_losses == 0 ? 1 : 0;
  }
  return "";
}

void Print(const char* what, const Verdict& verdict) {
  const auto print = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("     %s: %llu stores, %llu corrupt keys told, %llu losses without a key, %llu without any harm\n", what,
              print(verdict.stores), print(verdict.corrupt_keys), print(verdict.unknown), print(verdict.right));
}

// Every `step`th of `count` cases in the suite, all with --all.
void ForSome(uint64_t count, uint64_t step, const std::function<void(uint64_t)>& run) {
  if (settings().all) step = 1;
  for (uint64_t i = settings().seed % step; i < count; i += step) run(i);
}

std::vector<uint8_t> ReadBlock(const Disks& disks, uint64_t block) {
  std::vector<uint8_t> bytes(kBlockBytes);
  CHECK(disks[0]->Read(block * kBlockBytes, bytes).ok());
  return bytes;
}

class SmallExtents {
 public:
  SmallExtents() { g_min_extent_bytes = kExtent; }
  ~SmallExtents() { g_min_extent_bytes = kMinExtentBytes; }
};

CASE("damage: every flipped byte of a store is told per key, at every opening") {
  const SmallExtents small;
  const Subject subject = MakeSubject(1, settings().seed);
  Verdict verdict;
  ForSome(kUsed, 97, [&](uint64_t at) {
    Disks disks = CopyOf(subject.whole);
    disks[0]->FlipBits(at, static_cast<uint8_t>(1u << (at * 7 % 8)));
    const std::string why = Judge(subject, std::move(disks), &verdict);
    if (!why.empty()) Failed(__FILE__, __LINE__, "byte " + std::to_string(at) + ": " + why);
  });
  Print("flips", verdict);
  CHECK(verdict.unknown == 0 && verdict.corrupt_keys > verdict.stores / 20);
}

CASE("damage: blocks that were misdirected, swapped, or are what they were before, are told") {
  const SmallExtents small;
  const Subject subject = MakeSubject(1, settings().seed + 1);
  const uint64_t blocks = kUsed / kBlockBytes;
  Verdict verdict;
  const auto judge = [&](Disks disks, const std::string& what) {
    const std::string why = Judge(subject, std::move(disks), &verdict);
    if (!why.empty()) Failed(__FILE__, __LINE__, what + ": " + why);
  };
  ForSome(blocks * blocks, 7, [&](uint64_t pair) {
    const uint64_t from = pair / blocks;
    const uint64_t to = pair % blocks;
    if (from == to) return;
    const std::string what = "blocks " + std::to_string(from) + " and " + std::to_string(to);
    Disks disks = CopyOf(subject.whole);
    disks[0]->WriteSectors(to * kBlockBytes, ReadBlock(subject.whole, from));
    judge(CopyOf(disks), what + ", misdirected");
    disks[0]->WriteSectors(from * kBlockBytes, ReadBlock(subject.whole, to));
    if (from < to) judge(std::move(disks), what + ", swapped");
  });
  for (uint64_t block = 0; block < blocks; ++block) {
    Disks disks = CopyOf(subject.whole);
    disks[0]->WriteSectors(block * kBlockBytes, ReadBlock(subject.half, block));
    judge(std::move(disks), "block " + std::to_string(block) + ", as before");
  }
  Print("blocks", verdict);
  CHECK(verdict.corrupt_keys > 0);
}

CASE("damage: sectors of zeros and of noise are told") {
  const SmallExtents small;
  const Subject subject = MakeSubject(1, settings().seed + 2);
  Verdict verdict;
  ForSome(kUsed / kSectorBytes * 2, 2, [&](uint64_t number) {
    std::vector<uint8_t> sector(kSectorBytes, 0);
    const std::string noise = MakeValue(number, kSectorBytes);
    if (number % 2 == 1) sector.assign(noise.begin(), noise.end());
    Disks disks = CopyOf(subject.whole);
    disks[0]->WriteSectors(number / 2 * kSectorBytes, sector);
    const std::string why = Judge(subject, std::move(disks), &verdict);
    if (!why.empty()) Failed(__FILE__, __LINE__, "sector " + std::to_string(number / 2) + ": " + why);
  });
  Print("sectors", verdict);
  CHECK(verdict.corrupt_keys > 0);
}

CASE("damage: a volume that was restored from an old copy is told by the watermark, or as damage (D18)") {
  const SmallExtents small;
  for (uint64_t seed = settings().seed; seed < settings().seed + 4; ++seed) {
    const Subject single = MakeSubject(1, seed);
    const auto old = MakeFixture(single.script, single.half);
    REQUIRE(old->Open().ok());
    CHECK(old->report.recovered_watermark < single.watermark && old->report.recovered_watermark >= single.half_watermark);
    const Subject pair = MakeSubject(2, seed);
    for (size_t volume = 0; volume < 2; ++volume) {
      Disks disks = CopyOf(pair.whole);
      disks[volume] = std::make_shared<SimDisk>(*pair.half[volume]);
      const auto mixed = MakeFixture(pair.script, disks);
      REQUIRE(mixed->Open().ok());
      const bool told = mixed->report.unknown_losses > 0 || mixed->report.corrupt_keys > 0;
      if (!told) CHECK(mixed->report.recovered_watermark < pair.watermark);
    }
  }
}

CASE("damage: a volume that was truncated is refused, and left as it is") {
  const SmallExtents small;
  const Subject subject = MakeSubject(1, settings().seed);
  const uint64_t bytes = subject.whole[0]->bytes();
  for (uint64_t left = bytes / 8; left < bytes; left += bytes / 8) {
    auto shorter = std::make_shared<SimDisk>(left);
    std::vector<uint8_t> content(left);
    REQUIRE(subject.whole[0]->Read(0, content).ok());
    shorter->WriteSectors(0, content);
    const auto fixture = MakeFixture(subject.script, {shorter});
    const StatusCode code = fixture->Open().code();
    CHECK(code == StatusCode::kForeign || code == StatusCode::kCorrupt);
    std::vector<uint8_t> after(left);
    REQUIRE(fixture->disk()->Read(0, after).ok());
    CHECK(after == content);
  }
}

}  // namespace
}  // namespace plogdb::test
