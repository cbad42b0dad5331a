// The table: see canaries.h.
#include "canaries.h"

#include <cstdio>
#include <iterator>
#include <string>
#include <utility>

#include "corruption.h"
#include "crash.h"
#include "extent_map.h"
#include "failure.h"

namespace plogdb::test {
namespace {

// The kinds in turn: some canaries show in one kind only.
bool CaughtByCrashes(uint64_t number, uint64_t seed) {
  CrashOptions options;
  options.images_per_epoch = 6;
  const Load load = kRandomLoads[number % std::size(kRandomLoads)];
  return !ExploreLoad(load, seed + 1'000 + number, options).violations.empty();
}

// A workload is one damaged store. The subject is made by a sound engine: what is hunted is how damage is read.
std::string JudgeDamaged(Disks (*damage)(const Subject&, uint64_t), uint64_t number, uint64_t seed) {
  const SmallExtents small;
  const Canary canary = std::exchange(g_canary, Canary::kNone);
  const Subject subject = MakeSubject(1, seed);
  g_canary = canary;
  Verdict verdict;
  return Judge(subject, damage(subject, number), &verdict);
}

bool CaughtByFlips(uint64_t number, uint64_t seed) {
  const auto flip = [](const Subject& subject, uint64_t n) {
    return Flipped(subject, kBlockBytes + n * 3'911 % (kUsedBytes - kBlockBytes));
  };
  return !JudgeDamaged(flip, number, seed).empty();
}

// A block that has strayed to a free place must be no block there.
bool CaughtByStrays(uint64_t number, uint64_t seed) {
  const SmallExtents small;
  const Canary canary = std::exchange(g_canary, Canary::kNone);
  const Subject subject = MakeSubject(1, seed);
  const auto fixture = MakeFixture(subject.script, subject.whole);
  const bool opened = fixture->Open().ok();
  g_canary = canary;
  const uint32_t from = static_cast<uint32_t>(1 + number % 20);
  const uint32_t to = static_cast<uint32_t>(3 * kSmallExtent / kBlockBytes + 1);
  const Disks disks = Misdirected(subject, from, to);
  return opened && ReadBlockHeader(ReadBlock(disks, to), fixture->report.storage_id, 0, to).has_value();
}

bool CaughtByFailures(FaultKind kind, uint64_t number, uint64_t seed, bool lasting) {
  const SmallExtents small;
  Fault fault{kind, 1 + number, lasting, 0, 0};
  return !TellStory(MakeStory(1, seed), &fault, seed + number).empty();
}
bool CaughtByFlushFailures(uint64_t number, uint64_t seed) {
  return CaughtByFailures(FaultKind::kFlush, number, seed, false);
}
bool CaughtByReadFailures(uint64_t number, uint64_t seed) {
  return CaughtByFailures(FaultKind::kRead, number, seed, true);
}

bool CaughtByOldVolumes(uint64_t number, uint64_t seed) {
  const SmallExtents small;
  return !JudgeOldVolume(MakeSubject(1, seed + number)).empty();
}

// In stepped mode a read never spans a step of the writer, so the map alone is asked.
bool CaughtByPins(uint64_t, uint64_t) {
  const Geometry geometry = MakeGeometry(uint64_t{8} << 20);
  ExtentMap map(geometry);
  const uint32_t extent = map.Announce();
  map.Open(extent);
  const uint32_t block = geometry.first_data_block(extent);
  map.AddLive(block, 100);
  map.PinForRead(block);
  map.Seal(extent);
  map.ReleaseLive(block, 100);
  return map.Totals().freed != 0;
}

constexpr Hunt kHunts[] = {
    {Canary::kCompleteBeforeFlush, "complete_before_flush", CaughtByCrashes, 40},
    {Canary::kTailBlockRewritten, "tail_block_rewritten", CaughtByCrashes, 40},
    {Canary::kBlockIdNotChecked, "block_id_not_checked", CaughtByCrashes, 40},
    {Canary::kIncompleteRunAccepted, "incomplete_run_accepted", CaughtByCrashes, 40},
    {Canary::kRecoveryByPlace, "recovery_by_place", CaughtByCrashes, 40},
    {Canary::kMarkerDroppedEarly, "marker_dropped_early", CaughtByCrashes, 40},
    {Canary::kAnnouncementSkipped, "announcement_skipped", CaughtByCrashes, 40},
    {Canary::kMergeOverwritesNewer, "merge_overwrites_newer", CaughtByCrashes, 60},
    {Canary::kFreeCountedTwice, "free_counted_twice", CaughtByCrashes, 40},
    {Canary::kMarkIgnored, "mark_ignored", CaughtByFlips, 100},
    {Canary::kAddressNotChecked, "address_not_checked", CaughtByStrays, 20},
    {Canary::kFlushRetried, "flush_retried", CaughtByFlushFailures, 60},
    {Canary::kCorruptReadAsAbsent, "corrupt_read_as_absent", CaughtByReadFailures, 200},
    {Canary::kWatermarkStuck, "watermark_stuck", CaughtByOldVolumes, 4},
    {Canary::kFreedWhileRead, "freed_while_read", CaughtByPins, 1},
};

}  // namespace

std::span<const Hunt> Hunts() { return kHunts; }

uint64_t WorkloadsToKill(const Hunt& hunt, uint64_t seed) {
  uint64_t killed = 0;
  for (uint64_t number = 0; number < hunt.most && killed == 0; ++number) {
    g_canary = hunt.canary;
    if (hunt.caught(number, seed)) killed = number + 1;
    g_canary = Canary::kNone;
  }
  return killed;
}

int PrintCanaries(uint64_t seed) {
  bool all = true;
  const char* separator = "{";
  for (const Hunt& hunt : Hunts()) {
    const uint64_t workloads = WorkloadsToKill(hunt, seed);
    const std::string value = workloads == 0 ? "null" : std::to_string(workloads);
    std::printf("%s\"%s\":%s", separator, hunt.name, value.c_str());
    separator = ",";
    all &= workloads > 0;
  }
  std::printf("}\n");
  return all ? 0 : 1;
}

}  // namespace plogdb::test
