// Reads of values that are not in memory: a small pool of threads, or, in stepped mode, the caller. Requests are served
// in order of their address; a record is checked in every respect before it is believed (D16).
#ifndef PLOGDB_CORE_READER_H_
#define PLOGDB_CORE_READER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "align.h"
#include "block_device.h"
#include "completion_queue.h"
#include "extent_map.h"
#include "key_index.h"

namespace plogdb {

struct ReadVolume {
  BlockDevice* device = nullptr;
  ExtentMap* extents = nullptr;
};

struct ReadRequest {
  uint64_t tag = 0;
  std::string key;
  uint64_t hash = 0;
  uint64_t position = 0;
  uint32_t volume = 0;
  ReadPlan plan;  // its extent is pinned
};

// Add: any thread. Start and Stop: the store's owner.
class Reader {
 public:
  Reader(const StoreId& store_id, std::vector<ReadVolume> volumes, KeyIndex* index, CompletionQueue* completions);
  ~Reader() { Stop(); }

  void Start(uint32_t threads);
  void Stop();  // serves what waits, then ends the threads

  void Add(ReadRequest request);

  // Stepped mode: serves what waits. False when there was nothing.
  bool Step();

  // Reads the record as a request would, but answers nobody: a broken one is reported. Any thread.
  void Check(const ReadRequest& request);

  uint64_t damaged() const { return damaged_.load(std::memory_order_relaxed); }
  uint64_t disk_reads() const { return disk_reads_.load(std::memory_order_relaxed); }

 private:
  void Loop();
  std::vector<ReadRequest> Take(size_t share);
  void Serve(std::vector<ReadRequest> requests, AlignedBuffer* buffer);
  void ReportDamage(const ReadRequest& request);
  bool ReadMoving(ReadRequest* request, AlignedBuffer* buffer, ValueRef* value);
  bool ReadRecord(const ReadRequest& request, AlignedBuffer* buffer, ValueRef* value);

  const StoreId store_id_;
  const std::vector<ReadVolume> volumes_;
  KeyIndex* const index_;
  CompletionQueue* const completions_;
  std::atomic<uint64_t> disk_reads_{0};  // relaxed: only counted
  std::atomic<uint64_t> damaged_{0};     // relaxed: only counted

  std::mutex mutex_;  // guards waiting_ and stop_
  std::condition_variable wake_;
  std::vector<ReadRequest> waiting_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_READER_H_
