// One volume's writer: gathers what is queued into one run, writes it, flushes it, and only then changes memory and
// reports (D5, D6). A state machine of two steps, driven by a thread or by the caller (D22); at most one run is on its
// way. It knows nothing of other volumes but the shared sequencer.
#ifndef PLOGDB_CORE_WRITER_H_
#define PLOGDB_CORE_WRITER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "batch_unit.h"
#include "block_device.h"
#include "completion_queue.h"
#include "extent_map.h"
#include "key_index.h"
#include "run_builder.h"
#include "sequencer.h"
#include "summary_writer.h"

namespace plogdb {

inline constexpr uint64_t kIdleMarkUs = 50'000;              // D17 asks for 100 ms at most
inline constexpr uint64_t kMaxRunBytes = uint64_t{4} << 20;  // a run gathers no more than this (one unit may be larger)
inline constexpr uint64_t kZeroFillBytes = 256 << 10;        // one step of the filler

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
};

// Enqueue, QueueBytes and stats: any thread. Everything else: one thread, the one that drives the writer.
class VolumeWriter {
 public:
  VolumeWriter(const WriterShared* shared, uint32_t volume, BlockDevice* device, const Geometry& geometry,
               ExtentMap* extents, WriterStart start);

  // False when the store has failed: the unit was not taken.
  bool Enqueue(BatchUnit unit);

  // Writes the run that covers what recovery found, and flushes it. A store without any room does without.
  Status WriteOpeningRun();

  // One step. False when there is nothing to do before *due_us (UINT64_MAX: before something is enqueued).
  bool Step(uint64_t* due_us);

  // Does all that is queued, and covers it with a mark, so that a clean end leaves nothing doubtful.
  void Finish();

  // Ends everything that is queued with `status`, and what comes later.
  void RefuseAll(StatusCode status);

  WriterStats stats() const;
  const Geometry& geometry() const { return geometry_; }

 private:
  enum class Phase : uint8_t { kIdle, kWritten, kFailed };

  uint64_t Now() const { return shared_->now_us(shared_->now_context); }
  uint64_t EmptyRunBytes(uint64_t directory_bytes) const { return RunHeadBytes(volumes_) + directory_bytes; }
  uint32_t Room() const;
  bool FitsInExtent(uint64_t stream_bytes, uint64_t directory_bytes, uint64_t summary_bytes) const;
  enum class Taken : uint8_t { kNothing, kUnits, kNeedsRoom };
  Taken TakeUnits();
  void ResolveOps();
  void ResolveOp(UnitOp* op, KeyState* state);
  bool StartUnits();
  Status OpenNextExtent();
  void WriteRun(RunKind kind);
  void WriteEmptyRun();
  void AppendRecords(uint64_t first_lsn);
  void FinishRun();
  void ApplyUnits();
  void EndUnits(StatusCode status);
  bool Idle(uint64_t* due_us);
  bool ZeroFill(bool idle);
  bool WriteSummary();
  void WriteSummariesInStep();
  void Fail(const Status& status);

  const WriterShared* const shared_;
  const uint32_t volume_;
  BlockDevice* const device_;
  const Geometry geometry_;
  ExtentMap* const extents_;
  const size_t volumes_;

  mutable std::mutex mutex_;  // guards queue_, refused_ and stats_
  std::deque<BatchUnit> queue_;
  bool refused_ = false;
  WriterStats stats_;

  // The driving thread's own.
  Phase phase_ = Phase::kIdle;
  std::vector<BatchUnit> units_;  // of the run on its way
  RunBuilder builder_;
  RunMark run_;  // on its way
  FoundRun run_found_;  // the same, as the extent's summary tells it
  RunKind run_kind_ = RunKind::kData;
  uint32_t run_records_ = 0;
  uint64_t run_started_us_ = 0;
  std::vector<uint8_t> run_directory_;  // becomes directory_ when the run is durable
  uint32_t run_directory_entries_ = 0;
  std::unordered_map<std::string_view, KeyState> run_keys_;

  uint32_t extent_;
  uint32_t next_block_;
  uint64_t life_;
  bool fresh_extent_ = false;  // the next run is the extent's first: its id is the life
  uint32_t announced_;
  bool announced_durable_;
  std::vector<uint8_t> directory_;
  uint32_t directory_entries_;
  bool directory_complete_;
  const bool keep_first_extent_;
  SummaryWriter summaries_;
  uint64_t summary_allowance_ = 0;  // bytes of parts that may be written between runs
  bool mark_wanted_ = false;
  uint64_t last_run_us_ = 0;
  std::vector<bool> untouched_;
  uint64_t fill_offset_ = 0;
  AlignedBuffer zeros_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_WRITER_H_
