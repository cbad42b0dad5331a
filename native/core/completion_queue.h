// Results on their way back to the caller: batches in token order, reads as they come, one wake-up until drained (D6,
// D21).
#ifndef PLOGDB_CORE_COMPLETION_QUEUE_H_
#define PLOGDB_CORE_COMPLETION_QUEUE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "store.h"

namespace plogdb {

// One batch until all its parts, one or more per volume, ended. Fields are guarded by the queue's lock.
struct BatchState {
  uint64_t token = 0;
  uint32_t parts = 0;
  StatusCode status = StatusCode::kOk;
};

// Any thread.
class CompletionQueue {
 public:
  CompletionQueue(void (*wake)(void*), void* context) : wake_(wake), context_(context) {}

  // Takes the next place in token order.
  std::shared_ptr<BatchState> Begin(uint64_t token, uint32_t parts) {
    auto batch = std::make_shared<BatchState>(BatchState{token, parts, StatusCode::kOk});
    const std::lock_guard<std::mutex> lock(mutex_);
    order_.push_back(batch);
    return batch;
  }

  // One part of each of `batches` ended with `status`.
  void EndParts(const std::vector<std::shared_ptr<BatchState>>& batches, StatusCode status) {
    bool wake = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const auto& batch : batches) {
        if (status != StatusCode::kOk && batch->status == StatusCode::kOk) batch->status = status;
        --batch->parts;
      }
      while (!order_.empty() && order_.front()->parts == 0) {
        Completion completion;
        completion.kind = CompletionKind::kBatch;
        completion.token = order_.front()->token;
        completion.status = order_.front()->status;
        wake |= PushLocked(std::move(completion));
        order_.pop_front();
      }
    }
    if (wake && wake_ != nullptr) wake_(context_);
  }

  void Push(Completion completion) {
    bool wake = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      wake = PushLocked(std::move(completion));
    }
    if (wake && wake_ != nullptr) wake_(context_);
  }

  size_t Drain(std::vector<Completion>* out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t count = ready_.size();
    for (Completion& completion : ready_) out->push_back(std::move(completion));
    ready_.clear();
    return count;
  }

 private:
  bool PushLocked(Completion completion) {
    ready_.push_back(std::move(completion));
    return ready_.size() == 1;
  }

  void (*const wake_)(void*);
  void* const context_;
  std::mutex mutex_;  // guards all below
  std::deque<std::shared_ptr<BatchState>> order_;
  std::vector<Completion> ready_;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_COMPLETION_QUEUE_H_
