// What opening takes from the runs of one extent's present life, records apart. Gathered run by run, in the same way by
// the writer for a summary and by recovery from a scan: so that both say the same (D17).
#ifndef PLOGDB_CORE_EXTENT_HISTORY_H_
#define PLOGDB_CORE_EXTENT_HISTORY_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "format.h"

namespace plogdb {

// A run known by what another one says of it: it was durable. With its directory when that can be read.
struct RunReference {
  uint32_t volume = 0;
  RunMark mark;
  uint32_t holder = kNoExtent;  // extent of the same volume in which this is said; kNoExtent: elsewhere
  bool directory_known = false;
  uint32_t directory_entries = 0;
  std::vector<uint8_t> directory;
};

struct FoundRun {
  RunMark mark;
  RunKind kind = RunKind::kData;
  uint32_t announced = kNoExtent;
  uint64_t watermark = 0;
  std::vector<RunMark> marks;
};

// The newest run that announced the extent: what was in it before is dead.
struct Announcement {
  uint64_t id = 0;
  uint32_t extent = kNoExtent;
  uint32_t reserved = 0;
};
static_assert(sizeof(Announcement) == 16);

struct ExtentHistory {
  uint64_t first_id = 0;             // of the first run
  uint64_t first_watermark = 0;      // in its head: what is first written here has a higher LSN
  FoundRun newest;                   // first_id 0: no whole run
  uint64_t watermark = 0;            // highest of any run
  std::vector<RunMark> marks;        // newest known run per volume
  std::vector<Announcement> announced;  // every extent once

  // In rising order of ids.
  void Add(const FoundRun& run) {
    if (first_id == 0) {
      first_id = run.mark.first_id;
      first_watermark = run.watermark;
      marks.resize(run.marks.size());
    }
    watermark = std::max(watermark, run.watermark);
    for (size_t i = 0; i < marks.size(); ++i) {
      if (run.marks[i].first_id > marks[i].first_id) marks[i] = run.marks[i];
    }
    if (run.announced != kNoExtent) {
      const auto known = std::find_if(announced.begin(), announced.end(),
                                      [&](const Announcement& it) { return it.extent == run.announced; });
      if (known == announced.end()) {
        announced.push_back({run.mark.first_id, run.announced});
      } else {
        known->id = run.mark.first_id;
      }
    }
    newest = run;
  }
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_EXTENT_HISTORY_H_
