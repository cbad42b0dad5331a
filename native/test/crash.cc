// A workload is a chain of lives of one store: a script is lived and recorded, its images are judged, and from one of
// them the next script goes on. What is drawn at random is drawn from numbers, never from what was judged before, so
// that one image can be judged alone.
#include "crash.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "format.h"
#include "image.h"
#include "life.h"
#include "store_probe.h"

namespace plogdb::test {
namespace {

// Small extents while it lives.
class ExtentSize {
 public:
  explicit ExtentSize(uint64_t bytes) { g_min_extent_bytes = bytes; }
  ~ExtentSize() { g_min_extent_bytes = kMinExtentBytes; }
};

uint64_t Mix(uint64_t a, uint64_t b) {
  const uint64_t words[2] = {a, b};
  return KeyHash({reinterpret_cast<const uint8_t*>(words), sizeof(words)});
}

class Explorer {
 public:
  Explorer(uint64_t seed, const CrashOptions& options) : seed_(seed), options_(options) {}

  // `lives` scripts of the same kind, each from an image of the one before.
  CrashOutcome Explore(const std::vector<Script>& scripts) {
    for (size_t i = 0; i < scripts.front().volumes; ++i) {
      disks_.push_back(std::make_shared<SimDisk>(scripts.front().volume_bytes()));
    }
    for (const Script& script : scripts) {
      script_ = &script;
      life_ = Live(script, disks_, &oracle_);
      outcome_.extents_freed += life_.extents_freed;
      outcome_.records_copied += life_.records_copied;
      if (!life_.failure.empty()) Fail(life_.failure);
      if (outcome_.violations.empty()) TryAllImages();
      if (&script != &scripts.back() && outcome_.violations.empty()) GoOnFromImage();
    }
    return std::move(outcome_);
  }

 private:
  void TryAllImages();
  void TryEpoch(const Playback& playback, const Progress& progress);
  void TryImage(const Disks& disks, const Progress& progress);
  void TryOpenings(const Playback& playback, const ImagePlan& plan, const Progress& progress, size_t most);
  void TryKilled(const Playback& playback, const Progress& progress, size_t most);
  void TryCutsOf(const std::vector<RecordedCall>& opening, Playback playback, const Progress& progress, size_t most);
  std::vector<RecordedCall> RecordOpening(const Disks& disks);
  void Judge(const Disks& disks, const Progress& progress);
  bool OpenAndMatch(Fixture* fixture, const Progress& progress, const char* when);
  void WriteOn(Fixture* fixture, SimRandom* random);
  void GoOnFromImage();
  void Fail(const std::string& why) {
    outcome_.violations.push_back("image " + std::to_string(image_) + ": " + why);
  }

