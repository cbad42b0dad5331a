// The writer's two steps: compose and write; flush, apply and report. What a run holds is decided here; how it lies in
// memory, in run_builder.cc.
#include "writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "assert.h"
#include "canary.h"

namespace plogdb {

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
  queue_.push_back(std::move(unit));
  return true;
}

void VolumeWriter::Finish() {
  uint64_t due = 0;
  for (;;) {
    const bool queued = [this] {
      const std::lock_guard<std::mutex> lock(mutex_);
      return !queue_.empty();
    }();
    if (!queued && phase_ != Phase::kWritten) break;
    if (!Step(&due)) break;
  }
  while (phase_ == Phase::kIdle && WriteSummary()) {
  }
  if (phase_ != Phase::kIdle || !mark_wanted_) return;
  WriteEmptyRun();
  if (phase_ == Phase::kWritten) FinishRun();
}

// A mark, or a seal where no mark fits any more.
void VolumeWriter::WriteEmptyRun() {
  run_records_ = 0;
  WriteRun(FitsInExtent(EmptyRunBytes(directory_.size()), 0, 0) ? RunKind::kMark : RunKind::kSeal);
}

WriterStats VolumeWriter::stats() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void VolumeWriter::RefuseAll(StatusCode status) {
  std::deque<BatchUnit> refused;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    refused_ = true;
    refused.swap(queue_);
  }
  std::vector<std::shared_ptr<BatchState>> batches;
  for (BatchUnit& unit : refused) batches.push_back(std::move(unit.batch));
  shared_->completions->EndParts(batches, status);
}

uint32_t VolumeWriter::Room() const { return extent_ == kNoExtent ? 0 : geometry_.end_block(extent_) - next_block_; }

// A run fits when a seal with its directory still fits behind it, and the extent's summary behind that.
bool VolumeWriter::FitsInExtent(uint64_t stream_bytes, uint64_t directory_bytes, uint64_t summary_bytes) const {
  const uint32_t seal = BlocksForStream(EmptyRunBytes(directory_bytes));
  return BlocksForStream(stream_bytes) + seal + summaries_.blocks(summary_bytes) <= Room();
}

VolumeWriter::Taken VolumeWriter::TakeUnits() {
  PLOGDB_ASSERT(units_.empty(), "D6");
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t stream = EmptyRunBytes(directory_.size());
  uint64_t directory = 0;
  uint64_t summary = 0;
  while (!queue_.empty()) {
    BatchUnit& unit = queue_.front();
    if (unit.writes) {
      const uint64_t more_stream = stream + unit.record_bytes;
      const uint64_t more_directory = directory + unit.directory_bytes;
      const uint64_t more_summary = summary + unit.summary_bytes;
      const bool first = directory == 0;
      if (!FitsInExtent(more_stream, more_directory, more_summary)) {
        if (units_.empty()) return Taken::kNeedsRoom;
        break;
      }
      if (!first && (more_stream > kMaxRunBytes || more_directory > geometry_.extent_bytes / 8)) break;
      stream = more_stream;
      directory = more_directory;
      summary = more_summary;
    }
    units_.push_back(std::move(unit));
    queue_.pop_front();
  }
  return units_.empty() ? Taken::kNothing : Taken::kUnits;
}

// Decides what of an operation reaches the disk. Floors never fall (D5) and erasures never shrink (D13), whatever the
// order in which they were asked for.
void VolumeWriter::ResolveOp(UnitOp* op, KeyState* state) {
  if (op->kind == OpKind::kDrop) {
    op->written = state->present && !state->marker_only;
    if (!op->written) return;
    *state = KeyState{true, 0, 0, true, 0};
    state->erased_in_run = ++run_records_;
    return;
  }
  op->floor = std::max(op->floor, state->floor);
  op->written = op->position >= op->floor;
  if (!op->written) return;
  op->erased_below = state->erased_below;
  op->erased_in_run = state->erased_in_run;
  ++run_records_;
  state->present = true;
  state->marker_only = false;
  state->floor = op->floor;
}

