// From what lies on the volumes to the state in memory (D17): reads every extent, in parallel, decides the winners by
// D5, tells broken acknowledged runs from unfinished ones, and says where writing goes on. Changes nothing on the disk
// itself.
#ifndef PLOGDB_CORE_RECOVERY_H_
#define PLOGDB_CORE_RECOVERY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "extent_map.h"
#include "extent_reader.h"
#include "key_index.h"
#include "writer.h"

namespace plogdb {

struct RecoveryResult {
  std::vector<WriterStart> start;  // per volume
  std::vector<RunMark> marks;      // newest durable run per volume
  uint64_t next_id = 1;
  uint64_t next_lsn = 1;
  uint64_t watermark = 0;  // highest durable LSN found
  uint64_t unknown_losses = 0;         // with or without a place
  std::vector<LostPlace> lost_places;
  uint64_t dropped_runs = 0;
  uint64_t summarized_extents = 0;
};

struct RecoveryOptions {
  uint32_t threads = 1;  // that read extents
  bool force_scan = false;
};

// Once. One thread but for Run's own.
class Recovery {
 public:
  Recovery(const StoreId& store_id, std::vector<RecoveryVolume> volumes, KeyIndex* index,
           const RecoveryOptions& options);

  void Run(RecoveryResult* result);

 private:
  struct ExtentFacts : ExtentFinding {
    bool life_lost = false;          // of the present life nothing can be read: what was found is older
    bool live = false;               // a live record lies here
    bool evidence = false;           // the only witness of a loss elsewhere: kept like a broken one
    uint64_t announced_at = 0;       // id of the newest run that announced it: what is older in it is dead
    std::vector<RunReference> tail;  // from elsewhere, behind end

    bool dead() const { return announced_at > life; }
    // What was found is of an earlier life than the present one: announced, or begun by a write that was not finished.
    bool leftovers() const { return dead() || (newest().mark.first_id == 0 && !broken && !life_lost); }
    // Of the life's first run; 0 when that was not found.
    uint64_t FirstWatermark() const { return history.first_id == life ? history.first_watermark : 0; }
    const FoundRun& newest() const { return history.newest; }
  };
  struct VolumeFacts {
    std::vector<ExtentFacts> extents;
    RunReference newest_known;  // the newest durable run, found or only known by reference
  };

  struct ExtentTask {
    uint32_t volume;
    uint32_t extent;
    ExtentEnds ends;
    bool whole = false;
  };

  std::vector<ExtentTask> ListExtents();
  static std::vector<size_t> NewestFirst(std::vector<ExtentTask>* tasks, size_t volumes);
  void ReserveKeys(const std::vector<ExtentTask>& tasks);
  void ReadAll();
  void Take(uint32_t volume, uint32_t extent, ExtentFinding finding);
  void ReadOn();
  uint32_t NewestExtent(uint32_t volume) const;
  bool MayBeOpened(uint32_t volume, uint32_t extent, uint32_t newest) const;
  std::vector<uint32_t> WantedWhole(uint32_t volume) const;
  void NoteReference(RunReference reference);
  static void LoseLife(const Geometry& geometry, const RunMark& mark, ExtentFacts* facts);
  void FollowReferences();
  void ScanTail(uint32_t volume, uint32_t extent);
  uint64_t OldestWatermark(uint32_t volume) const;
  void CondemnResurrected();
  void ApplyTold();
  void RestoreExtents(uint32_t volume, const WriterStart& start);
  void FindLive();
  void RestoreLive();
  void FindStart(uint32_t volume, WriterStart* start, RunMark* mark);
  void GiveSummaries(uint32_t volume, WriterStart* start);
  uint32_t PickAnnounced(uint32_t volume, uint32_t wanted, bool must) const;

  const StoreId store_id_;
  const std::vector<RecoveryVolume> volumes_;
  KeyIndex* const index_;
  const uint32_t threads_;
  LifeTable lives_;
  ReadContext context_;
  RecordSink sink_;
  ExtentReader reader_;
  std::vector<VolumeFacts> facts_;
  std::vector<RunReference> references_;
  RecoveryResult result_;
  uint64_t max_id_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_RECOVERY_H_
