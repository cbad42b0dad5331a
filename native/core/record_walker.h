// Walks over the blocks of an extent in order and finds the records in them, chunk by chunk, without holding the extent
// in memory: what a chunk cuts off is carried to the next one. For merge and scrub, which know from the index what should
// be there; what a crash left is recovery's business.
#ifndef PLOGDB_CORE_RECORD_WALKER_H_
#define PLOGDB_CORE_RECORD_WALKER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "format.h"
#include "record.h"
#include "run_parser.h"

namespace plogdb {

// One thread.
class RecordWalker {
 public:
  RecordWalker(const StoreId& store_id, uint32_t volume) : store_id_(store_id), volume_(volume) {}

  // Takes the block of that number, the one after the last one taken. Calls visit(ParsedRecord, RecordPlace) for each
  // record that ends in it, broken ones included. False when the block fits no check (D16).
  template <typename Visit>
  bool Take(uint32_t number, std::span<const uint8_t> block, Visit visit) {
    const auto header = ReadBlockHeader(block, store_id_, volume_, number);
    if (!header) {
      Forget();
      return false;
    }
    Continue(*header, number, block.subspan(sizeof(BlockHeader), header->payload_bytes));
    while (at_ < stream_.size()) {
      const auto record = ParseRecord(stream_, at_);
      if (!record || !record->whole) break;
      visit(*record, PlaceOf(at_));
      at_ = record->end();
    }
    Drop();
    return true;
  }

  void Forget();

 private:
  void Continue(const BlockHeader& header, uint32_t number, std::span<const uint8_t> payload);
  void Drop();
  RecordPlace PlaceOf(uint64_t at) const {
    const uint64_t from_block = at + first_offset_;
    return {first_block_ + static_cast<uint32_t>(from_block / kPayloadBytes),
            static_cast<uint16_t>(from_block % kPayloadBytes)};
  }

  const StoreId store_id_;
  const uint32_t volume_;
  std::vector<uint8_t> stream_;  // of one run, from the first record that has not ended
  uint64_t at_ = 0;
  uint32_t first_block_ = 0;   // where stream_ begins
  uint64_t first_offset_ = 0;  // in that block's payload
  bool within_ = false;        // stream_ holds the beginning of a record
  uint64_t last_id_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_RECORD_WALKER_H_
