// The order of extents and volumes does not matter: the index decides by LSN alone (D4), and everything doubtful is put
// off until all references are known. So several threads read extents, each for itself.
#include "recovery.h"

#include <algorithm>
#include <utility>

#include "assert.h"
#include "canary.h"
#include "in_parallel.h"

namespace plogdb {
namespace {

constexpr uint64_t kLsnJump = uint64_t{1} << 24;  // beyond what unfinished runs may have used
// Beyond what lies where nothing could be read, of ids and LSNs: should it come back, it is older than what is written now.
constexpr uint64_t kUnreadableJump = uint64_t{1} << 36;

constexpr uint32_t kReadsAtOnce = 4;  // of the extent that is read whole
constexpr uint64_t kMostReservedKeys = uint64_t{1} << 22;  // 40 MiB of tables

}  // namespace

Recovery::Recovery(const StoreId& store_id, std::vector<RecoveryVolume> volumes, KeyIndex* index,
                   const RecoveryOptions& options)
    : store_id_(store_id),
      volumes_(std::move(volumes)),
      index_(index),
      threads_(options.threads),
      lives_(volumes_),
      sink_(index, &volumes_, &lives_),
      reader_(&context_, &sink_),
      facts_(volumes_.size()) {
  PLOGDB_ASSERT(threads_ > 0, "threads");
  context_.store_id = &store_id_;
  context_.volumes = &volumes_;
  context_.lives = &lives_;
  context_.force_scan = options.force_scan;
  context_.reads_at_once = threads_ == 1 ? 1 : kReadsAtOnce;
  for (size_t i = 0; i < volumes_.size(); ++i) facts_[i].extents.resize(volumes_[i].geometry.extents());
}

std::vector<Recovery::ExtentTask> Recovery::ListExtents() {
  std::vector<ExtentTask> tasks;
  for (uint32_t volume = 0; volume < facts_.size(); ++volume) {
    for (uint32_t extent = 0; extent < facts_[volume].extents.size(); ++extent) {
      tasks.push_back({volume, extent, {}, false});
    }
  }
  std::vector<std::unique_ptr<ExtentReader>> readers;
  for (uint32_t i = 0; i < threads_; ++i) readers.push_back(std::make_unique<ExtentReader>(&context_, &sink_));
  InParallel(threads_, tasks.size(), [&](uint32_t thread, size_t i) {
    tasks[i].ends = readers[thread]->ReadEnds(tasks[i].volume, tasks[i].extent);
  });
  return tasks;
}

// The one that was written last is read to its end, and takes longest: it comes first. Its life tells it; that is a
// guess only, ReadOn knows.
std::vector<size_t> Recovery::NewestFirst(std::vector<ExtentTask>* tasks, size_t volumes) {
  std::vector<ExtentTask*> newest(volumes, nullptr);
  for (ExtentTask& task : *tasks) {
    ExtentTask*& best = newest[task.volume];
    if (task.ends.first && (best == nullptr || task.ends.first->life > best->ends.first->life)) best = &task;
  }
  std::vector<size_t> order;
  for (ExtentTask* task : newest) {
    if (task == nullptr) continue;
    task->whole = true;
    order.push_back(static_cast<size_t>(task - tasks->data()));
  }
  for (size_t i = 0; i < tasks->size(); ++i) {
    if (!(*tasks)[i].whole) order.push_back(i);
  }
  return order;
}

// The tables at once as large as they become, if every record that the summaries name is of a key of its own; bounded,
// because it may be that few are.
void Recovery::ReserveKeys(const std::vector<ExtentTask>& tasks) {
  uint64_t records = 0;
  for (const ExtentTask& task : tasks) records += task.ends.summary ? task.ends.summary->trailer.entries : 0;
  index_->Reserve(std::min(records, kMostReservedKeys));
}

void Recovery::ReadAll() {
  std::vector<ExtentTask> tasks = ListExtents();
  ReserveKeys(tasks);
  const std::vector<size_t> order = NewestFirst(&tasks, facts_.size());
  std::vector<ExtentFinding> found(tasks.size());
  std::vector<std::unique_ptr<RecordSink>> sinks;
  std::vector<std::unique_ptr<ExtentReader>> readers;
  for (uint32_t i = 0; i < threads_; ++i) {
    sinks.push_back(std::make_unique<RecordSink>(index_, &volumes_, &lives_));
    readers.push_back(std::make_unique<ExtentReader>(&context_, sinks[i].get()));
  }
  InParallel(threads_, order.size(), [&](uint32_t thread, size_t i) {
    const ExtentTask& task = tasks[order[i]];
    found[order[i]] = readers[thread]->Read(task.volume, task.extent, task.ends, task.whole);
  });
  InParallel(threads_, sinks.size(), [&](uint32_t, size_t i) { sinks[i]->Flush(); });
  for (const auto& sink : sinks) sink_.Add(*sink);
  for (size_t i = 0; i < tasks.size(); ++i) Take(tasks[i].volume, tasks[i].extent, std::move(found[i]));
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

void Recovery::Take(uint32_t volume, uint32_t extent, ExtentFinding finding) {
  ExtentFacts& facts = facts_[volume].extents[extent];
  static_cast<ExtentFinding&>(facts) = std::move(finding);
  const ExtentHistory& history = facts.history;
  max_id_ = std::max(max_id_, facts.max_id);
  // The record itself may be gone, a deletion that was forgotten or what a deletion erased: it was durable all the same.
  result_.watermark = std::max({result_.watermark, facts.max_lsn, history.watermark});
  for (const Announcement& announcement : history.announced) {
    if (announcement.extent >= facts_[volume].extents.size()) continue;
    uint64_t* at = &facts_[volume].extents[announcement.extent].announced_at;
    *at = std::max(*at, announcement.id);
  }
  const auto note = [this](uint32_t of, const RunMark& mark) {
    if (mark.first_id <= facts_[of].newest_known.mark.first_id) return;
    facts_[of].newest_known = {of, mark, kNoExtent, false, 0, {}};
  };
  note(volume, history.newest.mark);
  for (uint32_t other = 0; other < history.marks.size(); ++other) {
    if (other != volume) note(other, history.marks[other]);
  }
  if (!facts.before) return;
  RunReference before = *facts.before;
  before.holder = extent;
  NoteReference(std::move(before));
}

uint32_t Recovery::NewestExtent(uint32_t volume) const {
  const auto& extents = facts_[volume].extents;
  uint32_t newest = kNoExtent;
  for (uint32_t extent = 0; extent < extents.size(); ++extent) {
    if (extents[extent].newest().mark.first_id == 0 || extents[extent].dead()) continue;
    const bool newer =
        newest == kNoExtent || extents[extent].newest().mark.first_id > extents[newest].newest().mark.first_id;
    if (newer) newest = extent;
  }
  return newest;
}

// Whether a run may have been written to an announced extent: not while the extent that announced it is not sealed.
bool Recovery::MayBeOpened(uint32_t volume, uint32_t extent, uint32_t newest) const {
  if (newest == kNoExtent) return true;
  const ExtentFacts& facts = facts_[volume].extents[newest];
  return facts.newest().announced != extent || facts.newest().kind == RunKind::kSeal || facts.unfinished;
}

// Zeros do not prove that nothing lies behind them: a large run may have been lost in between.
std::vector<uint32_t> Recovery::WantedWhole(uint32_t volume) const {
  const auto& extents = facts_[volume].extents;
  const uint32_t newest = NewestExtent(volume);
  std::vector<bool> wanted(extents.size(), false);
  for (const RunReference& reference : references_) {
    if (reference.volume != volume) continue;
    const uint32_t extent = volumes_[volume].geometry.extent_of(reference.mark.block);
    const ExtentFacts& facts = extents[extent];
    if (reference.mark.first_id >= facts.life && reference.mark.end() > facts.read_end) wanted[extent] = true;
  }
  std::vector<uint32_t> list;
  for (uint32_t extent = 0; extent < extents.size(); ++extent) {
    const ExtentFacts& facts = extents[extent];
    const bool reused = facts.dead() && MayBeOpened(volume, extent, newest);
    const bool open = extent == newest && !facts.summarized;
    // What ended its life without a seal may have been left because of what could not be read in it.
    const bool left = extent != newest && !facts.dead() && facts.newest().mark.first_id != 0 &&
                      facts.newest().kind != RunKind::kSeal;
    if (!facts.whole && (wanted[extent] || reused || open || left)) list.push_back(extent);
  }
  return list;
}

void Recovery::ReadOn() {
  bool again = true;
  while (again) {  // each extent is read to its end at most once
    again = false;
    for (uint32_t volume = 0; volume < facts_.size(); ++volume) {
      for (const uint32_t extent : WantedWhole(volume)) {
        Take(volume, extent, reader_.Scan(volume, extent, true));
        again = true;
      }
    }
  }
  sink_.Flush();
}

// A run of a later life than any that can be read: all of that life is gone, and what is left is of an earlier one.
void Recovery::LoseLife(const Geometry& geometry, const RunMark& mark, ExtentFacts* facts) {
  facts->life = std::min(std::max(facts->announced_at, facts->newest().mark.first_id + 1), mark.first_id);
  facts->life_lost = true;
  facts->end = geometry.first_data_block(geometry.extent_of(mark.block));
  facts->history = ExtentHistory{};
  facts->unfinished = false;
  facts->told.clear();
  facts->unknown.clear();
}

// Runs that others know to be durable must be there: else they are broken, though they lie behind the last whole run.
void Recovery::FollowReferences() {
  if (CanaryOn(Canary::kMarkIgnored)) return;
  for (RunReference& reference : references_) {
    auto& extents = facts_[reference.volume].extents;
    ExtentFacts& facts = extents[volumes_[reference.volume].geometry.extent_of(reference.mark.block)];
    // Written over since, in a later life or about to be: legitimately gone.
    if (reference.mark.first_id < std::max(facts.life, facts.announced_at)) continue;
    const bool newer = reference.mark.first_id > facts.newest().mark.first_id && reference.mark.block < facts.end;
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
  BrokenPlaces broken = reader_.ScanTail(volume, extent, facts.life_lost ? facts.life : 0, facts.tail);
  facts.broken = true;
  facts.unfinished = false;
  facts.unknown.insert(facts.unknown.end(), broken.unknown.begin(), broken.unknown.end());
  for (ToldRecord& told : broken.told) facts.told.push_back(std::move(told));
}

void Recovery::ApplyTold() {
  for (uint32_t volume = 0; volume < facts_.size(); ++volume) {
    for (ExtentFacts& facts : facts_[volume].extents) {
      if (facts.dead()) continue;
      result_.unknown_losses += facts.unknown.size();
      for (const BlockRange& lost : facts.unknown) {
        result_.lost_places.push_back({volume, facts.life, lost.from, lost.to});
      }
      if (facts.unfinished) ++result_.dropped_runs;
      for (ToldRecord& told : facts.told) {
        told.record.key = told.key;
        sink_.Apply(told.record);
      }
    }
  }
  sink_.Flush();
}

// The extent to be written next: as announced, so that a write torn over it is never taken for damage. `must`: without
// an announcement any extent without live records is better than none, first those in which a torn write looks like
// nothing else.
uint32_t Recovery::PickAnnounced(uint32_t volume, uint32_t wanted, bool must) const {
  const auto& extents = facts_[volume].extents;
  const auto usable = [&](uint32_t extent) {
    if (extent >= extents.size() || extents[extent].evidence) return false;
    // A broken place in what is dead is no loss: it may be the torn beginning of the life that comes.
    return extents[extent].dead() || (!extents[extent].broken && extents[extent].newest().mark.first_id == 0);
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
  const FoundRun& run = extents[newest].newest();
  const bool tail_lost = mark->first_id > run.mark.first_id || !extents[newest].tail.empty();
  // Where nothing could be read nothing is written in this life: it would be the same lost place with other records.
  if (tail_lost || extents[newest].tail_unreadable || run.kind == RunKind::kSeal) {
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
  if (newest_found) {
    start->directory = extents[newest].directory;
    start->directory_entries = extents[newest].directory_entries;
  }
}

// Summaries of extents with broken places are not written: an opening must find what is broken.
void Recovery::GiveSummaries(uint32_t volume, WriterStart* start) {
  auto& extents = facts_[volume].extents;
  for (uint32_t extent = 0; extent < extents.size(); ++extent) {
    ExtentFacts& facts = extents[extent];
    if (facts.summarized) ++result_.summarized_extents;
    const bool sound = facts.summary != nullptr && !facts.broken && !facts.life_lost && !facts.dead();
    if (!sound) continue;
    if (extent == start->extent) start->summaries.open = std::move(facts.summary);
    if (extent == start->extent || facts.newest().kind != RunKind::kSeal) continue;
    start->summaries.sealed.push_back(std::move(facts.summary));
  }
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
    } else if (facts.newest().mark.first_id != 0 || facts.broken || facts.evidence) {
      state = ExtentState::kSealed;
    }
    ExtentMap* map = volumes_[volume].extents;
    map->Restore(extent, state, facts.evidence || (facts.broken && !facts.dead()));
    if (facts.life != 0) map->SetLife(extent, facts.life, facts.FirstWatermark());
  }
}

void Recovery::FindLive() {
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    for (uint32_t extent = 0; extent < facts_[volume].extents.size(); ++extent) {
      facts_[volume].extents[extent].live = sink_.live(volume, extent).records > 0;
    }
  }
}

void Recovery::RestoreLive() {
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    for (uint32_t extent = 0; extent < facts_[volume].extents.size(); ++extent) {
      const LiveCount& live = sink_.live(volume, extent);
      PLOGDB_ASSERT(live.records >= 0 && live.bytes >= 0, "D10");
      ExtentMap* map = volumes_[volume].extents;
      if (live.records > 0) {
        map->AddLive(LiveChange{extent, static_cast<uint32_t>(live.records), static_cast<uint64_t>(live.bytes)});
      }
      map->FreeIfDead(extent);
    }
  }
}

// The lowest LSN that anything still to be found may have been first written with, or below.
uint64_t Recovery::OldestWatermark(uint32_t volume) const {
  uint64_t oldest = UINT64_MAX;
  for (const ExtentFacts& facts : facts_[volume].extents) {
    if (facts.life != 0 && !facts.leftovers()) oldest = std::min(oldest, facts.FirstWatermark());
  }
  return oldest;
}

// What an announced extent holds is dead, because something newer was durable. When it wins all the same, that newer
// record is lost and its run could not tell it: the key's state is not known. But for deletions that merge may have
// forgotten, because no older copy of their key was left (D13): they stay forgotten.
void Recovery::CondemnResurrected() {
  bool any = false;
  for (const VolumeFacts& volume : facts_) {
    for (const ExtentFacts& facts : volume.extents) any |= facts.live && (facts.leftovers() || facts.life_lost);
  }
  if (!any) return;
  std::vector<std::pair<std::string, Slot>> resurrected;
  std::vector<std::pair<std::string, uint64_t>> forgotten;
  std::vector<uint64_t> oldest;
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) oldest.push_back(OldestWatermark(volume));
  index_->ForEach([&](const KeyEntry& entry) {
    const uint32_t volume = VolumeOfKey(entry.hash, volumes_.size());
    const auto facts_of = [&](const RecordPlace& place) -> ExtentFacts& {
      return facts_[volume].extents[volumes_[volume].geometry.extent_of(place.block)];
    };
    if (entry.marker) {
      ExtentFacts& facts = facts_of(entry.marker_place);
      const bool could_go = !facts.life_lost && entry.erased_below <= oldest[volume];
      if (facts.leftovers() && could_go) {
        forgotten.emplace_back(entry.key, entry.erased_below);
      } else if (facts.leftovers() || facts.life_lost) {
        facts.evidence = true;
        ++result_.unknown_losses;
      }
    }
    for (uint32_t i = 0; i < entry.slots; ++i) {
      ExtentFacts& facts = facts_of(entry.slot[i].place);
      // What was saved from the lost life itself is no leftover.
      const bool leftover = facts.life_lost && !entry.slot[i].corrupt;
      if (facts.leftovers() || leftover) resurrected.emplace_back(entry.key, entry.slot[i]);
    }
  });
  for (const auto& [key, lsn] : forgotten) sink_.ForgetMarker(key, lsn);
  for (const auto& [key, slot] : resurrected) {
    const uint64_t hash = KeyHash(AsBytes(key));
    const uint32_t volume = VolumeOfKey(hash, volumes_.size());
    index_->MarkCorrupt(AsBytes(key), hash, slot.position, slot.lsn);
    facts_[volume].extents[volumes_[volume].geometry.extent_of(slot.place.block)].evidence = true;
    ++result_.unknown_losses;
  }
}

