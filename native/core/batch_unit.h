// A piece of a batch that must lie in one run of one volume (D6): all operations of its keys, copied from the caller.
#ifndef PLOGDB_CORE_BATCH_UNIT_H_
#define PLOGDB_CORE_BATCH_UNIT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "extent_map.h"
#include "record.h"
#include "store.h"

namespace plogdb {

struct BatchState;

struct UnitOp {
  OpKind kind = OpKind::kPut;
  bool written = false;  // part of the run; else a mark, or skipped as out of date
  uint32_t key_offset = 0;
  uint32_t key_bytes = 0;
  uint64_t hash = 0;
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t erased_below = 0;
  uint32_t erased_in_run = 0;  // 1 + ordinal of a deletion of the key in the same run, or 0
  uint64_t lsn = 0;
  RecordPlace place;
  uint32_t head_bytes = 0;   // on disk
  uint32_t payload_crc = 0;  // of key and value
  std::array<uint8_t, kHeaderBytes> header{};
  ValueRef value;
};

struct BatchUnit {
  std::shared_ptr<BatchState> batch;
  std::vector<UnitOp> ops;
  std::vector<uint8_t> keys;  // one after the other
  uint64_t record_bytes = 0;  // at most
  uint64_t directory_bytes = 0;
  uint64_t summary_bytes = 0;  // at most
  bool writes = false;  // has a put or a deletion
  SpaceNeed need;       // what was reserved for it

  std::span<const uint8_t> KeyOf(const UnitOp& op) const {
    return std::span(keys).subspan(op.key_offset, op.key_bytes);
  }
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_BATCH_UNIT_H_
