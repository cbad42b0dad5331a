// See read_around.h.
#include "read_around.h"

#include <algorithm>

namespace plogdb {
namespace {

class AroundReader {
 public:
  AroundReader(BlockDevice* device, uint64_t offset, uint32_t most) : device_(device), offset_(offset), most_(most) {}

  // `at`: bytes from the beginning of the stretch.
  void Read(uint64_t at, std::span<uint8_t> out) {
    if (out.empty()) return;
    const bool given_up = found_.blocks >= most_;
    if (!given_up && device_->Read(offset_ + at, out).ok()) return;
    if (given_up || out.size() == kBlockBytes) {
      std::fill(out.begin(), out.end(), uint8_t{0xff});
      found_.blocks += static_cast<uint32_t>(out.size() / kBlockBytes);
      found_.end = static_cast<uint32_t>((at + out.size()) / kBlockBytes);
      return;
    }
    Split(at, out);
  }

  void Split(uint64_t at, std::span<uint8_t> out) {
    const size_t half = (out.size() / kBlockBytes + 1) / 2 * kBlockBytes;
    Read(at, out.first(half));
    Read(at + half, out.subspan(half));
  }

  const Unreadable& found() const { return found_; }

 private:
  BlockDevice* const device_;
  const uint64_t offset_;
  const uint32_t most_;
  Unreadable found_;
};

}  // namespace

Unreadable ReadAround(BlockDevice* device, uint64_t offset, std::span<uint8_t> out, uint32_t most) {
  AroundReader reader(device, offset, most);
  reader.Split(0, out);
  return reader.found();
}

}  // namespace plogdb
