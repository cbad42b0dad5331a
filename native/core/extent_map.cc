// Accounting of extents. The promise of D12: whatever Reserve accepted will fit, however the writer packs it.
#include "extent_map.h"

#include <algorithm>

#include "assert.h"
#include "canary.h"

namespace plogdb {

ExtentMap::ExtentMap(const Geometry& geometry)
    : geometry_(geometry), extents_(geometry.extents()), free_(geometry.extents()) {}

void ExtentMap::Restore(uint32_t extent, ExtentState state, bool pinned) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& it = extents_[extent];
  PLOGDB_ASSERT(it.state == ExtentState::kFree, "restored once");
  it.state = state;
  it.pinned = pinned;
  if (state == ExtentState::kOpen || state == ExtentState::kSealed) --free_;
  if (state == ExtentState::kOpen || state == ExtentState::kAnnounced) ++writable_;
}

uint32_t ExtentMap::Announce() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (uint32_t extent = 0; extent < extents_.size(); ++extent) {
    if (extents_[extent].state != ExtentState::kFree) continue;
    extents_[extent].state = ExtentState::kAnnounced;
    ++writable_;
    return extent;
  }
  return kNoExtent;
}

void ExtentMap::Open(uint32_t extent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& it = extents_[extent];
  PLOGDB_ASSERT(it.state == ExtentState::kAnnounced, "life cycle");
  if (!CanaryOn(Canary::kFreedWhileRead)) {
    PLOGDB_ASSERT(it.live_records == 0 && it.reads == 0, "D3");
  }
  it.state = ExtentState::kOpen;
  --free_;
}

void ExtentMap::Seal(uint32_t extent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  PLOGDB_ASSERT(extents_[extent].state == ExtentState::kOpen, "life cycle");
  extents_[extent].state = ExtentState::kSealed;
  --writable_;
  MaybeFree(&extents_[extent]);
}

void ExtentMap::Keep(uint32_t extent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  extents_[extent].pinned = true;
}

void ExtentMap::FreeIfDead(uint32_t extent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  MaybeFree(&extents_[extent]);
}

bool ExtentMap::IsSealed(uint32_t extent, uint64_t life) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return extents_[extent].state == ExtentState::kSealed && extents_[extent].life.life == life;
}

void ExtentMap::SetLife(uint32_t extent, uint64_t life, uint64_t watermark) {
  const std::lock_guard<std::mutex> lock(mutex_);
  PLOGDB_ASSERT(life > extents_[extent].life.life, "D2");
  extents_[extent].life = {life, watermark};
}

ExtentLife ExtentMap::Life(uint32_t extent) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return extents_[extent].life;
}

void ExtentMap::MaybeFree(Extent* extent) {
  const bool read = extent->reads > 0 && !CanaryOn(Canary::kFreedWhileRead);
  if (extent->state != ExtentState::kSealed || extent->live_records > 0 || read || extent->pinned) return;
  extent->state = ExtentState::kFree;
  free_ += CanaryOn(Canary::kFreeCountedTwice) ? 2 : 1;
  ++freed_;
}

void ExtentMap::AddLive(uint32_t block, uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& extent = extents_[geometry_.extent_of(block)];
  PLOGDB_ASSERT(extent.state == ExtentState::kOpen || extent.state == ExtentState::kSealed, "D10");
  ++extent.live_records;
  extent.live_bytes += bytes;
  live_bytes_ += bytes;
}

void ExtentMap::ReleaseLive(uint32_t block, uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& extent = extents_[geometry_.extent_of(block)];
  PLOGDB_ASSERT(extent.live_records > 0 && extent.live_bytes >= bytes, "D10");
  --extent.live_records;
  extent.live_bytes -= bytes;
  live_bytes_ -= bytes;
  MaybeFree(&extent);
}

void ExtentMap::RestoreLive(uint32_t extent, uint64_t records, uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& it = extents_[extent];
  PLOGDB_ASSERT(it.state == ExtentState::kOpen || it.state == ExtentState::kSealed, "D10");
  it.live_records = static_cast<uint32_t>(records);
  it.live_bytes = bytes;
  live_bytes_ += bytes;
}

void ExtentMap::PinForRead(uint32_t block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++extents_[geometry_.extent_of(block)].reads;
}

void ExtentMap::UnpinForRead(uint32_t block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& extent = extents_[geometry_.extent_of(block)];
  PLOGDB_ASSERT(extent.reads > 0, "D10");
  --extent.reads;
  MaybeFree(&extent);
}

// Each extent is filled until the next unit, with the directory that it carries along and the seal behind it, does not
// fit: so at most `waste` blocks of an extent stay unused. The summary's entries are promised in bytes; its trailer and
// what its last block leaves empty are part of the waste.
bool ExtentMap::Fits(const SpaceNeed& need) const {
  const uint64_t directory_cap = geometry_.extent_bytes / 8;
  const uint64_t directories =
      std::min(directory_cap, carried_directory_bytes_ + promised_directory_bytes_ + need.directory_bytes);
  const uint64_t waste =
      std::max(largest_unit_blocks_, need.largest_unit_blocks) + 2 * uint64_t{BlocksForStream(directories)} + 6;
  if (writable_ == 0) return false;
  const uint32_t reserved = need.only_deletions ? kReservedForDeletions : kReservedExtents;
  const uint64_t room = room_blocks_ > waste ? room_blocks_ - waste : 0;
  const uint64_t per_extent = geometry_.data_blocks() > waste ? geometry_.data_blocks() - waste : 0;
  const uint64_t capacity = free_ > reserved ? room + (free_ - reserved) * per_extent : 0;
  const uint64_t summaries = BlocksForStream(promised_summary_bytes_ + need.summary_bytes);
  return promised_blocks_ + need.blocks + summaries <= capacity;
}

bool ExtentMap::Reserve(const SpaceNeed& need) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!Fits(need)) return false;
  promised_blocks_ += need.blocks;
  promised_directory_bytes_ += need.directory_bytes;
  promised_summary_bytes_ += need.summary_bytes;
  promised_units_ += need.units;
  largest_unit_blocks_ = std::max(largest_unit_blocks_, need.largest_unit_blocks);
  return true;
}

void ExtentMap::Unreserve(const SpaceNeed& need) {
  const std::lock_guard<std::mutex> lock(mutex_);
  PLOGDB_ASSERT(promised_units_ >= need.units && promised_blocks_ >= need.blocks, "D12");
  promised_blocks_ -= need.blocks;
  promised_directory_bytes_ -= need.directory_bytes;
  promised_summary_bytes_ -= need.summary_bytes;
  promised_units_ -= need.units;
  if (promised_units_ == 0) largest_unit_blocks_ = 0;
}

void ExtentMap::SetRoom(uint32_t room_blocks, uint64_t carried_directory_bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  room_blocks_ = room_blocks;
  carried_directory_bytes_ = carried_directory_bytes;
}

// Full before anything is refused: callers ask first and hand over later, so what they may have decided to write by then
// (the largest record, and a batch of small ones) must still fit.
bool ExtentMap::IsFull() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  SpaceNeed ahead;
  ahead.largest_unit_blocks = geometry_.data_blocks() / 4;
  ahead.blocks = ahead.largest_unit_blocks + kAheadBytes / kBlockBytes;
  ahead.summary_bytes = kAheadBytes / 4;
  return !Fits(ahead);
}

ExtentTotals ExtentMap::Totals() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {live_bytes_, extents_.size() - free_, freed_};
}

}  // namespace plogdb
