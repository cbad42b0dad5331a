// The crash explorer as a command: crash --images N [--seed S] [--jobs J], or --workload W [--image I] to replay. Each
// job is a process of its own, so that an assertion that fails is a violation like any other and ends only that
// workload. Prints violations with the command that replays each, and as its last line one JSON object; exit code 1 on
// violations.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// What a job tells its parent, in memory that both see. The parent reads counts only when the job has ended; what it
// reads before is for progress, and may be late.
struct Shared {
  uint64_t taken;  // workloads that the job has done
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

// Workloads are dealt out in turns that shift: their kinds go round, and some cost ten times what others do.
uint64_t WorkloadOf(uint64_t job, uint64_t taken, uint64_t jobs) { return taken * jobs + (job + taken / 2) % jobs; }

void Report(const Arguments& arguments, uint64_t workload, uint64_t image, const std::string& what) {
  std::printf("workload %llu, %s\n"
              "    replay: npm run crash -- --seed %llu --workload %llu --image %llu --images %llu\n",
              static_cast<unsigned long long>(workload), what.c_str(), static_cast<unsigned long long>(arguments.seed),
              static_cast<unsigned long long>(workload), static_cast<unsigned long long>(image),
              static_cast<unsigned long long>(arguments.images));
  std::fflush(stdout);
}

void RunJob(const Arguments& arguments, uint64_t job, Shared* shared) {
  CrashOptions options;
  options.seed = arguments.seed;
  options.images_per_epoch = ImagesPerEpoch(arguments.images);
  options.image = &shared->image;
  const uint64_t share = (arguments.images + arguments.jobs - 1) / arguments.jobs;
  while (shared->images < share && shared->violations < 10) {
    const uint64_t workload = WorkloadOf(job, shared->taken, arguments.jobs);
    shared->image = 0;
    const CrashOutcome one = ExploreWorkload(workload, options);
    for (const std::string& violation : one.violations) Report(arguments, workload, shared->image, violation);
    shared->images += one.images;
    shared->nested += one.nested_images;
    shared->epochs += one.epochs;
    shared->freed += one.extents_freed;
    shared->dropped += one.dropped_runs;
    shared->copied += one.records_copied;
    shared->violations += one.violations.size();
    ++shared->taken;
  }
  shared->done = true;
}

pid_t Start(const Arguments& arguments, uint64_t job, Shared* shared) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child != 0) return child;
  RunJob(arguments, job, shared);
  std::fflush(stdout);
  _exit(0);
}

// A job that died found a violation; another one goes on behind it.
void Bury(const Arguments& arguments, uint64_t job, Shared* shared) {
  if (shared->done) return;
  Report(arguments, WorkloadOf(job, shared->taken, arguments.jobs), shared->image,
         "image " + std::to_string(shared->image) + ": the process died (its last words stand above)");
  ++shared->violations;
  shared->images += shared->image;
  ++shared->taken;
}

void RunJobs(const Arguments& arguments, Shared* shared) {
  std::vector<pid_t> children;
  for (uint64_t job = 0; job < arguments.jobs; ++job) {
    children.push_back(Start(arguments, job, &shared[job]));
  }
  for (size_t alive = children.size(); alive > 0;) {
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended < 0) return;
    const auto job = static_cast<size_t>(std::find(children.begin(), children.end(), ended) - children.begin());
    if (job == children.size()) continue;
    Bury(arguments, job, &shared[job]);
    const bool more = !shared[job].done && shared[job].violations < 10;
    if (more) children[job] = Start(arguments, job, &shared[job]);
    if (!more) --alive;
  }
}

int Explore(const Arguments& arguments) {
  const size_t bytes = arguments.jobs * sizeof(Shared);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  auto* shared = static_cast<Shared*>(memory);
  const auto started = std::chrono::steady_clock::now();
  RunJobs(arguments, shared);
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
