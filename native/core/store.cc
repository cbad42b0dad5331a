// The store at work: room is promised before anything is taken (D12), batches wait for merge rather than be refused,
// threads drive the writers, and one failure ends writing for good (D8). How a batch is cut, store_split.cc says.
#include "store.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "store_impl.h"

namespace plogdb {

StoreImpl::~StoreImpl() { Close(); }

void StoreImpl::Queue(Split* split, const std::shared_ptr<BatchState>& batch) {
  for (size_t volume = 0; volume < volumes_.size(); ++volume) {
    for (BatchUnit& unit : split->units[volume]) {
      unit.batch = batch;
      if (!volumes_[volume]->writer->Enqueue(std::move(unit))) completions_.EndParts({batch}, StatusCode::kFailed);
    }
    if (!split->units[volume].empty()) Kick(volumes_[volume].get());
  }
}

Status StoreImpl::SubmitBatch(std::span<const BatchOp> ops, uint64_t token) {
  for (const BatchOp& op : ops) {
    Status status = CheckOp(op);
    if (!status.ok()) return status;
  }
  Split split;
  StatusCode code = SplitBatch(ops, &split);
  const std::lock_guard<std::mutex> lock(submit_mutex_);
  if (token <= last_token_) return Status(StatusCode::kInvalidArgument, "tokens must rise");
  if (state_ == StoreState::kClosed) return Status(StatusCode::kClosed, "the store is closed");
  last_token_ = token;
  if (code == StatusCode::kOk && state_ == StoreState::kFailed) code = StatusCode::kFailed;
  const bool room = code == StatusCode::kOk && stalled_.empty() && ReserveAll(&split);
  const bool waits = code == StatusCode::kOk && !room && MayWait(split);
  if (code == StatusCode::kOk && !room && !waits) code = StatusCode::kDiskFull;
  uint32_t parts = 1;  // one for this call, so that the batch cannot end before all its units are queued
  for (const auto& units : split.units) parts += static_cast<uint32_t>(units.size());
  if (code != StatusCode::kOk) parts = 1;
  const std::shared_ptr<BatchState> batch = completions_.Begin(token, parts);
  if (waits) {
    stalled_.push_back({std::move(split), batch});
    ++stalls_;
    any_stalled_ = true;
    keeper_->SetWaiting(true);
    return Status::Ok();
  }
  if (room) Queue(&split, batch);
  completions_.EndParts({batch}, code);
  return Status::Ok();
}

// Batches behind one that waits keep their order; else it takes dead space that merge can win back on every volume that
// has no room.
bool StoreImpl::MayWait(const Split& split) const {
  for (size_t volume = 0; volume < volumes_.size(); ++volume) {
    if (split.need[volume].units == 0) continue;
    if (!volumes_[volume]->extents->CouldFit(split.need[volume])) return false;
  }
  return true;
}

// Lets go on what waits for room, in order, and ends what waits in vain.
void StoreImpl::ServeStalled() {
  const std::lock_guard<std::mutex> lock(submit_mutex_);
  while (!stalled_.empty()) {
    Stalled& first = stalled_.front();
    StatusCode code = StatusCode::kOk;
    if (failed_) code = StatusCode::kFailed;
    if (code == StatusCode::kOk && !ReserveAll(&first.split)) {
      if (MayWait(first.split)) return;
      code = StatusCode::kDiskFull;
      for (size_t i = 0; i < volumes_.size(); ++i) {
        if (first.split.need[i].units > 0) volumes_[i]->extents->NoteRefused();
      }
    }
    EndStalled(code);
  }
  any_stalled_ = false;
  keeper_->SetWaiting(false);
}

void StoreImpl::EndStalled(StatusCode code) {
  Stalled first = std::move(stalled_.front());
  stalled_.pop_front();
  if (code == StatusCode::kOk) {
    Queue(&first.split, first.batch);
  } else {
    uint32_t units = 0;
    for (const auto& it : first.split.units) units += static_cast<uint32_t>(it.size());
    for (; units > 0; --units) completions_.EndParts({first.batch}, code);
  }
  completions_.EndParts({first.batch}, code);
}

void StoreImpl::AfterRun(void* context, bool room) {
  auto* store = static_cast<StoreImpl*>(context);
  if (store->keeper_ == nullptr) return;
  if (store->any_stalled_) store->ServeStalled();
  if (room || store->keeper_->awaits_copies()) store->keeper_->Kick();
}

Status StoreImpl::Read(std::span<const uint8_t> key, uint64_t position, uint64_t tag) {
  if (state_ == StoreState::kClosed) return Status(StatusCode::kClosed, "the store is closed");
  ReadRequest request;
  request.tag = tag;
  request.hash = KeyHash(key);
  request.volume = VolumeOfKey(request.hash, volumes_.size());
  request.position = position;
  request.plan = index_.PlanRead(key, request.hash, position, volumes_[request.volume]->extents.get());
  if (request.plan.found && !request.plan.corrupt && !request.plan.value.present()) {
    request.key = AsText(key);
    reader_->Add(std::move(request));
    return Status::Ok();
  }
  Completion completion;
  completion.kind = CompletionKind::kRead;
  completion.token = tag;
  completion.status = !request.plan.found    ? StatusCode::kNotFound
                      : request.plan.corrupt ? StatusCode::kCorrupt
                                             : StatusCode::kOk;
  completion.value = request.plan.value;
  completions_.Push(std::move(completion));
  return Status::Ok();
}

void StoreImpl::OnFail(void* context, const std::string& why) {
  auto* store = static_cast<StoreImpl*>(context);
  if (store->failed_.exchange(true)) return;
  StoreState open = StoreState::kOpen;
  (void)store->state_.compare_exchange_strong(open, StoreState::kFailed);
  Completion completion;
  completion.kind = CompletionKind::kFailed;
  completion.status = StatusCode::kFailed;
  completion.message = why;
  store->completions_.Push(std::move(completion));
  for (const auto& volume : store->volumes_) {
    if (volume->writer != nullptr) volume->writer->RefuseAll(StatusCode::kFailed);
  }
}

void StoreImpl::Kick(Volume* volume) {
  if (!options_.stepped) volume->bell.Ring();
}

void StoreImpl::DriveWriter(Volume* volume) {
  for (;;) {
    uint64_t due = UINT64_MAX;
    while (volume->writer->Step(&due)) {
    }
    if (volume->stop) return;  // what came since, Finish does
    if (due == UINT64_MAX) {
      volume->bell.Wait(UINT64_MAX);
      continue;
    }
    const uint64_t now = shared_.now_us(shared_.now_context);
    if (due > now) volume->bell.Wait(due - now);
  }
}

bool StoreImpl::Step(uint64_t* due_us) {
  bool worked = reader_->Step();
  uint64_t earliest = UINT64_MAX;
  worked |= keeper_->Step(&earliest);
  for (const auto& volume : volumes_) {
    uint64_t due = UINT64_MAX;
    worked |= volume->writer->Step(&due);
    earliest = std::min(earliest, due);
  }
  if (due_us != nullptr) *due_us = earliest;
  return worked;
}

void StoreImpl::Stats(StoreStats* out) const {
  *out = StoreStats{};
  index_.AddStats(out);
  for (const auto& volume : volumes_) {
    AddWriterStats(volume->writer->stats(), out);
    AddSpaceStats(*volume, out);
  }
  const KeeperTotals keeper = keeper_->Totals();
  out->merge_bytes_read = keeper.merge.bytes_read;
  out->merge_extents = keeper.merge.extents;
  out->merge_rate = keeper.merge_rate;
  out->scrub_passes = keeper.scrub.passes;
  out->scrub_bytes = keeper.scrub.bytes;
  out->scrub_records = keeper.scrub.records;
  out->disk_reads = reader_->disk_reads();
  out->damaged_records = reader_->damaged();
  const uint64_t room = out->bytes_usable - std::min(out->bytes_usable, out->live_bytes);
  out->seconds_to_full = keeper.live_growth_rate == 0 ? UINT64_MAX : room / keeper.live_growth_rate;
  out->state = state_;
  const std::lock_guard<std::mutex> lock(submit_mutex_);
  out->stalled_batches = stalled_.size();
  out->stalls = stalls_;
}

void StoreImpl::AddWriterStats(const WriterStats& writer, StoreStats* out) {
  out->flushes += writer.flushes;
  out->runs += writer.runs;
  out->mark_runs += writer.mark_runs;
  out->records_written += writer.records;
  out->bytes_written += writer.bytes;
  out->flush_us = std::max(out->flush_us, writer.flush_us);
  out->merge_bytes_copied += writer.copied_bytes;
  out->merge_records_copied += writer.copied_records;
  out->zero_filled_bytes += writer.zero_filled_bytes;
  out->summary_bytes += writer.summary_bytes;
}

void StoreImpl::AddSpaceStats(const Volume& volume, StoreStats* out) {
  const ExtentTotals extents = volume.extents->Totals();
  out->bytes_used += extents.used_extents * volume.geometry.extent_bytes;
  out->bytes_total += volume.geometry.volume_bytes;
  out->bytes_usable += extents.usable_bytes;
  out->live_bytes += extents.live_bytes;
  out->dead_bytes += extents.dead_bytes;
  out->free_extents += extents.free_extents;
  out->kept_extents += extents.kept_extents;
  out->total_extents += volume.geometry.extents();
  out->extents_freed += extents.freed;
  out->space_level = std::max(out->space_level, extents.level);
}

bool StoreImpl::IsFull() const {
  return std::any_of(volumes_.begin(), volumes_.end(), [](const auto& volume) { return volume->extents->IsFull(); });
}

bool StoreImpl::IsShort() const {
  return any_stalled_ ||
         std::any_of(volumes_.begin(), volumes_.end(), [](const auto& volume) { return volume->extents->IsShort(); });
}

void StoreImpl::ForEachKey(KeyVisitor visit, void* context) const {
  index_.Iterate(0, kIterationEnd, SIZE_MAX, visit, context);
}

uint64_t StoreImpl::Iterate(uint64_t cursor, uint64_t until, size_t limit, KeyVisitor visit, void* context) const {
  return index_.Iterate(cursor, until, limit, visit, context);
}

Status StoreImpl::Digests(uint32_t first, std::span<uint64_t> out) const {
  if (first > kDigestBuckets || out.size() > kDigestBuckets - first) {
    return Status(StatusCode::kInvalidArgument, "there are 65536 buckets (D20)");
  }
  index_.Digests(first, out);
  return Status::Ok();
}

void StoreImpl::SetMerge(const MergeOptions& options) { keeper_->SetMerge(options); }
void StoreImpl::SetScrub(const ScrubOptions& options) { keeper_->SetScrub(options); }

// What waits for room was submitted: merge goes on until it has it, or until there is nothing to merge.
void StoreImpl::FinishStalled() {
  while (any_stalled_) {
    if (failed_) ServeStalled();
    if (!options_.stepped) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } else if (!Step(nullptr)) {
      return;
    }
  }
}

void StoreImpl::Close() {
  const std::lock_guard<std::mutex> closing(close_mutex_);
  if (std::exchange(closed_, true)) return;
  {
    const std::lock_guard<std::mutex> lock(submit_mutex_);
    state_ = StoreState::kClosed;
  }
  FinishStalled();
  if (keeper_ != nullptr) keeper_->Stop();
  for (const auto& volume : volumes_) {
    if (volume->writer == nullptr) continue;
    if (volume->thread.joinable()) {
      volume->stop = true;
      volume->bell.Ring();
      volume->thread.join();
    }
    volume->writer->Finish();
    volume->writer->RefuseAll(StatusCode::kClosed);
  }
  {
    const std::lock_guard<std::mutex> lock(submit_mutex_);
    while (!stalled_.empty()) EndStalled(StatusCode::kClosed);
  }
  if (reader_ != nullptr) reader_->Stop();
  for (const auto& volume : volumes_) volume->device.reset();
}

}  // namespace plogdb
