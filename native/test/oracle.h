// What a store must hold, worked out a second time and in another way: plain maps, one state per key and batch. The
// engine's code is not used here. Where the rules leave the engine a choice (a decided record that merge may have
// written anew, D5), each allowed outcome is accepted, and no other.
#ifndef PLOGDB_TEST_ORACLE_H_
#define PLOGDB_TEST_ORACLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fixture.h"

namespace plogdb::test {

struct ExpectedRecord {
  uint64_t floor = 0;
  std::vector<uint8_t> header;                      // as put
  std::vector<std::vector<uint8_t>> decided;        // what merge may have put in its place, with the position as floor
  std::vector<std::vector<uint8_t>> marked;         // merge may make a mark durable with the record
  std::optional<std::vector<uint8_t>> live_header;  // in memory; absent: whatever an opening found
  std::shared_ptr<const std::string> value;
};

using ExpectedKey = std::map<uint64_t, ExpectedRecord>;  // by position

class Oracle {
 public:
  Oracle() { states_.emplace_back(); }

  void Apply(const std::vector<PutSpec>& batch);
  // The store was closed and opened: marks were in memory only.
  void ForgetMarks();
  // Goes back to the state after `batches` batches, as `fixture` shows it: what a crash left.
  void Rewind(size_t batches, Fixture* fixture);
  size_t batches() const { return states_.size() - 1; }

  // The first of the states after `low` to `high` batches that `fixture` shows for all of `keys`, or nothing. `why`
  // tells what was wrong with state `low`. `recovered`: an opening came in between.
  std::optional<size_t> Match(Fixture* fixture, size_t low, size_t high, const std::vector<std::string>& keys,
                              bool recovered, std::string* why) const;

 private:
  using State = std::map<std::string, ExpectedKey>;
  static bool Same(Fixture* fixture, const std::string& key, const ExpectedKey& expected, bool recovered,
                   std::string* why);
  static bool SameSlot(const SlotView& slot, uint64_t position, const ExpectedRecord& record, bool recovered,
                       std::string* why);

  std::vector<State> states_;  // after each batch
};

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_ORACLE_H_
