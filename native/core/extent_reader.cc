// Any doubt about a summary leads to the scan: records that were applied before it came up are applied again, which
// changes nothing.
#include "extent_reader.h"

#include <algorithm>
#include <utility>

#include "assert.h"
#include "canary.h"
#include "in_parallel.h"
#include "read_around.h"

namespace plogdb {
namespace {

constexpr uint64_t kProbeBytes = 64 << 10;  // an extent that begins with so many zeros was never written
constexpr uint64_t kChunkBytes = uint64_t{1} << 20;
constexpr uint32_t kMaxSealedSummaries = 4;  // made up for in one opening, of extents that were scanned

}  // namespace

LifeTable::LifeTable(const std::vector<RecoveryVolume>& volumes) {
  for (const RecoveryVolume& volume : volumes) lives_.emplace_back(volume.geometry.extents());
}

RecordSink::RecordSink(KeyIndex* index, const std::vector<RecoveryVolume>* volumes, const LifeTable* lives)
    : index_(index), volumes_(volumes), live_(volumes->size()), loader_(index, this) {
  for (uint32_t i = 0; i < live_.size(); ++i) {
    const Geometry& geometry = (*volumes)[i].geometry;
    live_[i].resize(geometry.extents());
    orders_.emplace_back(lives, i, &geometry);
  }
}

LiveCount& RecordSink::CountOf(uint32_t volume, RecordPlace place) {
  if (volume == last_volume_ && place.block - last_first_block_ < last_blocks_) return *last_live_;
  const Geometry& geometry = (*volumes_)[volume].geometry;
  const uint32_t extent = geometry.extent_of(place.block);
  last_live_ = &live_[volume][extent];
  last_volume_ = volume;
  last_blocks_ = geometry.extent_blocks();
  last_first_block_ = extent * last_blocks_;
  return *last_live_;
}

void RecordSink::Apply(const Record& record) {
  max_lsn_ = std::max(max_lsn_, record.lsn);
  const uint64_t hash = KeyHash(AsBytes(record.key));
  LiveCount& live = CountOf(VolumeOfKey(hash, volumes_->size()), record.place);
  ++live.records;
  live.bytes += static_cast<int64_t>(RecordBytes(record));
  loader_.Add(record, hash);
}

void RecordSink::OnDead(uint64_t hash, const DeadRecords& dead) {
  const uint32_t volume = VolumeOfKey(hash, volumes_->size());
  for (uint32_t i = 0; i < dead.count; ++i) {
    LiveCount& live = CountOf(volume, dead.record[i].place);
    --live.records;
    live.bytes -= static_cast<int64_t>(dead.record[i].bytes);
  }
}

void RecordSink::ForgetMarker(std::string_view key, uint64_t lsn) {
  const uint64_t hash = KeyHash(AsBytes(key));
  DeadRecords dead;
  if (index_->EraseMarker(AsBytes(key), hash, lsn, &dead)) OnDead(hash, dead);
}

void RecordSink::Add(const RecordSink& other) {
  PLOGDB_ASSERT(other.loader_.empty(), "D17");
  max_lsn_ = std::max(max_lsn_, other.max_lsn_);
  for (size_t volume = 0; volume < live_.size(); ++volume) {
    for (size_t extent = 0; extent < live_[volume].size(); ++extent) {
      live_[volume][extent].records += other.live_[volume][extent].records;
      live_[volume][extent].bytes += other.live_[volume][extent].bytes;
    }
  }
}

ExtentPlace ExtentReader::PlaceOf(uint32_t volume, uint32_t extent) const {
  const auto& volumes = *context_->volumes;
  return {context_->store_id, volume, volumes.size(), volumes[volume].geometry, extent};
}

bool ExtentReader::ReadBlocks(uint32_t volume, uint32_t block, std::span<uint8_t> out) {
  return (*context_->volumes)[volume].device->Read(uint64_t{block} * kBlockBytes, out).ok();
}

// Reads to the end, or until a chunk of zeros. What cannot be read is broken: it becomes bytes that fit no checksum.
std::span<const uint8_t> ExtentReader::ReadExtent(uint32_t volume, uint32_t extent, bool whole) {
  const Geometry& geometry = (*context_->volumes)[volume].geometry;
  const uint64_t size = geometry.extent_bytes - kBlockBytes;
  const uint32_t first_block = geometry.first_data_block(extent);
  buffer_.Reserve(size);
  const auto bytes = buffer_.first(size);
  unreadable_end_ = 0;
  if (whole) {
    for (const uint64_t at : ReadInParallel(volume, first_block, bytes)) {
      ReadSingly(volume, first_block + static_cast<uint32_t>(at / kBlockBytes),
                 bytes.subspan(at, std::min(kChunkBytes, size - at)));
    }
    return bytes;
  }
  uint64_t got = 0;
  for (bool zero = false; got < size && !zero;) {
    const auto part = bytes.subspan(got, std::min(got == 0 ? kProbeBytes : kChunkBytes, size - got));
    const uint32_t from = first_block + static_cast<uint32_t>(got / kBlockBytes);
    if (!ReadBlocks(volume, from, part)) ReadSingly(volume, from, part);
    zero = IsZero(part);
    got += part.size();
  }
  return bytes.first(got);
}

// Where the chunks begin that could not be read. One large extent must not be read a chunk at a time while its disk could
// do several.
std::vector<uint64_t> ExtentReader::ReadInParallel(uint32_t volume, uint32_t first_block, std::span<uint8_t> out) {
  const size_t chunks = (out.size() + kChunkBytes - 1) / kChunkBytes;
  std::vector<uint8_t> failed(chunks, 0);
  InParallel(context_->reads_at_once, chunks, [&](uint32_t, size_t chunk) {
    const uint64_t at = chunk * kChunkBytes;
    const auto part = out.subspan(at, std::min<uint64_t>(kChunkBytes, out.size() - at));
    failed[chunk] = ReadBlocks(volume, first_block + static_cast<uint32_t>(at / kBlockBytes), part) ? 0 : 1;
  });
  std::vector<uint64_t> list;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    if (failed[chunk] != 0) list.push_back(chunk * kChunkBytes);
  }
  return list;
}

