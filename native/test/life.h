// One life of a store, recorded: a script is done on simulated disks, every write and flush is kept, and with each of
// them what had been submitted and acknowledged when it was made.
#ifndef PLOGDB_TEST_LIFE_H_
#define PLOGDB_TEST_LIFE_H_

#include <memory>
#include <string>
#include <vector>

#include "oracle.h"
#include "recorder_device.h"
#include "script.h"

namespace plogdb::test {

// In batches of the oracle.
struct Progress {
  size_t submitted = 0;
  size_t acknowledged = 0;
};

struct Life {
  std::vector<RecordedCall> calls;
  std::vector<Progress> before;  // per call: known when it was made
  Progress end;
  size_t explore_from = 0;  // the first call that the script wants explored; 0 takes the format in
  uint64_t extents_freed = 0;
  uint64_t records_copied = 0;  // by merge
  std::string failure;          // empty: everything went as it should while the store lived
};

using Disks = std::vector<std::shared_ptr<SimDisk>>;

std::string DiskName(size_t volume);

// A fixture with the options of the script on copies of `disks`.
std::unique_ptr<Fixture> MakeFixture(const Script& script, const Disks& disks);

// Does the script on copies of `disks`, and tells the oracle what was done.
Life Live(const Script& script, const Disks& disks, Oracle* oracle);

// All keys of a volume show the state after one and the same number of batches (D3, D6); batches too large for one unit
// are whole per key. Returns the lowest number, or SIZE_MAX and why.
size_t MatchAll(const Script& script, const Oracle& oracle, Fixture* fixture, const Progress& progress, bool recovered,
                std::string* why);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_LIFE_H_
