// Power loss at every write and flush of many random workloads (D3, D4, D5, D16, D17), and the canaries that this must
// catch. Replay one: run --seed S --workloads 1 "power loss"
#include <cstdio>
#include <string>

#include "canary.h"
#include "crash.h"
#include "harness.h"

namespace plogdb::test {
namespace {

Load LoadOf(uint64_t workload) {
  if (workload % 10 == 6) return Load::kManyRecords;
  if (workload % 5 == 3) return Load::kReuse;
  return workload % 5 == 4 ? Load::kTwoVolumes : Load::kSmall;
}

CASE("power loss: every acknowledged record is there, nothing older reappears, at every boundary") {
  CrashOutcome sum;
  for (uint64_t i = 0; i < settings().workloads; ++i) {
    const uint64_t seed = settings().seed + i;
    const CrashOutcome one = ExploreCrashes(seed, LoadOf(seed), LoadOf(seed) == Load::kSmall ? 2 : 1);
    sum.images += one.images;
    sum.boundaries += one.boundaries;
    sum.extents_freed += one.extents_freed;
    sum.dropped_runs += one.dropped_runs;
    sum.summaries_used += one.summaries_used;
    if (!one.failure.empty()) Failed(__FILE__, __LINE__, "seed " + std::to_string(seed) + ": " + one.failure);
  }
  std::printf(
      "     %llu workloads, %llu flush boundaries, %llu images, %llu unfinished runs dropped, %llu extents reused, "
      "%llu summaries used\n",
      static_cast<unsigned long long>(settings().workloads), static_cast<unsigned long long>(sum.boundaries),
      static_cast<unsigned long long>(sum.images), static_cast<unsigned long long>(sum.dropped_runs),
      static_cast<unsigned long long>(sum.extents_freed), static_cast<unsigned long long>(sum.summaries_used));
  CHECK(sum.dropped_runs > 0);
  if (settings().workloads >= 5) CHECK(sum.extents_freed > 0);
  if (settings().workloads >= 10) CHECK(sum.summaries_used > 0);
}

// Number of workloads until the canary is caught, or 0.
uint64_t WorkloadsToKill(Canary canary) {
  uint64_t killed = 0;
  for (uint64_t i = 0; i < 40 && killed == 0; ++i) {
    g_canary = canary;
    // Loads in turn, reuse early: some canaries show only there.
    const Load loads[] = {Load::kSmall, Load::kReuse, Load::kTwoVolumes};
    if (!ExploreCrashes(settings().seed + 1000 + i, loads[i % 3], 1).failure.empty()) killed = i + 1;
    g_canary = Canary::kNone;
  }
  return killed;
}

void MustDie(Canary canary, const char* name) {
  const uint64_t workloads = WorkloadsToKill(canary);
  std::printf("     %s: caught after %llu workloads\n", name, static_cast<unsigned long long>(workloads));
  if (workloads == 0) Failed(__FILE__, __LINE__, std::string("not caught: ") + name);
}

CASE("canary: a completion before the flush is caught") {
  MustDie(Canary::kCompleteBeforeFlush, "complete_before_flush");
}
CASE("canary: a rewritten tail block is caught") { MustDie(Canary::kTailBlockRewritten, "tail_block_rewritten"); }
CASE("canary: unchecked block ids are caught") { MustDie(Canary::kBlockIdNotChecked, "block_id_not_checked"); }
CASE("canary: an accepted incomplete run is caught") {
  MustDie(Canary::kIncompleteRunAccepted, "incomplete_run_accepted");
}
CASE("canary: recovery by place instead of LSN is caught") { MustDie(Canary::kRecoveryByPlace, "recovery_by_place"); }
CASE("canary: a deletion marker dropped early is caught") {
  MustDie(Canary::kMarkerDroppedEarly, "marker_dropped_early");
}
CASE("canary: an extent written over unannounced is caught") {
  MustDie(Canary::kAnnouncementSkipped, "announcement_skipped");
}

}  // namespace
}  // namespace plogdb::test
