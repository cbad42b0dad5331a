// The operations, each under its shard's lock.
#include "key_index.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "assert.h"
#include "digest.h"

namespace plogdb {
namespace {

constexpr int kEvictionsPerVisit = 8;  // of another shard's values, under one hold of its lock

bool SamePlace(const RecordPlace& one, const RecordPlace& other) {
  return one.block == other.block && one.offset == other.offset;
}

}  // namespace

KeyIndex::KeyIndex(uint64_t cache_bytes, uint32_t digest_offset)
    : digest_offset_(digest_offset), budget_(cache_bytes, kShards) {
  PLOGDB_ASSERT(digest_offset == kNoDigestOffset || digest_offset <= kCallerHeaderBytes - 8, "D20");
  for (auto& shard : shards_) shard = std::make_unique<LockedShard>(&budget_, digest_offset);
}

KeyIndex::~KeyIndex() = default;

void KeyIndex::Reserve(uint64_t keys) {
  const uint64_t mean = keys / kShards;
  for (const auto& shard : shards_) {
    const std::lock_guard<std::mutex> lock(shard->mutex);
    shard->shard.Reserve(mean + mean / 50 + 8);  // shards differ by chance
  }
}

void KeyIndex::Prefetch(uint64_t hash) const { ShardOf(hash).shard.table().Prefetch(TagOfHash(hash)); }

void KeyIndex::PrefetchEntry(uint64_t hash) const {
  const LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  locked.shard.PrefetchEntry(TagOfHash(hash));
}

bool KeyIndex::Apply(const Record& record, uint64_t hash, bool push, DeadRecords* dead, const PlaceOrder* order) {
  if (push) MakeRoom(hash, record.value);
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  KeyShard::Edit edit;
  locked.shard.Begin(record.key, hash, &edit);
  const bool lives = edit.entry.Apply(record, dead, order);
  Slot* fresh = lives && record.kind == RecordKind::kPut ? edit.entry.Find(record.position) : nullptr;
  locked.shard.End(&edit, fresh, record.value);
  locked.shard.Compact();
  return lives;
}

size_t KeyIndex::PackItem(const Record& record, uint64_t hash, uint8_t* to) const {
  const size_t bytes = PackAlone(record, digest_offset_ == kNoDigestOffset, to + sizeof(LoadItem));
  if (bytes == 0) return 0;
  // Made in its place: put together elsewhere and copied, the copy would wait for the parts.
  const auto* item = new (to)
      LoadItem{hash, ContributionOf(record, hash, digest_offset_), static_cast<uint32_t>(bytes)};
  return item->room();
}

uint64_t KeyIndex::LoadItems(size_t shard, std::span<const uint8_t> items, LoadObserver* observer) {
  constexpr size_t kAheadBytes = 1024;  // about ten items: their slots of the table come from memory meanwhile
  const auto item_at = [&](size_t at) {
    LoadItem item;
    std::memcpy(&item, items.data() + at, sizeof(item));
    return item;
  };
  LockedShard& locked = *shards_[shard];
  const std::lock_guard<std::mutex> lock(locked.mutex);
  locked.shard.MakeRoom(items.size() / sizeof(LoadItem));
  uint64_t count = 0;
  size_t ahead = 0;
  for (size_t at = 0; at < items.size(); ++count) {
    while (ahead < items.size() && ahead < at + kAheadBytes) {
      const LoadItem next = item_at(ahead);
      locked.shard.Prefetch(next.hash);
      ahead += next.room();
    }
    const LoadItem item = item_at(at);
    const uint8_t* packed = items.data() + at + sizeof(item);
    if (!locked.shard.InsertAlone(item, packed)) LoadAnother(&locked.shard, item.hash, packed, observer);
    at += item.room();
  }
  return count;
}

// Of a key of which there is a record already, or of one whose tag is the same.
void KeyIndex::LoadAnother(KeyShard* shard, uint64_t hash, const uint8_t* packed, LoadObserver* observer) {
  KeyEntry alone;
  UnpackEntry(packed, &alone);
  KeyShard::Edit edit;
  shard->Begin(alone.key, hash, &edit);
  DeadRecords dead;
  edit.entry.Apply(alone.OnlyRecord(), &dead, observer->OrderOf(hash));
  shard->End(&edit);
  shard->Compact();
  observer->OnDead(hash, dead);
}

// Before a value is cached, so that it cannot be the one that goes. A small one takes from its own shard, if that has
// more than its share; else, and for a large one, all give in turn.
void KeyIndex::MakeRoom(uint64_t hash, const ValueRef& value) {
  if (!value.present()) return;
  const uint64_t charge = CacheCharge(value.size());
  if (budget_.HasRoom(charge) || !budget_.Admits(charge)) return;
  LockedShard& own = ShardOf(hash);
  if (charge <= budget_.share() / 4) {
    const std::lock_guard<std::mutex> lock(own.mutex);
    while (!budget_.HasRoom(charge) && own.shard.cache_bytes() + charge > budget_.share() && own.shard.EvictOne()) {
    }
    own.shard.Compact();
  }
  for (size_t idle = 0; !budget_.HasRoom(charge) && idle < kShards; ++idle) {
    LockedShard& locked = *shards_[next_to_evict_.fetch_add(1, std::memory_order_relaxed) % kShards];
    const std::lock_guard<std::mutex> lock(locked.mutex);
    for (int i = 0; i < kEvictionsPerVisit && !budget_.HasRoom(charge) && locked.shard.EvictOne(); ++i) idle = 0;
    locked.shard.Compact();
  }
}

void KeyIndex::SetHeader(std::span<const uint8_t> key, uint64_t hash, uint64_t position,
                         std::span<const uint8_t, kCallerHeaderBytes> header, bool decided) {
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  KeyShard::Edit edit;
  if (!locked.shard.Begin(AsText(key), hash, &edit)) return;
  Slot* slot = edit.entry.Find(position);
  if (slot != nullptr && !slot->corrupt) {
    std::copy(header.begin(), header.end(), slot->header.begin());
    slot->decided |= decided;
  }
  locked.shard.End(&edit);
  locked.shard.Compact();
}

KeyState KeyIndex::StateOf(std::span<const uint8_t> key, uint64_t hash) const {
  const LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  KeyShard::Edit edit;
  if (!locked.shard.Get(AsText(key), hash, &edit)) return {};
  return {true, edit.entry.floor(), edit.entry.erased_below, edit.entry.slots == 0, 0};
}

void KeyIndex::Load(std::span<const uint8_t> key, uint64_t hash, LoadedKey* out) {
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  out->slots = 0;
  out->corrupt = false;
  KeyShard::Edit edit;
  if (!locked.shard.Get(AsText(key), hash, &edit)) return;
  out->corrupt = edit.entry.corrupt();
  for (uint32_t i = 0; i < edit.entry.slots; ++i) {
    const Slot& slot = edit.entry.slot[i];
    if (slot.corrupt) continue;
    SlotView& view = out->slot[out->slots++];
    view.position = slot.position;
    view.floor = slot.floor;
    view.lsn = slot.lsn;
    view.value_bytes = slot.value_bytes;
    view.header = slot.header;
    view.value = ValueRef::Of(slot.cached);
    if (slot.cached != nullptr) slot.cached->visited = true;
  }
  if (out->slots > 0 && out->slot[out->slots - 1].value.present()) ++locked.shard.sums().hits;
}

// A short value is copied under the lock: that costs less than to count a reference up and down.
NewestValue KeyIndex::CopyNewest(std::span<const uint8_t> key, uint64_t hash, std::span<uint8_t> room) {
  constexpr size_t kShortBytes = 2048;
  LockedShard& locked = ShardOf(hash);
  ValueRef large;
  {
    const std::lock_guard<std::mutex> lock(locked.mutex);
    const uint8_t* item = locked.shard.Item(AsText(key), hash);
    if (item == nullptr) return {NewestState::kAbsent, 0};
    const NewestPeek newest = PeekNewest(item);
    if (newest.corrupt) return {NewestState::kCorrupt, 0};
    if (!newest.present) return {NewestState::kAbsent, 0};
    ValueBlock* value = newest.cached;
    if (value == nullptr) return {NewestState::kOnDisk, 0};
    if (value->size > room.size()) return {NewestState::kNoRoom, value->size};
    if (!value->visited) value->visited = true;
    ++locked.shard.sums().hits;
    if (value->size <= kShortBytes) {
      std::memcpy(room.data(), value->data(), value->size);
      return {NewestState::kHere, value->size};
    }
    large = ValueRef::Of(value);
  }
  std::memcpy(room.data(), large.bytes().data(), large.size());
  return {NewestState::kHere, static_cast<uint32_t>(large.size())};
}

ReadPlan KeyIndex::PlanRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, ExtentMap* extents) {
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  ReadPlan plan;
  KeyShard::Edit edit;
  if (!locked.shard.Get(AsText(key), hash, &edit)) return plan;
  const Slot* slot = edit.entry.Find(position);
  if (slot == nullptr) {
    plan.corrupt = edit.entry.marker && edit.entry.marker_corrupt;
    plan.found = plan.corrupt;
    return plan;
  }
  plan.found = true;
  plan.corrupt = slot->corrupt;
  plan.value = ValueRef::Of(slot->cached);
  plan.lsn = slot->lsn;
  plan.value_bytes = slot->value_bytes;
  plan.head_bytes = slot->head_bytes;
  plan.place = slot->place;
  if (plan.corrupt) return plan;
  if (slot->cached != nullptr) {
    slot->cached->visited = true;
    ++locked.shard.sums().hits;
    return plan;
  }
  // Under the shard's lock: the writer changes the entry under it before it lets the extent go.
  extents->PinForRead(plan.place.block);
  ++locked.shard.sums().misses;
  return plan;
}

