// A run is durable: the index takes its records in, what they replaced is dead, and whoever waits is told (D5, D6).
#include <utility>

#include "assert.h"
#include "canary.h"
#include "writer.h"

namespace plogdb {

RecordFields FieldsOf(const BatchUnit& unit, const UnitOp& op) {
  RecordFields fields{op.record, op.lsn, op.position, op.floor, op.erased_below, {}};
  const auto header = unit.HeaderOf(op);
  std::copy(header.begin(), header.end(), fields.header.begin());
  return fields;
}

namespace {

Record RecordOf(const BatchUnit& unit, const UnitOp& op) {
  Record record;
  record.kind = op.record;
  record.key = AsText(unit.KeyOf(op));
  record.lsn = op.lsn;
  record.position = op.position;
  record.floor = op.floor;
  record.erased_below = op.erased_below;
  const auto header = unit.HeaderOf(op);
  std::copy(header.begin(), header.end(), record.header.begin());
  record.value_bytes = static_cast<uint32_t>(op.value.size());
  record.place = op.place;
  record.head_bytes = op.head_bytes;
  record.payload_crc = op.payload_crc;
  return record;
}

}  // namespace

// Gathered per extent, and released when the whole run was taken in: one lock for many records.
void VolumeWriter::Released(RecordPlace place, uint64_t bytes) {
  const uint32_t extent = geometry_.extent_of(place.block);
  for (LiveChange& change : released_) {
    if (change.extent != extent) continue;
    ++change.records;
    change.bytes += bytes;
    return;
  }
  released_.push_back({extent, 1, bytes});
}

void VolumeWriter::ApplyCopy(const BatchUnit& unit, const UnitOp& op) {
  const auto key = unit.KeyOf(op);
  summaries_.AddRecord(RecordOf(unit, op));
  uint32_t head_bytes = op.head_bytes;
  const bool moved = shared_->index->Relocate(key, op.hash, op.lsn, op.from, op.place, &head_bytes);
  Released(moved ? op.from : op.place, RecordBytes(head_bytes, key.size(), op.value.size()));
}

void VolumeWriter::ApplyOp(BatchUnit* unit, UnitOp* op) {
  const auto key = unit->KeyOf(*op);
  Record record = RecordOf(*unit, *op);
  record.value = std::move(op->value);
  summaries_.AddRecord(record);
  if (op->kind == UnitOpKind::kRewrite) {
    // A mark that came since the run was composed stays, in memory, as marks do.
    const Verdict verdict = shared_->index->Judge(key, op->hash, op->replaces, op->from, false);
    if (verdict.live) record.header = verdict.slot.header;
  }
  DeadRecords dead;
  // What merge writes anew was not asked for by anybody: it takes no room from what was.
  shared_->index->Apply(record, op->hash, op->kind != UnitOpKind::kRewrite, &dead);
  for (uint32_t i = 0; i < dead.count; ++i) {
    Released(dead.record[i].place, dead.record[i].bytes);
    ++died_records_;
    died_bytes_ += dead.record[i].bytes;
  }
}

void VolumeWriter::ApplyUnits(Run* run) {
  LiveChange added;
  for (const BatchUnit& unit : run->units) {
    for (const UnitOp& op : unit.ops) {
      if (!op.written) continue;
      ++added.records;
      added.bytes += RecordBytes(op.head_bytes, op.key_bytes, op.value.size());
    }
  }
  // Before the index shows them: whoever reads finds their extent in use.
  if (added.records > 0) {
    added.extent = geometry_.extent_of(run->found.mark.block);
    extents_->AddLive(added);
  }
  for (BatchUnit& unit : run->units) {
    for (UnitOp& op : unit.ops) {
      if (op.kind == UnitOpKind::kMark) {
        shared_->index->SetHeader(unit.KeyOf(op), op.hash, op.position, unit.HeaderOf(op), op.decided);
      } else if (op.written && op.kind == UnitOpKind::kCopy) {
        ApplyCopy(unit, op);
      } else if (op.written) {
        ApplyOp(&unit, &op);
      }
    }
  }
  for (const LiveChange& change : released_) room_changed_ |= extents_->ReleaseLive(change);
  released_.clear();
  if (died_records_ > 0) extents_->NoteDead(std::exchange(died_records_, 0), std::exchange(died_bytes_, 0));
}

void VolumeWriter::EndUnits(Run* run, StatusCode status) {
  std::vector<std::shared_ptr<BatchState>> batches;
  batches.reserve(run->units.size());
  for (BatchUnit& unit : run->units) {
    if (unit.writes) extents_->Unreserve(unit.need);
    if (unit.batch != nullptr) {
      batches.push_back(std::move(unit.batch));
    } else {
      copies_waiting_.fetch_sub(unit.record_bytes, std::memory_order_release);
    }
  }
  run->keys.Clear(0);
  run->units.clear();
  if (!batches.empty()) shared_->completions->EndParts(batches, status);
}

}  // namespace plogdb
