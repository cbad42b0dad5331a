// What the cases of the key index share: records made by hand, and puts of them.
#ifndef PLOGDB_TEST_INDEX_FIXTURE_H_
#define PLOGDB_TEST_INDEX_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "format.h"
#include "key_index.h"
#include "store.h"

namespace plogdb::test {

inline Record MakeRecord(uint64_t lsn, uint64_t position, uint64_t floor, uint64_t erased_below = 0) {
  Record record;
  record.key = "k";
  record.lsn = lsn;
  record.position = position;
  record.floor = floor;
  record.erased_below = erased_below;
  record.place = {static_cast<uint32_t>(lsn), 7};
  return record;
}

inline Record MakeDrop(uint64_t lsn) {
  Record record = MakeRecord(lsn, 0, 0);
  record.kind = RecordKind::kDrop;
  return record;
}

inline uint64_t HashOf(std::string_view key) { return KeyHash(AsBytes(key)); }

inline bool SamePlace(RecordPlace one, RecordPlace other) {
  return one.block == other.block && one.offset == other.offset;
}

inline void Put(KeyIndex* index, const std::string& key, uint64_t lsn, uint64_t position, uint8_t header,
                size_t value_bytes = 0) {
  Record record = MakeRecord(lsn, position, position == 0 ? 0 : position - 1);
  record.key = key;
  record.header[16] = header;
  record.payload_crc = header;
  record.value_bytes = static_cast<uint32_t>(value_bytes);
  if (value_bytes > 0) record.value = ValueRef::Allocate(value_bytes);
  if (value_bytes > 0) std::fill(record.value.mutable_bytes().begin(), record.value.mutable_bytes().end(), header);
  DeadRecords dead;
  index->Apply(record, HashOf(key), true, &dead);
}

inline bool Cached(KeyIndex* index, const std::string& key) {
  LoadedKey loaded;
  index->Load(AsBytes(key), HashOf(key), &loaded);
  return loaded.slots > 0 && loaded.slot[0].value.present();
}

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_INDEX_FIXTURE_H_
