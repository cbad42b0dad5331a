// Goal: the model of a mechanical disk behaves as such a disk is known to. Method: workloads whose rates follow from
// the data sheet by arithmetic (7,200 rpm: 8.33 ms a turn), and bounds that a wrong model leaves.
#include "disk_model.h"

#include <string>
#include <vector>

#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "sim_device.h"

namespace plogdb::test {
namespace {

constexpr uint64_t kMs = 1'000'000;

std::vector<DiskCommand> RandomCommands(const DiskModel& disk, size_t count, bool write) {
  SimRandom random(settings().seed);
  std::vector<DiskCommand> commands;
  const uint64_t blocks = disk.options().disk_bytes / kBlockBytes;
  for (size_t i = 0; i < count; ++i) commands.push_back({random.Below(blocks) * kBlockBytes, kBlockBytes, write});
  return commands;
}

double PerSecond(uint64_t count, uint64_t ns) { return static_cast<double>(count) * 1e9 / static_cast<double>(ns); }

bool Between(double value, double low, double high) { return value >= low && value <= high; }

}  // namespace

CASE("disk model: seeks take what the data sheet says") {
  const DiskModel disk({});
  const uint64_t tracks = disk.options().disk_bytes / disk.TrackBytes();
  CHECK(disk.SeekNs(0) == 0);
  CHECK(Between(static_cast<double>(disk.SeekNs(1)), 1.0 * kMs, 1.1 * kMs));
  CHECK(Between(static_cast<double>(disk.SeekNs(tracks)), 15.9 * kMs, 16.0 * kMs));
  SimRandom random(settings().seed);
  double sum = 0;
  constexpr int kPairs = 100'000;
  for (int i = 0; i < kPairs; ++i) {
    const uint64_t from = random.Below(tracks);
    const uint64_t to = random.Below(tracks);
    sum += static_cast<double>(disk.SeekNs(from > to ? from - to : to - from));
  }
  CHECK(Between(sum / kPairs, 8.4 * kMs, 8.6 * kMs));
  for (uint64_t d = 1; d < tracks; d += tracks / 1000) CHECK(disk.SeekNs(d) <= disk.SeekNs(d + 1));
}

CASE("disk model: random reads one at a time are 75 to 80 a second") {
  DiskModel disk({});
  for (const DiskCommand& command : RandomCommands(disk, 4000, false)) disk.Read(command.address, command.bytes);
  CHECK(Between(PerSecond(4000, disk.now_ns()), 75, 80));
  CHECK(disk.stats().seeks >= 3990 && disk.stats().reads == 4000);
}

CASE("disk model: a queue of 32 serves random reads more than twice as fast, a deeper one faster still") {
  double rates[3] = {};
  const uint32_t depths[3] = {1, 32, 256};
  for (int i = 0; i < 3; ++i) {
    DiskModelOptions options;
    options.queue_depth = depths[i];
    DiskModel disk(options);
    disk.Run(RandomCommands(disk, 4000, false));
    rates[i] = PerSecond(4000, disk.now_ns());
  }
  CHECK(Between(rates[0], 75, 80));
  CHECK(Between(rates[1], 2 * rates[0], 4 * rates[0]));
  CHECK(rates[2] > rates[1]);
}

CASE("disk model: writing on behind the last flush costs one rotation, cache or not") {
  for (const bool cache : {true, false}) {
    DiskModelOptions options;
    options.write_cache = cache;
    DiskModel disk(options);
    constexpr uint64_t kRuns = 1000;
    constexpr uint64_t kRunBytes = 3 * kBlockBytes;
    const uint64_t start = disk.now_ns();
    for (uint64_t i = 0; i < kRuns; ++i) {
      disk.Write(i * kRunBytes, kRunBytes);
      disk.Flush();
    }
    const auto each = static_cast<double>((disk.now_ns() - start) / kRuns);
    CHECK(Between(each, 0.99 * static_cast<double>(disk.RotationNs()), 1.03 * static_cast<double>(disk.RotationNs())));
    CHECK(disk.stats().seeks <= kRuns * kRunBytes / disk.TrackBytes() + 1);
    CHECK(disk.stats().bytes_written == kRuns * kRunBytes);
  }
}

CASE("disk model: a flush far away costs seek and half a turn more than one nearby") {
  DiskModel disk({});
  const uint64_t far = disk.options().disk_bytes / 2;
  for (uint64_t i = 0; i < 500; ++i) {
    disk.Write((i % 2) * far + i * kBlockBytes, kBlockBytes);
    disk.Flush();
  }
  const double each = static_cast<double>(disk.now_ns()) / 500;
  const double seek = static_cast<double>(disk.SeekNs(far / disk.TrackBytes()));
  CHECK(each > seek && each < seek + 1.1 * static_cast<double>(disk.RotationNs()));
  CHECK(disk.stats().seeks >= 499);
}

CASE("disk model: sequential transfers run at the platter's speed less the changes of track, in any size") {
  for (const bool write : {true, false}) {
    for (const uint64_t bytes : {uint64_t{64} << 10, uint64_t{1} << 20, uint64_t{8} << 20}) {
      DiskModel disk({});
      const uint64_t total = uint64_t{512} << 20;
      for (uint64_t at = 0; at < total; at += bytes) write ? disk.Write(at, bytes) : disk.Read(at, bytes);
      disk.Flush();
      CHECK(Between(PerSecond(total, disk.now_ns()), 150e6, 165e6));
    }
  }
}

CASE("disk model: the cache hides a write, not a flush, and not more than it holds") {
  DiskModelOptions options;
  options.cache_bytes = 1 << 20;
  DiskModel disk(options);
  const std::vector<DiskCommand> writes = RandomCommands(disk, 512, true);
  disk.Run(std::span(writes).first(1));
  CHECK(disk.now_ns() < kMs);
  disk.Flush();
  CHECK(disk.now_ns() > kMs);
  const uint64_t start = disk.now_ns();
  disk.Run(std::span(writes).subspan(1, 200));  // 800 KiB
  CHECK(disk.now_ns() - start < 200 * kMs / 4);
  disk.Run(std::span(writes).subspan(201));
  CHECK(disk.now_ns() - start > 150 * kMs);  // now it waits for the platter
  CHECK(disk.stats().bytes_written == 512 * kBlockBytes);
}

CASE("disk model: an idle disk writes its cache back, so that a late flush is short") {
  DiskModel disk({});
  disk.Run(RandomCommands(disk, 20, true));
  disk.AdvanceTo(disk.now_ns() + 1000 * kMs);
  CHECK(disk.stats().accesses == 20);
  const uint64_t start = disk.now_ns();
  disk.Flush();
  CHECK(disk.now_ns() - start < kMs);
}

CASE("disk model: what touches in the cache is one access") {
  DiskModel disk({});
  const uint64_t far = disk.options().disk_bytes / 2;
  disk.Write(far, kBlockBytes);  // the head is busy there while the others come
  for (const uint64_t block : {5, 3, 4, 7, 6, 4}) disk.Write(block * kBlockBytes, kBlockBytes);
  disk.Flush();
  CHECK(disk.stats().accesses == 2 && disk.stats().writes == 7);
}

CASE("disk model: the same commands take the same time, and time never runs back") {
  uint64_t ends[2] = {};
  for (uint64_t& end : ends) {
    DiskModel disk({});
    SimRandom random(settings().seed);
    uint64_t last = 0;
    for (int i = 0; i < 3000; ++i) {
      const uint64_t address = random.Below(disk.options().disk_bytes / kBlockBytes - 512) * kBlockBytes;
      const uint64_t bytes = (1 + random.Below(512)) * kBlockBytes;
      const uint64_t what = random.Below(4);
      if (what == 0) disk.Read(address, bytes);
      if (what == 1) disk.Write(address, bytes);
      if (what == 2) disk.Flush();
      if (what == 3) disk.AdvanceTo(disk.now_ns() + random.Below(20 * kMs));
      CHECK(disk.now_ns() >= last);
      last = disk.now_ns();
    }
    end = last;
  }
  CHECK(ends[0] == ends[1]);
}

CASE("disk model: a small volume spread over a share of the disk keeps its chunks whole") {
  constexpr uint64_t kChunk = uint64_t{8} << 20;
  constexpr uint64_t kVolume = 64 * kChunk;
  const uint64_t disk_bytes = uint64_t{4} << 40;
  const DiskPlacement placement = DiskPlacement::Over(kVolume, kChunk, disk_bytes, 0.5);
  CHECK(placement.Address(kChunk - 1) == kChunk - 1);
  CHECK(placement.Address(kVolume - 1) < disk_bytes / 2);
  CHECK(placement.Address(kVolume - kChunk) > disk_bytes / 2 - disk_bytes / 64);
  std::vector<DiskCommand> commands;
  placement.Map(kChunk - kBlockBytes, 2 * kBlockBytes, true, &commands);
  REQUIRE(commands.size() == 2);
  CHECK(commands[0].address == kChunk - kBlockBytes && commands[0].bytes == kBlockBytes);
  CHECK(commands[1].address == placement.stride_bytes && commands[1].bytes == kBlockBytes);
}

CASE("simulated disk: with a model, a store's puts take a disk's time on the virtual clock") {
  DiskModel model({});  // outlives the store
  Fixture fixture;
  auto disk = std::make_shared<SimDisk>(fixture.options.volumes[0].bytes);
  disk->SetModel(&model, DiskPlacement::Over(disk->bytes(), disk->bytes() / 8, model.options().disk_bytes, 0.5));
  fixture.factory->Put(fixture.options.volumes[0].path, disk);
  fixture.options.now_us = [](void* context) { return static_cast<DiskModel*>(context)->now_ns() / 1000; };
  fixture.options.now_context = &model;
  REQUIRE(Store::Open(fixture.options, &fixture.store, &fixture.report).ok());
  CHECK(model.stats().bytes_read > 0);
  const uint64_t start = model.now_ns();
  constexpr uint64_t kPuts = 50;
  for (uint64_t i = 1; i <= kPuts; ++i) CHECK(fixture.Put("k", i, i - 1, "value") == StatusCode::kOk);
  const double turns = static_cast<double>(model.now_ns() - start) / static_cast<double>(model.RotationNs());
  CHECK(Between(turns, 0.98 * kPuts, 1.5 * kPuts));
}

}  // namespace plogdb::test
