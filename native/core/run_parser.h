// Takes apart what run_builder laid out: the stream of a run, its head, its records. Every length is checked; what does
// not fit yields nothing. Used by recovery and by readers.
#ifndef PLOGDB_CORE_RUN_PARSER_H_
#define PLOGDB_CORE_RUN_PARSER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format.h"
#include "record.h"

namespace plogdb {

struct RunView {
  RunHead head;
  std::vector<RunMark> marks;
  std::span<const uint8_t> directory;
  uint64_t records_at = 0;  // in the stream
};

// `stream` may be cut short (a broken run): the head, the marks and the directory must be whole.
std::optional<RunView> ParseRunHead(std::span<const uint8_t> stream, size_t volumes);

struct ParsedRecord {
  RecordFields fields;
  uint32_t head_bytes = 0;
  uint32_t value_bytes = 0;
  uint32_t payload_crc = 0;
  std::span<const uint8_t> key;
  std::span<const uint8_t> value;  // empty when it is not whole
  uint64_t offset = 0;             // in the stream
  bool intact = false;             // whole, and the checksum fits
  bool whole = false;

  uint64_t end() const { return offset + RecordBytes(head_bytes, key.size(), value_bytes); }
  Record ToRecord() const;
};

// Empty when not even head and key are there, or they make no sense.
std::optional<ParsedRecord> ParseRecord(std::span<const uint8_t> stream, uint64_t offset);

}  // namespace plogdb

#endif  // PLOGDB_CORE_RUN_PARSER_H_
