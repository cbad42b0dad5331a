// Level 5: disks that keep something else than what was written to them: every byte flipped, blocks exchanged,
// misplaced, replaced by what they were before, in a store of its own each time. The suite takes a sample; `--all`
// takes everything.
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "corruption.h"
#include "harness.h"

namespace plogdb::test {
namespace {

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

CASE("damage: every flipped byte of a store is told per key, at every opening") {
  const SmallExtents small;
  const Subject subject = MakeSubject(1, settings().seed);
  Verdict verdict;
  ForSome(kUsedBytes, 97, [&](uint64_t at) {
    const std::string why = Judge(subject, Flipped(subject, at), &verdict);
    if (!why.empty()) Failed(__FILE__, __LINE__, "byte " + std::to_string(at) + ": " + why);
  });
  Print("flips", verdict);
  CHECK(verdict.unknown == 0 && verdict.corrupt_keys > verdict.stores / 20);
}

CASE("damage: blocks that were misdirected, swapped, or are what they were before, are told") {
  const SmallExtents small;
  const Subject subject = MakeSubject(1, settings().seed + 1);
  const uint64_t blocks = kUsedBytes / kBlockBytes;
  Verdict verdict;
  const auto judge = [&](const Disks& disks, const std::string& what) {
    const std::string why = Judge(subject, disks, &verdict);
    if (!why.empty()) Failed(__FILE__, __LINE__, what + ": " + why);
  };
  ForSome(blocks * blocks, 7, [&](uint64_t pair) {
    const uint64_t from = pair / blocks;
    const uint64_t to = pair % blocks;
    if (from == to) return;
    const std::string what = "blocks " + std::to_string(from) + " and " + std::to_string(to);
    Disks disks = Misdirected(subject, from, to);
    judge(disks, what + ", misdirected");
    disks[0]->WriteSectors(from * kBlockBytes, ReadBlock(subject.whole, to));
    if (from < to) judge(disks, what + ", swapped");
  });
  for (uint64_t block = 0; block < blocks; ++block) {
    Disks disks = CopyOf(subject.whole);
    disks[0]->WriteSectors(block * kBlockBytes, ReadBlock(subject.half, block));
    judge(disks, "block " + std::to_string(block) + ", as before");
  }
  Print("blocks", verdict);
  CHECK(verdict.corrupt_keys > 0);
}

CASE("damage: sectors of zeros and of noise are told") {
  const SmallExtents small;
  const Subject subject = MakeSubject(1, settings().seed + 2);
  Verdict verdict;
  ForSome(kUsedBytes / kSectorBytes * 2, 2, [&](uint64_t number) {
    std::vector<uint8_t> sector(kSectorBytes, 0);
    const std::string noise = MakeValue(number, kSectorBytes);
    if (number % 2 == 1) sector.assign(noise.begin(), noise.end());
    Disks disks = CopyOf(subject.whole);
    disks[0]->WriteSectors(number / 2 * kSectorBytes, sector);
    const std::string why = Judge(subject, disks, &verdict);
    if (!why.empty()) Failed(__FILE__, __LINE__, "sector " + std::to_string(number / 2) + ": " + why);
  });
  Print("sectors", verdict);
  CHECK(verdict.corrupt_keys > 0);
}

CASE("damage: a volume that was restored from an old copy is told by the watermark, or as damage (D18)") {
  const SmallExtents small;
  for (uint64_t seed = settings().seed; seed < settings().seed + 4; ++seed) {
    const Subject single = MakeSubject(1, seed);
    const std::string why = JudgeOldVolume(single);
    if (!why.empty()) Failed(__FILE__, __LINE__, why);
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
