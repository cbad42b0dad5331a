// Shards of the key index, their statistics and their share of the value cache.
#include "key_index.h"

#include <cstring>
#include <utility>

#include "assert.h"
#include "store.h"

namespace plogdb {
namespace {

constexpr size_t kFirstTable = 64;

}  // namespace

KeyIndex::KeyIndex(uint64_t cache_bytes) : shard_budget_(cache_bytes / kShards) {
  for (Shard& shard : shards_) shard.table.resize(kFirstTable);
}

KeyEntry* KeyIndex::Find(const Shard& shard, std::span<const uint8_t> key, uint64_t hash) {
  const size_t mask = shard.table.size() - 1;
  for (size_t at = hash & mask; shard.table[at] != nullptr; at = (at + 1) & mask) {
    KeyEntry* entry = shard.table[at].get();
    if (entry->hash == hash && entry->key == AsText(key)) return entry;
  }
  return nullptr;
}

void KeyIndex::Grow(Shard* shard) {
  std::vector<std::unique_ptr<KeyEntry>> old(shard->table.size() * 2);
  std::swap(old, shard->table);
  const size_t mask = shard->table.size() - 1;
  for (auto& entry : old) {
    if (entry == nullptr) continue;
    size_t at = entry->hash & mask;
    while (shard->table[at] != nullptr) at = (at + 1) & mask;
    shard->table[at] = std::move(entry);
  }
  shard->clock_hand = 0;
}

KeyEntry* KeyIndex::FindOrAdd(Shard* shard, std::span<const uint8_t> key, uint64_t hash) {
  KeyEntry* found = Find(*shard, key, hash);
  if (found != nullptr) return found;
  if ((shard->count + 1) * 4 > shard->table.size() * 3) Grow(shard);
  const size_t mask = shard->table.size() - 1;
  size_t at = hash & mask;
  while (shard->table[at] != nullptr) at = (at + 1) & mask;
  shard->table[at] = std::make_unique<KeyEntry>();
  shard->table[at]->key = AsText(key);
  shard->table[at]->hash = hash;
  ++shard->count;
  return shard->table[at].get();
}

void KeyIndex::Erase(Shard* shard, const KeyEntry* entry) {
  const size_t mask = shard->table.size() - 1;
  size_t hole = entry->hash & mask;
  while (shard->table[hole].get() != entry) hole = (hole + 1) & mask;
  shard->table[hole] = nullptr;
  --shard->count;
  for (size_t at = (hole + 1) & mask; shard->table[at] != nullptr; at = (at + 1) & mask) {
    const size_t home = shard->table[at]->hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;  // it may stay behind the hole
    shard->table[hole] = std::move(shard->table[at]);
    hole = at;
  }
}

// Adds (by = 1) or takes away (by = -1 modulo 2^64) what the entry contributes to the statistics.
void KeyIndex::Count(Shard* shard, const KeyEntry& entry, uint64_t by) {
  const Slot* newest = entry.Newest();
  if (newest != nullptr) {
    shard->live_keys += by;
    shard->by_class[newest->header[0]] += by;
  }
  if (entry.corrupt()) shard->corrupt_keys += by;
}

bool KeyIndex::Apply(const Record& record, uint64_t hash, bool cache, DeadRecords* dead, const PlaceOrder* order) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  KeyEntry* entry = FindOrAdd(&shard, AsBytes(record.key), hash);
  Count(&shard, *entry, ~uint64_t{0});
  const bool lives = entry->Apply(record, dead, order);
  shard.cached_bytes -= dead->cached_bytes;
  dead->cached_bytes = 0;
  if (lives && record.kind == RecordKind::kPut) {
    Slot* slot = entry->Find(record.position);
    const bool fits = shard.cached_bytes + slot->value.size() <= shard_budget_;
    if (slot->value.size() > shard_budget_ || (!cache && !fits)) slot->value = ValueRef();
    shard.cached_bytes += slot->value.size();
    entry->recently_used = cache;
  }
  Count(&shard, *entry, 1);
  if (entry->empty()) Erase(&shard, entry);
  if (shard.cached_bytes > shard_budget_) Evict(&shard);
  return lives;
}

// CLOCK: one pass takes the mark of use away, the next one the values. Bounded by two rounds.
void KeyIndex::Evict(Shard* shard) const {
  for (size_t looked = 0; looked < 2 * shard->table.size() && shard->cached_bytes > shard_budget_; ++looked) {
    shard->clock_hand = (shard->clock_hand + 1) & (shard->table.size() - 1);
    KeyEntry* entry = shard->table[shard->clock_hand].get();
    if (entry == nullptr) continue;
    if (std::exchange(entry->recently_used, false)) continue;
    for (uint32_t i = 0; i < entry->slots; ++i) {
      shard->cached_bytes -= entry->slot[i].value.size();
      entry->slot[i].value = ValueRef();
    }
  }
}

void KeyIndex::SetHeader(std::span<const uint8_t> key, uint64_t hash, uint64_t position,
                         std::span<const uint8_t> header, bool decided) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  KeyEntry* entry = Find(shard, key, hash);
  Slot* slot = entry == nullptr ? nullptr : entry->Find(position);
  if (slot == nullptr || slot->corrupt) return;
  Count(&shard, *entry, ~uint64_t{0});
  std::memcpy(slot->header.data(), header.data(), slot->header.size());
  slot->decided |= decided;
  Count(&shard, *entry, 1);
}

