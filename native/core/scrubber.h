// Re-reads everything that was written, at a bounded rate (D19): every block and every record that lives is checked in
// place. An extent in which something that lives was not found whole is handed on, to be looked at record by record.
#ifndef PLOGDB_CORE_SCRUBBER_H_
#define PLOGDB_CORE_SCRUBBER_H_

#include <cstdint>
#include <utility>

#include "align.h"
#include "block_device.h"
#include "extent_map.h"
#include "key_index.h"
#include "rate_limiter.h"
#include "record_walker.h"

namespace plogdb {

struct ScrubStats {
  uint64_t passes = 0;
  uint64_t bytes = 0;
  uint64_t records = 0;  // live ones that were found whole
};

// One thread.
class Scrubber {
 public:
  Scrubber(const StoreId& store_id, uint32_t volume, BlockDevice* device, const Geometry& geometry, ExtentMap* extents,
           KeyIndex* index)
      : device_(device), geometry_(geometry), extents_(extents), index_(index), walker_(store_id, volume) {}

  void SetOptions(const ScrubOptions& options) {
    rate_ = options.bytes_per_second;
    bytes_.SetRate(rate_);
  }

  // An extent of which something that lives was not found whole, or kNoExtent.
  uint32_t TakeDamaged() { return std::exchange(damaged_, kNoExtent); }

  // One step: at most one chunk. False when there is nothing to do before *due_us.
  bool Step(uint64_t now_us, uint64_t* due_us);
  void Stop();

  const ScrubStats& stats() const { return stats_; }

 private:
  bool NextExtent();
  void ReadChunk();
  void End();

  BlockDevice* const device_;
  const Geometry geometry_;
  ExtentMap* const extents_;
  KeyIndex* const index_;
  RecordWalker walker_;
  AlignedBuffer buffer_;
  RateLimiter bytes_{0};
  uint64_t rate_ = 0;
  uint32_t next_extent_ = 0;
  uint32_t extent_ = kNoExtent;  // held
  uint32_t next_block_ = 0;
  uint32_t live_before_ = 0;
  uint32_t found_ = 0;
  bool bad_ = false;
  uint32_t damaged_ = kNoExtent;
  uint64_t rest_until_us_ = 0;
  ScrubStats stats_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SCRUBBER_H_
