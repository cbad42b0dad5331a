// The store put together: opening, splitting batches into units, threads, and the FAILED state. What a run is, the
// writer knows; what a crash left, recovery knows.
#ifndef PLOGDB_CORE_STORE_IMPL_H_
#define PLOGDB_CORE_STORE_IMPL_H_

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "batch_unit.h"
#include "completion_queue.h"
#include "direct_device.h"
#include "doorbell.h"
#include "keeper.h"
#include "reader.h"
#include "recovery.h"
#include "store.h"
#include "superblock.h"
#include "writer.h"

namespace plogdb {

inline constexpr uint64_t kMaxBatchBytes = uint64_t{1} << 30;  // of one batch; more is too large

class StoreImpl : public Store {
 public:
  explicit StoreImpl(const StoreOptions& options);
  ~StoreImpl() override;

  Status OpenVolumes(OpenReport* report);

  Status SubmitBatch(std::span<const BatchOp> ops, uint64_t token) override;
  Status Read(std::span<const uint8_t> key, uint64_t position, uint64_t tag) override;
  size_t DrainCompletions(std::vector<Completion>* out) override { return completions_.Drain(out); }
  void Load(std::span<const uint8_t> key, LoadedKey* out) override { index_.Load(key, KeyHash(key), out); }
  NewestValue CopyNewest(std::span<const uint8_t> key, std::span<uint8_t> room) override {
    return index_.CopyNewest(key, KeyHash(key), room);
  }
  uint64_t Watermark() const override { return sequencer_->Watermark(); }
  void Stats(StoreStats* out) const override;
  bool IsFull() const override;
  bool IsShort() const override;
  void ForEachKey(KeyVisitor visit, void* context) const override;
  uint64_t Iterate(uint64_t cursor, uint64_t until, size_t limit, KeyVisitor visit, void* context) const override;
  Status Digests(uint32_t first, std::span<uint64_t> out) const override;
  void SetMerge(const MergeOptions& options) override;
  void SetScrub(const ScrubOptions& options) override;
  bool Step(uint64_t* due_us) override;
  void Close() override;

 private:
  friend class StoreProbe;  // the tests' eyes (native/test/store_probe.h)

  // Declared so that what is used outlives what uses it.
  struct Volume {
    std::string path;
    std::unique_ptr<BlockDevice> device;
    VolumeIdentity identity;
    Geometry geometry;
    std::unique_ptr<ExtentMap> extents;
    Doorbell bell;  // of the thread; the writer's lane rings it too
    std::unique_ptr<VolumeWriter> writer;
    std::atomic<bool> stop{false};  // sequentially consistent: set before the last ring
    std::thread thread;
  };
  // A batch cut into units.
  struct Split {
    std::vector<std::vector<BatchUnit>> units;  // per volume
    std::vector<SpaceNeed> need;                // per volume
  };
  // A batch that waits for merge to make room (D12).
  struct Stalled {
    Split split;
    std::shared_ptr<BatchState> batch;
  };

  Status OpenDevices();
  Status Identify(OpenReport* report);
  Status CheckIdentity(size_t volume, const Superblock& first) const;
  Status Format();
  Status CheckOptions() const;
  Status Recover(OpenReport* report);
  void Report(const RecoveryResult& recovered, OpenReport* report) const;

  StatusCode SplitBatch(std::span<const BatchOp> ops, Split* split) const;
  static void AddToUnit(const BatchOp& op, uint64_t hash, BatchUnit* unit);
  StatusCode GroupByKey(std::span<const BatchOp> ops, const std::vector<uint64_t>& hashes, uint32_t volume,
                        Split* split) const;
  bool ReserveAll(Split* split);
  void Queue(Split* split, const std::shared_ptr<BatchState>& batch);
  bool MayWait(const Split& split) const;
  void ServeStalled();
  void EndStalled(StatusCode code);
  void FinishStalled();
  static void AfterRun(void* context, bool room);
  static void WakeWriter(void* context, uint32_t volume) {
    auto* store = static_cast<StoreImpl*>(context);
    store->Kick(store->volumes_[volume].get());
  }
  static void OnMergeIdle(void* context) { static_cast<StoreImpl*>(context)->ServeStalled(); }
  static void AddWriterStats(const WriterStats& writer, StoreStats* out);
  static void AddSpaceStats(const Volume& volume, StoreStats* out);
  uint64_t MaxValueBytes(uint32_t volume) const;
  Status CheckOp(const BatchOp& op) const;

  static void OnFail(void* context, const std::string& why);
  void Kick(Volume* volume);
  void DriveWriter(Volume* volume);

  const StoreOptions options_;
  DirectDeviceFactory direct_;
  CompletionQueue completions_;
  KeyIndex index_;
  WriterShared shared_;
  std::unique_ptr<Sequencer> sequencer_;
  std::vector<std::unique_ptr<Volume>> volumes_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<Keeper> keeper_;
  // Sequentially consistent: read and written rarely, compared with nothing else.
  std::atomic<StoreState> state_{StoreState::kOpen};
  mutable std::mutex submit_mutex_;  // tokens and queues in the same order; guards the three below
  uint64_t last_token_ = 0;
  std::deque<Stalled> stalled_;
  uint64_t stalls_ = 0;
  std::atomic<bool> any_stalled_{false};  // changed under submit_mutex_; without it a hint
  std::atomic<bool> failed_{false};  // as state_, whether or not the store is being closed
  std::mutex close_mutex_;
  bool closed_ = false;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_STORE_IMPL_H_
