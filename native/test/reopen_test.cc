// What an opening must survive besides the power losses of crash_test.cc (D17, D18): a torn first write over an extent
// of an earlier life, a crash in the middle of an opening, a lost run that only another volume knows, reads that fail.
// After each of them the store must not only show the right records but also go on writing.
#include <memory>
#include <string>
#include <vector>

#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "recorder_device.h"

namespace plogdb::test {
namespace {

std::string KeyOnVolume(uint32_t volume) {
  for (int i = 0;; ++i) {
    std::string key = "k" + std::to_string(i);
    if (VolumeOfKey(KeyHash(AsBytes(key)), 2) == volume) return key;
  }
}

void PutDisk(Fixture* fixture, size_t volume, const SimDisk& disk) {
  fixture->factory->Put("disk" + std::to_string(volume), std::make_shared<SimDisk>(disk));
}

// A store whose hot key has just been written over an extent of an earlier life: `before` is volume 0 without that
// write.
struct Reuse {
  explicit Reuse(size_t volumes) : live(volumes), recorder(live.factory.get(), &recording) {
    live.options.device_factory = &recorder;
    live.options.cache_bytes = 0;
  }
  ~Reuse() { live.Close(); }  // its last words go to the recorder

  Fixture live;
  Recording recording;
  RecorderDeviceFactory recorder;
  std::string hot = KeyOnVolume(0);
  uint64_t newest = 0;  // position that was on its way
  std::unique_ptr<SimDisk> before;
  RecordedCall write;
};

// Overwrites the hot key until a run is written, and not yet flushed, at the start of an extent that held runs before.
bool WriteUntilReuse(Reuse* reuse) {
  Fixture& live = reuse->live;
  if (!live.Open().ok()) return false;
  const uint64_t extent_bytes = live.report.volumes[0].extent_bytes;
  std::vector<uint8_t> old(kBlockBytes);
  for (uint64_t i = 1; i < 200; ++i) {
    reuse->newest = i;
    live.Submit({{OpKind::kPut, reuse->hot, i, i, i, MakeValue(i, 100'000)}});
    for (;;) {
      auto before = std::make_unique<SimDisk>(*live.disk(0));
      reuse->recording.Take();
      if (!live.store->Step(nullptr)) break;
      for (RecordedCall& call : reuse->recording.Take()) {
        if (call.kind != RecordedKind::kWrite || call.offset % extent_bytes != kBlockBytes) continue;
        if (!before->Read(call.offset, old).ok() || IsZero(old)) continue;
        reuse->before = std::move(before);
        reuse->write = std::move(call);
        return true;
      }
    }
    live.Drain();
  }
  return false;
}

CASE("a first write torn over an earlier life leaves a store that goes on writing (D17)") {
  Reuse reuse(1);
  REQUIRE(WriteUntilReuse(&reuse));
  for (const size_t kept : {size_t{0}, size_t{kSectorBytes}, size_t{3 * kSectorBytes}, size_t{9 * kSectorBytes}}) {
    Fixture fixture;
    PutDisk(&fixture, 0, *reuse.before);
    fixture.disk()->WriteSectors(reuse.write.offset, std::span(reuse.write.data).first(kept));
    for (uint64_t opening = 1; opening <= 3; ++opening) {
      REQUIRE(fixture.Open().ok());
      CHECK(fixture.report.unknown_losses == 0 && fixture.report.corrupt_keys == 0);
      const LoadedKey loaded = fixture.Load(reuse.hot);
      CHECK(loaded.slots == 1 && loaded.slot[0].position == reuse.newest - 1);
      CHECK(fixture.Put("other", opening, opening, MakeValue(opening, 30'000)) == StatusCode::kOk);
      fixture.Crash(opening);
    }
  }
}

CASE("a lost first run of an extent's new life is told, though only another volume knows of it (D17)") {
  Reuse reuse(2);
  REQUIRE(WriteUntilReuse(&reuse));
  reuse.live.StepAll();
  CHECK(reuse.live.Load(reuse.hot).slot[0].position == reuse.newest);  // acknowledged
  CHECK(reuse.live.Put(KeyOnVolume(1), 1, 1, "names the newest run of volume 0") == StatusCode::kOk);
  Fixture fixture(2);
  PutDisk(&fixture, 0, *reuse.before);
  PutDisk(&fixture, 1, *reuse.live.disk(1));
  for (uint64_t opening = 1; opening <= 3; ++opening) {
    REQUIRE(fixture.Open().ok());
    CHECK(fixture.report.unknown_losses > 0 || fixture.Load(reuse.hot).corrupt);
    CHECK(fixture.Put(KeyOnVolume(1), 1 + opening, 1 + opening, "life goes on") == StatusCode::kOk);
    for (uint64_t i = 0; i < 40; ++i) {
      const std::string other = "other" + std::to_string(i % 2);
      CHECK(fixture.Put(other, opening * 100 + i, opening * 100 + i, MakeValue(i, 100'000)) == StatusCode::kOk);
    }
  }
}

// A process is killed with a run in the device's cache; the next one finds it, and fails while it opens; then the power
// does. The run was never acknowledged: nothing may be said to be lost, whatever the first volumes wrote meanwhile.
CASE("an opening that ends in the middle covers nothing that is not durable yet (D17)") {
  for (uint32_t volume = 0; volume < 2; ++volume) {
    for (uint64_t flush = 1; flush <= 2; ++flush) {
      Fixture fixture(2);
      REQUIRE(fixture.Open().ok());
      CHECK(fixture.Put(KeyOnVolume(volume), 1, 1, "acknowledged") == StatusCode::kOk);
      fixture.Submit({{OpKind::kPut, KeyOnVolume(volume), 2, 2, 1, "in the cache"}});
      CHECK(fixture.store->Step(nullptr));
      Fixture next(2);
      for (size_t i = 0; i < 2; ++i) PutDisk(&next, i, *fixture.disk(i));
      SimFaults faults;
      faults.fail_flush_in = flush;
      next.disk(volume)->SetFaults(faults);
      CHECK(!next.Open().ok());
      next.Crash(flush);
      REQUIRE(next.Open().ok());
      CHECK(next.report.unknown_losses == 0 && next.report.corrupt_keys == 0);
      const LoadedKey loaded = next.Load(KeyOnVolume(volume));
      CHECK(loaded.slots == 1 && loaded.slot[0].position >= 1);
    }
  }
}

CASE("the watermark never says more than the next opening finds (D18)") {
  Fixture fixture;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("a", 1, 1, "x") == StatusCode::kOk);
  for (uint64_t opening = 1; opening <= 4; ++opening) {
    fixture.Idle();
    const uint64_t told = fixture.store->Watermark();
    fixture.Crash(opening);
    REQUIRE(fixture.Open().ok());
    CHECK(fixture.report.recovered_watermark >= told);
    if (opening == 2) CHECK(fixture.Put("a", 2, 2, "y") == StatusCode::kOk);
  }
}

// Each opening takes a block; when all are taken there is nothing to write any more, and still everything to read.
CASE("a store that is full to the last extent opens as often as you like, and refuses writes (D12)") {
  Fixture fixture;
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  uint64_t keys = 0;
  for (StatusCode status = StatusCode::kOk; status == StatusCode::kOk;) {
    std::vector<PutSpec> batch;
    for (uint64_t i = 0; i < 50; ++i) {
      batch.push_back({OpKind::kPut, "key" + std::to_string(keys + i), 1, 1, i, MakeValue(i, 1'000)});
    }
    status = fixture.Run(batch);
    if (status == StatusCode::kOk) keys += batch.size();
    if (status != StatusCode::kOk) CHECK(status == StatusCode::kDiskFull);
  }
  for (uint64_t opening = 1; opening <= 400; ++opening) {
    fixture.Crash(opening);
    REQUIRE(fixture.Open().ok());
    if (opening % 50 != 0) continue;
    CHECK(fixture.report.recovered_keys == keys && fixture.report.corrupt_keys + fixture.report.unknown_losses == 0);
    CHECK(fixture.Put("key0", 2, 2, MakeValue(1, 2'000)) == StatusCode::kDiskFull);
    const StatusCode small = fixture.Put("key1", opening, opening, "small");
    CHECK(small == StatusCode::kOk || small == StatusCode::kDiskFull);
    CHECK(fixture.Stats().state == StoreState::kOpen);
  }
  std::string value;
  CHECK(fixture.ReadValue("key7", 1, &value) == StatusCode::kOk && value == MakeValue(7, 1'000));
}

CASE("a read error while opening never refuses a store, and loses nothing (D17)") {
  Fixture base;
  REQUIRE(base.Open().ok());
  for (uint64_t i = 1; i <= 60; ++i) {
    CHECK(base.Put("key" + std::to_string(i % 5), i, i, MakeValue(i, 60'000)) == StatusCode::kOk);
  }
  base.Close();
  uint64_t hits = 1;
  for (uint64_t which = 1; hits > 0; ++which) {
    Fixture fixture;
    PutDisk(&fixture, 0, *base.disk());
    SimFaults faults;
    faults.fail_read_in = which;
    fixture.disk()->SetFaults(faults);
    const Status status = fixture.Open();
    if (!status.ok()) Failed(__FILE__, __LINE__, "read " + std::to_string(which) + ": " + status.message());
    REQUIRE(status.ok());
    hits = fixture.disk()->hits().reads_failed;
    CHECK(fixture.report.unknown_losses == 0 && fixture.report.corrupt_keys == 0 && fixture.report.recovered_keys == 5);
  }
}

}  // namespace
}  // namespace plogdb::test
