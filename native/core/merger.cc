// Merge, step by step.
#include "merger.h"

#include <algorithm>
#include <utility>

#include "assert.h"
#include "canary.h"
#include "read_around.h"

namespace plogdb {
namespace {

constexpr uint64_t kUnitBytes = 8 << 10;  // copies handed to the writer in one piece
constexpr uint64_t kChunkBytes = 256 << 10;
// On a disk that seeks, reading more at once costs callers less in all: they wait for fewer seeks.
constexpr uint64_t kSeekingChunkBytes = uint64_t{8} << 20;
constexpr uint64_t kSeekingFlushUs = 2'000;
// Whoever walks the index looks at every key for each extent: with too many extents reading is cheaper.
constexpr uint32_t kMaxWalkedExtents = 512;
constexpr uint64_t kWalkEntries = 4096;      // looked at in one step
constexpr uint32_t kReadsBeforeWalk = 16;    // after memory had too little
constexpr uint32_t kMostUnreadable = 16;     // blocks of a chunk; what lies behind them stays where it is
constexpr uint64_t kIdleUs = 100'000;  // callers that wrote nothing for so long are idle
constexpr uint64_t kPollUs = 5'000;

}  // namespace

void Merger::SetOptions(const MergeOptions& options, uint64_t now_us) {
  bytes_.SetRate(options.bytes_per_second);
  operations_.SetRate(options.operations_per_second);
  if (last_caller_us_ == 0) last_caller_us_ = now_us;
}

uint64_t Merger::ChunkBytes() const {
  const bool seeks = writer_->stats().flush_us > kSeekingFlushUs;
  return std::min(seeks ? kSeekingChunkBytes : kChunkBytes, geometry_.extent_bytes / 4);
}

// Callers' bytes pay for the reading that makes as much room again, and more the less room is left.
void Merger::Earn(uint64_t now_us) {
  const WriterStats writer = writer_->stats();
  const uint64_t callers = writer.caller_bytes;
  if (callers > callers_bytes_) {
    const double wrote = static_cast<double>(callers - callers_bytes_);
    const double missing = static_cast<double>(extents_->Deficit()) / extents_->wanted_free();
    earned_ += wrote / std::max(1.0 / 16, 1 - source_.live) * (1 + missing);
    last_caller_us_ = now_us;
  }
  callers_bytes_ = callers;
  earned_ = std::min(earned_, 2 * static_cast<double>(std::max(2 * ChunkBytes(), geometry_.extent_bytes)));
}

bool Merger::MayGo(uint64_t chunk, uint64_t now_us, bool urgent, uint64_t* due_us) {
  Earn(now_us);
  if (urgent) {
    bytes_.Charge(chunk);
    operations_.Charge(1);
    return true;
  }
  const bool idle = now_us >= last_caller_us_ + kIdleUs;
  if (!idle && earned_ < static_cast<double>(chunk)) {
    *due_us = now_us + kPollUs;
    return false;
  }
  if (!operations_.Take(1, now_us, due_us) || !bytes_.Take(chunk, now_us, due_us)) return false;
  return true;
}

uint64_t Merger::OldestWatermark() const {
  return CanaryOn(Canary::kMarkerDroppedEarly) ? UINT64_MAX : extents_->OldestWatermark();
}

void Merger::ForgetMarker(std::string_view key, uint64_t lsn) {
  DeadRecords dead;
  if (!index_->EraseMarker(AsBytes(key), KeyHash(AsBytes(key)), lsn, &dead)) return;
  for (uint32_t i = 0; i < dead.count; ++i) extents_->ReleaseLive(dead.record[i].place.block, dead.record[i].bytes);
  ++stats_.markers;
}

// What lives goes to the writer: as it is, or, when it was marked as decided, anew and without what lies below (D5). A
// deletion that hides nothing any more is forgotten (D13).
void Merger::Take(const ParsedRecord& record, RecordPlace place) {
  if (!record.intact || geometry_.extent_of(place.block) != source_.extent) return;
  const uint64_t hash = KeyHash(record.key);
  const Verdict verdict = index_->Judge(record.key, hash, record.fields.lsn, place, true);
  if (!verdict.live || verdict.corrupt) return;
  if (verdict.marker && record.fields.lsn <= oldest_watermark_) {
    ForgetMarker(AsText(record.key), record.fields.lsn);
    return;
  }
  const std::string_view key = AsText(record.key);
  if (verdict.undercut() && verdict.upper_value.present()) {
    (void)Add(UnitOpKind::kRewrite, key, hash, verdict.upper, verdict.upper_value);
    return;
  }
  Slot slot = verdict.slot;
  slot.header = record.fields.header;
  const UnitOpKind kind = verdict.decided() ? UnitOpKind::kRewrite : UnitOpKind::kCopy;
  UnitOp* op = Add(kind, key, hash, slot, ValueRef::Copy(record.value));
  op->record = record.fields.kind;
  op->erased_below = record.fields.erased_below;
}

UnitOp* Merger::Add(UnitOpKind kind, std::string_view key, uint64_t hash, const Slot& slot, ValueRef value) {
  if (found_.empty() || found_.back().record_bytes > kUnitBytes) found_.emplace_back();
  BatchUnit& unit = found_.back();
  UnitOp* op = unit.Add(kind, AsBytes(key), hash, slot.header);
  op->payload_crc = PayloadCrc(AsBytes(key), value.bytes());
  op->from = slot.place;
  op->position = slot.position;
  op->floor = kind == UnitOpKind::kRewrite ? slot.position : slot.floor;
  op->lsn = slot.lsn;
  op->value = std::move(value);
  unit.CountWritten(*op);
  return op;
}

// As Take, of what is in memory: the record as the index has it is the record. Under a lock of the index: asks nothing.
void Merger::TakeFromIndex(const KeyEntry& entry) {
  const auto here = [this](RecordPlace place) { return geometry_.extent_of(place.block) == source_.extent; };
  if (VolumeOfKey(entry.hash, volumes_) != volume_) return;
  if (entry.marker && here(entry.marker_place) && !entry.marker_corrupt) {
    if (entry.erased_below <= oldest_watermark_) {
      markers_.emplace_back(entry.key, entry.erased_below);
      return;
    }
    Slot slot;
    slot.place = entry.marker_place;
    slot.lsn = entry.erased_below;
    Add(UnitOpKind::kCopy, entry.key, entry.hash, slot, ValueRef::Allocate(0))->record = RecordKind::kDrop;
  }
  const bool decided = entry.slots == 2 && entry.slot[1].decided && !entry.slot[1].corrupt;
  bool rewritten = false;
  for (uint32_t i = 0; i < entry.slots; ++i) {
    if (!here(entry.slot[i].place) || entry.slot[i].corrupt || rewritten) continue;
    const bool upper_serves = decided && entry.slot[1].cached != nullptr;
    const Slot& slot = entry.slot[upper_serves ? 1 : i];
    if (slot.cached == nullptr) {
      ++walked_uncached_;
      continue;
    }
    ++walked_cached_;
    rewritten = upper_serves;
    const UnitOpKind kind = upper_serves ? UnitOpKind::kRewrite : UnitOpKind::kCopy;
    Add(kind, entry.key, entry.hash, slot, ValueRef::Of(slot.cached))->erased_below = entry.erased_below;
  }
}

// A disk that seeks is left alone where memory has what is needed.
bool Merger::WalkPays() const {
  const bool seeks = writer_->stats().flush_us > kSeekingFlushUs;
  return seeks && geometry_.extents() <= kMaxWalkedExtents && reads_before_walk_ == 0;
}

void Merger::WalkIndex() {
  oldest_watermark_ = OldestWatermark();
  cursor_ = index_->VisitSome(cursor_, kWalkEntries, [this](const KeyEntry& entry) { TakeFromIndex(entry); });
  for (const auto& [key, lsn] : markers_) ForgetMarker(key, lsn);
  markers_.clear();
  if (cursor_ != kIterationEnd) return;
  walking_ = false;
  if (walked_uncached_ * 8 > walked_cached_) reads_before_walk_ = kReadsBeforeWalk;
}

void Merger::ReadChunk() {
  const uint32_t end = geometry_.end_block(source_.extent);
  const uint32_t blocks = std::min(static_cast<uint32_t>(ChunkBytes() / kBlockBytes), end - next_block_);
  const size_t bytes = size_t{blocks} * kBlockBytes;
  buffer_.Reserve(bytes);
  const uint64_t offset = uint64_t{next_block_} * kBlockBytes;
  stats_.bytes_read += bytes;
  earned_ = std::max(0.0, earned_ - static_cast<double>(bytes));
  oldest_watermark_ = OldestWatermark();
  if (!device_->Read(offset, buffer_.first(bytes)).ok()) {
    (void)ReadAround(device_, offset, buffer_.first(bytes), kMostUnreadable);
  }
  for (uint32_t i = 0; i < blocks; ++i) {
    const auto block = std::span<const uint8_t>(buffer_.first(bytes)).subspan(size_t{i} * kBlockBytes, kBlockBytes);
    walker_.Take(next_block_ + i, block,
                 [this](const ParsedRecord& record, RecordPlace place) { Take(record, place); });
  }
  next_block_ += blocks;
}

// False when the writer takes no more: for want of room, or because the store failed.
bool Merger::HandOver() {
  while (!found_.empty()) {
    BatchUnit& unit = found_.front();
    unit.need = unit.Need(SpaceClass::kMerge);
    const SpaceNeed need = unit.need;
    if (!extents_->Reserve(need)) return false;
    if (!writer_->EnqueueCopies(std::move(unit))) {
      extents_->Unreserve(need);
      found_.clear();
      return false;
    }
    found_.pop_front();
  }
  return true;
}

// Everything was read, and every copy is durable. What still lives here was written meanwhile, or could not be moved.
void Merger::End() {
  const uint32_t extent = source_.extent;
  const bool left = extents_->LiveRecords(extent) > 0;
  if (left && !second_look_) {
    second_look_ = true;
    next_block_ = geometry_.first_data_block(extent);
    walker_.Forget();
    return;
  }
  ++(left ? stats_.stuck : stats_.extents);
  stats_.from_memory += second_look_ || read_any_ ? 0 : 1;
  if (left) damaged_ = extent;
  source_ = Victim{};
  extents_->EndVictim(extent, left);
}

void Merger::Abandon() {
  found_.clear();
  ++stats_.stuck;
  walking_ = false;
  // It may be tried again when there is more room, as long as merge has credit.
  extents_->EndVictim(std::exchange(source_, Victim{}).extent, false);
}

void Merger::Stop() {
  found_.clear();
  if (source_.extent == kNoExtent) return;
  extents_->EndVictim(std::exchange(source_, Victim{}).extent, false);
}

bool Merger::Begin(uint64_t now_us, bool urgent, bool waiting, uint64_t* due_us) {
  if (extents_->Deficit() == 0 && !waiting) return false;
  const bool walks = WalkPays();
  if (walks && !MayGo(geometry_.extent_bytes, now_us, urgent, due_us)) return false;
  source_ = extents_->PickVictim();
  if (source_.extent == kNoExtent) return false;
  if (reads_before_walk_ > 0) --reads_before_walk_;
  walker_.Forget();
  second_look_ = false;
  read_any_ = !walks;
  walking_ = walks;
  cursor_ = 0;
  walked_cached_ = 0;
  walked_uncached_ = 0;
  next_block_ = walks ? geometry_.end_block(source_.extent) : geometry_.first_data_block(source_.extent);
  if (walks) earned_ = std::max(0.0, earned_ - static_cast<double>(geometry_.extent_bytes));
  return true;
}

bool Merger::Step(uint64_t now_us, bool allowed, bool waiting, uint64_t* due_us) {
  *due_us = UINT64_MAX;
  if (!found_.empty()) {
    if (HandOver()) return true;
    // What is on its way may make room; if nothing is, this victim needs more than there is.
    if (writer_->copies_waiting() == 0) Abandon();
    return source_.extent == kNoExtent;
  }
  const bool urgent = waiting || extents_->IsShort() || extents_->Level() == SpaceLevel::kHard;
  writer_->SetUrgent(urgent);
  if (!allowed && !urgent) return false;
  if (source_.extent == kNoExtent && !Begin(now_us, urgent, waiting, due_us)) return false;
  if (extents_->LiveRecords(source_.extent) == 0) {
    next_block_ = geometry_.end_block(source_.extent);
    walking_ = false;
  }
  const bool all_taken = next_block_ == geometry_.end_block(source_.extent) && !walking_;
  const uint64_t waiting_bytes = writer_->copies_waiting();
  if (all_taken || waiting_bytes > ChunkBytes()) {
    // The writer says when it took them.
    if (waiting_bytes > 0) return false;
    End();
    return true;
  }
  if (walking_) {
    WalkIndex();
  } else {
    if (!MayGo(ChunkBytes(), now_us, urgent, due_us)) return false;
    ReadChunk();
  }
  (void)HandOver();
  return true;
}

}  // namespace plogdb
