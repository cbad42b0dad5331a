// Memory aligned for O_DIRECT. Owns one growing buffer; knows nothing of what is in it.
#ifndef PLOGDB_CORE_ALIGN_H_
#define PLOGDB_CORE_ALIGN_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>

#include "assert.h"
#include "block_device.h"

namespace plogdb {

// Not shared between threads.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer() { std::free(data_); }

  // At least `bytes` bytes. What was in the buffer is lost when it has to grow.
  void Reserve(size_t bytes) {
    if (bytes <= capacity_) return;
    const size_t rounded = (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    std::free(std::exchange(data_, nullptr));
    data_ = static_cast<uint8_t*>(std::aligned_alloc(kBlockBytes, rounded));
    PLOGDB_ASSERT(data_ != nullptr, "memory");
    capacity_ = rounded;
  }

  uint8_t* data() { return data_; }
  std::span<uint8_t> first(size_t bytes) {
    PLOGDB_ASSERT(bytes <= capacity_, "buffer bound");
    return {data_, bytes};
  }
  std::span<const uint8_t> first(size_t bytes) const {
    PLOGDB_ASSERT(bytes <= capacity_, "buffer bound");
    return {data_, bytes};
  }

 private:
  uint8_t* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_ALIGN_H_
