// Work cut into numbered pieces and done by a few threads that live as long as it lasts. For opening a store only: later
// on, threads are made once.
#ifndef PLOGDB_CORE_IN_PARALLEL_H_
#define PLOGDB_CORE_IN_PARALLEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace plogdb {

// Calls work(thread, index) for every index, by as many threads.
template <typename Work>
void InParallel(uint32_t threads, size_t count, const Work& work) {
  std::atomic<size_t> next{0};  // relaxed: hands out numbers; joining orders the rest
  const auto run = [&](uint32_t thread) {
    for (size_t i = next.fetch_add(1, std::memory_order_relaxed); i < count;
         i = next.fetch_add(1, std::memory_order_relaxed)) {
      work(thread, i);
    }
  };
  std::vector<std::thread> others;
  for (uint32_t thread = 1; thread < threads && thread < count; ++thread) others.emplace_back(run, thread);
  run(0);
  for (std::thread& other : others) other.join();
}

}  // namespace plogdb

#endif  // PLOGDB_CORE_IN_PARALLEL_H_