// Block by block, after a read of them all has failed.
void ExtentReader::ReadSingly(uint32_t volume, uint32_t from, std::span<uint8_t> out) {
  BlockDevice* const device = (*context_->volumes)[volume].device;
  const Unreadable found = ReadAround(device, uint64_t{from} * kBlockBytes, out, UINT32_MAX);
  if (found.blocks == 0) return;
  unreadable_end_ = from + found.end;
  context_->unreadable.store(true, std::memory_order_relaxed);
}

ExtentEnds ExtentReader::ReadEnds(uint32_t volume, uint32_t extent) {
  const ExtentPlace place = PlaceOf(volume, extent);
  ExtentEnds ends;
  buffer_.Reserve(kBlockBytes);
  const auto block = buffer_.first(kBlockBytes);
  if (ReadBlocks(volume, place.first_block(), block)) {
    ends.first = ReadBlockHeader(block, *place.store_id, volume, place.first_block());
  }
  if (ReadBlocks(volume, place.trailer_block(), block)) ends.summary = ReadSummaryTrailer(place, block);
  return ends;
}

ExtentFinding ExtentReader::Read(uint32_t volume, uint32_t extent, const ExtentEnds& ends, bool whole) {
  if (ends.summary && !context_->force_scan) {
    const bool begins = ends.first && ends.first->block_id == ends.first->life && ends.first->index == 0;
    const bool fits = begins && ends.first->life == ends.summary->life;
    ExtentFinding found;
    const bool believed = fits || CanaryOn(Canary::kSummaryNotChecked);
    if (believed && ApplySummary(PlaceOf(volume, extent), *ends.summary, &found)) return found;
  }
  // A summary says that the extent was written, however its beginning looks.
  return Scan(volume, extent, whole || ends.summary.has_value());
}

