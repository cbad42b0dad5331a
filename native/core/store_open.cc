// Opening a store: devices and their locks, identity or format (D9), recovery (D17), and the first run of this life.
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <utility>

#include "align.h"
#include "sim_random.h"
#include "store_impl.h"

namespace plogdb {
namespace {

uint64_t SteadyMicroseconds(void*) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

uint32_t LocalHour(void*) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return static_cast<uint32_t>(parts.tm_hour);
}

StoreId MakeStoreId(uint64_t seed) {
  StoreId id{};
  if (seed != 0) {
    SimRandom random(seed);
    for (uint8_t& byte : id) byte = static_cast<uint8_t>(random.Next());
    return id;
  }
  PLOGDB_ASSERT(getrandom(id.data(), id.size(), 0) == static_cast<ssize_t>(id.size()), "random source");
  return id;
}

// What the index is made with; options that say something else are refused at the open.
uint32_t UsableDigestOffset(const StoreOptions& options) {
  const bool usable = options.digest_offset % 8 == 0 && options.digest_offset < kHeaderBytes;
  return usable ? options.digest_offset : kNoDigestOffset;
}

// When the flush behind the newest run has failed, the device may keep its bytes readable, say that every later flush went
// well, and lose them all the same: only what is written after the failure is durable by a later flush. So the run is
// written once more, byte by byte as it is. The runs before it were durable when it was written.
Status WriteAgain(BlockDevice* device, const RunMark& mark) {
  const uint64_t offset = uint64_t{mark.block} * kBlockBytes;
  const uint64_t bytes = uint64_t{mark.blocks} * kBlockBytes;
  if (mark.first_id == 0 || offset + bytes > device->bytes()) return Status::Ok();
  AlignedBuffer run;
  run.Reserve(bytes);
  if (!device->Read(offset, run.first(bytes)).ok()) return Status::Ok();  // damaged: recovery has said so
  return device->Write(offset, run.first(bytes));
}

std::string NodeIdOf(const Superblock& super) { return {super.node_id.data(), super.node_id_bytes}; }

}  // namespace

Status Store::Open(const StoreOptions& options, std::unique_ptr<Store>* out, OpenReport* report) {
  auto store = std::make_unique<StoreImpl>(options);
  *report = OpenReport{};
  Status status = store->OpenVolumes(report);
  if (status.ok()) *out = std::move(store);
  return status;
}

StoreImpl::StoreImpl(const StoreOptions& options)
    : options_(options), completions_(options.wake, options.wake_context), index_(options.cache_bytes, UsableDigestOffset(options)) {
  shared_.durability = options.durability;
  shared_.index = &index_;
  shared_.completions = &completions_;
  shared_.now_us = options.now_us == nullptr ? SteadyMicroseconds : options.now_us;
  shared_.now_context = options.now_context;
  shared_.fail = OnFail;
  shared_.fail_context = this;
  shared_.wake = WakeWriter;
  shared_.wake_context = this;
  shared_.after_run = AfterRun;
  shared_.after_run_context = this;
}

Status StoreImpl::CheckOptions() const {
  const auto refuse = [](std::string why) { return Status(StatusCode::kInvalidArgument, std::move(why)); };
  if (options_.volumes.empty() || options_.volumes.size() > kMaxVolumes) return refuse("1 to 16 volumes are needed");
  if (options_.node_id.size() > kMaxNodeIdBytes) return refuse("the node id is longer than 64 bytes");
  if (!options_.stepped && options_.reader_threads == 0) return refuse("at least one reader thread is needed");
  if (options_.digest_offset != UsableDigestOffset(options_)) {
    return refuse("the digest offset is a multiple of 8 below 64, or none");
  }
  for (const VolumeOptions& volume : options_.volumes) {
    if (volume.path.empty()) return refuse("a volume without a path");
    if (volume.bytes < kLeastExtents * MinExtentBytes()) return refuse(volume.path + ": a volume needs at least 8 MiB");
    if (volume.bytes / kBlockBytes >= kNoExtent) return refuse(volume.path + ": a volume holds at most 16 TiB");
  }
  return Status::Ok();
}

