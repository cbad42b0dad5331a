// The writer's steps: compose; write; flush, apply and report. What a run holds is decided in writer_resolve.cc; how it
// lies in memory, in run_builder.cc; what a durable run changes, in writer_apply.cc; what is written between runs, in
// writer_upkeep.cc.
#include "writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "assert.h"
#include "canary.h"

namespace plogdb {
namespace {

// How long merge's copies wait for callers' records to ride with, in flushes and at the least and most.
constexpr uint64_t kHoldFlushes = 4;
constexpr uint64_t kMinHoldUs = 2'000;
constexpr uint64_t kMaxHoldUs = 50'000;
// Copies that ride with few records of callers, by the time that a flush takes anyway: a put waits for their composition.
constexpr uint64_t kRideBytesPerFlushUs = 50;
constexpr uint64_t kMinRideBytes = 16 << 10;
constexpr uint64_t kMaxMinRideBytes = 64 << 10;
constexpr uint32_t kMaxRunsWithoutCopies = 16;

}  // namespace

VolumeWriter::VolumeWriter(const WriterShared* shared, uint32_t volume, BlockDevice* device, const Geometry& geometry,
                           ExtentMap* extents, WriterStart start)
    : shared_(shared),
      volume_(volume),
      device_(device),
      geometry_(geometry),
      extents_(extents),
      volumes_(start.volumes),
      extent_(start.extent),
      next_block_(start.next_block),
      life_(start.life),
      announced_(start.announced),
      announced_durable_(start.announced != kNoExtent),
      directory_(std::move(start.directory)),
      directory_entries_(start.directory_entries),
      directory_complete_(start.directory_complete),
      keep_first_extent_(start.keep_first_extent),
      summaries_(&shared->store_id, volume, device, geometry, extents, std::move(start.summaries)),
      untouched_(std::move(start.untouched)) {}

bool VolumeWriter::Enqueue(BatchUnit unit) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (refused_) return false;
  queued_bytes_ += unit.record_bytes;
  queue_.push_back(std::move(unit));
  return true;
}

bool VolumeWriter::EnqueueCopies(BatchUnit unit) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (refused_) return false;
    copies_waiting_.fetch_add(unit.record_bytes, std::memory_order_relaxed);
    copies_.push_back(std::move(unit));
  }
  Wake();
  return true;
}

void VolumeWriter::Finish() {
  uint64_t due = 0;
  for (;;) {
    const bool queued = [this] {
      const std::lock_guard<std::mutex> lock(mutex_);
      return !queue_.empty();
    }();
    if (!queued && !has_ahead_ && phase_ != Phase::kWritten && phase_ != Phase::kOnLane) break;
    if (Step(&due)) continue;
    if (phase_ != Phase::kOnLane) break;
    lane_->Wait();
  }
  while (phase_ == Phase::kIdle && WriteSummary()) {
  }
  if (phase_ != Phase::kIdle || !mark_wanted_) return;
  WriteEmptyRun();
  if (phase_ == Phase::kWritten) FinishRun();
}

// A mark, or a seal where no mark fits any more.
void VolumeWriter::WriteEmptyRun() {
  run_->records = 0;
  run_->lsns = 0;
  const bool fits = FitsInExtent({EmptyRunBytes(directory_.size()), 0, 0});
  Compose(fits ? RunKind::kMark : RunKind::kSeal, run_);
  Write(run_);
}

WriterStats VolumeWriter::stats() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void VolumeWriter::RefuseAll(StatusCode status) {
  std::deque<BatchUnit> refused;
  std::deque<BatchUnit> copies;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    refused_ = true;
    queued_bytes_ = 0;
    refused.swap(queue_);
    copies.swap(copies_);
  }
  for (const BatchUnit& unit : copies) {
    extents_->Unreserve(unit.need);
    copies_waiting_.fetch_sub(unit.record_bytes, std::memory_order_release);
  }
  std::vector<std::shared_ptr<BatchState>> batches;
  for (BatchUnit& unit : refused) batches.push_back(std::move(unit.batch));
  shared_->completions->EndParts(batches, status);
}

