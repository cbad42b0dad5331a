// CRC32C. The portable form works on 8 bytes at a time through 8 tables (slicing); the other uses SSE4.2, on three
// stretches at once, because the instruction takes three cycles and can begin anew in each.
#include "crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace plogdb {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, bits reversed

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (size_t slice = 1; slice < 8; ++slice) {
      const uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

uint64_t LoadWord(const uint8_t* data) {
  uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

// A CRC register moved on over kStretch zero bytes. That is linear, so a table per byte of the register does.
constexpr size_t kStretch = 1344;  // three of them are nearly a block
using ShiftTables = std::array<std::array<uint32_t, 256>, 4>;

ShiftTables MakeShiftTables() {
  ShiftTables tables{};
  const auto shifted = [](uint32_t state) {
    for (size_t i = 0; i < kStretch; ++i) state = (state >> 8) ^ kTables[0][state & 0xff];
    return state;
  };
  std::array<uint32_t, 32> bits{};
  for (uint32_t bit = 0; bit < 32; ++bit) bits[bit] = shifted(uint32_t{1} << bit);
  for (uint32_t byte = 0; byte < 4; ++byte) {
    for (uint32_t value = 0; value < 256; ++value) {
      for (uint32_t bit = 0; bit < 8; ++bit) {
        if ((value >> bit & 1) != 0) tables[byte][value] ^= bits[8 * byte + bit];
      }
    }
  }
  return tables;
}

const ShiftTables kShift = MakeShiftTables();

uint32_t Shift(uint32_t state) {
  return kShift[0][state & 0xff] ^ kShift[1][state >> 8 & 0xff] ^ kShift[2][state >> 16 & 0xff] ^ kShift[3][state >> 24];
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ExtendSse42(uint32_t crc, std::span<const uint8_t> bytes) {
  const uint8_t* data = bytes.data();
  size_t left = bytes.size();
  uint64_t state = ~crc;
  for (; left >= 3 * kStretch; left -= 3 * kStretch, data += 3 * kStretch) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t at = 0; at < kStretch; at += 8) {
      state = _mm_crc32_u64(state, LoadWord(data + at));
      second = _mm_crc32_u64(second, LoadWord(data + kStretch + at));
      third = _mm_crc32_u64(third, LoadWord(data + 2 * kStretch + at));
    }
    state = Shift(static_cast<uint32_t>(state)) ^ static_cast<uint32_t>(second);
    state = Shift(static_cast<uint32_t>(state)) ^ static_cast<uint32_t>(third);
  }
  for (; left >= 8; left -= 8, data += 8) state = _mm_crc32_u64(state, LoadWord(data));
  uint32_t narrow = static_cast<uint32_t>(state);
  for (; left > 0; --left, ++data) narrow = _mm_crc32_u8(narrow, *data);
  return ~narrow;
}
#endif

using Extend = uint32_t (*)(uint32_t, std::span<const uint8_t>);

Extend Choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ExtendSse42;
#endif
  return Crc32cExtendPortable;
}

}  // namespace

uint32_t Crc32cExtendPortable(uint32_t crc, std::span<const uint8_t> bytes) {
  const uint8_t* data = bytes.data();
  size_t left = bytes.size();
  uint32_t state = ~crc;
  for (; left >= 8; left -= 8, data += 8) {
    const uint64_t word = LoadWord(data) ^ state;
    uint32_t next = 0;
    for (size_t byte = 0; byte < 8; ++byte) next ^= kTables[7 - byte][(word >> (8 * byte)) & 0xff];
    state = next;
  }
  for (; left > 0; --left, ++data) state = (state >> 8) ^ kTables[0][(state ^ *data) & 0xff];
  return ~state;
}

uint32_t Crc32cExtend(uint32_t crc, std::span<const uint8_t> bytes) {
  static const Extend extend = Choose();
  return extend(crc, bytes);
}

}  // namespace plogdb