Status StoreImpl::OpenDevices() {
  DeviceFactory* factory = options_.device_factory == nullptr ? &direct_ : options_.device_factory;
  for (const VolumeOptions& wanted : options_.volumes) {
    auto volume = std::make_unique<Volume>();
    volume->path = wanted.path;
    bool created = false;
    const uint64_t bytes = MakeGeometry(wanted.bytes).volume_bytes;
    Status status = factory->Open(wanted.path, bytes, &volume->device, &created);
    if (!status.ok()) return status;
    status = ReadVolumeIdentity(volume->device.get(), wanted.path, bytes, &volume->identity);
    if (!status.ok()) return status;
    volumes_.push_back(std::move(volume));
  }
  return Status::Ok();
}

// D9.
Status StoreImpl::CheckIdentity(size_t volume, const Superblock& first) const {
  const Superblock& super = volumes_[volume]->identity.super;
  const auto refuse = [&](const std::string& why) {
    return Status(StatusCode::kForeign, volumes_[volume]->path + " " + why);
  };
  if (NodeIdOf(super) != options_.node_id) {
    return refuse("belongs to node \"" + NodeIdOf(super) + "\", not to \"" + options_.node_id + "\"");
  }
  if (super.store_id != first.store_id) return refuse("belongs to another store than " + volumes_[0]->path);
  if (super.volume_count != volumes_.size()) {
    return refuse("is one of " + std::to_string(super.volume_count) + " volumes, but " +
                  std::to_string(volumes_.size()) + " were given");
  }
  if (super.volume != volume) {
    return refuse("is volume " + std::to_string(super.volume) + " of its store, not " + std::to_string(volume) +
                  " (swapped or copied)");
  }
  if (super.volume_bytes > volumes_[volume]->device->bytes()) return refuse("is shorter than it was formatted");
  return Status::Ok();
}

