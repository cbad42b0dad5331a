// Integers of 1 to 10 bytes, seven bits each, low ones first: for directories and summaries. Knows nothing else.
#ifndef PLOGDB_CORE_VARINT_H_
#define PLOGDB_CORE_VARINT_H_

#include <cstdint>
#include <span>
#include <vector>

namespace plogdb {

inline void AppendVarint(uint64_t value, std::vector<uint8_t>* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<uint8_t>(value | 0x80));
  out->push_back(static_cast<uint8_t>(value));
}

// False when the bytes end before the integer does.
inline bool ReadVarint(std::span<const uint8_t>* bytes, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes->empty()) return false;
    const uint8_t byte = bytes->front();
    *bytes = bytes->subspan(1);
    *value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Small differences of either sign become small numbers.
inline uint64_t ZigZag(uint64_t difference) {
  return (difference << 1) ^ (difference >> 63 != 0 ? ~uint64_t{0} : 0);
}
inline uint64_t UnZigZag(uint64_t value) { return (value >> 1) ^ ((value & 1) != 0 ? ~uint64_t{0} : 0); }

}  // namespace plogdb

#endif  // PLOGDB_CORE_VARINT_H_