uint32_t VolumeWriter::Room() const { return extent_ == kNoExtent ? 0 : geometry_.end_block(extent_) - next_block_; }

// A run fits when a seal with its directory still fits behind it, and the extent's summary behind that.
bool VolumeWriter::FitsInExtent(const Size& size) const {
  const uint32_t seal = BlocksForStream(EmptyRunBytes(size.directory));
  return BlocksForStream(size.stream) + seal + summaries_.blocks(composed_summary_bytes_ + size.summary) <= Room();
}

// Moves units from `queue` into the run until it has about `max_bytes`. False: the next one wants another extent.
bool VolumeWriter::TakeFrom(std::deque<BatchUnit>* queue, uint64_t max_bytes, Size* size, Run* run) {
  while (!queue->empty()) {
    BatchUnit& unit = queue->front();
    if (unit.writes) {
      const Size more{size->stream + unit.record_bytes, size->directory + unit.directory_bytes,
                      size->summary + unit.summary_bytes};
      if (!FitsInExtent(more)) return false;
      const bool first = size->directory == 0;
      if (!first && (more.stream > max_bytes || more.directory > geometry_.extent_bytes / 8)) return true;
      *size = more;
    }
    run->units.push_back(std::move(unit));
    queue->pop_front();
  }
  return true;
}

bool VolumeWriter::CopiesMayGo() const {
  if (urgent_.load(std::memory_order_relaxed)) return true;
  const uint64_t hold = std::clamp(kHoldFlushes * stats_.flush_us, kMinHoldUs, kMaxHoldUs);
  return last_caller_us_ == 0 || Now() >= last_caller_us_ + hold;
}

VolumeWriter::Taken VolumeWriter::TakeUnits(Run* run) {
  PLOGDB_ASSERT(run->units.empty(), "D6");
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t empty_bytes = EmptyRunBytes(directory_.size());
  Size size{empty_bytes, 0, 0};
  const bool fits = TakeFrom(&queue_, kMaxRunBytes, &size, run);
  if (run->units.empty() && !fits) return Taken::kNeedsRoom;
  const bool callers = !run->units.empty();
  if (callers) {
    const bool writes = std::any_of(run->units.begin(), run->units.end(), [](const BatchUnit& it) { return it.writes; });
    if (writes) last_caller_us_ = Now();
    queued_bytes_ = 0;
    for (const BatchUnit& unit : queue_) queued_bytes_ += unit.record_bytes;
  }
  if (copies_.empty()) return callers ? Taken::kUnits : Taken::kNothing;
  if (!callers && !CopiesMayGo()) return Taken::kHeld;
  // As many as a nearly full store needs for what its callers write, no more unless these wait for what merge frees.
  const bool urgent = urgent_.load(std::memory_order_relaxed);
  const uint64_t least = std::clamp(kRideBytesPerFlushUs * stats_.flush_us, kMinRideBytes, kMaxMinRideBytes);
  const uint64_t ride = std::clamp(4 * (size.stream - empty_bytes), least, kRideBytes);
  uint64_t most = callers && !urgent ? size.stream + ride : std::max(size.stream, kMergeRunBytes);
  // A large one must come some day, too.
  if (++runs_without_copies_ > kMaxRunsWithoutCopies) most = std::max(most, size.stream + copies_.front().record_bytes);
  const size_t waiting = copies_.size();
  const bool copies_fit = TakeFrom(&copies_, most, &size, run);
  if (copies_.size() < waiting) runs_without_copies_ = 0;
  if (!run->units.empty()) return Taken::kUnits;
  return copies_fit ? Taken::kNothing : Taken::kNeedsRoom;
}

bool VolumeWriter::Waits(uint64_t bytes) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return queued_bytes_ >= bytes;
}

// The next extent was announced by a durable run, so that recovery takes whatever it holds for dead (D17).
Status VolumeWriter::OpenNextExtent() {
  if (announced_ == kNoExtent || !announced_durable_) {
    return Status(StatusCode::kFailed, "no free extent although room was promised (D12)");
  }
  extents_->Open(announced_);
  extent_ = announced_;
  next_block_ = geometry_.first_data_block(extent_);
  fresh_extent_ = true;
  fill_offset_ = 0;
  announced_ = kNoExtent;
  announced_durable_ = false;
  return Status::Ok();
}

