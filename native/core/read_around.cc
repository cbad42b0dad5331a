// See read_around.h.
#include "read_around.h"

#include <algorithm>

namespace plogdb {

Unreadable ReadAround(BlockDevice* device, uint64_t offset, std::span<uint8_t> out, uint32_t most) {
  Unreadable found;
  for (size_t at = 0; at < out.size(); at += kBlockBytes) {
    const auto block = out.subspan(at, kBlockBytes);
    if (found.blocks < most && device->Read(offset + at, block).ok()) continue;
    std::fill(block.begin(), block.end(), uint8_t{0xff});
    ++found.blocks;
    found.end = static_cast<uint32_t>(at / kBlockBytes) + 1;
  }
  return found;
}

}  // namespace plogdb
