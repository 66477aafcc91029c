// Randomness: from the system for identities, from a seed for everything that tests repeat.
// Thread: os_random any; a Rng belongs to one owner.
#pragma once

#include <cstdint>
#include <string>

#include "base/hash.h"

namespace tailrace {

// 64 random bits from the kernel, never zero. For local_id, incarnations, uuids.
[[nodiscard]] uint64_t os_random();

// splitmix64: small, seeded, repeatable.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    const uint64_t r = mix64(state_);
    state_ += 0x9E3779B97F4A7C15ull;
    return r;
  }
  // In [0, n); 0 for n = 0.
  uint64_t below(uint64_t n) { return n ? next() % n : 0; }
  bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < p; }

 private:
  uint64_t state_;
};

// Sixteen lower-case hexadecimal digits, as ids are written in names; and back (0 if it is none).
[[nodiscard]] std::string hex16(uint64_t v);
[[nodiscard]] uint64_t parse_hex16(std::string_view text);

}  // namespace tailrace
