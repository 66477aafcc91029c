#include "base/hash.h"

#include <array>

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tailrace {

namespace {

constexpr uint32_t kPolynomial = 0x82F63B78u;  // Castagnoli's, bits reversed

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1) ? kPolynomial : 0);
    table[i] = c;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

uint32_t crc32c_table(std::string_view bytes, uint32_t crc) {
  for (char b : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(b)) & 0xFF] ^ (crc >> 8);
  return crc;
}

#if defined(__x86_64__)
// The instruction has a latency of three cycles and a throughput of one, so three independent
// lanes run at once; their results are joined by multiplying with x^(8*lane) mod P, which a table
// does a byte at a time (the method of M. Adler's public crc32c description).
constexpr size_t kLane = 4096;

constexpr uint32_t times_x_power(uint32_t crc, size_t zero_bytes) {
  for (size_t i = 0; i < zero_bytes; ++i) crc = kTable[crc & 0xFF] ^ (crc >> 8);
  return crc;
}

struct ShiftTable {
  uint32_t t[4][256];
  ShiftTable() {
    for (uint32_t b = 0; b < 4; ++b)
      for (uint32_t i = 0; i < 256; ++i) t[b][i] = times_x_power(i << (8 * b), kLane);
  }
  uint32_t operator()(uint32_t crc) const {
    return t[0][crc & 0xFF] ^ t[1][(crc >> 8) & 0xFF] ^ t[2][(crc >> 16) & 0xFF] ^ t[3][crc >> 24];
  }
};

uint64_t word(const char* p) {
  uint64_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

__attribute__((target("sse4.2"))) uint32_t crc32c_hardware(std::string_view bytes, uint32_t crc) {
  static const ShiftTable shift;
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t a = crc;
  while (n >= 3 * kLane) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < kLane; i += 8) {
      a = _mm_crc32_u64(a, word(p + i));
      b = _mm_crc32_u64(b, word(p + kLane + i));
      c = _mm_crc32_u64(c, word(p + 2 * kLane + i));
    }
    a = shift(static_cast<uint32_t>(a)) ^ b;
    a = shift(static_cast<uint32_t>(a)) ^ c;
    p += 3 * kLane;
    n -= 3 * kLane;
  }
  for (; n >= 8; n -= 8, p += 8) a = _mm_crc32_u64(a, word(p));
  uint32_t r = static_cast<uint32_t>(a);
  for (; n; --n, ++p) r = _mm_crc32_u8(r, static_cast<uint8_t>(*p));
  return r;
}
#endif

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
#if defined(__x86_64__)
  static const bool hardware = __builtin_cpu_supports("sse4.2");
  if (hardware) return ~crc32c_hardware(bytes, ~seed);
#endif
  return crc32c_portable(bytes, seed);
}

uint32_t crc32c_portable(std::string_view bytes, uint32_t seed) {
  return ~crc32c_table(bytes, ~seed);
}

uint64_t xxh3(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Xxh3::State {
  alignas(64) XXH3_state_t xxh;
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) { XXH3_64bits_reset(&state_->xxh); }
Xxh3::~Xxh3() = default;
Xxh3::Xxh3(Xxh3&&) noexcept = default;
Xxh3& Xxh3::operator=(Xxh3&&) noexcept = default;
void Xxh3::update(std::string_view bytes) {
  XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size());
}
uint64_t Xxh3::digest() const { return XXH3_64bits_digest(&state_->xxh); }

}  // namespace tailrace
