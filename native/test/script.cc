// The generators: see script.h. Positions and floors are those that a caller who keeps D5 would ask for: once a record
// is marked as decided, nothing below it is put any more.
#include "script.h"

#include <algorithm>

#include "record.h"

namespace plogdb::test {
namespace {

constexpr uint64_t kSequenceExtent = 128 << 10;

struct Reached {
  uint64_t position = 0;
  uint64_t decided = 0;
};

// Writes a script down, and remembers which positions its keys have reached.
class Author {
 public:
  Author(Script* script, uint64_t reached, uint64_t seed) : script_(script), first_{reached, 0}, random_(seed) {}

  SimRandom& random() { return random_; }

  void AddKeys(const std::string& prefix, size_t count) {
    for (size_t i = 0; i < count; ++i) script_->keys.push_back(prefix + std::to_string(i));
    reached_.resize(script_->keys.size(), first_);
  }
  void Do(ActionKind kind, uint64_t count) { script_->actions.push_back({kind, count, {}}); }
  void Submit(std::vector<PutSpec> batch) {
    uint64_t bytes = 0;
    for (const PutSpec& op : batch) bytes += RecordBound(op.key.size(), op.value.size());
    if (bytes > script_->extent_bytes / 8) script_->whole_batches = false;
    script_->actions.push_back({ActionKind::kSubmit, 0, std::move(batch)});
  }

  // The next position, which may leave the one before alive.
  PutSpec Next(size_t key, bool floor_below, size_t bytes) {
    Reached& reached = reached_[key];
    ++reached.position;
    return PutAt(key, reached.position - (floor_below ? 1 : 0), bytes);
  }
  PutSpec Replace(size_t key, size_t bytes) {
    if (reached_[key].position == first_.position) return Next(key, false, bytes);
    return PutAt(key, reached_[key].position - (random_.Chance(50) ? 1 : 0), bytes);
  }
  // Written again at position 0, as those do who never heard of positions.
  PutSpec Plain(size_t key, size_t bytes) {
    return {OpKind::kPut, script_->keys[key], 0, 0, random_.Next(), MakeValue(random_.Next(), bytes)};
  }
  PutSpec Mark(size_t key, bool decided) {
    Reached& reached = reached_[key];
    if (decided) reached.decided = reached.position;
    return {OpKind::kMark, script_->keys[key], reached.position, decided ? reached.position : 0, random_.Next(), ""};
  }
  PutSpec Drop(size_t key) {
    reached_[key] = first_;
    return {OpKind::kDrop, script_->keys[key], 0, 0, 0, ""};
  }

 private:
  PutSpec PutAt(size_t key, uint64_t floor, size_t bytes) {
    const Reached& reached = reached_[key];
    floor = std::max(floor, reached.decided);
    const uint64_t header = random_.Next();
    return {OpKind::kPut, script_->keys[key], reached.position, floor, header, MakeValue(random_.Next(), bytes)};
  }

