// What a power loss can leave: the disks as of the last flush, and for each block written since then the sectors that
// survived. An image is a row of masks, one per block, one bit per sector of 512 bytes.
#ifndef PLOGDB_TEST_IMAGE_H_
#define PLOGDB_TEST_IMAGE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "life.h"

namespace plogdb::test {

// A block of a write that was not flushed yet.
struct PendingBlock {
  size_t volume = 0;
  uint64_t offset = 0;
  std::span<const uint8_t> data;  // of the recorded call
};

using SectorMask = uint8_t;
inline constexpr SectorMask kWhole = 0xff;
using ImagePlan = std::vector<SectorMask>;  // per pending block; 0 = lost

// The plans for `blocks` pending blocks: none; prefixes; one dropped, one kept; torn at each sector; pairs; all subsets
// up to 10 blocks; some at random. No plan twice. More than `most` are thinned at random; "none" and the most telling
// ones come first and stay. The plan of all blocks is left out when `without_all`: after the flush it is looked at
// again, as what nothing is missing of.
std::vector<ImagePlan> MakePlans(size_t blocks, size_t most, bool without_all, SimRandom* random);

// The disks while a recording is played back.
class Playback {
 public:
  explicit Playback(const Disks& disks);
  Playback(const Playback& other) : Playback(other.durable_) { pending_ = other.pending_; }
  Playback& operator=(const Playback&) = delete;

  // A write becomes pending; a flush makes what is pending on its volume durable.
  void Play(const RecordedCall& call);

  const std::vector<PendingBlock>& pending() const { return pending_; }
  Disks Image(const ImagePlan& plan) const;
  // What a process finds that was started after another one was killed: everything that was written, durable or not.
  Disks EverythingWritten() const;

 private:
  Disks durable_;
  std::vector<PendingBlock> pending_;  // in the order of writing
};

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_IMAGE_H_
