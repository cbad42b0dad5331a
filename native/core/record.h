// A record as the rooms hand it to each other: what it says and where it lies. The index decides by these fields alone
// which records live (D5); the place never decides.
#ifndef PLOGDB_CORE_RECORD_H_
#define PLOGDB_CORE_RECORD_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "format.h"
#include "value_ref.h"

namespace plogdb {

// Where a record starts: block in the volume, offset in the block's payload.
struct RecordPlace {
  uint32_t block = 0;
  uint16_t offset = 0;

  bool operator==(const RecordPlace&) const = default;
};

// Which of two copies of one record was written later. Recovery alone must ask: everybody else knows one place of each.
class PlaceOrder {
 public:
  virtual ~PlaceOrder() = default;
  // False when they are one place.
  virtual bool Later(RecordPlace a, RecordPlace b) const = 0;
};

struct Record {
  RecordKind kind = RecordKind::kPut;
  bool corrupt = false;  // known by name only: its bytes are broken
  std::string_view key;
  uint64_t lsn = 0;
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t erased_below = 0;
  std::array<uint8_t, 64> header{};
  uint32_t value_bytes = 0;
  uint32_t head_bytes = 0;   // on disk, before the key; 0 when that is not known (a record that is only told)
  uint32_t payload_crc = 0;  // of key and value
  ValueRef value;
  RecordPlace place;
};

// On disk.
inline uint64_t RecordBytes(size_t head_bytes, size_t key_bytes, uint64_t value_bytes) {
  return head_bytes + key_bytes + value_bytes;
}
// At most.
inline uint64_t RecordBound(size_t key_bytes, uint64_t value_bytes) {
  return RecordBytes(kMaxRecordHeadBytes, key_bytes, value_bytes);
}
inline uint64_t RecordBytes(const Record& record) {
  return RecordBytes(record.head_bytes, record.key.size(), record.value_bytes);
}

}  // namespace plogdb

#endif  // PLOGDB_CORE_RECORD_H_
