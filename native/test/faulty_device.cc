// The wrapper: see faulty_device.h. A flush fails on the simulated disk itself, which then dooms what was not flushed.
#include "faulty_device.h"

#include <utility>

namespace plogdb::test {
namespace {

class FaultyDevice : public BlockDevice {
 public:
  FaultyDevice(std::unique_ptr<BlockDevice> below, std::shared_ptr<SimDisk> disk, Fault* fault)
      : below_(std::move(below)), disk_(std::move(disk)), fault_(fault) {}

  Status Read(uint64_t offset, std::span<uint8_t> out) override {
    if (fault_->Hits(FaultKind::kRead)) return Status(StatusCode::kIoError, "a read fails on demand");
    return below_->Read(offset, out);
  }
  Status Write(uint64_t offset, std::span<const uint8_t> data) override {
    if (fault_->Hits(FaultKind::kWrite)) return Status(StatusCode::kIoError, "a write fails on demand");
    return below_->Write(offset, data);
  }
  Status Flush() override {
    if (fault_->Hits(FaultKind::kFlush)) {
      SimFaults faults;
      faults.fail_flush_in = 1;
      disk_->SetFaults(faults);
    }
    return below_->Flush();
  }
  uint64_t bytes() const override { return below_->bytes(); }
  IoMode io_mode() const override { return below_->io_mode(); }
  bool wants_zero_fill() const override { return below_->wants_zero_fill(); }

 private:
  const std::unique_ptr<BlockDevice> below_;
  const std::shared_ptr<SimDisk> disk_;
  Fault* const fault_;
};

}  // namespace

Status FaultyFactory::Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out, bool* created) {
  if (below_->Find(path) == nullptr && fault_->Hits(FaultKind::kAllocation)) {
    return Status(StatusCode::kDiskFull, path + ": no room for a volume, on demand");
  }
  std::unique_ptr<BlockDevice> device;
  Status status = below_->Open(path, bytes, &device, created);
  if (status.ok()) *out = std::make_unique<FaultyDevice>(std::move(device), below_->Find(path), fault_);
  return status;
}

}  // namespace plogdb::test
