// Assertions that stay on in production: a broken invariant ends the process before it can end the data. Never used on
// what comes from a disk or a caller; that is validation.
#ifndef PLOGDB_CORE_ASSERT_H_
#define PLOGDB_CORE_ASSERT_H_

#include <cstdio>
#include <cstdlib>

#define PLOGDB_ASSERT(condition, rule)                                                                  \
  do {                                                                                                  \
    if (!(condition)) [[unlikely]] {                                                                    \
      std::fprintf(stderr, "%s:%d: assertion failed (%s): %s\n", __FILE__, __LINE__, rule, #condition); \
      std::abort();                                                                                     \
    }                                                                                                   \
  } while (false)

#endif  // PLOGDB_CORE_ASSERT_H_