bool ExtentReader::ApplySummary(const ExtentPlace& place, const SummaryView& view, ExtentFinding* found) {
  const size_t bytes = size_t{view.blocks} * kBlockBytes;
  buffer_.Reserve(bytes);
  const auto blocks = buffer_.first(bytes);
  if (bytes > 0 && !ReadBlocks(place.volume, view.first_block, blocks)) return false;
  const auto stream = JoinSummary(place, view, blocks);
  if (!stream) return false;
  context_->lives->Set(place.volume, place.extent, view.life);
  SummaryEntries entries(place, view, *stream);
  Record record;
  while (entries.Next(&record)) sink_->Apply(record);
  if (!entries.complete()) return false;
  found->life = view.life;
  found->summarized = true;
  found->read_end = place.geometry.end_block(place.extent);
  found->end = view.trailer.seal.end();
  found->touched = true;
  found->history = view.history;
  found->max_id = view.trailer.seal.first_id + view.trailer.seal.blocks - 1;
  found->max_lsn = view.trailer.max_lsn;
  if (view.trailer.before.first_id != 0) {
    found->before = RunReference{place.volume, view.trailer.before, kNoExtent, false, 0, {}};
  }
  return true;
}

void ExtentReader::TakeRecords(const ExtentPlace& place, ExtentScan* scan, ExtentFinding* found) {
  SummaryBuilder* summary = found->summary.get();
  const RunMark newest = found->history.newest.mark;
  scan->ForEachRecord([&](const ParsedRecord& parsed, RecordPlace at) {
    Record record = parsed.ToRecord();
    record.place = at;
    sink_->Apply(record);
    if (record.corrupt && summary != nullptr) summary->GiveUp();
    if (summary != nullptr) summary->AddRecord(record);
    if (newest.first_id == 0 || at.block < newest.block) return;
    AppendDirectoryEntry({record.kind, record.lsn, record.position, record.floor, record.erased_below, record.key},
                         &found->directory);
    ++found->directory_entries;
  });
  const bool fits = summary != nullptr && found->end + summary->blocks() <= place.geometry.end_block(place.extent);
  if (!fits || !summary->usable()) found->summary.reset();
}

ExtentFinding ExtentReader::Scan(uint32_t volume, uint32_t extent, bool whole) {
  const ExtentPlace place = PlaceOf(volume, extent);
  const std::span<const uint8_t> bytes = ReadExtent(volume, extent, whole);
  ExtentFinding found;
  found.whole = whole;
  found.read_end = place.first_block() + static_cast<uint32_t>(bytes.size() / kBlockBytes);
  found.end = place.first_block();
  found.touched = !IsZero(bytes);
  if (!found.touched) return found;
  ExtentScan scan({context_->store_id, volume, place.volumes, place.first_block(), 0, bytes});
  found.life = scan.life();
  context_->lives->Set(volume, extent, found.life);
  found.end = scan.end();
  found.unfinished = scan.unfinished();
  found.max_id = scan.max_id();
  found.before = scan.before();
  BrokenPlaces broken = scan.FindBroken({});
  found.broken = broken.places > 0;
  found.unknown = std::move(broken.unknown);
  found.told = std::move(broken.told);
  for (const FoundRun& run : scan.runs()) found.history.Add(run);
  const bool sealed = !scan.runs().empty() && found.history.newest.kind == RunKind::kSeal;
  // Behind the last whole run nobody need know of a run that was durable, unless that one is a seal.
  if (unreadable_end_ > found.end && !sealed) {
    found.broken = true;
    found.tail_unreadable = true;
    found.unknown.push_back({found.end, unreadable_end_});
  }
  if (!found.broken && !scan.runs().empty() &&
      (!sealed || context_->sealed_summaries.fetch_add(1, std::memory_order_relaxed) < kMaxSealedSummaries)) {
    found.summary = std::make_unique<SummaryBuilder>(volume, extent, found.life);
    for (const FoundRun& run : scan.runs()) found.summary->AddRun(run);
  }
  TakeRecords(place, &scan, &found);
  return found;
}

BrokenPlaces ExtentReader::ScanTail(uint32_t volume, uint32_t extent, uint64_t min_life,
                                    std::span<const RunReference> tail) {
  const ExtentPlace place = PlaceOf(volume, extent);
  const auto bytes = ReadExtent(volume, extent, true);
  ExtentScan scan({context_->store_id, volume, place.volumes, place.first_block(), min_life, bytes});
  return scan.FindBroken(tail);
}

}  // namespace plogdb
