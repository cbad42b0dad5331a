// Checked parsing of run streams.
#include "run_parser.h"

#include <cstring>

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
  view.directory = stream.subspan(directory_at, view.head.directory_bytes);
  return view;
}

Record ParsedRecord::ToRecord() const {
  Record record;
  record.kind = static_cast<RecordKind>(head.kind);
  record.corrupt = !intact;
  record.key = AsText(key);
  record.lsn = head.lsn;
  record.position = head.position;
  record.floor = head.floor;
  record.erased_below = head.erased_below;
  record.header = head.header;
  record.value_bytes = head.value_bytes;
  return record;
}

std::optional<ParsedRecord> ParseRecord(std::span<const uint8_t> stream, uint64_t offset) {
  ParsedRecord record;
  if (offset > stream.size() || stream.size() - offset < sizeof(record.head)) return std::nullopt;
  std::memcpy(&record.head, stream.data() + offset, sizeof(record.head));
  const RecordHead& head = record.head;
  if (head.kind > static_cast<uint8_t>(RecordKind::kDrop) || head.key_bytes == 0 || head.lsn == 0) return std::nullopt;
  if (head.position < head.floor || head.position - head.floor > 1) return std::nullopt;
  stream = stream.subspan(offset + sizeof(head));
  if (stream.size() < head.key_bytes) return std::nullopt;
  record.offset = offset;
  record.key = stream.first(head.key_bytes);
  stream = stream.subspan(head.key_bytes);
  if (stream.size() < head.value_bytes) return record;
  record.whole = true;
  record.value = stream.first(head.value_bytes);
  record.intact = RecordCrc(head, record.key, record.value) == head.crc;
  return record;
}

}  // namespace plogdb
