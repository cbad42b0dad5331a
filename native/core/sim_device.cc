// The simulated disk. Unflushed writes are kept with what they replaced, so that a power loss can undo any part of
// them.
#include "sim_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "assert.h"

namespace plogdb {
namespace {

// True when the countdown hits now.
bool Hits(uint64_t* countdown) {
  if (*countdown == 0) return false;
  return --*countdown == 0;
}

class SimDevice : public BlockDevice {
 public:
  SimDevice(std::shared_ptr<SimDisk> disk, bool wants_zero_fill)
      : disk_(std::move(disk)), wants_zero_fill_(wants_zero_fill) {}
  ~SimDevice() override { disk_->ReleaseLock(); }

  Status Read(uint64_t offset, std::span<uint8_t> out) override { return disk_->Read(offset, out); }
  Status Write(uint64_t offset, std::span<const uint8_t> data) override { return disk_->Write(offset, data); }
  Status Flush() override { return disk_->Flush(); }
  uint64_t bytes() const override { return disk_->bytes(); }
  IoMode io_mode() const override { return IoMode::kMemory; }
  bool wants_zero_fill() const override { return wants_zero_fill_; }

 private:
  const std::shared_ptr<SimDisk> disk_;
  const bool wants_zero_fill_;
};

}  // namespace

SimRandom::SimRandom(uint64_t seed) {
  for (uint64_t& word : state_) {  // splitmix64 spreads small seeds
    seed += 0x9e3779b97f4a7c15ull;
    uint64_t mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    word = mixed ^ (mixed >> 31);
  }
}

uint64_t SimRandom::Next() {
  uint64_t first = state_[0];
  const uint64_t second = state_[1];
  state_[0] = second;
  first ^= first << 23;
  state_[1] = first ^ second ^ (first >> 17) ^ (second >> 26);
  return state_[1] + second;
}

SimDisk::SimDisk(uint64_t bytes) : bytes_(bytes), pages_(bytes / kBlockBytes) {}

SimDisk::SimDisk(const SimDisk& other) : bytes_(other.bytes_) {
  const std::lock_guard<std::mutex> lock(other.mutex_);
  pages_ = other.pages_;
  unflushed_ = other.unflushed_;
  doomed_ = other.doomed_;
}

void SimDisk::SetModel(DiskModel* model, const DiskPlacement& placement) {
  const std::lock_guard<std::mutex> lock(mutex_);
  PLOGDB_ASSERT(model == nullptr || placement.chunk_bytes > 0, "a model needs a place on the disk");
  model_ = model;
  placement_ = placement;
}

void SimDisk::Spend(uint64_t offset, uint64_t bytes, bool write) {
  if (model_ == nullptr) return;
  commands_.clear();
  placement_.Map(offset, bytes, write, &commands_);
  model_->Run(commands_);
}

void SimDisk::CopyOut(uint64_t offset, std::span<uint8_t> out) const {
  while (!out.empty()) {
    const size_t within = offset % kBlockBytes;
    const size_t count = std::min<size_t>(out.size(), kBlockBytes - within);
    const auto& page = pages_[offset / kBlockBytes];
    if (page == nullptr) {
      std::memset(out.data(), 0, count);
    } else {
      std::memcpy(out.data(), page->data() + within, count);
    }
    out = out.subspan(count);
    offset += count;
  }
}

void SimDisk::CopyIn(uint64_t offset, std::span<const uint8_t> data) {
  while (!data.empty()) {
    const size_t within = offset % kBlockBytes;
    const size_t count = std::min<size_t>(data.size(), kBlockBytes - within);
    auto& page = pages_[offset / kBlockBytes];
    auto fresh = std::make_shared<Page>();
    if (page != nullptr) *fresh = *page;
    std::memcpy(fresh->data() + within, data.data(), count);
    page = std::move(fresh);
    data = data.subspan(count);
    offset += count;
  }
}

Status SimDisk::Read(uint64_t offset, std::span<uint8_t> out) {
  PLOGDB_ASSERT(offset % kBlockBytes == 0 && out.size() % kBlockBytes == 0, "aligned I/O");
  const std::lock_guard<std::mutex> lock(mutex_);
  if (offset + out.size() > bytes_) return Status(StatusCode::kIoError, "simulated: read past the end");
  if (Hits(&faults_.fail_read_in)) {
    ++hits_.reads_failed;
    return Status(StatusCode::kIoError, "simulated: read error");
  }
  Spend(offset, out.size(), false);
  CopyOut(offset, out);
  return Status::Ok();
}

Status SimDisk::Write(uint64_t offset, std::span<const uint8_t> data) {
  PLOGDB_ASSERT(offset % kBlockBytes == 0 && data.size() % kBlockBytes == 0, "aligned I/O");
  const std::lock_guard<std::mutex> lock(mutex_);
  if (offset + data.size() > bytes_) return Status(StatusCode::kIoError, "simulated: write past the end");
  if (Hits(&faults_.fail_write_in)) {
    ++hits_.writes_failed;
    return Status(StatusCode::kIoError, "simulated: write error");
  }
  if (Hits(&faults_.lose_write_in)) {
    ++hits_.writes_lost;
    return Status::Ok();
  }
  if (Hits(&faults_.misdirect_write_in)) {
    ++hits_.writes_misdirected;
    offset = std::min(faults_.misdirect_to, bytes_ - data.size());
  }
  Spend(offset, data.size(), true);
  Unflushed write{offset, std::vector<uint8_t>(data.size()), {data.begin(), data.end()}};
  CopyOut(offset, write.before);
  CopyIn(offset, data);
  unflushed_.push_back(std::move(write));
  return Status::Ok();
}

Status SimDisk::Flush() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Hits(&faults_.fail_flush_in)) {
    ++hits_.flushes_failed;
    for (Unflushed& write : unflushed_) doomed_.push_back(std::move(write));
    unflushed_.clear();
    return Status(StatusCode::kIoError, "simulated: flush error");
  }
  if (model_ != nullptr) model_->Flush();
  unflushed_.clear();
  return Status::Ok();
}

