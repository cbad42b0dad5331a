// The rule: live are, for every position at or above the floor of the newest record, the record with the highest LSN;
// what a deletion erased is never live; a deletion's marker lives until a later record carries its LSN on
// (erased_below). Of two copies of one record a whole one lives rather than a broken one, else the one that was written
// later, as whoever asks knows, or, where nobody does, the one that lies lower.
#include "key_entry.h"

#include "assert.h"
#include "canary.h"

namespace plogdb {
namespace {

bool Lower(const RecordPlace& one, const RecordPlace& other) {
  return one.block != other.block ? one.block < other.block : one.offset < other.offset;
}

// Of two copies of a record: is the new one to be kept?
bool Prefers(const Record& record, bool kept_corrupt, const RecordPlace& kept_place, const PlaceOrder* order) {
  if (record.corrupt != kept_corrupt) return kept_corrupt;
  return order == nullptr ? Lower(record.place, kept_place) : order->Later(record.place, kept_place);
}

}  // namespace

bool KeyEntry::corrupt() const {
  if (marker && marker_corrupt) return true;
  for (uint32_t i = 0; i < slots; ++i) {
    if (slot[i].corrupt) return true;
  }
  return false;
}

const Slot* KeyEntry::Newest() const {
  if (slots == 0) return nullptr;
  if (slots == 2 && slot[1].lsn > slot[0].lsn) return &slot[1];
  return &slot[0];
}

uint64_t KeyEntry::floor() const {
  const Slot* newest = Newest();
  return newest == nullptr ? 0 : newest->floor;
}

Slot* KeyEntry::Find(uint64_t position) {
  for (uint32_t i = 0; i < slots; ++i) {
    if (slot[i].position == position) return &slot[i];
  }
  return nullptr;
}

void KeyEntry::ReleaseSlot(uint32_t index, DeadRecords* dead) {
  PLOGDB_ASSERT(index < slots, "D5");
  dead->Add(slot[index].place, BytesOf(slot[index]));
  if (slot[index].cached != nullptr) released[released_count++] = slot[index].cached;
  if (index == 0 && slots == 2) slot[0] = slot[1];
  --slots;
}

void KeyEntry::ReleaseMarker(DeadRecords* dead) {
  PLOGDB_ASSERT(marker, "D13");
  dead->Add(marker_place, MarkerBytes());
  marker = false;
  marker_corrupt = false;
}

void KeyEntry::Insert(const Record& record) {
  PLOGDB_ASSERT(slots < 2, "D5");
  const uint32_t at = slots == 1 && slot[0].position > record.position ? 0 : slots;
  if (at < slots) slot[1] = slot[0];
  Slot& fresh = slot[at];
  fresh = Slot{};
  fresh.position = record.position;
  fresh.floor = record.floor;
  fresh.lsn = record.lsn;
  fresh.place = record.place;
  fresh.corrupt = record.corrupt;
  fresh.value_bytes = record.value_bytes;
  fresh.head_bytes = record.head_bytes;
  fresh.payload_crc = record.payload_crc;
  fresh.header = record.header;
  ++slots;
}

Record KeyEntry::OnlyRecord() const {
  PLOGDB_ASSERT(slots == (marker ? 0u : 1u), "D5");
  Record record;
  record.key = key;
  if (marker) {
    record.kind = RecordKind::kDrop;
    record.corrupt = marker_corrupt;
    record.lsn = erased_below;
    record.place = marker_place;
    record.head_bytes = marker_head_bytes;
    return record;
  }
  const Slot& of = slot[0];
  record.corrupt = of.corrupt;
  record.lsn = of.lsn;
  record.position = of.position;
  record.floor = of.floor;
  record.erased_below = erased_below;
  record.header = of.header;
  record.value_bytes = of.value_bytes;
  record.head_bytes = of.head_bytes;
  record.payload_crc = of.payload_crc;
  record.place = of.place;
  return record;
}

bool KeyEntry::ApplyDrop(const Record& record, DeadRecords* dead, const PlaceOrder* order) {
  const bool twin = marker && record.lsn == erased_below;
  if (record.lsn < erased_below || (record.lsn == erased_below && !twin)) {
    dead->Add(record.place, RecordBytes(record));
    return false;
  }
  if (twin && !Prefers(record, marker_corrupt, marker_place, order)) {
    dead->Add(record.place, RecordBytes(record), true);
    return false;
  }
  Erase(record.lsn, dead);
  if (marker) ReleaseMarker(dead);
  if (twin) dead->record[dead->count - 1].twin = true;
  // A later record carries the deletion on.
  if (slots > 0 || CanaryOn(Canary::kMarkerDroppedEarly)) {
    dead->Add(record.place, RecordBytes(record));
    return false;
  }
  marker = true;
  marker_corrupt = record.corrupt;
  marker_place = record.place;
  marker_head_bytes = record.head_bytes;
  return true;
}

// What lies below the LSN of a deletion is erased.
void KeyEntry::Erase(uint64_t below, DeadRecords* dead) {
  if (below <= erased_below) return;
  erased_below = below;
  for (uint32_t i = slots; i-- > 0;) {
    if (slot[i].lsn < below) ReleaseSlot(i, dead);
  }
}

// The record is there already: merge copied it, and both copies were found.
bool KeyEntry::ApplyTwin(const Record& record, Slot* same, DeadRecords* dead, const PlaceOrder* order) {
  if (!Prefers(record, same->corrupt, same->place, order)) {
    dead->Add(record.place, RecordBytes(record), true);
    return false;
  }
  ReleaseSlot(static_cast<uint32_t>(same - slot.data()), dead);
  dead->record[dead->count - 1].twin = true;
  Insert(record);
  return true;
}

bool KeyEntry::Apply(const Record& record, DeadRecords* dead, const PlaceOrder* order) {
  if (record.kind == RecordKind::kDrop) return ApplyDrop(record, dead, order);
  if (record.lsn < erased_below) {
    dead->Add(record.place, RecordBytes(record));
    return false;
  }
  Erase(record.erased_below, dead);
  if (marker) ReleaseMarker(dead);
  const Slot* newest = Newest();
  Slot* same = Find(record.position);
  const bool by_place = CanaryOn(Canary::kRecoveryByPlace);
  if (same != nullptr && same->lsn == record.lsn && !by_place) return ApplyTwin(record, same, dead, order);
  const bool older = newest != nullptr && newest->lsn > record.lsn && !by_place;
  if (older && (record.position < newest->floor || (same != nullptr && same->lsn > record.lsn))) {
    dead->Add(record.place, RecordBytes(record));
    return false;
  }
  const uint64_t floor = older ? newest->floor : record.floor;
  for (uint32_t i = slots; i-- > 0;) {
    if (slot[i].position < floor || slot[i].position == record.position) ReleaseSlot(i, dead);
  }
  if (slots == 2) {  // impossible with floors as D5 has them, but a disk may say anything
    ReleaseSlot(0, dead);
  }
  Insert(record);
  return true;
}

}  // namespace plogdb
