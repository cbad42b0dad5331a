// What one extent says, read as it lies: its present life, the runs that are whole, and the places that held
// acknowledged data and are broken, with the keys that can be told (D17). Knows one extent only; what other extents and
// volumes say about it comes in as references.
#ifndef PLOGDB_CORE_EXTENT_SCAN_H_
#define PLOGDB_CORE_EXTENT_SCAN_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "extent_history.h"
#include "format.h"
#include "record.h"
#include "run_parser.h"

namespace plogdb {

// From a block to the one behind the last.
struct BlockRange {
  uint32_t from;
  uint32_t to;
};

// A record told by or saved from a broken place; owns its key.
struct ToldRecord {
  Record record;  // key is a view of `key`
  std::string key;
};

struct BrokenPlaces {
  uint64_t places = 0;              // areas that held acknowledged data and are not whole
  std::vector<BlockRange> unknown;  // parts of them of which not every key can be told
  std::vector<ToldRecord> told;
};

struct ScanInput {
  const StoreId* store_id = nullptr;
  uint32_t volume = 0;
  size_t volumes = 1;
  uint32_t first_block = 0;        // of the extent's data
  uint64_t min_life = 0;           // the present life began here or later: what is older counts for nothing
  std::span<const uint8_t> bytes;  // from first_block on, as far as it was read
};

// One thread.
class ExtentScan {
 public:
  explicit ExtentScan(const ScanInput& input);

  uint64_t life() const { return life_; }  // 0: no valid block
  uint64_t max_id() const { return max_id_; }
  uint32_t end() const { return end_; }  // block behind the last whole run of the present life
  const std::vector<FoundRun>& runs() const { return runs_; }
  // Reference to the run before the extent's first one (elsewhere), if its first run is whole.
  const std::optional<RunReference>& before() const { return before_; }
  // True when blocks of the present life lie behind the last whole run: an unfinished write.
  bool unfinished() const;

  // Calls visit(ParsedRecord, RecordPlace) for every record of the whole runs.
  template <typename Visit>
  void ForEachRecord(Visit visit) {
    for (const FoundRun& run : runs_) {
      GatherStream(run.mark.block, run.mark.blocks);
      const auto view = ParseRunHead(stream_, input_.volumes);
      if (!view) continue;
      for (uint64_t at = view->records_at; at < stream_.size();) {
        const auto record = ParseRecord(stream_, at);
        if (!record || !record->whole) break;
        visit(*record, PlaceOf(run.mark.block, at));
        at = record->end();
      }
    }
  }

  // Broken places before end(), or, with references from elsewhere, behind it. The references must be of this extent's
  // present life.
  BrokenPlaces FindBroken(std::span<const RunReference> elsewhere);

  static RecordPlace PlaceOf(uint32_t first_block, uint64_t stream_offset) {
    return {first_block + static_cast<uint32_t>(stream_offset / kPayloadBytes),
            static_cast<uint16_t>(stream_offset % kPayloadBytes)};
  }

 private:
  struct Area {
    uint32_t start;
    uint32_t end;
    uint64_t above_id = 0;  // older blocks here are leftovers of an unfinished write
  };

  bool Valid(uint32_t block) const;
  const BlockHeader& HeaderOf(uint32_t block) const { return *headers_[block - input_.first_block]; }
  bool Follows(uint32_t block, const BlockHeader& first, uint32_t index) const;
  void FindRuns();
  bool TakeRun(uint32_t block);
  void GatherStream(uint32_t block, uint32_t blocks);
  std::optional<RunView> GatherHead(uint32_t block, uint32_t blocks);
  void AddReference(const RunView& view);
  void Salvage(const Area& area, std::vector<ToldRecord>* saved, std::vector<Area>* explained);
  void SalvageStretch(uint32_t block, uint32_t end, std::vector<ToldRecord>* saved, std::vector<Area>* explained);
  void Explain(const Area& area, std::span<const RunReference> elsewhere, BrokenPlaces* broken);

  ScanInput input_;
  std::vector<std::optional<BlockHeader>> headers_;
  std::vector<FoundRun> runs_;
  std::vector<RunReference> references_;  // to runs of this extent, by runs of this extent
  std::optional<RunReference> before_;
  std::vector<uint8_t> stream_;
  uint64_t life_;
  uint64_t max_id_ = 0;
  uint32_t end_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_EXTENT_SCAN_H_
