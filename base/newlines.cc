#include "base/newlines.h"

#include <immintrin.h>

#include <algorithm>

namespace tailrace {

namespace {
constexpr size_t kStep = 32;

__attribute__((target("avx2"))) uint64_t count_newlines_avx2(std::string_view bytes) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  const __m256i newline = _mm256_set1_epi8('\n');
  const __m256i zero = _mm256_setzero_si256();
  __m256i total = zero;
  while (left >= kStep) {
    // A lane of 8 bits counts up to 255 hits before it is added to the 64-bit sums.
    const size_t rounds = std::min<size_t>(left / kStep, 255);
    __m256i hits = zero;
    for (size_t i = 0; i < rounds; ++i, p += kStep) {
      const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
      hits = _mm256_sub_epi8(hits, _mm256_cmpeq_epi8(v, newline));
    }
    total = _mm256_add_epi64(total, _mm256_sad_epu8(hits, zero));
    left -= rounds * kStep;
  }
  alignas(32) uint64_t sums[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums), total);
  return sums[0] + sums[1] + sums[2] + sums[3] + count_newlines_portable({p, left});
}
}  // namespace

uint64_t count_newlines_portable(std::string_view bytes) {
  uint64_t n = 0;
  for (const char c : bytes) n += c == '\n';
  return n;
}

uint64_t count_newlines(std::string_view bytes) {
  static const bool avx2 = __builtin_cpu_supports("avx2");
  return avx2 ? count_newlines_avx2(bytes) : count_newlines_portable(bytes);
}

}  // namespace tailrace
