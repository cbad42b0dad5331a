// One key in memory, unpacked, and the rule of D5 and D13 that says which of its records live. Records may come in any
// order (recovery) or in LSN order (writer): the outcome is the same. No lock, no disk; how a key is kept small, the
// entry codec knows.
#ifndef PLOGDB_CORE_KEY_ENTRY_H_
#define PLOGDB_CORE_KEY_ENTRY_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "record.h"

namespace plogdb {

struct Slot {
  uint64_t position = 0;
  uint64_t floor = 0;  // the position, or one below
  uint64_t lsn = 0;
  RecordPlace place;
  bool corrupt = false;
  bool decided =
      false;  // the caller said so (D5): what lies below is no longer needed. Forgotten at the end of the store
  uint32_t value_bytes = 0;
  uint32_t head_bytes = 0;       // on disk, whatever became of the header in memory
  uint32_t payload_crc = 0;      // kept only where digests need it (D20)
  ValueBlock* cached = nullptr;  // the cache holds the reference
  std::array<uint8_t, kCallerHeaderBytes> header{};
};

// A record that no longer lives: its bytes are dead where they lie.
struct DeadRecord {
  RecordPlace place;
  uint64_t bytes = 0;
  // The record itself lives: this was one of two copies of it (merge makes them), and the other one was kept.
  bool twin = false;
};

// At most: both slots and a deletion marker, or the record itself.
struct DeadRecords {
  std::array<DeadRecord, 3> record;
  uint32_t count = 0;

  void Add(RecordPlace place, uint64_t bytes, bool twin = false) { record[count++] = {place, bytes, twin}; }
};

struct KeyEntry {
  KeyEntry() {}
  KeyEntry(const KeyEntry&) = default;
  KeyEntry& operator=(const KeyEntry&) = default;

  std::string_view key;
  uint64_t hash = 0;
  uint64_t erased_below = 0;  // LSN of the latest deletion (D13)
  uint32_t slots = 0;         // in rising position
  bool marker = false;        // the deletion itself is a live record, at marker_place; there are no slots then
  bool marker_corrupt = false;
  RecordPlace marker_place;
  uint32_t marker_head_bytes = 0;
  // Filled up to `slots` only: an entry is unpacked at every look at a key, and clearing what is not used would cost
  // more.
  union {
    std::array<Slot, 2> slot;
  };

  // Cached values of slots that are gone: the cache must let them go.
  std::array<ValueBlock*, 2> released{};
  uint32_t released_count = 0;

  // Takes the record in, or finds it dead. Returns true when it lives now (without a cached value). Of two copies of one
  // record (merge makes them, with the same LSN) a whole one wins over a broken one, then the later one by `order`.
  bool Apply(const Record& record, DeadRecords* dead, const PlaceOrder* order = nullptr);

  bool empty() const { return slots == 0 && !marker; }
  bool corrupt() const;
  const Slot* Newest() const;     // null when there is none
  Slot* Find(uint64_t position);  // null when there is none
  uint64_t floor() const;         // of the newest record; 0 when there is none
  uint64_t BytesOf(const Slot& of) const { return RecordBytes(of.head_bytes, key.size(), of.value_bytes); }
  uint64_t MarkerBytes() const { return RecordBytes(marker_head_bytes, key.size(), 0); }

  void ReleaseMarker(DeadRecords* dead);

  // Of an entry that one record alone has made: that record, without a value.
  Record OnlyRecord() const;

 private:
  bool ApplyDrop(const Record& record, DeadRecords* dead, const PlaceOrder* order);
  bool ApplyTwin(const Record& record, Slot* same, DeadRecords* dead, const PlaceOrder* order);
  void ReleaseSlot(uint32_t index, DeadRecords* dead);
  void Erase(uint64_t below, DeadRecords* dead);
  void Insert(const Record& record);
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_KEY_ENTRY_H_
