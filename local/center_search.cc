#include "local/center_search.h"

#include <algorithm>

namespace tailrace {

namespace {
constexpr int64_t kPatienceMs = 5'000;  // for those that are known
constexpr int64_t kSpreadMs = 10'000;
constexpr int64_t kFirstSpreadMs = 2'000;  // of those that know none
constexpr int64_t kFirstPauseMs = 5'000;
constexpr int64_t kLongestPauseMs = 60'000;
}  // namespace

bool CenterSearch::due(bool answers, size_t known, int64_t now_ms) {
  if (answers) {
    at_ms_ = -1;
    pause_ms_ = 0;
    return false;
  }
  if (looking_) return false;
  if (at_ms_ < 0)
    at_ms_ = now_ms + (known > 0 ? kPatienceMs + static_cast<int64_t>(rng_.below(kSpreadMs))
                                 : static_cast<int64_t>(rng_.below(kFirstSpreadMs)));
  looking_ = now_ms >= at_ms_;
  return looking_;
}

void CenterSearch::ended(int64_t now_ms) {
  looking_ = false;
  pause_ms_ = pause_ms_ == 0 ? kFirstPauseMs : std::min(pause_ms_ * 2, kLongestPauseMs);
  at_ms_ =
      now_ms + pause_ms_ / 2 + static_cast<int64_t>(rng_.below(static_cast<uint64_t>(pause_ms_)));
}

}  // namespace tailrace
