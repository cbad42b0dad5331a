// Level 6: the nth read, write, flush or allocation fails, for every n until none is left, once or for good (D8, D16).
// The suite tells two stories; `--all` tells forty.
#include <cstdio>
#include <string>

#include "corruption.h"
#include "failure.h"
#include "harness.h"

namespace plogdb::test {
namespace {

// Every n of one kind until the story ends before it. Returns how many failed.
uint64_t FailEvery(const Script& script, FaultKind kind, bool lasting) {
  uint64_t failed = 0;
  for (uint64_t nth = 1;; ++nth) {
    Fault fault{kind, nth, lasting, 0, 0};
    const std::string why = TellStory(script, &fault, settings().seed + nth);
    if (!why.empty()) {
      Failed(__FILE__, __LINE__, "kind " + std::to_string(static_cast<int>(kind)) + (lasting ? ", lasting" : ", once") +
                                     ", n " + std::to_string(nth) + ", " + std::to_string(script.volumes) +
                                     " volumes: " + why);
    }
    if (fault.hits == 0) return failed;
    ++failed;
  }
}

void FailAll(FaultKind kind, bool lasting) {
  const SmallExtents small;
  uint64_t failed = 0;
  const uint64_t stories = settings().all ? 40 : 2;
  for (uint64_t story = 0; story < stories; ++story) {
    failed += FailEvery(MakeStory(story, settings().seed), kind, lasting);
  }
  std::printf("     %llu failures\n", static_cast<unsigned long long>(failed));
  CHECK(failed > 0);
}

CASE("failure: every write that fails ends writing for good and loses nothing acknowledged (D8)") {
  FailAll(FaultKind::kWrite, false);
  FailAll(FaultKind::kWrite, true);
}
CASE("failure: every flush that fails ends writing for good and loses nothing acknowledged (D8)") {
  FailAll(FaultKind::kFlush, false);
  FailAll(FaultKind::kFlush, true);
}
CASE("failure: every read that fails once is of no consequence") { FailAll(FaultKind::kRead, false); }
CASE("failure: reads that fail for good are corrupt or told, and the store is whole when they come back (D16)") {
  FailAll(FaultKind::kRead, true);
}
CASE("failure: a volume that cannot be allocated is an error, and the next opening makes it (D9)") {
  FailAll(FaultKind::kAllocation, false);
}

}  // namespace
}  // namespace plogdb::test
