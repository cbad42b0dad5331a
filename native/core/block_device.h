// The one interface through which the engine touches a disk (D22), and what makes such devices. Implemented by direct
// files and block devices, by the simulated disk, and by the recorder that wraps either. Knows nothing of stores.
#ifndef PLOGDB_CORE_BLOCK_DEVICE_H_
#define PLOGDB_CORE_BLOCK_DEVICE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "status.h"

namespace plogdb {

inline constexpr uint32_t kBlockBytes = 4096;

enum class IoMode : uint8_t {
  kDirect = 0,    // O_DIRECT
  kBuffered = 1,  // the file system refuses O_DIRECT: page cache, made durable by the same flush
  kMemory = 2,    // simulated
};

// Reads may come from several threads at once and beside one writer; Write and Flush from one thread at a time.
class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  // Offset and size are multiples of kBlockBytes, buffers aligned to it. All or an error; nothing is known of the bytes
  // after an error.
  virtual Status Read(uint64_t offset, std::span<uint8_t> out) = 0;
  virtual Status Write(uint64_t offset, std::span<const uint8_t> data) = 0;

  // All writes that returned before are durable after it returned OK. Never called again after it failed (D8).
  virtual Status Flush() = 0;

  virtual uint64_t bytes() const = 0;
  virtual IoMode io_mode() const = 0;

  // True when the first write into a range is dear (a preallocated file): the store then zero-fills ahead (D1).
  virtual bool wants_zero_fill() const = 0;
};

class DeviceFactory {
 public:
  virtual ~DeviceFactory() = default;

  // Opens `path` and takes its lock (kLocked when another holds it, D9). When it does not exist it is made with `bytes`
  // bytes, preallocated, zero when read. `*created` tells which.
  virtual Status Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out, bool* created) = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_BLOCK_DEVICE_H_