void VolumeWriter::AppendRecords(uint64_t first_lsn, Run* run) {
  uint64_t lsn = first_lsn;
  for (BatchUnit& unit : run->units) {
    for (UnitOp& op : unit.ops) {
      if (!op.written) continue;
      if (op.erased_in_run != 0) op.erased_below = first_lsn + op.erased_in_run - 1;
      if (op.kind != UnitOpKind::kCopy) op.lsn = lsn++;
      const auto key = unit.KeyOf(op);
      const EncodedRecordHead head = EncodeRecordHead(FieldsOf(unit, op), key.size(), op.value.size(), op.payload_crc);
      op.head_bytes = static_cast<uint32_t>(head.size);
      op.place = run->builder.Append(head, key, op.value.bytes());
      AppendDirectoryEntry({op.record, op.lsn, op.position, op.floor, op.erased_below, AsText(key)}, &next_directory_);
      if (op.kind == UnitOpKind::kPut || op.kind == UnitOpKind::kDrop) continue;
      ++run->copied_records;
      run->copied_bytes += RecordBytes(op.head_bytes, op.key_bytes, op.value.size());
    }
  }
  // Whoever composes the next run meanwhile must see LSNs, not places in this one.
  run->keys.ForEach([first_lsn](KeyState* state) {
    if (state->erased_in_run != 0) state->erased_below = first_lsn + state->erased_in_run - 1;
    state->erased_in_run = 0;
  });
}

// Lays the run out from its units (none for marks and seals), behind the one before it.
void VolumeWriter::Compose(RunKind kind, Run* run) {
  if (announced_ == kNoExtent) {
    announced_ = extents_->Announce();
    announced_durable_ = CanaryOn(Canary::kAnnouncementSkipped) && announced_ != kNoExtent;
  }
  uint64_t stream = EmptyRunBytes(directory_.size());
  run->summary_bytes = 0;
  for (const BatchUnit& unit : run->units) {
    run->summary_bytes += unit.summary_bytes;
    for (const UnitOp& op : unit.ops) {
      if (!op.written) continue;
      RecordFields fields = FieldsOf(unit, op);
      if (op.erased_in_run != 0) fields.erased_below = 1;  // some LSN
      stream += RecordBytes(RecordHeadBytes(fields), op.key_bytes, op.value.size());
    }
  }
  const uint32_t blocks = BlocksForStream(stream);
  PLOGDB_ASSERT(blocks <= Room(), "D3");
  composed_summary_bytes_ += run->summary_bytes;
  run->copied_records = 0;
  run->copied_bytes = 0;
  RunTicket ticket = shared_->sequencer->Begin(volume_, blocks, run->lsns);
  // The run before it is durable when this one is written, though perhaps not yet.
  if (last_mark_.first_id != 0) ticket.marks[volume_] = last_mark_;
  run->first_of_life = std::exchange(fresh_extent_, false);
  if (run->first_of_life) life_ = ticket.first_id;
  run->life = life_;
  const RunMark mark = {ticket.first_id, next_block_, static_cast<uint16_t>(blocks),
                        static_cast<uint16_t>(run->records > 0 ? 1 : 0)};
  RunHead head{};
  head.kind = static_cast<uint8_t>(kind);
  head.directory_entries = directory_entries_;
  head.directory_complete = directory_complete_ ? 1 : 0;
  head.announced = CanaryOn(Canary::kAnnouncementSkipped) ? kNoExtent : announced_;
  run->found = {mark, kind, head.announced, ticket.watermark, ticket.marks};
  run->builder.Begin(head, ticket, directory_, stream, run->records, next_block_);
  next_directory_.clear();
  AppendRecords(ticket.first_lsn, run);
  run->bytes = run->builder.Finish(shared_->store_id, volume_, life_);
  const bool stepped_back = CanaryOn(Canary::kTailBlockRewritten) && next_block_ > geometry_.first_data_block(extent_);
  run->offset = uint64_t{next_block_ - (stepped_back ? 1 : 0)} * kBlockBytes;
  last_mark_ = mark;
  next_block_ = mark.end();
  std::swap(directory_, next_directory_);
  directory_entries_ = run->records;
  directory_complete_ = true;
  run->room_after = Room();
  run->directory_bytes_after = directory_.size();
}

