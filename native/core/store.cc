// The store at work: batches are cut into units (D6), room is promised before anything is taken (D12), threads drive
// the writers, and one failure ends writing for good (D8).
#include "store.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "store_impl.h"

namespace plogdb {
namespace {

// A unit of many keys stays small, so that little is left over at the end of an extent.
uint64_t MaxSharedUnitBytes(const Geometry& geometry) { return geometry.extent_bytes / 8; }
// One key's operations of a batch: two of the largest values and a bit.
uint64_t MaxKeyUnitBytes(const Geometry& geometry) { return geometry.extent_bytes / 8 * 5; }

bool Writes(const BatchOp& op) { return op.kind != OpKind::kMark; }

}  // namespace

struct StoreImpl::Split {
  std::vector<std::vector<BatchUnit>> units;  // per volume
  std::vector<SpaceNeed> need;                // per volume
};

StoreImpl::~StoreImpl() { Close(); }

uint64_t StoreImpl::MaxValueBytes(uint32_t volume) const {
  return std::min<uint64_t>(options_.max_value_bytes, volumes_[volume]->geometry.extent_bytes / 4);
}

Status StoreImpl::CheckOp(const BatchOp& op) const {
  const auto refuse = [](const char* why) { return Status(StatusCode::kInvalidArgument, why); };
  if (op.key.empty() || op.key.size() > kMaxKeyBytes) return refuse("a key has 1 to 65535 bytes");
  if (op.kind == OpKind::kDrop) return Status::Ok();
  if (op.header.size() != kHeaderBytes) return refuse("a record header has 64 bytes");
  if (op.kind == OpKind::kMark) return Status::Ok();
  if (op.kind != OpKind::kPut) return refuse("unknown operation");
  if (op.floor > op.position || op.position - op.floor > 1)
    return refuse("the floor is the position or one below (D5)");
  return Status::Ok();
}

void StoreImpl::AddToUnit(const BatchOp& op, uint64_t hash, BatchUnit* unit) const {
  UnitOp copy;
  copy.kind = op.kind;
  copy.key_offset = static_cast<uint32_t>(unit->keys.size());
  copy.key_bytes = static_cast<uint32_t>(op.key.size());
  copy.hash = hash;
  copy.position = op.kind == OpKind::kDrop ? 0 : op.position;
  copy.floor = op.kind == OpKind::kPut ? op.floor : 0;
  if (op.kind != OpKind::kDrop) std::copy(op.header.begin(), op.header.end(), copy.header.begin());
  unit->keys.insert(unit->keys.end(), op.key.begin(), op.key.end());
  if (op.kind == OpKind::kPut) copy.value = ValueRef::Copy(op.value);
  if (Writes(op)) {
    unit->writes = true;
    unit->record_bytes += RecordBound(op.key.size(), copy.value.size());
    unit->directory_bytes += DirectoryEntryBound(op.key.size());
    unit->summary_bytes += SummaryEntryBound(op.key.size());
  }
  unit->ops.push_back(std::move(copy));
}

// Too much for one unit: one per key, as many keys together as fit.
StatusCode StoreImpl::GroupByKey(std::span<const BatchOp> ops, const std::vector<uint64_t>& hashes, uint32_t volume,
                                 Split* split) const {
  const Geometry& geometry = volumes_[volume]->geometry;
  std::vector<std::vector<size_t>> groups;
  std::unordered_map<std::string_view, size_t> group_of;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (VolumeOfKey(hashes[i], volumes_.size()) != volume) continue;
    const auto [found, added] = group_of.try_emplace(AsText(ops[i].key), groups.size());
    if (added) groups.emplace_back();
    groups[found->second].push_back(i);
  }
  std::vector<BatchUnit>& units = split->units[volume];
  units.clear();
  for (const std::vector<size_t>& group : groups) {
    uint64_t bytes = 0;
    uint64_t directory = 0;
    uint64_t summary = 0;
    for (const size_t i : group) {
      if (!Writes(ops[i])) continue;
      bytes += RecordBound(ops[i].key.size(), ops[i].value.size());
      directory += DirectoryEntryBound(ops[i].key.size());
      summary += SummaryEntryBound(ops[i].key.size());
    }
    if (bytes + summary > MaxKeyUnitBytes(geometry) || directory > MaxSharedUnitBytes(geometry)) return StatusCode::kTooLarge;
    if (units.empty() || units.back().record_bytes + bytes > MaxSharedUnitBytes(geometry)) units.emplace_back();
    for (const size_t i : group) AddToUnit(ops[i], hashes[i], &units.back());
  }
  return StatusCode::kOk;
}

