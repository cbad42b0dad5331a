// The read path. Every check of D16 is in ReadRecord; a record that fails one is CORRUPT, never absent.
#include "reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "canary.h"
#include "run_parser.h"

namespace plogdb {

Reader::Reader(const StoreId& store_id, std::vector<ReadVolume> volumes, KeyIndex* index, CompletionQueue* completions)
    : store_id_(store_id), volumes_(std::move(volumes)), index_(index), completions_(completions) {}

void Reader::Start(uint32_t threads) {
  for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

void Reader::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  Step();
}

void Reader::Add(ReadRequest request) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(request));
  }
  wake_.notify_one();
}

// The nearest `1 / share` of what waits, in order of address.
std::vector<ReadRequest> Reader::Take(size_t share) {
  std::vector<ReadRequest> taken;
  std::sort(waiting_.begin(), waiting_.end(), [](const ReadRequest& a, const ReadRequest& b) {
    return a.volume != b.volume ? a.volume < b.volume : a.plan.place.block < b.plan.place.block;
  });
  const size_t count = (waiting_.size() + share - 1) / share;
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
  std::move(waiting_.begin(), end, std::back_inserter(taken));
  waiting_.erase(waiting_.begin(), end);
  return taken;
}

void Reader::Loop() {
  AlignedBuffer buffer;
  for (;;) {
    std::vector<ReadRequest> requests;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      requests = Take(std::max<size_t>(1, threads_.size()));
    }
    Serve(std::move(requests), &buffer);
  }
}

bool Reader::Step() {
  std::vector<ReadRequest> requests;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    requests = Take(1);
  }
  if (requests.empty()) return false;
  AlignedBuffer buffer;
  Serve(std::move(requests), &buffer);
  return true;
}

void Reader::Serve(std::vector<ReadRequest> requests, AlignedBuffer* buffer) {
  // The same record asked for twice is read once.
  uint64_t last_lsn = 0;
  ValueRef last_value;
  bool last_good = false;
  for (ReadRequest& request : requests) {
    const auto key = AsBytes(request.key);
    if (request.plan.lsn != last_lsn) {
      last_lsn = request.plan.lsn;
      last_good = ReadMoving(&request, buffer, &last_value);
      if (last_good) {
        index_->AfterRead(key, request.hash, request.position, request.plan.lsn, last_value);
      } else {
        ReportDamage(request);
      }
    }
    volumes_[request.volume].extents->UnpinForRead(request.plan.place.block);
    Completion completion;
    completion.kind = CompletionKind::kRead;
    completion.token = request.tag;
    completion.status = last_good ? StatusCode::kOk : StatusCode::kCorrupt;
    if (!last_good && CanaryOn(Canary::kCorruptReadAsAbsent)) completion.status = StatusCode::kNotFound;
    if (last_good) completion.value = last_value;
    completions_->Push(std::move(completion));
  }
}

// A record that merge has moved meanwhile is read where it lies now.
bool Reader::ReadMoving(ReadRequest* request, AlignedBuffer* buffer, ValueRef* value) {
  ExtentMap* extents = volumes_[request->volume].extents;
  const auto key = AsBytes(request->key);
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    if (ReadRecord(*request, buffer, value)) return true;
    const ReadPlan& plan = request->plan;
    if (index_->Judge(key, request->hash, plan.lsn, plan.place, false).live) return false;
    ReadPlan moved = index_->PlanCheck(key, request->hash, request->position, extents);
    if (!moved.found) return false;
    if (moved.lsn != plan.lsn) {  // written over: what was asked for is gone, and nothing is broken
      extents->UnpinForRead(moved.place.block);
      return false;
    }
    extents->UnpinForRead(plan.place.block);
    request->plan = std::move(moved);
  }
  return false;
}

// D16, D19: said once per record.
void Reader::ReportDamage(const ReadRequest& request) {
  const auto key = AsBytes(request.key);
  if (!index_->Judge(key, request.hash, request.plan.lsn, request.plan.place, false).live) return;
  if (!index_->MarkCorrupt(key, request.hash, request.position, request.plan.lsn)) return;
  damaged_.fetch_add(1, std::memory_order_relaxed);
  Completion completion;
  completion.kind = CompletionKind::kDamaged;
  completion.status = StatusCode::kCorrupt;
  completion.token = request.position;
  completion.message = request.key;
  completions_->Push(std::move(completion));
}

void Reader::Check(const ReadRequest& request) {
  AlignedBuffer buffer;
  ValueRef value;
  if (!ReadRecord(request, &buffer, &value)) ReportDamage(request);
}

bool Reader::ReadRecord(const ReadRequest& request, AlignedBuffer* buffer, ValueRef* value) {
  const ReadPlan& plan = request.plan;
  const uint64_t stream_end = plan.place.offset + RecordBytes(plan.head_bytes, request.key.size(), plan.value_bytes);
  const uint32_t blocks = BlocksForStream(stream_end);
  const size_t bytes = size_t{blocks} * kBlockBytes;
  buffer->Reserve(bytes);
  disk_reads_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t offset = uint64_t{plan.place.block} * kBlockBytes;
  BlockDevice* device = volumes_[request.volume].device;
  // A read error may pass; a second one is taken for a broken record.
  if (!device->Read(offset, buffer->first(bytes)).ok() && !device->Read(offset, buffer->first(bytes)).ok())
    return false;
  std::vector<uint8_t> stream;
  stream.reserve(size_t{blocks} * kPayloadBytes);
  uint64_t first_id = 0;
  for (uint32_t i = 0; i < blocks; ++i) {
    const auto block = std::span<const uint8_t>(buffer->first(bytes)).subspan(size_t{i} * kBlockBytes, kBlockBytes);
    const auto header = ReadBlockHeader(block, store_id_, request.volume, plan.place.block + i);
    if (!header || (i > 0 && header->block_id != first_id + i)) return false;
    if (i == 0) first_id = header->block_id;
    const auto payload = block.subspan(sizeof(BlockHeader), header->payload_bytes);
    stream.insert(stream.end(), payload.begin(), payload.end());
  }
  const auto record = ParseRecord(stream, plan.place.offset);
  const bool good = record && record->intact && AsText(record->key) == request.key && record->fields.lsn == plan.lsn &&
                    record->fields.position == request.position && record->value.size() == plan.value_bytes;
  if (!good) return false;
  *value = ValueRef::Copy(record->value);
  return true;
}

}  // namespace plogdb