void Recovery::Run(RecoveryResult* result) {
  ReadAll();
  for (const VolumeFacts& volume : facts_) NoteReference(volume.newest_known);
  ReadOn();
  for (const VolumeFacts& volume : facts_) NoteReference(volume.newest_known);
  FollowReferences();
  ApplyTold();
  FindLive();
  CondemnResurrected();
  FindLive();
  result_.start.resize(volumes_.size());
  result_.marks.resize(volumes_.size());
  uint64_t jump = 0;
  for (uint32_t volume = 0; volume < volumes_.size(); ++volume) {
    FindStart(volume, &result_.start[volume], &result_.marks[volume]);
    RestoreExtents(volume, result_.start[volume]);
    GiveSummaries(volume, &result_.start[volume]);
    jump += 2 * volumes_[volume].geometry.extent_blocks();
    max_id_ = std::max(max_id_, result_.marks[volume].first_id + result_.marks[volume].blocks);
  }
  RestoreLive();
  result_.watermark = std::max(result_.watermark, sink_.max_lsn());
  // Beyond everything that may have been in flight, or lies where nothing could be read.
  const uint64_t unreadable = context_.unreadable ? kUnreadableJump : 0;
  result_.next_id = max_id_ + unreadable == 0 ? 1 : max_id_ + jump + unreadable;
  const uint64_t last_lsn = result_.watermark + unreadable;
  result_.next_lsn = last_lsn == 0 ? 1 : last_lsn + kLsnJump;
  *result = std::move(result_);
}

}  // namespace plogdb
