// How one thread is told that there is something to do. Rings are not counted: one or many, it looks once. Ringing a
// thread that is at work costs no lock. It sleeps at once when it has nothing to do: to look for the next ring for some
// microseconds first was tried and cost processor time for nothing, because the one who rings goes on beside the wake-up.
#ifndef PLOGDB_CORE_DOORBELL_H_
#define PLOGDB_CORE_DOORBELL_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace plogdb {

// Ring: any thread. Wait: one thread.
class Doorbell {
 public:
  void Ring() {
    // Sequentially consistent, as is the other side: either this sees that it sleeps, or it sees the ring before it does.
    if (rung_.exchange(true) || !asleep_.load()) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
    }
    wake_.notify_one();
  }

  // Returns when it was rung since Wait returned the last time, or after so many microseconds (UINT64_MAX: never).
  void Wait(uint64_t microseconds) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      asleep_.store(true);
      const auto rung = [this] { return rung_.load(); };
      if (microseconds == UINT64_MAX) {
        wake_.wait(lock, rung);
      } else {
        wake_.wait_for(lock, std::chrono::microseconds(microseconds), rung);
      }
      asleep_.store(false);
    }
    // A ring from now on counts for the next wait: what was done before it is seen by who looks after this.
    rung_.exchange(false);
  }

 private:
  std::atomic<bool> rung_{false};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;  // guards nothing but the falling asleep
  std::condition_variable wake_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_DOORBELL_H_
