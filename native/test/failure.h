// One story of a store whose nth read, write, flush or allocation fails: opened, written, read, closed, opened,
// written, read. Whatever failed must be said; then the power goes, and without the fault everything acknowledged must
// be there (D8, D16).
#ifndef PLOGDB_TEST_FAILURE_H_
#define PLOGDB_TEST_FAILURE_H_

#include <cstdint>
#include <string>

#include "faulty_device.h"
#include "script.h"

namespace plogdb::test {

// A script for TellStory. Number 0 has two volumes, number 1 one, and so on. Only while SmallExtents lives.
Script MakeStory(uint64_t number, uint64_t seed);

// Empty, or what was wrong. `fault` counts what it did.
std::string TellStory(const Script& script, Fault* fault, uint64_t seed);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_FAILURE_H_
