// Runs tile an extent from its first data block, without gaps, with growing block ids, all naming the same life. So a
// gap before a whole run held a durable run; behind the last whole run it takes a reference from elsewhere to know
// that.
#include "extent_scan.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "assert.h"
#include "canary.h"

namespace plogdb {

ExtentScan::ExtentScan(const ScanInput& input) : input_(input), life_(input.min_life), end_(input.first_block) {
  const uint32_t blocks = static_cast<uint32_t>(input.bytes.size() / kBlockBytes);
  headers_.resize(blocks);
  for (uint32_t i = 0; i < blocks; ++i) {
    const auto block = input.bytes.subspan(size_t{i} * kBlockBytes, kBlockBytes);
    headers_[i] = ReadBlockHeader(block, *input.store_id, input.volume, input.first_block + i);
    if (!headers_[i]) continue;
    life_ = std::max(life_, headers_[i]->life);
    max_id_ = std::max(max_id_, headers_[i]->block_id);
  }
  FindRuns();
}

// Leftovers of earlier lives are as good as not there (D2).
bool ExtentScan::Valid(uint32_t block) const {
  const size_t at = block - input_.first_block;
  if (at >= headers_.size() || !headers_[at]) return false;
  return headers_[at]->life == life_ || CanaryOn(Canary::kBlockIdNotChecked);
}

bool ExtentScan::Follows(uint32_t block, const BlockHeader& first, uint32_t index) const {
  if (!Valid(block)) return false;
  if (CanaryOn(Canary::kBlockIdNotChecked)) return true;
  const BlockHeader& header = HeaderOf(block);
  return header.block_id == first.block_id + index && header.index == index && header.follow == first.follow - index;
}

void ExtentScan::GatherStream(uint32_t block, uint32_t blocks) {
  stream_.clear();
  for (uint32_t i = 0; i < blocks; ++i) {
    const size_t at = size_t{block + i - input_.first_block} * kBlockBytes;
    const size_t count = HeaderOf(block + i).payload_bytes;
    const auto payload = input_.bytes.subspan(at + sizeof(BlockHeader), count);
    stream_.insert(stream_.end(), payload.begin(), payload.end());
  }
}

// No more of the run than its head and directory are in: runs can be long.
std::optional<RunView> ExtentScan::GatherHead(uint32_t block, uint32_t blocks) {
  GatherStream(block, 1);
  RunHead head;
  if (stream_.size() < sizeof(head)) return std::nullopt;
  std::memcpy(&head, stream_.data(), sizeof(head));
  const uint64_t wanted = sizeof(head) + input_.volumes * sizeof(RunMark) + head.directory_bytes;
  if (wanted > stream_.size()) GatherStream(block, std::min(blocks, BlocksForStream(wanted)));
  return ParseRunHead(stream_, input_.volumes);
}

void ExtentScan::FindRuns() {
  const uint32_t stop = input_.first_block + static_cast<uint32_t>(headers_.size());
  uint64_t last_id = 0;
  for (uint32_t block = input_.first_block; block < stop;) {
    const bool starts =
        Valid(block) && (HeaderOf(block).flags & kFirstOfRun) != 0 && HeaderOf(block).block_id > last_id;
    if (!starts || !TakeRun(block)) {
      ++block;
      continue;
    }
    last_id = runs_.back().mark.first_id;
    block = end_ = runs_.back().mark.end();
  }
}

// D3: all or nothing.
bool ExtentScan::TakeRun(uint32_t block) {
  const BlockHeader first = HeaderOf(block);
  uint32_t blocks = first.follow + 1;
  if (blocks > headers_.size()) return false;
  for (uint32_t i = 0; i < blocks; ++i) {
    if (Follows(block + i, first, i)) continue;
    if (!CanaryOn(Canary::kIncompleteRunAccepted) || i == 0) return false;
    blocks = i;
  }
  const auto view = GatherHead(block, blocks);
  if (!view) return false;
  uint64_t stream_bytes = 0;
  for (uint32_t i = 0; i < blocks; ++i) stream_bytes += HeaderOf(block + i).payload_bytes;
  const bool exact = view->head.stream_bytes == stream_bytes;
  if (!exact && !CanaryOn(Canary::kIncompleteRunAccepted) && !CanaryOn(Canary::kBlockIdNotChecked)) return false;
  FoundRun run;
  run.mark = {first.block_id, block, static_cast<uint16_t>(blocks),
              static_cast<uint16_t>(view->head.record_count > 0 ? 1 : 0)};
  run.kind = static_cast<RunKind>(view->head.kind);
  run.announced = view->head.announced;
  run.watermark = view->head.watermark;
  run.marks = view->marks;
  runs_.push_back(std::move(run));
  AddReference(*view);
  return true;
}

void ExtentScan::AddReference(const RunView& view) {
  RunReference reference;
  reference.volume = input_.volume;
  reference.mark = view.marks[input_.volume];
  if (reference.mark.first_id == 0) return;
  reference.directory_known = view.head.directory_complete != 0;
  reference.directory_entries = view.head.directory_entries;
  reference.directory.assign(view.directory.begin(), view.directory.end());
  if (reference.mark.first_id < life_) {
    if (!before_) before_ = std::move(reference);
    return;
  }
  // Whole runs need no telling; keep what points into a gap.
  const bool whole = runs_.size() >= 2 && runs_[runs_.size() - 2].mark.first_id == reference.mark.first_id;
  if (!whole) references_.push_back(std::move(reference));
}

bool ExtentScan::unfinished() const {
  const uint32_t stop = input_.first_block + static_cast<uint32_t>(headers_.size());
  const uint64_t last_id = runs_.empty() ? 0 : runs_.back().mark.first_id;
  for (uint32_t block = end_; block < stop; ++block) {
    if (Valid(block) && HeaderOf(block).block_id > last_id) return true;
  }
  return false;
}

// A stretch is part of one run, without a gap. Every record whose head and key lie in it can be told.
void ExtentScan::SalvageStretch(uint32_t block, uint32_t end, std::vector<ToldRecord>* saved,
                                std::vector<Area>* explained) {
  GatherStream(block, end - block);
  const BlockHeader first = HeaderOf(block);
  uint64_t at = kNoRecord;
  for (uint32_t i = block; i < end && at == kNoRecord; ++i) {
    const uint16_t offset = HeaderOf(i).first_record;
    if (offset != kNoRecord) at = uint64_t{i - block} * kPayloadBytes + offset;
  }
  uint32_t told = 0;
  while (at != kNoRecord && at < stream_.size()) {
    const auto parsed = ParseRecord(stream_, at);
    if (!parsed) break;
    ToldRecord record;
    record.key = AsText(parsed->key);
    record.record = parsed->ToRecord();
    record.record.place = PlaceOf(block, at);
    saved->push_back(std::move(record));
    ++told;
    at = parsed->end();
  }
  if (first.index != 0) return;
  const auto view = ParseRunHead(stream_, input_.volumes);
  if (!view) return;
  AddReference(*view);
  if (view->head.record_count == told) explained->push_back({block, block + first.follow + 1});
}

void ExtentScan::Salvage(const Area& area, std::vector<ToldRecord>* saved, std::vector<Area>* explained) {
  for (uint32_t block = area.start; block < area.end;) {
    if (!Valid(block) || HeaderOf(block).block_id <= area.above_id) {
      ++block;
      continue;
    }
    const BlockHeader first = HeaderOf(block);
    uint32_t end = block + 1;
    while (end < area.end && Valid(end) && HeaderOf(end).block_id == first.block_id + (end - block) &&
           HeaderOf(end).index == first.index + (end - block)) {
      ++end;
    }
    SalvageStretch(block, end, saved, explained);
    block = end;
  }
}

void ExtentScan::Explain(const Area& area, std::span<const RunReference> elsewhere, BrokenPlaces* broken) {
  std::vector<ToldRecord> saved;
  std::vector<Area> explained;
  Salvage(area, &saved, &explained);
  std::vector<const RunReference*> references;
  for (const RunReference& reference : references_) references.push_back(&reference);
  for (const RunReference& reference : elsewhere) references.push_back(&reference);
  std::unordered_map<uint64_t, bool> told_lsns;
  for (const ToldRecord& record : saved) told_lsns[record.record.lsn] = true;
  for (const RunReference* reference : references) {
    const RunMark& mark = reference->mark;
    if (mark.block < area.start || mark.end() > area.end) continue;
    if (mark.records == 0) explained.push_back({mark.block, mark.end()});
    if (mark.records == 0 || !reference->directory_known) continue;
    const auto entries = ParseDirectory(reference->directory, reference->directory_entries);
    if (!entries) continue;
    explained.push_back({mark.block, mark.end()});
    for (const DirectoryEntry& entry : *entries) {
      if (!told_lsns.try_emplace(entry.lsn, true).second) continue;
      ToldRecord record;
      record.key = entry.key;
      record.record.kind = entry.kind;
      record.record.corrupt = true;
      record.record.lsn = entry.lsn;
      record.record.position = entry.position;
      record.record.floor = entry.floor;
      record.record.erased_below = entry.erased_below;
      record.record.place = {mark.block, 0};
      saved.push_back(std::move(record));
    }
  }
  std::sort(explained.begin(), explained.end(), [](const Area& a, const Area& b) { return a.start < b.start; });
  uint32_t cursor = area.start;
  for (const Area& part : explained) {
    if (part.start > cursor) broken->unknown.push_back({cursor, part.start});
    cursor = std::max(cursor, part.end);
  }
  if (cursor < area.end) broken->unknown.push_back({cursor, area.end});
  ++broken->places;
  for (ToldRecord& record : saved) broken->told.push_back(std::move(record));
}

BrokenPlaces ExtentScan::FindBroken(std::span<const RunReference> elsewhere) {
  BrokenPlaces broken;
  if (CanaryOn(Canary::kMarkIgnored)) return broken;
  if (!elsewhere.empty()) {
    Area tail{end_, end_, runs_.empty() ? 0 : runs_.back().mark.first_id};
    for (const RunReference& reference : elsewhere) tail.end = std::max(tail.end, reference.mark.end());
    if (tail.end > tail.start) Explain(tail, elsewhere, &broken);
    return broken;
  }
  uint32_t cursor = input_.first_block;
  uint64_t above_id = 0;
  for (size_t i = 0; i < runs_.size(); ++i) {
    const RunMark mark = runs_[i].mark;
    if (mark.block > cursor) Explain({cursor, mark.block, above_id}, {}, &broken);
    cursor = mark.end();
    above_id = mark.first_id;
  }
  return broken;
}

}  // namespace plogdb
