// How a batch is cut into units that each lie in one run of one volume (D6), and what room they need in the worst case
// (D12). Everything is copied here, on the caller's thread, checksums included.
#include <algorithm>
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

void StoreImpl::AddToUnit(const BatchOp& op, uint64_t hash, BatchUnit* unit) {
  const UnitOpKind kind = op.kind == OpKind::kPut    ? UnitOpKind::kPut
                          : op.kind == OpKind::kMark ? UnitOpKind::kMark
                                                     : UnitOpKind::kDrop;
  UnitOp* copy = unit->Add(kind, op.key, hash, op.header);
  switch (kind) {
    case UnitOpKind::kMark:
      copy->position = op.position;
      copy->decided = op.floor == op.position;
      return;
    case UnitOpKind::kDrop:
      copy->record = RecordKind::kDrop;
      break;
    default:
      copy->position = op.position;
      copy->floor = op.floor;
      copy->value = ValueRef::Copy(op.value);
      break;
  }
  copy->payload_crc = PayloadCrc(op.key, copy->value.bytes());
  unit->CountWritten(*copy);
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
    if (split->units[volume].empty()) {
      split->units[volume].emplace_back();
      split->units[volume].back().ops.reserve(ops.size());
    }
    AddToUnit(ops[i], hashes[i], &split->units[volume].back());
  }
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    if (bytes[volume] <= MaxSharedUnitBytes(volumes_[volume]->geometry)) continue;
    const StatusCode code = GroupByKey(ops, hashes, volume, split);
    if (code != StatusCode::kOk) return code;
  }
  const bool only_small = std::none_of(ops.begin(), ops.end(), [](const BatchOp& op) {
    return op.kind == OpKind::kPut && op.value.size() > kSmallValueBytes;
  });
  const bool no_puts =
      std::none_of(ops.begin(), ops.end(), [](const BatchOp& op) { return op.kind == OpKind::kPut; });
  const SpaceClass space_class = no_puts          ? SpaceClass::kDeletions
                                 : only_small ? SpaceClass::kSmall
                                                  : SpaceClass::kOrdinary;
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    SpaceNeed& sum = split->need[volume];
    sum = SpaceNeed{0, 0, 0, 0, 0, space_class};
    for (BatchUnit& unit : split->units[volume]) {
      if (!unit.writes) continue;
      unit.need = unit.Need(space_class);
      sum.blocks += unit.need.blocks;
      sum.largest_unit_blocks = std::max(sum.largest_unit_blocks, unit.need.largest_unit_blocks);
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

}  // namespace plogdb
