// One workload = a chain of lives of one store. In each life everything that reaches the disk is recorded; then, for
// every place of the recording, images are built with the writes since the last flush dropped, kept, or torn at
// sectors; and one in which the process was killed there and the power failed while the next one was opening.
#include "crash.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "fixture.h"
#include "format.h"
#include "oracle.h"

namespace plogdb::test {
namespace {

constexpr uint64_t kWhileOpening = 6;  // the fate of an image that a crash in the next opening leaves

struct Progress {
  size_t submitted = 0;
  size_t acknowledged = 0;
};

// The disks as a crash may find them: durable contents, and writes since the last flush.
struct Medium {
  std::string path;
  std::shared_ptr<SimDisk> durable;
  std::vector<const RecordedCall*> pending;
};

class Explorer {
 public:
  Explorer(uint64_t seed, Load load)
      : random_(seed),
        load_(load),
        volumes_(load == Load::kTwoVolumes || (load == Load::kReuse && seed % 2 == 0) ? 2 : 1) {
    const int keys = load == Load::kReuse ? 4 : load == Load::kManyRecords ? 30 : 7;
    for (int i = 0; i < keys; ++i) keys_.push_back("key" + std::to_string(i));
    next_.resize(keys_.size(), 1);
    for (size_t i = 0; i < volumes_; ++i) {
      media_.push_back({"disk" + std::to_string(i), std::make_shared<SimDisk>(uint64_t{8} << 20), {}});
    }
  }

  CrashOutcome Explore(int rounds) {
    for (int round = 0; round < rounds && outcome_.failure.empty(); ++round) {
      Live();
      if (!outcome_.failure.empty()) break;
      TryAllImages();
    }
    return outcome_;
  }

 private:
  std::vector<PutSpec> MakeBatch();
  size_t ValueBytes();
  size_t PickKey();
  bool Seals() const { return load_ == Load::kReuse || load_ == Load::kManyRecords; }
  void CompareWithScan(Fixture* image, Fixture* scanned, const std::string& where);
  void Live();
  void Note(Fixture* fixture, const Recording& recording);
  void TryAllImages();
  void TryImage(size_t calls, uint64_t fate, bool keep);
  std::unique_ptr<Fixture> MakeImage(uint64_t fate);
  std::unique_ptr<Fixture> MakeImageOfOpening();
  void LiveOn(Fixture* fixture, const Progress& progress, const std::string& where);
  size_t MatchAll(Fixture* fixture, const Progress& progress, bool recovered, const std::string& where);
  void Fail(const std::string& why) {
    if (outcome_.failure.empty()) outcome_.failure = why;
  }

