// The engine's broken variants, each with the workloads that must catch it: one table for the suite and for the command
// that prints how many workloads each one lives.
#ifndef PLOGDB_TEST_CANARIES_H_
#define PLOGDB_TEST_CANARIES_H_

#include <cstdint>
#include <span>

#include "canary.h"

namespace plogdb::test {

struct Hunt {
  Canary canary;
  const char* name;
  // Does workload `number` (0, 1, ...) with the canary in force; true when something was found wrong.
  bool (*caught)(uint64_t number, uint64_t seed);
  uint64_t most;  // workloads at most
};

std::span<const Hunt> Hunts();

// Workloads until the canary is caught, or 0.
uint64_t WorkloadsToKill(const Hunt& hunt, uint64_t seed);

// Prints {"name": workloads or null, ...}; returns 1 when one lives on, else 0.
int PrintCanaries(uint64_t seed);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_CANARIES_H_
