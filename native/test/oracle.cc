// The oracle: see oracle.h.
#include "oracle.h"

#include <algorithm>
#include <cstring>

#include "format.h"

namespace plogdb::test {
namespace {

bool Equal(const std::vector<uint8_t>& expected, const SlotView& slot) {
  return std::memcmp(expected.data(), slot.header.data(), slot.header.size()) == 0;
}

}  // namespace

void Oracle::Apply(const std::vector<PutSpec>& batch) {
  State state = states_.back();
  for (const PutSpec& op : batch) {
    ExpectedKey& key = state[op.key];
    if (op.kind == OpKind::kDrop) {
      key.clear();
    } else if (op.kind == OpKind::kMark) {
      const auto record = key.find(op.position);
      if (record == key.end()) continue;
      record->second.live_header = MakeHeader(op.header);
      record->second.marked.push_back(MakeHeader(op.header));
      if (op.floor == op.position || !record->second.decided.empty()) {
        record->second.decided.push_back(MakeHeader(op.header));
      }
    } else {
      uint64_t floor = op.floor;
      for (const auto& [position, record] : key) floor = std::max(floor, record.floor);
      if (op.position < floor) continue;  // out of date: skipped
      const std::vector<uint8_t> header = MakeHeader(op.header);
      key[op.position] = {floor, header, {}, {}, header, std::make_shared<const std::string>(op.value)};
      std::erase_if(key, [floor](const auto& item) { return item.first < floor; });
    }
  }
  states_.push_back(std::move(state));
}

void Oracle::ForgetMarks() {
  for (auto& [key, records] : states_.back()) {
    for (auto& [position, record] : records) record.live_header.reset();
  }
}

void Oracle::Rewind(size_t batches, Fixture* fixture) {
  states_.resize(batches + 1);
  for (auto& [key, records] : states_.back()) {
    const LoadedKey loaded = fixture->Load(key);
    ExpectedKey found;
    for (uint32_t i = 0; i < loaded.slots; ++i) {
      const SlotView& slot = loaded.slot[i];
      const std::vector<uint8_t> header(slot.header.begin(), slot.header.end());
      found[slot.position] = {slot.floor, header, {}, {}, header, records[slot.position].value};
    }
    records = std::move(found);
  }
}

bool Oracle::SameSlot(const SlotView& slot, uint64_t position, const ExpectedRecord& record, bool recovered,
                      std::string* why) {
  if (slot.position != position) {
    *why = "position " + std::to_string(slot.position) + ", not " + std::to_string(position);
    return false;
  }
  const bool raised = !record.decided.empty() && slot.floor == position;
  if (slot.floor != record.floor && !raised) {
    *why = "floor " + std::to_string(slot.floor) + ", not " + std::to_string(record.floor);
    return false;
  }
  const bool known = !recovered && record.live_header.has_value();
  bool same = Equal(known ? *record.live_header : record.header, slot);
  for (const auto& header : record.marked) same |= !known && Equal(header, slot);
  if (!same) *why = "another header";
  return same;
}

bool Oracle::Same(Fixture* fixture, const std::string& key, const ExpectedKey& expected, bool recovered,
                  std::string* why) {
  const LoadedKey loaded = fixture->Load(key);
  const auto differs = [&](const std::string& what) {
    *why = key + ": " + what;
    return false;
  };
  if (loaded.corrupt) return differs("corrupt");
  uint64_t needed = 0;  // below a decided record nothing is needed, once merge wrote it anew
  for (const auto& [position, record] : expected) needed = record.decided.empty() ? needed : position;
  uint32_t i = 0;
  for (const auto& [position, record] : expected) {
    const bool here = i < loaded.slots && loaded.slot[i].position == position;
    if (!here && position < needed) continue;
    if (i == loaded.slots) return differs("position " + std::to_string(position) + " is not there");
    const SlotView& slot = loaded.slot[i++];
    std::string reason;
    if (!SameSlot(slot, position, record, recovered, &reason)) return differs(reason);
    std::string value;
    if (slot.value.present()) {
      const auto bytes = slot.value.bytes();
      if (AsText(bytes) != *record.value) return differs("another value in memory");
      continue;
    }
    if (fixture->ReadValue(key, position, &value) != StatusCode::kOk) return differs("cannot be read");
    if (value != *record.value) return differs("another value on disk");
  }
  if (i < loaded.slots) return differs("position " + std::to_string(loaded.slot[i].position) + " is there");
  return true;
}

std::optional<size_t> Oracle::Match(Fixture* fixture, size_t low, size_t high, const std::vector<std::string>& keys,
                                    bool recovered, std::string* why) const {
  for (size_t at = low; at <= high && at < states_.size(); ++at) {
    bool same = true;
    for (const std::string& key : keys) {
      const auto found = states_[at].find(key);
      std::string reason;
      same = Same(fixture, key, found == states_[at].end() ? ExpectedKey{} : found->second, recovered, &reason);
      if (same) continue;
      if (at == low) *why = reason;
      break;
    }
    if (same) return at;
  }
  return std::nullopt;
}

}  // namespace plogdb::test
