// Who lives in which extent of one volume: life cycle, live bytes, reads in flight, the room that is promised to batches
// not yet written (D12), and which extent merge shall empty next (D10). An extent is free again when nothing in it is live
// and nothing reads it; whether the disk may already be written over is the writer's business (it announces the extent
// first).
#ifndef PLOGDB_CORE_EXTENT_MAP_H_
#define PLOGDB_CORE_EXTENT_MAP_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "format.h"
#include "store.h"

namespace plogdb {

// Free -> announced (named by a run as the next to be written) -> open (the one being filled) -> sealed -> free.
enum class ExtentState : uint8_t { kFree, kAnnounced, kOpen, kSealed };

inline constexpr uint64_t kAheadBytes = uint64_t{1} << 20;  // D12: what callers may have under way when IsFull turns true

// D1, D12: free extents that each kind of write leaves alone. Merge needs room for the live part of one extent, and the
// extent that comes after it.
enum class SpaceClass : uint8_t { kOrdinary = 0, kSmall = 1, kDeletions = 2, kMerge = 3 };
inline constexpr uint32_t kReservedExtents = 4;
inline constexpr uint32_t kReservedForDeletions = 2;  // what small values leave alone
inline constexpr uint32_t kReservedForMerge = 1;      // what even deletions leave alone

// What a batch needs of a volume in the worst case.
struct SpaceNeed {
  uint64_t blocks = 0;
  uint64_t largest_unit_blocks = 0;  // what must lie in one extent, and so may be left over at the end of another
  uint64_t directory_bytes = 0;
  uint64_t summary_bytes = 0;  // in the summaries of the extents it comes to lie in (D17)
  uint64_t units = 1;  // what the writer takes in one piece
  SpaceClass space_class = SpaceClass::kOrdinary;
};

// What an extent holds began with the run of id `life`; what was first written there has a higher LSN than `watermark`.
struct ExtentLife {
  uint64_t life = 0;  // 0: never written, as far as is known
  uint64_t watermark = 0;
};

struct ExtentTotals {
  uint64_t live_bytes = 0;  // the room that live records take, their entries in directories and summaries included
  uint64_t dead_bytes = 0;  // the rest of sealed extents that are not free, without those that are kept
  uint64_t used_extents = 0;
  uint64_t free_extents = 0;  // announced ones included
  uint64_t kept_extents = 0;
  uint64_t freed = 0;
  uint64_t usable_bytes = 0;
  SpaceLevel level = SpaceLevel::kPlenty;
};

// A sealed extent for merge, and how much of it lives.
struct Victim {
  uint32_t extent = kNoExtent;
  double live = 0;  // share of the extent that would be written again, 0 to 1
};

// Live records and bytes of one extent that came or went.
struct LiveChange {
  uint32_t extent = 0;
  uint32_t records = 0;
  uint64_t bytes = 0;
};

// Any thread.
class ExtentMap {
 public:
  explicit ExtentMap(const Geometry& geometry);

  // Recovery and writer: life cycle.
  void Restore(uint32_t extent, ExtentState state, bool pinned);
  // The life that an extent's content belongs to, and the watermark that its first run carries: every LSN first written
  // in it is above (D13).
  void SetLife(uint32_t extent, uint64_t life, uint64_t watermark);
  bool IsOpen(uint32_t extent) const;
  ExtentLife Life(uint32_t extent) const;
  bool IsSealed(uint32_t extent, uint64_t life) const;  // in this life
  uint32_t Announce();               // a free extent, or kNoExtent: the oldest life first, then what was never written
  void Open(uint32_t extent);        // announced -> open
  void Seal(uint32_t extent);        // open -> sealed, or free when nothing lives there
  void Keep(uint32_t extent);        // never freed in this life of the store
  void FreeIfDead(uint32_t extent);  // after recovery: sealed and empty -> free

  // Records: added when durable, released when what replaces them is durable (D5).
  void AddLive(uint32_t block, uint64_t bytes) { AddLive(LiveChange{geometry_.extent_of(block), 1, bytes}); }
  void AddLive(const LiveChange& change);
  void ReleaseLive(uint32_t block, uint64_t bytes) {
    (void)ReleaseLive(LiveChange{geometry_.extent_of(block), 1, bytes});
  }
  bool ReleaseLive(const LiveChange& change);  // true when that made the extent free

