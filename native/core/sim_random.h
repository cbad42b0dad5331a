// A small seeded random source, the same everywhere, for what must be had again: simulated disks and tests.
#ifndef PLOGDB_CORE_SIM_RANDOM_H_
#define PLOGDB_CORE_SIM_RANDOM_H_

#include <cstdint>

namespace plogdb {

// xorshift128+.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) {
    for (uint64_t& word : state_) {  // splitmix64 spreads small seeds
      seed += 0x9e3779b97f4a7c15ull;
      uint64_t mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ull;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
      word = mixed ^ (mixed >> 31);
    }
  }

  uint64_t Next() {
    uint64_t first = state_[0];
    const uint64_t second = state_[1];
    state_[0] = second;
    first ^= first << 23;
    state_[1] = first ^ second ^ (first >> 17) ^ (second >> 26);
    return state_[1] + second;
  }
  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  bool Chance(uint32_t percent) { return Below(100) < percent; }

 private:
  uint64_t state_[2];
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SIM_RANDOM_H_
