// Encoding and checked decoding of what format.h describes.
#include "format.h"

#include <algorithm>
#include <cstring>

#include "assert.h"
#include "canary.h"
#include "crc32c.h"
#include "varint.h"

namespace plogdb {
namespace {

constexpr size_t kBlockCrcStart = 8;
constexpr size_t kSuperCrcStart = 12;

}  // namespace

Geometry MakeGeometry(uint64_t volume_bytes) {
  Geometry geometry;
  const uint64_t ideal = std::clamp(volume_bytes / 64, MinExtentBytes(), kMaxExtentBytes);
  geometry.extent_bytes = ideal / kBlockBytes * kBlockBytes;
  geometry.volume_bytes = volume_bytes / geometry.extent_bytes * geometry.extent_bytes;
  return geometry;
}

uint32_t BlocksForStream(uint64_t stream_bytes) {
  return static_cast<uint32_t>((stream_bytes + kPayloadBytes - 1) / kPayloadBytes);
}

namespace {

uint64_t HashOfBytes(std::span<const uint8_t> key) {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15ull;
  uint64_t hash = key.size() * kFactor;
  const auto take = [&hash](uint64_t word) {
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 32;
  };
  uint64_t word = 0;
  for (; key.size() >= sizeof(word); key = key.subspan(sizeof(word))) {
    std::memcpy(&word, key.data(), sizeof(word));
    take(word);
  }
  if (!key.empty()) {
    word = 0;
    std::memcpy(&word, key.data(), key.size());
    take(word);
  }
  hash *= kFactor;
  return hash ^ (hash >> 29);
}

}  // namespace

uint64_t KeyHash(std::span<const uint8_t> key) {
  const bool in_space = key.size() >= 2 && key[0] == kSpaceMark && key[1] < (1u << kSpaceBits);
  if (!in_space) return HashOfBytes(key);
  return uint64_t{key[1]} << (64 - kSpaceBits) | HashOfBytes(key.subspan(2)) >> kSpaceBits;
}

uint32_t VolumeOfKey(uint64_t hash, size_t volumes) {
  return volumes == 1 ? 0 : static_cast<uint32_t>((hash >> 40) % volumes);  // a division costs as much as the hash
}

void SealBlock(std::span<uint8_t> block) {
  const uint32_t crc = Crc32c(block.subspan(kBlockCrcStart));
  std::memcpy(block.data() + offsetof(BlockHeader, crc), &crc, sizeof(crc));
}

std::optional<BlockHeader> ReadBlockHeader(std::span<const uint8_t> block, const StoreId& store_id, uint32_t volume,
                                           uint32_t number, uint32_t magic) {
  PLOGDB_ASSERT(block.size() == kBlockBytes, "D2");
  BlockHeader header;
  std::memcpy(&header, block.data(), sizeof(header));
  if (header.magic != magic || header.version != kFormatVersion) return std::nullopt;
  if (header.crc != Crc32c(block.subspan(kBlockCrcStart))) return std::nullopt;
  if (header.store_id != store_id) return std::nullopt;
  const bool address_fits = header.volume == volume && header.block == number;
  if (!address_fits && !CanaryOn(Canary::kAddressNotChecked)) return std::nullopt;
  if (header.payload_bytes > kPayloadBytes || header.block_id == 0 || header.life == 0) return std::nullopt;
  if (header.life > header.block_id || header.index >= header.block_id) return std::nullopt;
  if (header.block_id > kMaxBlockId) return std::nullopt;
  return header;
}

uint32_t PayloadCrc(std::span<const uint8_t> key, std::span<const uint8_t> value) {
  return Crc32cExtend(Crc32c(key), value);
}

size_t TrimmedHeaderBytes(std::span<const uint8_t, kCallerHeaderBytes> header) {
  for (size_t words = kCallerHeaderBytes / 8; words > 0; --words) {
    uint64_t word;
    std::memcpy(&word, header.data() + (words - 1) * 8, sizeof(word));
    if (word != 0) return words * 8 - static_cast<size_t>(std::countl_zero(word)) / 8;
  }
  return 0;
}

size_t RecordHeadBytes(const RecordFields& fields) {
  return sizeof(RecordHead) + (fields.erased_below != 0 ? 8 : 0) + TrimmedHeaderBytes(fields.header);
}

EncodedRecordHead EncodeRecordHead(const RecordFields& fields, size_t key_bytes, size_t value_bytes,
                                   uint32_t payload_crc) {
  PLOGDB_ASSERT(fields.position - fields.floor <= 1, "D5");
  EncodedRecordHead out;
  RecordHead head{};
  head.key_bytes = static_cast<uint16_t>(key_bytes);
  head.flags = static_cast<uint8_t>((fields.kind == RecordKind::kDrop ? kRecordDrop : 0) |
                                    (fields.floor != fields.position ? kRecordFloorBelow : 0) |
                                    (fields.erased_below != 0 ? kRecordErasedBelow : 0));
  head.header_bytes = static_cast<uint8_t>(TrimmedHeaderBytes(fields.header));
  head.value_bytes = static_cast<uint32_t>(value_bytes);
  head.lsn = fields.lsn;
  head.position = fields.position;
  out.size = sizeof(head);
  if (fields.erased_below != 0) {
    std::memcpy(out.bytes.data() + out.size, &fields.erased_below, 8);
    out.size += 8;
  }
  std::memcpy(out.bytes.data() + out.size, fields.header.data(), head.header_bytes);
  out.size += head.header_bytes;
  std::memcpy(out.bytes.data(), &head, sizeof(head));
  head.crc = Crc32cExtend(payload_crc, out.view().subspan(sizeof(head.crc)));
  std::memcpy(out.bytes.data(), &head.crc, sizeof(head.crc));
  return out;
}

void EncodeSuperblock(const Superblock& super, std::span<uint8_t> block) {
  PLOGDB_ASSERT(block.size() == kBlockBytes, "D1");
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), &super, sizeof(super));
  const uint32_t crc = Crc32c(block.subspan(kSuperCrcStart));
  std::memcpy(block.data() + offsetof(Superblock, crc), &crc, sizeof(crc));
}

