// What is on the disk: superblock, block header, run head, record head and directory, byte by byte
// (docs/disk-format.md). Knows bytes only; no device, no index. Everything is little-endian and checked before it is
// believed.
#ifndef PLOGDB_CORE_FORMAT_H_
#define PLOGDB_CORE_FORMAT_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "block_device.h"

namespace plogdb {

static_assert(std::endian::native == std::endian::little, "structs are written as they lie in memory");

using StoreId = std::array<uint8_t, 16>;

inline constexpr uint16_t kFormatVersion = 2;
inline constexpr uint32_t kBlockMagic = 0x314b4c50;           // "PLK1"
inline constexpr uint64_t kSuperMagic = 0x314253474f4c50ull;  // "PLOGSB1"
inline constexpr size_t kSuperCopies = 4;
inline constexpr uint32_t kNoExtent = 0xffffffff;
inline constexpr uint16_t kNoRecord = 0xffff;

inline constexpr uint64_t kMinExtentBytes = uint64_t{1} << 20;
inline constexpr uint64_t kLeastExtents = 8;  // of a volume
inline constexpr uint64_t kMaxExtentBytes = uint64_t{64} << 20;
// Simulators and tests also make stores with small extents: cheap, and extents are soon used again. Set before a store
// is opened, never while one is being opened. Nothing of the product sets it.
inline uint64_t g_min_extent_bytes = kMinExtentBytes;
inline uint64_t MinExtentBytes() { return g_min_extent_bytes; }

// No disk says more and is believed: what comes next must not overflow, and an LSN must fit into a double (D21).
inline constexpr uint64_t kMaxBlockId = uint64_t{1} << 62;
inline constexpr uint64_t kMaxLsn = (uint64_t{1} << 53) - 1;

inline constexpr uint16_t kFirstOfRun = 1;

// D2.
struct BlockHeader {
  uint32_t magic;
  uint32_t crc;  // CRC32C of bytes 8 to 4095 of the block
  uint16_t version;
  uint16_t flags;
  uint16_t payload_bytes;
  uint16_t first_record;  // offset in the payload of the first record that starts here, or kNoRecord
  uint64_t block_id;      // store-wide, growing, never reused
  uint64_t life;          // block id of the first block of the present life of the extent
  StoreId store_id;
  uint32_t block;   // own address: number in the volume
  uint16_t volume;  // own address: volume
  uint16_t reserved;
  uint32_t follow;  // blocks of the run after this one
  uint32_t index;   // blocks of the run before this one
};
static_assert(sizeof(BlockHeader) == 64);
static_assert(offsetof(BlockHeader, crc) == 4 && offsetof(BlockHeader, version) == 8);
static_assert(offsetof(BlockHeader, flags) == 10 && offsetof(BlockHeader, payload_bytes) == 12);
static_assert(offsetof(BlockHeader, first_record) == 14 && offsetof(BlockHeader, block_id) == 16);
static_assert(offsetof(BlockHeader, life) == 24 && offsetof(BlockHeader, store_id) == 32);
static_assert(offsetof(BlockHeader, block) == 48 && offsetof(BlockHeader, volume) == 52);
static_assert(offsetof(BlockHeader, follow) == 56 && offsetof(BlockHeader, index) == 60);

inline constexpr uint32_t kPayloadBytes = kBlockBytes - sizeof(BlockHeader);

// Names a run: where it is and what its first block is called. first_id 0 = no run.
struct RunMark {
  uint64_t first_id = 0;
  uint32_t block = 0;
  uint16_t blocks = 0;   // an extent has at most 16,384
  uint16_t records = 0;  // 0: none, so that its loss loses nothing; 1: some

