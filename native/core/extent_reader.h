// One extent on its way into memory (D17): by its summary when that is whole and of the extent's present life, else by
// a scan of what lies there. Records go into the index at once, whatever their order; what else the extent says is handed
// back. Knows one extent at a time; what extents say about each other is recovery's business.
#ifndef PLOGDB_CORE_EXTENT_READER_H_
#define PLOGDB_CORE_EXTENT_READER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "align.h"
#include "assert.h"
#include "block_device.h"
#include "extent_scan.h"
#include "key_index.h"
#include "key_loader.h"
#include "summary.h"

namespace plogdb {

struct RecoveryVolume {
  BlockDevice* device = nullptr;
  Geometry geometry;
  ExtentMap* extents = nullptr;
};

// Live records and bytes per extent, as differences: a record may be added by one thread and taken away by another, so
// that only the sum over all threads means something.
struct LiveCount {
  int64_t records = 0;
  int64_t bytes = 0;
};

// The lives of extents as they become known, before their records are applied: of two copies of a record that one is
// later which lies in the extent whose life began later. Any thread.
class LifeTable {
 public:
  explicit LifeTable(const std::vector<RecoveryVolume>& volumes);

  // Relaxed both: who finds a record in the index was ordered behind who put it there by the shard's lock.
  void Set(uint32_t volume, uint32_t extent, uint64_t life) {
    lives_[volume][extent].store(life, std::memory_order_relaxed);
  }
  uint64_t Get(uint32_t volume, uint32_t extent) const { return lives_[volume][extent].load(std::memory_order_relaxed); }

 private:
  std::vector<std::vector<std::atomic<uint64_t>>> lives_;
};

class LifeOrder : public PlaceOrder {
 public:
  LifeOrder(const LifeTable* lives, uint32_t volume, const Geometry* geometry)
      : lives_(lives), volume_(volume), geometry_(geometry) {}

  bool Later(RecordPlace a, RecordPlace b) const override {
    return lives_->Get(volume_, geometry_->extent_of(a.block)) > lives_->Get(volume_, geometry_->extent_of(b.block));
  }

 private:
  const LifeTable* const lives_;
  const uint32_t volume_;
  const Geometry* const geometry_;
};

// Where records go. One per thread.
class RecordSink : public LoadObserver {
 public:
  RecordSink(KeyIndex* index, const std::vector<RecoveryVolume>* volumes, const LifeTable* lives);

  // Counts and the index have the record after the next Flush.
  void Apply(const Record& record);
  void Flush() { loader_.Flush(); }
  void ForgetMarker(std::string_view key, uint64_t lsn);
  void Add(const RecordSink& other);

  uint64_t max_lsn() const { return max_lsn_; }
  const LiveCount& live(uint32_t volume, uint32_t extent) const {
    PLOGDB_ASSERT(loader_.empty(), "D17");
    return live_[volume][extent];
  }

  const PlaceOrder* OrderOf(uint64_t hash) const override { return &orders_[VolumeOfKey(hash, orders_.size())]; }
  void OnDead(uint64_t hash, const DeadRecords& dead) override;

 private:
  LiveCount& CountOf(uint32_t volume, RecordPlace place);

  KeyIndex* const index_;
  const std::vector<RecoveryVolume>* const volumes_;
  std::vector<LifeOrder> orders_;             // by volume
  std::vector<std::vector<LiveCount>> live_;  // by volume and extent
  // The one that was asked for last, most often asked for again.
  LiveCount* last_live_ = nullptr;
  uint32_t last_volume_ = 0;
  uint32_t last_first_block_ = 0;
  uint32_t last_blocks_ = 0;
  KeyLoader loader_;
  uint64_t max_lsn_ = 0;
};

// What an extent says.
struct ExtentFinding {
  uint64_t life = 0;
  bool summarized = false;
  bool whole = false;     // read to its end
  uint32_t read_end = 0;  // block behind what was read
  uint32_t end = 0;       // block behind the last whole run
  bool touched = false;
  bool unfinished = false;
  bool broken = false;
  bool tail_unreadable = false;  // behind the last whole run, which is no seal
  std::vector<BlockRange> unknown;
  std::vector<ToldRecord> told;
  ExtentHistory history;
  std::optional<RunReference> before;
  uint64_t max_id = 0;
  uint64_t max_lsn = 0;                     // of a summary: also of records that were left out
  std::vector<uint8_t> directory;           // of the newest run
  uint32_t directory_entries = 0;
  std::unique_ptr<SummaryBuilder> summary;  // of a scanned extent without broken places
};

// First and last block of an extent.
struct ExtentEnds {
  std::optional<BlockHeader> first;
  std::optional<SummaryView> summary;  // whose trailer is there; of which life ever
};

struct ReadContext {
  const StoreId* store_id = nullptr;
  const std::vector<RecoveryVolume>* volumes = nullptr;
  LifeTable* lives = nullptr;
  std::atomic<bool> unreadable{false};  // relaxed: read when all threads have ended
  bool force_scan = false;
  uint32_t reads_at_once = 1;  // of one extent that is read whole
  // Bounds the memory of summaries that are made up for. Relaxed: only a bound.
  std::atomic<uint32_t> sealed_summaries{0};
};

// One thread.
class ExtentReader {
 public:
  ExtentReader(ReadContext* context, RecordSink* sink) : context_(context), sink_(sink) {}

  ExtentEnds ReadEnds(uint32_t volume, uint32_t extent);

  // By summary, else by a scan.
  ExtentFinding Read(uint32_t volume, uint32_t extent, const ExtentEnds& ends, bool whole);
  // To a chunk of zeros, or to the end where zeros prove nothing.
  ExtentFinding Scan(uint32_t volume, uint32_t extent, bool whole);

  // What references from elsewhere tell of the places behind the last whole run.
  BrokenPlaces ScanTail(uint32_t volume, uint32_t extent, uint64_t min_life, std::span<const RunReference> tail);

 private:
  ExtentPlace PlaceOf(uint32_t volume, uint32_t extent) const;
  bool ReadBlocks(uint32_t volume, uint32_t block, std::span<uint8_t> out);
  std::span<const uint8_t> ReadExtent(uint32_t volume, uint32_t extent, bool whole);
  std::vector<uint64_t> ReadInParallel(uint32_t volume, uint32_t first_block, std::span<uint8_t> out);
  void ReadSingly(uint32_t volume, uint32_t from, std::span<uint8_t> out);
  bool ApplySummary(const ExtentPlace& place, const SummaryView& view, ExtentFinding* found);
  void TakeRecords(const ExtentPlace& place, ExtentScan* scan, ExtentFinding* found);

  ReadContext* const context_;
  RecordSink* const sink_;
  AlignedBuffer buffer_;
  uint32_t unreadable_end_ = 0;  // block behind the last one of the extent that could not be read, or 0
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_EXTENT_READER_H_
