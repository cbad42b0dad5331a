// A thread that writes one run at a time and flushes it, so that the writer composes the next one meanwhile. Worth its
// two hand-overs for large runs only.
#ifndef PLOGDB_CORE_IO_LANE_H_
#define PLOGDB_CORE_IO_LANE_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>

#include "block_device.h"

namespace plogdb {

// One thread posts and waits.
class IoLane {
 public:
  explicit IoLane(BlockDevice* device) : device_(device), thread_([this] { Loop(); }) {}
  IoLane(const IoLane&) = delete;
  IoLane& operator=(const IoLane&) = delete;
  ~IoLane() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  // `data` stays as it is until Wait returned.
  void Post(uint64_t offset, std::span<const uint8_t> data, bool flush) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      offset_ = offset;
      data_ = data;
      flush_ = flush;
      busy_ = true;
    }
    wake_.notify_all();
  }

  Status Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, [this] { return !busy_; });
    return std::move(result_);
  }

 private:
  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || busy_; });
      if (!busy_) return;
      lock.unlock();
      Status status = device_->Write(offset_, data_);
      if (status.ok() && flush_) status = device_->Flush();
      lock.lock();
      result_ = std::move(status);
      busy_ = false;
      wake_.notify_all();
    }
  }

  BlockDevice* const device_;
  std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  uint64_t offset_ = 0;
  std::span<const uint8_t> data_;
  bool flush_ = false;
  bool busy_ = false;
  bool stop_ = false;
  Status result_;
  std::thread thread_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_IO_LANE_H_