void VolumeWriter::ResolveOps() {
  run_records_ = 0;
  run_keys_.clear();
  const bool alone = units_.size() == 1 && units_[0].ops.size() == 1;
  for (BatchUnit& unit : units_) {
    for (UnitOp& op : unit.ops) {
      if (op.kind == OpKind::kMark) continue;
      const auto key = unit.KeyOf(op);
      if (alone) {
        KeyState state = shared_->index->StateOf(key, op.hash);
        ResolveOp(&op, &state);
        continue;
      }
      const auto [found, added] = run_keys_.try_emplace(AsText(key));
      if (added) found->second = shared_->index->StateOf(key, op.hash);
      ResolveOp(&op, &found->second);
    }
  }
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

namespace {

RecordFields FieldsOf(const UnitOp& op) {
  const RecordKind kind = op.kind == OpKind::kDrop ? RecordKind::kDrop : RecordKind::kPut;
  return {kind, op.lsn, op.position, op.floor, op.erased_below, op.header};
}

}  // namespace

void VolumeWriter::AppendRecords(uint64_t first_lsn) {
  uint64_t lsn = first_lsn;
  for (BatchUnit& unit : units_) {
    for (UnitOp& op : unit.ops) {
      if (!op.written) continue;
      if (op.erased_in_run != 0) op.erased_below = first_lsn + op.erased_in_run - 1;
      op.lsn = lsn++;
      const auto key = unit.KeyOf(op);
      op.payload_crc = PayloadCrc(key, op.value.bytes());
      const RecordFields fields = FieldsOf(op);
      const EncodedRecordHead head = EncodeRecordHead(fields, key.size(), op.value.size(), op.payload_crc);
      op.head_bytes = static_cast<uint32_t>(head.size);
      op.place = builder_.Append(head, key, op.value.bytes());
      AppendDirectoryEntry({fields.kind, op.lsn, op.position, op.floor, op.erased_below, AsText(key)}, &run_directory_);
      ++run_directory_entries_;
    }
  }
}

// Composes the run from units_ (none for marks and seals) and writes it.
void VolumeWriter::WriteRun(RunKind kind) {
  if (announced_ == kNoExtent) {
    announced_ = extents_->Announce();
    announced_durable_ = CanaryOn(Canary::kAnnouncementSkipped) && announced_ != kNoExtent;
  }
  uint64_t stream = EmptyRunBytes(directory_.size());
  for (const BatchUnit& unit : units_) {
    for (const UnitOp& op : unit.ops) {
      if (!op.written) continue;
      RecordFields fields = FieldsOf(op);
      if (op.erased_in_run != 0) fields.erased_below = 1;  // some LSN
      stream += RecordBytes(RecordHeadBytes(fields), op.key_bytes, op.value.size());
    }
  }
  const uint32_t blocks = BlocksForStream(stream);
  PLOGDB_ASSERT(blocks <= Room(), "D3");
  run_kind_ = kind;
  run_directory_.clear();
  run_directory_entries_ = 0;
  run_started_us_ = Now();
  const RunTicket ticket = shared_->sequencer->Begin(volume_, blocks, run_records_);
  if (std::exchange(fresh_extent_, false)) {
    life_ = ticket.first_id;
    extents_->SetLife(extent_, life_, ticket.watermark);
  }
  run_ = {ticket.first_id, next_block_, static_cast<uint16_t>(blocks), static_cast<uint16_t>(run_records_ > 0 ? 1 : 0)};
  RunHead head{};
  head.kind = static_cast<uint8_t>(kind);
  head.directory_entries = directory_entries_;
  head.directory_complete = directory_complete_ ? 1 : 0;
  head.announced = CanaryOn(Canary::kAnnouncementSkipped) ? kNoExtent : announced_;
  run_found_ = {run_, kind, head.announced, ticket.watermark, ticket.marks};
  builder_.Begin(head, ticket, directory_, stream, run_records_, next_block_);
  AppendRecords(ticket.first_lsn);
  const auto run = builder_.Finish(shared_->store_id, volume_, life_);
  const bool stepped_back = CanaryOn(Canary::kTailBlockRewritten) && next_block_ > geometry_.first_data_block(extent_);
  const uint64_t offset = uint64_t{next_block_ - (stepped_back ? 1 : 0)} * kBlockBytes;
  const Status status = device_->Write(offset, run);
  if (!status.ok()) return Fail(status);
  phase_ = Phase::kWritten;
  if (CanaryOn(Canary::kCompleteBeforeFlush)) EndUnits(StatusCode::kOk);
}

// D5, D6: memory and callers learn of a run when it is durable, not before.
void VolumeWriter::FinishRun() {
  if (shared_->durability == Durability::kFlush) {
    Status status = device_->Flush();
    if (!status.ok() && CanaryOn(Canary::kFlushRetried)) status = device_->Flush();
    if (!status.ok()) return Fail(status);
  }
  next_block_ = run_.end();
  announced_durable_ = announced_ != kNoExtent;
  std::swap(directory_, run_directory_);
  directory_entries_ = run_directory_entries_;
  directory_complete_ = true;
  const uint64_t now = Now();
  last_run_us_ = now;
  mark_wanted_ = run_records_ > 0;
  summaries_.AddRun(run_found_, life_);
  if (run_kind_ == RunKind::kSeal) {
    extents_->Seal(extent_);
    extent_ = kNoExtent;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (shared_->durability == Durability::kFlush) ++stats_.flushes;
    ++stats_.runs;
    if (run_records_ == 0) ++stats_.mark_runs;
    stats_.records += run_records_;
    stats_.bytes += uint64_t{run_.blocks} * kBlockBytes;
    const uint64_t took = now - run_started_us_;
    stats_.flush_us = stats_.flush_us == 0 ? took : (stats_.flush_us * 15 + took) / 16;
  }
  ApplyUnits();
  const uint32_t room = Room();
  extents_->SetRoom(room - std::min(room, summaries_.blocks()), directory_.size());
  shared_->sequencer->Durable(volume_, run_);
  phase_ = Phase::kIdle;
  EndUnits(StatusCode::kOk);
  WriteSummariesInStep();
  if (phase_ == Phase::kIdle) ZeroFill(false);
}

void VolumeWriter::ApplyUnits() {
  for (BatchUnit& unit : units_) {
    for (UnitOp& op : unit.ops) {
      const auto key = unit.KeyOf(op);
      if (op.kind == OpKind::kMark) {
        shared_->index->SetHeader(key, op.hash, op.position, op.header);
        continue;
      }
      if (!op.written) continue;
      Record record;
      record.kind = op.kind == OpKind::kDrop ? RecordKind::kDrop : RecordKind::kPut;
      record.key = AsText(key);
      record.lsn = op.lsn;
      record.position = op.position;
      record.floor = op.floor;
      record.erased_below = op.erased_below;
      record.header = op.header;
      record.value_bytes = static_cast<uint32_t>(op.value.size());
      record.value = std::move(op.value);
      record.place = op.place;
      record.head_bytes = op.head_bytes;
      record.payload_crc = op.payload_crc;
      extents_->AddLive(record.place.block, RecordBytes(record));
      summaries_.AddRecord(record);
      DeadRecords dead;
      shared_->index->Apply(record, op.hash, true, &dead);
      for (uint32_t i = 0; i < dead.count; ++i) {
        extents_->ReleaseLive(dead.record[i].place.block, dead.record[i].bytes);
      }
    }
  }
}

void VolumeWriter::EndUnits(StatusCode status) {
  std::vector<std::shared_ptr<BatchState>> batches;
  batches.reserve(units_.size());
  for (BatchUnit& unit : units_) {
    if (unit.writes) extents_->Unreserve(unit.need);
    batches.push_back(std::move(unit.batch));
  }
  run_keys_.clear();
  units_.clear();
  if (!batches.empty()) shared_->completions->EndParts(batches, status);
}

void VolumeWriter::Fail(const Status& status) {
  phase_ = Phase::kFailed;
  shared_->fail(shared_->fail_context, status.message());
  EndUnits(StatusCode::kFailed);
}

// Units were taken: a run for what they write, or, for marks alone, no I/O at all.
bool VolumeWriter::StartUnits() {
  ResolveOps();
  if (run_records_ > 0) {
    WriteRun(RunKind::kData);
    return true;
  }
  ApplyUnits();
  EndUnits(StatusCode::kOk);
  return true;
}

bool VolumeWriter::Step(uint64_t* due_us) {
  *due_us = UINT64_MAX;
  if (phase_ == Phase::kFailed) return false;
  if (phase_ == Phase::kWritten) {
    FinishRun();
    return true;
  }
  switch (TakeUnits()) {
    case Taken::kUnits:
      return StartUnits();
    case Taken::kNothing:
      return Idle(due_us);
    case Taken::kNeedsRoom:
      break;
  }
  run_records_ = 0;
  if (extent_ != kNoExtent) {
    WriteRun(RunKind::kSeal);
    return true;
  }
  const Status status = OpenNextExtent();
  if (!status.ok()) Fail(status);
  return true;
}

// D17: what was acknowledged is covered by a mark soon after the store goes quiet.
bool VolumeWriter::Idle(uint64_t* due_us) {
  if (mark_wanted_) {
    const uint64_t due = last_run_us_ + kIdleMarkUs;
    if (Now() >= due) {
      WriteEmptyRun();
      return true;
    }
    *due_us = due;
  }
  return WriteSummary() || (phase_ == Phase::kIdle && ZeroFill(true));
}

// D17: a part of what waits. False when nothing does.
bool VolumeWriter::WriteSummary() {
  if (!summaries_.waiting()) return false;
  uint64_t bytes = 0;
  const Status status = summaries_.Step(&bytes);
  if (!status.ok()) {
    Fail(status);
    return false;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  stats_.summary_bytes += bytes;
  return true;
}

// Twice the bytes of the runs, so that callers wait for few parts, and all is done long before the next seal.
void VolumeWriter::WriteSummariesInStep() {
  summary_allowance_ = summaries_.waiting() ? summary_allowance_ + 2 * uint64_t{run_.blocks} * kBlockBytes : 0;
  for (; summaries_.waiting() && summary_allowance_ >= kSummaryStepBytes; summary_allowance_ -= kSummaryStepBytes) {
    if (!WriteSummary()) return;
  }
}

// D1: ahead of use, at leisure when idle, else in step with what is written.
bool VolumeWriter::ZeroFill(bool idle) {
  const bool wanted = device_->wants_zero_fill() && announced_ != kNoExtent && announced_durable_ &&
                      untouched_[announced_] && fill_offset_ < geometry_.extent_bytes;
  if (!wanted) return false;
  const uint64_t used = extent_ == kNoExtent ? 0 : geometry_.extent_bytes - uint64_t{Room()} * kBlockBytes;
  if (!idle && fill_offset_ > 2 * used) return false;
  const uint64_t bytes = std::min(kZeroFillBytes, geometry_.extent_bytes - fill_offset_);
  if (zeros_.data() == nullptr) {
    zeros_.Reserve(kZeroFillBytes);
    std::memset(zeros_.data(), 0, kZeroFillBytes);
  }
  // Block 0 of the extent may be a superblock.
  const uint64_t skip = fill_offset_ == 0 ? kBlockBytes : 0;
  const uint64_t offset = uint64_t{announced_} * geometry_.extent_bytes + fill_offset_;
  const Status status = device_->Write(offset + skip, zeros_.first(bytes - skip));
  if (!status.ok()) {
    Fail(status);
    return false;
  }
  fill_offset_ += bytes;
  if (fill_offset_ == geometry_.extent_bytes) untouched_[announced_] = false;
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
