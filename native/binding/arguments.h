// Arguments of the batch calls: array buffers, lengths within them, integers. Every method says false instead
// of throwing, so that a call can name its whole signature in one error.
#ifndef PLOGDB_BINDING_ARGUMENTS_H_
#define PLOGDB_BINDING_ARGUMENTS_H_

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "binding/batch_codec.h"

namespace plogdb::binding {

class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  // An ArrayBuffer (never a shared one: nobody else may write while it is checked).
  bool Buffer(size_t at, std::span<uint8_t>* out) const {
    void* data = nullptr;
    size_t bytes = 0;
    if (napi_get_arraybuffer_info(info_.Env(), info_[at], &data, &bytes) != napi_ok) return false;
    *out = {static_cast<uint8_t*>(data), bytes};
    return true;
  }

  bool SafeInteger(size_t at, uint64_t* out) const {
    double value = 0;
    if (napi_get_value_double(info_.Env(), info_[at], &value) != napi_ok) return false;
    // Written so that NaN fails.
    if (!(value >= 0 && value <= 9007199254740991.0)) return false;
    *out = static_cast<uint64_t>(value);
    return static_cast<double>(*out) == value;
  }

  bool Size(size_t at, size_t max, size_t* out) const {
    uint64_t value = 0;
    if (!SafeInteger(at, &value) || value > max) return false;
    *out = static_cast<size_t>(value);
    return true;
  }

  // The first `length` bytes of a buffer.
  bool Prefix(size_t buffer_at, size_t length_at, std::span<uint8_t>* out) const {
    size_t length = 0;
    if (!Buffer(buffer_at, out) || !Size(length_at, out->size(), &length)) return false;
    *out = out->first(length);
    return true;
  }

  // Offsets into a slab cross as 32 bits.
  bool TakeSlab(size_t buffer_at, size_t offset_at, Slab* out) const {
    if (!Buffer(buffer_at, &out->bytes) || out->bytes.size() > UINT32_MAX) return false;
    return Size(offset_at, out->bytes.size(), &out->at) && out->at % layout::kSlabAlign == 0;
  }

 private:
  const Napi::CallbackInfo& info_;
};

}  // namespace plogdb::binding

#endif  // PLOGDB_BINDING_ARGUMENTS_H_
