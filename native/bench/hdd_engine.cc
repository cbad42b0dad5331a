// The engine on the model, in stepped mode: one thread, one virtual clock, no luck. Two stores are measured. The aged
// one was overwritten until merge is in its stride: saturation by a closed loop of callers, then latency at half that
// rate with Poisson arrivals. The fresh one is as full but has free room for the whole run and merge paused: the
// latency to compare with. Callers answer within the turn of their completion, as they do over the binding; the
// engine's own CPU time is none.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "format.h"
#include "hdd.h"
#include "sim_device.h"
#include "store.h"

namespace plogdb::bench {
namespace {

constexpr uint64_t kFillBatch = 256;
constexpr uint64_t kAgeVolumes = 3;      // so many times the volume is overwritten before anything is measured
constexpr uint64_t kIdleStepNs = 500'000;  // nothing to do and nothing due: time must pass all the same
constexpr uint64_t kNsPerSecond = 1'000'000'000;

struct Latencies {
  std::vector<uint64_t> ns;
  double Quantile(double q) {
    if (ns.empty()) return 0;
    std::sort(ns.begin(), ns.end());
    const auto at = std::min(ns.size() - 1, static_cast<size_t>(q * static_cast<double>(ns.size())));
    return static_cast<double>(ns[at]) / 1e6;
  }
};

// A store on one simulated disk with the model below it.
class HddStore {
 public:
  HddStore(const HddOptions& options, bool merge) : options_(options), model_(options.disk), random_(options.seed) {
    auto disk = std::make_shared<SimDisk>(options.volume_bytes);
    const uint64_t extent = std::clamp(options.volume_bytes / 64, uint64_t{1} << 20, uint64_t{64} << 20);
    disk->SetModel(&model_,
                   DiskPlacement::Over(options.volume_bytes, extent, options.disk.disk_bytes, options.share));
    factory_.Put("disk", disk);
    StoreOptions store;
    store.volumes = {{"disk", options.volume_bytes}};
    store.node_id = "bench";
    store.stepped = true;
    store.seed = options.seed;
    store.cache_bytes = options.cache_bytes;
    store.device_factory = &factory_;
    store.merge.paused = !merge;
    store.now_us = [](void* context) { return static_cast<DiskModel*>(context)->now_ns() / 1000; };
    store.now_context = &model_;
    OpenReport report;
    status_ = Store::Open(store, &store_, &report);
    value_.resize(options.value_bytes);
  }

  const Status& status() const { return status_; }
  DiskModel& model() { return model_; }
  uint64_t keys() const { return keys_; }
  bool full() const { return full_; }
  StoreStats Stats() const {
    StoreStats stats;
    store_->Stats(&stats);
    return stats;
  }

  // New keys until the live bytes are the wanted share of the usable room.
  void Fill() {
    const StoreStats start = Stats();
    const double usable = static_cast<double>(start.bytes_usable > 0 ? start.bytes_usable : start.bytes_total);
    const auto wanted = static_cast<uint64_t>(options_.full * usable);
    while (!full_ && Stats().live_bytes < wanted) {
      SubmitNew();
      Settle();
    }
  }

  // Uniform overwrites of several volumes.
  void Age() {
    const uint64_t wanted = Stats().bytes_written + kAgeVolumes * options_.volume_bytes;
    while (!full_ && Stats().bytes_written < wanted) {
      Submit(kFillBatch);
      Settle();
    }
  }

  // Closed loop; returns puts done in `ns`.
  uint64_t ClosedLoop(uint64_t ns, Latencies* latencies) {
    const uint64_t end = model_.now_ns() + ns;
    latencies_ = latencies;
    done_ = 0;
    while (model_.now_ns() < end && !full_) {
      while (under_way() < options_.callers) Submit(1);
      StepOrWait(UINT64_MAX);
      Drain();
    }
    const uint64_t done = done_;
    Settle();
    latencies_ = nullptr;
    return done;
  }

  // Open loop: arrivals do not wait for completions.
  uint64_t OpenLoop(uint64_t ns, double puts_per_second, Latencies* latencies) {
    const uint64_t end = model_.now_ns() + ns;
    uint64_t arrival = model_.now_ns();
    latencies_ = latencies;
    done_ = 0;
    while (model_.now_ns() < end && !full_) {
      while (arrival <= model_.now_ns()) {
        Submit(1);
        started_.back() = arrival;
        const double share = static_cast<double>(random_.Next() >> 11) / 9007199254740992.0;
        arrival += static_cast<uint64_t>(-std::log(1.0 - share) * 1e9 / puts_per_second) + 1;
      }
      StepOrWait(arrival);
      Drain();
    }
    const uint64_t done = done_;
    Settle();
    latencies_ = nullptr;
    return done;
  }

 private:
  size_t under_way() const { return started_.size() - first_started_; }

  void SubmitNew() {
    std::vector<uint64_t> chosen(kFillBatch);
    for (uint64_t& key : chosen) key = keys_++;
    SubmitKeys(chosen);
  }

  void Submit(uint64_t count) {
    std::vector<uint64_t> chosen(count);
    for (uint64_t& key : chosen) key = random_.Below(keys_);
    SubmitKeys(chosen);
  }