Status StoreImpl::Format() {
  Superblock super{};
  super.store_id = MakeStoreId(options_.seed);
  super.volume_count = static_cast<uint16_t>(volumes_.size());
  super.generation = 1;
  super.node_id_bytes = static_cast<uint32_t>(options_.node_id.size());
  std::copy(options_.node_id.begin(), options_.node_id.end(), super.node_id.begin());
  for (size_t i = 0; i < volumes_.size(); ++i) {
    Volume& volume = *volumes_[i];
    const uint64_t bytes = MakeGeometry(options_.volumes[i].bytes).volume_bytes;
    if (bytes > volume.device->bytes()) {
      return Status(StatusCode::kInvalidArgument, volume.path + " is smaller than the volume that is asked for");
    }
    super.volume = static_cast<uint16_t>(i);
    super.volume_bytes = bytes;
    super.extent_bytes = MakeGeometry(bytes).extent_bytes;
    volume.identity.super = super;
    Status status = WriteSuperblock(volume.device.get(), super);
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

// All blank: format. All formatted: check. A mixture without any data is a format that was interrupted.
Status StoreImpl::Identify(OpenReport* report) {
  const Volume* formatted = nullptr;
  const Volume* blank = nullptr;
  bool has_data = false;
  for (const auto& volume : volumes_) {
    (volume->identity.content == VolumeContent::kBlank ? blank : formatted) = volume.get();
    has_data |= volume->identity.has_data;
  }
  if (blank != nullptr && has_data) {
    return Status(StatusCode::kForeign, blank->path + " is empty, but " + formatted->path +
                                            " of the same store holds data: a disk was replaced or a path is wrong");
  }
  if (blank != nullptr) {
    report->fresh = true;
    Status status = Format();
    if (!status.ok()) return status;
  }
  for (size_t i = 0; i < volumes_.size(); ++i) {
    Volume& volume = *volumes_[i];
    Status status = CheckIdentity(i, volumes_[0]->identity.super);
    if (!status.ok()) return status;
    const Superblock& super = volume.identity.super;
    volume.geometry = {super.volume_bytes, super.extent_bytes};
    const bool repair = blank == nullptr && volume.identity.good_copies < kSuperCopies;
    if (repair) status = WriteSuperblock(volume.device.get(), super);
    if (!status.ok()) return status;
  }
  report->storage_id = volumes_[0]->identity.super.store_id;
  return Status::Ok();
}

Status StoreImpl::Recover(OpenReport* report) {
  const StoreId store_id = volumes_[0]->identity.super.store_id;
  std::vector<RecoveryVolume> sources;
  std::vector<ReadVolume> read_volumes;
  for (const auto& volume : volumes_) {
    volume->extents = std::make_unique<ExtentMap>(volume->geometry);
    sources.push_back({volume->device.get(), volume->geometry, volume->extents.get()});
    read_volumes.push_back({volume->device.get(), volume->extents.get()});
  }
  RecoveryResult recovered;
  // Some wait for the disk while the others work.
  const uint32_t several = std::min(4u, 2 * std::max(1u, std::thread::hardware_concurrency()));
  const uint32_t threads = options_.stepped ? 1 : options_.recovery_threads == 0 ? several : options_.recovery_threads;
  Recovery(store_id, std::move(sources), &index_, {threads, options_.force_scan}).Run(&recovered);
  sequencer_ = std::make_unique<Sequencer>(recovered.next_id, recovered.next_lsn, recovered.watermark, recovered.marks);
  shared_.store_id = store_id;
  shared_.sequencer = sequencer_.get();
  // What a killed process left in a device's cache is readable but not yet durable. All volumes come first: the opening
  // run of one says of the others too what is durable.
  for (size_t i = 0; i < volumes_.size(); ++i) {
    Status status = WriteAgain(volumes_[i]->device.get(), recovered.marks[i]);
    if (status.ok()) status = volumes_[i]->device->Flush();
    if (!status.ok()) return status;
  }
  for (uint32_t i = 0; i < volumes_.size(); ++i) {
    Volume& volume = *volumes_[i];
    volume.writer = std::make_unique<VolumeWriter>(&shared_, i, volume.device.get(), volume.geometry,
                                                   volume.extents.get(), std::move(recovered.start[i]));
    Status status = volume.writer->WriteOpeningRun();
    if (!status.ok()) return status;
  }
  reader_ = std::make_unique<Reader>(store_id, std::move(read_volumes), &index_, &completions_);
  std::vector<KeeperVolume> kept;
  for (const auto& volume : volumes_) {
    kept.push_back({volume->device.get(), volume->extents.get(), volume->writer.get()});
  }
  const Keeper::Clock clock{shared_.now_us, shared_.now_context,
                            options_.local_hour == nullptr ? LocalHour : options_.local_hour, options_.now_context};
  keeper_ = std::make_unique<Keeper>(store_id, std::move(kept), &index_, reader_.get(), clock,
                                     Keeper::Idle{OnMergeIdle, this});
  keeper_->SetMerge(options_.merge);
  keeper_->SetScrub(options_.scrub);
  Report(recovered, report);
  return Status::Ok();
}

void StoreImpl::Report(const RecoveryResult& recovered, OpenReport* report) const {
  report->recovered_watermark = recovered.watermark;
  report->unknown_losses = recovered.unknown_losses;
  report->lost_places = recovered.lost_places;
  report->dropped_runs = recovered.dropped_runs;
  report->summarized_extents = recovered.summarized_extents;
  StoreStats stats;
  index_.AddStats(&stats);
  report->recovered_keys = stats.keys;
  report->corrupt_keys = stats.corrupt_keys;
  for (const auto& volume : volumes_) {
    report->volumes.push_back({volume->path, volume->geometry.volume_bytes, volume->geometry.extent_bytes, kBlockBytes,
                               volume->device->io_mode()});
  }
}

Status StoreImpl::OpenVolumes(OpenReport* report) {
  const uint64_t started = shared_.now_us(shared_.now_context);
  Status status = CheckOptions();
  if (status.ok()) status = OpenDevices();
  if (status.ok()) status = Identify(report);
  if (status.ok()) status = Recover(report);
  if (!status.ok()) return status;
  report->recovery_us = shared_.now_us(shared_.now_context) - started;
  if (options_.stepped) return Status::Ok();
  reader_->Start(options_.reader_threads);
  for (const auto& volume : volumes_) {
    Volume* driven = volume.get();
    driven->writer->UseLane(&driven->bell);
    driven->thread = std::thread([this, driven] { DriveWriter(driven); });
  }
  keeper_->Start();
  return Status::Ok();
}

}  // namespace plogdb
