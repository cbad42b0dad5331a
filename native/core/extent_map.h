// Who lives in which extent of one volume: life cycle, live bytes, reads in flight, and the room that is promised to
// batches not yet written (D12). An extent is free again when nothing in it is live and nothing reads it (D10); whether
// the disk may already be written over is the writer's business (it announces the extent first).
#ifndef PLOGDB_CORE_EXTENT_MAP_H_
#define PLOGDB_CORE_EXTENT_MAP_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "format.h"

namespace plogdb {

// Free -> announced (named by a run as the next to be written) -> open (the one being filled) -> sealed -> free.
enum class ExtentState : uint8_t { kFree, kAnnounced, kOpen, kSealed };

inline constexpr uint32_t kReservedExtents = 4;       // D1: for merge, marks and deletions
inline constexpr uint64_t kAheadBytes = uint64_t{1} << 20;  // D12: what callers may have under way when IsFull turns true
inline constexpr uint32_t kReservedForDeletions = 1;  // what even deletions leave alone

// What a batch needs of a volume in the worst case.
struct SpaceNeed {
  uint64_t blocks = 0;
  uint64_t largest_unit_blocks = 0;  // what must lie in one extent, and so may be left over at the end of another
  uint64_t directory_bytes = 0;
  uint64_t units = 1;  // what the writer takes in one piece
  bool only_deletions = false;
};

struct ExtentTotals {
  uint64_t live_bytes = 0;
  uint64_t used_extents = 0;
  uint64_t freed = 0;
};

// Any thread.
class ExtentMap {
 public:
  explicit ExtentMap(const Geometry& geometry);

  // Recovery and writer: life cycle.
  void Restore(uint32_t extent, ExtentState state, bool pinned);
  uint32_t Announce();               // a free extent, lowest first, or kNoExtent
  void Open(uint32_t extent);        // announced -> open
  void Seal(uint32_t extent);        // open -> sealed, or free when nothing lives there
  void Keep(uint32_t extent);        // never freed in this life of the store
  void FreeIfDead(uint32_t extent);  // after recovery: sealed and empty -> free

  // Records: added when durable, released when what replaces them is durable (D5).
  void AddLive(uint32_t block, uint64_t bytes);
  void ReleaseLive(uint32_t block, uint64_t bytes);

  // Reads in flight hold their extent (D10).
  void PinForRead(uint32_t block);
  void UnpinForRead(uint32_t block);

  // D12. `room_blocks` of the open extent is kept current by the writer.
  bool Reserve(const SpaceNeed& need);
  void Unreserve(const SpaceNeed& need);
  void SetRoom(uint32_t room_blocks, uint64_t carried_directory_bytes);
  bool IsFull() const;

  ExtentTotals Totals() const;

 private:
  friend class StoreProbe;  // the tests' eyes (native/test/store_probe.h)

  struct Extent {
    ExtentState state = ExtentState::kFree;
    bool pinned = false;  // holds evidence of a loss: kept until it is repaired
    uint32_t live_records = 0;
    uint32_t reads = 0;
    uint64_t live_bytes = 0;
  };

  void MaybeFree(Extent* extent);
  bool Fits(const SpaceNeed& need) const;

  const Geometry geometry_;
  mutable std::mutex mutex_;  // guards all below
  std::vector<Extent> extents_;
  uint32_t free_ = 0;      // free and announced
  uint32_t writable_ = 0;  // open and announced: without one, no extent can be announced any more
  uint64_t freed_ = 0;
  uint64_t live_bytes_ = 0;
  uint64_t room_blocks_ = 0;
  uint64_t carried_directory_bytes_ = 0;
  uint64_t promised_blocks_ = 0;
  uint64_t promised_directory_bytes_ = 0;
  uint64_t promised_units_ = 0;
  uint64_t largest_unit_blocks_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_EXTENT_MAP_H_
