// CRC32C (Castagnoli), by the processor's instruction where it has one, else by tables; chosen once at run time.
#ifndef PLOGDB_CORE_CRC32C_H_
#define PLOGDB_CORE_CRC32C_H_

#include <cstdint>
#include <span>

namespace plogdb {

// Continues `crc`, the checksum of what came before (0 for nothing).
uint32_t Crc32cExtend(uint32_t crc, std::span<const uint8_t> bytes);

inline uint32_t Crc32c(std::span<const uint8_t> bytes) { return Crc32cExtend(0, bytes); }

// The portable form, always there, for comparison in tests.
uint32_t Crc32cExtendPortable(uint32_t crc, std::span<const uint8_t> bytes);

}  // namespace plogdb

#endif  // PLOGDB_CORE_CRC32C_H_
