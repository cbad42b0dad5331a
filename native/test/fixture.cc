// The fixture: see fixture.h.
#include "fixture.h"

#include <utility>

#include "crc32c.h"
#include "format.h"

namespace plogdb::test {

std::string MakeValue(uint64_t seed, size_t bytes) {
  SimRandom random(seed + 77);
  std::string value(bytes, '\0');
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t word = random.Next();
    for (size_t j = i; j < bytes && j < i + 8; ++j) value[j] = static_cast<char>(word >> (8 * (j - i)));
  }
  return value;
}

std::vector<uint8_t> MakeHeader(uint64_t seed) {
  const std::string bytes = MakeValue(seed ^ 0x5555, kHeaderBytes);
  return {bytes.begin(), bytes.end()};
}

Fixture::Fixture(size_t volumes, uint64_t bytes) {
  for (size_t i = 0; i < volumes; ++i) options.volumes.push_back({"disk" + std::to_string(i), bytes});
  options.stepped = true;
  options.node_id = "n1";
  options.seed = 42;
  options.device_factory = factory.get();
  options.now_us = Now;
  options.now_context = this;
  options.wake = Wake;
  options.wake_context = this;
}

Status Fixture::Open() {
  store.reset();
  last_token = 0;
  ended.clear();
  completions.clear();
  options.now_context = this;
  return Store::Open(options, &store, &report);
}

// The store object still says farewell to its devices: to copies that nobody looks at again.
void Fixture::Crash(uint64_t seed) {
  SimRandom random(seed);
  auto survivors = std::make_shared<SimDeviceFactory>();
  for (const VolumeOptions& volume : options.volumes) {
    const auto disk = factory->Find(volume.path);
    if (disk == nullptr) continue;
    auto copy = std::make_shared<SimDisk>(*disk);
    copy->LosePower(&random);
    survivors->Put(volume.path, std::move(copy));
  }
  store.reset();
  factory = std::move(survivors);
  options.device_factory = factory.get();
}

uint64_t Fixture::Submit(const std::vector<PutSpec>& specs) {
  std::vector<std::vector<uint8_t>> headers;
  std::vector<BatchOp> ops;
  headers.reserve(specs.size());
  for (const PutSpec& spec : specs) {
    headers.push_back(MakeHeader(spec.header));
    BatchOp op;
    op.kind = spec.kind;
    op.key = AsBytes(spec.key);
    op.position = spec.position;
    op.floor = spec.floor;
    op.header = headers.back();
    op.value = AsBytes(spec.value);
    ops.push_back(op);
  }
  const Status status = store->SubmitBatch(ops, ++last_token);
  if (!status.ok()) ended[last_token] = status.code();
  return last_token;
}

void Fixture::Drain() {
  std::vector<Completion> fresh;
  store->DrainCompletions(&fresh);
  for (Completion& completion : fresh) {
    if (completion.kind == CompletionKind::kBatch) ended[completion.token] = completion.status;
    completions.push_back(std::move(completion));
  }
}

void Fixture::StepAll() {
  while (store->Step(nullptr)) {
  }
  Drain();
}

void Fixture::Idle() {
  StepAll();
  clock_us += 200'000;
  StepAll();
}

StatusCode Fixture::Run(const std::vector<PutSpec>& ops) {
  const uint64_t token = Submit(ops);
  StepAll();
  const auto found = ended.find(token);
  return found == ended.end() ? StatusCode::kNotFound : found->second;
}

StatusCode Fixture::Put(const std::string& key, uint64_t position, uint64_t floor, const std::string& value) {
  return Run({{OpKind::kPut, key, position, floor, position, value}});
}

StatusCode Fixture::ReadValue(const std::string& key, uint64_t position, std::string* value) {
  const size_t before = completions.size();
  constexpr uint64_t kTag = 4711;
  if (!store->Read(AsBytes(key), position, kTag).ok()) return StatusCode::kClosed;
  StepAll();
  for (size_t i = before; i < completions.size(); ++i) {
    if (completions[i].kind != CompletionKind::kRead) continue;
    *value = AsText(completions[i].value.bytes());
    return completions[i].status;
  }
  return StatusCode::kIoError;
}

LoadedKey Fixture::Load(const std::string& key) {
  LoadedKey loaded;
  store->Load(AsBytes(key), &loaded);
  return loaded;
}

StoreStats Fixture::Stats() {
  StoreStats stats;
  store->Stats(&stats);
  return stats;
}

std::string Dump(Fixture* fixture, const std::vector<std::string>& keys) {
  std::string text;
  for (const std::string& key : keys) {
    const LoadedKey loaded = fixture->Load(key);
    text += key + (loaded.corrupt ? " corrupt" : "");
    for (uint32_t i = 0; i < loaded.slots; ++i) {
      const SlotView& slot = loaded.slot[i];
      std::string value;
      const StatusCode status = fixture->ReadValue(key, slot.position, &value);
      text += " " + std::to_string(slot.position) + "/" + std::to_string(slot.floor) + "/" + std::to_string(slot.lsn) +
              "/" + std::to_string(KeyHash(slot.header)) + "/" + StatusCodeName(status) + "/" +
              std::to_string(value.size()) + "/" + std::to_string(Crc32c(AsBytes(value)));
    }
    text += "\n";
  }
  return text;
}

}  // namespace plogdb::test
