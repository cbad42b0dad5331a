// The key index alone: memory per key (D15) and nanoseconds per operation, one thread, random order. Not a test.
// Usage: index_bench [keys ...] (default: 1000000)
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "format.h"
#include "key_index.h"
#include "sim_device.h"
#include "store.h"

namespace plogdb {
namespace {

constexpr size_t kKeyBytes = 16;
constexpr size_t kValueBytes = 120;
constexpr uint64_t kBatch = 64;  // operations whose keys are hinted at together

// Of this thread's own time: the machine may do other things beside.
double Nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

struct Key {
  std::array<char, kKeyBytes + 1> text{};
  explicit Key(uint64_t number) {
    std::snprintf(text.data(), text.size(), "key%013llu", static_cast<unsigned long long>(number % 10'000'000'000'000));
  }
  std::string_view view() const { return {text.data(), kKeyBytes}; }
};

struct Bench {
  uint64_t keys = 0;
  size_t header_bytes = 0;
  std::unique_ptr<KeyIndex> index;
  std::vector<uint32_t> order = {};
  uint64_t lsn = 1;

  Record RecordOf(std::string_view key, uint64_t position, uint64_t floor, bool value) {
    Record record;
    record.key = key;
    record.lsn = lsn++;
    record.position = position;
    record.floor = floor;
    record.place = {static_cast<uint32_t>(record.lsn / 20), static_cast<uint16_t>(record.lsn % 20 * 190)};
    record.value_bytes = kValueBytes;
    record.head_bytes = static_cast<uint32_t>(sizeof(RecordHead) + header_bytes);
    record.payload_crc = static_cast<uint32_t>(record.lsn * 2654435761u);
    std::memset(record.header.data(), 7, header_bytes);
    if (value) record.value = ValueRef::Allocate(kValueBytes);
    return record;
  }

  template <typename Act>
  void Time(const char* what, bool hinted, Act act) {
    SimRandom random(lsn);
    for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random.Below(i + 1)]);
    std::vector<Key> names;
    std::vector<uint64_t> hashes;
    names.reserve(order.size());
    hashes.reserve(order.size());
    for (const uint32_t number : order) hashes.push_back(KeyHash(AsBytes(names.emplace_back(number).view())));
    const double start = Nanoseconds();
    for (uint64_t i = 0; i < keys; ++i) {
      if (hinted && i % kBatch == 0) {
        const uint64_t end = std::min(keys, i + kBatch);
        for (uint64_t at = i; at < end; ++at) index->Prefetch(hashes[at]);
        for (uint64_t at = i; at < end; ++at) index->PrefetchEntry(hashes[at]);
      }
      act(names[i].view(), hashes[i]);
    }
    std::printf("    %-46s %6.0f ns\n", what, (Nanoseconds() - start) / static_cast<double>(keys));
    std::fflush(stdout);
  }

  void Put(std::string_view key, uint64_t hash, uint64_t position, uint64_t floor, bool value) {
    DeadRecords dead;
    index->Apply(RecordOf(key, position, floor, value), hash, true, &dead);
  }

  void Say(const char* what) const {
    StoreStats stats;
    index->AddStats(&stats);
    const auto count = static_cast<double>(stats.keys);
    const double own = static_cast<double>(stats.index_bytes) / count - kKeyBytes;
    std::printf("  %-48s %7.1f bytes per key beyond its %zu (headers included), cache %.1f\n", what, own, kKeyBytes,
                static_cast<double>(stats.cache_bytes) / count);
    std::fflush(stdout);
  }

  void Open(uint64_t cache_bytes, bool reserve, uint32_t digest_offset) {
    index = std::make_unique<KeyIndex>(cache_bytes, digest_offset);
    if (reserve) index->Reserve(keys);
    order.clear();
    for (uint64_t i = 0; i < keys; ++i) order.push_back(static_cast<uint32_t>(i));
  }

  void Memory() {
    Open(0, false, header_bytes == 0 ? kNoDigestOffset : 0);
    std::printf("%llu keys, %zu bytes of header, no cache\n", static_cast<unsigned long long>(keys), header_bytes);
    Time("insert", false, [this](auto key, uint64_t hash) { Put(key, hash, 1, 1, false); });
    Say("one record per key");
    if (keys > 2'000'000) return;
    Time("put of the next position", false, [this](auto key, uint64_t hash) { Put(key, hash, 2, 1, false); });
    Say("two records per key");
    Time("put that drops both", false, [this](auto key, uint64_t hash) { Put(key, hash, 3, 3, false); });
    Say("one record per key again");
  }

  void Speed(uint64_t cache_bytes) {
    Open(cache_bytes, true, kNoDigestOffset);
    std::printf("%llu keys, values of %zu bytes, cache of %.0f MiB, reserved\n", static_cast<unsigned long long>(keys),
                kValueBytes, static_cast<double>(cache_bytes) / (1 << 20));
    Time("insert", false, [this](auto key, uint64_t hash) { Put(key, hash, 0, 0, true); });
    Say("cached");
    LoadedKey loaded;
    const auto load = [&](auto key, uint64_t hash) { index->Load(AsBytes(key), hash, &loaded); };
    Time("load", false, load);
    Time("load, hinted", true, load);
    const auto put = [this](auto key, uint64_t hash) { Put(key, hash, 0, 0, true); };
    Time("overwrite", false, put);
    Time("overwrite, hinted", true, put);
    StoreStats stats;
    index->AddStats(&stats);
    std::printf("    hits %llu, cache %llu of %llu\n", static_cast<unsigned long long>(stats.cache_hits),
                static_cast<unsigned long long>(stats.cache_bytes), static_cast<unsigned long long>(cache_bytes));
  }
};

}  // namespace
}  // namespace plogdb

int main(int count, char** arguments) {
  std::vector<uint64_t> sizes;
  for (int i = 1; i < count; ++i) sizes.push_back(std::strtoull(arguments[i], nullptr, 10));
  if (sizes.empty()) sizes.push_back(1'000'000);
  for (const uint64_t keys : sizes) {
    for (const size_t header_bytes : {size_t{0}, size_t{64}}) {
      plogdb::Bench bench{keys, header_bytes, nullptr};
      bench.Memory();
    }
    if (keys > 2'000'000) continue;
    for (const uint64_t cache_bytes : {uint64_t{1} << 30, uint64_t{2} << 20}) {
      plogdb::Bench bench{keys, 0, nullptr};
      bench.Speed(cache_bytes);
    }
  }
  return 0;
}
