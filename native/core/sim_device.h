// A disk in memory that lies the way disks lie: writes that were not flushed are lost, torn at 512 bytes or reordered
// at a power loss; bits rot, writes go astray or vanish, calls fail, and the power goes in the midst of one. Seeded, so
// that every run can be had again. With a model of a mechanical disk it also takes the time such a disk takes, on the
// model's virtual clock.
#ifndef PLOGDB_CORE_SIM_DEVICE_H_
#define PLOGDB_CORE_SIM_DEVICE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "block_device.h"
#include "disk_model.h"
#include "sim_random.h"

namespace plogdb {

inline constexpr uint32_t kSectorBytes = 512;

// What shall go wrong next. Counters count down at each call; 0 = never, 1 = the next call.
struct SimFaults {
  uint64_t fail_read_in = 0;
  uint64_t fail_write_in = 0;
  uint64_t fail_flush_in = 0;
  uint64_t short_write_in = 0;      // the first part reaches the disk, then the call fails
  uint64_t lose_write_in = 0;       // says OK, writes nothing, not even after a flush
  uint64_t lie_flush_in = 0;        // says OK; what it should have kept goes with the power, whatever is flushed later
  uint64_t misdirect_write_in = 0;  // writes at misdirect_to instead, or, when that is kAnywhere, somewhere
  uint64_t misdirect_to = 0;
  uint64_t stale_read_in = 0;  // some blocks read as they were before their last write
  uint64_t flip_read_in = 0;   // a bit of what is read has rotted, for good
  uint64_t bad_blocks_in = 0;  // some blocks of what is read cannot be read any more until they are written
  uint64_t truncate_in = 0;    // at any call: the end of the disk is gone for good
  uint64_t seed = 0;           // where exactly; 0 = goes on with what there was

  static constexpr uint64_t kAnywhere = UINT64_MAX;
};

// How often each fault really happened.
struct SimFaultHits {
  uint64_t reads_failed = 0;
  uint64_t writes_failed = 0;
  uint64_t flushes_failed = 0;
  uint64_t writes_short = 0;
  uint64_t writes_lost = 0;
  uint64_t flushes_lied = 0;
  uint64_t writes_misdirected = 0;
  uint64_t reads_stale = 0;
  uint64_t bits_flipped = 0;
  uint64_t stretches_bad = 0;  // of blocks that cannot be read any more
  uint64_t beyond_end = 0;  // calls that reached for what was cut off
  // What the power took: writes of which something is gone; of which something is gone and something there; and those with
  // a block of which something is there, though something of an earlier block is gone.
  uint64_t unflushed_lost = 0;
  uint64_t writes_torn = 0;
  uint64_t writes_reordered = 0;
};

// The power of the disks of one machine: it goes at a chosen call of any of them, and no call succeeds until it is back.
// Any thread.
class SimPower {
 public:
  enum class Cut : uint8_t { kNone, kBefore, kWithin, kAfter, kOff };

  // At the n-th call from now; 0 = never.
  void Arm(uint64_t in, Cut when) {
    when_ = when;
    in_ = in;
  }
  // What becomes of the call that begins now.
  Cut NextCall() {
    if (off_) return Cut::kOff;
    if (in_ == 0 || --in_ > 0) return Cut::kNone;
    off_ = true;
    ++cuts_;
    return when_;
  }
  void Restore() {
    off_ = false;
    in_ = 0;
  }
  bool off() const { return off_; }
  uint64_t cuts() const { return cuts_; }

 private:
  // Sequentially consistent: read and written rarely. Only tests of one thread arm a cut.
  std::atomic<uint64_t> in_{0};
  std::atomic<Cut> when_{Cut::kBefore};
  std::atomic<bool> off_{false};
  std::atomic<uint64_t> cuts_{0};
};

// The medium: it outlives the stores that are opened on it. Any thread. Copies share their pages until one is written.
class SimDisk {
 public:
  explicit SimDisk(uint64_t bytes);
  // With all that is on it and under way; without lock, faults and power switch.
  SimDisk(const SimDisk& other);
  SimDisk& operator=(const SimDisk&) = delete;

  Status Read(uint64_t offset, std::span<uint8_t> out);
  Status Write(uint64_t offset, std::span<const uint8_t> data);
  Status Flush();

  // Cuts the power: each sector of each write since the last flush survives or not, as the seed says.
  void LosePower(SimRandom* random);
  // All that can be read is durable from now on: what a backup was copied to.
  void Harden();
  // Without one it never goes by itself.
  void SetPower(std::shared_ptr<SimPower> power);

  // From now on every call moves the model's clock, which the store's now_us should read. The model must outlive the
  // disk, or be taken away with null; copies of the disk have none.
  void SetModel(DiskModel* model, const DiskPlacement& placement);

  void SetFaults(const SimFaults& faults);
  SimFaults faults() const;
  SimFaultHits hits() const;
  void FlipBits(uint64_t offset, uint8_t mask);
  // Every read of the block fails until it is written.
  void MakeUnreadable(uint64_t block);
  // A write of whole sectors, past the cache: for building crash images.
  void WriteSectors(uint64_t offset, std::span<const uint8_t> data);
  // Offsets of all places that hold `wanted`, in rising order. Within blocks only.
  std::vector<uint64_t> Find(std::span<const uint8_t> wanted) const;
  // Of all that can be read, and of what the power would take.
  uint64_t Fingerprint() const;
  uint64_t bytes() const { return bytes_; }

  bool TakeLock();
  void ReleaseLock();
  bool locked() const;

 private:
  using Page = std::array<uint8_t, kBlockBytes>;
  using PagePtr = std::shared_ptr<Page>;  // written only while nobody shares it
  struct Unflushed {
    uint64_t first;  // page
    std::vector<PagePtr> before;
    std::vector<PagePtr> after;
  };

  void Spend(uint64_t offset, uint64_t bytes, bool write);
  bool Reaches(uint64_t offset, uint64_t bytes);
  void CopyOut(uint64_t offset, std::span<uint8_t> out) const;
  void CopyIn(uint64_t offset, std::span<const uint8_t> data);
  PagePtr FreshPage(uint64_t page);
  void WriteToCache(uint64_t offset, std::span<const uint8_t> data);
  uint64_t Survive(const Unflushed& write, SimRandom* random, bool* gone);
  bool IsUnreadable(uint64_t offset, std::span<uint8_t> out);
  void ReadStale(uint64_t offset, std::span<uint8_t> out);
  void Doom();
  void Settle();

  const uint64_t bytes_;
  mutable std::mutex mutex_;    // guards all below
  std::vector<PagePtr> pages_;  // null = zeros
  std::vector<PagePtr> older_;  // what each page held before
  std::vector<Unflushed> unflushed_;
  std::map<uint64_t, PagePtr> doomed_;  // pages that a flush lost: readable, and as here when the power is gone
  uint64_t end_;                        // of what is left
  SimFaults faults_;
  SimFaultHits hits_;
  std::set<uint64_t> unreadable_;  // blocks
  SimRandom random_{1};
  std::shared_ptr<SimPower> power_;
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
  // The process that opened devices here is dead: none of its calls reaches a disk any more.
  void Kill() { *dead_ = true; }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<SimDisk>> disks_;
  bool wants_zero_fill_ = false;
  const std::shared_ptr<std::atomic<bool>> dead_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SIM_DEVICE_H_
