#include "base/nearest.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tailrace {

namespace {
constexpr size_t kLongestWord = 64;

// Damerau-Levenshtein (neighbours swapped count as one).
size_t typing_errors(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({change, above[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above;
    above = row;
  }
  return above[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  if (word.size() > kLongestWord) return best;
  size_t least = SIZE_MAX;
  for (const std::string_view candidate : candidates) {
    const size_t limit = std::min(least, std::max<size_t>(1, candidate.size() / 3) + 1);
    const auto [shorter, longer] = std::minmax({word.size(), candidate.size()});
    if (longer - shorter >= limit) continue;  // each letter that one has more is an error
    const size_t errors = typing_errors(word, candidate);
    if (errors < limit) {
      least = errors;
      best = candidate;
    }
  }
  return best;
}

}  // namespace tailrace
