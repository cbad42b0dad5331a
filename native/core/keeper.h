// What goes on behind callers' backs: merge and scrub of every volume, on one thread or by the caller's steps (D22). It
// holds no state of the store but the schedule: when what may run, by the options, the hours and the limits.
#ifndef PLOGDB_CORE_KEEPER_H_
#define PLOGDB_CORE_KEEPER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "merger.h"
#include "reader.h"
#include "scrubber.h"

namespace plogdb {

struct KeeperTotals {
  MergeStats merge;
  ScrubStats scrub;
  uint64_t merge_rate = 0;        // bytes per second, read and copied, of late
  uint64_t live_growth_rate = 0;  // bytes per second, of late
};

struct KeeperVolume {
  BlockDevice* device = nullptr;
  ExtentMap* extents = nullptr;
  VolumeWriter* writer = nullptr;
};

// Start, Stop: the store's owner. Kick, SetMerge, SetScrub, SetWaiting, Totals: any thread. Step: the caller in stepped
// mode.
class Keeper {
 public:
  struct Clock {
    uint64_t (*now_us)(void*) = nullptr;
    void* context = nullptr;
    uint32_t (*local_hour)(void*) = nullptr;
    void* hour_context = nullptr;
  };
  // Batches wait, and merge has nothing to do: called by whoever drives it.
  struct Idle {
    void (*call)(void*) = nullptr;
    void* context = nullptr;
  };

  Keeper(const StoreId& store_id, std::vector<KeeperVolume> volumes, KeyIndex* index, Reader* reader,
         const Clock& clock, const Idle& idle);
  ~Keeper() { Stop(); }

  void Start();
  void Stop();

  void SetMerge(const MergeOptions& options);
  void SetScrub(const ScrubOptions& options);
  // Batches wait for room in some volume.
  void SetWaiting(bool waiting);
  // Something changed: a run ended, room came or went.
  void Kick();
  // Merge goes on when copies of its are durable.
  bool awaits_copies() const { return awaits_copies_.load(std::memory_order_relaxed); }

  // One step of everything. False when there is nothing to do before *due_us.
  bool Step(uint64_t* due_us);

  KeeperTotals Totals() const;

 private:
  struct Volume {
    KeeperVolume parts;
    std::unique_ptr<Merger> merger;
    std::unique_ptr<Scrubber> scrubber;
  };

  void Loop();
  void TakeOptions(uint64_t now_us);
  bool MergeAllowed() const;
  void Examine(uint32_t volume, uint32_t extent);
  void Sample(uint64_t now_us);

  const Clock clock_;
  const Idle idle_;
  std::vector<Volume> volumes_;
  KeyIndex* const index_;
  Reader* const reader_;

  // Relaxed: a hint, kept current by who knows.
  std::atomic<bool> waiting_{false};
  std::atomic<bool> awaits_copies_{false};

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  MergeOptions merge_;
  ScrubOptions scrub_;
  bool changed_ = true;
  bool kicked_ = false;
  bool stop_ = false;
  KeeperTotals totals_;
  std::thread thread_;

  // The driving thread's own.
  MergeOptions merge_now_;
  uint64_t sampled_us_ = 0;
  uint64_t sampled_work_ = 0;
  uint64_t sampled_live_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEEPER_H_
