// A value in memory, shared by the index, the writer and whoever loads it: immutable bytes with a reference count, one
// allocation each. Copying a ValueRef copies a pointer, so that a load under a lock never copies a value. The block's
// head has room for the links of the value cache, so that a cached value needs no second allocation and no second look.
#ifndef PLOGDB_CORE_VALUE_REF_H_
#define PLOGDB_CORE_VALUE_REF_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "heap_bytes.h"

namespace plogdb {

// Head of a value's allocation; the bytes follow.
struct ValueBlock {
  std::atomic<uint32_t> references;
  uint32_t size;
  // The value cache's own, under the lock of the key's shard.
  ValueBlock* newer;
  ValueBlock* older;
  uint32_t tag;  // of the key
  bool cached;
  bool visited;

  uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }
};
static_assert(sizeof(ValueBlock) == 32);

// Any thread may copy, read and drop its own ValueRef; one ValueRef object is not shared between threads.
class ValueRef {
 public:
  ValueRef() = default;
  ValueRef(const ValueRef& other) : ValueRef(Of(other.block_)) {}
  ValueRef(ValueRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  ValueRef& operator=(ValueRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~ValueRef() { Release(); }

  // A fresh value of `size` bytes; the caller fills mutable_bytes() before it shares the reference.
  static ValueRef Allocate(size_t size) {
    void* memory = size > UINT32_MAX ? nullptr : std::malloc(AllocatedBytes(size));
    if (memory == nullptr) std::abort();
    return Adopt(new (memory) ValueBlock{{1}, static_cast<uint32_t>(size), nullptr, nullptr, 0, false, false});
  }

  // What is asked of the heap: all that it would give anyway, so that another value may be written over this one whose
  // length differs within that.
  static size_t AllocatedBytes(size_t size) { return HeapBytes(sizeof(ValueBlock) + size) - kHeapHeadBytes; }

  static ValueRef Copy(std::span<const uint8_t> bytes) {
    ValueRef ref = Allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(ref.mutable_bytes().data(), bytes.data(), bytes.size());
    return ref;
  }

  // Another reference to the block, or none to null.
  static ValueRef Of(ValueBlock* block) {
    // Relaxed: whoever names the block holds a reference, so the count cannot reach zero meanwhile.
    if (block != nullptr) block->references.fetch_add(1, std::memory_order_relaxed);
    return Adopt(block);
  }
  // Takes the caller's reference over; Detach hands it back.
  static ValueRef Adopt(ValueBlock* block) {
    ValueRef ref;
    ref.block_ = block;
    return ref;
  }
  ValueBlock* Detach() { return std::exchange(block_, nullptr); }

  // False for "not in memory"; an empty value is present.
  bool present() const { return block_ != nullptr; }
  size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  std::span<const uint8_t> bytes() const {
    if (block_ == nullptr) return {};
    return {block_->data(), block_->size};
  }
  std::span<uint8_t> mutable_bytes() {
    if (block_ == nullptr) return {};
    return {block_->data(), block_->size};
  }

 private:
  void Release() {
    // acq_rel: the last holder must see what all others did before it frees.
    if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      block_->~ValueBlock();
      std::free(block_);
    }
    block_ = nullptr;
  }

  ValueBlock* block_ = nullptr;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_VALUE_REF_H_
