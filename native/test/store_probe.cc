// The recount: see store_probe.h.
#include "store_probe.h"

#include <vector>

#include "store_impl.h"

namespace plogdb {
namespace {

struct Recount {
  uint32_t records = 0;
  uint64_t bytes = 0;
};

std::string Differs(size_t volume, size_t extent, const std::string& what) {
  return "volume " + std::to_string(volume) + ", extent " + std::to_string(extent) + ": " + what;
}

}  // namespace

uint32_t StoreProbe::LiveRecords(const Store& store, uint32_t volume, uint32_t extent) {
  return static_cast<const StoreImpl&>(store).volumes_[volume]->extents->LiveRecords(extent);
}

std::string StoreProbe::Check(const Store& store) {
  const auto& impl = static_cast<const StoreImpl&>(store);
  std::vector<std::vector<Recount>> counts;
  for (const auto& volume : impl.volumes_) counts.emplace_back(volume->geometry.extents());
  const auto add = [&](size_t volume, RecordPlace place, uint64_t bytes) {
    Recount& count = counts[volume][impl.volumes_[volume]->geometry.extent_of(place.block)];
    ++count.records;
    count.bytes += bytes;
  };
  impl.index_.ForEach([&](const KeyEntry& entry) {
    const uint32_t volume = VolumeOfKey(entry.hash, counts.size());
    for (uint32_t i = 0; i < entry.slots; ++i) {
      const Slot& slot = entry.slot[i];
      add(volume, slot.place, RecordBytes(slot.head_bytes, entry.key.size(), slot.value_bytes));
    }
    if (entry.marker) add(volume, entry.marker_place, RecordBytes(entry.marker_head_bytes, entry.key.size(), 0));
  });
  for (size_t volume = 0; volume < counts.size(); ++volume) {
    const ExtentMap& map = *impl.volumes_[volume]->extents;
    uint32_t free = 0;
    for (size_t extent = 0; extent < counts[volume].size(); ++extent) {
      const auto& account = map.extents_[extent];
      const Recount& count = counts[volume][extent];
      const bool unused = account.state == ExtentState::kFree || account.state == ExtentState::kAnnounced;
      if (unused) ++free;
      if (unused && count.records > 0) return Differs(volume, extent, "free, and holds live records");
      if (account.live_records != count.records || account.live_bytes != count.bytes) {
        return Differs(volume, extent, "accounts of " + std::to_string(account.live_records) + " records, counted " +
                                           std::to_string(count.records));
      }
    }
    if (map.free_ != free) return Differs(volume, 0, "the number of free extents is wrong");
  }
  return "";
}

}  // namespace plogdb
