// The checksums and hashes that the formats name (docs/formats.md has their test vectors).
// Thread: any; pure functions, but for Xxh3, which belongs to one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace tailrace {

// CRC-32C (Castagnoli, as in RFC 3720), `seed` being the crc of what came before (0 at first).
// Uses the processor's instruction where there is one.
[[nodiscard]] uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);
// The same by a table, as on processors without it.
[[nodiscard]] uint32_t crc32c_portable(std::string_view bytes, uint32_t seed = 0);

// XXH3, 64 bits, seed 0.
[[nodiscard]] uint64_t xxh3(std::string_view bytes);

// splitmix64's finaliser: a 64-bit permutation that mixes well.
[[nodiscard]] constexpr uint64_t mix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// XXH3 over bytes that come in pieces.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(Xxh3&&) noexcept;
  Xxh3& operator=(Xxh3&&) noexcept;
  void update(std::string_view bytes);
  [[nodiscard]] uint64_t digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
