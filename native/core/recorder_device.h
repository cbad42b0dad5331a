// Logs every write and flush of the devices below it, in order, so that a test can build any image that a crash could
// have left. Wraps any factory; changes nothing of what passes.
#ifndef PLOGDB_CORE_RECORDER_DEVICE_H_
#define PLOGDB_CORE_RECORDER_DEVICE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "block_device.h"

namespace plogdb {

enum class RecordedKind : uint8_t { kWrite = 0, kFlush = 1 };

struct RecordedCall {
  RecordedKind kind = RecordedKind::kWrite;
  std::string path;
  uint64_t offset = 0;
  std::vector<uint8_t> data;
};

// Any thread.
class Recording {
 public:
  void Add(RecordedCall call);
  size_t size() const;
  std::vector<RecordedCall> Take();

 private:
  mutable std::mutex mutex_;
  std::vector<RecordedCall> calls_;
};

// The factory below and the recording must outlive it and its devices.
class RecorderDeviceFactory : public DeviceFactory {
 public:
  RecorderDeviceFactory(DeviceFactory* below, Recording* recording) : below_(below), recording_(recording) {}
  Status Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out, bool* created) override;

 private:
  DeviceFactory* const below_;
  Recording* const recording_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_RECORDER_DEVICE_H_
