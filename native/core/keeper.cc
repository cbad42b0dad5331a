// The schedule of merge and scrub.
#include "keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace plogdb {
namespace {

constexpr uint64_t kSampleUs = 1'000'000;
constexpr uint64_t kWaitingUs = 5'000;
constexpr uint64_t kShortUs = 100'000;
constexpr uint64_t kHoursUs = 60'000'000;

}  // namespace

Keeper::Keeper(const StoreId& store_id, std::vector<KeeperVolume> volumes, KeyIndex* index, Reader* reader,
               const Clock& clock, const Idle& idle)
    : clock_(clock), idle_(idle), index_(index), reader_(reader) {
  for (uint32_t i = 0; i < volumes.size(); ++i) {
    const KeeperVolume& parts = volumes[i];
    Volume volume;
    volume.parts = parts;
    volume.merger = std::make_unique<Merger>(store_id, i, volumes.size(), parts.device, parts.extents, index, parts.writer);
    volume.scrubber =
        std::make_unique<Scrubber>(store_id, i, parts.device, parts.writer->geometry(), parts.extents, index);
    volumes_.push_back(std::move(volume));
  }
}

void Keeper::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Keeper::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  for (Volume& volume : volumes_) {
    volume.merger->Stop();
    volume.scrubber->Stop();
  }
}

void Keeper::SetMerge(const MergeOptions& options) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    merge_ = options;
    changed_ = true;
  }
  Kick();
}

void Keeper::SetScrub(const ScrubOptions& options) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    scrub_ = options;
    changed_ = true;
  }
  Kick();
}

void Keeper::SetWaiting(bool waiting) {
  const bool news = waiting_.exchange(waiting, std::memory_order_relaxed) != waiting;
  for (Volume& volume : volumes_) {
    if (waiting) volume.parts.writer->SetUrgent(true);
  }
  if (news) Kick();
}

void Keeper::Kick() {
  bool notify = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    notify = !std::exchange(kicked_, true);
  }
  if (notify) wake_.notify_one();
}

void Keeper::TakeOptions(uint64_t now_us) {
  const std::lock_guard<std::mutex> lock(mutex_);
  kicked_ = false;
  if (!std::exchange(changed_, false)) return;
  merge_now_ = merge_;
  for (Volume& volume : volumes_) {
    volume.merger->SetOptions(merge_, now_us);
    volume.scrubber->SetOptions(scrub_);
  }
}

bool Keeper::MergeAllowed() const {
  if (merge_now_.paused) return false;
  constexpr uint32_t kAllDay = 0x00ffffff;
  if ((merge_now_.hours & kAllDay) == kAllDay) return true;
  return (merge_now_.hours >> clock_.local_hour(clock_.hour_context) & 1) != 0;
}

// Something that lives in the extent was not found whole by who read it in order. Rare; so every key is looked at.
void Keeper::Examine(uint32_t volume, uint32_t extent) {
  const Geometry& geometry = volumes_[volume].parts.writer->geometry();
  std::vector<ReadRequest> suspects;
  index_->ForEach([&](const auto& entry) {
    if (VolumeOfKey(entry.hash, volumes_.size()) != volume) return;
    for (uint32_t i = 0; i < entry.slots; ++i) {
      const auto& slot = entry.slot[i];
      if (slot.corrupt || geometry.extent_of(slot.place.block) != extent) continue;
      ReadRequest request;
      request.key = entry.key;
      request.hash = entry.hash;
      request.position = slot.position;
      request.volume = volume;
      suspects.push_back(std::move(request));
    }
    if (!entry.marker || entry.marker_corrupt || geometry.extent_of(entry.marker_place.block) != extent) return;
    ReadRequest request;
    request.key = entry.key;
    request.hash = entry.hash;
    request.volume = volume;
    suspects.push_back(std::move(request));
  });
  for (ReadRequest& request : suspects) {
    ReadPlan plan =
        index_->PlanCheck(AsBytes(request.key), request.hash, request.position, volumes_[volume].parts.extents);
    if (!plan.found) continue;
    request.plan = std::move(plan);
    reader_->Check(request);
    volumes_[volume].parts.extents->UnpinForRead(request.plan.place.block);
  }
}

