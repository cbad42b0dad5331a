// Packing by whole words: a field is written with 8 bytes and counted with fewer, the next one covers the excess.
#include "entry_codec.h"

#include <bit>
#include <type_traits>

#include "assert.h"
#include "canary.h"

namespace plogdb {
namespace {

// Flags of an entry.
constexpr uint8_t kSlots = 3;
constexpr uint8_t kMarker = 4;
constexpr uint8_t kMarkerCorrupt = 8;
constexpr uint8_t kErasedBelow = 16;

// Of a slot: the position's width code (3 bits), the value length's width less one (2 bits), then these.
constexpr unsigned kValueWidthShift = 3;
constexpr uint16_t kWideLsn = 1 << 5;
constexpr uint16_t kFloorBelow = 1 << 6;
constexpr uint16_t kCorrupt = 1 << 7;
constexpr uint16_t kDecided = 1 << 8;
constexpr uint16_t kPayloadCrc = 1 << 9;
constexpr uint16_t kCached = 1 << 10;

constexpr std::array<uint8_t, 8> kPositionWidths = {0, 1, 2, 3, 4, 6, 8, 0};
constexpr unsigned kOneBelow = 7;  // the position is one below that of the next slot

constexpr unsigned WidthOf(uint64_t value) { return (static_cast<unsigned>(std::bit_width(value)) + 7) / 8; }

unsigned PositionCode(uint64_t position) {
  unsigned code = 0;
  while (kPositionWidths[code] < WidthOf(position)) ++code;
  return code;
}

void Put(uint64_t value, unsigned width, uint8_t** at) {
  std::memcpy(*at, &value, sizeof(value));
  *at += width;
}

uint64_t Get(unsigned width, const uint8_t** at) {
  uint64_t value;
  std::memcpy(&value, *at, sizeof(value));
  *at += width;
  if (width == 8) return value;
  return value & ((uint64_t{1} << (8 * width)) - 1);
}

// A slot, or the record that would become one: that has neither mark nor cached value.
template <typename Said>
void PutSlot(const Said& slot, const Slot* next, bool payload_crc, uint8_t** at) {
  constexpr bool kIsSlot = std::is_same_v<Said, Slot>;
  PLOGDB_ASSERT(slot.position - slot.floor <= 1, "D5");
  PLOGDB_ASSERT(slot.head_bytes <= kMaxRecordHeadBytes, "D4");
  const bool one_below = next != nullptr && next->position - slot.position == 1;
  const unsigned code = one_below ? kOneBelow : PositionCode(slot.position);
  const unsigned value_width = slot.value_bytes == 0 ? 1 : WidthOf(slot.value_bytes);
  const unsigned lsn_width = WidthOf(slot.lsn) > 6 ? 8 : 6;
  unsigned control = code | (value_width - 1) << kValueWidthShift;
  if (lsn_width == 8) control |= kWideLsn;
  if (slot.floor != slot.position) control |= kFloorBelow;
  if (slot.corrupt) control |= kCorrupt;
  if constexpr (kIsSlot) {
    if (slot.decided) control |= kDecided;
    if (slot.cached != nullptr) control |= kCached;
  }
  if (payload_crc) control |= kPayloadCrc;
  const size_t header_bytes = TrimmedHeaderBytes(slot.header);
  Put(control | header_bytes << 16 | uint64_t{slot.head_bytes} << 24, 4, at);
  Put(slot.position, kPositionWidths[code], at);
  Put(slot.lsn, lsn_width, at);
  Put(slot.place.block | uint64_t{slot.place.offset} << 32, 6, at);
  Put(slot.value_bytes, value_width, at);
  if (payload_crc) Put(slot.payload_crc, 4, at);
  if constexpr (kIsSlot) {
    if (slot.cached != nullptr) Put(std::bit_cast<uint64_t>(slot.cached), 8, at);
  }
  std::memcpy(*at, slot.header.data(), slot.header.size());  // what is too much is covered or not counted
  *at += header_bytes;
}

// Returns true when the position is still to be set: one below the next slot's.
bool GetSlot(const uint8_t** at, Slot* slot) {
  const uint64_t head = Get(4, at);
  const auto control = static_cast<uint16_t>(head);
  const unsigned code = control & 7;
  slot->head_bytes = static_cast<uint32_t>(head >> 24);
  slot->corrupt = (control & kCorrupt) != 0;
  slot->decided = (control & kDecided) != 0;
  slot->position = Get(kPositionWidths[code], at);
  slot->floor = slot->position - ((control & kFloorBelow) != 0 ? 1 : 0);
  slot->lsn = Get((control & kWideLsn) != 0 ? 8 : 6, at);
  const uint64_t place = Get(6, at);
  slot->place = {static_cast<uint32_t>(place), static_cast<uint16_t>(place >> 32)};
  slot->value_bytes = static_cast<uint32_t>(Get((control >> kValueWidthShift & 3) + 1u, at));
  slot->payload_crc = (control & kPayloadCrc) != 0 ? static_cast<uint32_t>(Get(4, at)) : 0;
  slot->cached = (control & kCached) != 0 ? std::bit_cast<ValueBlock*>(Get(8, at)) : nullptr;
  const size_t header_bytes = head >> 16 & 0xff;
  slot->header.fill(0);
  std::memcpy(slot->header.data(), *at, header_bytes);
  *at += header_bytes;
  return code == kOneBelow;
}

}  // namespace

static_assert(sizeof(ValueBlock*) == 8);
static_assert(std::endian::native == std::endian::little);

void PackedEntry::WriteAround(uint8_t* item) const {
  const auto length = static_cast<uint16_t>(key_bytes);
  item[0] = flags;
  std::memcpy(item + 1, &length, sizeof(length));
  std::memcpy(item + kEntryKeyOffset + key_bytes, tail.data(), tail_bytes);
}

void PackEntry(const KeyEntry& entry, bool payload_crc, PackedEntry* out) {
  PLOGDB_ASSERT(entry.key.size() <= UINT16_MAX && entry.slots <= 2, "D5");
  uint8_t* at = out->tail.data();
  out->flags = static_cast<uint8_t>(entry.slots);
  out->key_bytes = entry.key.size();
  if (entry.erased_below != 0) {
    out->flags |= kErasedBelow;
    Put(entry.erased_below, 8, &at);
  }
  if (entry.marker) {
    out->flags |= kMarker;
    if (entry.marker_corrupt) out->flags |= kMarkerCorrupt;
    const RecordPlace place = entry.marker_place;
    Put(place.block | uint64_t{place.offset} << 32 | uint64_t{entry.marker_head_bytes} << 48, 7, &at);
  }
  for (uint32_t i = 0; i < entry.slots; ++i) {
    PutSlot(entry.slot[i], i + 1 < entry.slots ? &entry.slot[i + 1] : nullptr, payload_crc, &at);
  }
  out->tail_bytes = static_cast<size_t>(at - out->tail.data());
}

size_t PackAlone(const Record& record, bool payload_crc, uint8_t* to) {
  PLOGDB_ASSERT(record.key.size() <= UINT16_MAX, "D4");
  const bool drop = record.kind == RecordKind::kDrop;
  if (drop && (record.lsn == 0 || CanaryOn(Canary::kMarkerDroppedEarly))) return 0;
  const uint64_t erased_below = drop ? record.lsn : record.erased_below;
  const auto key_bytes = static_cast<uint16_t>(record.key.size());
  to[0] = static_cast<uint8_t>((drop ? kMarker : 1) | (drop && record.corrupt ? kMarkerCorrupt : 0) |
                               (erased_below != 0 ? kErasedBelow : 0));
  std::memcpy(to + 1, &key_bytes, sizeof(key_bytes));
  std::memcpy(to + kEntryKeyOffset, record.key.data(), key_bytes);
  uint8_t* at = to + kEntryKeyOffset + key_bytes;
  if (erased_below != 0) Put(erased_below, 8, &at);
  if (drop) {
    Put(record.place.block | uint64_t{record.place.offset} << 32 | uint64_t{record.head_bytes} << 48, 7, &at);
  } else {
    PutSlot(record, nullptr, payload_crc, &at);
  }
  return static_cast<size_t>(at - to);
}

NewestPeek PeekNewest(const uint8_t* item) {
  const uint8_t flags = item[0];
  const uint8_t* at = item + kEntryKeyOffset + KeyOfItem(item).size();
  NewestPeek peek;
  peek.corrupt = (flags & kMarkerCorrupt) != 0;
  if ((flags & kErasedBelow) != 0) at += 8;
  if ((flags & kMarker) != 0) at += 7;
  for (unsigned left = flags & kSlots; left > 0; --left) {
    const uint64_t head = Get(4, &at);
    peek.present = true;
    peek.corrupt |= (head & kCorrupt) != 0;
    at += kPositionWidths[head & 7] + ((head & kWideLsn) != 0 ? 8 : 6) + 6 + (head >> kValueWidthShift & 3) + 1;
    if ((head & kPayloadCrc) != 0) at += 4;
    peek.cached = (head & kCached) != 0 ? std::bit_cast<ValueBlock*>(Get(8, &at)) : nullptr;
    at += head >> 16 & 0xff;
  }
  return peek;
}

size_t UnpackEntry(const uint8_t* item, KeyEntry* out) {
  out->key = KeyOfItem(item);
  const uint8_t flags = item[0];
  const uint8_t* at = item + kEntryKeyOffset + out->key.size();
  out->slots = flags & kSlots;
  out->marker = (flags & kMarker) != 0;
  out->marker_corrupt = (flags & kMarkerCorrupt) != 0;
  if ((flags & kErasedBelow) != 0) out->erased_below = Get(8, &at);
  if (out->marker) {
    const uint64_t marker = Get(7, &at);
    out->marker_place = {static_cast<uint32_t>(marker), static_cast<uint16_t>(marker >> 32)};
    out->marker_head_bytes = static_cast<uint32_t>(marker >> 48);
  }
  bool one_below = false;
  for (uint32_t i = 0; i < out->slots; ++i) one_below |= GetSlot(&at, &out->slot[i]);
  if (one_below) {
    Slot& lower = out->slot[0];
    const uint64_t floor_below = lower.position - lower.floor;
    lower.position = out->slot[1].position - 1;
    lower.floor = lower.position - floor_below;
  }
  return static_cast<size_t>(at - item);
}

}  // namespace plogdb
