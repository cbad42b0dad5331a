// The mutations: see mutator.h.
#include "mutator.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace plogdb::test {

uint64_t Mutator::Number(uint64_t was) {
  constexpr uint64_t kEdges[] = {0,          1,          2,          7,         0x7f,       0x80,        0xff,
                                 0x100,      4031,       4032,       4095,      4096,       0x7fff,      0xffff,
                                 0x10000,    1u << 20,   0x7fffffff, 0xffffffff, 1ull << 32, 1ull << 53, 1ull << 62,
                                 ~0ull >> 1, ~0ull - 1, ~0ull};
  switch (random_->Below(4)) {
    case 0:
      return kEdges[random_->Below(std::size(kEdges))];
    case 1:
      return was + random_->Below(4) - random_->Below(4);
    case 2:
      return was ^ uint64_t{1} << random_->Below(64);
    default:
      return random_->Next() >> random_->Below(64);
  }
}

void Mutator::ChangeOnce(std::span<uint8_t> bytes) {
  const size_t at = random_->Below(bytes.size());
  const size_t rest = bytes.size() - at;
  switch (random_->Below(6)) {
    case 0:
      bytes[at] ^= static_cast<uint8_t>(1u << random_->Below(8));
      break;
    case 1:
      bytes[at] = static_cast<uint8_t>(random_->Next());
      break;
    case 2:
    case 3: {  // a number of 2, 4 or 8 bytes, where such numbers lie
      const size_t width = size_t{2} << random_->Below(3);
      const size_t aligned = at / 2 * 2;
      if (aligned + width > bytes.size()) break;
      uint64_t number = 0;
      std::memcpy(&number, bytes.data() + aligned, width);
      number = Number(number);
      std::memcpy(bytes.data() + aligned, &number, width);
      break;
    }
    case 4: {
      const size_t from = random_->Below(bytes.size());
      const size_t count = random_->Below(std::min(rest, bytes.size() - from) + 1);
      std::memmove(bytes.data() + at, bytes.data() + from, std::min<size_t>(count, 256));
      break;
    }
    default:
      std::memset(bytes.data() + at, random_->Chance(50) ? 0 : 0xff, std::min<size_t>(rest, 1 + random_->Below(64)));
      break;
  }
}

void Mutator::Change(std::span<uint8_t> bytes) {
  if (bytes.empty()) return;
  for (uint64_t count = 1 + random_->Below(4); count > 0; --count) ChangeOnce(bytes);
}

void Mutator::ChangeAndResize(std::vector<uint8_t>* bytes) {
  Change(*bytes);
  if (random_->Chance(30)) bytes->resize(random_->Below(bytes->size() + 1));
  if (random_->Chance(10)) bytes->resize(bytes->size() + random_->Below(64), static_cast<uint8_t>(random_->Next()));
  if (!random_->Chance(10)) return;
  const std::vector<uint8_t> half(bytes->begin(), bytes->begin() + static_cast<std::ptrdiff_t>(bytes->size() / 2));
  bytes->insert(bytes->end(), half.begin(), half.end());
}

}  // namespace plogdb::test
