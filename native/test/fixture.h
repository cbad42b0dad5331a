// A store on simulated disks in stepped mode with a clock that only moves when told: what most cases stand on.
#ifndef PLOGDB_TEST_FIXTURE_H_
#define PLOGDB_TEST_FIXTURE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "recorder_device.h"
#include "sim_device.h"
#include "store.h"

namespace plogdb::test {

std::string MakeValue(uint64_t seed, size_t bytes);
std::vector<uint8_t> MakeHeader(uint64_t seed);

struct PutSpec {
  OpKind kind = OpKind::kPut;
  std::string key;
  uint64_t position = 0;
  uint64_t floor = 0;
  uint64_t header = 0;  // seed of the header
  std::string value;
};

class Fixture {
 public:
  explicit Fixture(size_t volumes = 1, uint64_t bytes = uint64_t{8} << 20);

  Status Open();
  void Close() { store.reset(); }
  // Forgets the store as a crash does: no mark, no farewell. Unflushed writes are lost as the seed says.
  void Crash(uint64_t seed);

  // Submits and runs until it ended. Returns its status.
  StatusCode Put(const std::string& key, uint64_t position, uint64_t floor, const std::string& value);
  StatusCode Run(const std::vector<PutSpec>& ops);
  uint64_t Submit(const std::vector<PutSpec>& ops);
  void StepAll();
  void Drain();
  void Idle();  // lets the idle mark come

  // Value of a record by disk or cache; status otherwise.
  StatusCode ReadValue(const std::string& key, uint64_t position, std::string* value);
  LoadedKey Load(const std::string& key);
  StoreStats Stats();

  std::shared_ptr<SimDisk> disk(size_t volume = 0) { return factory->Find(options.volumes[volume].path); }

  std::shared_ptr<SimDeviceFactory> factory = std::make_shared<SimDeviceFactory>();
  StoreOptions options;
  std::unique_ptr<Store> store;
  OpenReport report;
  uint64_t clock_us = 1'000'000;
  uint64_t last_token = 0;
  uint64_t wakes = 0;
  std::vector<Completion> completions;   // all drained
  std::map<uint64_t, StatusCode> ended;  // by token

 private:
  static uint64_t Now(void* context) { return static_cast<Fixture*>(context)->clock_us; }
  static void Wake(void* context) { ++static_cast<Fixture*>(context)->wakes; }
};

// Everything a store shows, as text: for comparing two openings.
std::string Dump(Fixture* fixture, const std::vector<std::string>& keys);

}  // namespace plogdb::test

#endif  // PLOGDB_TEST_FIXTURE_H_
