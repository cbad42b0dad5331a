// How a key's entry lies in memory (D15): packed, because there may be a hundred million. Fields take the bytes that
// their values need, rare ones are there only when they say something, and a header loses its trailing zeros.
//
//   flags (1), key bytes (2), key, [erased below (8)], [marker: block (4), offset (2), head bytes (1)], slots;
//   a slot: widths and flags (2), header bytes (1), head bytes (1), position (0 to 8), LSN (6 or 8), block (4), offset
//   (2), value bytes (1 to 4), [payload CRC (4)], [cached value (8)], header.
//
// Memory only: nothing of this is ever written to a disk.
#ifndef PLOGDB_CORE_ENTRY_CODEC_H_
#define PLOGDB_CORE_ENTRY_CODEC_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "key_entry.h"

namespace plogdb {

inline constexpr size_t kEntryKeyOffset = 3;
// Unpack may read, not use, so many bytes behind an item.
inline constexpr size_t kEntryReadAhead = 8;

inline std::string_view KeyOfItem(const uint8_t* item) {
  uint16_t bytes;
  std::memcpy(&bytes, item + 1, sizeof(bytes));
  return {reinterpret_cast<const char*>(item + kEntryKeyOffset), bytes};
}

// What comes before and behind the key, which itself is copied only when the item moves.
struct PackedEntry {
  static constexpr size_t kMaxTailBytes = 15 + 2 * (4 + 8 + 8 + 6 + 4 + 4 + 8 + kCallerHeaderBytes);

  uint8_t flags = 0;
  size_t tail_bytes = 0;
  size_t key_bytes = 0;
  std::array<uint8_t, kMaxTailBytes + 8> tail;

  size_t size() const { return kEntryKeyOffset + key_bytes + tail_bytes; }
  void WriteAround(uint8_t* item) const;  // all but the key
};

// With `payload_crc` the slots' CRCs are kept.
void PackEntry(const KeyEntry& entry, bool payload_crc, PackedEntry* out);

// What PackAlone may write behind the item's end.
inline constexpr size_t kPackExcess = kCallerHeaderBytes + 8;
// At most, of PackAlone.
inline constexpr size_t PackedBound(size_t key_bytes) {
  return kEntryKeyOffset + key_bytes + PackedEntry::kMaxTailBytes;
}
// The whole item of the entry that the record would be alone (KeyEntry::Apply to an empty one), without a value.
// Returns its length; 0: it would be none.
size_t PackAlone(const Record& record, bool payload_crc, uint8_t* to);

// Of an entry only what a read of its newest record by position must know.
struct NewestPeek {
  bool present = false;
  bool corrupt = false;  // any record of it
  ValueBlock* cached = nullptr;
};
NewestPeek PeekNewest(const uint8_t* item);

// Fills all but `hash` of a fresh entry; the key points into the item. Returns the item's length.
size_t UnpackEntry(const uint8_t* item, KeyEntry* out);

}  // namespace plogdb

#endif  // PLOGDB_CORE_ENTRY_CODEC_H_