void SimDisk::LosePower(SimRandom* random) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto write = unflushed_.rbegin(); write != unflushed_.rend(); ++write) CopyIn(write->offset, write->before);
  for (auto write = doomed_.rbegin(); write != doomed_.rend(); ++write) CopyIn(write->offset, write->before);
  doomed_.clear();
  for (const Unflushed& write : unflushed_) {
    const uint64_t fate = random->Below(4);  // lost, whole, or torn
    if (fate == 0) continue;
    for (size_t at = 0; at < write.after.size(); at += kSectorBytes) {
      if (fate == 1 || random->Chance(50)) {
        CopyIn(write.offset + at, std::span(write.after).subspan(at, kSectorBytes));
      }
    }
  }
  unflushed_.clear();
}

void SimDisk::SetFaults(const SimFaults& faults) {
  const std::lock_guard<std::mutex> lock(mutex_);
  faults_ = faults;
}

SimFaultHits SimDisk::hits() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return hits_;
}

void SimDisk::FlipBits(uint64_t offset, uint8_t mask) {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint8_t byte = 0;
  CopyOut(offset, {&byte, 1});
  byte = static_cast<uint8_t>(byte ^ mask);
  CopyIn(offset, {&byte, 1});
}

void SimDisk::WriteSectors(uint64_t offset, std::span<const uint8_t> data) {
  PLOGDB_ASSERT(offset % kSectorBytes == 0 && data.size() % kSectorBytes == 0, "sectors do not tear");
  const std::lock_guard<std::mutex> lock(mutex_);
  CopyIn(offset, data);
}

bool SimDisk::TakeLock() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !std::exchange(locked_, true);
}

void SimDisk::ReleaseLock() {
  const std::lock_guard<std::mutex> lock(mutex_);
  locked_ = false;
}

Status SimDeviceFactory::Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out,
                              bool* created) {
  std::shared_ptr<SimDisk> disk = Find(path);
  *created = disk == nullptr;
  if (disk == nullptr) {
    disk = std::make_shared<SimDisk>(bytes);
    Put(path, disk);
  }
  if (!disk->TakeLock()) return Status(StatusCode::kLocked, path + " is in use by another running store");
  *out = std::make_unique<SimDevice>(std::move(disk), wants_zero_fill_);
  return Status::Ok();
}

std::shared_ptr<SimDisk> SimDeviceFactory::Find(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = disks_.find(path);
  return found == disks_.end() ? nullptr : found->second;
}

void SimDeviceFactory::Put(const std::string& path, std::shared_ptr<SimDisk> disk) {
  const std::lock_guard<std::mutex> lock(mutex_);
  disks_[path] = std::move(disk);
}

}  // namespace plogdb
