// Names of the result codes, for messages and tests.
#include "status.h"

namespace plogdb {

const char* StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kDiskFull:
      return "disk-full";
    case StatusCode::kFailed:
      return "failed";
    case StatusCode::kCorrupt:
      return "corrupt";
    case StatusCode::kTooLarge:
      return "too-large";
    case StatusCode::kClosed:
      return "closed";
    case StatusCode::kNotFound:
      return "not-found";
    case StatusCode::kInvalidArgument:
      return "invalid-argument";
    case StatusCode::kLocked:
      return "locked";
    case StatusCode::kForeign:
      return "foreign";
    case StatusCode::kIoError:
      return "io-error";
  }
  return "unknown";
}

}  // namespace plogdb
