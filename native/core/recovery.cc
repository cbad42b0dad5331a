// The scan. Order of extents and volumes does not matter: the index decides by LSN alone (D4), and everything doubtful
// is put off until all references are known.
#include "recovery.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "assert.h"
#include "canary.h"

namespace plogdb {
namespace {

constexpr uint64_t kProbeBytes = 64 << 10;  // an extent that begins with so many zeros was never written
constexpr uint64_t kChunkBytes = uint64_t{1} << 20;
constexpr uint64_t kLsnJump = uint64_t{1} << 24;  // beyond what unfinished runs may have used
// Beyond what lies where nothing could be read, of ids and LSNs: should it come back, it is older than what is written now.
constexpr uint64_t kUnreadableJump = uint64_t{1} << 36;

}  // namespace

Recovery::Recovery(const StoreId& store_id, std::vector<RecoveryVolume> volumes, KeyIndex* index)
    : store_id_(store_id), volumes_(std::move(volumes)), index_(index), facts_(volumes_.size()) {
  for (size_t i = 0; i < volumes_.size(); ++i) facts_[i].extents.resize(volumes_[i].geometry.extents());
}

// Reads to the end, or until a chunk of zeros. What cannot be read is broken: it becomes bytes that fit no checksum.
std::span<const uint8_t> Recovery::ReadExtent(uint32_t volume, uint32_t extent, bool whole) {
  const RecoveryVolume& from = volumes_[volume];
  const uint64_t size = from.geometry.extent_bytes - kBlockBytes;
  const uint64_t offset = uint64_t{from.geometry.first_data_block(extent)} * kBlockBytes;
  buffer_.Reserve(size);
  uint64_t got = 0;
  bool zero = false;
  unreadable_end_ = 0;
  while (got < size && (whole || !zero)) {
    const uint64_t count = std::min(got == 0 ? kProbeBytes : kChunkBytes, size - got);
    const auto part = buffer_.first(size).subspan(got, count);
    if (!from.device->Read(offset + got, part).ok()) {
      for (uint64_t at = 0; at < count; at += kBlockBytes) {
        const auto block = part.subspan(at, kBlockBytes);
        if (from.device->Read(offset + got + at, block).ok()) continue;
        std::fill(block.begin(), block.end(), uint8_t{0xff});
        unreadable_end_ = static_cast<uint32_t>((offset + got + at) / kBlockBytes) + 1;
        unreadable_ = true;
      }
    }
    zero = IsZero(part);
    got += count;
  }
  return buffer_.first(got);
}

void Recovery::ApplyRecord(Record record) {
  result_.watermark = std::max(result_.watermark, record.lsn);
  DeadRecords dead;
  const uint64_t hash = KeyHash(AsBytes(record.key));
  index_->Apply(record, hash, false, &dead);
}

void Recovery::NoteReference(RunReference reference) {
  const Geometry& geometry = volumes_[reference.volume].geometry;
  const RunMark& mark = reference.mark;
  // A run never crosses extents; anything else is not believed.
  if (mark.first_id == 0 || mark.blocks == 0 || mark.block >= geometry.extents() * geometry.extent_blocks()) return;
  const uint32_t extent = geometry.extent_of(mark.block);
  if (mark.blocks > geometry.data_blocks() || mark.end() > geometry.end_block(extent)) return;
  references_.push_back(std::move(reference));
}

void Recovery::TakeRuns(uint32_t volume, uint32_t extent, const ExtentScan& scan) {
  for (const FoundRun& run : scan.runs()) {
    max_seen_lsn_ = std::max(max_seen_lsn_, run.watermark);
    if (run.announced < facts_[volume].extents.size()) {
      uint64_t* at = &facts_[volume].extents[run.announced].announced_at;
      *at = std::max(*at, run.mark.first_id);
    }
    if (run.mark.first_id > facts_[volume].newest_known.mark.first_id) {
      facts_[volume].newest_known = {volume, run.mark, kNoExtent, false, 0, {}};
    }
    for (uint32_t other = 0; other < run.marks.size(); ++other) {
      if (other == volume) continue;
      if (run.marks[other].first_id > facts_[other].newest_known.mark.first_id) {
        facts_[other].newest_known = {other, run.marks[other], kNoExtent, false, 0, {}};
      }
    }
  }
  if (!scan.runs().empty()) facts_[volume].extents[extent].newest = scan.runs().back();
  if (!scan.before()) return;
  RunReference before = *scan.before();
  before.holder = extent;
  NoteReference(std::move(before));
}

void Recovery::ScanExtent(uint32_t volume, uint32_t extent, bool whole) {
  const std::span<const uint8_t> bytes = ReadExtent(volume, extent, whole);
  const uint32_t first_block = volumes_[volume].geometry.first_data_block(extent);
  ExtentFacts& facts = facts_[volume].extents[extent];
  ExtentFacts fresh;
  fresh.announced_at = facts.announced_at;
  fresh.whole = whole;
  fresh.read_end = first_block + static_cast<uint32_t>(bytes.size() / kBlockBytes);
  fresh.end = first_block;
  fresh.touched = !IsZero(bytes);
  facts = std::move(fresh);
  if (!facts.touched) return;
  ExtentScan scan({&store_id_, volume, volumes_.size(), first_block, 0, bytes});
  facts.life = scan.life();
  facts.end = scan.end();
  facts.unfinished = scan.unfinished();
  max_id_ = std::max(max_id_, scan.max_id());
  TakeRuns(volume, extent, scan);
  scan.ForEachRecord([this](const ParsedRecord& parsed, RecordPlace place) {
    Record record = parsed.ToRecord();
    record.place = place;
    if (parsed.intact) record.value = ValueRef::Copy(parsed.value);
    ApplyRecord(std::move(record));
  });
  BrokenPlaces broken = scan.FindBroken({});
  facts.broken = broken.places > 0;
  facts.unknown = broken.unknown;
  facts.told = std::move(broken.told);
  // Behind the last whole run nobody need know of a run that was durable, unless that one is a seal.
  const bool sealed = facts.newest.mark.first_id != 0 && facts.newest.kind == RunKind::kSeal;
  if (unreadable_end_ > facts.end && !sealed) {
    facts.broken = true;
    ++facts.unknown;
  }
}

uint32_t Recovery::NewestExtent(uint32_t volume) const {
  const auto& extents = facts_[volume].extents;
  uint32_t newest = kNoExtent;
  for (uint32_t extent = 0; extent < extents.size(); ++extent) {
    if (extents[extent].newest.mark.first_id == 0 || extents[extent].dead()) continue;
    const bool newer =
        newest == kNoExtent || extents[extent].newest.mark.first_id > extents[newest].newest.mark.first_id;
    if (newer) newest = extent;
  }
  return newest;
}

// Zeros do not prove that nothing lies behind them: a large run may have been lost in between.
bool Recovery::WantsWholeRead(uint32_t volume, uint32_t extent) const {
  const ExtentFacts& facts = facts_[volume].extents[extent];
  if (facts.whole) return false;
  if (facts.dead() || extent == NewestExtent(volume)) return true;
  const Geometry& geometry = volumes_[volume].geometry;
  for (const RunReference& reference : references_) {
    if (reference.volume != volume || geometry.extent_of(reference.mark.block) != extent) continue;
    if (reference.mark.first_id >= facts.life && reference.mark.end() > facts.read_end) return true;
  }
  return false;
}

void Recovery::ReadOn() {
  bool again = true;
  while (again) {  // each extent is read to its end at most once
    again = false;
    for (uint32_t volume = 0; volume < facts_.size(); ++volume) {
      for (uint32_t extent = 0; extent < facts_[volume].extents.size(); ++extent) {
        if (!WantsWholeRead(volume, extent)) continue;
        ScanExtent(volume, extent, true);
        again = true;
      }
    }
  }
}

// A run of a later life than any that can be read: all of that life is gone, and what is left is of an earlier one.
void Recovery::LoseLife(const Geometry& geometry, const RunMark& mark, ExtentFacts* facts) {
  facts->life = std::min(std::max(facts->announced_at, facts->newest.mark.first_id + 1), mark.first_id);
  facts->life_lost = true;
  facts->end = geometry.first_data_block(geometry.extent_of(mark.block));
  facts->newest = FoundRun{};
  facts->unfinished = false;
  facts->told.clear();
  facts->unknown = 0;
}

// Runs that others know to be durable must be there: else they are broken, though they lie behind the last whole run.
void Recovery::FollowReferences() {
  if (CanaryOn(Canary::kMarkIgnored)) return;
  for (RunReference& reference : references_) {
    auto& extents = facts_[reference.volume].extents;
    ExtentFacts& facts = extents[volumes_[reference.volume].geometry.extent_of(reference.mark.block)];
    // Written over since, in a later life or about to be: legitimately gone.
    if (reference.mark.first_id < std::max(facts.life, facts.announced_at)) continue;
    const bool newer = reference.mark.first_id > facts.newest.mark.first_id && reference.mark.block < facts.end;
    if (facts.dead() || newer) LoseLife(volumes_[reference.volume].geometry, reference.mark, &facts);
    if (reference.mark.end() <= facts.end) continue;
    if (reference.holder != kNoExtent) extents[reference.holder].evidence = true;
    facts.tail.push_back(std::move(reference));
  }
  for (uint32_t volume = 0; volume < facts_.size(); ++volume) {
    for (uint32_t extent = 0; extent < facts_[volume].extents.size(); ++extent) {
      if (!facts_[volume].extents[extent].tail.empty()) ScanTail(volume, extent);
    }
  }
}

void Recovery::ScanTail(uint32_t volume, uint32_t extent) {
  ExtentFacts& facts = facts_[volume].extents[extent];
  const uint32_t first_block = volumes_[volume].geometry.first_data_block(extent);
  const uint64_t min_life = facts.life_lost ? facts.life : 0;
  ExtentScan scan({&store_id_, volume, volumes_.size(), first_block, min_life, ReadExtent(volume, extent, true)});
  BrokenPlaces broken = scan.FindBroken(facts.tail);
  facts.broken = true;
  facts.unfinished = false;
  facts.unknown += broken.unknown;
  for (ToldRecord& told : broken.told) facts.told.push_back(std::move(told));
}

void Recovery::ApplyTold() {
  for (VolumeFacts& volume : facts_) {
    for (ExtentFacts& facts : volume.extents) {
      if (facts.dead()) continue;
      result_.unknown_losses += facts.unknown;
      if (facts.unfinished) ++result_.dropped_runs;
      for (ToldRecord& told : facts.told) {
        told.record.key = told.key;
        ApplyRecord(std::move(told.record));
      }
    }
  }
}

// The extent to be written next: as announced, so that a write torn over it is never taken for damage. `must`: without
// an announcement any extent without live records is better than none, first those in which a torn write looks like
// nothing else.
uint32_t Recovery::PickAnnounced(uint32_t volume, uint32_t wanted, bool must) const {
  const auto& extents = facts_[volume].extents;
  const auto usable = [&](uint32_t extent) {
    if (extent >= extents.size() || extents[extent].evidence) return false;
    // A broken place in what is dead is no loss: it may be the torn beginning of the life that comes.
    return extents[extent].dead() || (!extents[extent].broken && extents[extent].newest.mark.first_id == 0);
  };
  if (usable(wanted)) return wanted;
  for (uint32_t extent = 0; must && extent < extents.size(); ++extent) {
    if (usable(extent)) return extent;
  }
  for (uint32_t extent = 0; must && extent < extents.size(); ++extent) {
    const ExtentFacts& facts = extents[extent];
    if (!facts.live && !facts.broken && !facts.evidence) return extent;
  }
  return kNoExtent;
}

// What the next run tells about the newest one.
void Recovery::ReadDirectory(uint32_t volume, const FoundRun& run, WriterStart* start) {
  const uint32_t extent = volumes_[volume].geometry.extent_of(run.mark.block);
  const uint32_t first_block = volumes_[volume].geometry.first_data_block(extent);
  ExtentScan scan({&store_id_, volume, volumes_.size(), first_block, 0, ReadExtent(volume, extent, true)});
  scan.ForEachRecord([&](const ParsedRecord& parsed, RecordPlace place) {
    if (place.block < run.mark.block) return;
    const Record record = parsed.ToRecord();
    AppendDirectoryEntry({record.kind, record.lsn, record.position, record.floor, record.erased_below, record.key},
                         &start->directory);
    ++start->directory_entries;
  });
}

void Recovery::FindStart(uint32_t volume, WriterStart* start, RunMark* mark) {
  const auto& extents = facts_[volume].extents;
  start->volumes = volumes_.size();
  for (const ExtentFacts& facts : extents) start->untouched.push_back(!facts.touched);
  const uint32_t newest = NewestExtent(volume);
  *mark = facts_[volume].newest_known.mark;
  if (newest == kNoExtent) {  // nothing written yet, or nothing left
    start->announced = PickAnnounced(volume, kNoExtent, true);
    start->directory_complete = mark->records == 0;
    start->keep_first_extent = mark->first_id != 0;
    return;
  }
  const FoundRun& run = extents[newest].newest;
  const bool tail_lost = mark->first_id > run.mark.first_id || !extents[newest].tail.empty();
  if (tail_lost || run.kind == RunKind::kSeal) {
    start->announced = PickAnnounced(volume, run.announced, true);
  } else {
    start->extent = newest;
    start->next_block = run.mark.end();
    start->life = extents[newest].life;
    start->announced = PickAnnounced(volume, run.announced, false);
  }
  const bool newest_found = mark->first_id == run.mark.first_id;
  start->directory_complete = newest_found || mark->records == 0;
  start->keep_first_extent = tail_lost;
  if (newest_found) ReadDirectory(volume, run, start);
}

void Recovery::RestoreExtents(uint32_t volume, const WriterStart& start) {
  const auto& extents = facts_[volume].extents;
  for (uint32_t extent = 0; extent < extents.size(); ++extent) {
    const ExtentFacts& facts = extents[extent];
    ExtentState state = ExtentState::kFree;
    if (extent == start.extent) {
      state = ExtentState::kOpen;
    } else if (extent == start.announced) {
      state = ExtentState::kAnnounced;
    } else if (facts.newest.mark.first_id != 0 || facts.broken || facts.evidence) {
      state = ExtentState::kSealed;
    }
    volumes_[volume].extents->Restore(extent, state, facts.evidence || (facts.broken && !facts.dead()));
  }
}

void Recovery::CountLive() {
  index_->ForEach([this](const KeyEntry& entry) {
    const uint32_t volume = VolumeOfKey(entry.hash, volumes_.size());
    ExtentMap* extents = volumes_[volume].extents;
    for (uint32_t i = 0; i < entry.slots; ++i) {
      extents->AddLive(entry.slot[i].place.block, RecordBytes(entry.slot[i].head_bytes, entry.key.size(), entry.slot[i].value_bytes));
    }
    if (entry.marker) extents->AddLive(entry.marker_place.block, RecordBytes(entry.marker_head_bytes, entry.key.size(), 0));
  });
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    for (uint32_t extent = 0; extent < facts_[volume].extents.size(); ++extent) {
      volumes_[volume].extents->FreeIfDead(extent);
    }
  }
}

