// A value in memory, shared by the index, the writer and whoever loads it: immutable bytes with a reference count, one
// allocation each. Copying a ValueRef copies a pointer, so that a load under a lock never copies a value.
#ifndef PLOGDB_CORE_VALUE_REF_H_
#define PLOGDB_CORE_VALUE_REF_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace plogdb {

// Any thread may copy, read and drop its own ValueRef; one ValueRef object is not shared between threads.
class ValueRef {
 public:
  ValueRef() = default;
  ValueRef(const ValueRef& other) : block_(other.block_) {
    // Relaxed: the copier already holds a reference, so the count cannot reach zero meanwhile.
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  ValueRef(ValueRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  ValueRef& operator=(ValueRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~ValueRef() { Release(); }

  // A fresh value of `size` bytes; the caller fills mutable_bytes() before it shares the reference.
  static ValueRef Allocate(size_t size) {
    void* memory = std::malloc(sizeof(Block) + size);
    if (memory == nullptr) std::abort();
    ValueRef ref;
    ref.block_ = new (memory) Block{{1}, size};
    return ref;
  }

  static ValueRef Copy(std::span<const uint8_t> bytes) {
    ValueRef ref = Allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(ref.mutable_bytes().data(), bytes.data(), bytes.size());
    return ref;
  }

  // False for "not in memory"; an empty value is present.
  bool present() const { return block_ != nullptr; }
  size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  std::span<const uint8_t> bytes() const {
    if (block_ == nullptr) return {};
    return {reinterpret_cast<const uint8_t*>(block_ + 1), block_->size};
  }
  std::span<uint8_t> mutable_bytes() {
    if (block_ == nullptr) return {};
    return {reinterpret_cast<uint8_t*>(block_ + 1), block_->size};
  }

 private:
  struct Block {
    std::atomic<uint32_t> references;
    size_t size;
  };

  void Release() {
    // acq_rel: the last holder must see what all others did before it frees.
    if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      block_->~Block();
      std::free(block_);
    }
    block_ = nullptr;
  }

  Block* block_ = nullptr;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_VALUE_REF_H_
