// The mechanical disk: geometry, positioning, queue and cache. Integers throughout but for the seek curve, whose double
// is rounded to nanoseconds at once.
#include "disk_model.h"

#include <algorithm>
#include <cmath>

#include "assert.h"

namespace plogdb {
namespace {

constexpr uint64_t kNsPerUs = 1000;
constexpr uint64_t kNsPerSecond = 1'000'000'000;
// The disk reads ahead for at most so many turns of the platter.
constexpr uint64_t kReadAheadRotations = 2;

}  // namespace

DiskModel::DiskModel(const DiskModelOptions& options)
    : options_(options),
      rotation_ns_(60 * kNsPerSecond / options.rpm),
      track_bytes_(options.bytes_per_second * rotation_ns_ / kNsPerSecond / 4096 * 4096),
      tracks_(options.disk_bytes / track_bytes_ + 1) {
  PLOGDB_ASSERT(options.queue_depth > 0 && track_bytes_ > 0, "a disk turns and takes commands");
  const double shortest = options.track_to_track_us;
  const double rest = options.full_seek_us - shortest;
  // shortest + 8/15 root + 1/3 linear = average, root + linear = rest.
  const double root = 5 * (options.average_seek_us - shortest - rest / 3);
  seek_root_ns_ = root * static_cast<double>(kNsPerUs);
  seek_linear_ns_ = (rest - root) * static_cast<double>(kNsPerUs);
}

uint64_t DiskModel::SeekNs(uint64_t tracks) const {
  if (tracks == 0) return 0;
  const double share = static_cast<double>(tracks) / static_cast<double>(tracks_);
  const double beyond = seek_root_ns_ * std::sqrt(share) + seek_linear_ns_ * share;
  return options_.track_to_track_us * kNsPerUs + static_cast<uint64_t>(beyond);
}

uint64_t DiskModel::TransferNs(const Access& access) const {
  const uint64_t changes = TrackOf(access.address + access.bytes - 1) - TrackOf(access.address);
  return access.bytes * rotation_ns_ / track_bytes_ + changes * options_.track_to_track_us * kNsPerUs;
}

// Each track begins later by the time of a change of tracks (skew).
uint64_t DiskModel::WaitForSectorNs(uint64_t arrival_ns, uint64_t address) const {
  const uint64_t skew = TrackOf(address) * options_.track_to_track_us * kNsPerUs;
  const uint64_t angle = (address % track_bytes_ * rotation_ns_ / track_bytes_ + skew) % rotation_ns_;
  return (angle + rotation_ns_ - arrival_ns % rotation_ns_) % rotation_ns_;
}

uint64_t DiskModel::SeekToNs(uint64_t address) const {
  const uint64_t track = TrackOf(address);
  return SeekNs(track > head_track_ ? track - head_track_ : head_track_ - track);
}

uint64_t DiskModel::PositionNs(uint64_t start_ns, uint64_t address) const {
  const uint64_t seek = SeekToNs(address);
  return seek + WaitForSectorNs(start_ns + seek, address);
}

size_t DiskModel::Nearest(std::span<const Access> queue, uint64_t start_ns) const {
  size_t best = queue.size();
  uint64_t best_ns = UINT64_MAX;
  for (size_t i = 0; i < queue.size(); ++i) {
    if (queue[i].ready_ns > start_ns) continue;
    const uint64_t ns = PositionNs(start_ns, queue[i].address);
    if (ns >= best_ns) continue;
    best = i;
    best_ns = ns;
  }
  return best;
}

bool DiskModel::ContinuesReading(const Access& access) const {
  return reads_ahead_ && !access.write && access.address == read_end_ && cache_.empty() &&
         access.ready_ns <= free_ns_ + kReadAheadRotations * rotation_ns_;
}

// Returns when the caller has its data, or the platter has it. free_ns_ becomes when the head was done with it.
uint64_t DiskModel::Serve(uint64_t start_ns, const Access& access) {
  const uint64_t transfer = TransferNs(access);
  const uint64_t last_track = TrackOf(access.address + access.bytes - 1);
  ++stats_.accesses;
  stats_.transfer_ns += transfer;
  if (ContinuesReading(access)) {
    free_ns_ += transfer;
  } else {
    const uint64_t seek = SeekToNs(access.address);
    const uint64_t wait = WaitForSectorNs(start_ns + seek, access.address);
    if (seek > 0) ++stats_.seeks;
    stats_.seek_ns += seek;
    stats_.rotation_ns += wait;
    free_ns_ = start_ns + seek + wait + transfer;
  }
  head_track_ = last_track;
  reads_ahead_ = !access.write;
  read_end_ = access.address + access.bytes;
  return std::max(free_ns_, start_ns);
}

void DiskModel::AdvanceTo(uint64_t ns) {
  PLOGDB_ASSERT(ns >= now_ns_, "time runs one way");
  WriteBackUntil(ns);
  now_ns_ = ns;
}

void DiskModel::Read(uint64_t address, uint64_t bytes) {
  const DiskCommand command{address, bytes, false};
  Run({&command, 1});
}

void DiskModel::Write(uint64_t address, uint64_t bytes) {
  const DiskCommand command{address, bytes, true};
  Run({&command, 1});
}

void DiskModel::Run(std::span<const DiskCommand> commands) {
  std::vector<DiskCommand> queued;
  for (const DiskCommand& command : commands) {
    PLOGDB_ASSERT(command.bytes > 0 && command.address + command.bytes <= options_.disk_bytes, "within the disk");
    (command.write ? stats_.writes : stats_.reads) += 1;
    (command.write ? stats_.bytes_written : stats_.bytes_read) += command.bytes;
    if (command.write && options_.write_cache) {
      EnterCache(command);
    } else {
      queued.push_back(command);
    }
  }
  ServeQueue(queued);
}

void DiskModel::ServeQueue(std::span<const DiskCommand> commands) {
  const uint64_t command_ns = options_.command_us * kNsPerUs;
  std::vector<Access> queue;
  size_t next = 0;
  WriteBackUntil(now_ns_);
  while (next < commands.size() || !queue.empty()) {
    for (; next < commands.size() && queue.size() < options_.queue_depth; ++next) {
      const DiskCommand& command = commands[next];
      queue.push_back({command.address, command.bytes, command.write, now_ns_ + command_ns});
    }
    uint64_t first_ready = UINT64_MAX;
    for (const Access& access : queue) first_ready = std::min(first_ready, access.ready_ns);
    const uint64_t start = std::max(first_ready, free_ns_);
    const size_t chosen = Nearest(queue, start);
    PLOGDB_ASSERT(chosen < queue.size(), "one is ready");
    now_ns_ = Serve(start, queue[chosen]);
    queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
}

void DiskModel::EnterCache(const DiskCommand& command) {
  now_ns_ += options_.command_us * kNsPerUs + command.bytes * kNsPerSecond / options_.interface_bytes_per_second;
  WriteBackUntil(now_ns_);
  while (!cache_.empty() && cached_bytes_ + command.bytes > options_.cache_bytes) {
    WriteBackNearest();
    now_ns_ = std::max(now_ns_, free_ns_);
  }
  if (cache_.empty()) free_ns_ = std::max(free_ns_, now_ns_);
  reads_ahead_ = false;
  Access added{command.address, command.bytes, true, 0};
  auto at = std::lower_bound(cache_.begin(), cache_.end(), added,
                             [](const Access& a, const Access& b) { return a.address < b.address; });
  if (at != cache_.begin() && std::prev(at)->address + std::prev(at)->bytes >= added.address) --at;
  while (at != cache_.end() && at->address <= added.address + added.bytes) {
    const uint64_t end = std::max(added.address + added.bytes, at->address + at->bytes);
    added.address = std::min(added.address, at->address);
    added.bytes = end - added.address;
    cached_bytes_ -= at->bytes;
    at = cache_.erase(at);
  }
  cached_bytes_ += added.bytes;
  cache_.insert(at, added);
}

void DiskModel::WriteBackNearest() {
  const size_t chosen = Nearest(cache_, free_ns_);
  const Access access = cache_[chosen];
  cache_.erase(cache_.begin() + static_cast<std::ptrdiff_t>(chosen));
  cached_bytes_ -= access.bytes;
  Serve(free_ns_, access);
}

void DiskModel::WriteBackUntil(uint64_t ns) {
  while (!cache_.empty() && free_ns_ < ns) WriteBackNearest();
}

void DiskModel::Flush() {
  if (!options_.write_cache) return;  // the host knows, and asks for nothing
  ++stats_.flushes;
  now_ns_ += options_.command_us * kNsPerUs;
  while (!cache_.empty()) WriteBackNearest();
  now_ns_ = std::max(now_ns_, free_ns_);
}

DiskPlacement DiskPlacement::Over(uint64_t volume_bytes, uint64_t chunk_bytes, uint64_t disk_bytes, double share) {
  PLOGDB_ASSERT(volume_bytes > 0 && chunk_bytes > 0 && share > 0 && share <= 1, "a share of the disk");
  const uint64_t chunks = (volume_bytes + chunk_bytes - 1) / chunk_bytes;
  const auto room = static_cast<uint64_t>(static_cast<double>(disk_bytes) * share);
  const uint64_t stride = room / chunks / 4096 * 4096;
  return {chunk_bytes, std::max(stride, chunk_bytes)};
}

void DiskPlacement::Map(uint64_t offset, uint64_t bytes, bool write, std::vector<DiskCommand>* out) const {
  while (bytes > 0) {
    const uint64_t piece = std::min(bytes, chunk_bytes - offset % chunk_bytes);
    out->push_back({Address(offset), piece, write});
    offset += piece;
    bytes -= piece;
  }
}

}  // namespace plogdb
