// One volume's writer: gathers what is queued into one run, writes it, flushes it, and only then changes memory and
// reports (D5, D6). Records that merge copies forward ride in the same runs, behind the callers' own (D11). A state
// machine of small steps, driven by a thread or by the caller (D22). One run is on its way at a time; a second one is
// composed meanwhile when enough waits. It knows nothing of other volumes but the shared sequencer.
#ifndef PLOGDB_CORE_WRITER_H_
#define PLOGDB_CORE_WRITER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "batch_unit.h"
#include "block_device.h"
#include "completion_queue.h"
#include "doorbell.h"
#include "extent_map.h"
#include "io_lane.h"
#include "key_index.h"
#include "run_builder.h"
#include "run_keys.h"
#include "sequencer.h"
#include "summary_writer.h"

namespace plogdb {

inline constexpr uint64_t kIdleMarkUs = 50'000;              // D17 asks for 100 ms at most
inline constexpr uint64_t kMaxRunBytes = uint64_t{4} << 20;  // a run gathers no more than this (one unit may be larger)
inline constexpr uint64_t kZeroFillBytes = 256 << 10;        // one step of the filler
inline constexpr uint64_t kRideBytes = 256 << 10;            // of merge's copies in a run with callers' records
inline constexpr uint64_t kMergeRunBytes = uint64_t{1} << 20;  // of merge's copies in a run of their own
inline constexpr uint64_t kLaneBytes = uint64_t{1} << 20;    // runs of at least this are worth another thread
inline constexpr uint64_t kNextRunBytes = uint64_t{1} << 20;   // and this is worth a run while one is on the lane

// Where a volume's writing goes on; found by recovery.
struct WriterStart {
  size_t volumes = 1;           // of the store
  uint32_t extent = kNoExtent;  // the open extent; kNoExtent: the next run opens `announced`
  uint32_t next_block = 0;
  uint64_t life = 0;
  uint32_t announced = kNoExtent;  // by a durable run; or the store's very first extent
  std::vector<uint8_t> directory;  // of the volume's newest durable run
  uint32_t directory_entries = 0;
  bool directory_complete = true;
  bool keep_first_extent = false;  // the opening run is the only witness of a loss: its extent is never freed
  SummaryStart summaries;
  std::vector<bool> untouched;     // by extent: nothing was ever written there
};

struct WriterStats {
  uint64_t flushes = 0;
  uint64_t runs = 0;
  uint64_t mark_runs = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t flush_us = 0;
  uint64_t copied_records = 0;  // by merge
  uint64_t copied_bytes = 0;
  uint64_t caller_bytes = 0;  // of runs with callers' records, copies apart
  uint64_t zero_filled_bytes = 0;
  uint64_t summary_bytes = 0;
};

// What all volumes share. Outlives the writers.
struct WriterShared {
  StoreId store_id;
  Durability durability = Durability::kFlush;
  KeyIndex* index = nullptr;
  Sequencer* sequencer = nullptr;
  CompletionQueue* completions = nullptr;
  uint64_t (*now_us)(void*) = nullptr;
  void* now_context = nullptr;
  void (*fail)(void* context, const std::string& why) = nullptr;  // the store becomes FAILED (D8)
  void* fail_context = nullptr;
  // Something was queued for this volume's writer by somebody else than callers.
  void (*wake)(void* context, uint32_t volume) = nullptr;
  void* wake_context = nullptr;
  // A run ended: copies may have been taken, and, with `room`, room may have come or gone. Any thread; must be quick.
  void (*after_run)(void* context, bool room) = nullptr;
  void* after_run_context = nullptr;
};

RecordFields FieldsOf(const BatchUnit& unit, const UnitOp& op);

// Enqueue, EnqueueCopies, copies_waiting, SetUrgent and stats: any thread. Everything else: one thread, the one that
// drives the writer.
class VolumeWriter {
 public:
  VolumeWriter(const WriterShared* shared, uint32_t volume, BlockDevice* device, const Geometry& geometry,
               ExtentMap* extents, WriterStart start);

  // From now on large runs are written by a thread of their own, so that the next one is composed meanwhile. `bell` wakes
  // the thread that drives the writer.
  void UseLane(Doorbell* bell) { lane_ = std::make_unique<IoLane>(device_, bell); }

  // False when the store has failed: the unit was not taken.
  bool Enqueue(BatchUnit unit);

  // Merge's copies. They ride with callers' records, or make a run when no caller came for a while. False as above.
  bool EnqueueCopies(BatchUnit unit);
  // Bytes of copies that are not durable yet.
  uint64_t copies_waiting() const { return copies_waiting_.load(std::memory_order_acquire); }
  // Callers wait for what merge frees: copies wait for nobody.
  void SetUrgent(bool urgent) {
    if (urgent_.exchange(urgent, std::memory_order_relaxed) != urgent && urgent) Wake();
  }

  // Writes the run that covers what recovery found, and flushes it. A store without any room does without.
  Status WriteOpeningRun();

  // One step. False when there is nothing to do before *due_us (UINT64_MAX: before something is enqueued, or the lane's
  // run ended).
  bool Step(uint64_t* due_us);

  // Does all that is queued, and covers it with a mark, so that a clean end leaves nothing doubtful.
  void Finish();

  // Ends everything that is queued with `status`, and what comes later.
  void RefuseAll(StatusCode status);

