// What a workload of the crash explorer does, written down before it is done: a numbered list that is the same for
// everybody who knows number and seed. First every sequence of one to three operations, then random longer ones.
#ifndef PLOGDB_TEST_SCRIPT_H_
#define PLOGDB_TEST_SCRIPT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fixture.h"

namespace plogdb::test {

inline constexpr uint64_t kOperations = 10;
inline constexpr uint64_t kSequences = 1 + kOperations * (1 + kOperations * (1 + kOperations));

enum class ActionKind : uint8_t {
  kSubmit,   // `batch`
  kStep,     // `count` times
  kStepAll,  // until nothing is left to do
  kAdvance,  // the clock, by `count` microseconds
  kReopen,   // closes and opens
  kMerge,    // may use `count` bytes a second; 0 = paused
  kScrub,    // the same
};

struct Action {
  ActionKind kind = ActionKind::kStep;
  uint64_t count = 0;
  std::vector<PutSpec> batch;
};

enum class Load : uint8_t { kSequence, kSmall, kReuse, kTwoVolumes, kNearlyFull };
inline constexpr Load kRandomLoads[] = {Load::kSmall, Load::kReuse, Load::kTwoVolumes, Load::kNearlyFull};
const char* LoadName(Load load);

struct Script {
  Load load = Load::kSequence;
  size_t volumes = 1;
  uint64_t extent_bytes = 0;
  uint64_t cache_bytes = 0;
  bool zero_fill = false;
  bool may_fill_up = false;  // batches may end as disk full
  // Every batch is small enough to be one unit per volume: then whole volumes, not only keys, show one batch's state.
  bool whole_batches = true;
  std::vector<std::string> keys;
  std::vector<Action> actions;
  size_t explore_from = 0;  // images of what the earlier actions wrote belong to a shorter sequence

  uint64_t volume_bytes() const { return 8 * extent_bytes; }
};

// Sequence number `index` below kSequences: index 0 is empty, then those of one operation, of two, of three.
Script MakeSequence(uint64_t index, uint64_t seed);
// Positions begin behind `reached`.
Script MakeRandomScript(Load load, uint64_t extent_bytes, uint64_t reached, uint64_t seed);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_SCRIPT_H_
