// Accounting of extents. The promise of D12: whatever Reserve accepted will fit, however the writer packs it.
#include "extent_map.h"

#include <algorithm>

#include "assert.h"
#include "canary.h"

namespace plogdb {
namespace {

// What a record costs on disk beside its own bytes: its entries in a directory and in a summary, block headers.
constexpr uint64_t kRecordOverheadBytes = 64;
// Emptying an extent for less is not worth its cost, and may be no gain at all.
constexpr double kMinGain = 1.0 / 32;

constexpr uint64_t Footprint(uint64_t records, uint64_t bytes) { return bytes + records * kRecordOverheadBytes; }

constexpr uint32_t ReservedFor(SpaceClass space_class) {
  switch (space_class) {
    case SpaceClass::kOrdinary:
      return kReservedExtents;
    case SpaceClass::kSmall:
      return kReservedForDeletions;
    case SpaceClass::kDeletions:
      return kReservedForMerge;
    case SpaceClass::kMerge:
      return 0;
  }
  return kReservedExtents;
}

}  // namespace

// Few: what is kept free is taken from the dead space in which merge finds cheap victims.
ExtentMap::ExtentMap(const Geometry& geometry)
    : geometry_(geometry),
      wanted_free_(kReservedExtents + 1 + geometry.extents() / 64),
      extents_(geometry.extents()),
      free_(geometry.extents()),
      futile_limit_(2 * uint64_t{geometry.extents()}) {}

void ExtentMap::Restore(uint32_t extent, ExtentState state, bool pinned) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& it = extents_[extent];
  PLOGDB_ASSERT(it.state == ExtentState::kFree, "restored once");
  it.state = state;
  it.pinned = pinned;
  if (state == ExtentState::kOpen || state == ExtentState::kSealed) --free_;
  if (state == ExtentState::kOpen || state == ExtentState::kAnnounced) ++writable_;
}

void ExtentMap::SetLife(uint32_t extent, uint64_t life, uint64_t watermark) {
  const std::lock_guard<std::mutex> lock(mutex_);
  extents_[extent].life = life;
  extents_[extent].watermark = watermark;
}

bool ExtentMap::IsOpen(uint32_t extent) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return extents_[extent].state == ExtentState::kOpen;
}

ExtentLife ExtentMap::Life(uint32_t extent) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {extents_[extent].life, extents_[extent].watermark};
}

bool ExtentMap::IsSealed(uint32_t extent, uint64_t life) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return extents_[extent].state == ExtentState::kSealed && extents_[extent].life == life;
}

// The oldest life first, so that old leftovers do not stay for ever (D13).
uint32_t ExtentMap::Announce() {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint32_t best = kNoExtent;
  for (uint32_t extent = 0; extent < extents_.size(); ++extent) {
    if (extents_[extent].state != ExtentState::kFree) continue;
    const auto rank = [this](uint32_t at) { return extents_[at].life == 0 ? UINT64_MAX : extents_[at].life; };
    if (best == kNoExtent || rank(extent) < rank(best)) best = extent;
  }
  if (best == kNoExtent) return kNoExtent;
  extents_[best].state = ExtentState::kAnnounced;
  ++writable_;
  return best;
}

void ExtentMap::Open(uint32_t extent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& it = extents_[extent];
  PLOGDB_ASSERT(it.state == ExtentState::kAnnounced, "life cycle");
  if (!CanaryOn(Canary::kFreedWhileRead)) {
    PLOGDB_ASSERT(it.live_records == 0 && it.reads == 0, "D3");
  }
  it.state = ExtentState::kOpen;
  it.stuck_at = 0;
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

bool ExtentMap::MaybeFree(Extent* extent) {
  const bool read = extent->reads > 0 && !CanaryOn(Canary::kFreedWhileRead);
  if (extent->state != ExtentState::kSealed || extent->live_records > 0 || read || extent->pinned) return false;
  extent->state = ExtentState::kFree;
  free_ += CanaryOn(Canary::kFreeCountedTwice) ? 2 : 1;
  ++freed_;
  return true;
}

void ExtentMap::AddLive(const LiveChange& change) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& extent = extents_[change.extent];
  PLOGDB_ASSERT(extent.state == ExtentState::kOpen || extent.state == ExtentState::kSealed, "D10");
  extent.live_records += change.records;
  extent.live_bytes += change.bytes;
  live_bytes_ += change.bytes;
  live_records_ += change.records;
}

