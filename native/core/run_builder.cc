// The stream is laid straight into the blocks, so that every byte is copied once.
#include "run_builder.h"

#include <algorithm>
#include <cstring>

#include "assert.h"

namespace plogdb {

void RunBuilder::Begin(const RunHead& head, const RunTicket& ticket, std::span<const uint8_t> directory,
                       uint64_t stream_bytes, uint32_t record_count, uint32_t first_block) {
  stream_bytes_ = stream_bytes;
  blocks_ = BlocksForStream(stream_bytes);
  first_block_ = first_block;
  first_id_ = ticket.first_id;
  at_ = 0;
  buffer_.Reserve(size_t{blocks_} * kBlockBytes);
  first_record_.assign(blocks_, kNoRecord);
  RunHead full = head;
  full.record_count = record_count;
  full.directory_bytes = static_cast<uint32_t>(directory.size());
  full.stream_bytes = static_cast<uint32_t>(stream_bytes);
  full.watermark = ticket.watermark;
  full.volume_count = static_cast<uint16_t>(ticket.marks.size());
  Put({reinterpret_cast<const uint8_t*>(&full), sizeof(full)});
  Put({reinterpret_cast<const uint8_t*>(ticket.marks.data()), ticket.marks.size() * sizeof(RunMark)});
  Put(directory);
}

void RunBuilder::Put(std::span<const uint8_t> bytes) {
  PLOGDB_ASSERT(at_ + bytes.size() <= stream_bytes_, "D3");
  while (!bytes.empty()) {
    const uint64_t block = at_ / kPayloadBytes;
    const uint64_t within = at_ % kPayloadBytes;
    const size_t count = std::min<size_t>(bytes.size(), kPayloadBytes - within);
    std::memcpy(buffer_.data() + block * kBlockBytes + sizeof(BlockHeader) + within, bytes.data(), count);
    bytes = bytes.subspan(count);
    at_ += count;
  }
}

RecordPlace RunBuilder::Append(const EncodedRecordHead& head, std::span<const uint8_t> key,
                               std::span<const uint8_t> value) {
  const uint32_t block = static_cast<uint32_t>(at_ / kPayloadBytes);
  const uint16_t offset = static_cast<uint16_t>(at_ % kPayloadBytes);
  if (first_record_[block] == kNoRecord) first_record_[block] = offset;
  Put(head.view());
  Put(key);
  Put(value);
  return {first_block_ + block, offset};
}

std::span<const uint8_t> RunBuilder::Finish(const StoreId& store_id, uint32_t volume, uint64_t life) {
  PLOGDB_ASSERT(at_ == stream_bytes_, "D3");
  const uint64_t padding = uint64_t{blocks_} * kPayloadBytes - at_;
  std::memset(buffer_.data() + size_t{blocks_} * kBlockBytes - padding, 0, padding);
  for (uint32_t i = 0; i < blocks_; ++i) {
    BlockHeader header{};
    header.magic = kBlockMagic;
    header.version = kFormatVersion;
    header.flags = i == 0 ? kFirstOfRun : 0;
    header.payload_bytes = static_cast<uint16_t>(i + 1 == blocks_ ? kPayloadBytes - padding : kPayloadBytes);
    header.first_record = first_record_[i];
    header.block_id = first_id_ + i;
    header.life = life;
    header.store_id = store_id;
    header.block = first_block_ + i;
    header.volume = static_cast<uint16_t>(volume);
    header.follow = blocks_ - i - 1;
    header.index = i;
    const auto block = buffer_.first(size_t{blocks_} * kBlockBytes).subspan(size_t{i} * kBlockBytes, kBlockBytes);
    std::memcpy(block.data(), &header, sizeof(header));
    SealBlock(block);
  }
  return buffer_.first(size_t{blocks_} * kBlockBytes);
}

}  // namespace plogdb