void VolumeWriter::Write(Run* run) {
  const bool large = run->found.kind == RunKind::kData && run->bytes.size() >= kLaneBytes;
  if (lane_ != nullptr && large) return Post(run);
  run->started_us = Now();
  const Status status = device_->Write(run->offset, run->bytes);
  if (!status.ok()) return Fail(status);
  phase_ = Phase::kWritten;
  if (CanaryOn(Canary::kCompleteBeforeFlush)) EndUnits(run, StatusCode::kOk);
}

void VolumeWriter::Post(Run* run) {
  run->started_us = Now();
  lane_->Post(run->offset, run->bytes, shared_->durability == Durability::kFlush);
  phase_ = Phase::kOnLane;
}

// The disk goes on at once with the run that was composed meanwhile, unless something else must be written between them.
bool VolumeWriter::PostAhead() {
  if (phase_ != Phase::kOnLane || !has_ahead_ || ahead_->records == 0 || summaries_.waiting() || ZeroFillWanted()) return false;
  has_ahead_ = false;
  std::swap(run_, ahead_);
  Post(run_);
  return true;
}

// D5, D6: memory and callers learn of a run when it is durable, not before.
void VolumeWriter::FinishRun() {
  Run* run = run_;
  Status status;
  if (phase_ == Phase::kOnLane) {
    status = lane_->TakeResult();
  } else if (shared_->durability == Durability::kFlush) {
    status = device_->Flush();
    if (!status.ok() && CanaryOn(Canary::kFlushRetried)) status = device_->Flush();
  }
  if (!status.ok()) return Fail(status);
  if (run->found.announced == announced_ || CanaryOn(Canary::kAnnouncementSkipped)) announced_durable_ = announced_ != kNoExtent;
  const uint64_t now = Now();
  const bool posted = PostAhead();
  last_run_us_ = now;
  mark_wanted_ = run->records > 0;
  const uint32_t extent = geometry_.extent_of(run->found.mark.block);
  if (run->first_of_life) extents_->SetLife(extent, run->life, run->found.watermark);
  summaries_.AddRun(run->found, run->life);
  composed_summary_bytes_ -= run->summary_bytes;
  if (run->found.kind == RunKind::kSeal) {
    extents_->Seal(extent);
    untouched_[extent] = false;  // also where filling could not keep up; what its end was left empty by is paid for once
    extent_ = kNoExtent;
    run->room_after = 0;
  }
  CountRun(*run, now);
  ApplyUnits(run);
  // What is composed already was promised, and is subtracted when it is durable.
  extents_->SetRoom(run->room_after - std::min(run->room_after, summaries_.blocks()), run->directory_bytes_after);
  shared_->sequencer->Durable(volume_, run->found.mark);
  if (!posted) phase_ = Phase::kIdle;
  EndUnits(run, StatusCode::kOk);
  if (phase_ == Phase::kIdle) WriteSummariesInStep(*run);
  if (phase_ == Phase::kIdle) ZeroFill(false);
  // A short store may have become so by this run, with nobody waiting who would wake merge.
  const bool changed = std::exchange(room_changed_, false);
  const bool room = run->first_of_life || changed || extents_->IsShort();
  if (shared_->after_run != nullptr) shared_->after_run(shared_->after_run_context, room);
}

void VolumeWriter::CountRun(const Run& run, uint64_t now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (shared_->durability == Durability::kFlush) ++stats_.flushes;
  ++stats_.runs;
  if (run.records == 0) ++stats_.mark_runs;
  stats_.records += run.records;
  stats_.bytes += uint64_t{run.found.mark.blocks} * kBlockBytes;
  stats_.copied_records += run.copied_records;
  stats_.copied_bytes += run.copied_bytes;
  const uint64_t bytes = uint64_t{run.found.mark.blocks} * kBlockBytes;
  if (run.records > run.copied_records) stats_.caller_bytes += bytes - std::min(bytes, run.copied_bytes);
  const uint64_t took = now - run.started_us;
  stats_.flush_us = stats_.flush_us == 0 ? took : (stats_.flush_us * 15 + took) / 16;
}

