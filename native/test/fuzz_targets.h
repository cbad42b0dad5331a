// What the fuzzer feeds with bytes that nobody should have written: parsers, a whole opening, the decoder of the
// crossing. A target must come back, without an assertion, a sanitizer's word, or a lie that it can notice itself.
#ifndef PLOGDB_TEST_FUZZ_TARGETS_H_
#define PLOGDB_TEST_FUZZ_TARGETS_H_

#include <span>

#include "sim_device.h"

namespace plogdb::test {

struct FuzzTarget {
  const char* name;
  void (*run)(SimRandom* random);
};

std::span<const FuzzTarget> FuzzTargets();

// Volumes to start from; made once, before the first run.
void PrepareFuzzing();

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_FUZZ_TARGETS_H_
