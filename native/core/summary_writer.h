// When the summary of an extent is written: gathered while the extent is open, written in the background after the
// extent was sealed, a step at a time between runs (D17). Not written any more once the extent is free again. Driven by
// the volume's writer; knows nothing of runs' contents but what it is told.
#ifndef PLOGDB_CORE_SUMMARY_WRITER_H_
#define PLOGDB_CORE_SUMMARY_WRITER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "block_device.h"
#include "extent_map.h"
#include "summary.h"

namespace plogdb {

// What recovery hands over: of the extent that is written on (null: none, or it is not known well enough), and of
// sealed ones that have none.
struct SummaryStart {
  std::unique_ptr<SummaryBuilder> open;
  std::vector<std::unique_ptr<SummaryBuilder>> sealed;
};

// One thread, the writer's.
class SummaryWriter {
 public:
  SummaryWriter(const StoreId* store_id, uint32_t volume, BlockDevice* device, const Geometry& geometry,
                ExtentMap* extents, SummaryStart start);

  // Of durable runs only: the run, then its records.
  void AddRun(const FoundRun& run, uint64_t life);
  void AddRecord(const Record& record) { open_->AddRecord(record); }

  // What must stay free at the end of the open extent (D12), with `more_bytes` of further entries.
  uint32_t blocks(uint64_t more_bytes = 0) const {
    return open_ != nullptr ? open_->blocks(more_bytes) : BlocksForStream(more_bytes) + 1;
  }

  bool waiting() const { return !sealed_.empty(); }
  // Writes a part of what waits; adds to *bytes what was written.
  Status Step(uint64_t* bytes);

 private:
  const StoreId* const store_id_;
  const uint32_t volume_;
  BlockDevice* const device_;
  const Geometry geometry_;
  ExtentMap* const extents_;
  std::unique_ptr<SummaryBuilder> open_;
  std::deque<std::unique_ptr<SummaryBuilder>> sealed_;
  uint32_t next_block_ = 0;  // of the first of sealed_
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SUMMARY_WRITER_H_
