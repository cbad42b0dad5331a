// The bytes of a summary (D17): built and read back, and read when they make no sense. What an opening does with them is
// in summary_test.cc. Replay: run --seed S "summaries"
#include <string>
#include <vector>

#include "fixture.h"
#include "format.h"
#include "harness.h"
#include "summary.h"

namespace plogdb::test {
namespace {

constexpr uint32_t kBlocks = 256;  // of an extent

Record RecordOf(const std::string& key, uint64_t lsn, RecordPlace place) {
  Record record;
  record.key = key;
  record.lsn = lsn;
  record.position = 1;
  record.floor = 1;
  record.value_bytes = 120;
  record.head_bytes = sizeof(RecordHead);
  record.payload_crc = static_cast<uint32_t>(lsn * 77);
  record.place = place;
  return record;
}

struct Built {
  StoreId store_id{};
  ExtentPlace place;
  std::vector<uint8_t> bytes;  // all blocks of the summary
};

// A summary of extent 2 with these records.
void Build(const std::vector<Record>& records, Built* built) {
  built->store_id[0] = 7;
  built->place = {&built->store_id, 0, 1, MakeGeometry(uint64_t{8} << 20), 2};
  SummaryBuilder builder(0, 2, 500);
  const uint32_t first = built->place.first_block();
  builder.AddRun({{500, first, 200, 1}, RunKind::kData, 4, 90, {RunMark{400, 5, 1, 0}}});
  for (const Record& record : records) builder.AddRecord(record);
  builder.AddRun({{700, first + 200, 1, 0}, RunKind::kSeal, 5, 99, {RunMark{500, first, 200, 1}}});
  CHECK(builder.usable());
  builder.Finish(built->store_id, built->place.geometry);
  for (uint32_t at = 0; !builder.Part(at).empty();) {
    const auto part = builder.Part(at);
    built->bytes.insert(built->bytes.end(), part.begin(), part.end());
    at += static_cast<uint32_t>(part.size() / kBlockBytes);
  }
  CHECK(built->bytes.size() == size_t{builder.blocks()} * kBlockBytes);
}

CASE("summaries: what is built is read back, every field of every record, in at most 40 bytes beside the header") {
  std::vector<Record> records;
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < 400; ++i) keys.push_back(MakeValue(i, i % 50 == 49 ? 300 + i * 3 : 16));
  SummaryCursor cursor;
  cursor.next = {2 * kBlocks + 1, 100};
  uint64_t header_bytes = 0;
  for (uint64_t i = 0; i < keys.size(); ++i) {
    Record record = RecordOf(keys[i], i < 200 ? 1000 + i : 5000 - i * 7, cursor.next);
    if (i % 9 == 0) record.kind = RecordKind::kDrop;
    if (i % 5 == 0) record.floor = 0;
    if (i % 7 == 0) record.erased_below = 900 + i;
    if (i % 3 == 0) record.header[i % 64] = static_cast<uint8_t>(i + 1);
    record.head_bytes += (record.erased_below != 0 ? 8 : 0) + static_cast<uint32_t>(TrimmedHeaderBytes(record.header));
    header_bytes += TrimmedHeaderBytes(record.header);
    if (keys[i].size() > 16) header_bytes += keys[i].size() - 16;
    records.push_back(record);
    cursor.Advance(record);
    if (i % 20 == 19) cursor.next = {cursor.next.block + 1, 60};  // another run
  }
  Built built;
  Build(records, &built);
  const auto view = ReadSummaryTrailer(built.place, std::span(built.bytes).last(kBlockBytes));
  REQUIRE(view && view->life == 500 && view->trailer.entries == records.size() && view->history.first_watermark == 90);
  CHECK(view->history.announced.size() == 2 && view->history.newest.announced == 5 && view->trailer.max_lsn == 3600);
  CHECK(view->trailer.stream_bytes <= 40 * records.size() + header_bytes);
  const auto stream = JoinSummary(built.place, *view, std::span(built.bytes).first(built.bytes.size() - kBlockBytes));
  REQUIRE(stream.has_value());
  SummaryEntries entries(built.place, *view, *stream);
  Record found;
  for (const Record& record : records) {
    REQUIRE(entries.Next(&found));
    CHECK(found.key == record.key && found.lsn == record.lsn && found.kind == record.kind);
    CHECK(found.position == record.position && found.floor == record.floor && found.header == record.header);
    CHECK(found.erased_below == record.erased_below && found.payload_crc == record.payload_crc);
    CHECK(found.value_bytes == record.value_bytes && found.head_bytes == record.head_bytes);
    CHECK(found.place.block == record.place.block && found.place.offset == record.place.offset);
  }
  CHECK(!entries.Next(&found) && entries.complete());
}

CASE("summaries: whatever bytes an entry holds, reading it ends and leaves no bounds") {
  SimRandom random(settings().seed);
  for (uint64_t round = 0; round < 2000; ++round) {
    Built built;
    built.place = {&built.store_id, 0, 1, MakeGeometry(uint64_t{8} << 20), 2};
    SummaryView view;
    view.trailer.entries = static_cast<uint32_t>(random.Below(20));
    view.trailer.seal.block = built.place.first_block() + 9;
    const std::string bytes = MakeValue(random.Next(), random.Below(300));
    SummaryEntries entries(built.place, view, AsBytes(bytes));
    Record record;
    uint64_t read = 0;
    while (entries.Next(&record)) {
      CHECK(record.place.block < view.trailer.seal.block && !record.key.empty());
      ++read;
    }
    CHECK(read <= view.trailer.entries);
    CHECK(!entries.complete() || read == view.trailer.entries);
  }
}

}  // namespace
}  // namespace plogdb::test
