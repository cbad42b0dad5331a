// The crash explorer: random workloads on the recorder, and every kind of image that a power loss could have left at
// every write and flush, opened and compared with the oracle.
#ifndef PLOGDB_TEST_CRASH_H_
#define PLOGDB_TEST_CRASH_H_

#include <cstdint>
#include <string>

namespace plogdb::test {

// kManyRecords: extents are sealed often, with summaries of several blocks.
enum class Load : uint8_t { kSmall, kReuse, kTwoVolumes, kManyRecords };

struct CrashOutcome {
  std::string failure;  // empty: all images were right
  uint64_t images = 0;
  uint64_t boundaries = 0;
  uint64_t extents_freed = 0;
  uint64_t dropped_runs = 0;
  uint64_t summaries_used = 0;
};

// A workload from `seed` and all its images; with kSmall then the same again from one of the images, `rounds` times in
// all.
CrashOutcome ExploreCrashes(uint64_t seed, Load load, int rounds);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_CRASH_H_