  uint32_t end() const { return block + blocks; }
};
static_assert(sizeof(RunMark) == 16 && offsetof(RunMark, block) == 8 && offsetof(RunMark, blocks) == 12 &&
              offsetof(RunMark, records) == 14);

enum class RunKind : uint8_t {
  kData = 0,
  kMark = 1,  // no records: only carries the mark (D17)
  kSeal = 2,  // no records: the last run of its extent
};

// Opens the stream of a run; volume_count marks follow, then the directory of the run before, then the records.
struct RunHead {
  uint32_t record_count;
  uint32_t directory_bytes;
  uint32_t directory_entries;
  uint32_t stream_bytes;  // all of the stream, this head included
  uint64_t watermark;     // highest durable LSN when the run was written (D18)
  uint32_t announced;     // extent of this volume that is written next: all that it holds is dead; or kNoExtent
  uint16_t volume_count;
  uint8_t kind;
  uint8_t directory_complete;  // 0: not all records of the run before are known
};
static_assert(sizeof(RunHead) == 32 && offsetof(RunHead, directory_entries) == 8);
static_assert(offsetof(RunHead, stream_bytes) == 12 && offsetof(RunHead, watermark) == 16);
static_assert(offsetof(RunHead, announced) == 24 && offsetof(RunHead, volume_count) == 28);
static_assert(offsetof(RunHead, kind) == 30 && offsetof(RunHead, directory_complete) == 31);

enum class RecordKind : uint8_t { kPut = 0, kDrop = 1 };

// D4. Then, without gaps: erased below (8 bytes, when flagged), the caller's header without its trailing zeros, key,
// value.
struct RecordHead {
  uint32_t crc;  // CRC32C of key and value, then of everything between this field and the key
  uint16_t key_bytes;
  uint8_t flags;
  uint8_t header_bytes;  // of the caller's header; the rest of it is zero
  uint32_t value_bytes;
  uint32_t reserved;
  uint64_t lsn;
  uint64_t position;
};
static_assert(sizeof(RecordHead) == 32 && offsetof(RecordHead, key_bytes) == 4);
static_assert(offsetof(RecordHead, flags) == 6 && offsetof(RecordHead, header_bytes) == 7);
static_assert(offsetof(RecordHead, value_bytes) == 8 && offsetof(RecordHead, reserved) == 12);
static_assert(offsetof(RecordHead, lsn) == 16 && offsetof(RecordHead, position) == 24);

inline constexpr uint8_t kRecordDrop = 1;         // a deletion
inline constexpr uint8_t kRecordFloorBelow = 2;   // the floor is position - 1, not position
inline constexpr uint8_t kRecordErasedBelow = 4;  // the LSN of an earlier deletion follows (D13)
inline constexpr size_t kCallerHeaderBytes = 64;

// What a record says, its key and value apart.
struct RecordFields {
  RecordKind kind = RecordKind::kPut;
  uint64_t lsn = 0;
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t erased_below = 0;  // records of the key with a lower LSN are erased by a deletion (D13)
  std::array<uint8_t, kCallerHeaderBytes> header{};
};

inline constexpr size_t kMaxRecordHeadBytes = sizeof(RecordHead) + 8 + kCallerHeaderBytes;

// Head as it lies before the key.
struct EncodedRecordHead {
  std::array<uint8_t, kMaxRecordHeadBytes> bytes;
  size_t size = 0;

  std::span<const uint8_t> view() const { return std::span(bytes).first(size); }
};

size_t TrimmedHeaderBytes(std::span<const uint8_t, kCallerHeaderBytes> header);
size_t RecordHeadBytes(const RecordFields& fields);
EncodedRecordHead EncodeRecordHead(const RecordFields& fields, size_t key_bytes, size_t value_bytes,
                                   uint32_t payload_crc);

struct Superblock {
  uint64_t magic;
  uint32_t crc;  // CRC32C of bytes 12 to 4095
  uint16_t version;
  uint16_t copy;
  StoreId store_id;
  uint64_t volume_bytes;
  uint64_t extent_bytes;
  uint32_t block_bytes;
  uint16_t volume;
  uint16_t volume_count;
  uint64_t generation;
  uint32_t node_id_bytes;
  uint32_t reserved;
  std::array<char, 64> node_id;
};
static_assert(sizeof(Superblock) == 136 && offsetof(Superblock, crc) == 8);
static_assert(offsetof(Superblock, version) == 12 && offsetof(Superblock, copy) == 14);
static_assert(offsetof(Superblock, store_id) == 16 && offsetof(Superblock, volume_bytes) == 32);
static_assert(offsetof(Superblock, extent_bytes) == 40 && offsetof(Superblock, block_bytes) == 48);
static_assert(offsetof(Superblock, volume) == 52 && offsetof(Superblock, volume_count) == 54);
static_assert(offsetof(Superblock, generation) == 56 && offsetof(Superblock, node_id_bytes) == 64);
static_assert(offsetof(Superblock, node_id) == 72);

// Places in a volume. Block 0 of every extent is its head: four of them hold the superblock, the others are spare.
struct Geometry {
  uint64_t volume_bytes = 0;
  uint64_t extent_bytes = 0;