  SimRandom random_;
  const Load load_;
  const size_t volumes_;
  std::vector<std::string> keys_;
  std::vector<uint64_t> next_;  // next position per key
  Oracle oracle_;
  std::vector<Medium> media_;
  std::vector<RecordedCall> calls_;
  std::vector<Progress> progress_;  // after each call, as known when it returned
  Progress now_;
  size_t base_batches_ = 0;
  CrashOutcome outcome_;
};

size_t Explorer::ValueBytes() {
  if (load_ == Load::kReuse) return random_.Chance(30) ? random_.Below(3'000) : 60'000 + random_.Below(120'000);
  if (load_ == Load::kManyRecords) return random_.Below(5'000);
  const uint64_t kind = random_.Below(10);
  if (kind == 0) return 0;
  return kind < 7 ? random_.Below(300) : kind < 9 ? random_.Below(6'000) : random_.Below(20'000);
}

// Where extents are sealed, some keys are written rarely, and what they lie in is not free for long.
size_t Explorer::PickKey() {
  if (!Seals()) return random_.Below(keys_.size());
  const size_t often = load_ == Load::kReuse ? 3 : 20;
  return random_.Below(random_.Chance(load_ == Load::kReuse ? 95 : 99) ? often : keys_.size());
}

std::vector<PutSpec> Explorer::MakeBatch() {
  std::vector<PutSpec> batch;
  const uint64_t most = load_ == Load::kReuse ? 2 : load_ == Load::kManyRecords ? 20 : 5;
  const uint64_t least = load_ == Load::kManyRecords ? 20 : 1;
  const uint64_t count = least + random_.Below(most);
  for (uint64_t i = 0; i < count; ++i) {
    const size_t k = PickKey();
    const uint64_t kind = random_.Below(20);
    PutSpec op;
    op.key = keys_[k];
    op.header = random_.Next();
    if (kind == 0) {
      op.kind = OpKind::kDrop;
      next_[k] = 1;
    } else if (kind < 4) {
      op.kind = OpKind::kMark;
      op.position = next_[k] - 1;
    } else {
      // Advance, write the same position again, or write something that the floor may have passed.
      if (kind < 14) ++next_[k];
      op.position = next_[k] - (kind == 19 && next_[k] > 1 ? 1 : 0);
      op.floor = random_.Chance(70) ? op.position - 1 : op.position;
      op.value = MakeValue(random_.Next(), ValueBytes());
    }
    batch.push_back(std::move(op));
  }
  return batch;
}

// Everything recorded since the last note was done while this was known.
void Explorer::Note(Fixture* fixture, const Recording& recording) {
  progress_.resize(recording.size(), now_);
  fixture->Drain();
  for (const auto& [token, status] : fixture->ended) {
    const bool allowed = status == StatusCode::kOk || (status == StatusCode::kDiskFull && Seals());
    if (!allowed) Fail("a batch ended with " + std::string(StatusCodeName(status)));
    now_.acknowledged = std::max(now_.acknowledged, base_batches_ + token);
  }
}

void Explorer::Live() {
  Fixture fixture(volumes_);
  for (Medium& medium : media_) fixture.factory->Put(medium.path, std::make_shared<SimDisk>(*medium.durable));
  Recording recording;
  RecorderDeviceFactory recorder(fixture.factory.get(), &recording);
  fixture.options.device_factory = &recorder;
  fixture.options.cache_bytes = random_.Chance(50) ? 0 : 1 << 20;
  base_batches_ = oracle_.batches();
  now_ = {base_batches_, base_batches_};
  progress_.clear();
  if (!fixture.Open().ok()) return Fail("cannot open");
  Note(&fixture, recording);
  const uint64_t batches = Seals() ? 35 * volumes_ + 10 : 14;
  std::vector<std::vector<PutSpec>> submitted;
  for (uint64_t i = 0; i < batches; ++i) {
    submitted.push_back(MakeBatch());
    fixture.Submit(submitted.back());
    ++now_.submitted;
    for (uint64_t steps = random_.Below(4); steps > 0; --steps) {
      fixture.store->Step(nullptr);
      Note(&fixture, recording);
    }
    if (random_.Chance(15)) fixture.clock_us += 100'000;
  }
  bool more = true;
  while (more) {
    more = fixture.store->Step(nullptr);
    Note(&fixture, recording);
  }
  // A batch that was refused changed nothing (D12).
  for (uint64_t i = 0; i < batches; ++i) {
    oracle_.Apply(fixture.ended[i + 1] == StatusCode::kOk ? submitted[i] : std::vector<PutSpec>{});
  }
  if (now_.acknowledged != now_.submitted) Fail("not everything was acknowledged");
  MatchAll(&fixture, now_, false, "alive");
  outcome_.extents_freed += fixture.Stats().extents_freed;
  calls_ = recording.Take();
  fixture.Close();
}

// All keys of a volume show the state after one and the same number of batches (D3, D6); large batches are atomic per
// key.
size_t Explorer::MatchAll(Fixture* fixture, const Progress& progress, bool recovered, const std::string& where) {
  size_t lowest = SIZE_MAX;
  std::vector<std::vector<std::string>> together(Seals() ? keys_.size() : volumes_);
  for (size_t i = 0; i < keys_.size(); ++i) {
    const size_t volume = VolumeOfKey(KeyHash(AsBytes(keys_[i])), volumes_);
    together[Seals() ? i : volume].push_back(keys_[i]);
  }
  for (const std::vector<std::string>& keys : together) {
    std::string why;
    const auto at = oracle_.Match(fixture, progress.acknowledged, progress.submitted, keys, recovered, &why);
    if (!at) {
      Fail(where + ": no state from " + std::to_string(progress.acknowledged) + " to " +
           std::to_string(progress.submitted) + " fits; " + why);
      return 0;
    }
    lowest = std::min(lowest, *at);
  }
  return lowest;
}

std::unique_ptr<Fixture> Explorer::MakeImage(uint64_t fate) {
  auto fixture = std::make_unique<Fixture>(volumes_);
  for (const Medium& medium : media_) {
    auto disk = std::make_shared<SimDisk>(*medium.durable);
    for (const RecordedCall* write : medium.pending) {
      if (fate == 0) continue;
      const bool prefix = fate % 3 == 2;
      const size_t keep = random_.Below(write->data.size() / kSectorBytes + 1) * kSectorBytes;
      for (size_t at = 0; at < write->data.size(); at += kSectorBytes) {
        const bool survives = fate == 1 || (prefix ? at < keep : random_.Chance(60));
        if (survives) disk->WriteSectors(write->offset + at, std::span(write->data).subspan(at, kSectorBytes));
      }
    }
    fixture->factory->Put(medium.path, std::move(disk));
  }
  return fixture;
}

// Killed: everything that was written can be read, but may be in the device's cache only. Then the power fails while
// the next process is opening; what that one flushed is durable.
std::unique_ptr<Fixture> Explorer::MakeImageOfOpening() {
  Fixture opening(volumes_);
  for (const Medium& medium : media_) {
    auto disk = std::make_shared<SimDisk>(*medium.durable);
    for (const RecordedCall* write : medium.pending) disk->WriteSectors(write->offset, write->data);
    opening.factory->Put(medium.path, std::move(disk));
  }
  Recording recording;
  RecorderDeviceFactory recorder(opening.factory.get(), &recording);
  opening.options.device_factory = &recorder;
  if (!opening.Open().ok()) Fail("cannot open what a killed process left");
  const std::vector<RecordedCall> calls = recording.Take();
  opening.Close();
  const size_t cut = random_.Below(calls.size() + 1);
  auto fixture = std::make_unique<Fixture>(volumes_);
  for (const Medium& medium : media_) {
    auto disk = std::make_shared<SimDisk>(*medium.durable);
    std::vector<const RecordedCall*> pending = medium.pending;
    for (size_t i = 0; i < cut; ++i) {
      if (calls[i].path != medium.path) continue;
      if (calls[i].kind == RecordedKind::kWrite) {
        pending.push_back(&calls[i]);
        continue;
      }
      for (const RecordedCall* write : pending) disk->WriteSectors(write->offset, write->data);
      pending.clear();
    }
    const uint32_t survive = random_.Chance(50) ? 60 : 0;
    for (const RecordedCall* write : pending) {
      for (size_t at = 0; at < write->data.size(); at += kSectorBytes) {
        if (!random_.Chance(survive)) continue;
        disk->WriteSectors(write->offset + at, std::span(write->data).subspan(at, kSectorBytes));
      }
    }
    fixture->factory->Put(medium.path, std::move(disk));
  }
  return fixture;
}

// What was recovered can be written on, and that does not disturb the rest.
void Explorer::LiveOn(Fixture* fixture, const Progress& progress, const std::string& where) {
  const std::string value = MakeValue(random_.Next(), random_.Below(30'000));
  const StatusCode status = fixture->Put("after", 1, 0, value);
  if (status == StatusCode::kDiskFull && Seals()) return;
  if (status != StatusCode::kOk) return Fail(where + ": writing ends with " + StatusCodeName(status));
  const uint64_t watermark = fixture->store->Watermark();
  fixture->Crash(random_.Next());
  if (!fixture->Open().ok()) return Fail(where + ": cannot open after writing on");
  if (fixture->report.recovered_watermark < watermark) return Fail(where + ": the watermark fell");
  std::string found;
  if (fixture->ReadValue("after", 1, &found) != StatusCode::kOk || found != value) return Fail(where + ": lost after");
  MatchAll(fixture, progress, true, where + ", written on");
}

// D17: a summary only saves time.
void Explorer::CompareWithScan(Fixture* image, Fixture* scanned, const std::string& where) {
  scanned->options.force_scan = true;
  if (!scanned->Open().ok()) return Fail(where + ": cannot open by a scan");
  const OpenReport& one = image->report;
  const OpenReport& other = scanned->report;
  const bool reports = one.recovered_watermark == other.recovered_watermark &&
                       one.recovered_keys == other.recovered_keys && one.unknown_losses == other.unknown_losses &&
                       one.corrupt_keys == other.corrupt_keys && one.dropped_runs == other.dropped_runs;
  const bool same = reports && image->Stats().live_bytes == scanned->Stats().live_bytes &&
                    Dump(image, keys_) == Dump(scanned, keys_);
  if (!same) Fail(where + ": summaries and a scan find different states");
}

void Explorer::TryImage(size_t calls, uint64_t fate, bool keep) {
  ++outcome_.images;
  std::unique_ptr<Fixture> fixture = fate == kWhileOpening ? MakeImageOfOpening() : MakeImage(fate);
  const Progress before = calls == 0 ? Progress{base_batches_, base_batches_} : progress_[calls - 1];
  // What was acknowledged before the next call began must be there.
  const size_t acknowledged = calls < progress_.size() ? progress_[calls].acknowledged : now_.acknowledged;
  const Progress progress{before.submitted, std::min(acknowledged, before.submitted)};
  const std::string where = "after call " + std::to_string(calls) + ", fate " + std::to_string(fate);
  Fixture scanned(volumes_);
  for (const Medium& medium : media_) {
    scanned.factory->Put(medium.path, std::make_shared<SimDisk>(*fixture->factory->Find(medium.path)));
  }
  const Status status = fixture->Open();
  if (!status.ok()) return Fail(where + ": " + status.message());
  outcome_.summaries_used += fixture->report.summarized_extents;
  if (fixture->report.summarized_extents > 0 && random_.Chance(30)) CompareWithScan(fixture.get(), &scanned, where);
  if (fixture->report.unknown_losses > 0) return Fail(where + ": a loss where nothing was lost");
  if (fixture->report.corrupt_keys > 0) return Fail(where + ": corruption where nothing was broken");
  outcome_.dropped_runs += fixture->report.dropped_runs;
  const size_t at = MatchAll(fixture.get(), progress, true, where);
  if (!outcome_.failure.empty()) return;
  const bool again = keep || random_.Chance(25);
  if (!again) return random_.Chance(Seals() ? 40 : 15) ? LiveOn(fixture.get(), progress, where) : void();
  const std::string first = Dump(fixture.get(), keys_);
  fixture->Crash(random_.Next());
  if (!fixture->Open().ok()) return Fail(where + ": cannot open twice");
  if (Dump(fixture.get(), keys_) != first) return Fail(where + ": recovered twice, two states");
  if (!keep || load_ != Load::kSmall) return;
  oracle_.Rewind(at);  // the next life goes on from here
  fixture->Crash(random_.Next());
  for (Medium& medium : media_) {
    medium.durable = fixture->factory->Find(medium.path);
    medium.pending.clear();
  }
}

void Explorer::TryAllImages() {
  const std::vector<Medium> first = media_;
  // The crash from which the next life goes on is somewhere in the second half; images after it are tried first.
  const size_t kept = calls_.size() / 2 + random_.Below(calls_.size() / 2);
  for (const bool last : {false, true}) {
    media_.clear();
    for (const Medium& medium : first) media_.push_back({medium.path, std::make_shared<SimDisk>(*medium.durable), {}});
    for (size_t i = 0; i <= calls_.size() && outcome_.failure.empty(); ++i) {
      if (last && i == kept) return TryImage(i, 2 + random_.Below(3), true);
      const bool pending =
          std::any_of(media_.begin(), media_.end(), [](const Medium& m) { return !m.pending.empty(); });
      for (uint64_t fate = 0; !last && fate <= kWhileOpening && outcome_.failure.empty(); ++fate) {
        if (pending || fate == 0 || fate == kWhileOpening) TryImage(i, fate, false);
      }
      if (i == calls_.size()) break;
      const RecordedCall& call = calls_[i];
      Medium& medium =
          *std::find_if(media_.begin(), media_.end(), [&](const Medium& m) { return m.path == call.path; });
      if (call.kind == RecordedKind::kWrite) {
        medium.pending.push_back(&call);
        continue;
      }
      ++outcome_.boundaries;
      for (const RecordedCall* write : medium.pending) medium.durable->WriteSectors(write->offset, write->data);
      medium.pending.clear();
    }
  }
}

}  // namespace

CrashOutcome ExploreCrashes(uint64_t seed, Load load, int rounds) { return Explorer(seed, load).Explore(rounds); }

}  // namespace plogdb::test
