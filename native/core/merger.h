// Makes room in one volume (D10, D11): picks the extent whose emptying gains most, reads it in order, and hands what
// still lives there to the writer, in whose runs it rides. The extent is free when nothing in it lives any more, by the
// ordinary accounting; so nothing is ever freed before its copy is durable and the index points at it. How fast: in
// step with what callers write, within the limits of the options; without limits when callers wait for room.
#ifndef PLOGDB_CORE_MERGER_H_
#define PLOGDB_CORE_MERGER_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "align.h"
#include "block_device.h"
#include "extent_map.h"
#include "key_index.h"
#include "rate_limiter.h"
#include "record_walker.h"
#include "writer.h"

namespace plogdb {

struct MergeStats {
  uint64_t bytes_read = 0;
  uint64_t extents = 0;      // emptied
  uint64_t markers = 0;      // of deletions, forgotten (D13)
  uint64_t stuck = 0;        // extents in which something could not be moved
  uint64_t from_memory = 0;  // extents emptied without reading them
};

// One thread, but for stats.
class Merger {
 public:
  Merger(const StoreId& store_id, uint32_t volume, size_t volumes, BlockDevice* device, ExtentMap* extents, KeyIndex* index,
         VolumeWriter* writer)
      : volume_(volume),
        volumes_(volumes),
        device_(device),
        geometry_(writer->geometry()),
        extents_(extents),
        index_(index),
        writer_(writer),
        walker_(store_id, volume) {}

  void SetOptions(const MergeOptions& options, uint64_t now_us);

  // What the last victim left to be looked at: an extent with live records that could not be moved, or kNoExtent.
  uint32_t TakeDamaged() { return std::exchange(damaged_, kNoExtent); }

  // One step: at most one chunk is read. `allowed`: by hours and pause; without it only a store that would be full merges.
  // `waiting`: callers wait for room. False when there is nothing to do before *due_us.
  bool Step(uint64_t now_us, bool allowed, bool waiting, uint64_t* due_us);

  // Ends with the store: lets the victim go.
  void Stop();

  bool busy() const { return source_.extent != kNoExtent; }
  const MergeStats& stats() const { return stats_; }

 private:
  bool MayGo(uint64_t bytes, uint64_t now_us, bool urgent, uint64_t* due_us);
  void Earn(uint64_t now_us);
  bool Begin(uint64_t now_us, bool urgent, bool waiting, uint64_t* due_us);
  bool WalkPays() const;
  void WalkIndex();
  void TakeFromIndex(const KeyEntry& entry);
  UnitOp* Add(UnitOpKind kind, std::string_view key, uint64_t hash, const Slot& slot, ValueRef value);
  void ReadChunk();
  uint64_t OldestWatermark() const;
  void ForgetMarker(std::string_view key, uint64_t lsn);
  void Take(const ParsedRecord& record, RecordPlace place);
  bool HandOver();
  void End();
  void Abandon();
  uint64_t ChunkBytes() const;

  const uint32_t volume_;
  const size_t volumes_;
  BlockDevice* const device_;
  const Geometry geometry_;
  ExtentMap* const extents_;
  KeyIndex* const index_;
  VolumeWriter* const writer_;
  RecordWalker walker_;
  AlignedBuffer buffer_;

  Victim source_;
  uint32_t next_block_ = 0;
  bool second_look_ = false;
  bool read_any_ = false;
  std::deque<BatchUnit> found_;  // copies not handed over yet
  bool walking_ = false;          // through the index, for values that are in memory
  uint64_t cursor_ = 0;
  uint64_t walked_cached_ = 0;
  uint64_t walked_uncached_ = 0;
  uint32_t reads_before_walk_ = 0;  // victims to read before memory is tried again
  std::vector<std::pair<std::string, uint64_t>> markers_;  // of deletions, to be forgotten
  RateLimiter bytes_{0};
  RateLimiter operations_{0};
  double earned_ = 0;  // bytes of the source that callers' writing has paid for
  uint64_t callers_bytes_ = 0;
  uint64_t last_caller_us_ = 0;
  uint64_t oldest_watermark_ = 0;
  uint32_t damaged_ = kNoExtent;
  MergeStats stats_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_MERGER_H_
