// A piece of a batch that must lie in one run of one volume (D6): all operations of its keys, copied from the caller; or
// a handful of records that merge copies forward. The writer fills in what it decides.
#ifndef PLOGDB_CORE_BATCH_UNIT_H_
#define PLOGDB_CORE_BATCH_UNIT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "extent_map.h"
#include "record.h"
#include "store.h"
#include "summary.h"

namespace plogdb {

struct BatchState;

// The caller's three, then merge's two: a live record as it is, and a decided record written anew with the header that it
// has in memory and nothing below it (D5).
enum class UnitOpKind : uint8_t { kPut, kMark, kDrop, kCopy, kRewrite };

struct UnitOp {
  UnitOpKind kind = UnitOpKind::kPut;
  RecordKind record = RecordKind::kPut;
  bool decided = false;  // mark: what lies below its position is no longer needed
  bool written = false;  // part of the run; else a mark, or skipped as out of date
  uint32_t key_at = 0;   // in the unit's bytes, behind the header
  uint32_t key_bytes = 0;
  uint32_t head_bytes = 0;     // on disk
  uint32_t payload_crc = 0;    // of key and value
  uint32_t erased_in_run = 0;  // 1 + ordinal of a deletion of the key in the same run, or 0
  RecordPlace place;
  RecordPlace from;  // copy: where it lay
  uint64_t hash = 0;
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t erased_below = 0;
  uint64_t lsn = 0;  // copy: its own, kept; rewrite: that of the record it replaces, until it gets a new one
  uint64_t replaces = 0;  // rewrite: that LSN
  ValueRef value;
};

struct BatchUnit {
  std::shared_ptr<BatchState> batch;  // null: merge's
  std::vector<UnitOp> ops;
  std::vector<uint8_t> bytes;  // per operation a header of kHeaderBytes, then the key
  uint64_t record_bytes = 0;   // at most
  uint64_t directory_bytes = 0;
  uint64_t summary_bytes = 0;
  bool writes = false;  // has anything but marks
  SpaceNeed need;       // what was reserved for it

  std::span<const uint8_t> KeyOf(const UnitOp& op) const { return std::span(bytes).subspan(op.key_at, op.key_bytes); }
  std::span<const uint8_t, kHeaderBytes> HeaderOf(const UnitOp& op) const {
    return std::span<const uint8_t, kHeaderBytes>(bytes.data() + op.key_at - kHeaderBytes, kHeaderBytes);
  }
  std::span<uint8_t> MutableHeaderOf(const UnitOp& op) {
    return std::span(bytes).subspan(op.key_at - kHeaderBytes, kHeaderBytes);
  }

  // Appends an operation with its header (or none) and key; the rest of it is the caller's to fill in.
  UnitOp* Add(UnitOpKind kind, std::span<const uint8_t> key, uint64_t hash, std::span<const uint8_t> header) {
    UnitOp& op = ops.emplace_back();
    op.kind = kind;
    op.hash = hash;
    op.key_bytes = static_cast<uint32_t>(key.size());
    op.key_at = static_cast<uint32_t>(bytes.size() + kHeaderBytes);
    if (header.empty()) {
      bytes.resize(bytes.size() + kHeaderBytes, 0);
    } else {
      bytes.insert(bytes.end(), header.begin(), header.end());
    }
    bytes.insert(bytes.end(), key.begin(), key.end());
    return &op;
  }

  // What it needs of its volume in the worst case, its entries in the extent's summary included.
  SpaceNeed Need(SpaceClass space_class) const {
    const uint64_t blocks = BlocksForStream(record_bytes + directory_bytes) + 1;
    const uint64_t with_summary = blocks + BlocksForStream(summary_bytes) + 1;
    return {blocks, with_summary, directory_bytes, summary_bytes, 1, space_class};
  }

  // Counts what the operation writes at most.
  void CountWritten(const UnitOp& op) {
    writes = true;
    record_bytes += RecordBound(op.key_bytes, op.value.size());
    directory_bytes += DirectoryEntryBound(op.key_bytes);
    summary_bytes += SummaryEntryBound(op.key_bytes);
  }
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_BATCH_UNIT_H_