RecordVerdict KeyIndex::Judge(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace place) const {
  const Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  RecordVerdict verdict;
  const KeyEntry* entry = Find(shard, key, hash);
  if (entry == nullptr) return verdict;
  if (entry->marker && entry->erased_below == lsn && entry->marker_place == place) {
    verdict.live = !entry->marker_corrupt;
    verdict.marker = true;
    verdict.head_bytes = entry->marker_head_bytes;
    return verdict;
  }
  for (uint32_t i = 0; i < entry->slots; ++i) {
    const Slot& slot = entry->slot[i];
    if (slot.lsn != lsn || slot.place != place || slot.corrupt) continue;
    verdict.live = true;
    verdict.decided = slot.decided && i == 1;
    verdict.head_bytes = slot.head_bytes;
    verdict.header = slot.header;
  }
  return verdict;
}

bool KeyIndex::Relocate(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace from, RecordPlace to) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  KeyEntry* entry = Find(shard, key, hash);
  if (entry == nullptr) return false;
  if (entry->marker && entry->erased_below == lsn && entry->marker_place == from) {
    entry->marker_place = to;
    return true;
  }
  for (uint32_t i = 0; i < entry->slots; ++i) {
    Slot& slot = entry->slot[i];
    if (slot.lsn != lsn || slot.place != from) continue;
    slot.place = to;
    return true;
  }
  return false;
}

bool KeyIndex::EraseMarker(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, DeadRecords* dead) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  KeyEntry* entry = Find(shard, key, hash);
  if (entry == nullptr || !entry->marker || entry->erased_below != lsn || entry->slots > 0) return false;
  dead->Add(entry->marker_place, RecordBytes(entry->marker_head_bytes, key.size(), 0));
  Erase(&shard, entry);
  return true;
}

bool KeyIndex::MarkCorrupt(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn) {
  {
    const Shard& shard = ShardOf(hash);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    KeyEntry* entry = Find(shard, key, hash);
    const Slot* slot = entry == nullptr ? nullptr : entry->Find(position);
    if (slot == nullptr || slot->lsn != lsn || slot->corrupt) return false;
  }
  AfterRead(key, hash, position, lsn, nullptr);
  return true;
}

KeyState KeyIndex::StateOf(std::span<const uint8_t> key, uint64_t hash) const {
  const Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const KeyEntry* entry = Find(shard, key, hash);
  if (entry == nullptr) return {};
  return {true, entry->floor(), entry->erased_below, entry->slots == 0, 0};
}

void KeyIndex::Load(std::span<const uint8_t> key, uint64_t hash, LoadedKey* out) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  out->slots = 0;
  out->corrupt = false;
  KeyEntry* entry = Find(shard, key, hash);
  if (entry == nullptr) return;
  out->corrupt = entry->corrupt();
  entry->recently_used = true;
  for (uint32_t i = 0; i < entry->slots; ++i) {
    const Slot& slot = entry->slot[i];
    if (slot.corrupt) continue;
    SlotView& view = out->slot[out->slots++];
    view.position = slot.position;
    view.floor = slot.floor;
    view.lsn = slot.lsn;
    view.value_bytes = slot.value_bytes;
    view.header = slot.header;
    view.value = slot.value;
  }
}

ReadPlan KeyIndex::PlanRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  ReadPlan plan;
  KeyEntry* entry = Find(shard, key, hash);
  if (entry == nullptr) return plan;
  entry->recently_used = true;
  const Slot* slot = entry->Find(position);
  if (slot == nullptr) {
    plan.corrupt = entry->marker && entry->marker_corrupt;
    plan.found = plan.corrupt;
    return plan;
  }
  plan.found = true;
  plan.corrupt = slot->corrupt;
  plan.value = slot->value;
  plan.lsn = slot->lsn;
  plan.value_bytes = slot->value_bytes;
  plan.head_bytes = slot->head_bytes;
  plan.place = slot->place;
  // Under the shard's lock: the writer changes the entry under it before it lets the extent go.
  if (!plan.corrupt && !plan.value.present()) extents->PinForRead(plan.place.block);
  return plan;
}

ReadPlan KeyIndex::PlanCheck(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  ReadPlan plan;
  KeyEntry* entry = Find(shard, key, hash);
  const Slot* slot = entry == nullptr ? nullptr : entry->Find(position);
  if (slot == nullptr || slot->corrupt) return plan;
  plan.found = true;
  plan.lsn = slot->lsn;
  plan.value_bytes = slot->value_bytes;
  plan.head_bytes = slot->head_bytes;
  plan.place = slot->place;
  extents->PinForRead(plan.place.block);
  return plan;
}

// A value that was read is cached; without one (null) the record is broken, and said to be from now on (D16).
void KeyIndex::AfterRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn,
                         const ValueRef* value) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  KeyEntry* entry = Find(shard, key, hash);
  Slot* slot = entry == nullptr ? nullptr : entry->Find(position);
  if (slot == nullptr || slot->lsn != lsn) return;
  if (value == nullptr) {
    shard.cached_bytes -= slot->value.size();
    slot->value = ValueRef();
    Count(&shard, *entry, ~uint64_t{0});
    slot->corrupt = true;
    Count(&shard, *entry, 1);
    return;
  }
  if (slot->value.present() || value->size() > shard_budget_) return;
  slot->value = *value;
  shard.cached_bytes += value->size();
  if (shard.cached_bytes > shard_budget_) Evict(&shard);
}

void KeyIndex::AddStats(StoreStats* stats) const {
  for (const Shard& shard : shards_) {
    const std::lock_guard<std::mutex> lock(shard.mutex);
    stats->keys += shard.live_keys;
    stats->cache_bytes += shard.cached_bytes;
    stats->corrupt_keys += shard.corrupt_keys;
    for (size_t i = 0; i < shard.by_class.size(); ++i) stats->keys_by_class[i] += shard.by_class[i];
  }
}

}  // namespace plogdb