StatusCode StoreImpl::SplitBatch(std::span<const BatchOp> ops, Split* split) const {
  split->units.resize(volumes_.size());
  split->need.resize(volumes_.size());
  std::vector<uint64_t> hashes;
  std::vector<uint64_t> bytes(volumes_.size(), 0);
  uint64_t total = 0;
  hashes.reserve(ops.size());
  for (const BatchOp& op : ops) {
    hashes.push_back(KeyHash(op.key));
    const uint32_t volume = VolumeOfKey(hashes.back(), volumes_.size());
    if (op.kind == OpKind::kPut && op.value.size() > MaxValueBytes(volume)) return StatusCode::kTooLarge;
    const uint64_t record = RecordBound(op.key.size(), op.value.size());
    bytes[volume] += record;
    total += record;
  }
  if (total > kMaxBatchBytes) return StatusCode::kTooLarge;
  for (size_t i = 0; i < ops.size(); ++i) {
    const uint32_t volume = VolumeOfKey(hashes[i], volumes_.size());
    if (bytes[volume] > MaxSharedUnitBytes(volumes_[volume]->geometry)) continue;
    if (split->units[volume].empty()) split->units[volume].emplace_back();
    AddToUnit(ops[i], hashes[i], &split->units[volume].back());
  }
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    if (bytes[volume] <= MaxSharedUnitBytes(volumes_[volume]->geometry)) continue;
    const StatusCode code = GroupByKey(ops, hashes, volume, split);
    if (code != StatusCode::kOk) return code;
  }
  const bool only_deletions = std::none_of(ops.begin(), ops.end(), [](const BatchOp& op) {
    return op.kind == OpKind::kPut && op.value.size() > kSmallValueBytes;
  });
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    SpaceNeed& sum = split->need[volume];
    sum = SpaceNeed{0, 0, 0, 0, only_deletions, 0};
    for (BatchUnit& unit : split->units[volume]) {
      if (!unit.writes) continue;
      const uint64_t blocks = BlocksForStream(unit.record_bytes + unit.directory_bytes) + 1;
      const uint64_t with_summary = blocks + BlocksForStream(unit.summary_bytes) + 1;
      unit.need = SpaceNeed{blocks, with_summary, unit.directory_bytes, 1, only_deletions, unit.summary_bytes};
      sum.blocks += blocks;
      sum.largest_unit_blocks = std::max(sum.largest_unit_blocks, with_summary);
      sum.directory_bytes += unit.directory_bytes;
      sum.summary_bytes += unit.summary_bytes;
      ++sum.units;
    }
  }
  return StatusCode::kOk;
}

// D12: all volumes or none.
bool StoreImpl::ReserveAll(Split* split) {
  for (size_t volume = 0; volume < volumes_.size(); ++volume) {
    if (split->need[volume].units == 0 || volumes_[volume]->extents->Reserve(split->need[volume])) continue;
    for (size_t undo = 0; undo < volume; ++undo) {
      if (split->need[undo].units > 0) volumes_[undo]->extents->Unreserve(split->need[undo]);
    }
    return false;
  }
  return true;
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
  if (code == StatusCode::kOk && !ReserveAll(&split)) code = StatusCode::kDiskFull;
  uint32_t parts = 1;  // one for this call, so that the batch cannot end before all its units are queued
  for (const auto& units : split.units) parts += static_cast<uint32_t>(units.size());
  if (code != StatusCode::kOk) parts = 1;
  const std::shared_ptr<BatchState> batch = completions_.Begin(token, parts);
  for (size_t volume = 0; volume < volumes_.size() && code == StatusCode::kOk; ++volume) {
    for (BatchUnit& unit : split.units[volume]) {
      unit.batch = batch;
      if (!volumes_[volume]->writer->Enqueue(std::move(unit))) completions_.EndParts({batch}, StatusCode::kFailed);
    }
    if (!split.units[volume].empty()) Kick(volumes_[volume].get());
  }
  completions_.EndParts({batch}, code);
  return Status::Ok();
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
  StoreState open = StoreState::kOpen;
  if (!store->state_.compare_exchange_strong(open, StoreState::kFailed)) return;
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
  if (options_.stepped) return;
  bool notify = false;
  {
    const std::lock_guard<std::mutex> lock(volume->mutex);
    notify = !std::exchange(volume->kicked, true);
  }
  if (notify) volume->wake.notify_one();
}

