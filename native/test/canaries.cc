// The table: see canaries.h.
#include "canaries.h"

#include <cstdio>
#include <iterator>

#include "crash.h"

namespace plogdb::test {
namespace {

// The kinds in turn: some canaries show in one kind only.
bool CaughtByCrashes(uint64_t number, uint64_t seed) {
  CrashOptions options;
  options.images_per_epoch = 6;
  return !ExploreLoad(kRandomLoads[number % std::size(kRandomLoads)], seed + 1'000 + number, options).violations.empty();
}

constexpr Hunt kHunts[] = {
    {Canary::kCompleteBeforeFlush, "complete_before_flush", CaughtByCrashes, 40},
    {Canary::kTailBlockRewritten, "tail_block_rewritten", CaughtByCrashes, 40},
    {Canary::kBlockIdNotChecked, "block_id_not_checked", CaughtByCrashes, 40},
    {Canary::kIncompleteRunAccepted, "incomplete_run_accepted", CaughtByCrashes, 40},
    {Canary::kRecoveryByPlace, "recovery_by_place", CaughtByCrashes, 40},
    {Canary::kMarkerDroppedEarly, "marker_dropped_early", CaughtByCrashes, 40},
    {Canary::kAnnouncementSkipped, "announcement_skipped", CaughtByCrashes, 40},
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