ReadPlan KeyIndex::PlanCheck(std::span<const uint8_t> key, uint64_t hash, uint64_t position,
                             ExtentMap* extents) const {
  const LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  ReadPlan plan;
  KeyShard::Edit edit;
  if (!locked.shard.Get(AsText(key), hash, &edit)) return plan;
  const KeyEntry& entry = edit.entry;
  if (entry.marker && !entry.marker_corrupt) {
    plan.found = true;
    plan.lsn = entry.erased_below;
    plan.head_bytes = entry.marker_head_bytes;
    plan.place = entry.marker_place;
    extents->PinForRead(plan.place.block);
    return plan;
  }
  const Slot* slot = edit.entry.Find(position);
  if (slot == nullptr || slot->corrupt) return plan;
  plan.found = true;
  plan.lsn = slot->lsn;
  plan.value_bytes = slot->value_bytes;
  plan.head_bytes = slot->head_bytes;
  plan.place = slot->place;
  extents->PinForRead(plan.place.block);
  return plan;
}

void KeyIndex::AfterRead(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn,
                         const ValueRef& value) {
  MakeRoom(hash, value);
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  KeyShard::Edit edit;
  if (!locked.shard.Begin(AsText(key), hash, &edit)) return;
  Slot* slot = edit.entry.Find(position);
  const bool fits = slot != nullptr && slot->lsn == lsn && !slot->corrupt && slot->cached == nullptr;
  locked.shard.End(&edit, fits ? slot : nullptr, value);
  locked.shard.Compact();
}

