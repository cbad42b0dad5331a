// Pages, their lists by fullness, and the clearing of the emptiest. New items go where it is fullest, so that the
// emptiest pages empty by themselves.
#include "slab_arena.h"

#include <bit>
#include <cstdlib>
#include <cstring>

#include "assert.h"
#include "heap_bytes.h"

namespace plogdb {
namespace {

constexpr uint64_t kIdleShare = 8;  // a class may have 1 / 8 of its items idle, and a page

uint8_t* HeapAllocate(size_t bytes) {
  auto* memory = static_cast<uint8_t*>(std::malloc(bytes));
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

SlabArena::SlabArena() = default;

SlabArena::~SlabArena() {
  for (uint8_t* page : memory_) std::free(page);
  for (uint8_t* item : large_) std::free(item);
}

uint64_t SlabArena::memory_bytes() const {
  const uint64_t pages = memory_.empty() ? 0 : memory_.size() - 1 - idle_pages_.size();
  return pages * HeapBytes(kPageBytes + kReadAhead) + large_bytes_ +
         HeapBytes(memory_.capacity() * sizeof(memory_[0])) + HeapBytes(pages_.capacity() * sizeof(pages_[0])) +
         HeapBytes(idle_pages_.capacity() * sizeof(idle_pages_[0])) + HeapBytes(large_.capacity() * sizeof(large_[0])) +
         HeapBytes(large_idle_.capacity() * sizeof(large_idle_[0]));
}

SlabArena::Ref SlabArena::AllocateLarge(size_t bytes) {
  if (large_idle_.empty()) {
    large_idle_.push_back(static_cast<uint32_t>(large_.size()));
    large_.push_back(nullptr);
  }
  const uint32_t index = large_idle_.back();
  large_idle_.pop_back();
  large_[index] = HeapAllocate(bytes + kReadAhead);
  large_bytes_ += HeapBytes(bytes + kReadAhead);
  return kLarge + index;
}

uint32_t SlabArena::TakePage(uint32_t units) {
  if (memory_.empty()) {  // page 0 does not exist
    memory_.push_back(nullptr);
    pages_.emplace_back();
  }
  if (idle_pages_.empty()) {
    PLOGDB_ASSERT(memory_.size() < kLarge / kPageUnits, "D15");
    idle_pages_.push_back(static_cast<uint32_t>(memory_.size()));
    memory_.push_back(nullptr);
    pages_.emplace_back();
  }
  const uint32_t number = idle_pages_.back();
  idle_pages_.pop_back();
  memory_[number] = HeapAllocate(kPageBytes + kReadAhead);
  Page& page = pages_[number];
  page = Page{};
  page.units = static_cast<uint8_t>(units);
  page.items = static_cast<uint16_t>(kPageUnits / units);
  for (uint32_t item = 0; item < page.items; ++item) page.idle[item / 64] |= uint64_t{1} << (item % 64);
  classes_[units].items += page.items;
  Link(number);
  return number;
}

void SlabArena::FreePage(uint32_t number) {
  Page& page = pages_[number];
  classes_[page.units].items -= page.items;
  page.units = 0;
  std::free(memory_[number]);
  memory_[number] = nullptr;
  idle_pages_.push_back(number);
}

void SlabArena::Link(uint32_t number) {
  Page& page = pages_[number];
  page.level = LevelOf(page);
  uint32_t& first = classes_[page.units].first[page.level];
  page.previous = kNoPage;
  page.next = first;
  if (first != kNoPage) pages_[first].previous = number;
  first = number;
}

void SlabArena::Unlink(uint32_t number) {
  const Page& page = pages_[number];
  (page.previous == kNoPage ? classes_[page.units].first[page.level] : pages_[page.previous].next) = page.next;
  if (page.next != kNoPage) pages_[page.next].previous = page.previous;
}

SlabArena::Ref SlabArena::Allocate(size_t bytes) {
  const uint32_t units = UnitsOf(bytes);
  if (units > kLargestUnits) return AllocateLarge(bytes);
  Class& in = classes_[units];
  uint32_t number = kNoPage;
  for (size_t level = kLevels; level-- > 0 && number == kNoPage;) number = in.first[level];
  if (number == kNoPage) number = TakePage(units);
  Page& page = pages_[number];
  size_t word = 0;
  while (page.idle[word] == 0) ++word;
  const auto bit = static_cast<uint32_t>(std::countr_zero(page.idle[word]));
  page.idle[word] &= page.idle[word] - 1;
  ++in.live;
  if (page.live + 1 == page.items) {
    Unlink(number);
    ++page.live;
  } else {
    ++page.live;
    if (!InItsLevel(page)) {
      Unlink(number);
      Link(number);
    }
  }
  return number * kPageUnits + (static_cast<uint32_t>(word) * 64 + bit) * units;
}

void SlabArena::Free(Ref ref, size_t bytes) {
  if (ref >= kLarge) {
    large_bytes_ -= HeapBytes(bytes + kReadAhead);
    std::free(large_[ref - kLarge]);
    large_[ref - kLarge] = nullptr;
    large_idle_.push_back(ref - kLarge);
    return;
  }
  const uint32_t units = UnitsOf(bytes);
  const uint32_t number = ref / kPageUnits;
  Page& page = pages_[number];
  PLOGDB_ASSERT(page.units == units && page.live > 0, "D15");
  const uint32_t item = ref % kPageUnits / units;
  PLOGDB_ASSERT((page.idle[item / 64] >> (item % 64) & 1) == 0, "D15");
  const bool was_full = page.live == page.items;
  page.idle[item / 64] |= uint64_t{1} << (item % 64);
  --page.live;
  Class& in = classes_[units];
  --in.live;
  if (was_full || page.live == 0 || !InItsLevel(page)) {
    if (!was_full) Unlink(number);
    page.live == 0 ? FreePage(number) : Link(number);
  }
  if (in.items - in.live > in.items / kIdleShare + kPageUnits / units) wasteful_ = units;
}

SlabArena::Ref SlabArena::BeginClearing(uint32_t units) {
  uint32_t number = kNoPage;
  for (size_t level = 0; level < kLevels && number == kNoPage; ++level) number = classes_[units].first[level];
  if (number == kNoPage) return 0;
  Unlink(number);  // so that nothing is moved into it
  const Ref before = number * kPageUnits;
  const bool first_is_live = (pages_[number].idle[0] & 1) == 0;
  return first_is_live ? before : NextToClear(before, units);
}

SlabArena::Ref SlabArena::NextToClear(Ref old, uint32_t units) const {
  const Page& page = pages_[old / kPageUnits];
  for (uint32_t item = old % kPageUnits / units + 1; item < page.items; ++item) {
    if ((page.idle[item / 64] >> (item % 64) & 1) == 0) return old / kPageUnits * kPageUnits + item * units;
  }
  return 0;
}

SlabArena::Ref SlabArena::MoveItem(Ref old, uint32_t units) {
  const Ref now = Allocate(units * kUnitBytes);
  std::memcpy(At(now), At(old), units * kUnitBytes);
  return now;
}

void SlabArena::EndClearing(Ref first) {
  Page& page = pages_[first / kPageUnits];
  classes_[page.units].live -= page.live;
  FreePage(first / kPageUnits);
}

}  // namespace plogdb
