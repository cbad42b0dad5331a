// Devices that fail on demand: the nth read, write, flush, or opening of a volume, once or from then on. Wraps the
// simulated disks, and counts over all of them.
#ifndef PLOGDB_TEST_FAULTY_DEVICE_H_
#define PLOGDB_TEST_FAULTY_DEVICE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "sim_device.h"

namespace plogdb::test {

enum class FaultKind : uint8_t { kRead, kWrite, kFlush, kAllocation };

struct Fault {
  FaultKind kind = FaultKind::kRead;
  uint64_t nth = 0;  // 1 = the first call of that kind; 0 = none fails
  bool lasting = false;
  uint64_t calls = 0;  // of that kind, so far
  uint64_t hits = 0;

  bool Hits(FaultKind call) {
    if (call != kind || nth == 0) return false;
    ++calls;
    const bool hit = lasting ? calls >= nth : calls == nth;
    if (hit) ++hits;
    return hit;
  }
};

// The factory below and the fault must outlive it and its devices.
class FaultyFactory : public DeviceFactory {
 public:
  FaultyFactory(SimDeviceFactory* below, Fault* fault) : below_(below), fault_(fault) {}
  // A volume that cannot be allocated leaves nothing behind.
  Status Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out, bool* created) override;

 private:
  SimDeviceFactory* const below_;
  Fault* const fault_;
};

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_FAULTY_DEVICE_H_
