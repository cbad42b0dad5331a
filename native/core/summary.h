// The summary of a sealed extent: everything that opening takes from a scan of it, without the values, in blocks at the
// extent's end (D17). A pure accelerator, written without a flush of its own: believed whole or not at all. Knows bytes
// only; when one is written, summary_writer knows, and when one is read, extent_reader.
#ifndef PLOGDB_CORE_SUMMARY_H_
#define PLOGDB_CORE_SUMMARY_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "align.h"
#include "extent_history.h"
#include "format.h"
#include "record.h"

namespace plogdb {

inline constexpr uint32_t kSummaryMagic = 0x31534c50;        // "PLS1": the scan never takes such a block for a run's
inline constexpr uint64_t kSummaryStepBytes = 256 << 10;     // one step of writing
inline constexpr size_t kMaxAnnouncements = 64;              // an extent that announced more others has no summary

// Opens the payload of the extent's last block; the marks of all volumes and the announcements follow.
struct SummaryTrailer {
  uint64_t stream_bytes;  // of the entries, in the blocks before this one
  uint32_t stream_crc;    // CRC32C of them
  uint32_t entries;
  RunMark seal;    // the extent's last run; its first id is the block id of all blocks of the summary
  RunMark before;  // the run before the extent's first one: it has no records
  uint64_t first_watermark;
  uint64_t watermark;
  uint64_t max_lsn;
  uint32_t seal_announced;
  uint16_t volume_count;
  uint16_t announcements;
};
static_assert(sizeof(SummaryTrailer) == 80 && offsetof(SummaryTrailer, stream_crc) == 8);
static_assert(offsetof(SummaryTrailer, entries) == 12 && offsetof(SummaryTrailer, seal) == 16);
static_assert(offsetof(SummaryTrailer, before) == 32 && offsetof(SummaryTrailer, first_watermark) == 48);
static_assert(offsetof(SummaryTrailer, watermark) == 56 && offsetof(SummaryTrailer, max_lsn) == 64);
static_assert(offsetof(SummaryTrailer, seal_announced) == 72 && offsetof(SummaryTrailer, volume_count) == 76);
static_assert(offsetof(SummaryTrailer, announcements) == 78);

// Upper bound of what a record adds to the stream: flags, LSN, position, erased below, place, the caller's header,
// value bytes, checksum, and the key with its two lengths.
inline constexpr uint64_t SummaryEntryBound(size_t key_bytes) {
  return 1 + 3 * 10 + 8 + (1 + kCallerHeaderBytes) + 5 + 4 + 6 + key_bytes;
}

// What entries are coded against: the record before.
struct SummaryCursor {
  uint64_t lsn = 0;
  RecordPlace next;  // where a record would begin that follows directly

  void Advance(const Record& record);
};

// One thread. Laid out in blocks as it grows, so that nothing is copied when it is written.
class SummaryBuilder {
 public:
  SummaryBuilder(uint32_t volume, uint32_t extent, uint64_t life) : volume_(volume), extent_(extent), life_(life) {}

  // In the order of their ids. An extent whose first run follows one with records has no summary: that run's directory
  // would have to be in it.
  void AddRun(const FoundRun& run);
  // In the order of their places.
  void AddRecord(const Record& record);
  // There are broken places, or some of the extent was never seen: only the trailer of an earlier life is erased.
  void GiveUp();

  uint32_t extent() const { return extent_; }
  uint64_t life() const { return life_; }
  bool usable() const { return usable_; }
  const ExtentHistory& history() const { return history_; }

  // At the extent's end, with `more_bytes` of further entries.
  uint32_t blocks(uint64_t more_bytes = 0) const { return BlocksForStream(stream_bytes_ + more_bytes) + 1; }

  // After the last AddRecord: headers and trailer.
  void Finish(const StoreId& store_id, const Geometry& geometry);
  // Then: the part at `block` of the summary, at most kSummaryStepBytes. Empty at the end.
  std::span<const uint8_t> Part(uint32_t block) const;

 private:
  static constexpr uint32_t kChunkBlocks = kSummaryStepBytes / kBlockBytes;

  uint8_t* BlockAt(uint32_t block);
  void Put(std::span<const uint8_t> bytes);

  const uint32_t volume_;
  const uint32_t extent_;
  const uint64_t life_;
  bool usable_ = true;
  ExtentHistory history_;
  RunMark before_;
  std::vector<std::unique_ptr<AlignedBuffer>> chunks_;
  uint64_t stream_bytes_ = 0;
  uint32_t stream_crc_ = 0;
  uint32_t entries_ = 0;
  uint64_t max_lsn_ = 0;
  SummaryCursor cursor_;
  std::string last_key_;
  std::vector<uint8_t> entry_;
};

// A trailer that makes sense.
struct SummaryView {
  uint64_t life = 0;
  uint32_t first_block = 0;  // of the summary
  uint32_t blocks = 0;       // before the trailer
  SummaryTrailer trailer{};
  ExtentHistory history;
};

// Where an extent lies, for those who take its blocks apart.
struct ExtentPlace {
  const StoreId* store_id = nullptr;
  uint32_t volume = 0;
  size_t volumes = 1;
  Geometry geometry;
  uint32_t extent = 0;

  uint32_t first_block() const { return geometry.first_data_block(extent); }
  uint32_t trailer_block() const { return geometry.end_block(extent) - 1; }
};

// `block` is the extent's last. Empty when it is no summary's.
std::optional<SummaryView> ReadSummaryTrailer(const ExtentPlace& place, std::span<const uint8_t> block);

// `blocks` are those before the trailer. Joins their payloads in place; empty when one of them does not fit.
std::optional<std::span<const uint8_t>> JoinSummary(const ExtentPlace& place, const SummaryView& view,
                                                    std::span<uint8_t> blocks);

// One thread. Walks the entries of a joined summary.
class SummaryEntries {
 public:
  SummaryEntries(const ExtentPlace& place, const SummaryView& view, std::span<const uint8_t> stream);

  // False at the end. The record's key is good until the next call.
  bool Next(Record* record);
  // After the end: all entries were there, and nothing else.
  bool complete() const { return left_ == 0 && bytes_.empty(); }

 private:
  bool ReadPlace(uint8_t flags);
  bool ReadFields(uint8_t flags, Record* record);
  bool ReadKey(Record* record);

  const uint32_t first_block_;
  const uint32_t end_block_;
  std::span<const uint8_t> bytes_;
  uint32_t left_;
  SummaryCursor cursor_;
  std::vector<char> key_;
  size_t key_bytes_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SUMMARY_H_