std::optional<Superblock> DecodeSuperblock(std::span<const uint8_t> block) {
  Superblock super;
  std::memcpy(&super, block.data(), sizeof(super));
  if (super.magic != kSuperMagic || super.version != kFormatVersion) return std::nullopt;
  if (super.crc != Crc32c(block.subspan(kSuperCrcStart))) return std::nullopt;
  const bool sane = super.block_bytes == kBlockBytes && super.extent_bytes >= MinExtentBytes() &&
                    super.extent_bytes <= kMaxExtentBytes && super.extent_bytes % kBlockBytes == 0 &&
                    super.volume_bytes % super.extent_bytes == 0 && super.volume_bytes / super.extent_bytes >= 4 &&
                    super.volume_bytes / kBlockBytes < kNoExtent && super.node_id_bytes <= super.node_id.size() &&
                    super.volume < super.volume_count && super.copy < kSuperCopies;
  if (!sane) return std::nullopt;
  return super;
}

void AppendDirectoryEntry(const DirectoryEntry& entry, std::vector<uint8_t>* out) {
  // Kind and (position - floor), which is 0 or 1 for a put, share a byte.
  const uint64_t above = entry.kind == RecordKind::kPut ? entry.position - entry.floor : 0;
  PLOGDB_ASSERT(above <= 1, "D5");
  out->push_back(static_cast<uint8_t>(static_cast<uint64_t>(entry.kind) | above << 1));
  AppendVarint(entry.lsn, out);
  AppendVarint(entry.position, out);
  AppendVarint(entry.erased_below, out);
  AppendVarint(entry.key.size(), out);
  const auto key = AsBytes(entry.key);
  out->insert(out->end(), key.begin(), key.end());
}

std::optional<std::vector<DirectoryEntry>> ParseDirectory(std::span<const uint8_t> bytes, uint32_t count) {
  std::vector<DirectoryEntry> entries;
  entries.reserve(std::min<size_t>(count, bytes.size()));
  for (uint32_t i = 0; i < count; ++i) {
    if (bytes.empty() || bytes.front() > 3) return std::nullopt;
    DirectoryEntry entry;
    entry.kind = (bytes.front() & 1) != 0 ? RecordKind::kDrop : RecordKind::kPut;
    const uint64_t above = bytes.front() >> 1;
    bytes = bytes.subspan(1);
    uint64_t key_bytes = 0;
    if (!ReadVarint(&bytes, &entry.lsn) || !ReadVarint(&bytes, &entry.position) ||
        !ReadVarint(&bytes, &entry.erased_below) || !ReadVarint(&bytes, &key_bytes)) {
      return std::nullopt;
    }
    if (entry.lsn > kMaxLsn || entry.erased_below > kMaxLsn) return std::nullopt;
    if (above > entry.position || key_bytes == 0 || key_bytes > bytes.size()) return std::nullopt;
    entry.floor = entry.position - above;
    entry.key = AsText(bytes.first(key_bytes));
    bytes = bytes.subspan(key_bytes);
    entries.push_back(entry);
  }
  if (!bytes.empty()) return std::nullopt;
  return entries;
}

bool IsZero(std::span<const uint8_t> bytes) {
  return bytes.empty() || (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace plogdb