  // Reads in flight hold their extent (D10).
  void PinForRead(uint32_t block);
  void UnpinForRead(uint32_t block);

  // D12. `room_blocks` of the open extent, without what its summary needs, is kept current by the writer.
  bool Reserve(const SpaceNeed& need);
  void Unreserve(const SpaceNeed& need);
  void SetRoom(uint32_t room_blocks, uint64_t carried_directory_bytes);
  bool IsFull() const;
  bool IsShort() const;

  // Merge (D10). How many free extents are missing to what merge keeps ready; 0: nothing to do.
  uint32_t Deficit() const;
  uint32_t wanted_free() const { return wanted_free_; }
  SpaceLevel Level() const;
  // The extent whose emptying gains most for its cost, the older on ties; held as by a read. kNoExtent: none would gain.
  Victim PickVictim();
  // So much of what callers had written died.
  void NoteDead(uint64_t records, uint64_t bytes);
  // A batch waited in vain.
  void NoteRefused();
  // Merge is done with it. `stuck`: something live could not be moved: not to be picked until that changes.
  void EndVictim(uint32_t extent, bool stuck);
  bool CanReclaim() const;
  // D12: what does not fit now may fit once merge has made room.
  bool CouldFit(const SpaceNeed& need) const;
  uint32_t LiveRecords(uint32_t extent) const;
  // Scrub: true when something lives there; then held as by a read.
  bool HoldIfWritten(uint32_t extent);

  // The lowest watermark at which any content that can still be found on the disk began its life (D13).
  uint64_t OldestWatermark() const;

  ExtentTotals Totals() const;

 private:
  friend class StoreProbe;  // the tests' eyes (native/test/store_probe.h)

  struct Extent {
    ExtentState state = ExtentState::kFree;
    bool pinned = false;  // holds evidence of a loss: kept
    uint32_t stuck_at = 0;  // 1 + live records when merge could not move all of them
    uint32_t live_records = 0;
    uint32_t reads = 0;
    uint64_t live_bytes = 0;
    uint64_t life = 0;  // 0: never written
    uint64_t watermark = 0;
  };

  bool MaybeFree(Extent* extent);
  bool Fits(const SpaceNeed& need) const;
  bool FitsAhead(uint32_t unit_blocks, uint64_t bytes) const;
  bool FitsManyAhead() const;
  bool IsShortLocked() const;
  uint64_t DeadBytesLocked() const;
  double Share(uint64_t records, uint64_t bytes) const;
  double LiveShare(const Extent& extent) const { return Share(extent.live_records, extent.live_bytes); }
  double Gain(const Extent& extent) const;
  bool Gains(const Extent& extent) const;
  bool CanReclaimLocked() const;
  bool Futile() const { return futile_ > futile_limit_; }

  const Geometry geometry_;
  const uint32_t wanted_free_;
  mutable std::mutex mutex_;  // guards all below
  std::vector<Extent> extents_;
  uint32_t free_ = 0;      // free and announced
  uint32_t writable_ = 0;  // open and announced: without one, no extent can be announced any more
  uint32_t victims_ = 0;   // being emptied
  // Where everything is moved again and nobody the better for it, merge must end: extents emptied since callers last got
  // room, and how many may be. Fewer each time that it was in vain, all again when much has died since.
  uint64_t futile_ = 0;
  uint64_t futile_limit_;
  uint64_t died_bytes_ = 0;
  uint64_t freed_ = 0;
  uint64_t live_bytes_ = 0;
  uint64_t live_records_ = 0;
  uint64_t room_blocks_ = 0;
  uint64_t carried_directory_bytes_ = 0;
  uint64_t promised_blocks_ = 0;
  uint64_t promised_directory_bytes_ = 0;
  uint64_t promised_summary_bytes_ = 0;
  uint64_t promised_units_ = 0;
  uint64_t largest_unit_blocks_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_EXTENT_MAP_H_
