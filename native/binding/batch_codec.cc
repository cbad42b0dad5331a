// See batch_codec.h. Numbers go through memcpy: no buffer from JavaScript is trusted to be aligned.
#include "binding/batch_codec.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

namespace plogdb::binding {
namespace {

using namespace layout;

constexpr double kMaxSafeInteger = 9007199254740991.0;

template <typename T>
T Get(std::span<const uint8_t> from, size_t at) {
  T value;
  std::memcpy(&value, from.data() + at, sizeof(T));
  return value;
}

template <typename T>
void Put(std::span<uint8_t> to, size_t at, T value) {
  std::memcpy(to.data() + at, &value, sizeof(T));
}

void PutDouble(std::span<uint8_t> to, size_t at, uint64_t value) {
  Put<double>(to, at, static_cast<double>(value));
}

void PutSize(std::span<uint8_t> to, size_t at, size_t value) {
  Put<uint32_t>(to, at, static_cast<uint32_t>(value));
}

// Compares written so that NaN fails.
bool ToSafeInteger(double value, uint64_t* out) {
  if (!(value >= 0 && value <= kMaxSafeInteger) || std::floor(value) != value) return false;
  *out = static_cast<uint64_t>(value);
  return true;
}

// Copies a value into the slab and returns where it starts.
size_t Place(std::span<const uint8_t> value, Slab* slab) {
  const size_t offset = slab->at;
  if (!value.empty()) std::memcpy(slab->bytes.data() + offset, value.data(), value.size());
  const size_t end = AlignUp(offset + value.size(), kSlabAlign);
  slab->at = end < slab->bytes.size() ? end : slab->bytes.size();
  return offset;
}

// Why it failed, or which key is damaged.
bool HasText(const Completion& completion) {
  return completion.kind == CompletionKind::kFailed || completion.kind == CompletionKind::kDamaged;
}

std::span<const uint8_t> ValueOf(const Completion& completion) {
  if (!HasText(completion)) return completion.value.bytes();
  const std::string& text = completion.message;
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

uint32_t EventKindOf(CompletionKind kind) {
  switch (kind) {
    case CompletionKind::kBatch:
      return kEventBatch;
    case CompletionKind::kRead:
      return kEventRead;
    case CompletionKind::kFailed:
      return kEventFailed;
    case CompletionKind::kDamaged:
      return kEventDamaged;
  }
  return kEventFailed;
}

// Values count in rising order of keys and slots until the bound is reached; whoever comes later is to be
// read.
bool Inlined(const SlotView& slot, size_t* total) {
  if (!slot.value.present()) return false;
  const size_t bytes = AlignUp(slot.value.size(), kSlabAlign);
  if (*total + bytes > kMaxInlineBytes) return false;
  *total += bytes;
  return true;
}

}  // namespace

const char* DecodeRequest(std::span<const uint8_t> buffer, Request* out) {
  out->ops.clear();
  out->reads.clear();
  size_t at = 0;
  while (at < buffer.size()) {
    const std::span<const uint8_t> rest = buffer.subspan(at);
    if (rest.size() < kOpFixedBytes) return "an operation is cut off";
    const uint32_t kind = Get<uint32_t>(rest, kOpKind);
    const size_t key_bytes = Get<uint32_t>(rest, kOpKeyBytes);
    const size_t value_bytes = Get<uint32_t>(rest, kOpValueBytes);
    uint64_t position = 0;
    uint64_t floor = 0;
    if (!ToSafeInteger(Get<double>(rest, kOpPosition), &position))
      return "a position is no integer below 2^53";
    if (!ToSafeInteger(Get<double>(rest, kOpFloor), &floor)) return "a floor or tag is no integer below 2^53";
    if (key_bytes == 0 || key_bytes > kMaxKeyBytes) return "a key is empty or too long";
    if (kind != kOpPut && value_bytes != 0) return "only a put has a value";
    // Neither sum can overflow: both lengths are 32 bits.
    const size_t used = kOpFixedBytes + key_bytes + value_bytes;
    if (used > rest.size()) return "an operation reaches beyond its buffer";
    const std::span<const uint8_t> key = rest.subspan(kOpFixedBytes, key_bytes);
    const std::span<const uint8_t> header = rest.subspan(kOpHeader, kHeaderBytes);
    const std::span<const uint8_t> value = rest.subspan(kOpFixedBytes + key_bytes, value_bytes);
    switch (kind) {
      case kOpPut:
        if (floor > position || position - floor > 1) return "D5: a floor is its position or one below";
        out->ops.push_back({OpKind::kPut, key, position, floor, header, value});
        break;
      case kOpMark:
        if (floor > position) return "D5: the floor of a mark is at most its position";
        out->ops.push_back({OpKind::kMark, key, position, floor, header, {}});
        break;
      case kOpDrop:
        out->ops.push_back({OpKind::kDrop, key, 0, 0, {}, {}});
        break;
      case kOpRead:
        out->reads.push_back({key, position, floor});
        break;
      default:
        return "an operation of an unknown kind";
    }
    at += AlignUp(used, 8);
  }
  return nullptr;
}

const char* DecodeKeys(std::span<const uint8_t> buffer, size_t count,
                       std::vector<std::span<const uint8_t>>* out) {
  out->clear();
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (at > buffer.size() || buffer.size() - at < sizeof(uint32_t)) return "a key is cut off";
    const size_t bytes = Get<uint32_t>(buffer, at);
    at += sizeof(uint32_t);
    if (bytes == 0 || bytes > kMaxKeyBytes) return "a key is empty or too long";
    if (bytes > buffer.size() - at) return "a key reaches beyond its buffer";
    out->push_back(buffer.subspan(at, bytes));
    at = AlignUp(at + bytes, sizeof(uint32_t));
  }
  return nullptr;
}

size_t InlineBytes(std::span<const LoadedKey> keys) {
  size_t total = 0;
  for (const LoadedKey& key : keys) {
    for (size_t i = 0; i < key.slots; i++) (void)Inlined(key.slot[i], &total);
  }
  return total;
}

int32_t EncodeNewest(NewestValue newest) {
  // Values are at most a quarter of an extent long: 31 bits hold it.
  const auto bytes = static_cast<int32_t>(newest.bytes);
  switch (newest.state) {
    case NewestState::kAbsent:
      return kGetAbsent;
    case NewestState::kCorrupt:
      return kGetCorrupt;
    case NewestState::kOnDisk:
      return kGetOnDisk;
    case NewestState::kHere:
      return bytes;
    case NewestState::kNoRoom:
      return kGetNoRoom - bytes;
  }
  return kGetCorrupt;
}

void EncodeLoaded(std::span<const LoadedKey> keys, std::span<uint8_t> result, Slab* slab) {
  size_t total = 0;
  for (size_t k = 0; k < keys.size(); k++) {
    const LoadedKey& key = keys[k];
    const std::span<uint8_t> to = result.subspan(k * kLoadedBytes, kLoadedBytes);
    Put<uint32_t>(to, kLoadedSlots, key.slots);
    Put<uint32_t>(to, kLoadedFlags, key.corrupt ? kFlagCorrupt : 0);
    for (size_t i = 0; i < key.slots; i++) {
      const SlotView& slot = key.slot[i];
      const std::span<uint8_t> at = to.subspan(kLoadedFirst + i * kLoadedSlotBytes, kLoadedSlotBytes);
      PutDouble(at, kSlotPosition, slot.position);
      PutDouble(at, kSlotFloor, slot.floor);
      PutDouble(at, kSlotLsn, slot.lsn);
      const bool here = Inlined(slot, &total);
      PutSize(at, kSlotInSlab, here ? 1 : 0);
      PutSize(at, kSlotOffset, here ? Place(slot.value.bytes(), slab) : 0);
      PutSize(at, kSlotBytes, slot.value_bytes);
      std::memcpy(at.data() + kSlotHeader, slot.header.data(), kHeaderBytes);
    }
  }
}

size_t EncodeEvents(std::span<const Completion> completions, std::span<uint8_t> events, Slab* slab,
                    size_t* needed) {
  const size_t room = (events.size() - kEventsFirst) / kEventBytes;
  size_t count = 0;
  *needed = 0;
  for (const Completion& completion : completions) {
    if (count == room) break;
    const std::span<const uint8_t> value = ValueOf(completion);
    if (value.size() > slab->bytes.size() - slab->at) {
      if (count == 0) *needed = AlignUp(value.size(), kSlabAlign);
      break;
    }
    const bool has_value = HasText(completion) || completion.value.present();
    const std::span<uint8_t> to = events.subspan(kEventsFirst + count * kEventBytes, kEventBytes);
    Put<uint32_t>(to, kEventKind, EventKindOf(completion.kind));
    Put<uint32_t>(to, kEventStatus, static_cast<uint32_t>(completion.status));
    PutDouble(to, kEventTag, completion.token);
    PutSize(to, kEventOffset, has_value ? Place(value, slab) : 0);
    PutSize(to, kEventValueBytes, value.size());
    Put<uint32_t>(to, kEventHasValue, has_value ? 1 : 0);
    count++;
  }
  PutDouble(events, kEventsSlabEnd, slab->at);
  return count;
}

void EncodeStats(const StoreStats& stats, std::span<double, kStatCount> out) {
  const auto put = [out](size_t at, auto value) { out[at] = static_cast<double>(value); };
  put(kStatKeys, stats.keys);
  put(kStatBytesUsed, stats.bytes_used);
  put(kStatBytesTotal, stats.bytes_total);
  put(kStatLiveBytes, stats.live_bytes);
  put(kStatFlushes, stats.flushes);
  put(kStatRuns, stats.runs);
  put(kStatMarkRuns, stats.mark_runs);
  put(kStatRecordsWritten, stats.records_written);
  put(kStatBytesWritten, stats.bytes_written);
  put(kStatDiskReads, stats.disk_reads);
  put(kStatCacheBytes, stats.cache_bytes);
  put(kStatExtentsFreed, stats.extents_freed);
  put(kStatFlushUs, stats.flush_us);
  put(kStatCorruptKeys, stats.corrupt_keys);
  put(kStatState, stats.state);
  put(kStatIndexBytes, stats.index_bytes);
  put(kStatCacheHits, stats.cache_hits);
  put(kStatCacheMisses, stats.cache_misses);
  put(kStatBytesUsable, stats.bytes_usable);
  put(kStatDeadBytes, stats.dead_bytes);
  put(kStatFreeExtents, stats.free_extents);
  put(kStatTotalExtents, stats.total_extents);
  put(kStatSpaceLevel, stats.space_level);
  put(kStatStalledBatches, stats.stalled_batches);
  put(kStatStalls, stats.stalls);
  put(kStatMergeBytesRead, stats.merge_bytes_read);
  put(kStatMergeBytesCopied, stats.merge_bytes_copied);
  put(kStatMergeRecordsCopied, stats.merge_records_copied);
  put(kStatMergeExtents, stats.merge_extents);
  put(kStatMergeRate, stats.merge_rate);
  put(kStatZeroFilledBytes, stats.zero_filled_bytes);
  put(kStatScrubPasses, stats.scrub_passes);
  put(kStatScrubBytes, stats.scrub_bytes);
  put(kStatScrubRecords, stats.scrub_records);
  put(kStatDamagedRecords, stats.damaged_records);
  put(kStatSummaryBytes, stats.summary_bytes);
  put(kStatKeptExtents, stats.kept_extents);
  out[kStatSecondsToFull] = stats.seconds_to_full == UINT64_MAX ? std::numeric_limits<double>::infinity()
                                                                : static_cast<double>(stats.seconds_to_full);
  for (size_t i = 0; i < stats.keys_by_class.size(); i++) put(kStatClasses + i, stats.keys_by_class[i]);
}

void EncodeScanned(std::span<const uint8_t> key, uint64_t position, std::span<const uint8_t> header,
                   std::vector<uint8_t>* out) {
  const size_t at = out->size();
  out->resize(at + AlignUp(kScanFixedBytes + key.size(), 8));
  const std::span<uint8_t> to = std::span<uint8_t>(*out).subspan(at);
  PutSize(to, kScanKeyBytes, key.size());
  PutDouble(to, kScanPosition, position);
  std::memcpy(to.data() + kScanHeader, header.data(), kHeaderBytes);
  std::memcpy(to.data() + kScanFixedBytes, key.data(), key.size());
}

}  // namespace plogdb::binding
