#include "agent/line_cut.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

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

// Where newlines must be put so that no line of buffer[from, to) is longer than `most`; `to` is the
// end of a line, or of a part of one that stays open.
void find_long_lines(const char* buffer, size_t from, size_t to, size_t most,
                     std::vector<size_t>& cuts) {
  while (to - from > most) {
    // All lines that end within the next most + 1 bytes are short enough.
    const void* last = ::memrchr(buffer + from, '\n', most + 1);
    if (last) {
      from = static_cast<size_t>(static_cast<const char*>(last) - buffer) + 1;
    } else {
      from += most;
      cuts.push_back(from);
    }
  }
}

// Puts a newline before each of the source positions `cuts`, moving each byte once.
void insert_newlines(char* buffer, size_t n, const std::vector<size_t>& cuts) {
  size_t end = n;
  for (size_t i = cuts.size(); i-- > 0;) {
    std::memmove(buffer + cuts[i] + i + 1, buffer + cuts[i], end - cuts[i]);
    buffer[cuts[i] + i] = '\n';
    end = cuts[i];
  }
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

CutPlan plan_cut(std::string_view source, const CutRules& rules, std::vector<size_t>& cuts) {
  CutPlan plan;
  cuts.clear();
  if (rules.continues && source.starts_with('\n')) plan.left_out = 1;
  const size_t n = source.size();
  const size_t first = plan.left_out;
  find_long_lines(source.data(), first, n, rules.max_record, cuts);
  const void* last = n > first ? ::memrchr(source.data() + first, '\n', n - first) : nullptr;
  size_t end =
      last ? static_cast<size_t>(static_cast<const char*>(last) - source.data()) + 1 : first;
  // What stands behind the last newline is taken up to its last cut, or wholly if nothing will
  // follow.
  if (rules.ends_here && end < n) {
    plan.unterminated = true;
    end = n;
  } else if (!cuts.empty() && cuts.back() > end) {
    end = cuts.back();
  }
  plan.taken = end > first ? end : 0;
  return plan;
}

CutLines apply_cut(char* buffer, const CutPlan& plan, const std::vector<size_t>& cuts,
                   uint32_t first_line, std::vector<MarkedLine>& marks) {
  CutLines out;
  out.bytes = plan.taken - plan.left_out;
  if (!cuts.empty()) {
    insert_newlines(buffer, plan.taken, cuts);
    out.bytes += cuts.size();
  }
  if (plan.left_out) std::memmove(buffer, buffer + plan.left_out, out.bytes);
  if (plan.unterminated) buffer[out.bytes++] = '\n';
  size_t from = 0;
  for (size_t i = 0; i < cuts.size(); ++i) {
    const size_t to = cuts[i] - plan.left_out + i + 1;
    out.lines += static_cast<uint32_t>(count_newlines({buffer + from, to - from}));
    marks.push_back({first_line + out.lines - 1, static_cast<uint8_t>(kBatchSplit)});
    from = to;
  }
  out.lines += static_cast<uint32_t>(count_newlines({buffer + from, out.bytes - from}));
  if (plan.unterminated)
    marks.push_back({first_line + out.lines - 1, static_cast<uint8_t>(kBatchUnterminated)});
  return out;
}

}  // namespace tailrace
