// Changes bytes the way fuzzers do: bits, bytes, numbers at the edges, stretches copied, zeroed, cut or repeated.
// Seeded.
#ifndef PLOGDB_TEST_MUTATOR_H_
#define PLOGDB_TEST_MUTATOR_H_

#include <cstdint>
#include <span>
#include <vector>

#include "sim_device.h"

namespace plogdb::test {

class Mutator {
 public:
  explicit Mutator(SimRandom* random) : random_(random) {}

  // A number that is likely to be at somebody's edge, or near `was`.
  uint64_t Number(uint64_t was);
  // One to a few changes in place.
  void Change(std::span<uint8_t> bytes);
  // The same, and the length may change.
  void ChangeAndResize(std::vector<uint8_t>* bytes);

 private:
  void ChangeOnce(std::span<uint8_t> bytes);

  SimRandom* const random_;
};

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_MUTATOR_H_
