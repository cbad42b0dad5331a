// Level 4: power loss at every flush of many workloads (D3, D4, D5, D16, D17). One is replayed by `sh
// native/test/tool.sh crash --seed S --workload W --image I`; longer runs are made by the same tool.
#include <cstdio>
#include <string>

#include "crash.h"
#include "harness.h"

namespace plogdb::test {
namespace {

CASE("power loss: every acknowledged record is there, nothing older reappears, at every flush") {
  CrashOptions options;
  options.seed = settings().seed;
  options.images_per_epoch = ImagesPerEpoch(settings().images);
  uint64_t workloads = 0;
  const CrashOutcome sum = ExploreImages(settings().images, 0, 1, options, &workloads);
  for (const std::string& violation : sum.violations) Failed(__FILE__, __LINE__, violation);
  const auto print = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("     %llu workloads, %llu epochs, %llu images, %llu of them in openings, %llu unfinished runs dropped, "
              "%llu extents reused, %llu records merged\n",
              print(workloads), print(sum.epochs), print(sum.images), print(sum.nested_images),
              print(sum.dropped_runs), print(sum.extents_freed), print(sum.records_copied));
  CHECK(sum.dropped_runs > 0 && sum.nested_images > 0);
  if (workloads > kSequences + 8) CHECK(sum.extents_freed > 0);
}

}  // namespace
}  // namespace plogdb::test
