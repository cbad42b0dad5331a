// The fuzzer as a command: fuzz --seconds N [--seed S] [--target NAME [--run I]]. Own mutations, seeded: a run is known
// by target, seed and number. The runs are made in a child, so that one that kills it, or hangs, is reported and the
// next child goes on behind it. The last line is one JSON object; exit code 1 when anything was found.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "canary.h"
#include "format.h"
#include "fuzz_targets.h"

namespace plogdb {
Canary g_canary = Canary::kNone;
}  // namespace plogdb

namespace plogdb::test {
namespace {

constexpr unsigned kHangSeconds = 60;  // for one run, on a busy machine under a sanitizer
constexpr uint64_t kMostFindings = 10;

struct Arguments {
  double seconds = 50;
  uint64_t seed = 1;
  std::string target;
  std::optional<uint64_t> run;
};

// Written by the child as it goes; the parent reads it when the child has ended.
struct Shared {
  uint64_t run;
  uint64_t done;
};

void RunOne(const FuzzTarget& target, uint64_t seed, uint64_t run) {
  const uint64_t words[] = {seed, run, KeyHash(AsBytes(target.name))};
  SimRandom random(KeyHash({reinterpret_cast<const uint8_t*>(words), sizeof(words)}));
  target.run(&random);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void RunChild(const FuzzTarget& target, uint64_t seed, double until, Shared* shared) {
  while (Now() < until) {
    alarm(kHangSeconds);
    RunOne(target, seed, shared->run);
    ++shared->run;
    ++shared->done;
  }
  _exit(0);
}

// Returns what was found in the time given.
uint64_t Fuzz(const FuzzTarget& target, const Arguments& arguments, double seconds, Shared* shared) {
  const double until = Now() + seconds;
  uint64_t findings = 0;
  *shared = Shared{};
  while (Now() < until && findings < kMostFindings) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) RunChild(target, arguments.seed, until, shared);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return findings + 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    const bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    std::printf("%s %s in run %llu\n    replay: npm run fuzz -- --seed %llu --target %s --run %llu\n", target.name,
                hung ? "hung" : "died", static_cast<unsigned long long>(shared->run),
                static_cast<unsigned long long>(arguments.seed), target.name,
                static_cast<unsigned long long>(shared->run));
    ++findings;
    ++shared->run;
  }
  return findings;
}

int FuzzAll(const Arguments& arguments) {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  size_t targets = 0;
  for (const FuzzTarget& target : FuzzTargets()) targets += arguments.target.empty() || arguments.target == target.name;
  uint64_t findings = 0;
  std::string runs;
  for (const FuzzTarget& target : FuzzTargets()) {
    if (!arguments.target.empty() && arguments.target != target.name) continue;
    auto* shared = static_cast<Shared*>(memory);
    findings += Fuzz(target, arguments, arguments.seconds / static_cast<double>(targets), shared);
    runs += (runs.empty() ? "\"" : ",\"") + std::string(target.name) + "\":" + std::to_string(shared->done);
  }
  std::printf("{\"seconds\":%g,\"findings\":%llu,\"seed\":%llu,\"runs\":{%s}}\n", arguments.seconds,
              static_cast<unsigned long long>(findings), static_cast<unsigned long long>(arguments.seed), runs.c_str());
  return findings == 0 && targets > 0 ? 0 : 1;
}

int Main(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string word = words[i];
    if (word == "--seconds") arguments.seconds = std::strtod(words[i + 1], nullptr);
    if (word == "--seed") arguments.seed = std::strtoull(words[i + 1], nullptr, 10);
    if (word == "--target") arguments.target = words[i + 1];
    if (word == "--run") arguments.run = std::strtoull(words[i + 1], nullptr, 10);
  }
  PrepareFuzzing();
  if (!arguments.run) return FuzzAll(arguments);
  for (const FuzzTarget& target : FuzzTargets()) {
    if (arguments.target == target.name) RunOne(target, arguments.seed, *arguments.run);
  }
  return 0;
}

}  // namespace
}  // namespace plogdb::test

int main(int count, char** words) { return plogdb::test::Main(count, words); }