bool ExtentMap::ReleaseLive(const LiveChange& change) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& extent = extents_[change.extent];
  PLOGDB_ASSERT(extent.live_records >= change.records && extent.live_bytes >= change.bytes, "D10");
  extent.live_records -= change.records;
  extent.live_bytes -= change.bytes;
  live_bytes_ -= change.bytes;
  live_records_ -= change.records;
  return MaybeFree(&extent);
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
  const uint32_t reserved = ReservedFor(need.space_class);
  const uint64_t room = room_blocks_ > waste ? room_blocks_ - waste : 0;
  const uint64_t per_extent = geometry_.data_blocks() > waste ? geometry_.data_blocks() - waste : 0;
  // Merge may fill the open extent to its end: what it empties is what comes next.
  if (free_ <= reserved && need.space_class != SpaceClass::kMerge) return false;
  const uint64_t capacity = room + (free_ - reserved) * per_extent;
  const uint64_t summaries = BlocksForStream(promised_summary_bytes_ + need.summary_bytes);
  return promised_blocks_ + need.blocks + summaries <= capacity;
}

bool ExtentMap::Reserve(const SpaceNeed& need) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!Fits(need)) return false;
  if (need.space_class != SpaceClass::kMerge) futile_ = 0;
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

bool ExtentMap::FitsAhead(uint32_t unit_blocks, uint64_t bytes) const {
  SpaceNeed ahead;
  ahead.largest_unit_blocks = unit_blocks;
  ahead.blocks = unit_blocks + bytes / kBlockBytes;
  ahead.summary_bytes = bytes / 4;
  return Fits(ahead);
}

bool ExtentMap::FitsManyAhead() const {
  const uint64_t bytes = std::min(kAheadBytes, geometry_.volume_bytes / kLeastExtents);  // less in simulations only
  return FitsAhead(geometry_.data_blocks() / 4, bytes);
}

// Full before anything is refused: callers ask first and hand over later, so what they may have decided to write by then
// (the largest record, and a batch of small ones) must still fit, now or after merge made room.
bool ExtentMap::IsFull() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return (!FitsManyAhead() || IsShortLocked()) && !CanReclaimLocked();
}

// Two of the largest records of one key, and what else a caller that asks before every batch hands over at once.
bool ExtentMap::IsShortLocked() const { return !FitsAhead(geometry_.data_blocks() / 2, geometry_.extent_bytes / 16); }

bool ExtentMap::IsShort() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return IsShortLocked();
}

double ExtentMap::Share(uint64_t records, uint64_t bytes) const {
  return std::min(1.0, static_cast<double>(Footprint(records, bytes)) / static_cast<double>(geometry_.extent_bytes));
}

// Share of an extent that is won by writing what lives in it once more, close together. At the end of an extent as much
// stays empty as a record is long: that cannot be won.
double ExtentMap::Gain(const Extent& extent) const {
  const uint64_t tail = extent.live_records == 0 ? 0 : extent.live_bytes / extent.live_records;
  return 1 - Share(extent.live_records, extent.live_bytes + tail);
}

bool ExtentMap::Gains(const Extent& extent) const {
  if (extent.state != ExtentState::kSealed || extent.pinned || extent.live_records == 0) return false;
  const bool stuck = extent.stuck_at != 0 && extent.live_records + 1 >= extent.stuck_at;
  return !stuck && Gain(extent) > kMinGain;
}

void ExtentMap::NoteDead(uint64_t records, uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  died_bytes_ += Footprint(records, bytes);
  if (died_bytes_ < geometry_.extent_bytes / 4) return;
  died_bytes_ = 0;
  futile_ = 0;
  futile_limit_ = 2 * extents_.size();
}

void ExtentMap::NoteRefused() {
  const std::lock_guard<std::mutex> lock(mutex_);
  futile_limit_ /= 2;
}

bool ExtentMap::CanReclaimLocked() const {
  if (writable_ == 0 || Futile()) return false;
  // What is dead and still read will be free soon.
  return victims_ > 0 || std::any_of(extents_.begin(), extents_.end(), [this](const Extent& it) {
           const bool read = it.state == ExtentState::kSealed && it.live_records == 0 && !it.pinned;
           return read || Gains(it);
         });
}

bool ExtentMap::CanReclaim() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return CanReclaimLocked();
}

