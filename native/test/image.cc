// Plans and images: see image.h.
#include "image.h"

#include <algorithm>
#include <set>
#include <utility>

namespace plogdb::test {
namespace {

constexpr size_t kAllSubsetsUpTo = 10;
constexpr unsigned kSectors = kBlockBytes / kSectorBytes;

class Planner {
 public:
  Planner(size_t blocks, bool without_all) : blocks_(blocks) {
    if (without_all) seen_.insert(ImagePlan(blocks, kWhole));
    Add(ImagePlan(blocks, 0));
  }

  size_t size() const { return plans_.size(); }
  std::vector<ImagePlan> Take() { return std::move(plans_); }

  // One of each of the most telling: every block torn; the first one torn and nothing else there; the first or the last
  // one missing; the last one torn.
  void AddTelling(SimRandom* random) {
    const auto torn = [random] { return static_cast<SectorMask>((1u << (1 + random->Below(kSectors - 1))) - 1); };
    ImagePlan plan(blocks_, 0);
    for (SectorMask& mask : plan) mask = static_cast<SectorMask>(random->Below(kWhole));
    Add(plan);
    plan.assign(blocks_, 0);
    plan.front() = torn();
    Add(plan);
    plan.assign(blocks_, kWhole);
    plan.front() = 0;
    Add(plan);
    plan = Prefix(blocks_ - 1);
    Add(plan);
    plan.back() = torn();
    Add(plan);
  }
  void AddPrefixes() {
    for (size_t end = 1; end <= blocks_; ++end) Add(Prefix(end));
  }
  void AddSingles() {
    for (size_t i = 0; i < blocks_; ++i) {
      for (const SectorMask rest : {SectorMask{0}, kWhole}) {
        ImagePlan plan(blocks_, rest);
        plan[i] = static_cast<SectorMask>(~rest);
        Add(std::move(plan));
      }
    }
  }
  // The block is cut at a sector, what comes before it is there; or it is the only one with a hole.
  void AddTorn() {
    for (size_t i = 0; i < blocks_; ++i) {
      for (unsigned sectors = 1; sectors < kSectors; ++sectors) {
        const SectorMask mask = static_cast<SectorMask>((1u << sectors) - 1);
        ImagePlan plan = Prefix(i);
        plan[i] = mask;
        Add(std::move(plan));
        ImagePlan hole(blocks_, kWhole);
        hole[i] = static_cast<SectorMask>(~mask);
        Add(std::move(hole));
      }
    }
  }
  void AddPairs() {
    for (size_t i = 0; i < blocks_; ++i) {
      for (size_t j = i + 1; j < blocks_; ++j) {
        for (const SectorMask rest : {SectorMask{0}, kWhole}) {
          ImagePlan plan(blocks_, rest);
          plan[i] = plan[j] = static_cast<SectorMask>(~rest);
          Add(std::move(plan));
        }
      }
    }
  }
  void AddSubsets() {
    for (uint32_t set = 0; set < (1u << blocks_); ++set) {
      ImagePlan plan(blocks_, 0);
      for (size_t i = 0; i < blocks_; ++i) plan[i] = (set >> i & 1) != 0 ? kWhole : SectorMask{0};
      Add(std::move(plan));
    }
  }
  void AddRandom(size_t count, SimRandom* random) {
    for (; count > 0; --count) {
      ImagePlan plan(blocks_, 0);
      for (SectorMask& mask : plan) {
        const uint64_t kind = random->Below(4);
        const auto most = static_cast<SectorMask>(random->Next() | random->Next());
        mask = kind == 0 ? SectorMask{0} : kind == 1 ? kWhole : most;
      }
      Add(std::move(plan));
    }
  }

 private:
  ImagePlan Prefix(size_t end) const {
    ImagePlan plan(blocks_, 0);
    std::fill(plan.begin(), plan.begin() + static_cast<std::ptrdiff_t>(end), kWhole);
    return plan;
  }
  void Add(ImagePlan plan) {
    if (seen_.insert(plan).second) plans_.push_back(std::move(plan));
  }

  const size_t blocks_;
  std::set<ImagePlan> seen_;
  std::vector<ImagePlan> plans_;
};

}  // namespace

std::vector<ImagePlan> MakePlans(size_t blocks, size_t most, bool without_all, SimRandom* random) {
  if (blocks == 0) return {ImagePlan{}};
  Planner planner(blocks, without_all);
  planner.AddTelling(random);
  const size_t telling = planner.size();
  planner.AddPrefixes();
  planner.AddSingles();
  planner.AddTorn();
  planner.AddPairs();
  if (blocks <= kAllSubsetsUpTo) planner.AddSubsets();
  planner.AddRandom(8, random);
  std::vector<ImagePlan> plans = planner.Take();
  for (size_t i = telling; i < std::min(most, plans.size()); ++i) {
    std::swap(plans[i], plans[i + random->Below(plans.size() - i)]);
  }
  if (plans.size() > most) plans.resize(most);
  return plans;
}

Playback::Playback(const Disks& disks) {
  for (const auto& disk : disks) durable_.push_back(std::make_shared<SimDisk>(*disk));
}

void Playback::Play(const RecordedCall& call) {
  const auto volume = static_cast<size_t>(std::stoul(call.path.substr(4)));
  if (call.kind == RecordedKind::kWrite) {
    for (size_t at = 0; at < call.data.size(); at += kBlockBytes) {
      pending_.push_back({volume, call.offset + at, std::span(call.data).subspan(at, kBlockBytes)});
    }
    return;
  }
  for (const PendingBlock& block : pending_) {
    if (block.volume == volume) durable_[volume]->WriteSectors(block.offset, block.data);
  }
  std::erase_if(pending_, [volume](const PendingBlock& block) { return block.volume == volume; });
}

Disks Playback::Image(const ImagePlan& plan) const {
  Disks image;
  for (const auto& disk : durable_) image.push_back(std::make_shared<SimDisk>(*disk));
  for (size_t i = 0; i < pending_.size(); ++i) {
    const PendingBlock& block = pending_[i];
    for (unsigned first = 0; first < kSectors;) {  // neighbours together
      unsigned end = first;
      while (end < kSectors && (plan[i] >> end & 1) != 0) ++end;
      if (end > first) {
        const auto sectors = block.data.subspan(first * kSectorBytes, (end - first) * kSectorBytes);
        image[block.volume]->WriteSectors(block.offset + first * kSectorBytes, sectors);
      }
      first = end + 1;
    }
  }
  return image;
}

Disks Playback::EverythingWritten() const { return Image(ImagePlan(pending_.size(), kWhole)); }

}  // namespace plogdb::test
