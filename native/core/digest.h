// Digests (D20): what two stores compare to find where they differ. A bucket's digest is the sum, modulo 2^64, of what
// each of its keys contributes; so it does not depend on history, and is kept up to date by one subtraction and one
// addition. The functions are the same on every machine: replicas compare their results.
#ifndef PLOGDB_CORE_DIGEST_H_
#define PLOGDB_CORE_DIGEST_H_

#include <cstdint>
#include <span>

#include "format.h"
#include "store.h"

namespace plogdb {

// The top bits of the hash, so that a bucket's keys follow each other in a walk by hash.
inline uint32_t BucketOfHash(uint64_t hash) { return static_cast<uint32_t>(hash >> 48); }
inline uint32_t BucketOfKey(std::span<const uint8_t> key) { return BucketOfHash(KeyHash(key)); }
static_assert(kDigestBuckets == 1 << 16);

// What a key contributes whose newest record by position has this hash; 0 for a record without one.
inline uint64_t DigestOfRecord(uint64_t key_hash, uint64_t position, uint64_t record_hash) {
  if (record_hash == 0) return 0;
  uint64_t mixed = key_hash ^ position * 0x9e3779b97f4a7c15ull;
  mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93ull;
  mixed ^= record_hash;
  mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93ull;
  return mixed ^ mixed >> 32;
}

}  // namespace plogdb

#endif  // PLOGDB_CORE_DIGEST_H_
