// A thread that writes one run at a time and flushes it, so that the writer composes the next one and tells of the last
// one meanwhile. Worth its two hand-overs for large runs only.
#ifndef PLOGDB_CORE_IO_LANE_H_
#define PLOGDB_CORE_IO_LANE_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <thread>
#include <utility>

#include "block_device.h"
#include "doorbell.h"

namespace plogdb {

// One thread calls everything.
class IoLane {
 public:
  // `done` is rung when a run ended.
  IoLane(BlockDevice* device, Doorbell* done) : device_(device), done_(done), thread_([this] { Loop(); }) {}
  IoLane(const IoLane&) = delete;
  IoLane& operator=(const IoLane&) = delete;
  ~IoLane() {
    Wait();
    stop_ = true;
    posted_.Ring();
    thread_.join();
  }

  // `data` stays as it is until the lane is no longer busy. Only when it is not.
  void Post(uint64_t offset, std::span<const uint8_t> data, bool flush) {
    offset_ = offset;
    data_ = data;
    flush_ = flush;
    // Release, and acquire on the other side: what was posted, and what came of it, belongs to one thread at a time.
    busy_.store(true, std::memory_order_release);
    posted_.Ring();
  }

  bool busy() const { return busy_.load(std::memory_order_acquire); }

  // Until it is not busy.
  void Wait() const { busy_.wait(true, std::memory_order_acquire); }

  // What came of the last run; when not busy.
  Status TakeResult() { return std::move(result_); }

 private:
  void Loop() {
    for (;;) {
      posted_.Wait(UINT64_MAX);
      if (stop_) return;
      if (!busy()) continue;
      result_ = device_->Write(offset_, data_);
      if (result_.ok() && flush_) result_ = device_->Flush();
      busy_.store(false, std::memory_order_release);
      busy_.notify_one();
      done_->Ring();
    }
  }

  BlockDevice* const device_;
  Doorbell* const done_;
  Doorbell posted_;
  uint64_t offset_ = 0;
  std::span<const uint8_t> data_;
  bool flush_ = false;
  Status result_;
  std::atomic<bool> busy_{false};
  std::atomic<bool> stop_{false};  // sequentially consistent: set before the last ring
  std::thread thread_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_IO_LANE_H_
