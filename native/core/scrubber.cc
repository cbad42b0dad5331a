// Scrub, chunk by chunk.
#include "scrubber.h"

#include <algorithm>

namespace plogdb {
namespace {

constexpr uint64_t kScrubChunkBytes = 256 << 10;
// Between two passes, so that a small store is not read all the time.
constexpr uint64_t kRestUs = 10'000'000;

}  // namespace

bool Scrubber::NextExtent() {
  while (next_extent_ < geometry_.extents()) {
    const uint32_t extent = next_extent_++;
    if (!extents_->HoldIfWritten(extent)) continue;
    extent_ = extent;
    next_block_ = geometry_.first_data_block(extent);
    live_before_ = extents_->LiveRecords(extent);
    found_ = 0;
    bad_ = false;
    walker_.Forget();
    return true;
  }
  next_extent_ = 0;
  ++stats_.passes;
  return false;
}

void Scrubber::ReadChunk() {
  const uint32_t left = geometry_.end_block(extent_) - next_block_;
  const uint32_t blocks = std::min(static_cast<uint32_t>(kScrubChunkBytes / kBlockBytes), left);
  const size_t bytes = size_t{blocks} * kBlockBytes;
  buffer_.Reserve(bytes);
  stats_.bytes += bytes;
  const bool read = device_->Read(uint64_t{next_block_} * kBlockBytes, buffer_.first(bytes)).ok();
  if (!read) {
    bad_ = true;
    walker_.Forget();
  }
  for (uint32_t i = 0; read && i < blocks; ++i) {
    const auto block = std::span<const uint8_t>(buffer_.first(bytes)).subspan(size_t{i} * kBlockBytes, kBlockBytes);
    // A block that fits no check may be one that is being written; what should live in it is missed in the end.
    (void)walker_.Take(next_block_ + i, block, [this](const ParsedRecord& record, RecordPlace place) {
      if (!record.intact || !index_->Judge(record.key, KeyHash(record.key), record.fields.lsn, place, false).live) return;
      ++found_;
      ++stats_.records;
    });
  }
  next_block_ += blocks;
}

// Fewer were found than live here: something is gone. Where records came meanwhile (in the open extent), the next pass
// tells.
void Scrubber::End() {
  const uint32_t live_now = extents_->LiveRecords(extent_);
  const bool grew = live_now > live_before_ || (extents_->IsOpen(extent_) && live_now != live_before_);
  if (bad_ || (found_ < live_now && !grew)) damaged_ = extent_;
  extents_->UnpinForRead(geometry_.first_data_block(extent_));
  extent_ = kNoExtent;
}

void Scrubber::Stop() {
  if (extent_ != kNoExtent) extents_->UnpinForRead(geometry_.first_data_block(extent_));
  extent_ = kNoExtent;
}

bool Scrubber::Step(uint64_t now_us, uint64_t* due_us) {
  *due_us = UINT64_MAX;
  if (rate_ == 0) {
    Stop();
    return false;
  }
  if (extent_ == kNoExtent) {
    if (now_us < rest_until_us_) {
      *due_us = rest_until_us_;
      return false;
    }
    if (!NextExtent()) {
      rest_until_us_ = now_us + kRestUs;
      *due_us = rest_until_us_;
      return false;
    }
  }
  if (next_block_ == geometry_.end_block(extent_)) {
    End();
    return true;
  }
  if (!bytes_.Take(kScrubChunkBytes, now_us, due_us)) return false;
  ReadChunk();
  return true;
}

}  // namespace plogdb
