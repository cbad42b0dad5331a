// What the two halves of the HDD bench share: the disk both run on, where things lie on it, and how a measured stretch
// of its work is told. The engine's half writes through a store, the replay's half what was recorded of a peer.
#ifndef PLOGDB_BENCH_HDD_H_
#define PLOGDB_BENCH_HDD_H_

#include <cstdint>
#include <string>

#include "disk_model.h"
#include "json_line.h"

namespace plogdb::bench {

struct HddOptions {
  DiskModelOptions disk;
  double share = 0.25;                          // of the disk, over which the data is spread
  uint64_t volume_bytes = uint64_t{512} << 20;  // engine
  uint64_t cache_bytes = 0;                     // engine: for values
  double full = 0.7;                            // engine: live bytes of the usable room
  uint64_t callers = 64;
  uint64_t value_bytes = 120;
  uint64_t seconds = 60;  // virtual, per measured stretch
  uint64_t seed = 1;
  bool journal = false;  // replay: with the file system's journal
  std::string trace;     // replay
};

// What the disk did for `puts` puts between two looks at it.
void TellDiskWork(const DiskModelStats& before, const DiskModelStats& after, uint64_t puts, uint64_t ns,
                  JsonLine* line);

int RunEngine(const HddOptions& options);

}  // namespace plogdb::bench

#endif  // PLOGDB_BENCH_HDD_H_
