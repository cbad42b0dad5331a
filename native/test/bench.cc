// Throughput of the engine against the disk below it, on the same file system, in one run: raw write + flush, then
// durable puts by one caller, by 64 callers, and in batches of 100, cached loads, recovery. Not a test. Usage: bench
// DIRECTORY [seconds]
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "align.h"
#include "direct_device.h"
#include "format.h"
#include "store.h"

namespace plogdb {
namespace {

double Seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

class Waiter {
 public:
  static void Wake(void* context) {
    auto* waiter = static_cast<Waiter*>(context);
    const std::lock_guard<std::mutex> lock(waiter->mutex_);
    waiter->woken_ = true;
    waiter->condition_.notify_one();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    condition_.wait(lock, [this] { return woken_; });
    woken_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool woken_ = false;
};

constexpr uint64_t kKeys = 100'000;
constexpr size_t kValueBytes = 120;

struct Bench {
  std::unique_ptr<Store> store;
  Waiter waiter;
  std::vector<Completion> completions;
  std::vector<uint64_t> position = std::vector<uint64_t>(kKeys, 0);
  uint64_t token = 0;
  uint64_t next_key = 0;

  // Keeps `callers` batches of `batch` puts under way. Returns puts per second.
  double Run(uint64_t callers, uint64_t batch, double seconds) {
    uint64_t ended = token;
    const uint64_t first = token;
    const double start = Seconds();
    while (Seconds() - start < seconds) {
      while (token - ended < callers) Submit(batch);
      waiter.Wait();
      completions.clear();
      ended += store->DrainCompletions(&completions);
    }
    while (ended < token) {
      waiter.Wait();
      completions.clear();
      ended += store->DrainCompletions(&completions);
    }
    return static_cast<double>((token - first) * batch) / (Seconds() - start);
  }

  void Submit(uint64_t batch) {
    static uint8_t header[kHeaderBytes] = {1};
    static uint8_t value[kValueBytes] = {2};
    std::vector<std::string> keys(batch);
    std::vector<BatchOp> ops(batch);
    for (uint64_t i = 0; i < batch; ++i) {
      const uint64_t k = next_key++ * 7919 % kKeys;
      char text[17];
      std::snprintf(text, sizeof(text), "key%013llu", static_cast<unsigned long long>(k));
      keys[i] = text;
      const uint64_t at = ++position[k];
      ops[i] = {OpKind::kPut, AsBytes(keys[i]), at, at - 1, header, value};
    }
    if (!store->SubmitBatch(ops, ++token).ok()) std::abort();
  }
};

double RawWrites(const std::string& path, double seconds) {
  DirectDeviceFactory factory;
  std::unique_ptr<BlockDevice> device;
  bool created = false;
  constexpr uint64_t kBytes = uint64_t{64} << 20;
  if (!factory.Open(path, kBytes, &device, &created).ok()) return 0;
  AlignedBuffer buffer;
  buffer.Reserve(1 << 20);
  std::memset(buffer.data(), 1, 1 << 20);
  for (uint64_t at = 0; at < kBytes; at += 1 << 20) {  // zero-filled ahead, as the store does
    if (!device->Write(at, buffer.first(1 << 20)).ok()) return 0;
  }
  if (!device->Flush().ok()) return 0;
  uint64_t writes = 0;
  const double start = Seconds();
  while (Seconds() - start < seconds) {
    const uint64_t offset = writes++ * kBlockBytes % kBytes;
    if (!device->Write(offset, buffer.first(kBlockBytes)).ok() || !device->Flush().ok()) return 0;
  }
  const double rate = static_cast<double>(writes) / (Seconds() - start);
  unlink(path.c_str());
  return rate;
}

int Main(const std::string& directory, double seconds) {
  const std::string path = directory + "/bench.plog";
  unlink(path.c_str());
  Bench bench;
  StoreOptions options;
  options.volumes = {{path, uint64_t{2} << 30}};
  options.node_id = "bench";
  options.wake = Waiter::Wake;
  options.wake_context = &bench.waiter;
  OpenReport report;
  Status status = Store::Open(options, &bench.store, &report);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }
  // In turns, because a shared disk changes its mind from second to second.
  constexpr int kTurns = 6;
  double raw = 0;
  double one = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    raw += RawWrites(directory + "/raw.plog", seconds / 2) / kTurns;
    one += bench.Run(1, 1, seconds / 2) / kTurns;
  }
  StoreStats before;
  bench.store->Stats(&before);
  const uint64_t first_token = bench.token;
  const double many = bench.Run(64, 1, seconds);
  StoreStats after;
  bench.store->Stats(&after);
  const double user = static_cast<double>(bench.token - first_token) * (16 + kValueBytes);
  const double amplification = static_cast<double>(after.bytes_written - before.bytes_written) / user;
  const double per_flush =
      static_cast<double>(bench.token - first_token) / static_cast<double>(after.flushes - before.flushes);
  const double batches = bench.Run(1, 100, seconds);
  LoadedKey loaded;
  uint64_t loads = 0;
  const double start = Seconds();
  for (; Seconds() - start < seconds / 2; ++loads) {
    bench.store->Load(AsBytes("key0000000000017"), &loaded);
  }
  const double load_rate = static_cast<double>(loads) / (Seconds() - start);
  bench.store.reset();
  status = Store::Open(options, &bench.store, &report);
  std::printf("raw write + flush        %9.0f /s\n", raw);
  std::printf("durable puts, 1 caller   %9.0f /s  %.2f of raw\n", one, one / raw);
  std::printf("durable puts, 64 callers %9.0f /s  %.1f per flush, %.2f device bytes per user byte\n", many, per_flush,
              amplification);
  std::printf("durable batches of 100   %9.0f puts/s\n", batches);
  std::printf("cached loads             %9.0f /s\n", load_rate);
  std::printf("opening                  %9.1f ms, %llu keys\n", static_cast<double>(report.recovery_us) / 1000,
              static_cast<unsigned long long>(report.recovered_keys));
  bench.store.reset();
  unlink(path.c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace plogdb

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: bench DIRECTORY [seconds]\n");
    return 2;
  }
  return plogdb::Main(arguments[1], count > 2 ? std::atof(arguments[2]) : 2);
}
