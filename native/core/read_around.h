// Reading what can be read of a stretch in which something cannot: one bad block must not take its neighbours with it.
#ifndef PLOGDB_CORE_READ_AROUND_H_
#define PLOGDB_CORE_READ_AROUND_H_

#include <cstdint>
#include <span>

#include "block_device.h"

namespace plogdb {

struct Unreadable {
  uint32_t blocks = 0;
  uint32_t end = 0;  // behind the last of them, counted from the first block of the stretch
};

// After a read of all of it has failed. Halves, and their halves, down to single blocks: those that cannot be read become
// bytes that fit no checksum. Behind `most` of them nothing more is tried: a dying disk takes seconds for each.
Unreadable ReadAround(BlockDevice* device, uint64_t offset, std::span<uint8_t> out, uint32_t most);

}  // namespace plogdb

#endif  // PLOGDB_CORE_READ_AROUND_H_
