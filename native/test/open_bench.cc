// How long an opening takes (D17): fills a store with keys of 16 bytes and values of 120, closes it, and opens it again
// and again, by summaries and by a full scan, with O_DIRECT, so cold every time. Not a test.
// Usage: open_bench DIRECTORY [keys] [rounds] [MiB of the volume]
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "format.h"
#include "store.h"

namespace plogdb {
namespace {

constexpr size_t kValueBytes = 120;
constexpr uint64_t kBatch = 500;

std::string KeyOf(uint64_t i) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, uint64_t{i * 0x9e3779b97f4a7c15ull});
  return text;
}

double ProcessorMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

bool Fill(const StoreOptions& options, uint64_t keys) {
  std::unique_ptr<Store> store;
  OpenReport report;
  if (!Store::Open(options, &store, &report).ok()) return false;
  const std::vector<uint8_t> header(kHeaderBytes, 0);
  const std::vector<uint8_t> value(kValueBytes, 7);
  std::vector<Completion> done;
  uint64_t token = 0;
  for (uint64_t first = 0; first < keys; first += kBatch) {
    std::vector<std::string> names;
    std::vector<BatchOp> ops;
    for (uint64_t i = first; i < std::min(keys, first + kBatch); ++i) names.push_back(KeyOf(i));
    for (const std::string& name : names) ops.push_back({OpKind::kPut, AsBytes(name), 0, 0, header, value});
    if (!store->SubmitBatch(ops, ++token).ok()) return false;
    while (done.size() + 8 < token) {
      if (store->DrainCompletions(&done) == 0) usleep(50);
    }
  }
  while (done.size() < token) {
    if (store->DrainCompletions(&done) == 0) usleep(50);
  }
  return std::all_of(done.begin(), done.end(), [](const Completion& it) { return it.status == StatusCode::kOk; });
}

bool Measure(StoreOptions options, const char* name, uint64_t keys, int rounds) {
  std::vector<double> took;
  std::vector<double> computed;
  OpenReport report;
  for (int round = 0; round < rounds; ++round) {
    std::unique_ptr<Store> store;
    const double before = ProcessorMilliseconds();
    const bool opened = Store::Open(options, &store, &report).ok();
    computed.push_back(ProcessorMilliseconds() - before);
    if (!opened || report.recovered_keys != keys) return false;
    took.push_back(static_cast<double>(report.recovery_us) / 1000);
  }
  std::sort(took.begin(), took.end());
  std::sort(computed.begin(), computed.end());
  const double median = took[took.size() / 2];
  std::printf("%-32s %7.1f ms median %7.1f ms best %7.3f us per key %7.1f ms of processor, %" PRIu64 " summaries\n",
              name, median, took[0], median * 1000 / static_cast<double>(keys), computed[computed.size() / 2],
              report.summarized_extents);
  return true;
}

int Main(const std::string& directory, uint64_t keys, int rounds, uint64_t bytes) {
  const std::string path = directory + "/open_bench.plog";
  unlink(path.c_str());
  StoreOptions options;
  options.volumes = {{path, bytes}};
  options.node_id = "bench";
  bool ok = Fill(options, keys);
  StoreOptions scan = options;
  scan.force_scan = true;
  StoreOptions one = options;
  one.recovery_threads = 1;
  ok = ok && Measure(options, "opening by summaries", keys, rounds) &&
       Measure(one, "opening by summaries, 1 thread", keys, rounds) &&
       Measure(scan, "opening by a full scan", keys, rounds);
  unlink(path.c_str());
  if (!ok) std::fprintf(stderr, "failed\n");
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace plogdb

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: open_bench DIRECTORY [keys] [rounds]\n");
    return 2;
  }
  const uint64_t keys = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1'000'000;
  const uint64_t mib = count > 4 ? std::strtoull(arguments[4], nullptr, 10) : std::max(uint64_t{512}, keys * 512 >> 20);
  return plogdb::Main(arguments[1], keys, count > 3 ? std::atoi(arguments[3]) : 5, mib << 20);
}
