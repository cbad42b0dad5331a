// The crash explorer: workloads on the recorder, and the images that a power loss could have left at every flush, each
// opened, compared with the oracle, written on and opened again. The workloads are numbered: number and seed say all.
#ifndef PLOGDB_TEST_CRASH_H_
#define PLOGDB_TEST_CRASH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "script.h"

namespace plogdb::test {

struct CrashOptions {
  uint64_t seed = 1;
  size_t images_per_epoch = 12;             // more are thinned at random
  std::optional<uint64_t> only_image;       // judge this one alone
  uint64_t* image = nullptr;                // kept at the number of the image that is being judged
};

struct CrashOutcome {
  std::vector<std::string> violations;  // "image N: why"; exploring a workload ends with the first
  uint64_t images = 0;
  uint64_t nested_images = 0;  // of those: a crash in the opening that followed a crash
  uint64_t epochs = 0;
  uint64_t extents_freed = 0;
  uint64_t dropped_runs = 0;
  uint64_t records_copied = 0;

  void Add(const CrashOutcome& other);
};

// Numbers below kSequences are the sequences, the others random workloads of all kinds in turn.
CrashOutcome ExploreWorkload(uint64_t workload, const CrashOptions& options);
// A random workload of one kind, on small extents.
CrashOutcome ExploreLoad(Load load, uint64_t seed, const CrashOptions& options);

// Workloads first, first + stride, ... until `images` were judged.
CrashOutcome ExploreImages(uint64_t images, uint64_t first, uint64_t stride, const CrashOptions& options,
                           uint64_t* workload);

// What a thorough run of so many images looks at per epoch.
size_t ImagesPerEpoch(uint64_t images);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_CRASH_H_