  WriterStats stats() const;
  const Geometry& geometry() const { return geometry_; }

 private:
  enum class Phase : uint8_t { kIdle, kWritten, kOnLane, kFailed };
  enum class Taken : uint8_t { kNothing, kUnits, kNeedsRoom, kHeld };

  // A run from its composition until it is durable.
  struct Run {
    RunBuilder builder;
    std::vector<BatchUnit> units;
    RunKeys keys;
    uint32_t records = 0;
    uint32_t lsns = 0;  // records that are no copies
    uint64_t copied_records = 0;
    uint64_t copied_bytes = 0;
    FoundRun found;  // as the extent's summary tells it
    uint64_t summary_bytes = 0;  // at most
    uint64_t life = 0;
    bool first_of_life = false;
    uint32_t room_after = 0;
    uint64_t directory_bytes_after = 0;
    std::span<const uint8_t> bytes;
    uint64_t offset = 0;
    uint64_t started_us = 0;
  };

  void Wake() const {
    if (shared_->wake != nullptr) shared_->wake(shared_->wake_context, volume_);
  }
  uint64_t Now() const { return shared_->now_us(shared_->now_context); }
  uint64_t EmptyRunBytes(uint64_t directory_bytes) const { return RunHeadBytes(volumes_) + directory_bytes; }
  uint32_t Room() const;
  // What is gathered into a run, in the worst case.
  struct Size {
    uint64_t stream = 0;
    uint64_t directory = 0;
    uint64_t summary = 0;
  };
  bool FitsInExtent(const Size& size) const;

  Taken TakeUnits(Run* run);
  bool TakeFrom(std::deque<BatchUnit>* queue, uint64_t max_bytes, Size* size, Run* run);
  bool CopiesMayGo() const;
  bool Waits(uint64_t bytes) const;
  bool ComposeAhead(uint64_t worth_bytes);
  bool PostAhead();
  bool StartUnits(Run* run);

  // writer_resolve.cc: what of each operation reaches the disk.
  void ResolveOps(Run* run);
  void ResolveOp(UnitOp* op, KeyState* state, Run* run);
  void ResolveMergeOp(BatchUnit* unit, UnitOp* op, Run* run);
  KeyState* StateFor(const BatchUnit& unit, const UnitOp& op, Run* run);

  Status OpenNextExtent();
  void Compose(RunKind kind, Run* run);
  void Write(Run* run);
  void Post(Run* run);
  void WriteEmptyRun();
  void AppendRecords(uint64_t first_lsn, Run* run);
  void FinishRun();
  void CountRun(const Run& run, uint64_t now);
  // writer_apply.cc: memory and callers learn of a durable run.
  void ApplyUnits(Run* run);
  void ApplyOp(BatchUnit* unit, UnitOp* op);
  void ApplyCopy(const BatchUnit& unit, const UnitOp& op);
  void Released(RecordPlace place, uint64_t bytes);
  void EndUnits(Run* run, StatusCode status);
  bool Idle(uint64_t* due_us);
  bool ZeroFillWanted() const;
  bool ZeroFill(bool idle);
  bool WriteSummary();
  void WriteSummariesInStep(const Run& run);
  void Fail(const Status& status);

  const WriterShared* const shared_;
  const uint32_t volume_;
  BlockDevice* const device_;
  const Geometry geometry_;
  ExtentMap* const extents_;
  const size_t volumes_;

  mutable std::mutex mutex_;  // guards queue_, copies_, queued_bytes_, refused_ and stats_
  std::deque<BatchUnit> queue_;
  std::deque<BatchUnit> copies_;
  uint64_t queued_bytes_ = 0;
  bool refused_ = false;
  WriterStats stats_;
  // Release when taken away, so that who reads it sees what the copies changed.
  std::atomic<uint64_t> copies_waiting_{0};
  std::atomic<bool> urgent_{false};  // relaxed: a hint

  // The driving thread's own.
  Phase phase_ = Phase::kIdle;
  std::unique_ptr<IoLane> lane_;
  std::array<Run, 2> runs_;
  Run* run_ = &runs_[0];    // on its way, or the next one
  Run* ahead_ = &runs_[1];  // composed while that is on its way
  bool has_ahead_ = false;
  bool room_changed_ = false;
  uint64_t died_records_ = 0;  // of callers, in the run that is applied
  uint64_t died_bytes_ = 0;
  uint32_t runs_without_copies_ = 0;  // while some wait
  std::vector<LiveChange> released_;

  uint32_t extent_;
  uint32_t next_block_;
  uint64_t life_;
  bool fresh_extent_ = false;  // the next run is the extent's first: its id is the life
  uint32_t announced_;
  bool announced_durable_;
  RunMark last_mark_;              // of the newest run that was composed in this life of the store
  std::vector<uint8_t> directory_;  // of that run
  std::vector<uint8_t> next_directory_;
  uint32_t directory_entries_;
  bool directory_complete_;
  const bool keep_first_extent_;
  SummaryWriter summaries_;
  uint64_t composed_summary_bytes_ = 0;  // of runs that are not durable yet
  uint64_t summary_allowance_ = 0;  // bytes of parts that may be written between runs
  bool mark_wanted_ = false;
  uint64_t last_run_us_ = 0;
  uint64_t last_caller_us_ = 0;
  std::vector<bool> untouched_;
  uint64_t fill_offset_ = 0;
  AlignedBuffer zeros_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_WRITER_H_
