#include "base/age_track.h"

#include <algorithm>

namespace tailrace {

namespace {
constexpr size_t kMostMarks = 64;
}

void AgeTrack::seen(uint64_t taken, uint64_t passed, int64_t now_ms) {
  while (!marks_.empty() && marks_.front().taken <= passed) marks_.pop_front();
  if (taken <= passed || (!marks_.empty() && marks_.back().taken >= taken)) return;
  marks_.push_back({taken, now_ms});
  if (marks_.size() <= kMostMarks) return;
  std::deque<Mark> fewer;  // two become one, with the earlier's time
  for (size_t i = 0; i < marks_.size(); i += 2)
    fewer.push_back({marks_[std::min(i + 1, marks_.size() - 1)].taken, marks_[i].ms});
  marks_.swap(fewer);
}

}  // namespace tailrace
