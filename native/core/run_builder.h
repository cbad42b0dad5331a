// Lays a run out in memory: a stream of bytes cut into the payloads of consecutive blocks, each with its header (D2,
// D3). Knows the format and nothing of queues or disks.
#ifndef PLOGDB_CORE_RUN_BUILDER_H_
#define PLOGDB_CORE_RUN_BUILDER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "align.h"
#include "format.h"
#include "record.h"
#include "sequencer.h"

namespace plogdb {

inline uint64_t RunHeadBytes(size_t volumes) { return sizeof(RunHead) + volumes * sizeof(RunMark); }

// One thread.
class RunBuilder {
 public:
  // `head` needs kind, announced and the directory's fields; the rest is filled in here. `stream_bytes` is exact.
  void Begin(const RunHead& head, const RunTicket& ticket, std::span<const uint8_t> directory, uint64_t stream_bytes,
             uint32_t record_count, uint32_t first_block);

  // Appends a record and says where it lies.
  RecordPlace Append(const EncodedRecordHead& head, std::span<const uint8_t> key, std::span<const uint8_t> value);

  // Writes the block headers; the run is then ready to be written.
  std::span<const uint8_t> Finish(const StoreId& store_id, uint32_t volume, uint64_t life);

  uint32_t blocks() const { return blocks_; }

 private:
  void Put(std::span<const uint8_t> bytes);

  AlignedBuffer buffer_;
  std::vector<uint16_t> first_record_;
  uint64_t stream_bytes_ = 0;
  uint64_t at_ = 0;  // in the stream
  uint32_t blocks_ = 0;
  uint32_t first_block_ = 0;
  uint64_t first_id_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_RUN_BUILDER_H_
