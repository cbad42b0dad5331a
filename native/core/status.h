// The closed list of results of the engine. Operating errors are values; nothing here throws. The codes up to kClosed
// mirror StoreStatus of src/storage/store.ts and keep their numbers; the rest is met only by Open and by tests.
#ifndef PLOGDB_CORE_STATUS_H_
#define PLOGDB_CORE_STATUS_H_

#include <cstdint>
#include <string>
#include <utility>

namespace plogdb {

enum class StatusCode : uint8_t {
  kOk = 0,
  kDiskFull = 1,  // D12: refused before anything was written
  kFailed = 2,    // D8: the store will accept no write again in this process
  kCorrupt = 3,   // D16: a checksum, address, id or key does not fit
  kTooLarge = 4,
  kClosed = 5,
  kNotFound = 6,         // Read: the record is no longer (or was never) live; not an error of the disk
  kInvalidArgument = 7,  // the caller broke the contract; nothing was done
  kLocked = 8,           // D9: another open store holds the volume
  kForeign = 9,          // D9: volume of another store, node or place
  kIoError = 10,
};

const char* StatusCodeName(StatusCode code);

// A code with a sentence for people. Cheap when OK: no allocation.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return Status(); }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_STATUS_H_
