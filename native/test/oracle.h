// What a store must hold, worked out a second time and in another way: plain maps, one state per key and batch. The
// engine's code is not used here.
#ifndef PLOGDB_TEST_ORACLE_H_
#define PLOGDB_TEST_ORACLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fixture.h"

namespace plogdb::test {

struct ExpectedRecord {
  uint64_t floor = 0;
  uint64_t header = 0;       // as put: what is on disk
  uint64_t live_header = 0;  // as marked since: what is in memory
  std::string value;
};

using ExpectedKey = std::map<uint64_t, ExpectedRecord>;  // by position

class Oracle {
 public:
  Oracle() { states_.emplace_back(); }

  void Apply(const std::vector<PutSpec>& batch);
  // Goes back to the state after `batches` batches: what a crash left. Marks were in memory only and are forgotten.
  void Rewind(size_t batches);
  size_t batches() const { return states_.size() - 1; }

  // The first of the states after `low` to `high` batches that `fixture` shows for all keys of `volume`, or nothing.
  // `why` tells what was wrong with state `low`.
  std::optional<size_t> Match(Fixture* fixture, size_t low, size_t high, const std::vector<std::string>& keys,
                              bool recovered, std::string* why) const;

 private:
  using State = std::map<std::string, ExpectedKey>;
  static bool Same(Fixture* fixture, const std::string& key, const ExpectedKey& expected, bool recovered,
                   std::string* why);

  std::vector<State> states_;  // after each batch
};

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_ORACLE_H_