void VolumeWriter::Fail(const Status& status) {
  phase_ = Phase::kFailed;
  shared_->fail(shared_->fail_context, status.message());
  EndUnits(run_, StatusCode::kFailed);
  if (std::exchange(has_ahead_, false)) EndUnits(ahead_, StatusCode::kFailed);
  if (shared_->after_run != nullptr) shared_->after_run(shared_->after_run_context, true);
}

// Composed, or taken for marks alone: a run for what is written, or no I/O at all.
bool VolumeWriter::StartUnits(Run* run) {
  if (run->records > 0) {
    Write(run);
    return true;
  }
  ApplyUnits(run);
  EndUnits(run, StatusCode::kOk);
  if (shared_->after_run != nullptr) shared_->after_run(shared_->after_run_context, true);
  return true;
}

// While one run is on its way the next one is composed, if enough waits for it.
bool VolumeWriter::ComposeAhead(uint64_t worth_bytes) {
  if (has_ahead_ || run_->found.kind == RunKind::kSeal || extent_ == kNoExtent || !Waits(worth_bytes)) return false;
  if (TakeUnits(ahead_) != Taken::kUnits) return false;
  has_ahead_ = true;
  ResolveOps(ahead_);
  if (ahead_->records > 0) Compose(RunKind::kData, ahead_);
  return true;
}

bool VolumeWriter::Step(uint64_t* due_us) {
  *due_us = UINT64_MAX;
  if (phase_ == Phase::kFailed) return false;
  // As large as half of the one before: where a flush is dear, runs stay large.
  if (phase_ == Phase::kOnLane && ComposeAhead(std::max<uint64_t>(kNextRunBytes, run_->bytes.size() / 2))) return true;
  if (phase_ == Phase::kOnLane && lane_->busy()) return false;
  if (phase_ != Phase::kIdle) {
    if (phase_ == Phase::kWritten && ComposeAhead(kMaxRunBytes)) return true;
    FinishRun();
    return true;
  }
  if (std::exchange(has_ahead_, false)) {
    std::swap(run_, ahead_);
    return StartUnits(run_);
  }
  switch (TakeUnits(run_)) {
    case Taken::kUnits:
      ResolveOps(run_);
      if (run_->records > 0) Compose(RunKind::kData, run_);
      return StartUnits(run_);
    case Taken::kNothing:
      return Idle(due_us);
    case Taken::kHeld: {
      const bool worked = Idle(due_us);
      *due_us = std::min(*due_us, Now() + kMinHoldUs / 2);
      return worked;
    }
    case Taken::kNeedsRoom:
      break;
  }
  run_->records = 0;
  run_->lsns = 0;
  if (extent_ != kNoExtent) {
    Compose(RunKind::kSeal, run_);
    Write(run_);
    return true;
  }
  const Status status = OpenNextExtent();
  if (!status.ok()) Fail(status);
  return true;
}

Status VolumeWriter::WriteOpeningRun() {
  if (extent_ == kNoExtent && announced_ != kNoExtent) {
    while (ZeroFill(true)) {
    }
    if (phase_ != Phase::kFailed) {
      const Status status = OpenNextExtent();
      if (!status.ok()) return status;
    }
  }
  if (extent_ == kNoExtent && phase_ != Phase::kFailed) return Status::Ok();  // full: nothing can be written
  if (phase_ == Phase::kIdle) WriteEmptyRun();
  if (phase_ == Phase::kWritten) FinishRun();
  if (keep_first_extent_ && extent_ != kNoExtent) extents_->Keep(extent_);
  if (phase_ == Phase::kFailed) return Status(StatusCode::kIoError, "the first write failed");
  return Status::Ok();
}

}  // namespace plogdb
