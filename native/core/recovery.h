// From what lies on the volumes to the state in memory (D17): scans every extent, decides the winners by D5, tells
// broken acknowledged runs from unfinished ones, and says where writing goes on. Changes nothing on the disk itself.
#ifndef PLOGDB_CORE_RECOVERY_H_
#define PLOGDB_CORE_RECOVERY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "align.h"
#include "block_device.h"
#include "extent_map.h"
#include "extent_scan.h"
#include "key_index.h"
#include "writer.h"

namespace plogdb {

struct RecoveryVolume {
  BlockDevice* device = nullptr;
  Geometry geometry;
  ExtentMap* extents = nullptr;
};

struct RecoveryResult {
  std::vector<WriterStart> start;  // per volume
  std::vector<RunMark> marks;      // newest durable run per volume
  uint64_t next_id = 1;
  uint64_t next_lsn = 1;
  uint64_t watermark = 0;  // highest durable LSN found
  uint64_t unknown_losses = 0;
  uint64_t dropped_runs = 0;
};

// One thread, once.
class Recovery {
 public:
  Recovery(const StoreId& store_id, std::vector<RecoveryVolume> volumes, KeyIndex* index);

  void Run(RecoveryResult* result);

 private:
  struct ExtentFacts {
    uint64_t life = 0;
    bool whole = false;     // read to its end
    uint32_t read_end = 0;  // block behind what was read
    uint32_t end = 0;
    bool touched = false;
    bool unfinished = false;
    bool broken = false;
    bool life_lost = false;          // of the present life nothing can be read: what was found is older
    bool live = false;               // a live record lies here
    bool evidence = false;           // the only witness of a loss elsewhere: kept like a broken one
    uint64_t announced_at = 0;       // id of the newest run that announced it: what is older in it is dead
    FoundRun newest;                 // first_id 0: no whole run
    std::vector<RunReference> tail;  // from elsewhere, behind end
    std::vector<ToldRecord> told;
    uint64_t unknown = 0;

    bool dead() const { return announced_at > life; }
  };
  struct VolumeFacts {
    std::vector<ExtentFacts> extents;
    RunReference newest_known;  // the newest durable run, found or only known by reference
  };

  std::span<const uint8_t> ReadExtent(uint32_t volume, uint32_t extent, bool whole);
  void ScanExtent(uint32_t volume, uint32_t extent, bool whole);
  void ReadOn();
  uint32_t NewestExtent(uint32_t volume) const;
  bool WantsWholeRead(uint32_t volume, uint32_t extent) const;
  void TakeRuns(uint32_t volume, uint32_t extent, const ExtentScan& scan);
  void ApplyRecord(Record record);
  void NoteReference(RunReference reference);
  static void LoseLife(const Geometry& geometry, const RunMark& mark, ExtentFacts* facts);
  void FollowReferences();
  void ScanTail(uint32_t volume, uint32_t extent);
  void CondemnResurrected();
  void ApplyTold();
  void RestoreExtents(uint32_t volume, const WriterStart& start);
  void CountLive();
  void FindStart(uint32_t volume, WriterStart* start, RunMark* mark);
  void ReadDirectory(uint32_t volume, const FoundRun& run, WriterStart* start);
  uint32_t PickAnnounced(uint32_t volume, uint32_t wanted, bool must) const;

  const StoreId store_id_;
  const std::vector<RecoveryVolume> volumes_;
  KeyIndex* const index_;
  std::vector<VolumeFacts> facts_;
  std::vector<RunReference> references_;
  AlignedBuffer buffer_;
  uint32_t unreadable_end_ = 0;  // block behind the last one that could not be read, of the extent read last; 0 = all could
  bool unreadable_ = false;      // anywhere
  RecoveryResult result_;
  uint64_t max_id_ = 0;
  uint64_t max_seen_lsn_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_RECOVERY_H_