void StoreImpl::DriveWriter(Volume* volume) {
  for (;;) {
    uint64_t due = UINT64_MAX;
    while (volume->writer->Step(&due)) {
    }
    std::unique_lock<std::mutex> lock(volume->mutex);
    const auto awaited = [volume] { return volume->kicked || volume->stop; };
    if (due == UINT64_MAX) {
      volume->wake.wait(lock, awaited);
    } else {
      const uint64_t now = shared_.now_us(shared_.now_context);
      if (due > now) volume->wake.wait_for(lock, std::chrono::microseconds(due - now), awaited);
    }
    if (volume->stop && !volume->kicked) return;
    volume->kicked = false;
  }
}

bool StoreImpl::Step(uint64_t* due_us) {
  bool worked = reader_->Step();
  uint64_t earliest = UINT64_MAX;
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
    const WriterStats writer = volume->writer->stats();
    const ExtentTotals extents = volume->extents->Totals();
    out->flushes += writer.flushes;
    out->runs += writer.runs;
    out->mark_runs += writer.mark_runs;
    out->records_written += writer.records;
    out->bytes_written += writer.bytes;
    out->summary_bytes += writer.summary_bytes;
    out->flush_us = std::max(out->flush_us, writer.flush_us);
    out->bytes_used += extents.used_extents * volume->geometry.extent_bytes;
    out->bytes_total += volume->geometry.volume_bytes;
    out->live_bytes += extents.live_bytes;
    out->extents_freed += extents.freed;
  }
  out->disk_reads = reader_->disk_reads();
  out->state = state_;
}

bool StoreImpl::IsFull() const {
  return std::any_of(volumes_.begin(), volumes_.end(), [](const auto& volume) { return volume->extents->IsFull(); });
}

void StoreImpl::ForEachKey(KeyVisitor visit, void* context) const {
  index_.ForEach([&](const KeyEntry& entry) {
    const Slot* newest = entry.Newest();
    if (newest != nullptr) visit(context, AsBytes(entry.key), newest->position, newest->header);
  });
}

uint64_t StoreImpl::Iterate(uint64_t cursor, size_t, KeyVisitor visit, void* context) const {
  if (cursor == 0) ForEachKey(visit, context);
  return kIterationEnd;
}

Status StoreImpl::Digests(uint32_t, std::span<uint64_t>) const {
  return Status(StatusCode::kInvalidArgument, "not built");
}

void StoreImpl::SetMerge(const MergeOptions&) {}
void StoreImpl::SetScrub(const ScrubOptions&) {}

void StoreImpl::Close() {
  const std::lock_guard<std::mutex> closing(close_mutex_);
  if (std::exchange(closed_, true)) return;
  {
    const std::lock_guard<std::mutex> lock(submit_mutex_);
    state_ = StoreState::kClosed;
  }
  for (const auto& volume : volumes_) {
    if (volume->writer == nullptr) continue;
    if (volume->thread.joinable()) {
      {
        const std::lock_guard<std::mutex> lock(volume->mutex);
        volume->stop = true;
      }
      volume->wake.notify_one();
      volume->thread.join();
    }
    volume->writer->Finish();
    volume->writer->RefuseAll(StatusCode::kClosed);
  }
  if (reader_ != nullptr) reader_->Stop();
  for (const auto& volume : volumes_) volume->device.reset();
}

}  // namespace plogdb
