// Hands out block ids and LSNs store-wide, and knows which of them are durable: the watermark (D18) and, per volume,
// the newest durable run (the mark of D17). One lock, held for a few instructions per run.
#ifndef PLOGDB_CORE_SEQUENCER_H_
#define PLOGDB_CORE_SEQUENCER_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "assert.h"
#include "canary.h"
#include "format.h"

namespace plogdb {

struct RunTicket {
  uint64_t first_id = 0;
  uint64_t first_lsn = 0;
  uint64_t watermark = 0;
  std::vector<RunMark> marks;  // per volume
};

// Any thread; each volume has at most one run on its way, and one composed behind it.
class Sequencer {
 public:
  // `recovered` is the highest LSN that was found; those between it and `next_lsn` were never given to anything
  // durable.
  Sequencer(uint64_t next_id, uint64_t next_lsn, uint64_t recovered, std::vector<RunMark> marks)
      : first_lsn_(next_lsn),
        recovered_(recovered),
        next_id_(next_id),
        next_lsn_(next_lsn),
        marks_(std::move(marks)),
        in_flight_(marks_.size(), {0, 0}) {}

  // `lsns`: how many new LSNs the run's records take.
  RunTicket Begin(uint32_t volume, uint32_t blocks, uint32_t lsns) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto& in_flight = in_flight_[volume];
    PLOGDB_ASSERT(in_flight[1] == 0, "D6");
    RunTicket ticket{next_id_, next_lsn_, LowestLocked() - 1, marks_};
    in_flight[in_flight[0] == 0 ? 0 : 1] = next_lsn_;
    next_id_ += blocks;
    next_lsn_ += lsns;
    return ticket;
  }

  void Durable(uint32_t volume, const RunMark& mark) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto& in_flight = in_flight_[volume];
    PLOGDB_ASSERT(in_flight[0] != 0 && mark.first_id > marks_[volume].first_id, "D2");
    in_flight = {in_flight[1], 0};
    marks_[volume] = mark;
  }

  // Never more than an opening would find now: peers hold the store to it.
  uint64_t Watermark() const {
    if (CanaryOn(Canary::kWatermarkStuck)) return 0;
    const std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t lowest = LowestLocked();
    return lowest == first_lsn_ ? recovered_ : lowest - 1;
  }

 private:
  // The lowest LSN that is not durable.
  uint64_t LowestLocked() const {
    uint64_t lowest = next_lsn_;
    for (const auto& in_flight : in_flight_) {
      if (in_flight[0] != 0) lowest = std::min(lowest, in_flight[0]);
    }
    return lowest;
  }

  const uint64_t first_lsn_;
  const uint64_t recovered_;
  mutable std::mutex mutex_;  // guards all below
  uint64_t next_id_;
  uint64_t next_lsn_;
  std::vector<RunMark> marks_;
  // First LSNs of the volume's run on its way and of the one composed behind it, or 0.
  std::vector<std::array<uint64_t, 2>> in_flight_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SEQUENCER_H_
