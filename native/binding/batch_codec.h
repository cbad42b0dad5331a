// Reads and writes the packed buffers of batch_layout.h. Includes no Node header. The one idea: whatever
// JavaScript put into a buffer is checked against the buffer's end before it is used, and nothing is done
// with a request before all of it was checked.
#ifndef PLOGDB_BINDING_BATCH_CODEC_H_
#define PLOGDB_BINDING_BATCH_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "binding/batch_layout.h"
#include "core/store.h"

namespace plogdb::binding {

struct ReadOp {
  std::span<const uint8_t> key;
  uint64_t position = 0;
  uint64_t tag = 0;
};

// A decoded request of submit. Keys, headers and values point into the buffer it was decoded from.
struct Request {
  std::vector<BatchOp> ops;
  std::vector<ReadOp> reads;
};

// Returns null, or what is wrong; then `out` is meaningless.
const char* DecodeRequest(std::span<const uint8_t> buffer, Request* out);

// Decodes the keys of a load: exactly `count` of them fill the buffer. Returns null, or what is wrong.
const char* DecodeKeys(std::span<const uint8_t> buffer, size_t count,
                       std::vector<std::span<const uint8_t>>* out);

// Where values go: the free part of a buffer that JavaScript keeps.
struct Slab {
  std::span<uint8_t> bytes;
  size_t at = 0;  // a multiple of kSlabAlign, at most bytes.size()
};

// Bytes that the values of `keys` need in a slab.
size_t InlineBytes(std::span<const LoadedKey> keys);

// The answer of get.
int32_t EncodeNewest(NewestValue newest);

// Writes kLoadedBytes per key into `result`. Precondition: result and slab are large enough.
void EncodeLoaded(std::span<const LoadedKey> keys, std::span<uint8_t> result, Slab* slab);

// Writes as many completions as fit into `events` and the slab, and what the slab holds then. Returns how
// many; when not even the first one's value fits, returns 0 and sets `*needed` to the bytes that it needs.
size_t EncodeEvents(std::span<const Completion> completions, std::span<uint8_t> events, Slab* slab,
                    size_t* needed);

void EncodeStats(const StoreStats& stats, std::span<double, layout::kStatCount> out);

// Appends one key of an iteration.
void EncodeScanned(std::span<const uint8_t> key, uint64_t position, std::span<const uint8_t> header,
                   std::vector<uint8_t>* out);

}  // namespace plogdb::binding

#endif  // PLOGDB_BINDING_BATCH_CODEC_H_
