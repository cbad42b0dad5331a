// The walk: a stream is followed from the first record that starts in it, as the block headers say.
#include "record_walker.h"

namespace plogdb {

void RecordWalker::Forget() {
  stream_.clear();
  at_ = 0;
  within_ = false;
  last_id_ = 0;
}

// Adds a payload to the record under way, or begins at the first record that starts in it.
void RecordWalker::Continue(const BlockHeader& header, uint32_t number, std::span<const uint8_t> payload) {
  const bool goes_on = within_ && header.index > 0 && header.block_id == last_id_ + 1;
  last_id_ = header.block_id;
  if (goes_on) {
    stream_.insert(stream_.end(), payload.begin(), payload.end());
    return;
  }
  stream_.clear();
  at_ = 0;
  within_ = header.first_record < payload.size();
  if (!within_) return;
  first_block_ = number;
  first_offset_ = header.first_record;
  stream_.assign(payload.begin() + header.first_record, payload.end());
}

// Forgets the records that have ended; what is left is the beginning of the next one.
void RecordWalker::Drop() {
  if (at_ == 0) return;
  const uint64_t from_block = first_offset_ + at_;
  first_block_ += static_cast<uint32_t>(from_block / kPayloadBytes);
  first_offset_ = from_block % kPayloadBytes;
  stream_.erase(stream_.begin(), stream_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ = 0;
  within_ = !stream_.empty();
}

}  // namespace plogdb
