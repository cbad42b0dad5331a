// A disk in memory that lies the way disks lie: writes that were not flushed are lost, torn at 512 bytes or reordered
// at a power loss; bits rot, writes go astray or vanish, calls fail. Seeded, so that every run can be had again. With a
// model of a mechanical disk it also takes the time such a disk takes, on the model's virtual clock.
#ifndef PLOGDB_CORE_SIM_DEVICE_H_
#define PLOGDB_CORE_SIM_DEVICE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "block_device.h"
#include "disk_model.h"

namespace plogdb {

inline constexpr uint32_t kSectorBytes = 512;

// xorshift128+: small, seeded, the same everywhere.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed);
  uint64_t Next();
  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  bool Chance(uint32_t percent) { return Below(100) < percent; }

 private:
  uint64_t state_[2];
};

// What shall go wrong next. Counters count down at each call; 0 = never, 1 = the next call.
struct SimFaults {
  uint64_t fail_read_in = 0;
  uint64_t fail_write_in = 0;
  uint64_t fail_flush_in = 0;
  uint64_t lose_write_in = 0;       // says OK, writes nothing, not even after a flush
  uint64_t misdirect_write_in = 0;  // writes at misdirect_to instead
  uint64_t misdirect_to = 0;
};

// How often each fault really happened.
struct SimFaultHits {
  uint64_t reads_failed = 0;
  uint64_t writes_failed = 0;
  uint64_t flushes_failed = 0;
  uint64_t writes_lost = 0;
  uint64_t writes_misdirected = 0;
};

// The medium: it outlives the stores that are opened on it. Any thread. Copies share their pages until one is written.
class SimDisk {
 public:
  explicit SimDisk(uint64_t bytes);
  SimDisk(const SimDisk& other);
  SimDisk& operator=(const SimDisk&) = delete;

  Status Read(uint64_t offset, std::span<uint8_t> out);
  Status Write(uint64_t offset, std::span<const uint8_t> data);
  Status Flush();

  // Cuts the power: each sector of each write since the last flush survives or not, as the seed says.
  void LosePower(SimRandom* random);

  // From now on every call moves the model's clock, which the store's now_us should read. The model must outlive the
  // disk, or be taken away with null; copies of the disk have none.
  void SetModel(DiskModel* model, const DiskPlacement& placement);

  void SetFaults(const SimFaults& faults);
  SimFaultHits hits() const;
  void FlipBits(uint64_t offset, uint8_t mask);
  // A write of whole sectors, past the cache: for building crash images.
  void WriteSectors(uint64_t offset, std::span<const uint8_t> data);
  uint64_t bytes() const { return bytes_; }

  bool TakeLock();
  void ReleaseLock();

 private:
  using Page = std::array<uint8_t, kBlockBytes>;
  struct Unflushed {
    uint64_t offset;
    std::vector<uint8_t> before;
    std::vector<uint8_t> after;
  };

  void Spend(uint64_t offset, uint64_t bytes, bool write);
  void CopyOut(uint64_t offset, std::span<uint8_t> out) const;
  void CopyIn(uint64_t offset, std::span<const uint8_t> data);

  const uint64_t bytes_;
  mutable std::mutex mutex_;                        // guards all below
  std::vector<std::shared_ptr<const Page>> pages_;  // null = zeros
  std::vector<Unflushed> unflushed_;
  std::vector<Unflushed> doomed_;  // a flush failed: readable, and gone with the power, whatever is flushed later
  SimFaults faults_;
  SimFaultHits hits_;
  bool locked_ = false;
  DiskModel* model_ = nullptr;
  DiskPlacement placement_;
  std::vector<DiskCommand> commands_;
};

// Paths are names of simulated disks. Any thread.
class SimDeviceFactory : public DeviceFactory {
 public:
  Status Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out, bool* created) override;

  // Null when there is none of that name.
  std::shared_ptr<SimDisk> Find(const std::string& path);
  void Put(const std::string& path, std::shared_ptr<SimDisk> disk);
  void set_wants_zero_fill(bool wants) { wants_zero_fill_ = wants; }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<SimDisk>> disks_;
  bool wants_zero_fill_ = false;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SIM_DEVICE_H_
