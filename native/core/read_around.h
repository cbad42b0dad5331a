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

// After a read of all of it has failed: block by block, since it is the reads that fail that cost, seconds each on a dying
// disk. What cannot be read becomes bytes that fit no checksum; behind `most` such blocks nothing more is tried.
Unreadable ReadAround(BlockDevice* device, uint64_t offset, std::span<uint8_t> out, uint32_t most);

}  // namespace plogdb

#endif  // PLOGDB_CORE_READ_AROUND_H_
