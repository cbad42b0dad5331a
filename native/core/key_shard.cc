// Edits, sums, eviction and the moving of entries.
#include "key_shard.h"

#include <cstring>

#include "assert.h"

namespace plogdb {
static_assert(kEntryReadAhead <= SlabArena::kReadAhead);

uint64_t DigestOfEntry(const KeyEntry& entry, uint32_t digest_offset) {
  for (uint32_t i = entry.slots; i-- > 0;) {
    const Slot& slot = entry.slot[i];
    const uint64_t hash = DigestRecordHash(slot, digest_offset);
    if (hash != 0) return DigestOfRecord(entry.hash, slot.position, hash);
  }
  return 0;
}

Contribution ContributionOf(const KeyEntry& entry, uint32_t digest_offset) {
  Contribution out;
  out.corrupt = entry.corrupt() ? 1 : 0;
  const Slot* newest = entry.Newest();
  if (newest == nullptr) return out;
  out.live = 1;
  out.header_class = newest->header[0];
  out.digest = DigestOfEntry(entry, digest_offset);
  return out;
}

Contribution ContributionOf(const Record& record, uint64_t hash, uint32_t digest_offset) {
  Contribution out;
  out.corrupt = record.corrupt ? 1 : 0;
  if (record.kind == RecordKind::kDrop) return out;
  out.live = 1;
  out.header_class = record.header[0];
  const uint64_t record_hash = DigestRecordHash(record, digest_offset);
  if (record_hash != 0) out.digest = DigestOfRecord(hash, record.position, record_hash);
  return out;
}

KeyShard::KeyShard(CacheBudget* budget, uint32_t digest_offset)
    : digest_offset_(digest_offset), budget_(budget), cache_(budget) {}

const uint8_t* KeyShard::Item(std::string_view key, uint64_t hash) const {
  const uint32_t tag = TagOfHash(hash);
  for (size_t at = table_.Find(tag); table_.Has(at, tag); ++at) {
    const uint8_t* item = arena_.At(table_.Ref(at));
    if (KeyOfItem(item) == key) return item;
  }
  return nullptr;
}

bool KeyShard::Get(std::string_view key, uint64_t hash, Edit* out) const {
  const uint32_t tag = TagOfHash(hash);
  for (size_t at = table_.Find(tag); table_.Has(at, tag); ++at) {
    const uint32_t ref = table_.Ref(at);
    const uint8_t* item = arena_.At(ref);
    if (KeyOfItem(item) != key) continue;
    out->bytes = UnpackEntry(item, &out->entry);
    out->entry.hash = hash;
    out->ref = ref;
    out->at = at;
    return true;
  }
  out->entry.key = key;
  out->entry.hash = hash;
  return false;
}

bool KeyShard::Begin(std::string_view key, uint64_t hash, Edit* out) {
  const bool found = Get(key, hash, out);
  if (found) out->before = ContributionOf(out->entry);
  return found;
}

void KeyShard::Count(uint64_t hash, const Contribution& before, const Contribution& after) {
  sums_.live_keys += uint64_t{after.live} - before.live;
  sums_.corrupt_keys += uint64_t{after.corrupt} - before.corrupt;
  sums_.by_class[before.header_class] -= before.live;
  sums_.by_class[after.header_class] += after.live;
  if (before.digest == after.digest) return;
  if (digests_ == nullptr) digests_ = std::make_unique<uint64_t[]>(kShardBuckets);
  digests_[BucketInShard(hash)] += after.digest - before.digest;
}

void KeyShard::Store(Edit* edit) {
  const KeyEntry& entry = edit->entry;
  if (entry.empty()) {
    if (edit->ref == 0) return;
    arena_.Free(edit->ref, edit->bytes);
    table_.Erase(edit->at);
    edit->ref = 0;
    return;
  }
  PackedEntry packed;
  PackEntry(entry, digest_offset_ == kNoDigestOffset, &packed);
  const size_t bytes = packed.size();
  if (edit->ref != 0 && SlabArena::SameSize(edit->bytes, bytes)) {
    packed.WriteAround(arena_.At(edit->ref));
    return;
  }
  const uint32_t ref = arena_.Allocate(bytes);
  uint8_t* item = arena_.At(ref);
  std::memcpy(item + kEntryKeyOffset, entry.key.data(), entry.key.size());
  packed.WriteAround(item);
  if (edit->ref == 0) {
    table_.Insert(TagOfHash(entry.hash), ref);
  } else {
    arena_.Free(edit->ref, edit->bytes);
    table_.SetRef(edit->at, ref);
  }
}

bool KeyShard::InsertAlone(const LoadItem& item, const uint8_t* packed) {
  const uint32_t tag = TagOfHash(item.hash);
  const size_t at = table_.Find(tag);
  if (table_.Has(at, tag)) return false;
  const uint32_t ref = arena_.Allocate(item.bytes);
  std::memcpy(arena_.At(ref), packed, item.bytes);
  table_.InsertAt(at, tag, ref);
  Count(item.hash, {}, item.adds);
  return true;
}

void KeyShard::End(Edit* edit, Slot* fresh, const ValueRef& value) {
  KeyEntry& entry = edit->entry;
  const bool wanted = fresh != nullptr && value.present();
  for (uint32_t i = 0; i < entry.released_count; ++i) {
    ValueBlock* block = entry.released[i];
    if (wanted && fresh->cached == nullptr && SieveQueue::Overwrite(block, value)) {
      fresh->cached = block;
    } else {
      cache_.Remove(block);
    }
  }
  entry.released_count = 0;
  if (wanted && fresh->cached == nullptr) {
    const uint64_t charge = CacheCharge(value.size());
    if (budget_->Admits(charge) && budget_->Take(charge)) fresh->cached = cache_.Insert(value, TagOfHash(entry.hash));
  }
  Store(edit);
  Count(entry.hash, edit->before, ContributionOf(entry));
}

bool KeyShard::EvictOne() {
  ValueBlock* block = cache_.Victim();
  if (block == nullptr) return false;
  for (size_t at = table_.Find(block->tag); table_.Has(at, block->tag); ++at) {
    Edit edit;
    edit.at = at;
    edit.ref = table_.Ref(at);
    edit.bytes = UnpackEntry(arena_.At(edit.ref), &edit.entry);
    for (uint32_t i = 0; i < edit.entry.slots; ++i) {
      Slot& slot = edit.entry.slot[i];
      if (slot.cached != block) continue;
      slot.cached = nullptr;
      Store(&edit);
      cache_.Remove(block);
      return true;
    }
  }
  PLOGDB_ASSERT(false, "D15");
  return false;
}

void KeyShard::Compact() {
  arena_.Compact([this](uint32_t old, uint32_t now, const uint8_t* item) {
    const uint32_t tag = TagOfHash(KeyHash(AsBytes(KeyOfItem(item))));
    size_t at = table_.Find(tag);
    while (table_.Has(at, tag) && table_.Ref(at) != old) ++at;
    PLOGDB_ASSERT(table_.Has(at, tag), "D15");
    table_.SetRef(at, now);
  });
}

void KeyShard::UnpackAt(size_t at, KeyEntry* out) const {
  UnpackEntry(arena_.At(table_.Ref(at)), out);
  out->hash = KeyHash(AsBytes(out->key));
}

void KeyShard::PrefetchEntry(uint32_t tag) const {
  const size_t at = table_.Find(tag);
  if (table_.Has(at, tag)) __builtin_prefetch(arena_.At(table_.Ref(at)));
}

uint64_t KeyShard::index_bytes() const {
  const uint64_t digests = digests_ == nullptr ? 0 : HeapBytes(kShardBuckets * sizeof(uint64_t));
  return table_.memory_bytes() + arena_.memory_bytes() + digests - cache_.count() * kValueRefBytes;
}

}  // namespace plogdb
