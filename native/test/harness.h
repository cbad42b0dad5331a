// A small test harness: named cases, checks that say where and what, one summary line. No exceptions, no dependencies.
#ifndef PLOGDB_TEST_HARNESS_H_
#define PLOGDB_TEST_HARNESS_H_

#include <cstdint>
#include <string>

namespace plogdb::test {

using CaseFunction = void (*)();

struct Registration {
  Registration(const char* claim, CaseFunction function);
};

// Records a failure of the running case.
void Failed(const char* file, int line, const std::string& what);

// Set by --workloads N, --images N (crash images), --all and --seed N.
struct Settings {
  uint64_t workloads = 50;
  uint64_t images = 30'000;
  bool all = false;  // no samples: everything
  uint64_t seed = 1;
};
const Settings& settings();

}  // namespace plogdb::test

#define PLOGDB_TEST_JOIN2(a, b) a##b
#define PLOGDB_TEST_JOIN(a, b) PLOGDB_TEST_JOIN2(a, b)
#define CASE(claim)                                                                   \
  static void PLOGDB_TEST_JOIN(Case, __LINE__)();                                     \
  static const ::plogdb::test::Registration PLOGDB_TEST_JOIN(registration, __LINE__)( \
      claim, PLOGDB_TEST_JOIN(Case, __LINE__));                                       \
  static void PLOGDB_TEST_JOIN(Case, __LINE__)()
#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) ::plogdb::test::Failed(__FILE__, __LINE__, "not: " #condition); \
  } while (false)
#define REQUIRE(condition)                                            \
  do {                                                                \
    if (!(condition)) {                                               \
      ::plogdb::test::Failed(__FILE__, __LINE__, "not: " #condition); \
      return;                                                         \
    }                                                                 \
  } while (false)

#endif  // PLOGDB_TEST_HARNESS_H_
