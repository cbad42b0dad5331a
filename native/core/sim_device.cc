// The simulated disk. Pages are shared and replaced, never changed while shared: so a copy of the disk, what a write
// replaced, and what a power loss may undo cost a pointer a page.
#include "sim_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "assert.h"
#include "crc32c.h"

namespace plogdb {
namespace {

// True when the countdown hits now.
bool Hits(uint64_t* countdown) {
  if (*countdown == 0) return false;
  return --*countdown == 0;
}

Status NoPower() { return Status(StatusCode::kIoError, "simulated: no power"); }

class SimDevice : public BlockDevice {
 public:
  SimDevice(std::shared_ptr<SimDisk> disk, std::shared_ptr<std::atomic<bool>> dead, bool wants_zero_fill)
      : disk_(std::move(disk)), dead_(std::move(dead)), wants_zero_fill_(wants_zero_fill) {}
  ~SimDevice() override { disk_->ReleaseLock(); }

  Status Read(uint64_t offset, std::span<uint8_t> out) override {
    return *dead_ ? Dead() : disk_->Read(offset, out);
  }
  Status Write(uint64_t offset, std::span<const uint8_t> data) override {
    return *dead_ ? Dead() : disk_->Write(offset, data);
  }
  Status Flush() override { return *dead_ ? Dead() : disk_->Flush(); }
  uint64_t bytes() const override { return disk_->bytes(); }
  IoMode io_mode() const override { return IoMode::kMemory; }
  bool wants_zero_fill() const override { return wants_zero_fill_; }

 private:
  static Status Dead() { return Status(StatusCode::kIoError, "simulated: a dead process calls nobody"); }

