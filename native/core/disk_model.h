// A mechanical disk in virtual time: where the head is, how the platter stands, and therefore what each command takes.
// It keeps no data and knows no store. The one idea: all time comes from one integer clock that only commands and
// AdvanceTo move, so that the same commands take the same time on every machine.
#ifndef PLOGDB_CORE_DISK_MODEL_H_
#define PLOGDB_CORE_DISK_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace plogdb {

// A 7,200 rpm disk of the data centre. Seek time over distance d (as a share of the stroke) is
// track_to_track + b * sqrt(d) + c * d, with b and c such that the mean over random pairs and the full stroke come out
// as given (E[sqrt d] = 8/15 and E[d] = 1/3 for two uniform places).
struct DiskModelOptions {
  uint64_t disk_bytes = uint64_t{4} << 40;
  uint32_t rpm = 7200;
  uint32_t track_to_track_us = 1000;
  uint32_t average_seek_us = 8500;
  uint32_t full_seek_us = 16000;
  // Under the head, the same on all tracks (no zones). A sequential stream gets less: at every change of track it waits
  // for track_to_track_us, behind a skew of just that.
  uint64_t bytes_per_second = 180'000'000;
  uint64_t interface_bytes_per_second = 500'000'000;
  uint32_t command_us = 100;  // host, bus and controller, once per command that the head must wait for
  uint32_t queue_depth = 32;  // NCQ: the nearest of so many, by seek and rotation, goes first
  // A write returns when the cache has it, a flush when the platter has everything. The cache writes back at once, the
  // nearest of all it holds first.
  bool write_cache = true;
  uint64_t cache_bytes = uint64_t{64} << 20;
};

struct DiskCommand {
  uint64_t address = 0;
  uint64_t bytes = 0;
  bool write = false;
};

struct DiskModelStats {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t flushes = 0;  // those that had something to do, or all when the cache is off
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t accesses = 0;  // movements of data between head and platter, after merging in the cache
  uint64_t seeks = 0;     // accesses that began on another track than the head was on
  uint64_t seek_ns = 0;
  uint64_t rotation_ns = 0;  // waiting for the sector
  uint64_t transfer_ns = 0;
};

// One thread.
class DiskModel {
 public:
  explicit DiskModel(const DiskModelOptions& options);

  uint64_t now_ns() const { return now_ns_; }
  // Time passes without a command; the disk writes back what its cache holds. Never backwards.
  void AdvanceTo(uint64_t ns);

  // Each moves the clock to the command's end.
  void Read(uint64_t address, uint64_t bytes);
  void Write(uint64_t address, uint64_t bytes);
  void Flush();
  // All asked for now, queue_depth of them known to the disk at a time. With the write cache on, writes enter it in the
  // given order, and reads go before what waits in it.
  void Run(std::span<const DiskCommand> commands);

  const DiskModelStats& stats() const { return stats_; }
  const DiskModelOptions& options() const { return options_; }

  // What a seek over so many tracks takes; 0 for none.
  uint64_t SeekNs(uint64_t tracks) const;
  uint64_t RotationNs() const { return rotation_ns_; }
  uint64_t TrackBytes() const { return track_bytes_; }

 private:
  struct Access {
    uint64_t address = 0;
    uint64_t bytes = 0;
    bool write = false;
    uint64_t ready_ns = 0;
  };

  uint64_t TrackOf(uint64_t address) const { return address / track_bytes_; }
  uint64_t TransferNs(const Access& access) const;
  uint64_t WaitForSectorNs(uint64_t arrival_ns, uint64_t address) const;
  uint64_t SeekToNs(uint64_t address) const;
  uint64_t PositionNs(uint64_t start_ns, uint64_t address) const;
  size_t Nearest(std::span<const Access> queue, uint64_t start_ns) const;
  bool ContinuesReading(const Access& access) const;
  uint64_t Serve(uint64_t start_ns, const Access& access);
  void EnterCache(const DiskCommand& command);
  void WriteBackNearest();
  void WriteBackUntil(uint64_t ns);
  void ServeQueue(std::span<const DiskCommand> commands);

  const DiskModelOptions options_;
  const uint64_t rotation_ns_;
  const uint64_t track_bytes_;
  const uint64_t tracks_;
  double seek_root_ns_ = 0;
  double seek_linear_ns_ = 0;

  uint64_t now_ns_ = 0;
  uint64_t free_ns_ = 0;  // when the head ends, or ended, what it does
  uint64_t head_track_ = 0;
  // The last access was a read that ended here at free_ns_: the disk goes on reading into its buffer.
  bool reads_ahead_ = false;
  uint64_t read_end_ = 0;
  std::vector<Access> cache_;  // to be written back; by address, merged where they touch
  uint64_t cached_bytes_ = 0;
  DiskModelStats stats_;
};

// Where a volume lies: its chunks spread evenly over a share of the disk, so that a small volume seeks like a large one
// while a chunk (an extent) stays in one piece.
struct DiskPlacement {
  uint64_t chunk_bytes = 0;
  uint64_t stride_bytes = 0;

  static DiskPlacement Over(uint64_t volume_bytes, uint64_t chunk_bytes, uint64_t disk_bytes, double share);
  uint64_t Address(uint64_t offset) const { return offset / chunk_bytes * stride_bytes + offset % chunk_bytes; }
  // Appends the pieces of one transfer: one command per chunk that it touches.
  void Map(uint64_t offset, uint64_t bytes, bool write, std::vector<DiskCommand>* out) const;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_DISK_MODEL_H_
