// What an allocation costs beside what was asked for: the heap's own head and rounding, so that budgets and statistics
// of memory (D15) say what the process pays. The formula is glibc's; elsewhere it is a close estimate.
#ifndef PLOGDB_CORE_HEAP_BYTES_H_
#define PLOGDB_CORE_HEAP_BYTES_H_

#include <cstddef>
#include <cstdint>

namespace plogdb {

inline constexpr size_t kHeapHeadBytes = 8;  // before each allocation

constexpr uint64_t HeapBytes(size_t asked) {
  if (asked == 0) return 0;
  const uint64_t rounded = (uint64_t{asked} + kHeapHeadBytes + 15) / 16 * 16;
  return rounded < 32 ? 32 : rounded;
}

}  // namespace plogdb

#endif  // PLOGDB_CORE_HEAP_BYTES_H_