// What an announced extent holds is dead, because something newer was durable. When it wins all the same, that newer
// record is lost and its run could not tell it: the key's state is not known.
void Recovery::CondemnResurrected() {
  std::vector<std::pair<std::string, Slot>> resurrected;
  index_->ForEach([&](const KeyEntry& entry) {
    const uint32_t volume = VolumeOfKey(entry.hash, volumes_.size());
    const auto facts_of = [&](const RecordPlace& place) -> ExtentFacts& {
      return facts_[volume].extents[volumes_[volume].geometry.extent_of(place.block)];
    };
    if (entry.marker) {
      ExtentFacts& facts = facts_of(entry.marker_place);
      facts.live = true;
      if (facts.dead() || facts.life_lost) {
        facts.evidence = true;
        ++result_.unknown_losses;
      }
    }
    for (uint32_t i = 0; i < entry.slots; ++i) {
      ExtentFacts& facts = facts_of(entry.slot[i].place);
      facts.live = true;
      // What was saved from the lost life itself is no leftover.
      const bool leftover = facts.life_lost && !entry.slot[i].corrupt;
      if (facts.dead() || leftover) resurrected.emplace_back(entry.key, entry.slot[i]);
    }
  });
  for (const auto& [key, slot] : resurrected) {
    const uint64_t hash = KeyHash(AsBytes(key));
    const uint32_t volume = VolumeOfKey(hash, volumes_.size());
    index_->AfterRead(AsBytes(key), hash, slot.position, slot.lsn, nullptr);
    facts_[volume].extents[volumes_[volume].geometry.extent_of(slot.place.block)].evidence = true;
    ++result_.unknown_losses;
  }
}

