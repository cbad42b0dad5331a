// What the writer knows of the keys of one run while it is composed and on its way: open addressing, reused from run to
// run, so that composing allocates nothing. Keys are views into the run's units.
#ifndef PLOGDB_CORE_RUN_KEYS_H_
#define PLOGDB_CORE_RUN_KEYS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "key_index.h"

namespace plogdb {

// One thread.
class RunKeys {
 public:
  // Room for `keys` keys, none in it.
  void Clear(size_t keys) {
    size_t size = 16;
    while (size < keys * 2) size *= 2;
    if (size > slots_.size()) slots_.assign(size, Slot{});
    if (++round_ == 0) {
      slots_.assign(slots_.size(), Slot{});
      round_ = 1;
    }
  }

  KeyState* Find(std::string_view key, uint64_t hash) {
    if (slots_.empty()) return nullptr;
    Slot& slot = SlotFor(key, hash);
    return slot.round == round_ ? &slot.state : nullptr;
  }

  KeyState* Add(std::string_view key, uint64_t hash, const KeyState& state) {
    Slot& slot = SlotFor(key, hash);
    slot = Slot{hash, key, state, round_};
    return &slot.state;
  }

  template <typename Visit>
  void ForEach(Visit visit) {
    for (Slot& slot : slots_) {
      if (slot.round == round_) visit(&slot.state);
    }
  }

 private:
  struct Slot {
    uint64_t hash = 0;
    std::string_view key;
    KeyState state;
    uint32_t round = 0;
  };

  Slot& SlotFor(std::string_view key, uint64_t hash) {
    const size_t mask = slots_.size() - 1;
    size_t at = (hash >> 20) & mask;
    while (slots_[at].round == round_ && (slots_[at].hash != hash || slots_[at].key != key)) at = (at + 1) & mask;
    return slots_[at];
  }

  std::vector<Slot> slots_;
  uint32_t round_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_RUN_KEYS_H_
