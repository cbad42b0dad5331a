// The tests' eyes: counts again, from the index alone, what the extent map keeps account of. The one class outside the
// core that sees its private state; it changes nothing.
#ifndef PLOGDB_TEST_STORE_PROBE_H_
#define PLOGDB_TEST_STORE_PROBE_H_

#include <string>

#include "store.h"

namespace plogdb {

class StoreProbe {
 public:
  // Empty when every live record lies in an extent that is in use, and every extent's account of live records and bytes
  // is what the index says (D10, D12). Only while no thread works: stepped mode, between two steps.
  static std::string Check(const Store& store);
  // Records that live in an extent.
  static uint32_t LiveRecords(const Store& store, uint32_t volume, uint32_t extent);
};

}  // namespace plogdb

#endif  // PLOGDB_TEST_STORE_PROBE_H_
