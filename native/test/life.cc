// The recording: see life.h.
#include "life.h"

#include <algorithm>
#include <map>
#include <utility>

#include "format.h"
#include "store_probe.h"

namespace plogdb::test {
namespace {

// All buckets, or none where digests are not kept.
std::vector<uint64_t> DigestsOf(const Store& store) {
  std::vector<uint64_t> digests(kDigestBuckets);
  if (!store.Digests(0, digests).ok()) digests.clear();
  return digests;
}

class Liver {
 public:
  Liver(const Script& script, const Disks& disks, Oracle* oracle)
      : script_(script),
        oracle_(oracle),
        fixture_(MakeFixture(script, disks)),
        recorder_(fixture_->factory.get(), &recording_) {
    fixture_->options.device_factory = &recorder_;
    base_ = oracle->batches();
    known_ = {base_, base_};
  }

  Life Run() {
    if (!fixture_->Open().ok()) Fail("cannot open");
    Note();
    for (size_t i = 0; i < script_.actions.size() && life_.failure.empty(); ++i) {
      if (i > 0 && i == script_.explore_from) life_.explore_from = life_.before.size();
      Do(script_.actions[i]);
    }
    if (life_.failure.empty()) Finish();
    life_.end = known_;
    life_.calls = recording_.Take();
    fixture_->Close();
    return std::move(life_);
  }

 private:
  void Fail(const std::string& why) {
    if (life_.failure.empty()) life_.failure = "alive: " + why;
  }

  // Everything recorded since the last note was done while this was known.
  void Note() {
    life_.before.resize(recording_.size(), known_);
    fixture_->Drain();
    for (const auto& [token, status] : fixture_->ended) {
      const bool allowed = status == StatusCode::kOk || (status == StatusCode::kDiskFull && script_.may_fill_up);
      if (!allowed) Fail("a batch ended with " + std::string(StatusCodeName(status)));
      known_.acknowledged = std::max(known_.acknowledged, base_ + token);
    }
  }

  void Step(uint64_t count) {
    for (; count > 0; --count) {
      const bool worked = fixture_->store->Step(nullptr);
      Note();
      if (!worked) break;
    }
  }

  void Do(const Action& action) {
    switch (action.kind) {
      case ActionKind::kSubmit:
        submitted_.push_back(&action.batch);
        fixture_->Submit(action.batch);
        ++known_.submitted;
        break;
      case ActionKind::kStep:
        return Step(action.count);
      case ActionKind::kStepAll:
        return Step(UINT64_MAX);
      case ActionKind::kAdvance:
        fixture_->clock_us += action.count;
        break;
      case ActionKind::kReopen:
        return Reopen();
      case ActionKind::kMerge: {
        MergeOptions options = fixture_->options.merge;
        options.paused = action.count == 0;
        options.bytes_per_second = action.count;
        return fixture_->store->SetMerge(options);
      }
      case ActionKind::kScrub: {
        ScrubOptions options;
        options.bytes_per_second = action.count;
        return fixture_->store->SetScrub(options);
      }
    }
  }

  void Reopen() {
    fixture_->store->Close();
    Note();
    TellOracle();
    oracle_->ForgetMarks();
    const std::vector<uint64_t> digests = DigestsOf(*fixture_->store);
    if (!fixture_->Open().ok()) return Fail("cannot open again");
    Note();
    Match();
    if (DigestsOf(*fixture_->store) != digests) Fail("other digests after opening again (D20)");
  }

  // Key by key, as many at a time as it likes: the same as all at once.
  void Iterate() {
    using Seen = std::map<std::string, uint64_t>;
    const auto visit = [](void* context, std::span<const uint8_t> key, uint64_t position, std::span<const uint8_t>) {
      (*static_cast<Seen*>(context))[std::string(AsText(key))] += position + 1;
    };
    Seen at_once;
    fixture_->store->ForEachKey(visit, &at_once);
    Seen by_part;
    uint64_t cursor = 0;
    for (size_t calls = 0; cursor != kIterationEnd && calls <= at_once.size() + 1; ++calls) {
      cursor = fixture_->store->Iterate(cursor, kIterationEnd, 3, visit, &by_part);
    }
    if (cursor != kIterationEnd || by_part != at_once) Fail("iteration shows other keys");
  }

  // A batch that was refused changed nothing (D12).
  void TellOracle() {
    for (size_t i = 0; i < submitted_.size(); ++i) {
      const auto ended = fixture_->ended.find(i + 1);
      if (ended == fixture_->ended.end()) Fail("a batch never ended");
      const bool done = ended != fixture_->ended.end() && ended->second == StatusCode::kOk;
      oracle_->Apply(done ? *submitted_[i] : std::vector<PutSpec>{});
    }
    submitted_.clear();
    base_ = oracle_->batches();
    if (known_.acknowledged != known_.submitted) Fail("not everything was acknowledged");
  }

  void Match() {
    const StoreStats stats = fixture_->Stats();
    life_.extents_freed += stats.extents_freed;
    life_.records_copied += stats.merge_records_copied;
    std::string why = StoreProbe::Check(*fixture_->store);
    if (!why.empty()) return Fail(why);
    if (MatchAll(script_, *oracle_, fixture_.get(), known_, false, &why) == SIZE_MAX) Fail(why);
    Iterate();
  }

  void Finish() {
    TellOracle();
    Match();
  }

  const Script& script_;
  Oracle* const oracle_;
  std::unique_ptr<Fixture> fixture_;
  Recording recording_;
  RecorderDeviceFactory recorder_;
  Life life_;
  Progress known_;
  size_t base_ = 0;  // batches of the oracle when the store was opened last
  std::vector<const std::vector<PutSpec>*> submitted_;
};

}  // namespace

std::string DiskName(size_t volume) { return "disk" + std::to_string(volume); }

std::unique_ptr<Fixture> MakeFixture(const Script& script, const Disks& disks) {
  auto fixture = std::make_unique<Fixture>(script.volumes, script.volume_bytes());
  fixture->options.cache_bytes = script.cache_bytes;
  fixture->options.merge.bytes_per_second = uint64_t{1} << 30;
  fixture->options.merge.operations_per_second = 1'000'000;
  fixture->factory->set_wants_zero_fill(script.zero_fill);
  for (size_t i = 0; i < disks.size(); ++i) fixture->factory->Put(DiskName(i), std::make_shared<SimDisk>(*disks[i]));
  return fixture;
}

Life Live(const Script& script, const Disks& disks, Oracle* oracle) { return Liver(script, disks, oracle).Run(); }

size_t MatchAll(const Script& script, const Oracle& oracle, Fixture* fixture, const Progress& progress, bool recovered,
                std::string* why) {
  std::vector<std::vector<std::string>> together(script.whole_batches ? script.volumes : script.keys.size());
  for (size_t i = 0; i < script.keys.size(); ++i) {
    const size_t volume = VolumeOfKey(KeyHash(AsBytes(script.keys[i])), script.volumes);
    together[script.whole_batches ? volume : i].push_back(script.keys[i]);
  }
  size_t lowest = SIZE_MAX;
  for (const std::vector<std::string>& keys : together) {
    if (keys.empty()) continue;
    std::string reason;
    const auto at = oracle.Match(fixture, progress.acknowledged, progress.submitted, keys, recovered, &reason);
    if (!at) {
      *why = "no state from " + std::to_string(progress.acknowledged) + " to " + std::to_string(progress.submitted) +
             " fits; " + reason;
      return SIZE_MAX;
    }
    lowest = std::min(lowest, *at);
  }
  return lowest;
}

}  // namespace plogdb::test