  const uint64_t seed_;
  const CrashOptions& options_;
  const Script* script_ = nullptr;
  Disks disks_;
  Oracle oracle_;
  Life life_;
  uint64_t image_ = 0;  // the number of the image at hand, over all lives
  std::string after_;   // value written on
  CrashOutcome outcome_;
};

void Explorer::TryAllImages() {
  Playback playback(disks_);
  for (size_t i = 0; i <= life_.calls.size() && outcome_.violations.empty(); ++i) {
    const bool end = i == life_.calls.size();
    // Just before a flush returns everything since the last one is at stake, and nothing of it is acknowledged.
    const bool stake = end || life_.calls[i].kind == RecordedKind::kFlush;
    if (stake && i >= life_.explore_from) TryEpoch(playback, end ? life_.end : life_.before[i]);
    if (!end) playback.Play(life_.calls[i]);
  }
}

void Explorer::TryEpoch(const Playback& playback, const Progress& progress) {
  ++outcome_.epochs;
  SimRandom random(Mix(seed_, outcome_.epochs));
  const auto plans = MakePlans(playback.pending().size(), options_.images_per_epoch, true, &random);
  for (const ImagePlan& plan : plans) {
    if (outcome_.violations.empty()) TryImage(playback.Image(plan), progress);
  }
  // Nested once: crashes of the opening that follows a crash, or a kill.
  const size_t most = std::max<size_t>(2, options_.images_per_epoch / 4);
  TryOpenings(playback, plans[random.Below(plans.size())], progress, most / 2);
  TryKilled(playback, progress, most - most / 2);
}

void Explorer::TryImage(const Disks& disks, const Progress& progress) {
  ++image_;
  if (options_.image != nullptr) *options_.image = image_;
  if (!outcome_.violations.empty() || (options_.only_image && *options_.only_image != image_)) return;
  ++outcome_.images;
  Judge(disks, progress);
}

std::vector<RecordedCall> Explorer::RecordOpening(const Disks& disks) {
  const auto fixture = MakeFixture(*script_, disks);
  Recording recording;
  RecorderDeviceFactory recorder(fixture->factory.get(), &recording);
  fixture->options.device_factory = &recorder;
  const bool opened = fixture->Open().ok();
  std::vector<RecordedCall> calls = recording.Take();
  fixture->Close();
  if (!opened && !options_.only_image) Fail("cannot open to record the opening");
  return calls;
}

// Power loss, and another one while the store opens.
void Explorer::TryOpenings(const Playback& playback, const ImagePlan& plan, const Progress& progress, size_t most) {
  if (most == 0 || !outcome_.violations.empty()) return;
  const Disks image = playback.Image(plan);
  TryCutsOf(RecordOpening(image), Playback(image), progress, most);
}

// The process is killed, and the power fails while the next one opens: what was written may be in the device's cache.
void Explorer::TryKilled(const Playback& playback, const Progress& progress, size_t most) {
  if (most == 0 || !outcome_.violations.empty()) return;
  TryCutsOf(RecordOpening(playback.EverythingWritten()), playback, progress, most);
}

void Explorer::TryCutsOf(const std::vector<RecordedCall>& opening, Playback playback, const Progress& progress,
                         size_t most) {
  std::vector<Disks> images;
  SimRandom random(Mix(seed_, ~image_));
  for (const RecordedCall& call : opening) {
    playback.Play(call);
    for (const ImagePlan& plan : MakePlans(playback.pending().size(), 6, false, &random)) {
      images.push_back(playback.Image(plan));
    }
  }
  for (size_t i = 0; i < most && i < images.size(); ++i) {
    std::swap(images[i], images[i + random.Below(images.size() - i)]);
    const uint64_t before = outcome_.images;
    TryImage(images[i], progress);
    outcome_.nested_images += outcome_.images - before;
  }
}

bool Explorer::OpenAndMatch(Fixture* fixture, const Progress& progress, const char* when) {
  const auto fail = [&](const std::string& why) {
    Fail(std::string(when) + ": " + why);
    return false;
  };
  const Status status = fixture->Open();
  if (!status.ok()) return fail(status.message());
  if (fixture->report.unknown_losses > 0) return fail("a loss where nothing was lost");
  if (fixture->report.corrupt_keys > 0) return fail("corruption where nothing was broken");
  std::string why = StoreProbe::Check(*fixture->store);
  if (!why.empty()) return fail(why);
  if (MatchAll(*script_, oracle_, fixture, progress, true, &why) == SIZE_MAX) return fail(why);
  return true;
}

// What was recovered can be written on, and that does not disturb the rest.
void Explorer::WriteOn(Fixture* fixture, SimRandom* random) {
  after_ = MakeValue(random->Next(), random->Below(script_->extent_bytes / (random->Chance(80) ? 100 : 5)));
  const StatusCode status = fixture->Put("after", 1, 0, after_);
  if (status != StatusCode::kOk) after_.clear();
  if (status != StatusCode::kOk && !(status == StatusCode::kDiskFull && script_->may_fill_up)) {
    Fail(std::string("writing on ends with ") + StatusCodeName(status));
  }
}

void Explorer::Judge(const Disks& disks, const Progress& progress) {
  SimRandom random(Mix(seed_, image_));
  const auto fixture = MakeFixture(*script_, disks);
  if (!OpenAndMatch(fixture.get(), progress, "opened")) return;
  outcome_.dropped_runs += fixture->report.dropped_runs;
  const std::string first = Dump(fixture.get(), script_->keys);
  const bool write_on = image_ % 2 == 0;
  after_.clear();
  if (write_on) WriteOn(fixture.get(), &random);
  if (!outcome_.violations.empty()) return;
  const uint64_t watermark = fixture->store->Watermark();
  fixture->Crash(random.Next());
  if (!OpenAndMatch(fixture.get(), progress, write_on ? "written on" : "opened twice")) return;
  if (fixture->report.recovered_watermark < watermark) return Fail("the watermark fell");
  if (Dump(fixture.get(), script_->keys) != first) return Fail("opened twice, two states");
  std::string found;
  if (after_.empty()) return;
  if (fixture->ReadValue("after", 1, &found) != StatusCode::kOk || found != after_) Fail("lost what was written on");
}

// The crash from which the next life goes on: somewhere in the second half.
void Explorer::GoOnFromImage() {
  SimRandom random(Mix(seed_, 0x90));
  const size_t cut = life_.calls.size() / 2 + random.Below(life_.calls.size() / 2);
  Playback playback(disks_);
  for (size_t i = 0; i < cut; ++i) playback.Play(life_.calls[i]);
  const auto plans = MakePlans(playback.pending().size(), 8, false, &random);
  const auto fixture = MakeFixture(*script_, playback.Image(plans[random.Below(plans.size())]));
  const Progress progress = life_.before[cut];
  if (!OpenAndMatch(fixture.get(), progress, "to go on")) return;
  std::string why;
  const size_t at = MatchAll(*script_, oracle_, fixture.get(), progress, true, &why);
  oracle_.Rewind(at, fixture.get());
  fixture->Crash(random.Next());
  for (size_t i = 0; i < disks_.size(); ++i) disks_[i] = fixture->disk(i);
}

std::vector<Script> RandomScripts(Load load, uint64_t extent_bytes, uint64_t seed) {
  std::vector<Script> scripts = {MakeRandomScript(load, extent_bytes, 0, seed)};
  // With one volume and whole batches one number says what the image holds: then a second life can go on from it.
  const bool again = load == Load::kSmall && scripts[0].whole_batches;
  if (again) scripts.push_back(MakeRandomScript(load, extent_bytes, 100, Mix(seed, 2)));
  return scripts;
}

}  // namespace

void CrashOutcome::Add(const CrashOutcome& other) {
  violations.insert(violations.end(), other.violations.begin(), other.violations.end());
  images += other.images;
  nested_images += other.nested_images;
  epochs += other.epochs;
  extents_freed += other.extents_freed;
  dropped_runs += other.dropped_runs;
  records_copied += other.records_copied;
}

CrashOutcome ExploreLoad(Load load, uint64_t seed, const CrashOptions& options) {
  constexpr uint64_t kExtent = 128 << 10;
  const ExtentSize extents(kExtent);
  return Explorer(seed, options).Explore(RandomScripts(load, kExtent, seed));
}

CrashOutcome ExploreWorkload(uint64_t workload, const CrashOptions& options) {
  if (workload < kSequences) {
    const Script script = MakeSequence(workload, options.seed);
    const ExtentSize extents(script.extent_bytes);
    return Explorer(Mix(options.seed, workload), options).Explore({script});
  }
  const uint64_t number = workload - kSequences;
  const Load load = kRandomLoads[number % std::size(kRandomLoads)];
  // Some with extents as they really are.
  const uint64_t extent_bytes = number % 16 < 4 && number / 16 % 4 == 3 ? kMinExtentBytes : 128 << 10;
  const ExtentSize extents(extent_bytes);
  const uint64_t seed = Mix(options.seed, workload);
  return Explorer(seed, options).Explore(RandomScripts(load, extent_bytes, seed));
}

CrashOutcome ExploreImages(uint64_t images, uint64_t first, uint64_t stride, const CrashOptions& options,
                           uint64_t* workload) {
  CrashOutcome sum;
  for (*workload = first; sum.images < images && sum.violations.size() < 10; *workload += stride) {
    CrashOutcome one = ExploreWorkload(*workload, options);
    for (std::string& violation : one.violations) {
      violation = "workload " + std::to_string(*workload) + ", " + violation;
    }
    sum.Add(one);
  }
  return sum;
}

size_t ImagesPerEpoch(uint64_t images) { return std::clamp<size_t>(images / 5'000, 8, 1'100); }

}  // namespace plogdb::test