  uint32_t extents() const { return static_cast<uint32_t>(volume_bytes / extent_bytes); }
  uint32_t extent_blocks() const { return static_cast<uint32_t>(extent_bytes / kBlockBytes); }
  uint32_t data_blocks() const { return extent_blocks() - 1; }
  uint32_t extent_of(uint32_t block) const { return block / extent_blocks(); }
  uint32_t first_data_block(uint32_t extent) const { return extent * extent_blocks() + 1; }
  uint32_t end_block(uint32_t extent) const { return (extent + 1) * extent_blocks(); }
  uint64_t super_offset(size_t copy) const {
    return uint64_t{static_cast<uint32_t>((extents() - 1) * copy / (kSuperCopies - 1))} * extent_bytes;
  }
};

// D1: volume size / 64, at least 1 MiB, at most 64 MiB, a whole number of blocks; the volume rounded down to extents.
Geometry MakeGeometry(uint64_t volume_bytes);

uint32_t BlocksForStream(uint64_t stream_bytes);

// Several sets of keys may share a store, each in a space of its own: keys that begin with this byte and the number of
// the space. The number stands in the top bits of the hash, so that the keys of a space follow each other in a walk, have
// digest buckets of their own, and hash the same in stores that hold other spaces beside it.
inline constexpr uint8_t kSpaceMark = 0xFF;
inline constexpr unsigned kSpaceBits = 4;

// The bits of a key's place: which volume, which shard. Part of the format (the volume must stay the same).
uint64_t KeyHash(std::span<const uint8_t> key);
uint32_t VolumeOfKey(uint64_t hash, size_t volumes);

void SealBlock(std::span<uint8_t> block);

// Checks magic, version, checksum, store id and own address. Empty when anything does not fit.
std::optional<BlockHeader> ReadBlockHeader(std::span<const uint8_t> block, const StoreId& store_id, uint32_t volume,
                                           uint32_t number, uint32_t magic = kBlockMagic);

// CRC32C of key and value, which the head's own is built upon; also the engine's own hash of a record (D20).
uint32_t PayloadCrc(std::span<const uint8_t> key, std::span<const uint8_t> value);

void EncodeSuperblock(const Superblock& super, std::span<uint8_t> block);
std::optional<Superblock> DecodeSuperblock(std::span<const uint8_t> block);

// One record of a run as the next run's directory tells it.
struct DirectoryEntry {
  RecordKind kind = RecordKind::kPut;
  uint64_t lsn = 0;
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t erased_below = 0;
  std::string_view key;
};

// Upper bound of what AppendDirectoryEntry adds.
inline constexpr uint64_t DirectoryEntryBound(size_t key_bytes) { return 1 + 4 * 10 + 3 + key_bytes; }
void AppendDirectoryEntry(const DirectoryEntry& entry, std::vector<uint8_t>* out);
// Empty when the bytes are not exactly `count` entries. Keys point into `bytes`.
std::optional<std::vector<DirectoryEntry>> ParseDirectory(std::span<const uint8_t> bytes, uint32_t count);

bool IsZero(std::span<const uint8_t> bytes);

inline std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace plogdb

#endif  // PLOGDB_CORE_FORMAT_H_
