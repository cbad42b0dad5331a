// The targets: see fuzz_targets.h. Checksums are made good again after most changes: else nothing but the checksum
// would ever be tested.
#include "fuzz_targets.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "assert.h"
#include "binding/batch_codec.h"
#include "extent_scan.h"
#include "format.h"
#include "life.h"
#include "mutator.h"
#include "run_parser.h"
#include "store_probe.h"
#include "superblock.h"

namespace plogdb::test {
namespace {

constexpr uint64_t kExtent = 128 << 10;

// A store with a past.
struct Base {
  Script script;
  Disks disks;
  StoreId store_id{};
  std::vector<std::pair<size_t, uint64_t>> blocks;  // volume and number of every block that holds something
};

std::vector<Base>& Bases() {
  static std::vector<Base> bases;
  return bases;
}

Base MakeBase(Load load, uint64_t seed) {
  Base base;
  base.script = MakeRandomScript(load, kExtent, 0, seed);
  base.script.cache_bytes = 0;
  base.script.zero_fill = false;
  const auto fixture = MakeFixture(base.script, {});
  PLOGDB_ASSERT(fixture->Open().ok(), "a fresh store opens");
  base.store_id = fixture->report.storage_id;
  for (const Action& action : base.script.actions) {
    if (action.kind == ActionKind::kSubmit) fixture->Submit(action.batch);
    fixture->StepAll();
  }
  fixture->store->Close();
  for (size_t volume = 0; volume < base.script.volumes; ++volume) {
    base.disks.push_back(std::make_shared<SimDisk>(*fixture->disk(volume)));
    std::vector<uint8_t> block(kBlockBytes);
    for (uint64_t number = 0; number < base.disks[volume]->bytes() / kBlockBytes; ++number) {
      PLOGDB_ASSERT(base.disks[volume]->Read(number * kBlockBytes, block).ok(), "in range");
      if (!IsZero(block)) base.blocks.emplace_back(volume, number);
    }
  }
  return base;
}

const Base& AnyBase(SimRandom* random) { return Bases()[random->Below(Bases().size())]; }

// A record of the block whose head says something else, with a checksum that fits.
void ChangeRecord(std::span<uint8_t> block, SimRandom* random) {
  BlockHeader header;
  std::memcpy(&header, block.data(), sizeof(header));
  if (header.payload_bytes > kPayloadBytes) return;
  const auto payload = block.subspan(sizeof(header), header.payload_bytes);
  uint64_t at = header.first_record;
  for (uint64_t skip = random->Below(4);; --skip) {
    const auto record = ParseRecord(payload, at);
    if (!record || !record->whole) return;
    if (skip > 0) {
      at = record->end();
      continue;
    }
    Mutator mutator(random);
    RecordFields fields = record->fields;
    if (random->Chance(50)) fields.lsn = mutator.Number(fields.lsn);
    if (random->Chance(50)) fields.position = mutator.Number(fields.position);
    if (fields.erased_below != 0 && random->Chance(50)) fields.erased_below = mutator.Number(fields.erased_below) | 1;
    if (random->Chance(20)) fields.kind = fields.kind == RecordKind::kPut ? RecordKind::kDrop : RecordKind::kPut;
    fields.floor = fields.position - (fields.position > 0 && random->Chance(50) ? 1 : 0);
    const auto head = EncodeRecordHead(fields, record->key.size(), record->value.size(), record->payload_crc);
    if (head.size == record->head_bytes) std::memcpy(payload.data() + at, head.bytes.data(), head.size);
    return;
  }
}

void ChangeBlock(const Base& base, std::span<uint8_t> block, SimRandom* random) {
  Mutator mutator(random);
  const uint64_t kind = random->Below(10);
  if (kind < 3) {
    mutator.Change(block.first(sizeof(BlockHeader)));
  } else if (kind < 5) {
    mutator.Change(block.subspan(sizeof(BlockHeader), sizeof(RunHead) + base.disks.size() * sizeof(RunMark)));
  } else if (kind < 8) {
    ChangeRecord(block, random);
  } else {
    mutator.Change(block);
  }
  if (!random->Chance(90)) return;
  // Magic, store and address as they were, mostly: the rest is more interesting.
  BlockHeader header;
  std::memcpy(&header, block.data(), sizeof(header));
  if (random->Chance(95)) {
    header.magic = kBlockMagic;
    header.version = kFormatVersion;
    header.store_id = base.store_id;
  }
  std::memcpy(block.data(), &header, sizeof(header));
  SealBlock(block);
}

// Whatever an opening made of it: everything that it shows can be read or is said to be corrupt, and it goes on.
void UseStore(const Base& base, const Disks& disks, SimRandom* random) {
  const auto fixture = MakeFixture(base.script, disks);
  fixture->options.cache_bytes = random->Chance(50) ? 0 : 1 << 20;
  if (!fixture->Open().ok()) return;
  for (int opening = 0; opening < 2; ++opening) {
    const std::string why = StoreProbe::Check(*fixture->store);
    if (!why.empty()) std::fprintf(stderr, "%s\n", why.c_str());
    PLOGDB_ASSERT(why.empty(), "accounts");
    std::vector<std::string> keys = base.script.keys;
    fixture->store->ForEachKey(
        [](void* context, std::span<const uint8_t> key, uint64_t, std::span<const uint8_t>) {
          static_cast<std::vector<std::string>*>(context)->emplace_back(AsText(key));
        },
        &keys);
    Dump(fixture.get(), keys);
    for (uint64_t i = 0; i < 4; ++i) {
      const std::string& key = keys[random->Below(keys.size())];
      const LoadedKey loaded = fixture->Load(key);
      const uint64_t position = loaded.slots == 0 ? 1 : loaded.slot[loaded.slots - 1].position;
      fixture->Run({{OpKind::kPut, key, position, position, i, MakeValue(i, random->Below(5'000))},
                    {OpKind::kDrop, keys[random->Below(keys.size())], 0, 0, 0, ""}});
    }
    fixture->Idle();
    fixture->Crash(random->Next());
    PLOGDB_ASSERT(fixture->Open().ok(), "what opened once opens again");
  }
}

void FuzzVolume(SimRandom* random) {
  const Base& base = AnyBase(random);
  Disks disks;
  for (const auto& disk : base.disks) disks.push_back(std::make_shared<SimDisk>(*disk));
  std::vector<uint8_t> block(kBlockBytes);
  for (uint64_t count = 1 + random->Below(6); count > 0; --count) {
    const auto [volume, number] = base.blocks[random->Below(base.blocks.size())];
    PLOGDB_ASSERT(disks[volume]->Read(number * kBlockBytes, block).ok(), "in range");
    ChangeBlock(base, block, random);
    disks[volume]->WriteSectors(number * kBlockBytes, block);
  }
  UseStore(base, disks, random);
}

void FuzzSuperblock(SimRandom* random) {
  const Base& base = AnyBase(random);
  Disks disks;
  for (const auto& disk : base.disks) disks.push_back(std::make_shared<SimDisk>(*disk));
  const Geometry geometry = MakeGeometry(base.disks[0]->bytes());
  std::vector<uint8_t> block(kBlockBytes);
  PLOGDB_ASSERT(disks[0]->Read(0, block).ok(), "in range");
  Mutator mutator(random);
  const size_t at = sizeof(uint64_t) * random->Below(9);  // mostly one field; the node id is dull
  mutator.Change(std::span(block).subspan(at, random->Chance(80) ? 8 : sizeof(Superblock) - at));
  Superblock super;
  std::memcpy(&super, block.data(), sizeof(super));
  const uint64_t copies = 1 + random->Below(kSuperCopies);
  for (uint16_t copy = 0; copy < copies; ++copy) {
    if (random->Chance(90)) {
      super.magic = kSuperMagic;
      super.version = kFormatVersion;
      super.copy = copy;
    }
    EncodeSuperblock(super, block);
    disks[0]->WriteSectors(geometry.super_offset(copy), block);
  }
  UseStore(base, disks, random);
}

// Streams as heap buffers of exactly their size: a sanitizer sees the first byte too many.
void FuzzStream(SimRandom* random) {
  const Base& base = AnyBase(random);
  const auto [volume, number] = base.blocks[random->Below(base.blocks.size())];
  std::vector<uint8_t> block(kBlockBytes);
  PLOGDB_ASSERT(base.disks[volume]->Read(number * kBlockBytes, block).ok(), "in range");
  std::vector<uint8_t> stream(block.begin() + sizeof(BlockHeader), block.end());
  Mutator mutator(random);
  mutator.ChangeAndResize(&stream);
  const std::vector<uint8_t> exact(stream.begin(), stream.end());
  if (const auto view = ParseRunHead(exact, base.disks.size())) {
    const auto entries = ParseDirectory(view->directory, view->head.directory_entries);
    for (uint64_t at = view->records_at; at < exact.size();) {
      const auto record = ParseRecord(exact, at);
      if (!record) break;
      PLOGDB_ASSERT(record->end() > at && (!record->whole || record->end() <= exact.size()), "D4");
      record->ToRecord();
      at = record->end();
    }
  }
  ParseDirectory(exact, static_cast<uint32_t>(random->Below(8)));
  const uint64_t at = random->Below(exact.size() + 8);
  ParseRecord(exact, at);
}

void FuzzExtent(SimRandom* random) {
  const Base& base = AnyBase(random);
  const size_t volume = random->Below(base.disks.size());
  const Geometry geometry = MakeGeometry(base.disks[volume]->bytes());
  const uint32_t extent = static_cast<uint32_t>(random->Below(3));
  const uint32_t first = geometry.first_data_block(extent);
  const size_t blocks = 1 + random->Below(geometry.data_blocks());
  std::vector<uint8_t> bytes(blocks * kBlockBytes);
  PLOGDB_ASSERT(base.disks[volume]->Read(uint64_t{first} * kBlockBytes, bytes).ok(), "in range");
  for (uint64_t count = 1 + random->Below(6); count > 0; --count) {
    ChangeBlock(base, std::span(bytes).subspan(random->Below(blocks) * kBlockBytes, kBlockBytes), random);
  }
  ExtentScan scan({&base.store_id, static_cast<uint32_t>(volume), base.disks.size(), first, random->Below(20), bytes});
  scan.ForEachRecord([](const ParsedRecord& parsed, RecordPlace) { parsed.ToRecord(); });
  scan.FindBroken({});
  scan.unfinished();
}

std::vector<uint8_t> MakeRequest(SimRandom* random) {
  using namespace layout;
  std::vector<uint8_t> bytes;
  for (uint64_t ops = random->Below(5); ops > 0; --ops) {
    const uint32_t kind = static_cast<uint32_t>(random->Below(3));
    const uint32_t key_bytes = static_cast<uint32_t>(1 + random->Below(20));
    const uint32_t value_bytes = kind == kOpPut ? static_cast<uint32_t>(random->Below(300)) : 0;
    const double position = static_cast<double>(1 + random->Below(1'000));
    const double floor = position - (random->Chance(50) ? 1 : 0);
    const size_t at = bytes.size();
    bytes.resize(at + AlignUp(kOpFixedBytes + key_bytes + value_bytes, 8), static_cast<uint8_t>(random->Next()));
    std::memcpy(bytes.data() + at + kOpKind, &kind, sizeof(kind));
    std::memcpy(bytes.data() + at + kOpKeyBytes, &key_bytes, sizeof(key_bytes));
    std::memcpy(bytes.data() + at + kOpPosition, &position, sizeof(position));
    std::memcpy(bytes.data() + at + kOpFloor, &floor, sizeof(floor));
    std::memcpy(bytes.data() + at + kOpValueBytes, &value_bytes, sizeof(value_bytes));
  }
  return bytes;
}

// What is decoded goes into a store: the decoder's promises are what the store builds upon.
void FuzzRequest(SimRandom* random) {
  std::vector<uint8_t> bytes = MakeRequest(random);
  if (random->Chance(80)) Mutator(random).ChangeAndResize(&bytes);
  const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  std::vector<std::span<const uint8_t>> keys;
  binding::DecodeKeys(exact, random->Below(6), &keys);
  binding::Request request;
  if (binding::DecodeRequest(exact, &request) != nullptr) return;
  Script script;
  script.extent_bytes = kExtent;
  const auto fixture = MakeFixture(script, {});
  PLOGDB_ASSERT(fixture->Open().ok(), "a fresh store opens");
  const Status status = fixture->store->SubmitBatch(request.ops, 1);
  PLOGDB_ASSERT(status.ok(), "what was decoded is valid");
  fixture->StepAll();
  std::vector<LoadedKey> loaded;
  for (const binding::ReadOp& read : request.reads) {
    PLOGDB_ASSERT(fixture->store->Read(read.key, read.position, read.tag).ok(), "open");
    fixture->store->Load(read.key, &loaded.emplace_back());
  }
  fixture->StepAll();
  std::vector<uint8_t> slab_bytes(binding::InlineBytes(loaded));
  std::vector<uint8_t> result(loaded.size() * layout::kLoadedBytes);
  binding::Slab slab{slab_bytes, 0};
  binding::EncodeLoaded(loaded, result, &slab);
  std::vector<uint8_t> events(layout::kEventsFirst + 2 * layout::kEventBytes);
  std::vector<uint8_t> small(random->Below(400) / 8 * 8);
  binding::Slab events_slab{small, 0};
  size_t needed = 0;
  binding::EncodeEvents(fixture->completions, events, &events_slab, &needed);
}

constexpr FuzzTarget kTargets[] = {
    {"volume", FuzzVolume}, {"superblock", FuzzSuperblock}, {"stream", FuzzStream},
    {"extent", FuzzExtent}, {"request", FuzzRequest},
};

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return kTargets; }

void PrepareFuzzing() {
  g_min_extent_bytes = kExtent;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    Bases().push_back(MakeBase(kRandomLoads[seed % std::size(kRandomLoads)], seed));
  }
}

}  // namespace plogdb::test