bool KeyIndex::MarkCorrupt(std::span<const uint8_t> key, uint64_t hash, uint64_t position, uint64_t lsn) {
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  KeyShard::Edit edit;
  if (!locked.shard.Begin(AsText(key), hash, &edit)) return false;
  KeyEntry& entry = edit.entry;
  bool news = false;
  Slot* slot = entry.Find(position);
  if (entry.marker && entry.erased_below == lsn) {
    news = !std::exchange(entry.marker_corrupt, true);
  } else if (slot != nullptr && slot->lsn == lsn) {
    news = !std::exchange(slot->corrupt, true);
    ValueBlock* cached = std::exchange(slot->cached, nullptr);
    if (cached != nullptr) entry.released[entry.released_count++] = cached;
  }
  locked.shard.End(&edit);
  locked.shard.Compact();
  return news;
}

bool KeyIndex::Relocate(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace from, RecordPlace to,
                        uint32_t* head_bytes) {
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  KeyShard::Edit edit;
  if (!locked.shard.Begin(AsText(key), hash, &edit)) return false;
  KeyEntry& entry = edit.entry;
  bool moved = false;
  if (entry.marker && entry.erased_below == lsn && !entry.marker_corrupt && SamePlace(entry.marker_place, from)) {
    entry.marker_place = to;
    std::swap(entry.marker_head_bytes, *head_bytes);
    moved = true;
  }
  for (uint32_t i = 0; i < entry.slots; ++i) {
    Slot& slot = entry.slot[i];
    if (slot.lsn != lsn || slot.corrupt || !SamePlace(slot.place, from)) continue;
    slot.place = to;
    std::swap(slot.head_bytes, *head_bytes);
    moved = true;
  }
  locked.shard.End(&edit);
  return moved;
}

