// What the writer does between runs and when nobody wants anything: marks (D17), summaries (D17), zero-filling (D1). All
// of it on the thread that drives the writer, while no run is on its way.
#include <algorithm>
#include <cstring>

#include "writer.h"

namespace plogdb {

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
void VolumeWriter::WriteSummariesInStep(const Run& run) {
  summary_allowance_ = summaries_.waiting() ? summary_allowance_ + 2 * uint64_t{run.found.mark.blocks} * kBlockBytes : 0;
  for (; summaries_.waiting() && summary_allowance_ >= kSummaryStepBytes; summary_allowance_ -= kSummaryStepBytes) {
    if (!WriteSummary()) return;
  }
}

bool VolumeWriter::ZeroFillWanted() const {
  return device_->wants_zero_fill() && announced_ != kNoExtent && announced_durable_ && untouched_[announced_] &&
         fill_offset_ < geometry_.extent_bytes;
}

// D1: ahead of use, at leisure when idle, else in step with what is written.
bool VolumeWriter::ZeroFill(bool idle) {
  if (!ZeroFillWanted()) return false;
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
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stats_.zero_filled_bytes += bytes - skip;
  }
  if (fill_offset_ == geometry_.extent_bytes) untouched_[announced_] = false;
  return true;
}

}  // namespace plogdb