  void SubmitKeys(const std::vector<uint64_t>& chosen) {
    static constexpr uint8_t kNoHeader[kHeaderBytes] = {};
    std::vector<std::string> names(chosen.size());
    std::vector<BatchOp> ops(chosen.size());
    for (uint8_t& byte : value_) byte = static_cast<uint8_t>(random_.Next());
    for (size_t i = 0; i < chosen.size(); ++i) {
      char text[24];
      std::snprintf(text, sizeof(text), "k%015llu", static_cast<unsigned long long>(chosen[i]));
      names[i] = text;
      ops[i] = {OpKind::kPut, AsBytes(names[i]), 0, 0, kNoHeader, value_};
    }
    started_.push_back(model_.now_ns());
    if (!store_->SubmitBatch(ops, ++token_).ok()) full_ = true;
  }

  void StepOrWait(uint64_t until_ns) {
    uint64_t due_us = UINT64_MAX;
    if (store_->Step(&due_us)) return;
    const uint64_t now = model_.now_ns();
    const uint64_t due = due_us == UINT64_MAX ? UINT64_MAX : due_us * 1000;
    model_.AdvanceTo(std::max(now, std::min({until_ns, due, now + kIdleStepNs})));
  }

  void Settle() {
    while (under_way() > 0) {
      StepOrWait(UINT64_MAX);
      Drain();
    }
  }

  void Drain() {
    completions_.clear();
    store_->DrainCompletions(&completions_);
    for (const Completion& completion : completions_) {
      if (completion.kind != CompletionKind::kBatch) continue;
      if (completion.status != StatusCode::kOk) full_ = true;
      if (latencies_ != nullptr) latencies_->ns.push_back(model_.now_ns() - started_[first_started_]);
      ++first_started_;  // in token order
      ++done_;
    }
    if (first_started_ > 4096 && first_started_ * 2 > started_.size()) {
      started_.erase(started_.begin(), started_.begin() + static_cast<std::ptrdiff_t>(first_started_));
      first_started_ = 0;
    }
  }

  const HddOptions& options_;
  DiskModel model_;
  SimDeviceFactory factory_;
  SimRandom random_;
  std::unique_ptr<Store> store_;
  Status status_ = Status::Ok();
  std::vector<uint8_t> value_;
  std::vector<Completion> completions_;
  std::vector<uint64_t> started_;  // of batches, from the oldest under way
  size_t first_started_ = 0;
  uint64_t token_ = 0;
  uint64_t keys_ = 0;
  uint64_t done_ = 0;
  bool full_ = false;  // a batch was refused: what follows is not what was to be measured
  Latencies* latencies_ = nullptr;
};

void TellLatencies(Latencies* latencies, JsonLine* line) {
  line->Number("p50Ms", latencies->Quantile(0.5));
  line->Number("p99Ms", latencies->Quantile(0.99));
  line->Number("p999Ms", latencies->Quantile(0.999));
  line->Number("maxMs", latencies->Quantile(1));
}

void TellStore(const StoreStats& before, const StoreStats& after, uint64_t puts, const HddStore& store,
               JsonLine* line) {
  const double each = puts == 0 ? 1 : static_cast<double>(puts);
  line->Count("keys", store.keys()).Flag("diskFull", store.full());
  line->Number("putsPerFlush", each / static_cast<double>(std::max<uint64_t>(1, after.flushes - before.flushes)));
  line->Number("copiesPerPut", static_cast<double>(after.merge_records_copied - before.merge_records_copied) / each);
  line->Count("mergedExtents", after.merge_extents - before.merge_extents);
  line->Count("stalls", after.stalls - before.stalls);
  line->Count("freeExtents", after.free_extents);
}

// One measured stretch: `rate` 0 = closed loop.
double Measure(const char* point, const char* state, HddStore* store, double rate, const HddOptions& options) {
  const StoreStats before = store->Stats();
  const DiskModelStats disk_before = store->model().stats();
  const uint64_t start = store->model().now_ns();
  Latencies latencies;
  const uint64_t ns = options.seconds * kNsPerSecond;
  const uint64_t puts = rate > 0 ? store->OpenLoop(ns, rate, &latencies) : store->ClosedLoop(ns, &latencies);
  const uint64_t took = store->model().now_ns() - start;
  JsonLine line;
  line.Text("point", point).Text("store", state).Flag("writeCache", options.disk.write_cache);
  if (rate > 0) line.Number("offeredPerSec", rate);
  TellDiskWork(disk_before, store->model().stats(), puts, took, &line);
  TellLatencies(&latencies, &line);
  TellStore(before, store->Stats(), puts, *store, &line);
  line.Print();
  return took == 0 ? 0 : static_cast<double>(puts) * 1e9 / static_cast<double>(took);
}

}  // namespace

int RunEngine(const HddOptions& options) {
  double saturation = 0;
  for (const bool aged : {true, false}) {
    HddStore store(options, aged);
    if (!store.status().ok()) {
      std::fprintf(stderr, "hdd: %s\n", store.status().message().c_str());
      return 1;
    }
    store.Fill();
    if (aged) store.Age();
    const char* state = aged ? "aged, merge on" : "fresh, merge paused";
    // The fresh store's free room goes to the latency; its saturation comes last, for comparison.
    if (aged) saturation = Measure("saturation", state, &store, 0, options);
    if (saturation > 0) Measure("latency", state, &store, saturation / 2, options);
    if (!aged) {
      const double fresh = Measure("saturation", state, &store, 0, options);
      if (saturation == 0) Measure("latency", state, &store, fresh / 2, options);
    }
  }
  return 0;
}

}  // namespace plogdb::bench
