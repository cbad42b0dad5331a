// Recorded I/O of a peer on the model of a disk. Input: a text file, one call a line, made by hdd-trace.mjs:
//   w FILE OFFSET BYTES   written into the page cache
//   d FILE OFFSET BYTES   written and made durable by the call (O_DSYNC)
//   r FILE OFFSET BYTES   write-back asked for (sync_file_range)
//   s FILE                made durable (fsync, fdatasync)
//   t FILE BYTES          size set
//   i FILE BYTES          was there before, durable, of that size
//   b, e PUTS             the measured stretch begins; it ends after that many puts
// Dirty pages go to the disk at the flush, sorted and merged, and never before. A file lies in one piece. The peers'
// reads and the file system's metadata cost nothing, except with --journal: then a flush of a file that grew commits
// ext4's journal (ordered mode): two blocks, a flush, the commit block, a flush.
#ifndef PLOGDB_BENCH_HDD_REPLAY_H_
#define PLOGDB_BENCH_HDD_REPLAY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hdd.h"

namespace plogdb::bench {

struct ReplayCall {
  char what = 0;      // as above
  uint64_t file = 0;  // a number; e: the puts
  uint64_t offset = 0;  // t, i: the size
  uint64_t bytes = 0;
};

struct ReplayResult {
  DiskModelStats before;
  DiskModelStats after;
  uint64_t puts = 0;
  uint64_t ns = 0;
};

// False when there is no such file, or nothing in it.
bool ReadTrace(const std::string& path, std::vector<ReplayCall>* calls);

ReplayResult ReplayCalls(const HddOptions& options, std::span<const ReplayCall> calls);

}  // namespace plogdb::bench

#endif  // PLOGDB_BENCH_HDD_REPLAY_H_
