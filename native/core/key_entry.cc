// The rule: live are, for every position at or above the floor of the newest record, the record with the highest LSN;
// what a deletion erased is never live; a deletion's marker lives until a later record carries its LSN on
// (erased_below).
#include "key_entry.h"

#include <utility>

#include "assert.h"
#include "canary.h"

namespace plogdb {

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
  dead->Add(slot[index].place, RecordBytes(slot[index].head_bytes, key.size(), slot[index].value_bytes));
  dead->cached_bytes += slot[index].value.size();
  if (index == 0 && slots == 2) slot[0] = std::move(slot[1]);
  --slots;
  slot[slots] = Slot{};
}

void KeyEntry::ReleaseMarker(DeadRecords* dead) {
  PLOGDB_ASSERT(marker, "D13");
  dead->Add(marker_place, RecordBytes(marker_head_bytes, key.size(), 0));
  marker = false;
  marker_corrupt = false;
}

void KeyEntry::Insert(const Record& record) {
  PLOGDB_ASSERT(slots < 2, "D5");
  Slot fresh;
  fresh.position = record.position;
  fresh.floor = record.floor;
  fresh.lsn = record.lsn;
  fresh.place = record.place;
  fresh.corrupt = record.corrupt;
  fresh.value_bytes = record.value_bytes;
  fresh.head_bytes = record.head_bytes;
  fresh.value = record.value;
  fresh.header = record.header;
  if (slots == 1 && slot[0].position > fresh.position) {
    slot[1] = std::move(slot[0]);
    slot[0] = std::move(fresh);
  } else {
    slot[slots] = std::move(fresh);
  }
  ++slots;
}

namespace {

// Is `record` the better one of two copies?
bool BetterCopy(const Record& record, bool known_corrupt, RecordPlace known, const PlaceOrder* order) {
  if (record.corrupt != known_corrupt) return known_corrupt;
  return order == nullptr || order->Later(record.place, known);
}

}  // namespace

bool KeyEntry::ApplyDrop(const Record& record, DeadRecords* dead, const PlaceOrder* order) {
  if (marker && record.lsn == erased_below && BetterCopy(record, marker_corrupt, marker_place, order)) {
    ReleaseMarker(dead);
    marker = true;
    marker_corrupt = record.corrupt;
    marker_place = record.place;
    marker_head_bytes = record.head_bytes;
    return true;
  }
  if (record.lsn <= erased_below) {
    dead->Add(record.place, RecordBytes(record));
    return false;
  }
  erased_below = record.lsn;
  if (marker) ReleaseMarker(dead);
  for (uint32_t i = slots; i-- > 0;) {
    if (slot[i].lsn < record.lsn) ReleaseSlot(i, dead);
  }
  if (slots > 0) {  // a later record carries the deletion on
    dead->Add(record.place, RecordBytes(record));
    return false;
  }
  if (CanaryOn(Canary::kMarkerDroppedEarly)) {
    dead->Add(record.place, RecordBytes(record));
    return false;
  }
  marker = true;
  marker_corrupt = record.corrupt;
  marker_place = record.place;
  marker_head_bytes = record.head_bytes;
  return true;
}

bool KeyEntry::Apply(const Record& record, DeadRecords* dead, const PlaceOrder* order) {
  if (record.kind == RecordKind::kDrop) return ApplyDrop(record, dead, order);
  const uint64_t bytes = RecordBytes(record);
  if (record.lsn < erased_below) {
    dead->Add(record.place, bytes);
    return false;
  }
  if (record.erased_below > erased_below) {
    erased_below = record.erased_below;
    for (uint32_t i = slots; i-- > 0;) {
      if (slot[i].lsn < erased_below) ReleaseSlot(i, dead);
    }
  }
  if (marker) ReleaseMarker(dead);
  const Slot* newest = Newest();
  const Slot* same = Find(record.position);
  if (same != nullptr && same->lsn == record.lsn && !BetterCopy(record, same->corrupt, same->place, order)) {
    dead->Add(record.place, bytes);
    return false;
  }
  const bool by_place = CanaryOn(Canary::kRecoveryByPlace);
  const bool older = newest != nullptr && newest->lsn > record.lsn && !by_place;
  if (older && (record.position < newest->floor || (same != nullptr && same->lsn > record.lsn))) {
    dead->Add(record.place, bytes);
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
