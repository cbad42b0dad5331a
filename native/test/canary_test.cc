// Every broken variant of the engine must be caught: a suite that cannot fail proves nothing.
#include <cstdio>
#include <string>

#include "canaries.h"
#include "harness.h"

namespace plogdb::test {
namespace {

CASE("canary: each broken variant of the engine is caught by its workloads") {
  for (const Hunt& hunt : Hunts()) {
    const uint64_t workloads = WorkloadsToKill(hunt, settings().seed);
    std::printf("     %s: caught after %llu workloads\n", hunt.name, static_cast<unsigned long long>(workloads));
    if (workloads == 0) Failed(__FILE__, __LINE__, std::string("not caught: ") + hunt.name);
  }
}

}  // namespace
}  // namespace plogdb::test
