// One key in memory and the rule of D5 and D13 that says which of its records live. Records may come in any order
// (recovery) or in LSN order (writer): the outcome is the same. No lock, no disk.
#ifndef PLOGDB_CORE_KEY_ENTRY_H_
#define PLOGDB_CORE_KEY_ENTRY_H_

#include <array>
#include <cstdint>
#include <string>

#include "record.h"

namespace plogdb {

struct Slot {
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t lsn = 0;
  RecordPlace place;
  bool corrupt = false;
  bool decided = false;
  uint32_t value_bytes = 0;
  uint32_t head_bytes = 0;
  ValueRef value;  // cached
  std::array<uint8_t, 64> header{};
};

// A record that no longer lives: its bytes are dead where they lie.
struct DeadRecord {
  RecordPlace place;
  uint64_t bytes = 0;
};

// At most: both slots and a deletion marker, or the record itself.
struct DeadRecords {
  std::array<DeadRecord, 3> record;
  uint32_t count = 0;
  uint64_t cached_bytes = 0;  // what their values held of the cache

  void Add(RecordPlace place, uint64_t bytes) { record[count++] = {place, bytes}; }
};

struct KeyEntry {
  std::string key;
  uint64_t hash = 0;
  uint64_t erased_below = 0;  // LSN of the latest deletion (D13)
  uint32_t slots = 0;         // in rising position
  bool marker = false;        // the deletion itself is a live record, at marker_place
  bool marker_corrupt = false;
  bool recently_used = false;  // CLOCK
  RecordPlace marker_place;
  uint32_t marker_head_bytes = 0;
  std::array<Slot, 2> slot;

  // Takes the record in, or finds it dead. Returns true when it lives now. Of two copies of one record (merge makes them,
  // with the same LSN) a whole one wins over a broken one, then the later one by `order`.
  bool Apply(const Record& record, DeadRecords* dead, const PlaceOrder* order = nullptr);

  bool empty() const { return slots == 0 && !marker; }
  bool corrupt() const;
  const Slot* Newest() const;     // null when there is none
  Slot* Find(uint64_t position);  // null when there is none
  uint64_t floor() const;         // of the newest record; 0 when there is none

 private:
  bool ApplyDrop(const Record& record, DeadRecords* dead, const PlaceOrder* order);
  void ReleaseSlot(uint32_t index, DeadRecords* dead);
  void ReleaseMarker(DeadRecords* dead);
  void Insert(const Record& record);
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEY_ENTRY_H_
