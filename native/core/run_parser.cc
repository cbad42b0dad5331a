// Checked parsing of run streams.
#include "run_parser.h"

#include <cstring>

#include "crc32c.h"

namespace plogdb {

std::optional<RunView> ParseRunHead(std::span<const uint8_t> stream, size_t volumes) {
  RunView view;
  if (stream.size() < sizeof(view.head)) return std::nullopt;
  std::memcpy(&view.head, stream.data(), sizeof(view.head));
  if (view.head.volume_count != volumes || view.head.kind > static_cast<uint8_t>(RunKind::kSeal)) return std::nullopt;
  const uint64_t marks_bytes = volumes * sizeof(RunMark);
  const uint64_t directory_at = sizeof(RunHead) + marks_bytes;
  view.records_at = directory_at + view.head.directory_bytes;
  if (view.records_at > stream.size() || view.records_at > view.head.stream_bytes) return std::nullopt;
  view.marks.resize(volumes);
  std::memcpy(view.marks.data(), stream.data() + sizeof(RunHead), marks_bytes);
  if (view.head.watermark > kMaxLsn) return std::nullopt;
  for (const RunMark& mark : view.marks) {
    if (mark.first_id > kMaxBlockId) return std::nullopt;
  }
  view.directory = stream.subspan(directory_at, view.head.directory_bytes);
  return view;
}

Record ParsedRecord::ToRecord() const {
  Record record;
  record.kind = fields.kind;
  record.corrupt = !intact;
  record.key = AsText(key);
  record.lsn = fields.lsn;
  record.position = fields.position;
  record.floor = fields.floor;
  record.erased_below = fields.erased_below;
  record.header = fields.header;
  record.value_bytes = value_bytes;
  record.head_bytes = head_bytes;
  record.payload_crc = payload_crc;
  return record;
}

namespace {

// The head's own fields; false when they make no sense.
bool ParseFields(std::span<const uint8_t> stream, RecordHead* head, ParsedRecord* record) {
  if (stream.size() < sizeof(*head)) return false;
  std::memcpy(head, stream.data(), sizeof(*head));
  constexpr uint8_t kKnown = kRecordDrop | kRecordFloorBelow | kRecordErasedBelow;
  if (head->flags > kKnown || head->key_bytes == 0 || head->lsn == 0 || head->lsn > kMaxLsn) return false;
  if (head->header_bytes > kCallerHeaderBytes) return false;
  if ((head->flags & kRecordDrop) != 0 && head->value_bytes != 0) return false;  // a deletion has no value
  const bool below = (head->flags & kRecordFloorBelow) != 0;
  if (below && head->position == 0) return false;
  const size_t erased_bytes = (head->flags & kRecordErasedBelow) != 0 ? 8 : 0;
  record->head_bytes = static_cast<uint32_t>(sizeof(*head) + erased_bytes + head->header_bytes);
  if (stream.size() < record->head_bytes) return false;
  RecordFields& fields = record->fields;
  fields.kind = (head->flags & kRecordDrop) != 0 ? RecordKind::kDrop : RecordKind::kPut;
  fields.lsn = head->lsn;
  fields.position = head->position;
  fields.floor = head->position - (below ? 1 : 0);
  if (erased_bytes > 0) std::memcpy(&fields.erased_below, stream.data() + sizeof(*head), 8);
  if (fields.erased_below > kMaxLsn) return false;
  std::memcpy(fields.header.data(), stream.data() + sizeof(*head) + erased_bytes, head->header_bytes);
  record->value_bytes = head->value_bytes;
  return true;
}

}  // namespace

std::optional<ParsedRecord> ParseRecord(std::span<const uint8_t> stream, uint64_t offset) {
  ParsedRecord record;
  if (offset > stream.size()) return std::nullopt;
  RecordHead head;
  stream = stream.subspan(offset);
  if (!ParseFields(stream, &head, &record)) return std::nullopt;
  const auto head_bytes = stream.first(record.head_bytes);
  stream = stream.subspan(record.head_bytes);
  if (stream.size() < head.key_bytes) return std::nullopt;
  record.offset = offset;
  record.key = stream.first(head.key_bytes);
  stream = stream.subspan(head.key_bytes);
  if (stream.size() < head.value_bytes) return record;
  record.whole = true;
  record.value = stream.first(head.value_bytes);
  record.payload_crc = PayloadCrc(record.key, record.value);
  record.intact = Crc32cExtend(record.payload_crc, head_bytes.subspan(sizeof(head.crc))) == head.crc;
  return record;
}

}  // namespace plogdb
