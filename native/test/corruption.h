// A small store with a past, and the judge of what is left of it when its disks keep something else than what was
// written: what is broken must be told at every opening, never absent, never older (D2, D16, D17, D18).
#ifndef PLOGDB_TEST_CORRUPTION_H_
#define PLOGDB_TEST_CORRUPTION_H_

#include <cstdint>
#include <string>

#include "format.h"
#include "life.h"
#include "oracle.h"

namespace plogdb::test {

inline constexpr uint64_t kSmallExtent = 128 << 10;
inline constexpr uint64_t kUsedBytes = 256 << 10;  // of each volume of a subject

// Extents of kSmallExtent while it lives.
class SmallExtents {
 public:
  SmallExtents() { g_min_extent_bytes = kSmallExtent; }
  ~SmallExtents() { g_min_extent_bytes = kMinExtentBytes; }
  SmallExtents(const SmallExtents&) = delete;
  SmallExtents& operator=(const SmallExtents&) = delete;
};

// A store that used its first two extents, as it was half way and as it was when it was closed.
struct Subject {
  Script script;
  Oracle oracle;
  Disks half;
  Disks whole;
  uint64_t half_watermark = 0;
  uint64_t watermark = 0;
};

// Keys of all sizes, written over and deleted, until two extents of each volume are full. Only while SmallExtents
// lives.
Subject MakeSubject(size_t volumes, uint64_t seed);

Disks CopyOf(const Disks& disks);

struct Verdict {
  uint64_t stores = 0;
  uint64_t corrupt_keys = 0;
  uint64_t unknown = 0;  // stores with a loss whose keys cannot be told
  uint64_t right = 0;    // stores in which nothing was missing
};

// Opens twice. Every key is right, or corrupt, or the store says that it lost something it cannot name.
std::string Judge(const Subject& subject, const Disks& disks, Verdict* verdict);

// The store once it was closed, with the byte flipped; with block `from` written at `to` too.
Disks Flipped(const Subject& subject, uint64_t byte);
Disks Misdirected(const Subject& subject, uint64_t from, uint64_t to);
std::vector<uint8_t> ReadBlock(const Disks& disks, uint64_t block);

// A volume restored from an old copy is told by the watermark (D18). Empty, or what was wrong.
std::string JudgeOldVolume(const Subject& subject);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_CORRUPTION_H_
