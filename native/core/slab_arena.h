// Memory for the entries of one shard: items of equal size share a page, in classes of 8 bytes, so that an item costs
// what it needs and a bit. Items have no head; whoever frees one says how long it is. Items may be moved: when an
// eighth of a class lies idle, its emptiest page is cleared, so that a change of sizes does not strand memory. What is
// longer than a page is made for comes from the heap. Knows nothing of keys.
#ifndef PLOGDB_CORE_SLAB_ARENA_H_
#define PLOGDB_CORE_SLAB_ARENA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace plogdb {

// Under the shard's lock.
class SlabArena {
 public:
  using Ref = uint32_t;                    // names an item; 0 is none
  static constexpr size_t kReadAhead = 8;  // this many bytes behind an item may be read (not used)

  SlabArena();
  ~SlabArena();
  SlabArena(const SlabArena&) = delete;
  SlabArena& operator=(const SlabArena&) = delete;

  Ref Allocate(size_t bytes);
  void Free(Ref ref, size_t bytes);
  // True when both lengths lie in items of the same size, so that one can be written over the other.
  static bool SameSize(size_t one, size_t other) {
    return UnitsOf(one) == UnitsOf(other) && UnitsOf(one) <= kLargestUnits;
  }

  uint8_t* At(Ref ref) {
    if (ref >= kLarge) return large_[ref - kLarge];
    return memory_[ref / kPageUnits] + size_t{ref % kPageUnits} * kUnitBytes;
  }
  const uint8_t* At(Ref ref) const { return const_cast<SlabArena*>(this)->At(ref); }

  // Clears one page when its class has too much idle memory: calls moved(old, now, address) for each item, which lies
  // at its new place by then. Nobody may hold an address of an item over this call.
  template <typename Moved>
  void Compact(Moved moved) {
    if (wasteful_ == 0) return;
    const uint32_t units = wasteful_;
    wasteful_ = 0;
    const Ref first = BeginClearing(units);
    if (first == 0) return;
    for (Ref old = first; old != 0; old = NextToClear(old, units)) {
      const Ref now = MoveItem(old, units);
      moved(old, now, At(now));
    }
    EndClearing(first);
  }

  uint64_t memory_bytes() const;

 private:
  static constexpr size_t kUnitBytes = 8;
  static constexpr uint32_t kPageUnits = 1024;
  static constexpr size_t kPageBytes = kPageUnits * kUnitBytes;
  static constexpr uint32_t kSmallestUnits = 4;  // 32 bytes
  static constexpr uint32_t kLargestUnits = 32;  // 256 bytes
  static constexpr Ref kLarge = 0x80000000;      // from here on: of the heap
  static constexpr size_t kLevels = 4;
  static constexpr uint32_t kNoPage = 0;  // page 0 does not exist, so that no item is named 0

  struct Page {
    std::array<uint64_t, kPageUnits / kSmallestUnits / 64> idle{};  // bit per item
    uint32_t next = kNoPage;                                        // in the list of its level and class
    uint32_t previous = kNoPage;
    uint16_t items = 0;
    uint16_t live = 0;
    uint8_t units = 0;
    uint8_t level = 0;
  };

  struct Class {
    std::array<uint32_t, kLevels> first{};  // pages with idle items, by how full they are
    uint64_t items = 0;
    uint64_t live = 0;
  };

  static uint32_t UnitsOf(size_t bytes) {
    const auto units = static_cast<uint32_t>((bytes + kUnitBytes - 1) / kUnitBytes);
    return units < kSmallestUnits ? kSmallestUnits : units;
  }

  Ref AllocateLarge(size_t bytes);
  uint32_t TakePage(uint32_t units);
  void FreePage(uint32_t page);
  void Link(uint32_t page);
  void Unlink(uint32_t page);
  static uint8_t LevelOf(const Page& page) { return static_cast<uint8_t>(page.live * kLevels / page.items); }
  static bool InItsLevel(const Page& page) {  // the same without a division
    const size_t live = page.live * kLevels;
    return live >= size_t{page.level} * page.items && live < size_t{page.level + 1u} * page.items;
  }
  Ref BeginClearing(uint32_t units);
  Ref NextToClear(Ref old, uint32_t units) const;
  Ref MoveItem(Ref old, uint32_t units);
  void EndClearing(Ref first);

  std::vector<uint8_t*> memory_;  // by page; null: the heap has it back
  std::vector<Page> pages_;
  std::vector<uint32_t> idle_pages_;  // numbers without memory
  std::array<Class, kLargestUnits + 1> classes_;
  uint32_t wasteful_ = 0;  // a class with too much idle memory, or 0
  std::vector<uint8_t*> large_;
  std::vector<uint32_t> large_idle_;
  uint64_t large_bytes_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_SLAB_ARENA_H_
