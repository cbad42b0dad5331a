// Runs all cases, or those whose claim contains the given words. Usage: run [--seed N] [--workloads N] [--images N]
// [--all] [words]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "canary.h"
#include "harness.h"

namespace plogdb {
Canary g_canary = Canary::kNone;
}  // namespace plogdb

namespace plogdb::test {
namespace {

struct Case {
  const char* claim;
  CaseFunction function;
};

std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

Settings g_settings;
int g_failures = 0;

}  // namespace

Registration::Registration(const char* claim, CaseFunction function) { Cases().push_back({claim, function}); }

void Failed(const char* file, int line, const std::string& what) {
  if (++g_failures <= 10) std::fprintf(stderr, "    %s:%d: %s\n", file, line, what.c_str());
}

const Settings& settings() { return g_settings; }

static int RunAll(const std::string& words) {
  int passed = 0;
  int failed = 0;
  for (const Case& test : Cases()) {
    if (std::string(test.claim).find(words) == std::string::npos) continue;
    g_failures = 0;
    g_canary = Canary::kNone;
    test.function();
    std::printf("%s %s\n", g_failures == 0 ? "ok  " : "FAIL", test.claim);
    std::fflush(stdout);
    ++(g_failures == 0 ? passed : failed);
  }
  std::printf("%d passed, %d failed (seed %llu, %llu workloads)\n", passed, failed,
              static_cast<unsigned long long>(g_settings.seed), static_cast<unsigned long long>(g_settings.workloads));
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace plogdb::test

int main(int count, char** arguments) {
  std::string words;
  for (int i = 1; i < count; ++i) {
    const bool has_next = i + 1 < count;
    if (std::strcmp(arguments[i], "--seed") == 0 && has_next) {
      plogdb::test::g_settings.seed = std::strtoull(arguments[++i], nullptr, 10);
    } else if (std::strcmp(arguments[i], "--workloads") == 0 && has_next) {
      plogdb::test::g_settings.workloads = std::strtoull(arguments[++i], nullptr, 10);
    } else if (std::strcmp(arguments[i], "--all") == 0) {
      plogdb::test::g_settings.all = true;
    } else if (std::strcmp(arguments[i], "--images") == 0 && has_next) {
      plogdb::test::g_settings.images = std::strtoull(arguments[++i], nullptr, 10);
    } else {
      words = arguments[i];
    }
  }
  return plogdb::test::RunAll(words);
}
