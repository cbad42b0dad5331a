// Batches that wait for merge, with the engine's own threads: found as hangs, because nobody woke a writer at rest for
// what merge had queued (a store filled with merge paused, left alone, and then written to).
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "sim_device.h"
#include "store.h"

namespace plogdb::test {
namespace {

// A threaded store on a simulated disk, nearly full, half of it dead, at rest.
struct Resting {
  SimDeviceFactory factory;
  std::unique_ptr<Store> store;
  uint64_t token = 0;

  bool Fill() {
    StoreOptions options;
    options.volumes = {{"disk0", uint64_t{16} << 20}};
    options.node_id = "n";
    options.device_factory = &factory;
    options.merge.paused = true;
    OpenReport report;
    if (!Store::Open(options, &store, &report).ok()) return false;
    // Every second key is written twice.
    for (int i = 0; i < 4'000 && !Hard(); ++i) {
      if (!Await(Submit("key" + std::to_string(i % 3 == 0 ? i : i / 3), 3'000))) return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(150));  // the idle mark is written: the writer sleeps
    return true;
  }
  bool Hard() {
    StoreStats stats;
    store->Stats(&stats);
    return stats.space_level != SpaceLevel::kPlenty && stats.free_extents <= 5;
  }
  uint64_t Submit(const std::string& key, size_t bytes) {
    const std::string value = MakeValue(token, bytes);
    static const std::vector<uint8_t> header(kHeaderBytes, 0);
    const BatchOp op{OpKind::kPut, AsBytes(key), 0, 0, header, AsBytes(value)};
    return store->SubmitBatch({&op, 1}, ++token).ok() ? token : 0;
  }
  // True when the batch ended as ok or disk-full within ten seconds.
  bool Await(uint64_t wanted) {
    for (int i = 0; i < 100'000; ++i) {
      std::vector<Completion> completions;
      store->DrainCompletions(&completions);
      for (const Completion& it : completions) {
        if (it.kind == CompletionKind::kBatch && it.token == wanted) {
          return it.status == StatusCode::kOk || it.status == StatusCode::kDiskFull;
        }
      }
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return false;
  }
};

CASE("threads: a batch that waits for room is served though the writer was at rest (D11, D12)") {
  Resting resting;
  REQUIRE(resting.Fill());
  for (int i = 0; i < 12; ++i) CHECK(resting.Await(resting.Submit("large" + std::to_string(i % 2), 240'000)));
}

CASE("threads: closing a store in which batches wait for room ends them all") {
  Resting resting;
  REQUIRE(resting.Fill());
  uint64_t last = 0;
  for (int i = 0; i < 12; ++i) last = resting.Submit("large" + std::to_string(i % 2), 240'000);
  resting.store->Close();
  CHECK(last != 0 && resting.Await(last));
}

}  // namespace
}  // namespace plogdb::test