void Recovery::Run(RecoveryResult* result) {
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    for (uint32_t extent = 0; extent < facts_[volume].extents.size(); ++extent) ScanExtent(volume, extent, false);
  }
  for (const VolumeFacts& volume : facts_) NoteReference(volume.newest_known);
  ReadOn();
  for (const VolumeFacts& volume : facts_) NoteReference(volume.newest_known);
  FollowReferences();
  ApplyTold();
  CondemnResurrected();
  result_.start.resize(volumes_.size());
  result_.marks.resize(volumes_.size());
  uint64_t jump = 0;
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    FindStart(volume, &result_.start[volume], &result_.marks[volume]);
    RestoreExtents(volume, result_.start[volume]);
    jump += 2 * volumes_[volume].geometry.extent_blocks();
    max_id_ = std::max(max_id_, result_.marks[volume].first_id + result_.marks[volume].blocks);
  }
  CountLive();
  if (unreadable_) {
    max_id_ += kUnreadableJump;
    max_seen_lsn_ = std::max(result_.watermark, max_seen_lsn_) + kUnreadableJump;
  }
  // Beyond everything that may have been in flight.
  result_.next_id = max_id_ == 0 ? 1 : max_id_ + jump;
  const uint64_t last_lsn = std::max(result_.watermark, max_seen_lsn_);
  result_.next_lsn = last_lsn == 0 ? 1 : last_lsn + kLsnJump;
  *result = std::move(result_);
}

}  // namespace plogdb
