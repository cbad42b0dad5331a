// The crash explorer as a command: crash --images N [--seed S] [--jobs J], or --workload W [--image I] to replay. Each
// job is a process of its own, so that an assertion that fails is a violation like any other and ends only that
// workload. Prints violations with the command that replays each, and as its last line one JSON object; exit code 1 on
// violations.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "canary.h"
#include "canaries.h"
#include "crash.h"

namespace plogdb {
Canary g_canary = Canary::kNone;
}  // namespace plogdb

namespace plogdb::test {
namespace {

struct Arguments {
  uint64_t images = 20'000;
  uint64_t seed = 1;
  uint64_t jobs = 1;
  std::optional<uint64_t> workload;
  std::optional<uint64_t> image;
  bool canaries = false;
};

// What all jobs share, in memory that they all see: workloads are taken in the order of their numbers by whoever is free,
// since some cost ten times what others do.
struct Board {
  std::atomic<uint64_t> next_workload;
  std::atomic<uint64_t> images;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "processes share it");

// What a job tells its parent, in memory that both see. The parent reads it only when the job has ended.
struct Shared {
  uint64_t taken;  // workloads that the job has done
  uint64_t workload;
  uint64_t image;
  uint64_t images;
  uint64_t nested;
  uint64_t epochs;
  uint64_t freed;
  uint64_t dropped;
  uint64_t copied;
  uint64_t violations;
  bool done;
};

// A long run says after so many that it lives, on standard error.
constexpr uint64_t kImagesPerSignOfLife = 50'000;
// A job with so many violations has told enough.
constexpr uint64_t kMostViolations = 10;

void Report(const Arguments& arguments, uint64_t workload, uint64_t image, const std::string& what) {
  std::printf("workload %llu, %s\n"
              "    replay: npm run crash -- --seed %llu --workload %llu --image %llu --images %llu\n",
              static_cast<unsigned long long>(workload), what.c_str(), static_cast<unsigned long long>(arguments.seed),
              static_cast<unsigned long long>(workload), static_cast<unsigned long long>(image),
              static_cast<unsigned long long>(arguments.images));
  std::fflush(stdout);
}

// Counts images for all jobs, and says so when another stretch is full.
void Count(Board* board, uint64_t images) {
  const uint64_t before = board->images.fetch_add(images);
  const uint64_t after = before + images;
  if (before / kImagesPerSignOfLife == after / kImagesPerSignOfLife) return;
  std::fprintf(stderr, "crash: %llu images\n", static_cast<unsigned long long>(after));
}

void RunJob(const Arguments& arguments, Board* board, Shared* shared) {
  CrashOptions options;
  options.seed = arguments.seed;
  options.images_per_epoch = ImagesPerEpoch(arguments.images);
  options.image = &shared->image;
  while (board->images < arguments.images && shared->violations < kMostViolations) {
    shared->image = 0;
    shared->workload = board->next_workload.fetch_add(1);
    const CrashOutcome one = ExploreWorkload(shared->workload, options);
    for (const std::string& violation : one.violations) Report(arguments, shared->workload, shared->image, violation);
    shared->images += one.images;
    shared->nested += one.nested_images;
    shared->epochs += one.epochs;
    shared->freed += one.extents_freed;
    shared->dropped += one.dropped_runs;
    shared->copied += one.records_copied;
    shared->violations += one.violations.size();
    ++shared->taken;
    Count(board, one.images);
  }
  shared->done = true;
}

pid_t Start(const Arguments& arguments, Board* board, Shared* shared) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child != 0) return child;
  RunJob(arguments, board, shared);
  std::fflush(stdout);
  _exit(0);
}

// A job that died found a violation; another one goes on behind it.
void Bury(const Arguments& arguments, Board* board, Shared* shared) {
  if (shared->done) return;
  Report(arguments, shared->workload, shared->image,
         "image " + std::to_string(shared->image) + ": the process died (its last words stand above)");
  ++shared->violations;
  shared->images += shared->image;
  ++shared->taken;
  Count(board, shared->image);
}

void RunJobs(const Arguments& arguments, Board* board, Shared* shared) {
  std::vector<pid_t> children;
  for (uint64_t job = 0; job < arguments.jobs; ++job) {
    children.push_back(Start(arguments, board, &shared[job]));
  }
  for (size_t alive = children.size(); alive > 0;) {
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended < 0) return;
    const auto job = static_cast<size_t>(std::find(children.begin(), children.end(), ended) - children.begin());
    if (job == children.size()) continue;
    Bury(arguments, board, &shared[job]);
    const bool more = !shared[job].done && shared[job].violations < kMostViolations;
    if (more) children[job] = Start(arguments, board, &shared[job]);
    if (!more) --alive;
  }
}

int Explore(const Arguments& arguments) {
  const size_t bytes = sizeof(Board) + arguments.jobs * sizeof(Shared);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  auto* board = new (memory) Board{};
  auto* shared = reinterpret_cast<Shared*>(board + 1);
  const auto started = std::chrono::steady_clock::now();
  RunJobs(arguments, board, shared);
  Shared sum{};
  for (uint64_t job = 0; job < arguments.jobs; ++job) {
    sum.images += shared[job].images;
    sum.nested += shared[job].nested;
    sum.epochs += shared[job].epochs;
    sum.freed += shared[job].freed;
    sum.dropped += shared[job].dropped;
    sum.copied += shared[job].copied;
    sum.violations += shared[job].violations;
    sum.taken += shared[job].taken;
  }
  const auto print = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::printf("{\"images\":%llu,\"violations\":%llu,\"seed\":%llu,\"workloads\":%llu,\"epochs\":%llu,\"nested\":%llu,"
              "\"unfinishedRunsDropped\":%llu,\"extentsReused\":%llu,\"recordsMerged\":%llu,\"seconds\":%.1f}\n",
              print(sum.images), print(sum.violations), print(arguments.seed), print(sum.taken),
              print(sum.epochs), print(sum.nested), print(sum.dropped), print(sum.freed), print(sum.copied), seconds);
  return sum.violations == 0 ? 0 : 1;
}

int Replay(const Arguments& arguments) {
  CrashOptions options;
  options.seed = arguments.seed;
  options.images_per_epoch = ImagesPerEpoch(arguments.images);
  options.only_image = arguments.image;
  const CrashOutcome one = ExploreWorkload(*arguments.workload, options);
  for (const std::string& violation : one.violations) std::printf("%s\n", violation.c_str());
  std::printf("{\"images\":%llu,\"violations\":%zu,\"seed\":%llu}\n", static_cast<unsigned long long>(one.images),
              one.violations.size(), static_cast<unsigned long long>(arguments.seed));
  return one.violations.empty() ? 0 : 1;
}

int Main(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const uint64_t value = i + 1 < count ? std::strtoull(words[i + 1], nullptr, 10) : 0;
    if (word == "--canaries") {
      arguments.canaries = true;
      continue;
    }
    if (word == "--images") arguments.images = value;
    else if (word == "--seed") arguments.seed = value;
    else if (word == "--jobs") arguments.jobs = std::clamp<uint64_t>(value, 1, 64);
    else if (word == "--workload") arguments.workload = value;
    else if (word == "--image") arguments.image = value;
    else return std::fprintf(stderr, "usage: crash --images N [--seed S] [--jobs J] | --workload W [--image I]\n"), 2;
    ++i;
  }
  if (arguments.canaries) return PrintCanaries(arguments.seed);
  return arguments.workload ? Replay(arguments) : Explore(arguments);
}

}  // namespace
}  // namespace plogdb::test

int main(int count, char** words) { return plogdb::test::Main(count, words); }
