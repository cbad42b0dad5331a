// Who a volume is: reading, checking, writing and repairing the four copies of its superblock (D1, D9).
#ifndef PLOGDB_CORE_SUPERBLOCK_H_
#define PLOGDB_CORE_SUPERBLOCK_H_

#include <cstdint>
#include <string>

#include "block_device.h"
#include "format.h"

namespace plogdb {

enum class VolumeContent : uint8_t { kBlank, kFormatted };

struct VolumeIdentity {
  VolumeContent content = VolumeContent::kBlank;
  Superblock super{};
  uint32_t good_copies = 0;
  bool has_data = false;  // some extent was written
};

// kCorrupt when copies are there but no two agree; kForeign when something else lies on the device.
Status ReadVolumeIdentity(BlockDevice* device, const std::string& path, uint64_t configured_bytes, VolumeIdentity* out);

// Writes all copies, the first two durable before the last two, so that a crash in between is told from damage.
Status WriteSuperblock(BlockDevice* device, Superblock super);

}  // namespace plogdb

#endif  // PLOGDB_CORE_SUPERBLOCK_H_