  Script* const script_;
  const Reached first_;
  SimRandom random_;
  std::vector<Reached> reached_;
};

// The ten operations of testing.md, level 4. All on one key, so that they meet; the many go to the others.
void Operate(Author* author, Script* script, uint64_t operation) {
  switch (operation) {
    case 0:
      author->Submit({author->Next(0, false, 100)});
      break;
    case 1:
      author->Submit({author->Next(0, true, 200)});
      break;
    case 2:
      author->Submit({author->Replace(0, 300)});
      break;
    case 3:
      author->Submit({author->Next(0, true, 10'000)});
      break;
    case 4: {
      std::vector<PutSpec> batch;
      for (size_t key = 0; key < script->keys.size(); ++key) batch.push_back(author->Next(key, key % 2 == 0, 700));
      author->Submit(std::move(batch));
      break;
    }
    case 5:
      author->Submit({author->Mark(0, true)});
      break;
    case 6:
      author->Submit({author->Drop(0)});
      break;
    case 7:
      author->Submit({author->Next(0, false, script->extent_bytes / 4)});
      break;
    case 8:
      author->Do(ActionKind::kAdvance, 100'000);
      break;
    case 9:
      author->Do(ActionKind::kReopen, 0);
      break;
  }
  author->Do(ActionKind::kStepAll, 0);
}

size_t ValueBytes(SimRandom* random, const Script& script) {
  const uint64_t extent = script.extent_bytes;
  const uint64_t kind = random->Below(10);
  if (script.load == Load::kReuse) {
    return kind < 3 ? random->Below(extent / 350) : extent / 10 + random->Below(extent / 7);
  }
  if (kind == 0) return 0;
  if (kind < 7) return random->Below(300);
  return random->Below(kind < 9 ? 6'000 : std::min(extent / 6, uint64_t{20'000}));
}

PutSpec RandomOp(Author* author, const Script& script, size_t key) {
  SimRandom& random = author->random();
  const size_t bytes = ValueBytes(&random, script);
  if (key + 1 == script.keys.size()) return random.Chance(15) ? author->Drop(key) : author->Plain(key, bytes);
  const uint64_t kind = random.Below(20);
  if (kind == 0) return author->Drop(key);
  if (kind < 4) return author->Mark(key, random.Chance(60));
  if (kind < 14) return author->Next(key, random.Chance(70), bytes);
  return author->Replace(key, bytes);
}

std::vector<PutSpec> RandomBatch(Author* author, const Script& script) {
  SimRandom& random = author->random();
  const bool reuse = script.load == Load::kReuse;
  std::vector<PutSpec> batch;
  const uint64_t count = 1 + random.Below(reuse ? 2 : 5);
  for (uint64_t i = 0; i < count; ++i) {
    // Reuse: one key is written rarely, and what it lies in is not free for long.
    batch.push_back(RandomOp(author, script, random.Below(reuse && random.Chance(95) ? 3 : script.keys.size())));
  }
  return batch;
}

void Pause(Author* author) {
  SimRandom& random = author->random();
  author->Do(ActionKind::kStep, random.Below(4));
  if (random.Chance(15)) author->Do(ActionKind::kAdvance, 100'000);
  if (random.Chance(3)) author->Do(ActionKind::kReopen, 0);
}

// Filled to 60 to 90 % with values of a block or two, then written over and deleted all over the place.
void WriteNearlyFull(Author* author, Script* script) {
  SimRandom& random = author->random();
  const uint64_t usable = script->volumes * 4 * script->extent_bytes;
  const size_t bytes = script->extent_bytes / 128 + random.Below(script->extent_bytes / 43);
  const size_t keys = std::max<size_t>(8, usable * (60 + random.Below(31)) / 100 / (bytes + 150));
  author->AddKeys("k", keys);
  for (size_t key = 0; key < keys;) {
    std::vector<PutSpec> batch;
    for (size_t room = script->extent_bytes / 8 / (bytes + 150); room > 0 && key < keys; --room, ++key) {
      batch.push_back(author->Next(key, false, bytes));
    }
    author->Submit(std::move(batch));
    author->Do(ActionKind::kStep, 2);
  }
  author->Do(ActionKind::kStepAll, 0);
  script->explore_from = script->actions.size();
  for (uint64_t i = 0; i < 60; ++i) {
    std::vector<PutSpec> batch;
    for (uint64_t count = 1 + random.Below(3); count > 0; --count) {
      const size_t key = random.Below(keys);
      const bool drop = random.Chance(12);
      batch.push_back(drop ? author->Drop(key) : author->Next(key, random.Chance(20), random.Below(2 * bytes)));
      if (random.Chance(15)) batch.push_back(author->Mark(key, true));
    }
    author->Submit(std::move(batch));
    author->Do(ActionKind::kAdvance, random.Below(5'000));
    if (random.Chance(8)) author->Do(ActionKind::kMerge, random.Below(3) * (uint64_t{64} << 20));
    if (random.Chance(8)) author->Do(ActionKind::kScrub, random.Below(2) * (uint64_t{8} << 20));
    Pause(author);
  }
  author->Do(ActionKind::kMerge, uint64_t{1} << 30);
}

}  // namespace

const char* LoadName(Load load) {
  switch (load) {
    case Load::kSequence:
      return "sequence";
    case Load::kSmall:
      return "small";
    case Load::kReuse:
      return "reuse";
    case Load::kTwoVolumes:
      return "two volumes";
    case Load::kNearlyFull:
      return "nearly full";
  }
  return "";
}

Script MakeSequence(uint64_t index, uint64_t seed) {
  Script script;
  script.extent_bytes = kSequenceExtent;
  script.cache_bytes = index % 2 == 0 ? 0 : 1 << 20;
  Author author(&script, 0, seed);
  author.AddKeys("key", 6);
  uint64_t length = 0;
  for (uint64_t count = 1; index >= count; count *= kOperations, ++length) index -= count;
  std::vector<uint64_t> operations;
  if (length > 0) author.Do(ActionKind::kStepAll, 0);  // what opening writes belongs to the empty sequence
  for (; operations.size() < length; index /= kOperations) operations.push_back(index % kOperations);
  for (const uint64_t operation : operations) {
    script.explore_from = script.actions.size();
    Operate(&author, &script, operation);
  }
  return script;
}

Script MakeRandomScript(Load load, uint64_t extent_bytes, uint64_t reached, uint64_t seed) {
  Script script;
  script.load = load;
  script.extent_bytes = extent_bytes;
  Author author(&script, reached, seed);
  SimRandom& random = author.random();
  const bool two = load == Load::kTwoVolumes || (load != Load::kSmall && random.Chance(40));
  script.volumes = two ? 2 : 1;
  script.cache_bytes = random.Chance(50) ? 0 : 1 << 20;
  script.zero_fill = random.Chance(15);
  script.may_fill_up = load == Load::kReuse || load == Load::kNearlyFull;
  if (load == Load::kNearlyFull) {
    WriteNearlyFull(&author, &script);
  } else {
    author.AddKeys("key", load == Load::kReuse ? 5 : 8);
    const uint64_t batches = load == Load::kReuse ? 50 * script.volumes + 10 : 14;
    for (uint64_t i = 0; i < batches; ++i) {
      author.Submit(RandomBatch(&author, script));
      Pause(&author);
    }
  }
  author.Do(ActionKind::kStepAll, 0);
  return script;
}

}  // namespace plogdb::test
