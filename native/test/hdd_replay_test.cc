// Goal: the replay of recorded I/O charges a peer what a disk would, no more and no less. Method: small traces whose
// cost in turns of the platter is known.
#include "hdd_replay.h"

#include <vector>

#include "format.h"
#include "harness.h"

namespace plogdb::test {
namespace {

using bench::HddOptions;
using bench::ReplayCall;
using bench::ReplayCalls;
using bench::ReplayResult;

constexpr uint64_t kTimes = 200;

double TurnsEach(const ReplayResult& result) {
  return static_cast<double>(result.ns) / static_cast<double>(kTimes) / 8'333'333.0;
}

// Puts that append 200 bytes to a log that was there before, and flush it.
std::vector<ReplayCall> AppendedLog(uint64_t size_before) {
  std::vector<ReplayCall> calls = {{'i', 1, size_before, 0}, {'b'}};
  for (uint64_t i = 0; i < kTimes; ++i) {
    calls.push_back({'w', 1, i * 200, 200});
    calls.push_back({'s', 1});
  }
  calls.push_back({'e', kTimes});
  return calls;
}

}  // namespace

CASE("replay: a flushed append costs one turn of the platter and the block it lies in") {
  const ReplayResult result = ReplayCalls({}, AppendedLog(1 << 20));
  CHECK(result.puts == kTimes);
  CHECK(TurnsEach(result) > 0.95 && TurnsEach(result) < 1.05);
  const uint64_t bytes = result.after.bytes_written - result.before.bytes_written;
  CHECK(bytes >= kTimes * kBlockBytes && bytes <= kTimes * kBlockBytes * 11 / 10);
  CHECK(result.after.flushes - result.before.flushes == kTimes);
}

CASE("replay: the journal costs a file that grows, and none that keeps its size") {
  HddOptions options;
  options.journal = true;
  const ReplayResult kept = ReplayCalls(options, AppendedLog(1 << 20));
  CHECK(TurnsEach(kept) < 1.05);
  const ReplayResult grown = ReplayCalls(options, AppendedLog(0));
  CHECK(TurnsEach(grown) > 2);
  CHECK(grown.after.flushes - grown.before.flushes == 2 * kTimes);
  CHECK(grown.after.bytes_written - grown.before.bytes_written >= kTimes * 4 * kBlockBytes);
}

CASE("replay: what was written twice before a flush is written once, neighbours in one access") {
  std::vector<ReplayCall> calls = {{'b'}};
  for (const uint64_t page : {9, 3, 4, 3, 5, 4}) calls.push_back({'w', 1, page * kBlockBytes, kBlockBytes});
  calls.push_back({'s', 1});
  calls.push_back({'e', 1});
  const ReplayResult result = ReplayCalls({}, calls);
  CHECK(result.after.bytes_written == 4 * kBlockBytes);
  CHECK(result.after.accesses == 2);
}

CASE("replay: what was not flushed costs nothing, and a write to a file opened with O_DSYNC a flush") {
  const std::vector<ReplayCall> unflushed = {{'b'}, {'w', 1, 0, 1 << 20}, {'w', 2, 0, 100}, {'e', 1}};
  CHECK(ReplayCalls({}, unflushed).ns == 0);
  const std::vector<ReplayCall> direct = {{'b'}, {'w', 1, 0, 1 << 20}, {'d', 2, 0, 100}, {'e', 1}};
  const ReplayResult result = ReplayCalls({}, direct);
  CHECK(result.after.bytes_written == kBlockBytes && result.after.flushes == 1);
}

CASE("replay: what went before the mark is done and not counted") {
  const std::vector<ReplayCall> calls = {{'w', 1, 0, 1 << 20}, {'s', 1}, {'b'}, {'w', 1, 0, 100}, {'s', 1}, {'e', 1}};
  const ReplayResult result = ReplayCalls({}, calls);
  CHECK(result.after.bytes_written - result.before.bytes_written == kBlockBytes);
  CHECK(result.before.bytes_written == 1 << 20);
}

}  // namespace plogdb::test
