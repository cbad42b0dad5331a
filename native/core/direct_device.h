// Files and block devices, with O_DIRECT where the file system allows it, locked on the open file itself (D9).
#ifndef PLOGDB_CORE_DIRECT_DEVICE_H_
#define PLOGDB_CORE_DIRECT_DEVICE_H_

#include <memory>
#include <string>

#include "block_device.h"

namespace plogdb {

// Stateless: any thread.
class DirectDeviceFactory : public DeviceFactory {
 public:
  Status Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out, bool* created) override;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_DIRECT_DEVICE_H_
