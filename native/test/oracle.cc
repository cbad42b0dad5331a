// The oracle: see oracle.h.
#include "oracle.h"

#include <algorithm>
#include <cstring>

namespace plogdb::test {

void Oracle::Apply(const std::vector<PutSpec>& batch) {
  State state = states_.back();
  for (const PutSpec& op : batch) {
    ExpectedKey& key = state[op.key];
    if (op.kind == OpKind::kDrop) {
      key.clear();
    } else if (op.kind == OpKind::kMark) {
      const auto record = key.find(op.position);
      if (record != key.end()) record->second.live_header = op.header;
    } else {
      uint64_t floor = op.floor;
      for (const auto& [position, record] : key) floor = std::max(floor, record.floor);
      if (op.position < floor) continue;  // out of date: skipped
      key[op.position] = {floor, op.header, op.header, op.value};
      std::erase_if(key, [floor](const auto& item) { return item.first < floor; });
    }
  }
  states_.push_back(std::move(state));
}

void Oracle::Rewind(size_t batches) {
  states_.resize(batches + 1);
  for (auto& [key, records] : states_.back()) {
    for (auto& [position, record] : records) record.live_header = record.header;
  }
}

bool Oracle::Same(Fixture* fixture, const std::string& key, const ExpectedKey& expected, bool recovered,
                  std::string* why) {
  const LoadedKey loaded = fixture->Load(key);
  const auto differs = [&](const std::string& what) {
    *why = key + ": " + what;
    return false;
  };
  if (loaded.corrupt) return differs("corrupt");
  if (loaded.slots != expected.size()) {
    return differs(std::to_string(loaded.slots) + " slots, not " + std::to_string(expected.size()));
  }
  uint32_t i = 0;
  for (const auto& [position, record] : expected) {
    const SlotView& slot = loaded.slot[i++];
    if (slot.position != position || slot.floor != record.floor) return differs("another position or floor");
    const auto header = MakeHeader(recovered ? record.header : record.live_header);
    if (std::memcmp(header.data(), slot.header.data(), header.size()) != 0) return differs("another header");
    std::string value;
    if (slot.value.present()) {
      value.assign(reinterpret_cast<const char*>(slot.value.bytes().data()), slot.value.size());
    } else if (fixture->ReadValue(key, position, &value) != StatusCode::kOk) {
      return differs("cannot be read");
    }
    if (value != record.value) return differs("another value");
  }
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
