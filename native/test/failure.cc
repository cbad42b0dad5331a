// The story: see failure.h.
#include "failure.h"

#include <memory>
#include <vector>

#include "corruption.h"
#include "life.h"
#include "store_probe.h"

namespace plogdb::test {
namespace {

// The story. Ends early when the store cannot be opened.
class Story {
 public:
  Story(const Script& script, Fault* fault)
      : script_(script), fixture_(MakeFixture(script, {})), faulty_(fixture_->factory.get(), fault), fault_(fault) {
    fixture_->options.device_factory = &faulty_;
  }

  // Empty, or what was wrong.
  std::string Tell(uint64_t seed) {
    const size_t half = script_.actions.size() / 2;
    if (OpenOrSay()) {
      for (size_t i = 0; i < script_.actions.size() && why_.empty(); ++i) {
        if (i == half && !CloseAndOpen()) break;
        Do(script_.actions[i]);
      }
      if (fixture_->store != nullptr && !broken_) End();
    }
    return why_.empty() ? Recover(seed) : why_;
  }

 private:
  bool OpenOrSay() {
    const uint64_t before = fault_->hits;
    const Status status = fixture_->Open();
    oracle_.ForgetMarks();
    // A read error may show as damage, and what is not known then is not judged before the fault is gone.
    told_ |= status.ok() && (fixture_->report.corrupt_keys > 0 || fixture_->report.unknown_losses > 0);
    const bool fault = fault_->hits > before;
    if (!status.ok() && !fault) why_ = "cannot open without a fault: " + status.message();
    const StatusCode code = status.code();
    const bool proper = status.ok() || code == StatusCode::kIoError || code == StatusCode::kDiskFull ||
                        code == StatusCode::kCorrupt;
    if (!proper) why_ = std::string("opening ends with ") + StatusCodeName(code);
    return status.ok() && why_.empty();
  }

  bool CloseAndOpen() {
    End();
    fixture_->Close();
    return why_.empty() && !broken_ && OpenOrSay();
  }

  void Do(const Action& action) {
    if (action.kind == ActionKind::kAdvance) fixture_->clock_us += action.count;
    if (action.kind == ActionKind::kSubmit) {
      submitted_.push_back(&action.batch);
      fixture_->Submit(action.batch);
    }
    if (action.kind == ActionKind::kStep) {
      for (uint64_t i = 0; i < action.count; ++i) fixture_->store->Step(nullptr);
    }
    if (action.kind == ActionKind::kStepAll) ReadAll();
  }

  // What can be read is right; what cannot is corrupt, not absent, and never something else (D16).
  void ReadAll() {
    fixture_->StepAll();
    for (const std::string& key : script_.keys) {
      const LoadedKey loaded = fixture_->Load(key);
      for (uint32_t i = 0; i < loaded.slots; ++i) {
        std::string value;
        const StatusCode status = fixture_->ReadValue(key, loaded.slot[i].position, &value);
        if (status == StatusCode::kCorrupt && fault_->kind == FaultKind::kRead) continue;
        if (status != StatusCode::kOk) why_ = "a read ends with " + std::string(StatusCodeName(status));
      }
    }
  }

  // Tells the oracle what was acknowledged. After the first failure nothing is (D8).
  void End() {
    fixture_->StepAll();
    bool failed = false;
    for (size_t i = 0; i < submitted_.size(); ++i) {
      const auto ended = fixture_->ended.find(i + 1);
      if (ended == fixture_->ended.end()) {
        why_ = "a batch never ended";
        return;
      }
      oracle_.Apply(*submitted_[i]);
      if (told_ && ended->second == StatusCode::kDiskFull) continue;  // what cannot be read is not written over
      const bool done = ended->second == StatusCode::kOk;
      if (done && failed) why_ = "something was acknowledged after a failure";
      if (!done && ended->second != StatusCode::kFailed) why_ = StatusCodeName(ended->second);
      failed |= !done;
      if (!failed) acknowledged_ = oracle_.batches();
    }
    submitted_.clear();
    const StoreState state = fixture_->Stats().state;
    if (failed && state == StoreState::kOpen) why_ = "not failed, though batches were";
    broken_ |= failed;
    std::string why;
    const Progress known{acknowledged_, acknowledged_};
    const bool same = MatchAll(script_, oracle_, fixture_.get(), known, false, &why) != SIZE_MAX;
    if (!same && !broken_ && !told_ && fault_->kind != FaultKind::kRead) why_ = "alive: " + why;
  }

  // The power goes, the fault is gone.
  std::string Recover(uint64_t seed) {
    const uint64_t hits = fault_->hits;
    fault_->nth = 0;
    fixture_->Crash(seed);
    const Status status = fixture_->Open();
    if (!status.ok()) return "cannot open afterwards: " + status.message();
    std::string why = StoreProbe::Check(*fixture_->store);
    if (!why.empty()) return why;
    // An opening that could not read all of the store said so; what was written on top of that is not judged.
    if (hits > 0 && told_) return "";
    const Progress progress{oracle_.batches(), acknowledged_};
    if (MatchAll(script_, oracle_, fixture_.get(), progress, true, &why) == SIZE_MAX) return "afterwards: " + why;
    if (fixture_->report.unknown_losses + fixture_->report.corrupt_keys > 0) return "afterwards damage is said";
    if (fixture_->Put("after", 1, 1, "x") != StatusCode::kOk) return "afterwards it cannot be written";
    return "";
  }

  const Script& script_;
  std::unique_ptr<Fixture> fixture_;
  FaultyFactory faulty_;
  Fault* const fault_;
  Oracle oracle_;
  std::vector<const std::vector<PutSpec>*> submitted_;
  size_t acknowledged_ = 0;
  bool told_ = false;
  bool broken_ = false;
  std::string why_;
};

}  // namespace

Script MakeStory(uint64_t number, uint64_t seed) {
  const Load load = number % 2 == 0 ? Load::kTwoVolumes : Load::kSmall;
  Script script = MakeRandomScript(load, kSmallExtent, 0, seed + number);
  script.cache_bytes = 0;
  std::erase_if(script.actions, [](const Action& action) { return action.kind == ActionKind::kReopen; });
  script.actions.push_back({ActionKind::kStepAll, 0, {}});
  return script;
}

std::string TellStory(const Script& script, Fault* fault, uint64_t seed) { return Story(script, fault).Tell(seed); }

}  // namespace plogdb::test