  const std::shared_ptr<SimDisk> disk_;
  const std::shared_ptr<std::atomic<bool>> dead_;
  const bool wants_zero_fill_;
};

}  // namespace

SimDisk::SimDisk(uint64_t bytes)
    : bytes_(bytes), pages_(bytes / kBlockBytes), older_(bytes / kBlockBytes), end_(bytes) {}

SimDisk::SimDisk(const SimDisk& other) : bytes_(other.bytes_), older_(other.bytes_ / kBlockBytes) {
  const std::lock_guard<std::mutex> lock(other.mutex_);
  pages_ = other.pages_;
  unflushed_ = other.unflushed_;
  doomed_ = other.doomed_;
  end_ = other.end_;
  unreadable_ = other.unreadable_;
}

void SimDisk::SetModel(DiskModel* model, const DiskPlacement& placement) {
  const std::lock_guard<std::mutex> lock(mutex_);
  PLOGDB_ASSERT(model == nullptr || placement.chunk_bytes > 0, "a model needs a place on the disk");
  model_ = model;
  placement_ = placement;
}

void SimDisk::SetPower(std::shared_ptr<SimPower> power) {
  const std::lock_guard<std::mutex> lock(mutex_);
  power_ = std::move(power);
}

void SimDisk::Spend(uint64_t offset, uint64_t bytes, bool write) {
  if (model_ == nullptr) return;
  commands_.clear();
  placement_.Map(offset, bytes, write, &commands_);
  model_->Run(commands_);
}

// Whether a call stays within what is left of the disk.
bool SimDisk::Reaches(uint64_t offset, uint64_t bytes) {
  if (Hits(&faults_.truncate_in)) end_ = (1 + random_.Below(pages_.size())) * kBlockBytes;
  if (offset + bytes <= end_) return true;
  if (offset + bytes <= bytes_) ++hits_.beyond_end;
  return false;
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

// Puts the page away as the older one, and gives one to be filled in its place.
SimDisk::PagePtr SimDisk::FreshPage(uint64_t page) {
  PagePtr fresh = std::exchange(older_[page], std::move(pages_[page]));
  if (fresh == nullptr || fresh.use_count() > 1) fresh.reset(new Page);  // filled at once: not zeroed first
  return fresh;
}

void SimDisk::CopyIn(uint64_t offset, std::span<const uint8_t> data) {
  while (!data.empty()) {
    const size_t within = offset % kBlockBytes;
    const size_t count = std::min<size_t>(data.size(), kBlockBytes - within);
    const uint64_t number = offset / kBlockBytes;
    PagePtr fresh = FreshPage(number);
    if (count < kBlockBytes) {
      if (older_[number] == nullptr) {
        fresh->fill(0);
      } else {
        *fresh = *older_[number];
      }
    }
    std::memcpy(fresh->data() + within, data.data(), count);
    pages_[number] = std::move(fresh);
    data = data.subspan(count);
    offset += count;
  }
}

// Some blocks as they were before; at least one that differs, or it is no hit and waits for the next read.
void SimDisk::ReadStale(uint64_t offset, std::span<uint8_t> out) {
  std::vector<uint64_t> changed;
  for (size_t at = 0; at < out.size(); at += kBlockBytes) {
    if (pages_[(offset + at) / kBlockBytes] != nullptr) changed.push_back(at);
  }
  if (changed.empty()) {
    faults_.stale_read_in = 1;
    return;
  }
  const uint64_t sure = changed[random_.Below(changed.size())];
  for (const uint64_t at : changed) {
    if (at != sure && !random_.Chance(30)) continue;
    const auto& older = older_[(offset + at) / kBlockBytes];
    if (older == nullptr) {
      std::memset(out.data() + at, 0, kBlockBytes);
    } else {
      std::memcpy(out.data() + at, older->data(), kBlockBytes);
    }
  }
  ++hits_.reads_stale;
}

bool SimDisk::IsUnreadable(uint64_t offset, std::span<uint8_t> out) {
  const uint64_t first = offset / kBlockBytes;
  const uint64_t end = first + out.size() / kBlockBytes;
  if (!out.empty() && Hits(&faults_.bad_blocks_in)) {
    ++hits_.stretches_bad;
    const uint64_t begin = first + random_.Below(end - first);
    const uint64_t count = 1 + random_.Below(4);
    for (uint64_t block = begin; block < std::min(end, begin + count); ++block) unreadable_.insert(block);
  }
  const auto bad = unreadable_.lower_bound(first);
  return bad != unreadable_.end() && *bad < end;
}

Status SimDisk::Read(uint64_t offset, std::span<uint8_t> out) {
  PLOGDB_ASSERT(offset % kBlockBytes == 0 && out.size() % kBlockBytes == 0, "aligned I/O");
  const std::lock_guard<std::mutex> lock(mutex_);
  if (power_ != nullptr && power_->NextCall() != SimPower::Cut::kNone) return NoPower();
  if (!Reaches(offset, out.size())) return Status(StatusCode::kIoError, "simulated: read past the end");
  if (IsUnreadable(offset, out)) return Status(StatusCode::kIoError, "simulated: bad blocks");
  if (Hits(&faults_.fail_read_in)) {
    ++hits_.reads_failed;
    return Status(StatusCode::kIoError, "simulated: read error");
  }
  Spend(offset, out.size(), false);
  if (!out.empty() && Hits(&faults_.flip_read_in)) {
    ++hits_.bits_flipped;
    const uint64_t at = offset + random_.Below(out.size());
    uint8_t byte = 0;
    CopyOut(at, {&byte, 1});
    byte = static_cast<uint8_t>(byte ^ (1u << random_.Below(8)));
    CopyIn(at, {&byte, 1});
  }
  CopyOut(offset, out);
  if (Hits(&faults_.stale_read_in)) ReadStale(offset, out);
  return Status::Ok();
}

// Readable from now on, durable when flushed.
void SimDisk::WriteToCache(uint64_t offset, std::span<const uint8_t> data) {
  Unflushed write{offset / kBlockBytes, {}, {}};
  const size_t count = data.size() / kBlockBytes;
  unreadable_.erase(unreadable_.lower_bound(write.first), unreadable_.lower_bound(write.first + count));
  const auto first = pages_.begin() + static_cast<std::ptrdiff_t>(write.first);
  write.before.assign(first, first + static_cast<std::ptrdiff_t>(count));
  CopyIn(offset, data);
  write.after.assign(first, first + static_cast<std::ptrdiff_t>(count));
  unflushed_.push_back(std::move(write));
}

Status SimDisk::Write(uint64_t offset, std::span<const uint8_t> data) {
  PLOGDB_ASSERT(offset % kBlockBytes == 0 && data.size() % kBlockBytes == 0, "aligned I/O");
  const std::lock_guard<std::mutex> lock(mutex_);
  const SimPower::Cut cut = power_ == nullptr ? SimPower::Cut::kNone : power_->NextCall();
  if (cut == SimPower::Cut::kOff || cut == SimPower::Cut::kBefore) return NoPower();
  if (!Reaches(offset, data.size())) return Status(StatusCode::kIoError, "simulated: write past the end");
  if (cut != SimPower::Cut::kNone) {
    const uint64_t blocks = data.size() / kBlockBytes;
    const uint64_t kept = cut == SimPower::Cut::kAfter ? blocks : random_.Below(blocks + 1);
    WriteToCache(offset, data.first(kept * kBlockBytes));
    return NoPower();
  }
  if (Hits(&faults_.fail_write_in)) {
    ++hits_.writes_failed;
    return Status(StatusCode::kIoError, "simulated: write error");
  }
  if (Hits(&faults_.short_write_in)) {
    ++hits_.writes_short;
    WriteToCache(offset, data.first(random_.Below(data.size() / kBlockBytes) * kBlockBytes));
    return Status(StatusCode::kIoError, "simulated: short write");
  }
  if (Hits(&faults_.lose_write_in)) {
    ++hits_.writes_lost;
    return Status::Ok();
  }
  if (Hits(&faults_.misdirect_write_in)) {
    ++hits_.writes_misdirected;
    const uint64_t last = bytes_ - data.size();
    const bool anywhere = faults_.misdirect_to == SimFaults::kAnywhere;
    offset = anywhere ? random_.Below(last / kBlockBytes + 1) * kBlockBytes : std::min(faults_.misdirect_to, last);
  }
  Spend(offset, data.size(), true);
  WriteToCache(offset, data);
  return Status::Ok();
}

// What was not flushed is lost with the power, and no later flush saves it.
void SimDisk::Doom() {
  for (const Unflushed& write : unflushed_) {
    for (size_t i = 0; i < write.before.size(); ++i) doomed_.try_emplace(write.first + i, write.before[i]);
  }
  unflushed_.clear();
}

void SimDisk::Settle() {
  if (!doomed_.empty()) {
    for (const Unflushed& write : unflushed_) {
      for (size_t i = 0; i < write.after.size(); ++i) doomed_.erase(write.first + i);
    }
  }
  unflushed_.clear();
}

Status SimDisk::Flush() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const SimPower::Cut cut = power_ == nullptr ? SimPower::Cut::kNone : power_->NextCall();
  if (cut == SimPower::Cut::kAfter) Settle();
  if (cut != SimPower::Cut::kNone) return NoPower();  // within: of what is not flushed some survives, as ever
  if (Hits(&faults_.fail_flush_in)) {
    ++hits_.flushes_failed;
    Doom();
    return Status(StatusCode::kIoError, "simulated: flush error");
  }
  if (!unflushed_.empty() && Hits(&faults_.lie_flush_in)) {
    ++hits_.flushes_lied;
    Doom();
    return Status::Ok();
  }
  if (model_ != nullptr) model_->Flush();
  Settle();
  return Status::Ok();
}

void SimDisk::Harden() {
  const std::lock_guard<std::mutex> lock(mutex_);
  unflushed_.clear();
  doomed_.clear();
}

// Puts back what survives of a write; how many sectors that is. `gone`: something of an earlier block is not there.
uint64_t SimDisk::Survive(const Unflushed& write, SimRandom* random, bool* gone) {
  const uint64_t fate = random->Below(4);  // lost, whole, or torn
  uint64_t kept = 0;
  bool reordered = false;
  for (size_t i = 0; fate != 0 && i < write.after.size(); ++i) {
    const uint64_t before = kept;
    for (size_t at = 0; at < kBlockBytes; at += kSectorBytes) {
      if (fate != 1 && !random->Chance(50)) continue;
      CopyIn((write.first + i) * kBlockBytes + at, std::span(*write.after[i]).subspan(at, kSectorBytes));
      ++kept;
    }
    reordered |= *gone && kept > before;
    *gone |= kept - before < kBlockBytes / kSectorBytes;
  }
  *gone |= fate == 0;
  if (reordered) ++hits_.writes_reordered;
  return kept;
}

void SimDisk::LosePower(SimRandom* random) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto write = unflushed_.rbegin(); write != unflushed_.rend(); ++write) {
    for (size_t i = 0; i < write->before.size(); ++i) pages_[write->first + i] = write->before[i];
  }
  for (const auto& [page, before] : doomed_) pages_[page] = before;
  doomed_.clear();
  const std::vector<Unflushed> writes = std::exchange(unflushed_, {});
  bool gone = false;
  for (const Unflushed& write : writes) {
    const uint64_t kept = Survive(write, random, &gone);
    const bool lost = kept < write.after.size() * (kBlockBytes / kSectorBytes);
    if (lost) ++hits_.unflushed_lost;
    if (lost && kept > 0) ++hits_.writes_torn;
  }
}

