// Layout: the stream of entries fills the blocks before the trailer, the trailer says what must be there. An entry says
// only what the one before does not: records follow each other in LSN and place, and keys often begin alike.
#include "summary.h"

#include <algorithm>
#include <cstring>

#include "assert.h"
#include "canary.h"
#include "crc32c.h"
#include "varint.h"

namespace plogdb {
namespace {

constexpr uint8_t kEntryDrop = 1;
constexpr uint8_t kEntryFloorBelow = 2;
constexpr uint8_t kEntryErasedBelow = 4;
constexpr uint8_t kEntryNextLsn = 8;     // the one after the LSN of the entry before
constexpr uint8_t kEntryNextPlace = 16;  // directly behind the record of the entry before
constexpr uint8_t kEntryHeader = 32;     // the caller's header is not all zero
constexpr uint8_t kEntryFlags = 63;
constexpr size_t kMaxSharedKeyBytes = 255;

size_t SharedBytes(std::string_view a, std::string_view b) {
  const size_t most = std::min({a.size(), b.size(), kMaxSharedKeyBytes});
  size_t shared = 0;
  while (shared < most && a[shared] == b[shared]) ++shared;
  return shared;
}

std::span<const uint8_t> BytesOf(const auto& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

}  // namespace

void SummaryCursor::Advance(const Record& record) {
  lsn = record.lsn;
  const uint64_t end = record.place.offset + RecordBytes(record);
  next.block = record.place.block + static_cast<uint32_t>(end / kPayloadBytes);
  next.offset = static_cast<uint16_t>(end % kPayloadBytes);
}

void SummaryBuilder::GiveUp() {
  usable_ = false;
  chunks_.clear();
  stream_bytes_ = 0;
}

void SummaryBuilder::AddRun(const FoundRun& run) {
  const bool first = history_.first_id == 0;
  history_.Add(run);
  if (first) before_ = run.marks[volume_];
  const bool odd = run.mark.first_id < life_ || (first && run.mark.first_id != life_);
  if (odd || before_.records != 0 || history_.announced.size() > kMaxAnnouncements) GiveUp();
}

uint8_t* SummaryBuilder::BlockAt(uint32_t block) {
  while (block / kChunkBlocks >= chunks_.size()) {
    chunks_.push_back(std::make_unique<AlignedBuffer>());
    chunks_.back()->Reserve(kSummaryStepBytes);
  }
  return chunks_[block / kChunkBlocks]->data() + size_t{block % kChunkBlocks} * kBlockBytes;
}

void SummaryBuilder::Put(std::span<const uint8_t> bytes) {
  stream_crc_ = Crc32cExtend(stream_crc_, bytes);
  while (!bytes.empty()) {
    const uint64_t within = stream_bytes_ % kPayloadBytes;
    const size_t count = std::min<size_t>(bytes.size(), kPayloadBytes - within);
    uint8_t* block = BlockAt(static_cast<uint32_t>(stream_bytes_ / kPayloadBytes));
    std::memcpy(block + sizeof(BlockHeader) + within, bytes.data(), count);
    bytes = bytes.subspan(count);
    stream_bytes_ += count;
  }
}

void SummaryBuilder::AddRecord(const Record& record) {
  if (!usable_) return;
  const bool next_lsn = record.lsn == cursor_.lsn + 1;
  const bool next_place = record.place.block == cursor_.next.block && record.place.offset == cursor_.next.offset;
  const size_t header_bytes = TrimmedHeaderBytes(record.header);
  entry_.clear();
  entry_.push_back(static_cast<uint8_t>(
      (record.kind == RecordKind::kDrop ? kEntryDrop : 0) | (record.floor != record.position ? kEntryFloorBelow : 0) |
      (record.erased_below != 0 ? kEntryErasedBelow : 0) | (next_lsn ? kEntryNextLsn : 0) |
      (next_place ? kEntryNextPlace : 0) | (header_bytes > 0 ? kEntryHeader : 0)));
  if (!next_lsn) AppendVarint(ZigZag(record.lsn - cursor_.lsn), &entry_);
  AppendVarint(record.position, &entry_);
  if (record.erased_below != 0) AppendVarint(record.erased_below, &entry_);
  if (!next_place) {
    AppendVarint(record.place.block, &entry_);
    AppendVarint(record.place.offset, &entry_);
  }
  if (header_bytes > 0) {
    entry_.push_back(static_cast<uint8_t>(header_bytes));
    entry_.insert(entry_.end(), record.header.begin(), record.header.begin() + static_cast<ptrdiff_t>(header_bytes));
  }
  AppendVarint(record.value_bytes, &entry_);
  const auto crc = BytesOf(record.payload_crc);
  entry_.insert(entry_.end(), crc.begin(), crc.end());
  const size_t shared = SharedBytes(last_key_, record.key);
  AppendVarint(shared, &entry_);
  AppendVarint(record.key.size() - shared, &entry_);
  PLOGDB_ASSERT(entry_.size() + record.key.size() - shared <= SummaryEntryBound(record.key.size()), "D12");
  Put(entry_);
  Put(AsBytes(record.key.substr(shared)));
  last_key_ = record.key;
  cursor_.Advance(record);
  max_lsn_ = std::max(max_lsn_, record.lsn);
  ++entries_;
}

void SummaryBuilder::Finish(const StoreId& store_id, const Geometry& geometry) {
  const uint32_t count = blocks();
  uint8_t* payload = BlockAt(count - 1) + sizeof(BlockHeader);
  std::memset(payload - sizeof(BlockHeader), 0, kBlockBytes);
  if (!usable_) return;
  PLOGDB_ASSERT(history_.newest.kind == RunKind::kSeal, "D17");
  SummaryTrailer trailer{};
  trailer.stream_bytes = stream_bytes_;
  trailer.stream_crc = stream_crc_;
  trailer.entries = entries_;
  trailer.seal = history_.newest.mark;
  trailer.before = before_;
  trailer.first_watermark = history_.first_watermark;
  trailer.watermark = history_.watermark;
  trailer.max_lsn = max_lsn_;
  trailer.seal_announced = history_.newest.announced;
  trailer.volume_count = static_cast<uint16_t>(history_.marks.size());
  trailer.announcements = static_cast<uint16_t>(history_.announced.size());
  const size_t marks_bytes = history_.marks.size() * sizeof(RunMark);
  const size_t announced_bytes = history_.announced.size() * sizeof(Announcement);
  std::memcpy(payload, &trailer, sizeof(trailer));
  std::memcpy(payload + sizeof(trailer), history_.marks.data(), marks_bytes);
  if (announced_bytes > 0) {
    std::memcpy(payload + sizeof(trailer) + marks_bytes, history_.announced.data(), announced_bytes);
  }
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t at = uint64_t{i} * kPayloadBytes;
    const bool is_trailer = i + 1 == count;
    const uint64_t used = is_trailer ? sizeof(trailer) + marks_bytes + announced_bytes
                                     : std::min<uint64_t>(kPayloadBytes, stream_bytes_ - at);
    BlockHeader header{};
    header.magic = kSummaryMagic;
    header.version = kFormatVersion;
    header.payload_bytes = static_cast<uint16_t>(used);
    header.first_record = kNoRecord;
    header.block_id = history_.newest.mark.first_id;
    header.life = life_;
    header.store_id = store_id;
    header.block = geometry.end_block(extent_) - count + i;
    header.volume = static_cast<uint16_t>(volume_);
    header.follow = count - i - 1;
    header.index = i;
    uint8_t* block = BlockAt(i);
    std::memcpy(block, &header, sizeof(header));
    std::memset(block + sizeof(header) + used, 0, kPayloadBytes - used);
    SealBlock({block, kBlockBytes});
  }
}

std::span<const uint8_t> SummaryBuilder::Part(uint32_t block) const {
  const uint32_t count = blocks();
  if (block >= count) return {};
  PLOGDB_ASSERT(block % kChunkBlocks == 0, "a part is a chunk");
  return chunks_[block / kChunkBlocks]->first(size_t{std::min(kChunkBlocks, count - block)} * kBlockBytes);
}

std::optional<SummaryView> ReadSummaryTrailer(const ExtentPlace& place, std::span<const uint8_t> block) {
  const uint32_t number = place.trailer_block();
  const auto header = ReadBlockHeader(block, *place.store_id, place.volume, number, kSummaryMagic);
  if (!header || header->follow != 0 || header->index >= place.geometry.data_blocks()) return std::nullopt;
  SummaryView view;
  SummaryTrailer& trailer = view.trailer;
  const auto payload = block.subspan(sizeof(BlockHeader), header->payload_bytes);
  if (payload.size() < sizeof(trailer)) return std::nullopt;
  std::memcpy(&trailer, payload.data(), sizeof(trailer));
  const size_t marks_bytes = trailer.volume_count * sizeof(RunMark);
  const size_t announced_bytes = trailer.announcements * sizeof(Announcement);
  view.life = header->life;
  view.blocks = header->index;
  view.first_block = number - view.blocks;
  const bool sane = trailer.volume_count == place.volumes && trailer.announcements <= kMaxAnnouncements &&
                    payload.size() == sizeof(trailer) + marks_bytes + announced_bytes &&
                    trailer.stream_bytes <= uint64_t{view.blocks} * kPayloadBytes &&
                    BlocksForStream(trailer.stream_bytes) == view.blocks && trailer.before.records == 0 &&
                    trailer.seal.first_id == header->block_id && trailer.seal.blocks > 0 &&
                    trailer.seal.block >= place.first_block() && trailer.seal.end() <= view.first_block;
  if (!sane) return std::nullopt;
  ExtentHistory& history = view.history;
  history.marks.resize(trailer.volume_count);
  history.announced.resize(trailer.announcements);
  std::memcpy(history.marks.data(), payload.data() + sizeof(trailer), marks_bytes);
  if (announced_bytes > 0) {
    std::memcpy(history.announced.data(), payload.data() + sizeof(trailer) + marks_bytes, announced_bytes);
  }
  history.first_id = view.life;
  history.first_watermark = trailer.first_watermark;
  history.watermark = trailer.watermark;
  history.newest = {trailer.seal, RunKind::kSeal, trailer.seal_announced, trailer.watermark, history.marks};
  return view;
}

std::optional<std::span<const uint8_t>> JoinSummary(const ExtentPlace& place, const SummaryView& view,
                                                    std::span<uint8_t> blocks) {
  PLOGDB_ASSERT(blocks.size() == size_t{view.blocks} * kBlockBytes, "buffer bound");
  const uint64_t stream_bytes = view.trailer.stream_bytes;
  uint64_t at = 0;
  for (uint32_t i = 0; i < view.blocks; ++i) {
    const auto block = blocks.subspan(size_t{i} * kBlockBytes, kBlockBytes);
    const auto header =
        ReadBlockHeader(block, *place.store_id, place.volume, view.first_block + i, kSummaryMagic);
    const uint64_t count = std::min<uint64_t>(kPayloadBytes, stream_bytes - at);
    const bool fits = header && header->life == view.life && header->block_id == view.trailer.seal.first_id &&
                      header->index == i && header->follow == view.blocks - i && header->payload_bytes == count;
    if (!fits && !CanaryOn(Canary::kSummaryNotChecked)) return std::nullopt;
    std::memmove(blocks.data() + at, block.data() + sizeof(BlockHeader), count);  // never ahead of what is read
    at += count;
  }
  const auto stream = blocks.first(stream_bytes);
  if (Crc32c(stream) != view.trailer.stream_crc && !CanaryOn(Canary::kSummaryNotChecked)) return std::nullopt;
  return stream;
}

SummaryEntries::SummaryEntries(const ExtentPlace& place, const SummaryView& view, std::span<const uint8_t> stream)
    : first_block_(place.first_block()),
      end_block_(view.trailer.seal.block),
      bytes_(stream),
      left_(view.trailer.entries) {
  key_.resize(kMaxSharedKeyBytes);
}

bool SummaryEntries::ReadPlace(uint8_t flags) {
  if ((flags & kEntryNextPlace) == 0) {
    uint64_t block = 0;
    uint64_t offset = 0;
    if (!ReadVarint(&bytes_, &block) || !ReadVarint(&bytes_, &offset)) return false;
    if (block >= end_block_ || offset >= kPayloadBytes) return false;
    cursor_.next = {static_cast<uint32_t>(block), static_cast<uint16_t>(offset)};
  }
  return cursor_.next.block >= first_block_ && cursor_.next.block < end_block_;
}

bool SummaryEntries::ReadFields(uint8_t flags, Record* record) {
  if (flags > kEntryFlags) return false;
  uint64_t difference = 2;  // ZigZag(1)
  if ((flags & kEntryNextLsn) == 0 && !ReadVarint(&bytes_, &difference)) return false;
  record->lsn = cursor_.lsn + UnZigZag(difference);
  record->kind = (flags & kEntryDrop) != 0 ? RecordKind::kDrop : RecordKind::kPut;
  const uint64_t below = (flags & kEntryFloorBelow) != 0 ? 1 : 0;
  if (!ReadVarint(&bytes_, &record->position) || record->position < below) return false;
  record->floor = record->position - below;
  record->erased_below = 0;
  const bool erased = (flags & kEntryErasedBelow) != 0;
  if (erased && !ReadVarint(&bytes_, &record->erased_below)) return false;
  if (record->lsn == 0 || !ReadPlace(flags)) return false;
  record->place = cursor_.next;
  size_t header_bytes = 0;
  if ((flags & kEntryHeader) != 0) {
    if (bytes_.empty()) return false;
    header_bytes = bytes_.front();
    bytes_ = bytes_.subspan(1);
    if (header_bytes > kCallerHeaderBytes || header_bytes > bytes_.size()) return false;
  }
  record->header.fill(0);
  if (header_bytes > 0) std::memcpy(record->header.data(), bytes_.data(), header_bytes);
  bytes_ = bytes_.subspan(header_bytes);
  record->head_bytes = static_cast<uint32_t>(sizeof(RecordHead) + (erased ? 8 : 0) + header_bytes);
  uint64_t value_bytes = 0;
  if (!ReadVarint(&bytes_, &value_bytes) || value_bytes > kMaxExtentBytes) return false;
  record->value_bytes = static_cast<uint32_t>(value_bytes);
  return true;
}

bool SummaryEntries::ReadKey(Record* record) {
  if (bytes_.size() < sizeof(record->payload_crc)) return false;
  std::memcpy(&record->payload_crc, bytes_.data(), sizeof(record->payload_crc));
  bytes_ = bytes_.subspan(sizeof(record->payload_crc));
  uint64_t shared = 0;
  uint64_t rest = 0;
  if (!ReadVarint(&bytes_, &shared) || !ReadVarint(&bytes_, &rest)) return false;
  if (shared > std::min(key_bytes_, kMaxSharedKeyBytes) || rest > bytes_.size() || shared + rest == 0) return false;
  if (shared + rest > UINT16_MAX) return false;
  key_bytes_ = shared + rest;
  if (key_.size() < key_bytes_) key_.resize(key_bytes_);
  std::memcpy(key_.data() + shared, bytes_.data(), rest);
  bytes_ = bytes_.subspan(rest);
  record->key = {key_.data(), key_bytes_};
  return true;
}

bool SummaryEntries::Next(Record* record) {
  if (left_ == 0 || bytes_.empty()) return false;
  const uint8_t flags = bytes_.front();
  bytes_ = bytes_.subspan(1);
  if (!ReadFields(flags, record) || !ReadKey(record)) {
    left_ = UINT32_MAX;  // never complete
    bytes_ = {};
    return false;
  }
  cursor_.Advance(*record);
  --left_;
  return true;
}

}  // namespace plogdb
