// A token bucket on a clock that is handed in (D11, D19): so many units a second, and a burst of at most a quarter of a
// second's worth or one request, whichever is more. Knows nothing of what the units are.
#ifndef PLOGDB_CORE_RATE_LIMITER_H_
#define PLOGDB_CORE_RATE_LIMITER_H_

#include <algorithm>
#include <cstdint>

namespace plogdb {

// One thread.
class RateLimiter {
 public:
  explicit RateLimiter(uint64_t units_per_second) : rate_(units_per_second) {}

  void SetRate(uint64_t units_per_second) { rate_ = units_per_second; }

  // Takes `units`, or says when (microseconds on the same clock) to ask again. Never before UINT64_MAX with rate 0.
  bool Take(uint64_t units, uint64_t now_us, uint64_t* again_us) {
    *again_us = UINT64_MAX;
    if (rate_ == 0) return false;
    const double burst = std::max(static_cast<double>(rate_) / 4, static_cast<double>(units));
    if (now_us > last_us_) {
      const double grown = static_cast<double>(now_us - last_us_) * static_cast<double>(rate_) / 1e6;
      tokens_ = std::min(burst, tokens_ + grown);
      last_us_ = now_us;
    }
    const double missing = static_cast<double>(units) - tokens_;
    if (missing <= 0) {
      tokens_ -= static_cast<double>(units);
      return true;
    }
    *again_us = now_us + 1 + static_cast<uint64_t>(missing * 1e6 / static_cast<double>(rate_));
    return false;
  }

  // What was done without asking counts all the same; the debt is at most a second's worth.
  void Charge(uint64_t units) {
    tokens_ = std::max(tokens_ - static_cast<double>(units), -static_cast<double>(rate_));
  }

 private:
  uint64_t rate_;
  double tokens_ = 0;
  uint64_t last_us_ = 0;
};

}  // namespace plogdb

#endif  // PLOGDB_CORE_RATE_LIMITER_H_