void SimDisk::SetFaults(const SimFaults& faults) {
  const std::lock_guard<std::mutex> lock(mutex_);
  faults_ = faults;
  if (faults.seed != 0) random_ = SimRandom(faults.seed);
}

SimFaults SimDisk::faults() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return faults_;
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

void SimDisk::MakeUnreadable(uint64_t block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  unreadable_.insert(block);
}

void SimDisk::WriteSectors(uint64_t offset, std::span<const uint8_t> data) {
  PLOGDB_ASSERT(offset % kSectorBytes == 0 && data.size() % kSectorBytes == 0, "sectors do not tear");
  const std::lock_guard<std::mutex> lock(mutex_);
  CopyIn(offset, data);
}

std::vector<uint64_t> SimDisk::Find(std::span<const uint8_t> wanted) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<uint64_t> found;
  for (size_t number = 0; number < pages_.size(); ++number) {
    if (pages_[number] == nullptr) continue;
    const Page& page = *pages_[number];
    auto at = page.begin();
    while ((at = std::search(at, page.end(), wanted.begin(), wanted.end())) != page.end()) {
      found.push_back(number * kBlockBytes + static_cast<uint64_t>(at - page.begin()));
      ++at;
    }
  }
  return found;
}

uint64_t SimDisk::Fingerprint() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t hash = end_;
  const auto add = [&hash](uint64_t number, const PagePtr& page) {
    const uint64_t crc = page == nullptr ? 0 : Crc32c(*page);
    hash = (hash ^ (number << 32 | crc)) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 29;
  };
  for (size_t number = 0; number < pages_.size(); ++number) {
    if (pages_[number] != nullptr) add(number, pages_[number]);
  }
  for (const Unflushed& write : unflushed_) {
    for (size_t i = 0; i < write.before.size(); ++i) add(write.first + i, write.before[i]);
  }
  for (const auto& [number, page] : doomed_) add(number, page);
  return hash;
}

bool SimDisk::TakeLock() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !std::exchange(locked_, true);
}

void SimDisk::ReleaseLock() {
  const std::lock_guard<std::mutex> lock(mutex_);
  locked_ = false;
}

bool SimDisk::locked() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return locked_;
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
  *out = std::make_unique<SimDevice>(std::move(disk), dead_, wants_zero_fill_);
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
