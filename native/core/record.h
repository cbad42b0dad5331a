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
  ValueRef value;
  RecordPlace place;
};

inline uint64_t RecordBytes(size_t key_bytes, uint64_t value_bytes) {
  return sizeof(RecordHead) + key_bytes + value_bytes;
}

}  // namespace plogdb

#endif  // PLOGDB_CORE_RECORD_H_