Verdict KeyIndex::Judge(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, RecordPlace place,
                        bool want_value) const {
  const LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  Verdict verdict;
  KeyShard::Edit edit;
  if (!locked.shard.Get(AsText(key), hash, &edit)) return verdict;
  const KeyEntry& entry = edit.entry;
  verdict.erased_below = entry.erased_below;
  if (entry.marker) {
    verdict.live = entry.erased_below == lsn && SamePlace(entry.marker_place, place);
    verdict.marker = verdict.live;
    verdict.corrupt = verdict.live && entry.marker_corrupt;
    verdict.slot.place = entry.marker_place;
    verdict.slot.lsn = entry.erased_below;
    verdict.slot.head_bytes = entry.marker_head_bytes;
    verdict.slot.corrupt = entry.marker_corrupt;
    return verdict;
  }
  for (uint32_t i = 0; i < entry.slots; ++i) {
    const Slot& slot = entry.slot[i];
    if (slot.lsn != lsn || !SamePlace(slot.place, place)) continue;
    verdict.live = true;
    verdict.corrupt = slot.corrupt;
    verdict.slot = slot;
    verdict.lower = i + 1 < entry.slots;
    verdict.above = i > 0;
    if (!verdict.lower) continue;
    verdict.upper = entry.slot[i + 1];
    if (want_value) verdict.upper_value = ValueRef::Of(verdict.upper.cached);
  }
  verdict.slot.cached = nullptr;
  verdict.upper.cached = nullptr;
  return verdict;
}

bool KeyIndex::EraseMarker(std::span<const uint8_t> key, uint64_t hash, uint64_t lsn, DeadRecords* dead) {
  LockedShard& locked = ShardOf(hash);
  const std::lock_guard<std::mutex> lock(locked.mutex);
  KeyShard::Edit edit;
  if (!locked.shard.Begin(AsText(key), hash, &edit)) return false;
  const bool fits = edit.entry.marker && edit.entry.erased_below == lsn;
  if (fits) edit.entry.ReleaseMarker(dead);
  locked.shard.End(&edit);
  locked.shard.Compact();
  return fits;
}

uint64_t KeyIndex::Iterate(uint64_t cursor, uint64_t until, size_t limit, KeyVisitor visit, void* context) const {
  if (cursor == kIterationEnd || limit == 0) return cursor;
  return Walk(cursor, until, limit, [visit, context](const KeyEntry& entry) {
    const Slot* newest = entry.Newest();
    if (newest != nullptr) visit(context, AsBytes(entry.key), newest->position, newest->header);
    return newest != nullptr;
  });
}

void KeyIndex::Digests(uint32_t first, std::span<uint64_t> out) const {
  constexpr uint32_t kShardBuckets = kDigestBuckets / kShards;
  PLOGDB_ASSERT(first + out.size() <= kDigestBuckets, "D20");
  for (size_t i = 0; i < out.size();) {
    const uint32_t bucket = first + static_cast<uint32_t>(i);
    const LockedShard& locked = *shards_[bucket / kShardBuckets];
    const std::lock_guard<std::mutex> lock(locked.mutex);
    const size_t end = std::min<size_t>(out.size(), i + kShardBuckets - bucket % kShardBuckets);
    for (uint32_t at = bucket % kShardBuckets; i < end; ++i, ++at) out[i] = locked.shard.Digest(at);
  }
}

void KeyIndex::AddStats(StoreStats* stats) const {
  stats->index_bytes += sizeof(*this);
  for (const auto& locked : shards_) {
    const std::lock_guard<std::mutex> lock(locked->mutex);
    const KeyShard::Sums& sums = locked->shard.sums();
    stats->keys += sums.live_keys;
    stats->corrupt_keys += sums.corrupt_keys;
    stats->cache_hits += sums.hits;
    stats->cache_misses += sums.misses;
    stats->cache_bytes += locked->shard.cache_bytes();
    stats->index_bytes += HeapBytes(sizeof(LockedShard)) + locked->shard.index_bytes();
    for (size_t i = 0; i < sums.by_class.size(); ++i) stats->keys_by_class[i] += sums.by_class[i];
  }
}

}  // namespace plogdb