bool ExtentMap::CouldFit(const SpaceNeed& need) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Fits(need)) return true;
  // Larger than all that there is: no merge will help.
  const uint64_t usable = (extents_.size() - kReservedExtents) * uint64_t{geometry_.data_blocks()};
  return CanReclaimLocked() && need.blocks < usable;
}

// In sealed extents: what merge could win.
uint64_t ExtentMap::DeadBytesLocked() const {
  uint64_t dead = 0;
  for (const Extent& extent : extents_) {
    if (extent.state != ExtentState::kSealed || extent.pinned) continue;
    dead += static_cast<uint64_t>(Gain(extent) * static_cast<double>(geometry_.extent_bytes));
  }
  return dead;
}

uint32_t ExtentMap::Deficit() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  // While callers may have to wait, or soon will, merge goes on, whatever is free, as long as an extent can be won.
  const bool tight = !FitsManyAhead() || IsShortLocked();
  const uint32_t least = tight && DeadBytesLocked() >= geometry_.extent_bytes ? 1 : 0;
  return std::max(least, free_ < wanted_free_ ? wanted_free_ - free_ : 0);
}

SpaceLevel ExtentMap::Level() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!FitsManyAhead() || IsShortLocked()) return CanReclaimLocked() ? SpaceLevel::kHard : SpaceLevel::kFull;
  return free_ < wanted_free_ ? SpaceLevel::kSoft : SpaceLevel::kPlenty;
}

// Cost and benefit of log-structured stores: what is gained, times how long it has been at rest, over what is read and
// written again. Age is counted in lives: how many extents were opened since.
Victim ExtentMap::PickVictim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (writable_ == 0 || Futile()) return {};
  uint64_t newest = 1;
  for (const Extent& extent : extents_) newest = std::max(newest, extent.life);
  Victim best;
  double best_score = -1;
  for (uint32_t extent = 0; extent < extents_.size(); ++extent) {
    const Extent& it = extents_[extent];
    if (!Gains(it) || it.reads > 0) continue;
    const double live = LiveShare(it);
    const double age = 1 + static_cast<double>(newest - it.life) / geometry_.extent_blocks();
    const double score = Gain(it) * age / (1 + live);
    if (score <= best_score) continue;
    best_score = score;
    best = {extent, live};
  }
  if (best.extent != kNoExtent) {
    ++extents_[best.extent].reads;
    ++victims_;
  }
  return best;
}

void ExtentMap::EndVictim(uint32_t extent, bool stuck) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& it = extents_[extent];
  PLOGDB_ASSERT(it.reads > 0 && victims_ > 0, "D10");
  --it.reads;
  --victims_;
  ++futile_;
  if (stuck) it.stuck_at = it.live_records + 1;
  MaybeFree(&it);
}

uint32_t ExtentMap::LiveRecords(uint32_t extent) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return extents_[extent].live_records;
}

bool ExtentMap::HoldIfWritten(uint32_t extent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Extent& it = extents_[extent];
  if (it.live_records == 0 || (it.state != ExtentState::kSealed && it.state != ExtentState::kOpen)) return false;
  ++it.reads;
  return true;
}

uint64_t ExtentMap::OldestWatermark() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t oldest = UINT64_MAX;
  for (const Extent& extent : extents_) {
    // Of the first run of an extent that was never written, nothing is known before it is durable.
    if (extent.life == 0 && extent.state == ExtentState::kOpen) return 0;
    if (extent.life != 0) oldest = std::min(oldest, extent.watermark);
  }
  return oldest;
}

ExtentTotals ExtentMap::Totals() const {
  ExtentTotals totals;
  totals.level = Level();
  const std::lock_guard<std::mutex> lock(mutex_);
  totals.live_bytes = Footprint(live_records_, live_bytes_);
  totals.used_extents = extents_.size() - free_;
  totals.free_extents = free_;
  totals.freed = freed_;
  const uint64_t data_bytes = uint64_t{geometry_.data_blocks()} * kPayloadBytes;
  totals.usable_bytes = (extents_.size() - kReservedExtents) * data_bytes;
  for (const Extent& extent : extents_) {
    if (extent.pinned) ++totals.kept_extents;
    if (extent.state != ExtentState::kSealed || extent.pinned) continue;
    totals.dead_bytes += data_bytes - std::min(data_bytes, Footprint(extent.live_records, extent.live_bytes));
  }
  return totals;
}

}  // namespace plogdb