bool Keeper::Step(uint64_t* due_us) {
  const uint64_t now = clock_.now_us(clock_.context);
  TakeOptions(now);
  const bool allowed = MergeAllowed();
  const bool waiting = waiting_.load(std::memory_order_relaxed);
  bool worked = false;
  bool awaits = false;
  *due_us = UINT64_MAX;
  // Before the writers are asked: what becomes durable from now on kicks.
  awaits_copies_.store(std::any_of(volumes_.begin(), volumes_.end(), [](const Volume& it) { return it.merger->busy(); }));
  for (uint32_t i = 0; i < volumes_.size(); ++i) {
    uint64_t due = UINT64_MAX;
    worked |= volumes_[i].merger->Step(now, allowed, waiting, &due);
    *due_us = std::min(*due_us, due);
    awaits |= volumes_[i].merger->busy() && volumes_[i].parts.writer->copies_waiting() > 0;
    worked |= volumes_[i].scrubber->Step(now, &due);
    *due_us = std::min(*due_us, due);
    for (const uint32_t extent : {volumes_[i].merger->TakeDamaged(), volumes_[i].scrubber->TakeDamaged()}) {
      if (extent != kNoExtent) Examine(i, extent);
    }
  }
  // Room may come from where nobody tells, such as a read that ends: so whoever waits is looked after.
  if (waiting && !worked) {
    idle_.call(idle_.context);
    *due_us = std::min(*due_us, now + kWaitingUs);
  }
  // Nor does everything that makes a store short, or lets merge win an extent of it.
  const bool is_short = std::any_of(volumes_.begin(), volumes_.end(), [](const Volume& it) { return it.parts.extents->IsShort(); });
  if (is_short && !worked) *due_us = std::min(*due_us, now + kShortUs);
  if (!awaits) awaits_copies_.store(false);
  if (!allowed && !merge_now_.paused) *due_us = std::min(*due_us, now + kHoursUs);
  Sample(now);
  return worked;
}

void Keeper::Sample(uint64_t now_us) {
  KeeperTotals totals;
  uint64_t live = 0;
  uint64_t copied = 0;
  for (const Volume& volume : volumes_) {
    const MergeStats& merge = volume.merger->stats();
    totals.merge.bytes_read += merge.bytes_read;
    totals.merge.extents += merge.extents;
    totals.merge.markers += merge.markers;
    totals.merge.stuck += merge.stuck;
    totals.merge.from_memory += merge.from_memory;
    const ScrubStats& scrub = volume.scrubber->stats();
    totals.scrub.passes += scrub.passes;
    totals.scrub.bytes += scrub.bytes;
    totals.scrub.records += scrub.records;
  }
  const bool due = now_us >= sampled_us_ + kSampleUs;
  for (const Volume& volume : volumes_) {
    if (!due) break;
    live += volume.parts.extents->Totals().live_bytes;
    copied += volume.parts.writer->stats().copied_bytes;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  totals.merge_rate = totals_.merge_rate;
  totals.live_growth_rate = totals_.live_growth_rate;
  if (due) {
    const uint64_t work = totals.merge.bytes_read + copied;
    const double seconds = static_cast<double>(now_us - sampled_us_) / 1e6;
    const auto smooth = [&](uint64_t old, uint64_t grown) {
      return static_cast<uint64_t>((3 * static_cast<double>(old) + static_cast<double>(grown) / seconds) / 4);
    };
    if (sampled_us_ != 0) {
      totals.merge_rate = smooth(totals.merge_rate, work - sampled_work_);
      totals.live_growth_rate = smooth(totals.live_growth_rate, live - std::min(live, sampled_live_));
    }
    sampled_us_ = now_us;
    sampled_work_ = work;
    sampled_live_ = live;
  }
  totals_ = totals;
}

KeeperTotals Keeper::Totals() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return totals_;
}

void Keeper::Loop() {
  for (;;) {
    uint64_t due = UINT64_MAX;
    while (Step(&due)) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stop_) return;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    const auto awaited = [this] { return kicked_ || stop_; };
    if (due == UINT64_MAX) {
      wake_.wait(lock, awaited);
    } else {
      const uint64_t now = clock_.now_us(clock_.context);
      if (due > now) wake_.wait_for(lock, std::chrono::microseconds(due - now), awaited);
    }
    if (stop_) return;
  }
}

}  // namespace plogdb
