// The recorder: a call is logged once it succeeded below.
#include "recorder_device.h"

#include <utility>

namespace plogdb {
namespace {

class RecorderDevice : public BlockDevice {
 public:
  RecorderDevice(std::unique_ptr<BlockDevice> below, std::string path, Recording* recording)
      : below_(std::move(below)), path_(std::move(path)), recording_(recording) {}

  Status Read(uint64_t offset, std::span<uint8_t> out) override { return below_->Read(offset, out); }

  Status Write(uint64_t offset, std::span<const uint8_t> data) override {
    Status status = below_->Write(offset, data);
    if (status.ok()) recording_->Add({RecordedKind::kWrite, path_, offset, {data.begin(), data.end()}});
    return status;
  }

  Status Flush() override {
    Status status = below_->Flush();
    if (status.ok()) recording_->Add({RecordedKind::kFlush, path_, 0, {}});
    return status;
  }

  uint64_t bytes() const override { return below_->bytes(); }
  IoMode io_mode() const override { return below_->io_mode(); }
  bool wants_zero_fill() const override { return below_->wants_zero_fill(); }

 private:
  const std::unique_ptr<BlockDevice> below_;
  const std::string path_;
  Recording* const recording_;
};

}  // namespace

void Recording::Add(RecordedCall call) {
  const std::lock_guard<std::mutex> lock(mutex_);
  calls_.push_back(std::move(call));
}

size_t Recording::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return calls_.size();
}

std::vector<RecordedCall> Recording::Take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(calls_, {});
}

Status RecorderDeviceFactory::Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out,
                                   bool* created) {
  std::unique_ptr<BlockDevice> below;
  Status status = below_->Open(path, bytes, &below, created);
  if (!status.ok()) return status;
  *out = std::make_unique<RecorderDevice>(std::move(below), path, recording_);
  return Status::Ok();
}

}  // namespace plogdb
