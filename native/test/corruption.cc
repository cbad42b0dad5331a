// The subject and its judge: see corruption.h.
#include "corruption.h"

#include <memory>
#include <vector>

#include "assert.h"
#include "store_probe.h"

namespace plogdb::test {
namespace {

Disks DisksOf(Fixture* fixture) {
  Disks disks;
  for (size_t i = 0; i < fixture->options.volumes.size(); ++i) {
    disks.push_back(std::make_shared<SimDisk>(*fixture->disk(i)));
  }
  return disks;
}

}  // namespace

Disks CopyOf(const Disks& disks) {
  Disks copy;
  for (const auto& disk : disks) copy.push_back(std::make_shared<SimDisk>(*disk));
  return copy;
}

Subject MakeSubject(size_t volumes, uint64_t seed) {
  Subject subject;
  subject.script.volumes = volumes;
  subject.script.extent_bytes = kSmallExtent;
  SimRandom random(seed);
  for (int i = 0; i < 24; ++i) subject.script.keys.push_back("key" + std::to_string(i));
  std::vector<uint64_t> position(subject.script.keys.size(), 0);
  const auto fixture = MakeFixture(subject.script, {});
  PLOGDB_ASSERT(fixture->Open().ok(), "a fresh store opens");
  while (fixture->Stats().bytes_written < volumes * kUsedBytes * 9 / 10) {
    const size_t k = random.Below(subject.script.keys.size());
    const bool drop = random.Chance(8);
    position[k] = drop ? 0 : position[k] + 1;
    const OpKind kind = drop ? OpKind::kDrop : OpKind::kPut;
    PutSpec op{kind, subject.script.keys[k], position[k], position[k], random.Next(), ""};
    if (!drop) op.value = MakeValue(random.Next(), random.Below(random.Chance(25) ? 9'000 : 1'500));
    if (!drop && random.Chance(50)) --op.floor;
    const StatusCode done = fixture->Run({op});
    PLOGDB_ASSERT(done == StatusCode::kOk, "there is room");
    subject.oracle.Apply({op});
    if (!subject.half.empty() || fixture->Stats().bytes_written < volumes * kUsedBytes / 2) continue;
    fixture->Idle();
    subject.half = DisksOf(fixture.get());
    subject.half_watermark = fixture->store->Watermark();
  }
  subject.watermark = fixture->store->Watermark();
  fixture->store->Close();
  subject.whole = DisksOf(fixture.get());
  return subject;
}

std::string Judge(const Subject& subject, const Disks& disks, Verdict* verdict) {
  const auto fixture = MakeFixture(subject.script, disks);
  ++verdict->stores;
  for (int opening = 0; opening < 2; ++opening) {
    const Status status = fixture->Open();
    if (!status.ok()) return "cannot open: " + status.message();
    std::string why = StoreProbe::Check(*fixture->store);
    if (!why.empty()) return why;
    uint64_t corrupt = 0;
    for (const std::string& key : subject.script.keys) {
      if (fixture->Load(key).corrupt) {
        ++corrupt;
        continue;
      }
      const size_t at = subject.oracle.batches();
      if (subject.oracle.Match(fixture.get(), at, at, {key}, true, &why)) continue;
      // Damage in an extent that was opened by its summary is met by the read, and is known from then on (D16).
      if (fixture->Load(key).corrupt) {
        ++corrupt;
        continue;
      }
      if (fixture->report.unknown_losses == 0) return "opening " + std::to_string(opening) + ", nothing said: " + why;
    }
    if (opening == 1) continue;
    verdict->corrupt_keys += corrupt;
    verdict->unknown += fixture->report.unknown_losses > 0 ? 1 : 0;
    verdict->right += corrupt + fixture->report.unknown_losses == 0 ? 1 : 0;
  }
  return "";
}

std::vector<uint8_t> ReadBlock(const Disks& disks, uint64_t block) {
  std::vector<uint8_t> bytes(kBlockBytes);
  PLOGDB_ASSERT(disks[0]->Read(block * kBlockBytes, bytes).ok(), "in range");
  return bytes;
}

Disks Flipped(const Subject& subject, uint64_t byte) {
  Disks disks = CopyOf(subject.whole);
  disks[0]->FlipBits(byte, static_cast<uint8_t>(1u << (byte * 7 % 8)));
  return disks;
}

Disks Misdirected(const Subject& subject, uint64_t from, uint64_t to) {
  Disks disks = CopyOf(subject.whole);
  disks[0]->WriteSectors(to * kBlockBytes, ReadBlock(subject.whole, from));
  return disks;
}

std::string JudgeOldVolume(const Subject& subject) {
  const auto old = MakeFixture(subject.script, subject.half);
  if (!old->Open().ok()) return "cannot open";
  if (old->report.recovered_watermark < subject.half_watermark) return "the old copy lost something too";
  return old->report.recovered_watermark < subject.watermark ? "" : "the watermark does not tell";
}

}  // namespace plogdb::test
