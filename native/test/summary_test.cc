// Summaries of sealed extents (D17). The method: whatever lies on the disks, an opening by summaries and one by a full
// scan must find the same, compared in everything that recovery hands over. Replay: run --seed S "summaries"
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "canary.h"
#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "key_index.h"
#include "recovery.h"
#include "summary.h"

namespace plogdb::test {
namespace {

constexpr uint64_t kExtentBytes = uint64_t{1} << 20;
constexpr uint32_t kExtentBlocks = kExtentBytes / kBlockBytes;

struct Recovered {
  std::string text;
  uint64_t summarized = 0;
};

void Say(std::string* text, const char* name, uint64_t value) {
  *text += std::string(name) + "=" + std::to_string(value) + " ";
}

std::string Describe(const RecoveryResult& result, KeyIndex* index, const std::vector<std::string>& keys,
                     const std::vector<std::unique_ptr<ExtentMap>>& maps) {
  std::string text;
  Say(&text, "next_id", result.next_id);
  Say(&text, "next_lsn", result.next_lsn);
  Say(&text, "watermark", result.watermark);
  Say(&text, "unknown", result.unknown_losses);
  for (size_t i = 0; i < maps.size(); ++i) {
    const WriterStart& start = result.start[i];
    Say(&text, "\nextent", start.extent);
    Say(&text, "next_block", start.next_block);
    Say(&text, "life", start.life);
    Say(&text, "announced", start.announced);
    Say(&text, "directory", start.directory_entries);
    Say(&text, "bytes", KeyHash(start.directory));
    Say(&text, "complete", start.directory_complete ? 1 : 0);
    Say(&text, "keep", start.keep_first_extent ? 1 : 0);
    Say(&text, "mark", result.marks[i].first_id);
    Say(&text, "live", maps[i]->Totals().live_bytes);
    Say(&text, "used", maps[i]->Totals().used_extents);
    for (uint32_t extent = 0; extent < 8; ++extent) {
      const ExtentLife life = maps[i]->Life(extent);
      Say(&text, "life", life.life);
      Say(&text, "from", life.watermark);
      Say(&text, "sealed", maps[i]->IsSealed(extent, life.life) ? 1 : 0);
    }
  }
  for (const std::string& key : keys) {
    LoadedKey loaded;
    index->Load(AsBytes(key), KeyHash(AsBytes(key)), &loaded);
    text += "\n" + key + (loaded.corrupt ? " corrupt" : "");
    for (uint32_t i = 0; i < loaded.slots; ++i) {
      const SlotView& slot = loaded.slot[i];
      text += " " + std::to_string(slot.position) + "/" + std::to_string(slot.floor) + "/" + std::to_string(slot.lsn) +
              "/" + std::to_string(slot.value_bytes) + "/" + std::to_string(KeyHash(slot.header));
    }
    const KeyState state = index->StateOf(AsBytes(key), KeyHash(AsBytes(key)));
    text += " " + std::to_string(state.erased_below) + (state.marker_only ? " deleted" : "");
  }
  return text;
}

// Recovery alone, which writes nothing.
Recovered Recover(Fixture* fixture, const std::vector<std::string>& keys, const RecoveryOptions& options) {
  const Geometry geometry = MakeGeometry(uint64_t{8} << 20);
  std::vector<std::unique_ptr<BlockDevice>> devices(fixture->options.volumes.size());
  std::vector<std::unique_ptr<ExtentMap>> maps;
  std::vector<RecoveryVolume> volumes;
  for (size_t i = 0; i < devices.size(); ++i) {
    bool created = false;
    const std::string& path = fixture->options.volumes[i].path;
    if (!fixture->factory->Open(path, geometry.volume_bytes, &devices[i], &created).ok()) return {"cannot open", 0};
    maps.push_back(std::make_unique<ExtentMap>(geometry));
    volumes.push_back({devices[i].get(), geometry, maps.back().get()});
  }
  KeyIndex index(0);
  RecoveryResult result;
  Recovery(fixture->report.storage_id, volumes, &index, options).Run(&result);
  return {Describe(result, &index, keys, maps), result.summarized_extents};
}

// Empty when all ways of opening find the same.
std::string Differs(Fixture* fixture, const std::vector<std::string>& keys, uint64_t* summarized) {
  const Recovered scanned = Recover(fixture, keys, {1, true});
  const Recovered told = Recover(fixture, keys, {1, false});
  const Recovered parallel = Recover(fixture, keys, {3, false});
  *summarized += told.summarized;
  if (scanned.summarized != 0) return "a summary served though it was not to";
  if (told.text != scanned.text) return "by scan: " + scanned.text + "\nby summary: " + told.text;
  if (parallel.text != told.text) return "by one thread: " + told.text + "\nby three: " + parallel.text;
  return "";
}

void CopyDisks(const Fixture& from, Fixture* to) {
  for (const VolumeOptions& volume : from.options.volumes) {
    to->factory->Put(volume.path, std::make_shared<SimDisk>(*from.factory->Find(volume.path)));
  }
  to->report = from.report;
}

// Sealed extents with many small records and deletions, some of them of keys that are written again.
std::vector<std::string> FillExtents(Fixture* fixture, uint64_t batches) {
  std::vector<std::string> keys;
  for (uint64_t batch = 0; batch < batches; ++batch) {
    std::vector<PutSpec> ops;
    for (uint64_t i = 0; i < 100; ++i) {
      keys.push_back("key" + std::to_string(batch * 80 + i));
      const OpKind kind = i % 17 == 5 ? OpKind::kDrop : OpKind::kPut;
      ops.push_back({kind, keys.back(), batch + 2, batch + 1 + i % 2, i, MakeValue(i, 10 + i * 9)});
    }
    CHECK(fixture->Run(ops) == StatusCode::kOk);
  }
  fixture->Idle();
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

// First block of the summary that ends `extent`, from its trailer's own words; 0 when there is none.
uint32_t SummaryStartOf(Fixture* fixture, uint32_t extent) {
  std::vector<uint8_t> block(kBlockBytes);
  const uint32_t number = (extent + 1) * kExtentBlocks - 1;
  CHECK(fixture->disk()->Read(uint64_t{number} * kBlockBytes, block).ok());
  const auto header = ReadBlockHeader(block, fixture->report.storage_id, 0, number, kSummaryMagic);
  return header ? number - header->index : 0;
}

CASE("summaries: every sealed extent gets one in the background, and an opening uses it") {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  REQUIRE(fixture.Open().ok());
  const auto keys = FillExtents(&fixture, 40);
  CHECK(fixture.Stats().summary_bytes > 8 * kBlockBytes);
  uint64_t summarized = 0;
  Fixture copy;
  CopyDisks(fixture, &copy);
  const std::string why = Differs(&copy, keys, &summarized);
  if (!why.empty()) Failed(__FILE__, __LINE__, why);
  CHECK(summarized >= 2 && SummaryStartOf(&copy, 0) != 0 && SummaryStartOf(&copy, 1) != 0);
  CHECK(copy.Open().ok() && copy.report.summarized_extents == summarized);
}

// Damages the summary of extent 0 at `at`, in one of several ways.
void Damage(SimDisk* disk, uint64_t at, uint64_t way, uint64_t other) {
  const uint64_t sector = at / kSectorBytes * kSectorBytes;
  std::vector<uint8_t> block(kBlockBytes, 0);
  if (way == 0) return disk->FlipBits(at, static_cast<uint8_t>(1u << (at % 8)));
  if (way == 1) return disk->WriteSectors(sector, std::span(block).first(kSectorBytes));  // torn
  if (way == 2) return disk->WriteSectors(at / kBlockBytes * kBlockBytes, block);         // missing
  if (!disk->Read(other, block).ok()) return;
  disk->WriteSectors(at / kBlockBytes * kBlockBytes, block);  // from elsewhere
}

// Damage in every `step` bytes of a summary. Returns the first difference.
std::string DamageSummary(uint64_t step, uint64_t* places, uint64_t* refused) {
  Fixture base;
  if (!base.Open().ok()) return "open";
  const auto keys = FillExtents(&base, 50);
  base.Close();
  const uint32_t start = SummaryStartOf(&base, 0);
  if (start == 0) return "no summary";
  uint64_t all = 0;
  std::string why = Differs(&base, keys, &all);
  for (uint64_t at = uint64_t{start} * kBlockBytes; at < kExtentBytes && why.empty(); at += step) {
    Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
    CopyDisks(base, &fixture);
    const uint64_t other = uint64_t{SummaryStartOf(&base, 1)} * kBlockBytes;
    Damage(fixture.disk().get(), at, at / step % 4, other);
    uint64_t summarized = 0;
    why = Differs(&fixture, keys, &summarized);
    ++*places;
    *refused += summarized + 1 == all ? 1 : 0;
  }
  return why;
}

CASE("summaries: torn, flipped, missing or foreign, an opening finds what a scan finds") {
  uint64_t places = 0;
  uint64_t refused = 0;
  const std::string why = DamageSummary(487, &places, &refused);
  if (!why.empty()) Failed(__FILE__, __LINE__, why);
  std::printf("     %llu damages, %llu summaries refused\n", static_cast<unsigned long long>(places),
              static_cast<unsigned long long>(refused));
  CHECK(places > 100 && refused + 3 >= places);  // a sector of padding that was zero before is no damage
}

CASE("canary: a summary believed with a block that does not fit is caught") {
  g_canary = Canary::kSummaryNotChecked;
  uint64_t places = 0;
  uint64_t refused = 0;
  CHECK(!DamageSummary(1009, &places, &refused).empty());
}

// Overwrites, deletes and goes idle at random over all extents of one or two volumes; at many moments the power fails,
// and all ways of opening must agree. Extents are written over again and again: leftovers of all kinds lie about.
std::string Churn(uint64_t seed, uint64_t* images, uint64_t* summarized) {
  SimRandom random(seed);
  Fixture fixture(1 + seed % 2);
  std::vector<std::string> keys;
  for (int i = 0; i < 60; ++i) keys.push_back("key" + std::to_string(i));
  if (!fixture.Open().ok()) return "open";
  for (uint64_t i = 1; i < 160; ++i) {
    std::vector<PutSpec> ops;
    for (uint64_t count = random.Below(12); count-- > 0;) {
      const size_t k = random.Below(random.Chance(70) ? 8 : keys.size());
      const OpKind kind = random.Chance(10) ? OpKind::kDrop : OpKind::kPut;
      const uint64_t bytes = random.Below(random.Chance(20) ? 60'000 : 3'000);
      ops.push_back({kind, keys[k], i, i - random.Below(2), random.Next(), MakeValue(random.Next(), bytes)});
    }
    fixture.Submit(ops);
    for (uint64_t steps = random.Below(6); steps-- > 0;) fixture.store->Step(nullptr);
    if (random.Chance(40)) fixture.StepAll();
    if (random.Chance(5)) fixture.Idle();
    if (!random.Chance(20)) continue;
    Fixture image(fixture.options.volumes.size());
    CopyDisks(fixture, &image);
    if (random.Chance(70)) image.Crash(random.Next());
    ++*images;
    const std::string why = Differs(&image, keys, summarized);
    if (!why.empty()) return "operation " + std::to_string(i) + ": " + why;
    if (!random.Chance(15)) continue;
    fixture.Crash(random.Next());  // live on from a crash
    if (!fixture.Open().ok()) return "cannot open";
  }
  return "";
}

CASE("summaries: whenever the power fails, an opening by summaries finds what a scan finds") {
  uint64_t images = 0;
  uint64_t summarized = 0;
  for (uint64_t seed = settings().seed; seed < settings().seed + settings().workloads; ++seed) {
    const std::string why = Churn(seed, &images, &summarized);
    if (!why.empty()) Failed(__FILE__, __LINE__, "seed " + std::to_string(seed) + ": " + why);
  }
  std::printf("     %llu images, %llu summaries used\n", static_cast<unsigned long long>(images),
              static_cast<unsigned long long>(summarized));
  CHECK(images > 10 && summarized > images / 2);
}

// A newer life's summary never reached the medium: the earlier life's is whole, and lies where it lay.
std::string ShowOldSummary() {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  if (!fixture.Open().ok()) return "open";
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) keys.push_back("key" + std::to_string(i));
  std::unique_ptr<SimDisk> earlier;
  uint64_t start = 0;
  uint64_t bytes = 0;
  uint64_t old_life = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    if (fixture.Put(keys[i % 200], i, i, MakeValue(i, 3'000)) != StatusCode::kOk) return "put";
    if (i % 10 != 0 || SummaryStartOf(&fixture, 1) == 0) continue;
    std::vector<uint8_t> block(kBlockBytes);
    if (!fixture.disk()->Read(kExtentBytes + kBlockBytes, block).ok()) return "read";
    const auto header = ReadBlockHeader(block, fixture.report.storage_id, 0, kExtentBlocks + 1);
    if (!header) return "no first block";
    if (earlier == nullptr) {
      earlier = std::make_unique<SimDisk>(*fixture.disk());
      old_life = header->life;
      start = uint64_t{SummaryStartOf(&fixture, 1)} * kBlockBytes;
      bytes = 2 * kExtentBytes - start;
    } else if (header->life != old_life) {
      break;  // it was just opened anew
    }
  }
  if (earlier == nullptr) return "no summary";
  // One key keeps the new life from ending; at some of the moments that follow nothing announces the extent any more.
  keys.push_back("cold");
  if (fixture.Put("cold", 1, 1, "cold") != StatusCode::kOk) return "put";
  std::vector<uint8_t> summary(bytes);
  if (!earlier->Read(start, summary).ok()) return "read";
  std::string why;
  for (uint64_t i = 4000; i < 6000 && why.empty(); ++i) {
    if (fixture.Put(keys[i % 200], i, i, MakeValue(i, 3'000)) != StatusCode::kOk) return "put";
    if (i % 70 != 0) continue;
    fixture.Idle();
    Fixture image;
    CopyDisks(fixture, &image);
    image.disk()->WriteSectors(start, summary);
    uint64_t summarized = 0;
    why = Differs(&image, keys, &summarized);
  }
  return why;
}

CASE("summaries: one of an earlier life is not believed, though it is whole") {
  const std::string why = ShowOldSummary();
  if (!why.empty()) Failed(__FILE__, __LINE__, why);
}

CASE("canary: a summary believed though its extent has a newer life is caught") {
  g_canary = Canary::kSummaryNotChecked;
  CHECK(!ShowOldSummary().empty());
}

CASE("summaries: of an extent that is free before its summary was written, nothing is written") {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  REQUIRE(fixture.Open().ok());
  for (uint64_t i = 1; i < 60; ++i) CHECK(fixture.Put("hot", i, i, MakeValue(i, 100'000)) == StatusCode::kOk);
  const StoreStats stats = fixture.Stats();
  CHECK(stats.extents_freed >= 5 && stats.summary_bytes == 0);
}

CASE("summaries: one that a crash prevented is made up for by the next opening") {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  REQUIRE(fixture.Open().ok());
  const auto keys = FillExtents(&fixture, 40);
  const uint32_t start = SummaryStartOf(&fixture, 0);
  REQUIRE(start != 0);
  Fixture next;
  CopyDisks(fixture, &next);
  const uint64_t bytes = kExtentBytes - uint64_t{start} * kBlockBytes;
  std::vector<uint8_t> before(bytes);
  CHECK(next.disk()->Read(uint64_t{start} * kBlockBytes, before).ok());
  next.disk()->WriteSectors(uint64_t{start} * kBlockBytes, std::vector<uint8_t>(bytes, 0));
  REQUIRE(next.Open().ok());
  const uint64_t summarized = next.report.summarized_extents;
  next.Idle();
  next.Close();
  std::vector<uint8_t> after(bytes);
  CHECK(next.disk()->Read(uint64_t{start} * kBlockBytes, after).ok());
  CHECK(after == before);  // from a scan it is the same, byte by byte
  REQUIRE(next.Open().ok());
  CHECK(next.report.summarized_extents == summarized + 1);
}

CASE("summaries: of an extent with a broken place none is written, and what is broken is told at every opening") {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("lost", 1, 1, "x") == StatusCode::kOk);
  CHECK(fixture.Put("kept", 1, 1, "y") == StatusCode::kOk);
  fixture.Close();
  fixture.disk()->FlipBits(2 * kBlockBytes + 200, 1);
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.report.corrupt_keys == 1);
  FillExtents(&fixture, 40);
  CHECK(SummaryStartOf(&fixture, 0) == 0 && SummaryStartOf(&fixture, 1) != 0);
  fixture.Close();
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Load("lost").corrupt && fixture.report.corrupt_keys == 1 && fixture.report.unknown_losses == 0);
}

CASE("summaries: damage inside a summarized extent is met by the read, per key, at every opening (D16)") {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.Put("first", 1, 1, "x") == StatusCode::kOk);
  FillExtents(&fixture, 40);
  fixture.Close();
  // Its run and the one behind it, which alone holds its directory: to a scan an unknown loss.
  fixture.disk()->WriteSectors(2 * kBlockBytes, std::vector<uint8_t>(2 * kBlockBytes, 0));
  for (int opening = 0; opening < 2; ++opening) {
    REQUIRE(fixture.Open().ok());
    CHECK(fixture.report.unknown_losses == 0 && fixture.report.corrupt_keys == 0);
    std::string value;
    CHECK(fixture.ReadValue("first", 1, &value) == StatusCode::kCorrupt && fixture.Load("first").corrupt);
  }
}

CASE("summaries: a lost first write, though it looks never written, is told by what the trailer says") {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  const auto keys = FillExtents(&fixture, 40);
  fixture.Close();
  fixture.disk()->WriteSectors(kExtentBytes + kBlockBytes, std::vector<uint8_t>(1 << 19, 0));
  REQUIRE(fixture.Open().ok());
  CHECK(fixture.report.unknown_losses + fixture.report.corrupt_keys > 0);
}

CASE("summaries: the smallest records fill a store to the brim, and what was promised fits (D12)") {
  Fixture fixture;
  fixture.options.merge.paused = true;  // everything stays where it was written
  fixture.options.cache_bytes = 0;
  REQUIRE(fixture.Open().ok());
  SimRandom random(settings().seed);
  StatusCode status = StatusCode::kOk;
  uint64_t keys = 0;
  for (uint64_t batch = 0; status == StatusCode::kOk && batch < 2000; ++batch) {
    std::vector<PutSpec> ops;
    for (uint64_t i = 1 + random.Below(700); i-- > 0;) {
      ops.push_back({OpKind::kPut, std::to_string(keys++), 1, 1, i, random.Chance(95) ? "" : "v"});
    }
    status = fixture.Run(ops);
    if (batch % 37 != 36) continue;
    fixture.Crash(batch);
    REQUIRE(fixture.Open().ok());
  }
  CHECK(status == StatusCode::kDiskFull && fixture.Stats().state == StoreState::kOpen);
  fixture.Idle();
  fixture.Close();
  uint64_t summarized = 0;
  const std::string why = Differs(&fixture, {"0", "1", "1000"}, &summarized);
  if (!why.empty()) Failed(__FILE__, __LINE__, why);
  CHECK(summarized >= 3);
}

}  // namespace
}  // namespace plogdb::test
